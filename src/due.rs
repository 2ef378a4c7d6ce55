//! Looking after what is due, project by project: a lease that ran out, a run whose end never came, a waiver that is over.
//!
//! Every instance does so, a few seconds apart. What is found is read again in a transaction that holds its project, so of
//! several instances that see the same at once one ends it and tells.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use uuid::Uuid;

use crate::{
    app::App,
    clock::Time,
    database::{BATCH, Door, DoorTx, Due, Place, TenantId},
    error::{Code, Result, chain},
    wire::ProjectId,
};

/// Finds some of what was due at a time, behind a row of it.
pub type Find = for<'t> fn(&'t DoorTx<'t>, Time, Option<Due>) -> BoxFuture<'t, Result<Vec<Due>>>;

/// Looks after all that was due at a time: `end` is told the rows of a project that `find` has found. What cannot be done
/// in a project is logged as `trouble`.
///
/// # Errors
/// The database's; what is left is looked after the next time.
pub async fn look_after<Ended>(
    app: &App,
    door: Door,
    now: Time,
    find: Find,
    trouble: &'static str,
    end: impl Fn(TenantId, ProjectId, Vec<Uuid>) -> Ended,
) -> Result<()>
where
    Ended: Future<Output = Result<()>>,
{
    let (database, mut behind) = (app.database.in_background(), None);
    while !app.shutdown.is_cancelled() {
        let due = database.read_through(door, move |tx| find(tx, now, behind)).await?;
        let is_last = (due.len() as u64) < BATCH;
        // Onwards from here, so that what cannot be ended is not in the way of the rest.
        behind = due.last().copied();
        each_project(due.into_iter().map(|due| due.place), trouble, &end).await?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Does something about rows, those of a project together. What cannot be done in a project is logged as `trouble`.
///
/// # Errors
/// `unavailable`, when nothing can be done in any.
pub async fn each_project<Ended>(
    places: impl IntoIterator<Item = Place>,
    trouble: &'static str,
    end: impl Fn(TenantId, ProjectId, Vec<Uuid>) -> Ended,
) -> Result<()>
where
    Ended: Future<Output = Result<()>>,
{
    let mut projects: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for Place { tenant, project, id } in places {
        projects.entry((tenant, project)).or_default().push(id);
    }
    for ((tenant, project), ids) in projects {
        match end(tenant, project, ids).await {
            Err(error) if error.code != Code::Unavailable => {
                tracing::warn!(%project, error = %chain(&error), "{trouble}");
            }
            outcome => outcome?,
        }
    }
    Ok(())
}
