//! Removing the rows of a deleted project: a few hundred at a time, so that nobody waits for it.

use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

use super::{ProjectId, store};
use crate::{
    agents,
    app::App,
    artifacts, conflicts,
    error::{Error, Result},
    events, gates,
    jobs::{self, Job},
    reservations, runs, webhooks, work,
};

/// The name of the job.
pub const PURGE_PROJECT: &str = "purge_project";

/// Rows removed in one transaction.
const BATCH: u64 = 500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arguments {
    project_id: Uuid,
}

/// Removes everything that belongs to a deleted project, then the project. Killed half-way, it goes on where
/// it was.
///
/// # Errors
/// The database's.
pub async fn purge_project(app: Arc<App>, job: Job) -> Result<()> {
    let arguments: Arguments = serde_json::from_value(job.payload.clone()).map_err(Error::internal)?;
    let project = ProjectId(arguments.project_id);
    loop {
        let removed = app
            .database
            .in_background()
            .write(job.tenant, move |tx| {
                Box::pin(async move {
                    tx.lock(project.0).await?;
                    Ok(events::purge(tx, project, BATCH).await?
                        + webhooks::purge(tx, project, BATCH).await?
                        + agents::purge(tx, project, BATCH).await?
                        + conflicts::purge(tx, project, BATCH).await?
                        + gates::purge(tx, project, BATCH).await?
                        + work::purge(tx, project, BATCH).await?
                        + reservations::purge(tx, project, BATCH).await?
                        + artifacts::purge(tx, project, BATCH).await?
                        + runs::purge(tx, project, BATCH).await?)
                })
            })
            .await?;
        if removed == 0 {
            break;
        }
        if app.shutdown.is_cancelled() {
            return Ok(()); // not finished: it is claimed again when its lease ends
        }
    }
    app.git.remove_sample(project.0).await;
    app.database
        .in_background()
        .write(job.tenant, move |tx| {
            Box::pin(async move {
                tx.lock(project.0).await?;
                store::remove(tx, project).await?;
                jobs::finish(tx, &[job]).await
            })
        })
        .await
}
