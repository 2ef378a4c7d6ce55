//! Agents over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Activity, ActivityOutcome, Agent, AgentStatus, EvidenceKind, Report, Span};
use crate::{
    accounts::{Caller, PrincipalId, PrincipalKind, Role, scope},
    app::App,
    artifacts::ArtifactId,
    error::Result,
    projects::ProjectId,
    rest::{Input, Listed, Tag, given},
    wire::{Page, Timestamp, example},
};

/// Routes of agents.
pub struct AgentsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Agents")]
impl AgentsApi {
    /// List agents
    ///
    /// Who is at what in a project, people too: everybody who called a tool for it, pushed to it or reported, by their
    /// ids. Who gave no sign of life for 30 s is `idle`; `blocked`, `completed` and `error` stay until there is a new one.
    #[oai(path = "/projects/:project_id/agents", method = "get", operation_id = "list_agents")]
    async fn list_agents(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::AgentsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// Only agents that stand so.
        status: Query<Option<AgentStatus>>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<AgentOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let found = super::list_agents(&app, &caller.principal, project_id.0, status.0, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |row| row.principal.id, AgentOut::from)))
    }

    /// Show an agent
    ///
    /// What somebody is at in a project, and the last 100 things that they did there, newest first. The same thing done
    /// several times in a row is one, with how often, when first and when last. `since` and `until` narrow what they did.
    #[oai(path = "/projects/:project_id/agents/:principal_id", method = "get", operation_id = "get_agent")]
    async fn get_agent(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::AgentsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// Who it is.
        principal_id: Path<PrincipalId>,
        /// Only what they were at at this time or later.
        since: Query<Option<Timestamp>>,
        /// Only what they were at before this time.
        until: Query<Option<Timestamp>>,
    ) -> Result<Json<AgentDetailsOut>> {
        let span = Span { since: since.0.map(|since| since.0), until: until.0.map(|until| until.0) };
        let (agent, activities) =
            super::get_agent(&app, &caller.principal, project_id.0, principal_id.0, span).await?;
        let activities = activities.into_iter().map(ActivityOut::from).collect();
        Ok(Json(AgentDetailsOut { agent: agent.into(), activities }))
    }

    /// Report one's own status
    ///
    /// Says what the caller is at: that they are `blocked` or done (`completed`), and the line that others see. What is
    /// left out stays, `null` takes it away; without a status the caller is `running`. Calling tools and pushing shows by
    /// itself that somebody is running.
    #[oai(path = "/projects/:project_id/agents/me", method = "put", operation_id = "report_status")]
    async fn report_status(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::AgentsWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        body: Input<ReportIn>,
    ) -> Result<Json<AgentOut>> {
        let ReportIn { status, task, artifact_id: artifact } = body.0;
        let report = Report { status, task, artifact };
        Ok(Json(super::report_status(&app, &caller.principal, project_id.0, report).await?.into()))
    }
}

/// What somebody says of themselves.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "ReportStatus", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReportIn {
    /// How they are at work; `running` if not given.
    status: Option<AgentStatus>,
    /// What they are at, in one line of at most 200 characters; null for nothing.
    #[serde(default, deserialize_with = "given")]
    task: Option<Option<String>>,
    /// The document that it is about; null for none.
    #[serde(default, deserialize_with = "given")]
    artifact_id: Option<Option<ArtifactId>>,
}

example!(ReportIn, { "status": "blocked", "task": "US-12: waiting for the schema" });

/// Who is at what.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Agent", example)]
struct AgentOut {
    /// Who it is.
    principal_id: PrincipalId,
    /// The name people see.
    name: String,
    /// What kind of actor it is.
    kind: PrincipalKind,
    /// What it is in the tenant.
    role: Role,
    /// What an agent does among others, such as `developer`.
    agent_role: Option<String>,
    /// How they are at work.
    status: AgentStatus,
    /// Since when that holds.
    since: Timestamp,
    /// What they are at, or were last, in their own words or those of the work item.
    task: Option<String>,
    /// The document that it is about.
    artifact_id: Option<ArtifactId>,
    /// The work item that it is about.
    work_item_id: Option<Uuid>,
    /// The last sign of life.
    last_seen: SeenOut,
}

/// A sign of life.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "LastSeen")]
struct SeenOut {
    /// When it was given; calls of tools at most 10 s late.
    at: Timestamp,
    /// What it was.
    evidence: EvidenceKind,
}

/// Who is at what, and what they did last.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "AgentDetails", example)]
struct AgentDetailsOut {
    #[oai(flatten)]
    agent: AgentOut,
    /// The last 100 things that they did, newest first, within the time that was asked for.
    activities: Vec<ActivityOut>,
}

/// What somebody did, once or several times in a row.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Activity")]
struct ActivityOut {
    /// What kind of thing it was.
    kind: EvidenceKind,
    /// The tool, the branch that was pushed to, the run, or what was said.
    what: String,
    /// How it ended, for what has an outcome.
    outcome: Option<ActivityOutcome>,
    /// How often in a row.
    count: u64,
    /// The branch, of pushes and runs.
    branch: Option<String>,
    /// The commit, of pushes and runs.
    commit: Option<String>,
    /// When it was done first.
    first_at: Timestamp,
    /// When it was done last.
    last_at: Timestamp,
}

example!(AgentOut, {
    "principalId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "name": "octavia-dev",
    "kind": "service_account",
    "role": "member",
    "agentRole": "developer",
    "status": "running",
    "since": "2026-11-21T09:00:00Z",
    "task": "US-12: sign in",
    "lastSeen": {"at": "2026-11-21T09:02:30Z", "evidence": "tool_call"}
});

example!(AgentDetailsOut, {
    "principalId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "name": "octavia-dev",
    "kind": "service_account",
    "role": "member",
    "agentRole": "developer",
    "status": "running",
    "since": "2026-11-21T09:00:00Z",
    "task": "US-12: sign in",
    "lastSeen": {"at": "2026-11-21T09:02:30Z", "evidence": "tool_call"},
    "activities": [
        {"kind": "tool_call", "what": "get_artifact", "outcome": "success", "count": 4,
         "firstAt": "2026-11-21T09:02:21Z", "lastAt": "2026-11-21T09:02:30Z"},
        {"kind": "push", "what": "feature/sign-in", "count": 1, "branch": "feature/sign-in",
         "commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
         "firstAt": "2026-11-21T09:00:00Z", "lastAt": "2026-11-21T09:00:00Z"}
    ]
});

impl From<Agent> for AgentOut {
    fn from(Agent { principal, presence }: Agent) -> Self {
        Self {
            principal_id: principal.id,
            name: principal.name,
            kind: principal.kind,
            role: principal.role,
            agent_role: principal.agent_role,
            status: presence.status,
            since: presence.since.into(),
            task: presence.task,
            artifact_id: presence.artifact,
            work_item_id: presence.work_item,
            last_seen: SeenOut { at: presence.seen_at.into(), evidence: presence.seen_by },
        }
    }
}

impl From<Activity> for ActivityOut {
    fn from(activity: Activity) -> Self {
        Self {
            kind: activity.kind,
            what: activity.what,
            outcome: activity.outcome,
            count: activity.times,
            branch: activity.branch,
            commit: activity.commit,
            first_at: activity.first_at.into(),
            last_at: activity.last_at.into(),
        }
    }
}
