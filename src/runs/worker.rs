//! Closing runs whose end never came.
//!
//! They are found by an index of those that have a deadline. Each is read again while its project is held: what was heard
//! of it meanwhile counts.

use std::sync::Arc;

use super::{RunId, RunStatus, record, store};
use crate::{
    app::App,
    clock::Time,
    database::{Door, TenantId},
    due,
    error::Result,
    gates,
    projects::{self, ProjectId},
};

/// Closes as lost whatever nobody has told of until its deadline.
///
/// # Errors
/// The database's; what is left is closed the next time.
pub async fn close_lost(app: &Arc<App>) -> Result<()> {
    let now = app.clock.now();
    let find: due::Find = |tx, now, behind| Box::pin(store::due(tx, now, behind));
    let close = |tenant, project, runs: Vec<_>| {
        close(app, tenant, project, runs.into_iter().map(RunId).collect(), now)
    };
    due::look_after(app, Door::DueRuns, now, find, "lost runs could not be closed", close).await
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
