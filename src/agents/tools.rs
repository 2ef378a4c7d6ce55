//! Agents as agents see each other.

use std::sync::Arc;

use chrono::SubsecRound as _;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Agent, AgentStatus, list_agents};
use crate::{
    accounts::{Principal, PrincipalId, Scope},
    app::App,
    clock::Time,
    error::Result,
    mcp::{Answer, Fields, More, Tool, page},
    projects::ProjectId,
    wire::Timestamp,
};

/// Who wrote names and tasks.
const AUTHORS: &str = "the agents themselves, and whoever named them or their work";

/// `list_agents`
pub struct ListAgents;

/// Arguments of [`ListAgents`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListAgentsArguments {
    project_id: ProjectId,
    /// only agents that stand so
    status: Option<AgentStatus>,
    /// nextAfter of the answer before
    after: Option<String>,
    /// rows, 20 if not given, at most 200
    limit: Option<u64>,
    /// of each row; also since, artifactId, workItemId, evidence, kind
    fields: Option<Vec<String>>,
}

/// What a row may tell, and how much of that it tells unasked.
const FIELDS: [&str; 11] = [
    "agentId",
    "name",
    "role",
    "status",
    "task",
    "lastSeen",
    "since",
    "artifactId",
    "workItemId",
    "evidence",
    "kind",
];
const FEW: usize = 6;

impl Tool for ListAgents {
    const NAME: &'static str = "list_agents";
    const TITLE: &'static str = "List agents";
    const ABOUT: &'static str = "Who is at what in a project, people too. Use it before you take up what somebody may be \
                                 at. idle: no sign of life for 30 s.";
    const SCOPE: Scope = Scope::AgentsRead;
    type Arguments = ListAgentsArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let page = page::<PrincipalId>(asked.limit, asked.after.as_deref())?;
        let fields = Fields::choose(&FIELDS, FEW, asked.fields)?;
        let now = app.clock.now();
        let found = list_agents(&app, &principal, asked.project_id, asked.status, page.clone()).await?;
        let (agents, more) = More::behind(&page, found, |agent| agent.principal.id);
        let rows = agents.iter().map(|agent| fields.of(shown(agent)));
        Ok(Answer::rows(now, "agents", rows, more).quoting(&["agents"], AUTHORS))
    }
}

fn shown(agent: &Agent) -> Value {
    let Agent { principal, presence } = agent;
    let at = |time: Time| Timestamp(time.trunc_subsecs(0)).to_string();
    json!({
        "agentId": principal.id.0,
        "name": principal.name,
        "role": agent.role(),
        "status": presence.status,
        "task": presence.task,
        "lastSeen": at(presence.seen_at),
        "since": at(presence.since),
        "artifactId": presence.artifact.map(|artifact| artifact.0),
        "workItemId": presence.work_item,
        "evidence": presence.seen_by,
        "kind": principal.kind,
    })
}
