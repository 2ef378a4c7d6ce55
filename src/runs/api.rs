//! Runs over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{NewRun, Run, RunFilter, RunId, RunKind, RunPatch, RunStatus, Spent};
use crate::{
    accounts::{Caller, PrincipalId, scope},
    app::App,
    error::Result,
    projects::ProjectId,
    rest::{Created, Input, Listed, Tag},
    webhooks::Source,
    wire::{Page, Timestamp, example},
};

/// Routes of runs.
pub struct RunsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Runs")]
impl RunsApi {
    /// List runs
    ///
    /// Executions of CI pipelines and what agents run, newest first.
    #[oai(path = "/projects/:project_id/runs", method = "get", operation_id = "list_runs")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the request")]
    async fn list_runs(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::RunsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// Only runs that stand so.
        status: Query<Option<RunStatus>>,
        /// Only runs of this kind.
        kind: Query<Option<RunKind>>,
        /// Only runs of this commit.
        commit: Query<Option<String>>,
        /// Only runs of this branch.
        branch: Query<Option<String>>,
        /// Only runs of this principal.
        #[oai(name = "principalId")]
        principal_id: Query<Option<PrincipalId>>,
        /// Only runs that were heard of first at this time or later, to the millisecond.
        since: Query<Option<Timestamp>>,
        /// Only runs that were heard of first before this time, to the millisecond.
        until: Query<Option<Timestamp>>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<RunOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let (commit, branch, by) = (commit.0, branch.0, principal_id.0);
        let (since, until) = (since.0.map(|since| since.0), until.0.map(|until| until.0));
        let filter = RunFilter { status: status.0, kind: kind.0, commit, branch, by, since, until };
        let found = super::list_runs(&app, &caller.principal, project_id.0, filter, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |row| row.id, RunOut::from)))
    }

    /// Begin a run
    ///
    /// What an agent is about to do, as it tells itself. It is yours: you tell how it goes on and ends
    /// (`update_run`), and a sign of life within each deadline keeps it from being closed as `lost`.
    #[oai(path = "/projects/:project_id/runs", method = "post", operation_id = "begin_run")]
    async fn begin_run(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::RunsWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        body: Input<RunIn>,
    ) -> Result<Created<RunOut>> {
        let RunIn { name, branch, commit, work_item_id: work_item, deadline_seconds } = body.0;
        let new = NewRun { name, branch, commit, work_item, deadline_seconds };
        let run = super::begin_run(&app, &caller.principal, project_id.0, new).await?;
        let location = format!("/api/v1/projects/{}/runs/{}", project_id.0, run.id);
        Ok(Created::at(location, run.into()))
    }

    /// Tell of a run
    ///
    /// Whatever is told of a run of your own is a sign of life and puts its deadline off; `{}` is enough. `success`,
    /// `failed` or `cancelled` ends it: the same end once more is answered alike and changes nothing, anything else is
    /// then refused with `conflict`. Runs of others can be changed by admins, those of a Git host by nobody.
    #[oai(path = "/projects/:project_id/runs/:run_id", method = "patch", operation_id = "update_run")]
    async fn update_run(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::RunsWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The run.
        run_id: Path<RunId>,
        body: Input<RunChanges>,
    ) -> Result<Json<RunOut>> {
        let RunChanges { status, summary, cost_micro_usd, input_tokens, output_tokens } = body.0;
        let patch =
            RunPatch { status, summary, spent: Spent { cost_micro_usd, input_tokens, output_tokens } };
        let run = super::update_run(&app, &caller.principal, project_id.0, run_id.0, patch).await?;
        Ok(Json(run.into()))
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

/// A run that an agent begins.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "NewRun", example)]
struct RunIn {
    /// The name people see, 1 to 200 characters.
    name: String,
    /// The branch it works on.
    branch: Option<String>,
    /// The commit it starts from: 7 to 64 hexadecimal digits.
    commit: Option<String>,
    /// The work item that it is for.
    work_item_id: Option<Uuid>,
    /// After how many seconds without a sign of life it is closed as lost, 30 to 86400 (3600 if not given).
    deadline_seconds: Option<i64>,
}

example!(RunIn, {"name": "implement 1.2", "branch": "story/1.2", "deadlineSeconds": 900});

/// What an agent tells of its run; what is left out stays.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "RunPatch", example)]
struct RunChanges {
    /// `running`, or how it ended: `success`, `failed` or `cancelled`.
    status: Option<RunStatus>,
    /// What there is to say of it, 1 to 2000 characters.
    summary: Option<String>,
    /// What it has cost so far, in millionths of a US dollar. Like the other totals it only grows.
    cost_micro_usd: Option<i64>,
    /// Tokens that models have read for it so far.
    input_tokens: Option<i64>,
    /// Tokens that models have written for it so far.
    output_tokens: Option<i64>,
}

example!(RunChanges, {"status": "success", "costMicroUsd": 41000, "inputTokens": 18000, "outputTokens": 2100});

/// One execution of a CI pipeline, or of what an agent does.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Run", example)]
pub struct RunOut {
    /// Its id.
    id: RunId,
    /// The Git host that told of it; an agent's has none.
    source: Option<Source>,
    /// What kind of execution it is.
    kind: RunKind,
    /// The name people see.
    name: String,
    /// How it stands. `lost` is an end that nobody told of: its deadline passed.
    status: RunStatus,
    /// The commit it runs on.
    commit: Option<String>,
    /// The branch it runs on.
    branch: Option<String>,
    /// Where the host shows it.
    url: Option<String>,
    /// When it started, by the clock of whoever told of it.
    started_at: Option<Timestamp>,
    /// When it ended, by the same clock.
    finished_at: Option<Timestamp>,
    /// How long it took, in milliseconds, once it has ended: the time between both or, where that makes no sense, what
    /// the host counted, if it did.
    duration_ms: Option<i64>,
    /// When it is closed as `lost` unless something is heard of it.
    deadline_at: Option<Timestamp>,
    /// Whose it is, for an agent's.
    principal: Option<RunnerOut>,
    /// The work item that it is for, as the agent said.
    work_item_id: Option<Uuid>,
    /// What the agent said of it last.
    summary: Option<String>,
    /// What it has cost so far, in millionths of a US dollar, as the agent counts.
    cost_micro_usd: Option<i64>,
    /// Tokens that models have read for it so far.
    input_tokens: Option<i64>,
    /// Tokens that models have written for it so far.
    output_tokens: Option<i64>,
}

/// Who runs something.
#[derive(Object)]
#[oai(rename = "Runner")]
struct RunnerOut {
    /// The principal.
    id: PrincipalId,
    /// The name it had then.
    name: String,
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
        let (started_at, duration_ms) = (run.started_at(), run.duration_ms());
        let Run { id, state, agent, deadline_at, .. } = run;
        let spent = agent.as_ref().map(|agent| agent.spent).unwrap_or_default();
        let by = agent.as_ref().map(|agent| &agent.by);
        Self {
            id,
            source: state.source,
            kind: state.kind,
            name: state.name,
            status: state.status,
            commit: state.commit,
            branch: state.branch,
            url: state.url,
            started_at: started_at.map(Timestamp),
            finished_at: state.finished_at.map(Timestamp),
            duration_ms,
            deadline_at: deadline_at.map(Timestamp),
            principal: by.map(|by| RunnerOut { id: by.id, name: by.name.clone() }),
            work_item_id: agent.as_ref().and_then(|agent| agent.work_item),
            summary: agent.and_then(|agent| agent.summary),
            cost_micro_usd: spent.cost_micro_usd,
            input_tokens: spent.input_tokens,
            output_tokens: spent.output_tokens,
        }
    }
}
