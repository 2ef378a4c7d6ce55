//! Closing runs whose end never came.
//!
//! Every instance that does background work looks, a few seconds apart, for runs whose deadline has passed, by an index of
//! those that have one. Each is closed in a transaction that holds its project and reads the run again: what was heard of
//! it meanwhile counts, and of several instances that see the same run at once one closes and tells it.

use std::{collections::BTreeMap, sync::Arc};

use super::{RunId, RunStatus, record, store};
use crate::{
    app::App,
    clock::Time,
    database::{Door, TenantId},
    error::{Code, Result, chain},
    gates,
    projects::{self, ProjectId},
};

/// Runs looked at in one go.
const BATCH: u64 = 200;

/// A run whose deadline has passed.
pub(super) struct DueRun {
    pub(super) id: RunId,
    pub(super) tenant: TenantId,
    pub(super) project: ProjectId,
    pub(super) deadline_at: Time,
}

/// Closes as lost whatever nobody has told of until its deadline.
///
/// # Errors
/// The database's; what is left is closed the next time.
pub async fn close_lost(app: &Arc<App>) -> Result<()> {
    let (database, now) = (app.database.in_background(), app.clock.now());
    let mut behind = None;
    while !app.shutdown.is_cancelled() {
        let due = database
            .read_through(Door::DueRuns, move |tx| Box::pin(store::due(tx, now, behind, BATCH)))
            .await?;
        let is_last = (due.len() as u64) < BATCH;
        // Onwards from here, so that what cannot be closed is not in the way of the rest.
        behind = due.last().map(|last| (last.deadline_at, last.id));
        let mut projects = BTreeMap::<_, Vec<_>>::new();
        for run in due {
            projects.entry((run.tenant, run.project)).or_default().push(run.id);
        }
        for ((tenant, project), runs) in projects {
            match close(app, tenant, project, runs, now).await {
                Err(error) if error.code != Code::Unavailable => {
                    tracing::warn!(%project, error = %chain(&error), "lost runs could not be closed");
                }
                outcome => outcome?,
            }
        }
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Closes those of a project's runs of which nothing was heard meanwhile.
async fn close(
    app: &Arc<App>,
    tenant: TenantId,
    project: ProjectId,
    runs: Vec<RunId>,
    now: Time,
) -> Result<()> {
    let context = Arc::clone(app);
    app.database
        .in_background()
        .write(tenant, move |tx| {
            Box::pin(async move {
                let is_there = projects::hold_if_there(tx, project).await?.is_some();
                let mut events = Vec::new();
                for mut run in store::still_due(tx, project, &runs, now).await? {
                    let before = run.state.status;
                    (run.state.status, run.deadline_at) = (RunStatus::Lost, None);
                    match is_there {
                        true => events.extend(record(&context, tx, project, Some(before), &run, now).await?),
                        // Its rows are being removed: nobody is told, and it is not looked at again.
                        false => store::save(tx, project, &run, false).await?,
                    }
                }
                gates::tell(&context, tx, project, events).await
            })
        })
        .await
}
