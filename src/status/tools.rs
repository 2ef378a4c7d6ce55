//! Status as agents see it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ProjectStatus, get_project_status};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    error::Result,
    gates::Standing,
    mcp::{Answer, Tool},
    projects::ProjectId,
    runs::Run,
    wire::Timestamp,
};

/// Runs that are named; more are only counted.
const NAMED: usize = 3;
/// Characters of a name of a run, and of anything else.
const RUN: usize = 60;
const NAME: usize = 100;

/// `get_project_status`
pub struct GetProjectStatus;

/// Arguments of [`GetProjectStatus`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetProjectStatusArguments {
    project_id: ProjectId,
}

impl Tool for GetProjectStatus {
    const NAME: &'static str = "get_project_status";
    const TITLE: &'static str = "Show a project's status";
    const ABOUT: &'static str = "How a project stands now: failing and running CI, documents, conflicts, work, agents, last change. Use it first; \
                                 then list_changes with its nextAfter as `after`, not this again.";
    const SCOPE: Scope = Scope::StatusRead;
    type Arguments = GetProjectStatusArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let status = get_project_status(&app, &principal, asked.project_id).await?;
        let answer = Answer::new(status.as_of, shown(&status)).cutting(NAME);
        Ok(answer.quoting(&["failing", "running"], "the repository's CI, by whoever could push"))
    }
}

/// The status in a few hundred tokens.
fn shown(status: &ProjectStatus) -> [(&'static str, Value); 14] {
    let project = &status.project;
    let last = status.last_change.as_ref();
    let last = last.map(|event| json!({"event": event.name, "at": Timestamp(event.timestamp).to_string()}));
    let artifacts = status.artifacts.iter().map(|(kind, count)| (kind.to_string(), Value::from(*count)));
    let conflicts =
        status.conflicts.iter().map(|(severity, count)| (severity.to_string(), Value::from(*count)));
    let agents = status.agents.iter().map(|(status, count)| (status.to_string(), Value::from(*count)));
    [
        ("project", json!({"projectId": project.id.0, "name": project.name, "repoUrl": project.repo_url})),
        ("failing", named(&status.failing)),
        ("failingCount", status.failing.len().into()),
        ("running", named(&status.running)),
        ("runningCount", status.running.len().into()),
        ("artifacts", artifacts.collect()),
        ("conflicts", conflicts.collect()),
        ("scan", status.scan.brief()),
        ("work", json!(status.work)),
        ("gates", gates(&status.gates)),
        ("agents", agents.collect()),
        ("deliveries", json!({"pending": status.pending_deliveries, "failed": status.failed_deliveries})),
        ("lastChange", last.into()),
        ("nextAfter", status.head.to_string().into()),
    ]
}

/// How many gates stand how, and how far the current phase is, in percent.
fn gates(standing: &Standing) -> Value {
    let counts = standing.by_status.iter().map(|(status, count)| (status.to_string(), Value::from(*count)));
    let mut gates: Value = counts.collect();
    if let Some(phase) = standing.progress.current {
        gates["phase"] = json!(phase);
        gates["percentage"] = json!(standing.progress.percentage());
    }
    gates
}

fn named(runs: &[Run]) -> Value {
    let row =
        |run: &Run| json!({"runId": run.id.0, "name": short(&run.state.name), "branch": run.state.branch});
    runs.iter().take(NAMED).map(row).collect()
}

fn short(name: &str) -> String {
    match name.char_indices().nth(RUN) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
