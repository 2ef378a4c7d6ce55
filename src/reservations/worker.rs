//! What nobody asks for: reservations that end by themselves, and signs of life that come from elsewhere.

use std::sync::Arc;

use super::{Reservation, ReservationId, end, store};
use crate::{
    accounts::{self, Credential, PrincipalId},
    app::App,
    database::{Door, Tx},
    error::{Code, Result, chain},
    events::{self, NewEvent},
    projects::{self, ProjectId},
    work::{WorkItemId, lease::Reason, worker::Heard},
};

/// Reservations, and what their holders came with, that are looked at in one go.
const BATCH: u64 = 200;

/// Ends the reservations of all tenants that have run out: their files are free at that moment, and told of now.
///
/// # Errors
/// The database's; what is left is ended the next time.
pub async fn end_expired(app: &Arc<App>) -> Result<()> {
    let (database, now, mut behind) = (app.database.in_background(), app.clock.now(), None);
    while !app.shutdown.is_cancelled() {
        let (seen, last, count) = database
            .read_through(Door::Leases, move |tx| Box::pin(store::expired(tx, now, behind, BATCH)))
            .await?;
        // Onwards from here, so that what cannot be ended is not in the way of the rest.
        behind = last;
        end_all(app, seen, Reason::Expired, move |reservation| !reservation.is_live(now)).await?;
        if count < BATCH {
            break;
        }
    }
    Ok(())
}

/// Ends the reservations of all tenants whose holders cannot come back with what they came with, such as a key that was
/// revoked.
///
/// # Errors
/// The database's; what is left is ended the next time.
pub async fn end_revoked(app: &Arc<App>) -> Result<()> {
    let (database, mut behind) = (app.database.in_background(), None);
    while !app.shutdown.is_cancelled() {
        let held = database
            .read_through(Door::Leases, move |tx| Box::pin(store::credentials(tx, behind, BATCH)))
            .await?;
        let is_last = (held.len() as u64) < BATCH;
        behind = held.last().copied();
        let over: Arc<[Credential]> = accounts::over(app, held).await?.into();
        if !over.is_empty() {
            let with = Arc::clone(&over);
            let read = database.read_through(Door::Leases, move |tx| {
                Box::pin(async move { store::held_with(tx, &with).await })
            });
            let rests_on_it = move |reservation: &Reservation| {
                reservation.holder.credential.is_some_and(|credential| over.contains(&credential))
            };
            end_all(app, read.await?, Reason::Revoked, rests_on_it).await?;
        }
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Ends those of some reservations to which a reason applies still, project by project.
async fn end_all(
    app: &Arc<App>,
    seen: store::Seen,
    reason: Reason,
    applies: impl Fn(&Reservation) -> bool + Clone + Send + Sync + 'static,
) -> Result<()> {
    for ((tenant, project), ids) in seen {
        let (context, applies) = (Arc::clone(app), applies.clone());
        let write = app.database.in_background();
        let write = write.write(tenant, move |tx| {
            Box::pin(async move { end_in(&context, tx, project, ids, reason, applies).await })
        });
        match write.await {
            Err(error) if error.code != Code::Unavailable => {
                tracing::warn!(%project, error = %chain(&error), "reservations could not be ended");
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

async fn end_in(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    ids: Vec<ReservationId>,
    reason: Reason,
    applies: impl Fn(&Reservation) -> bool,
) -> Result<()> {
    if projects::hold_if_there(tx, project).await?.is_none() {
        return Ok(());
    }
    let mut over = store::by_ids(tx, project, ids).await?;
    over.retain(applies);
    let events = end(app, tx, project, &over, reason, None).await?;
    events::tell(app, tx, project, events).await
}

/// Ends what was reserved for work that somebody has left, in the transaction in which their claims end, while the project
/// is held: which item, whose, and why. Gives what the log is to be told.
///
/// # Errors
/// The database's.
pub async fn leave(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    left: &[(WorkItemId, PrincipalId, Reason)],
) -> Result<Vec<NewEvent>> {
    let held = store::held_for_work(tx, project, left.iter().map(|(_, who, _)| *who)).await?;
    let mut events = Vec::new();
    for reservation in &held {
        let is_its = |(item, who, _): &&(WorkItemId, PrincipalId, Reason)| {
            reservation.work_item == Some(*item) && reservation.holder.id == *who
        };
        if let Some((.., reason)) = left.iter().find(is_its) {
            events.extend(end(app, tx, project, std::slice::from_ref(reservation), *reason, None).await?);
        }
    }
    Ok(events)
}

/// Prolongs the reservations of those who were heard of, in the transaction of what tells of it, while the project is held.
///
/// # Errors
/// The database's.
pub async fn heard_of(app: &App, tx: &Tx<'_>, project: ProjectId, heard: Heard<'_>) -> Result<()> {
    let now = app.clock.now();
    let mut held = store::held_on(tx, project, heard.branch, heard.whose).await?;
    held.retain(|it| it.is_live(now) && heard.is_of(it.holder.id, it.branch.as_deref()));
    // An instance whose clock is ahead may have received it.
    held.iter_mut().for_each(|it| it.renew(heard.by, heard.at.min(now), now));
    store::save(tx, project, &held).await
}
