//! What nobody asks for: claims that end by themselves, and signs of life that come from elsewhere.

use std::{collections::BTreeSet, sync::Arc};

use uuid::Uuid;

use super::{
    WorkItem, WorkItemId,
    heard::Heard,
    lease::{Lease, Reason},
    revoked::{self, Leases},
    round::Round,
    store,
};
use crate::{
    accounts::{Credential, PrincipalId},
    agents,
    app::App,
    clock::Time,
    database::{Door, TenantId, Tx},
    due,
    error::Result,
    events::NewEvent,
    gates,
    projects::ProjectId,
    reservations,
};

/// What is logged of a project in which none could be ended.
const TROUBLE: &str = "claims could not be ended";

/// Ends the claims of all tenants that have run out: their items are free at that moment, and told of now.
///
/// # Errors
/// The database's; what is left is ended the next time.
pub async fn end_expired(app: &Arc<App>) -> Result<()> {
    let now = app.clock.now();
    let find: due::Find = |tx, now, behind| Box::pin(store::expired(tx, now, behind));
    let end = |tenant, project, ids| {
        let is_over = move |item: &WorkItem| item.claim.live(now).is_none();
        end_of(app, tenant, project, ids, Reason::Expired, is_over)
    };
    due::look_after(app, Door::Leases, now, find, TROUBLE, end).await
}

/// Ends the claims of all tenants whose holders cannot come back with what they came with, such as a key that was revoked.
///
/// # Errors
/// The database's; what is left is ended the next time.
pub async fn end_revoked(app: &Arc<App>) -> Result<()> {
    let leases = Leases {
        credentials: |tx, behind| Box::pin(store::credentials(tx, behind)),
        held_with: |tx, over| Box::pin(async move { store::held_with(tx, &over).await }),
    };
    let end = |tenant, project, ids, over: Arc<[Credential]>| {
        let rests_on_it = move |item: &WorkItem| {
            let credential = item.claim.lease.as_ref().and_then(|lease| lease.holder.credential);
            credential.is_some_and(|credential| over.contains(&credential))
        };
        end_of(app, tenant, project, ids, Reason::Revoked, rests_on_it)
    };
    revoked::end_revoked(app, leases, TROUBLE, end).await
}

/// Ends those of some claims of a project to which a reason applies still.
async fn end_of(
    app: &Arc<App>,
    tenant: TenantId,
    project: ProjectId,
    ids: Vec<Uuid>,
    reason: Reason,
    applies: impl Fn(&WorkItem) -> bool + Send + Sync + 'static,
) -> Result<()> {
    let (context, database) = (Arc::clone(app), app.database.in_background());
    let ids = ids.into_iter().map(WorkItemId).collect();
    let write = database.write(tenant, move |tx| {
        Box::pin(async move { end(&context, tx, project, ids, reason, applies).await })
    });
    write.await
}

async fn end(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    ids: Vec<WorkItemId>,
    reason: Reason,
    applies: impl Fn(&WorkItem) -> bool,
) -> Result<()> {
    let Some(mut round) = Round::over(app, tx, project, ids).await? else { return Ok(()) };
    // Agents are held in the order in which everybody holds several.
    let mut lost = BTreeSet::new();
    for item in round.items().into_iter().filter(applies) {
        let Some(lease) = &item.claim.lease else { continue };
        lost.insert((lease.holder.id, item.id));
        let to = item.given_back(&round.project.config);
        round.free(item.id, to, reason, None)?;
    }
    let mut events = round.save(tx).await?;
    for (holder, item) in lost {
        events.extend(agents::lost(tx, project, holder, item.0).await?);
    }
    gates::tell(app, tx, project, events).await
}

/// Prolongs the claims and reservations of those who were heard of, in the transaction of what tells of it, while the
/// project is held.
///
/// # Errors
/// The database's.
pub async fn heard_of(app: &App, tx: &Tx<'_>, project: ProjectId, heard: &[Heard<'_>]) -> Result<()> {
    if heard.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    let mut items = store::held_on(tx, project, heard).await?;
    items.retain_mut(|item| {
        let Some(Lease { holder, branch, .. }) = item.claim.live(now).cloned() else { return false };
        let signs = Heard::of(heard, holder.id, branch.as_deref(), now);
        signs.iter().for_each(|(by, at)| item.claim.renew(*by, *at, now));
        !signs.is_empty()
    });
    store::save(tx, project, &items).await?;
    reservations::worker::heard_of(app, tx, project, heard).await
}

/// Ends the claim of somebody whose run for an item has ended, if they claimed it before the run began: a claim that they
/// made since is another one. In the transaction of that end, while the project is held; gives what the log is to be told.
///
/// # Errors
/// The database's.
pub async fn run_ended(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    (item, by, began_at): (Uuid, PrincipalId, Time),
) -> Result<Vec<NewEvent>> {
    let id = WorkItemId(item);
    let Some(mut round) = Round::over(app, tx, project, vec![id]).await? else { return Ok(Vec::new()) };
    let is_its = |lease: &Lease| lease.holder.id == by && lease.claimed_at <= began_at;
    let held = round.items().into_iter().find(|item| item.claim.lease.as_ref().is_some_and(is_its));
    if let Some(item) = held {
        let to = item.given_back(&round.project.config);
        round.free(id, to, Reason::RunEnded, None)?;
    }
    round.save(tx).await
}
