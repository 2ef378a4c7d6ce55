//! Receiving: from raw bytes to a row on disk.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use poem::http::HeaderMap;
use serde::de::IgnoredAny;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Delivery, ReceiptStatus, Source, WebhookEventId,
    source::{Posted, Trust},
    store,
    worker::{Arguments, PROCESS_DELIVERY},
};
use crate::{
    admission::Noted,
    app::App,
    clock::{Clock, Ids, Time},
    database::{Batch, Database, Door, Gathering, GroupCommit, LANES},
    error::{Code, Error, Result},
    jobs::Jobs,
    projects::{ProjectId, secrets},
    wire::Timestamp,
};

/// Deliveries that may wait to be written; more are refused with 503.
const QUEUE: usize = 2_048;
/// Deliveries written in one transaction.
const BATCH: usize = 128;
/// Bytes of bodies that may be in memory at once; more are refused with 503.
const BODIES: usize = 256 * 1024 * 1024;
/// The budget is counted in pieces of this size.
const PIECE: usize = 64 * 1024;
/// Headers that carry credentials and are not kept.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-gitlab-token"];

/// Where verified deliveries are put: many share one transaction.
pub struct Inbox {
    commit: GroupCommit<Incoming, Receipt>,
    clock: Clock,
    ids: Ids,
    bodies: Arc<Semaphore>,
}

/// A verified delivery, ready to be written.
struct Incoming {
    id: WebhookEventId,
    row: store::Row,
}

/// What became of a delivery that was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is on disk.
    Accepted(WebhookEventId),
    /// It was on disk already.
    Duplicate,
}

impl Receipt {
    /// The same, as it is told.
    pub(super) fn status(self) -> ReceiptStatus {
        match self {
            Self::Accepted(_) => ReceiptStatus::Accepted,
            Self::Duplicate => ReceiptStatus::Duplicate,
        }
    }
}

impl Inbox {
    /// Starts the group commit.
    pub fn start(database: Database, jobs: Jobs, clock: Clock, ids: Ids) -> Self {
        let gathering = Gathering { queue: QUEUE, batch: BATCH, writers: LANES, linger: Duration::ZERO };
        let commit = GroupCommit::start(gathering, move |incoming: Vec<Arc<Incoming>>| {
            let (database, jobs) = (database.clone(), jobs.clone());
            Box::pin(async move {
                let queue = jobs.clone();
                let receipts = database
                    .write_batch(Door::IngestWriter, |batch| Box::pin(insert(batch, queue, incoming)))
                    .await?;
                jobs.wake_all(PROCESS_DELIVERY);
                Ok(receipts)
            })
        });
        Self { commit, clock, ids, bodies: Arc::new(Semaphore::new(BODIES / PIECE)) }
    }

    /// Takes from the memory budget what a body of `before` bytes needs for `more`.
    ///
    /// # Errors
    /// `unavailable` when bodies that are being received take all of it.
    pub(super) fn hold(&self, before: usize, more: usize) -> Result<Option<OwnedSemaphorePermit>> {
        let pieces = (before + more).div_ceil(PIECE) - before.div_ceil(PIECE);
        let pieces = u32::try_from(pieces).map_err(Error::internal)?;
        let full = |_| {
            Error::unavailable("too many large bodies are being received; try again", Duration::from_secs(1))
        };
        if pieces == 0 {
            return Ok(None);
        }
        Arc::clone(&self.bodies).try_acquire_many_owned(pieces).map(Some).map_err(full)
    }
}

/// Writes deliveries and their jobs; those whose ids do not come back are duplicates.
async fn insert(batch: Batch<'_>, jobs: Jobs, incoming: Vec<Arc<Incoming>>) -> Result<Vec<Receipt>> {
    let job = jobs.beside(PROCESS_DELIVERY, Arguments { replay: false }.to_json());
    let new =
        store::insert(batch, incoming.iter().map(|incoming| incoming.row.clone()).collect(), job).await?;
    let receipt = |incoming: &Arc<Incoming>| match new.contains(&incoming.id.0) {
        true => Receipt::Accepted(incoming.id),
        false => Receipt::Duplicate,
    };
    Ok(incoming.iter().map(receipt).collect())
}

/// Takes in what a Git host posted: verifies it, stores it, and returns after the commit.
///
/// # Errors
/// `invalid_signature` before anything else is looked at, `invalid_request` for a missing delivery id and a body
/// that is not JSON, `rate_limited`, `unavailable` when too much is waiting.
pub(super) async fn receive(
    app: &App,
    source: Source,
    endpoint: &secrets::Endpoint,
    headers: &HeaderMap,
    body: Bytes,
    noted: &Noted,
) -> Result<(String, Receipt)> {
    let (host, now) = (source.host(), app.inbox.clock.now());
    let posted = Posted { headers, body: &body };
    let trust = |secrets| Trust { secrets, now, gitlab: endpoint.gitlab };
    host.verify(&posted, &trust(endpoint.secrets_at(now).collect())).map_err(|error| {
        let fits = |secret| host.verify(&posted, &trust(vec![secret])).is_ok();
        let expired = endpoint.expired_at(now).find(|(secret, _)| fits(secret));
        expired.map_or(error, |(_, expired_at)| signed_too_late(expired_at, now))
    })?;
    // After the signature: nobody else can use a project's limit up.
    noted.limit(app.limits.ingest.take(&endpoint.project).await)?;
    let delivery_id = host.delivery_id(&posted)?;
    check_json(&host.json(posted.content_type(), &body)?)?;
    let delivery = Delivery {
        id: WebhookEventId(app.inbox.ids.uuid()),
        tenant: endpoint.tenant,
        project: endpoint.project,
        source,
        delivery_id: delivery_id.clone(),
        event_type: host.event_type(headers),
        headers: kept(headers),
        body_bytes: i64::try_from(body.len()).map_err(Error::internal)?,
        body: Some(body),
        received_at: now,
    };
    let incoming = Incoming { id: delivery.id, row: store::Row::new(delivery)? };
    Ok((delivery_id, app.inbox.commit.submit(incoming).await?))
}

/// Takes in what is posted within this process, as if a Git host had posted it: verified, limited, counted and noted.
///
/// # Errors
/// Those of a delivery that is posted over HTTP.
pub(crate) async fn receive_posted(
    app: &App,
    source: &str,
    project: ProjectId,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<ReceiptStatus> {
    let (source, endpoint) = endpoint(app, source, &project.to_string()).await?;
    let outcome = receive(app, source, &endpoint, headers, body, &Noted::default()).await;
    note(app, source, &endpoint, headers, &outcome);
    outcome.map(|(_, receipt)| receipt.status())
}

/// Counts what was posted, and notes what was refused.
pub(super) fn note(
    app: &App,
    source: Source,
    endpoint: &secrets::Endpoint,
    headers: &HeaderMap,
    outcome: &Result<(String, Receipt)>,
) {
    let told = match outcome {
        Ok((_, receipt)) => receipt.status().as_str(),
        Err(error) => error.code.as_str(),
    };
    app.metrics.ingested(source.as_str(), told);
    if let Err(error) = outcome {
        app.rejections.note(&app.ids, app.clock.now(), source, endpoint, headers, error);
    }
}

/// Tells a sender, who has shown that it knows an old secret, what is wrong with it.
fn signed_too_late(expired_at: Time, now: Time) -> Error {
    let ago = now - expired_at;
    let ago = match (ago.num_days(), ago.num_hours(), ago.num_minutes()) {
        (days @ 2.., _, _) => format!("{days} days"),
        (_, hours @ 2.., _) => format!("{hours} hours"),
        (_, _, minutes @ 2..) => format!("{minutes} minutes"),
        _ => "a moment".to_owned(),
    };
    let why = format!(
        "the signature fits the secret that expired {ago} ago, at {}: give the webhook the project's present secret",
        Timestamp(expired_at)
    );
    Error::new(Code::InvalidSignature, why)
}

/// The endpoint that a path names.
///
/// # Errors
/// `not_found` for a host or project that is not there; which of the two is not told.
pub(super) async fn endpoint(
    app: &App,
    source: &str,
    project: &str,
) -> Result<(Source, Arc<secrets::Endpoint>)> {
    let missing = || Error::new(Code::NotFound, "there is no such webhook endpoint");
    let source = Source::ALL.iter().copied().find(|known| known.as_str() == source).ok_or_else(missing)?;
    let project: ProjectId = project.parse().map_err(|_| missing())?;
    Ok((source, secrets::endpoint(app, project).await?))
}

/// Whether the bytes are one JSON value; nothing of it is kept, however deep it nests.
fn check_json(json: &[u8]) -> Result<()> {
    serde_json::from_slice::<IgnoredAny>(json)
        .map(|_| ())
        .map_err(|error| Error::invalid(format!("the body is not JSON: {error}")))
}

fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| !CREDENTIALS.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}
