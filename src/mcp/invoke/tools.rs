//! The five tools of the older protocol, each an operation that the service has anyway.
//!
//! None of them is listed to clients of MCP, which have the same under other names.

use std::{cmp::Reverse, sync::Arc};

use futures::future::BoxFuture;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    gates::gates_list,
    shapes,
    stories::{Move, move_story},
};
use crate::{
    accounts::{Principal, PrincipalId, Scope},
    agents::{self, Agent},
    app::App,
    audit::CallRecord,
    conflicts::{self, ConflictFilter, ConflictId, ConflictState},
    error::Result,
    mcp::tool::schema,
    projects::ProjectId,
    rest,
    runs::{self, RunFilter, RunId, RunStatus},
    wire::{MAX_LIMIT, Page, Timestamp},
};

/// A tool of the older protocol.
pub(super) struct Older {
    /// Its dotted name.
    pub(super) name: &'static str,
    about: &'static str,
    /// What a caller must be allowed.
    pub(super) scope: Scope,
    /// Whether it changes something: then it writes the record of its call itself.
    pub(super) writes: bool,
    schema: fn() -> Arc<JsonObject>,
    /// Does it.
    pub(super) call: fn(Asked) -> BoxFuture<'static, Result<Value>>,
}

/// A call that its caller may make.
pub(super) struct Asked {
    pub(super) app: Arc<App>,
    /// Who calls.
    pub(super) principal: Arc<Principal>,
    /// The record of the call, for a tool that changes something.
    pub(super) record: CallRecord,
    /// What it is called with, as the tool's schema spells it.
    pub(super) arguments: Value,
}

/// All of them, in the order in which they are listed.
pub(super) static TABLE: [Older; 5] = [
    Older {
        name: "status.get",
        about: "Who is at what in a project.",
        scope: Scope::StatusRead,
        writes: false,
        schema: schema::<OfProject>,
        call: |asked| Box::pin(get_status(asked)),
    },
    Older {
        name: "conflicts.list",
        about: "The open conflicts of a project, newest first.",
        scope: Scope::ConflictsRead,
        writes: false,
        schema: schema::<OfProject>,
        call: |asked| Box::pin(list_conflicts(asked)),
    },
    Older {
        name: "kanban.moveStory",
        about: "Move a story, or any other work item, to another lane of the board.",
        scope: Scope::WorkWrite,
        writes: true,
        schema: schema::<Move>,
        call: |asked| Box::pin(move_story(asked)),
    },
    Older {
        name: "gates.list",
        about: "The quality gates of a project, and how they stand.",
        scope: Scope::GatesRead,
        writes: false,
        schema: schema::<OfProject>,
        call: |asked| Box::pin(list_gates(asked)),
    },
    Older {
        name: "runs.list",
        about: "The runs of a project, of agents and of CI, newest first.",
        scope: Scope::RunsRead,
        writes: false,
        schema: schema::<RunsOf>,
        call: |asked| Box::pin(list_runs(asked)),
    },
];

impl Older {
    /// It as it is listed.
    pub(super) fn shown(&self) -> Value {
        json!({
            "name": self.name,
            "description": self.about,
            "scope": self.scope,
            "inputSchema": &*(self.schema)(),
        })
    }
}

/// Arguments of what is asked of a project and nothing else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfProject {
    project_id: ProjectId,
}

/// Arguments of `runs.list`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunsOf {
    project_id: ProjectId,
    filters: Option<RunsThat>,
}

/// Which runs are meant.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunsThat {
    /// only those of this agent: its name, its role or its id
    agent: Option<String>,
    /// only those that stand so: RUNNING, SUCCESS, FAILED or CANCELLED
    status: Option<RunStatus>,
    /// 50 if not given, at most 200
    limit: Option<u64>,
}

/// As many rows as there may be in an answer; the older protocol has no pages.
fn most<K>() -> Page<K> {
    Page { limit: MAX_LIMIT, after: None, counts: true }
}

/// Rows under a name, how many there are, and how many more there would be.
fn listed(name: &str, rows: Vec<Value>, left: u64) -> Value {
    let mut told = json!({ "count": rows.len(), "left": left });
    told[name] = rows.into();
    told
}

async fn get_status(Asked { app, principal, arguments, .. }: Asked) -> Result<Value> {
    let OfProject { project_id } = rest::read(arguments)?;
    let (now, page) = (app.clock.now(), most::<PrincipalId>());
    let found = agents::list_agents(&app, &principal, project_id, None, page.clone()).await?;
    let (rows, _) = page.split(found.rows, |agent| agent.principal.id);
    let rows: Vec<_> = rows.iter().map(shapes::agent).collect();
    Ok(json!({ "agents": rows, "timestamp": Timestamp(now).to_string() }))
}

async fn list_conflicts(Asked { app, principal, arguments, .. }: Asked) -> Result<Value> {
    let OfProject { project_id } = rest::read(arguments)?;
    let filter = ConflictFilter { state: ConflictState::Open, kind: None, severity: None, artifact: None };
    let page = most::<ConflictId>();
    let found = conflicts::list_conflicts(&app, &principal, project_id, filter, page.clone()).await?;
    let left = found.left;
    let (rows, _) = page.split(found.rows, |conflict| conflict.id);
    Ok(listed("conflicts", rows.iter().map(shapes::conflict).collect(), left))
}

async fn list_gates(Asked { app, principal, arguments, .. }: Asked) -> Result<Value> {
    let OfProject { project_id } = rest::read(arguments)?;
    let gates = gates_list(&app, &principal, project_id).await?;
    let count = |status: &str| gates.iter().filter(|gate| gate["status"] == status).count();
    let (passed, failed) = (count("PASSED"), count("FAILED"));
    Ok(json!({ "gates": gates, "passCount": passed, "failCount": failed }))
}

async fn list_runs(Asked { app, principal, arguments, .. }: Asked) -> Result<Value> {
    let RunsOf { project_id, filters } = rest::read(arguments)?;
    let RunsThat { agent, status, limit } = filters.unwrap_or_default();
    let page = Page::<RunId>::parse(limit, None)?;
    let runners = match agent {
        None => vec![None],
        Some(agent) => runners(&app, &principal, project_id, &agent).await?,
    };
    let mut runs = Vec::new();
    for by in runners {
        for status in meant(status) {
            let filter = RunFilter { status, by, ..RunFilter::default() };
            runs.extend(runs::list_runs(&app, &principal, project_id, filter, page.clone()).await?.rows);
        }
    }
    runs.sort_by_key(|run| Reverse(run.id));
    let (rows, _) = page.split(runs, |run| run.id);
    let rows: Vec<_> = rows.iter().map(shapes::run).collect();
    Ok(json!({ "count": rows.len(), "runs": rows }))
}

/// The states that a state of the older protocol stands for, which has fewer.
fn meant(status: Option<RunStatus>) -> Vec<Option<RunStatus>> {
    match status {
        Some(RunStatus::Running) => vec![Some(RunStatus::Running), Some(RunStatus::Queued)],
        Some(RunStatus::Failed) => vec![Some(RunStatus::Failed), Some(RunStatus::Lost)],
        other => vec![other],
    }
}

/// The agents of a project that somebody may mean.
async fn runners(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    who: &str,
) -> Result<Vec<Option<PrincipalId>>> {
    if let Ok(id) = who.parse() {
        return Ok(vec![Some(id)]);
    }
    let found = agents::list_agents(app, principal, project, None, most()).await?;
    let is_meant = |agent: &&Agent| {
        let role = agent.principal.agent_role.as_deref().unwrap_or_default();
        agent.principal.name.eq_ignore_ascii_case(who) || role.eq_ignore_ascii_case(who)
    };
    Ok(found.rows.iter().filter(is_meant).map(|agent| Some(agent.principal.id)).collect())
}
