//! Refused deliveries: what is known of them, so that somebody can see why.
//!
//! Anybody may post to an endpoint, so what a refusal costs is bounded: notes wait in a short queue and are dropped
//! when it is full, they are written at most once a second, in the background, and each project keeps its
//! newest hundred. Bodies are never kept.

use std::{collections::BTreeMap, time::Duration};

use poem::http::{HeaderMap, header};
use tokio::sync::mpsc;

use super::{RejectedDeliveryId, Source, source::Posted, store};
use crate::{
    accounts::Principal,
    app::App,
    clock::{Ids, Time},
    database::{Database, TenantId},
    error::{Code, Error, Result, chain},
    projects::{self, ProjectId, secrets::Endpoint},
    wire::Page,
};

/// Refused deliveries that a project keeps.
const KEPT: u64 = 100;
/// Notes that may wait to be written; more are dropped.
const QUEUE: usize = 1_024;
/// How often they are written at most.
const PACE: Duration = Duration::from_secs(1);
/// Characters kept of what a sender says of itself.
const WORDS: usize = 200;

/// A refused delivery.
#[derive(Clone, Debug)]
pub struct RejectedDelivery {
    /// Its id.
    pub id: RejectedDeliveryId,
    /// The Git host, by the path it was posted to.
    pub source: Source,
    /// The host's id of it, if it said one.
    pub delivery_id: Option<String>,
    /// The host's name of the event; may be empty.
    pub event_type: String,
    /// Who sent it, by its own words.
    pub user_agent: Option<String>,
    /// Bytes of the body, as far as it was announced.
    pub body_bytes: Option<i64>,
    /// Why, as the code that its sender was answered.
    pub code: String,
    /// Why, in words that a person can act on.
    pub reason: String,
    /// When it was received.
    pub received_at: Time,
}

type Note = (TenantId, ProjectId, RejectedDelivery);

/// Where refusals are noted.
pub struct Rejections(mpsc::Sender<Note>);

impl Rejections {
    /// Starts to write notes; ends with this handle.
    pub fn start(database: Database) -> Self {
        let (notes, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(write(database.in_background(), waiting));
        Self(notes)
    }

    /// Notes that a delivery was refused. What is our failure, or a passing one, is no refusal.
    pub(super) fn note(
        &self,
        ids: &Ids,
        now: Time,
        source: Source,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        error: &Error,
    ) {
        if matches!(error.code, Code::Internal | Code::Unavailable) {
            return;
        }
        let host = source.host();
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let rejected = RejectedDelivery {
            id: RejectedDeliveryId(ids.uuid()),
            source,
            delivery_id: host.delivery_id(&Posted { headers, body: &[] }).ok(),
            event_type: host.event_type(headers),
            user_agent: header(header::USER_AGENT).map(|agent| agent.chars().take(WORDS).collect()),
            body_bytes: header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            code: error.code.as_str().to_owned(),
            reason: error.to_string(),
            received_at: now,
        };
        if self.0.try_send((endpoint.tenant, endpoint.project, rejected)).is_err() {
            tracing::debug!("too many refusals are waiting to be noted; one was dropped");
        }
    }
}

async fn write(database: Database, mut waiting: mpsc::Receiver<Note>) {
    let mut notes = Vec::new();
    while waiting.recv_many(&mut notes, QUEUE).await > 0 {
        let mut by_tenant: BTreeMap<TenantId, BTreeMap<ProjectId, Vec<RejectedDelivery>>> = BTreeMap::new();
        for (tenant, project, rejected) in notes.drain(..) {
            by_tenant.entry(tenant).or_default().entry(project).or_default().push(rejected);
        }
        for (tenant, projects) in by_tenant {
            let written = database.write(tenant, |tx| {
                Box::pin(async move {
                    for (project, rejected) in projects {
                        // One that was deleted meanwhile has no use for it.
                        if projects::hold(tx, project).await.is_ok() {
                            store::insert_rejected(tx, project, rejected, KEPT).await?;
                        }
                    }
                    Ok(())
                })
            });
            if let Err(error) = written.await {
                tracing::warn!(error = %chain(&error), "refused deliveries could not be noted");
            }
        }
        tokio::time::sleep(PACE).await;
    }
}

/// The refused deliveries of a project, newest first.
///
/// # Errors
/// `not_found` for a project out of reach.
pub(super) async fn list_rejected_deliveries(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    page: Page<RejectedDeliveryId>,
) -> Result<Vec<RejectedDelivery>> {
    projects::reach(app, principal, project).await?;
    list_rejected_in(app, principal.tenant, project, page).await
}

/// The refused deliveries of a project in any tenant; for the command line, whose user owns the database.
///
/// # Errors
/// The database's.
pub async fn list_rejected_in(
    app: &App,
    tenant: TenantId,
    project: ProjectId,
    page: Page<RejectedDeliveryId>,
) -> Result<Vec<RejectedDelivery>> {
    app.database
        .read(tenant, move |tx| Box::pin(async move { store::list_rejected(tx, project, &page).await }))
        .await
}
