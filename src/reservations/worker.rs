//! What nobody asks for: reservations that end by themselves, and signs of life that come from elsewhere.

use std::sync::Arc;

use uuid::Uuid;

use super::{Reservation, ReservationId, end, store};
use crate::{
    accounts::{Credential, PrincipalId},
    app::App,
    database::{Door, TenantId, Tx},
    due,
    error::Result,
    events::{self, NewEvent},
    projects::{self, ProjectId},
    work::{
        WorkItemId,
        heard::Heard,
        lease::Reason,
        revoked::{self, Leases},
    },
};

/// What is logged of a project in which none could be ended.
const TROUBLE: &str = "reservations could not be ended";

/// Ends the reservations of all tenants that have run out: their files are free at that moment, and told of now.
///
/// # Errors
/// The database's; what is left is ended the next time.
pub async fn end_expired(app: &Arc<App>) -> Result<()> {
    let now = app.clock.now();
    let find: due::Find = |tx, now, behind| Box::pin(store::expired(tx, now, behind));
    let end = |tenant, project, ids| {
        let is_over = move |reservation: &Reservation| !reservation.is_live(now);
        end_of(app, tenant, project, ids, Reason::Expired, is_over)
    };
    due::look_after(app, Door::Leases, now, find, TROUBLE, end).await
}

/// Ends the reservations of all tenants whose holders cannot come back with what they came with, such as a key that was
/// revoked.
///
/// # Errors
/// The database's; what is left is ended the next time.
pub async fn end_revoked(app: &Arc<App>) -> Result<()> {
    let leases = Leases {
        credentials: |tx, behind| Box::pin(store::credentials(tx, behind)),
        held_with: |tx, over| Box::pin(async move { store::held_with(tx, &over).await }),
    };
    let end = |tenant, project, ids, over: Arc<[Credential]>| {
        let rests_on_it = move |reservation: &Reservation| {
            reservation.holder.credential.is_some_and(|credential| over.contains(&credential))
        };
        end_of(app, tenant, project, ids, Reason::Revoked, rests_on_it)
    };
    revoked::end_revoked(app, leases, TROUBLE, end).await
}

/// Ends those of some reservations of a project to which a reason applies still.
async fn end_of(
    app: &Arc<App>,
    tenant: TenantId,
    project: ProjectId,
    ids: Vec<Uuid>,
    reason: Reason,
    applies: impl Fn(&Reservation) -> bool + Send + Sync + 'static,
) -> Result<()> {
    let (context, database) = (Arc::clone(app), app.database.in_background());
    let ids = ids.into_iter().map(ReservationId).collect();
    let write = database.write(tenant, move |tx| {
        Box::pin(async move { end_in(&context, tx, project, ids, reason, applies).await })
    });
    write.await
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
pub async fn heard_of(app: &App, tx: &Tx<'_>, project: ProjectId, heard: &[Heard<'_>]) -> Result<()> {
    let now = app.clock.now();
    let mut held = store::held_on(tx, project, heard).await?;
    held.retain(|it| it.is_live(now));
    held.retain_mut(|it| {
        let signs = Heard::of(heard, it.holder.id, it.branch.as_deref(), now);
        signs.iter().for_each(|(by, at)| it.renew(*by, *at, now));
        !signs.is_empty()
    });
    store::save(tx, project, &held).await
}
