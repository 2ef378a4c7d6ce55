//! Runs over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{Run, RunFilter, RunId, RunKind, RunStatus};
use crate::{
    accounts::{Caller, scope},
    app::App,
    error::Result,
    projects::ProjectId,
    rest::{Listed, Tag},
    webhooks::Source,
    wire::{Page, Timestamp, example},
};

/// Routes of runs.
pub struct RunsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Runs")]
impl RunsApi {
    /// List runs
    ///
    /// Executions of CI pipelines, newest first.
    #[oai(path = "/projects/:project_id/runs", method = "get", operation_id = "list_runs")]
    async fn list_runs(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::RunsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// Only runs that stand so.
        status: Query<Option<RunStatus>>,
        /// Only runs of this commit.
        commit: Query<Option<String>>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<RunOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let filter = RunFilter { status: status.0, commit: commit.0 };
        let found = super::list_runs(&app, &caller.principal, project_id.0, filter, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |row| row.id, RunOut::from)))
    }

    /// Show a run
    ///
    /// One execution, as it was told of last.
    #[oai(path = "/projects/:project_id/runs/:run_id", method = "get", operation_id = "get_run")]
    async fn get_run(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::RunsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The run.
        run_id: Path<RunId>,
    ) -> Result<Json<RunOut>> {
        let run = super::get_run(&app, &caller.principal, project_id.0, run_id.0).await?;
        Ok(Json(run.into()))
    }
}

/// One execution of a CI pipeline.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Run", example)]
pub struct RunOut {
    /// Its id.
    id: RunId,
    /// The Git host that told of it.
    source: Source,
    /// What kind of execution it is.
    kind: RunKind,
    /// The name people see.
    name: String,
    /// How it stands.
    status: RunStatus,
    /// The commit it runs on.
    commit: Option<String>,
    /// The branch it runs on.
    branch: Option<String>,
    /// Where the host shows it.
    url: Option<String>,
    /// When it started.
    started_at: Option<Timestamp>,
    /// When it ended.
    finished_at: Option<Timestamp>,
    /// How long it took, in milliseconds, once it has ended.
    duration_ms: Option<i64>,
}

example!(RunOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "source": "github",
    "kind": "workflow",
    "name": "CI",
    "status": "success",
    "commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "branch": "main",
    "url": "https://github.com/your-org/your-repo/actions/runs/7",
    "startedAt": "2026-11-21T09:00:00Z",
    "finishedAt": "2026-11-21T09:02:30Z",
    "durationMs": 150000
});

impl From<Run> for RunOut {
    fn from(run: Run) -> Self {
        let duration_ms = super::duration_ms(&run.state);
        let state = run.state;
        Self {
            id: run.id,
            source: state.source,
            kind: state.kind,
            name: state.name,
            status: state.status,
            commit: state.commit,
            branch: state.branch,
            url: state.url,
            started_at: state.started_at.map(Timestamp),
            finished_at: state.finished_at.map(Timestamp),
            duration_ms,
        }
    }
}
