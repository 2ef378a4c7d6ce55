//! What nobody asks for: claims that end by themselves, and signs of life that come from elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    WorkItem, WorkItemId,
    lease::{Lease, Reason, SignOfLife},
    round::Round,
    store::{self, Seen},
};
use crate::{
    accounts::{self, Credential, PrincipalId},
    agents,
    app::App,
    clock::Time,
    database::{Door, TenantId, Tx},
    error::{Code, Result, chain},
    events::NewEvent,
    gates,
    projects::ProjectId,
    reservations,
};

/// Claims, and what their holders came with, that are looked at in one go.
const BATCH: u64 = 200;

/// Ends the claims of all tenants that have run out: their items are free at that moment, and told of now.
///
/// # Errors
/// The database's; what is left is ended the next time.
pub async fn end_expired(app: &Arc<App>) -> Result<()> {
    let (database, now, mut behind) = (app.database.in_background(), app.clock.now(), None);
    while !app.shutdown.is_cancelled() {
        let expired = database
            .read_through(Door::Leases, move |tx| Box::pin(store::expired(tx, now, behind, BATCH)))
            .await?;
        let is_last = (expired.len() as u64) < BATCH;
        // Onwards from here, so that what cannot be ended is not in the way of the rest.
        behind = expired.last().map(|(at, (_, _, item))| (*at, *item));
        let is_over = move |item: &WorkItem| item.claim.live(now).is_none();
        end_all(app, expired.into_iter().map(|(_, seen)| seen).collect(), Reason::Expired, is_over).await?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Ends the claims of all tenants whose holders cannot come back with what they came with, such as a key that was revoked.
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
            let rests_on_it = move |item: &WorkItem| {
                let credential = item.claim.lease.as_ref().and_then(|lease| lease.holder.credential);
                credential.is_some_and(|credential| over.contains(&credential))
            };
            end_all(app, read.await?, Reason::Revoked, rests_on_it).await?;
        }
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Ends those of some claims to which a reason applies still, project by project.
async fn end_all(
    app: &Arc<App>,
    claims: Vec<Seen>,
    reason: Reason,
    applies: impl Fn(&WorkItem) -> bool + Clone + Send + Sync + 'static,
) -> Result<()> {
    let mut projects: BTreeMap<(TenantId, ProjectId), Vec<WorkItemId>> = BTreeMap::new();
    for (tenant, project, item) in claims {
        projects.entry((tenant, project)).or_default().push(item);
    }
    for ((tenant, project), ids) in projects {
        let (context, applies) = (Arc::clone(app), applies.clone());
        let write = app.database.in_background();
        let write = write.write(tenant, move |tx| {
            Box::pin(async move { end(&context, tx, project, ids, reason, applies).await })
        });
        match write.await {
            Err(error) if error.code != Code::Unavailable => {
                tracing::warn!(%project, error = %chain(&error), "claims could not be ended");
            }
            outcome => outcome?,
        }
    }
    Ok(())
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

/// A sign of life from elsewhere: a push, or a run that began or ended.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// What it was.
    pub by: SignOfLife,
    /// Whose it was, as far as that is known.
    pub whose: &'a BTreeSet<PrincipalId>,
    /// The branch on which it was.
    pub branch: Option<&'a str>,
    /// When it was given, by our clock.
    pub at: Time,
}

impl Heard<'_> {
    /// Whether it is a sign of life of somebody who holds something: one that is known to be theirs, or that might be, on
    /// the branch that they named.
    pub(crate) fn is_of(&self, holder: PrincipalId, branch: Option<&str>) -> bool {
        let is_there = branch.is_some() && branch == self.branch;
        self.whose.contains(&holder) || (self.whose.is_empty() && is_there)
    }
}

/// Prolongs the claims and reservations of those who were heard of, in the transaction of what tells of it, while the
/// project is held.
///
/// # Errors
/// The database's.
pub async fn heard_of(app: &App, tx: &Tx<'_>, project: ProjectId, heard: Heard<'_>) -> Result<()> {
    let now = app.clock.now();
    let mut items = store::held_on(tx, project, heard.branch, heard.whose).await?;
    let is_its = |lease: &Lease| heard.is_of(lease.holder.id, lease.branch.as_deref());
    items.retain(|item| item.claim.live(now).is_some_and(is_its));
    // An instance whose clock is ahead may have received it.
    items.iter_mut().for_each(|item| item.claim.renew(heard.by, heard.at.min(now), now));
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
