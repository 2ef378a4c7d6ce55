//! Runs as agents see them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AgentRun, Run, RunFilter, RunId, RunKind, RunStatus, get_run, list_runs};
use crate::{
    accounts::{Principal, PrincipalId, Scope},
    app::App,
    error::Result,
    mcp::{Answer, Fields, More, Tool, page},
    projects::ProjectId,
    wire::Timestamp,
};

/// Who named runs and branches.
const AUTHORS: &str = "the repository's CI, by whoever could push, and agents";

/// `list_runs`
pub struct ListRuns;

/// Arguments of [`ListRuns`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListRunsArguments {
    project_id: ProjectId,
    /// only runs that stand so
    status: Option<RunStatus>,
    kind: Option<RunKind>,
    /// only runs of this commit, by its full hash
    commit: Option<String>,
    branch: Option<String>,
    /// only runs that this agent or person began
    principal_id: Option<PrincipalId>,
    /// nextAfter of the answer before
    after: Option<String>,
    /// rows, 20 if not given, at most 200
    limit: Option<u64>,
    /// of each row; also commit, kind, url, startedAt, finishedAt, durationMs, deadlineAt, principal, workItemId,
    /// summary, costMicroUsd, inputTokens, outputTokens
    fields: Option<Vec<String>>,
}

/// What a row may tell, and how much of that it tells unasked.
const FIELDS: [&str; 17] = [
    "runId",
    "name",
    "status",
    "branch",
    "commit",
    "kind",
    "url",
    "startedAt",
    "finishedAt",
    "durationMs",
    "deadlineAt",
    "principal",
    "workItemId",
    "summary",
    "costMicroUsd",
    "inputTokens",
    "outputTokens",
];
const FEW: usize = 4;

impl Tool for ListRuns {
    const NAME: &'static str = "list_runs";
    const TITLE: &'static str = "List runs";
    const ABOUT: &'static str = "Runs of CI and of agents, newest first; `lost` is one whose end never came. Use it to \
                                 see whether a commit passes: give `commit`.";
    const SCOPE: Scope = Scope::RunsRead;
    type Arguments = ListRunsArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let page = page::<RunId>(asked.limit, asked.after.as_deref())?;
        let fields = Fields::choose(&FIELDS, FEW, asked.fields)?;
        let project = asked.project_id;
        let ListRunsArguments { status, kind, commit, branch, principal_id: by, .. } = asked;
        let filter = RunFilter { status, kind, commit, branch, by, ..RunFilter::default() };
        let now = app.clock.now();
        let found = list_runs(&app, &principal, project, filter, page.clone()).await?;
        let (runs, more) = More::behind(&page, found, |run| run.id);
        let rows = runs.iter().map(|run| fields.of(shown(run)));
        Ok(Answer::rows(now, "runs", rows, more).quoting(&["runs"], AUTHORS))
    }
}

/// `get_run`
pub struct GetRun;

/// Arguments of [`GetRun`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetRunArguments {
    project_id: ProjectId,
    run_id: RunId,
}

impl Tool for GetRun {
    const NAME: &'static str = "get_run";
    const TITLE: &'static str = "Show a run";
    const ABOUT: &'static str = "One run of CI or of an agent: how it stands, commit, branch, when, how long, its cost, and where the host shows it.";
    const SCOPE: Scope = Scope::RunsRead;
    type Arguments = GetRunArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let now = app.clock.now();
        let run = get_run(&app, &principal, asked.project_id, asked.run_id).await?;
        Ok(Answer::new(now, [("run", shown(&run))]).quoting(&["run"], AUTHORS))
    }
}

fn shown(run: &Run) -> Value {
    let at = |time: Option<_>| time.map(|time| Timestamp(time).to_string());
    let mut shown = json!({
        "runId": run.id.0,
        "name": run.state.name,
        "kind": run.state.kind,
        "status": run.state.status,
        "commit": run.state.commit,
        "branch": run.state.branch,
        "url": run.state.url,
        "startedAt": at(run.started_at()),
        "finishedAt": at(run.state.finished_at),
        "durationMs": run.duration_ms(),
        "deadlineAt": at(run.deadline_at),
    });
    if let Some(AgentRun { by, work_item, summary, spent, .. }) = &run.agent {
        shown["principal"] = json!({"id": by.id.0, "name": by.name});
        shown["workItemId"] = json!(work_item);
        shown["summary"] = json!(summary);
        shown["costMicroUsd"] = json!(spent.cost_micro_usd);
        shown["inputTokens"] = json!(spent.input_tokens);
        shown["outputTokens"] = json!(spent.output_tokens);
    }
    shown
}
