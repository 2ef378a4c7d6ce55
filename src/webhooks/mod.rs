//! Webhooks: signed deliveries of Git hosts, kept as they came and worked through in their own time.
//!
//! A Git host posts a delivery. It is verified over its raw bytes against the project's secrets, put into the
//! group commit, and answered with 202 once it is on disk: from then on it is not lost, whatever happens. The
//! same delivery posted again, also at the same moment, is answered `duplicate` and has no second effect.
//!
//! In the transaction that stores it a delivery gets a job. The job turns it into changes of the domain and
//! events, all in one transaction. Should that fail, the job is tried three times and then parked; the delivery
//! shows as `failed` and can be replayed ([`replay`]), from exactly the bytes that came. What is refused is noted
//! with its reason ([`rejected`]); bodies go after a while, and ids later ([`retention`]). Each host is one folder that
//! implements [`source::Host`]; what it does not understand is stored and logged, never refused.

mod api;
mod bitbucket;
mod change;
mod codec;
mod effects;
mod gitea;
mod github;
mod gitlab;
mod ingest;
mod payload;
mod receive;
pub mod reconcile;
mod rejected;
mod replay;
mod retention;
mod signature;
mod source;
mod store;
mod text;
pub mod worker;

use std::collections::BTreeMap;

use bytes::Bytes;
use poem::http::HeaderMap;
use secrecy::SecretString;

pub(crate) use self::receive::receive_posted;
use self::source::{Posted, Trust};
pub use self::{
    api::WebhooksApi,
    ingest::IngestApi,
    receive::{Inbox, Receipt},
    rejected::{RejectedDelivery, Rejections, list_rejected_in},
    replay::{Replayed, replay_deliveries, replay_delivery, replay_many, replay_one},
    retention::Retention,
    source::Source,
};
use crate::{
    accounts::Principal,
    app::App,
    clock::Time,
    database::{TenantId, Tx},
    error::{Code, Error, Result},
    events::{self, Event},
    jobs::{JobId, NewJob},
    projects::{self, ProjectId},
    wire::{Page, id_type, wire_enum},
};

id_type! {
    /// Names a delivery; its job has the same id.
    WebhookEventId
}

id_type! {
    /// Names a refused delivery.
    RejectedDeliveryId
}

wire_enum! {
    /// What became of a delivery.
    DeliveryStatus {
        /// Its job is waiting or under way.
        Pending = "pending",
        /// Its effects are there.
        Processed = "processed",
        /// Its job was parked after the last try; it can be replayed.
        Failed = "failed",
    }
}

wire_enum! {
    /// What became of a delivery that was posted.
    ReceiptStatus {
        /// It is on disk.
        Accepted = "accepted",
        /// It was on disk already.
        Duplicate = "duplicate",
    }
}

/// A delivery as it came.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Our id.
    pub id: WebhookEventId,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// The project it was posted to.
    pub project: ProjectId,
    /// The Git host.
    pub source: Source,
    /// The host's id, by which repetitions are known.
    pub delivery_id: String,
    /// The host's name of the event.
    pub event_type: String,
    /// Its headers in the order they came, without credentials; they go with the body.
    pub headers: Vec<(String, String)>,
    /// The raw body, until it is removed by age.
    pub body: Option<Bytes>,
    /// Bytes of the raw body.
    pub body_bytes: i64,
    /// When it was received.
    pub received_at: Time,
}

impl Delivery {
    /// The raw body.
    ///
    /// # Errors
    /// `gone` once it was removed by age.
    pub fn body(&self) -> Result<&Bytes> {
        self.body.as_ref().ok_or_else(|| {
            Error::new(
                Code::Gone,
                "the body of this delivery is not kept any longer, so that it cannot be replayed",
            )
        })
    }
}

/// A delivery as it is listed: without headers and body, with what became of it.
#[derive(Clone, Debug)]
pub struct DeliverySummary {
    /// Our id.
    pub id: WebhookEventId,
    /// The Git host.
    pub source: Source,
    /// The host's id.
    pub delivery_id: String,
    /// The host's name of the event.
    pub event_type: String,
    /// Bytes of the raw body.
    pub body_bytes: i64,
    /// When it was received.
    pub received_at: Time,
    /// What became of it.
    pub status: DeliveryStatus,
    /// How often it was tried since it was last enqueued; 0 once it is processed.
    pub attempts: i32,
    /// Why the newest try failed.
    pub last_error: Option<String>,
}

/// The newest delivery of a project, in short.
#[derive(Clone, Debug)]
pub struct LastDelivery {
    /// Our id.
    pub id: WebhookEventId,
    /// The Git host.
    pub source: Source,
    /// The host's name of the event.
    pub event_type: String,
    /// What became of it.
    pub status: DeliveryStatus,
    /// When it was received.
    pub received_at: Time,
}

/// Which deliveries are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only those that became this.
    pub status: Option<DeliveryStatus>,
    /// Only those of this event.
    pub event_type: Option<String>,
    /// Only those received at this time or later.
    pub from: Option<Time>,
    /// Only those received before this time.
    pub until: Option<Time>,
}

/// Where each Git host posts a project's webhooks.
pub fn urls(app: &App, project: ProjectId) -> BTreeMap<String, String> {
    let base = app.public_url();
    Source::ALL
        .iter()
        .map(|source| (source.to_string(), format!("{base}/webhooks/{source}/{project}")))
        .collect()
}

/// The deliveries of a project, newest first.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn list_deliveries(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    filter: DeliveryFilter,
    page: Page<WebhookEventId>,
) -> Result<Vec<DeliverySummary>> {
    projects::reach(app, principal, project).await?;
    list_in(app, principal.tenant, project, filter, page).await
}

/// The deliveries of a project in any tenant, newest first; for the command line, whose user owns the database.
///
/// # Errors
/// The database's.
pub async fn list_in(
    app: &App,
    tenant: TenantId,
    project: ProjectId,
    filter: DeliveryFilter,
    page: Page<WebhookEventId>,
) -> Result<Vec<DeliverySummary>> {
    app.database
        .read(tenant, move |tx| Box::pin(async move { store::list(tx, project, &filter, &page).await }))
        .await
}

/// The newest delivery of a project, if there is one.
///
/// # Errors
/// The database's.
pub async fn last(tx: &Tx<'_>, project: ProjectId) -> Result<Option<LastDelivery>> {
    store::last(tx, project).await
}

/// How many deliveries of a project stand so, counted up to `most`.
///
/// # Errors
/// The database's.
pub async fn count(tx: &Tx<'_>, project: ProjectId, status: DeliveryStatus, most: u64) -> Result<u64> {
    store::count(tx, project, status, most).await
}

/// A delivery with everything that came, what became of it, and the events it caused.
///
/// # Errors
/// `not_found` for a project or delivery out of reach.
pub async fn get_delivery(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    id: WebhookEventId,
) -> Result<(DeliverySummary, Delivery, Vec<Event>)> {
    projects::reach(app, principal, project).await?;
    app.database
        .read(principal.tenant, move |tx| {
            Box::pin(async move {
                let delivery = find(tx, project, id).await?;
                let summary = store::summary(tx, &delivery).await?;
                let events = events::events_of(tx, project, id.0).await?;
                Ok((summary, delivery, events))
            })
        })
        .await
}

/// Removes up to `limit` deliveries of a deleted project, and what was left to do for them; gives their number.
///
/// # Errors
/// The database's.
pub async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    store::purge(tx, project, limit).await
}

/// The job that processes a delivery once more.
fn replay_of(tenant: TenantId, id: WebhookEventId) -> NewJob {
    let arguments = worker::Arguments { replay: true };
    NewJob { id: JobId(id.0), tenant, kind: worker::PROCESS_DELIVERY, payload: arguments.to_json() }
}

/// Whether a delivery is signed with a secret, as its host would have it.
///
/// # Errors
/// `invalid_signature`, with a reason a person can act on.
pub(crate) fn verify(source: Source, headers: &HeaderMap, body: &[u8], secret: &SecretString) -> Result<()> {
    let trust = Trust { secrets: vec![secret], now: Time::UNIX_EPOCH, gitlab: None };
    source.host().verify(&Posted { headers, body }, &trust)
}

/// What a delivery would cause, as far as it can be told without the database: the number of changes, or why it is
/// refused.
pub(crate) fn understand(source: Source, headers: &HeaderMap, body: &[u8]) -> Result<usize, String> {
    let host = source.host();
    let json = host.json(Posted { headers, body }.content_type(), body).map_err(|error| error.to_string())?;
    host.changes(&host.event_type(headers), &json)
        .map(|changes| changes.len())
        .map_err(|error| error.to_string())
}

async fn find(tx: &Tx<'_>, project: ProjectId, id: WebhookEventId) -> Result<Delivery> {
    store::find(tx, project, id).await?.ok_or_else(|| Error::not_found("delivery"))
}
