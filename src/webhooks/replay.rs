//! Replays: deliveries processed again, from the bytes that came.
//!
//! A replay causes only what the delivery has not caused before, so that replaying is always safe. One that has
//! not been processed yet is left alone; one whose body was removed by age cannot be replayed any more.

use std::sync::Arc;

use super::{DeliveryFilter, DeliveryStatus, DeliverySummary, WebhookEventId, find, replay_of, store};
use crate::{
    accounts::Principal,
    app::App,
    database::TenantId,
    error::{Code, Error, Result},
    projects::{self, ProjectId},
};

/// Deliveries enqueued in one transaction.
const BATCH: u64 = 500;

/// What became of a replay of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Deliveries that will be processed again.
    pub enqueued: u64,
    /// Those whose bodies are not kept any longer.
    pub gone: u64,
}

/// Processes a delivery again. What it has already caused is not caused twice.
///
/// # Errors
/// `not_found` for a project or delivery out of reach, `conflict` for one whose job has not ended yet, `gone` for
/// one whose body was removed by age.
pub async fn replay_delivery(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    id: WebhookEventId,
) -> Result<DeliverySummary> {
    projects::reach(app, principal, project).await?;
    replay_one(app, principal.tenant, project, id).await
}

/// The same in any tenant; for the command line, whose user owns the database.
///
/// # Errors
/// Those of [`replay_delivery`].
pub async fn replay_one(
    app: &Arc<App>,
    tenant: TenantId,
    project: ProjectId,
    id: WebhookEventId,
) -> Result<DeliverySummary> {
    let app_ = Arc::clone(app);
    app.database
        .write(tenant, move |tx| {
            Box::pin(async move {
                projects::hold(tx, project).await?;
                let delivery = find(tx, project, id).await?;
                if store::summary(tx, &delivery).await?.status == DeliveryStatus::Pending {
                    let why = "this delivery has not been processed yet; wait until it is, then replay it";
                    return Err(Error::new(Code::Conflict, why));
                }
                delivery.body()?;
                app_.jobs.enqueue(tx, replay_of(tx.tenant(), id)).await?;
                store::summary(tx, &delivery).await
            })
        })
        .await
}

/// Processes every delivery that the filter finds again, oldest first.
///
/// # Errors
/// `not_found` for a project out of reach, `invalid_request` for a filter that leaves nothing out.
pub async fn replay_deliveries(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    filter: DeliveryFilter,
) -> Result<Replayed> {
    projects::reach(app, principal, project).await?;
    replay_many(app, principal.tenant, project, filter).await
}

/// The same in any tenant; for the command line, whose user owns the database.
///
/// # Errors
/// Those of [`replay_deliveries`].
pub async fn replay_many(
    app: &Arc<App>,
    tenant: TenantId,
    project: ProjectId,
    filter: DeliveryFilter,
) -> Result<Replayed> {
    if filter == DeliveryFilter::default() {
        let why = "say which deliveries: those with the status `failed`, of an event, or of a range of time";
        return Err(Error::invalid(why));
    }
    if filter.status == Some(DeliveryStatus::Pending) {
        return Err(Error::invalid_field("/status", "what is pending will be processed anyway"));
    }
    let (mut replayed, mut after) = (Replayed::default(), None);
    loop {
        let (app_, filter) = (Arc::clone(app), filter.clone());
        let (batch, last) = app
            .database
            .write(tenant, move |tx| {
                Box::pin(async move {
                    projects::hold(tx, project).await?;
                    let found = store::replayable(tx, project, &filter, after, BATCH).await?;
                    let last = found.last().map(|(id, _)| *id);
                    let kept = found.iter().filter(|(_, is_kept)| *is_kept);
                    let jobs: Vec<_> = kept.map(|(id, _)| replay_of(tx.tenant(), *id)).collect();
                    let enqueued = jobs.len() as u64;
                    app_.jobs.enqueue_all(tx, jobs).await?;
                    Ok((Replayed { enqueued, gone: found.len() as u64 - enqueued }, last))
                })
            })
            .await?;
        replayed.enqueued += batch.enqueued;
        replayed.gone += batch.gone;
        match last {
            Some(last) => after = Some(last),
            None => return Ok(replayed),
        }
    }
}
