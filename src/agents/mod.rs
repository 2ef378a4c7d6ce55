//! Agents: who is at what in a project, from what they do and not only from what they say.
//!
//! Whoever calls a tool for a project, pushes to it, or has CI run on what they pushed is `running`; without such
//! [`Evidence`] for [`IDLE_AFTER`] they are `idle`. What stays until there is new evidence: `error`, when CI failed on
//! what they pushed, and `blocked` and `completed`, when they say so. People are agents here like any other principal.
//! How one piece of evidence leads from one status to the next is in `evidence.rs`, alone and without a database; whose
//! a push or a run is, in `attribution.rs`: nobody's, unless exactly one principal can be meant.
//!
//! # What it costs
//! A tool call notes its evidence in memory ([`Signs`]), and never waits for a write. One task per process writes it:
//! at once when it makes somebody running or at something else, else at most every 10 s, a burst of calls as one activity
//! with a count; all that is due in a project in one transaction, and twice a second at most. So the table is at most
//! that much behind, which is far less than what makes somebody idle. What a killed process has
//! not written is lost: at most 10 s of evidence, and no status that somebody was told of.
//!
//! # Several instances
//! They share the table, and whoever writes holds the row. The newest evidence wins, whenever it arrives: an older piece
//! is listed among the activities and changes nothing else. Every worker sweeps those who gave no sign of life; a row is
//! changed and told of in one transaction, by whoever holds it, so that an event is neither lost nor told twice. When
//! evidence was given is the instance's clock, never a Git host's: instances' clocks are to agree within seconds.

mod api;
mod attribution;
mod evidence;
mod signs;
mod store;
mod tools;
mod worker;

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

pub use self::{
    api::AgentsApi,
    attribution::{Known, Pushed, Ran, note_push, note_run},
    evidence::{Activity, ActivityOutcome, Evidence, Presence},
    signs::{Signs, Task, is_at, seen},
    tools::ListAgents,
    worker::{keep_presence, write_presence},
};
use crate::{
    accounts::{Principal, PrincipalId, PrincipalRecord, members},
    app::App,
    artifacts::{self, ArtifactId},
    clock::Time,
    database::Tx,
    error::{Code, Error, Result},
    events::{self, EventName, NewEvent},
    projects::{self, ProjectId},
    prose::{parse_line, to_line},
    wire::{Found, Page, Timestamp, wire_enum},
};

/// Without evidence for this long, somebody who was running is idle.
pub const IDLE_AFTER: TimeDelta = TimeDelta::seconds(30);
/// Activities that are kept of each agent in a project.
pub const ACTIVITIES: u64 = 100;
/// Characters of a task line.
const TASK: usize = 200;

wire_enum! {
    /// How somebody is at work in a project.
    AgentStatus {
        /// At nothing that shows.
        Idle = "idle",
        /// At work.
        Running = "running",
        /// Done with the task, by their own word.
        Completed = "completed",
        /// Waiting for something or somebody, by their own word.
        Blocked = "blocked",
        /// CI failed on what they pushed, or they say that something went wrong.
        Error = "error",
    }
}

wire_enum! {
    /// What shows that somebody is at work.
    EvidenceKind {
        /// They called a tool for the project.
        ToolCall = "tool_call",
        /// They pushed to it.
        Push = "push",
        /// CI ran on what they pushed.
        Run = "run",
        /// They said so.
        Report = "report",
        /// They claimed a work item, or it was finished or released.
        Claim = "claim",
    }
}

/// Somebody who gave evidence in a project.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Who it is.
    pub principal: PrincipalRecord,
    /// What they are at.
    pub presence: Presence,
}

impl Agent {
    /// What it is among agents, or else in the tenant.
    fn role(&self) -> &str {
        self.principal.agent_role.as_deref().unwrap_or(self.principal.role.as_str())
    }
}

/// What somebody says of themselves. What is left out stays as it is, but for the status: who reports is running.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How they are at work.
    pub status: Option<AgentStatus>,
    /// What they are at, in one line; none takes it away.
    pub task: Option<Option<String>>,
    /// The document that it is about; none takes it away.
    pub artifact: Option<Option<ArtifactId>>,
}

/// A span of time; an end that is none is open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// From this time on.
    pub since: Option<Time>,
    /// Before this time.
    pub until: Option<Time>,
}

/// A page of those who gave evidence in a project, and one more if there are more: those that stand so, or all.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn list_agents(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    status: Option<AgentStatus>,
    page: Page<PrincipalId>,
) -> Result<Found<Agent>> {
    projects::reach(app, principal, project).await?;
    app.database
        .read(principal.tenant, move |tx| {
            Box::pin(async move {
                let found = store::list(tx, project, status, &page).await?;
                let ids = found.rows.iter().map(|presence| presence.principal).collect();
                let mut known = members::by_ids(tx, ids).await?;
                found.try_map(|presence| {
                    let principal = known.remove(&presence.principal);
                    let principal = principal.ok_or_else(|| Error::internal("an agent is no principal"))?;
                    Ok(Agent { principal, presence })
                })
            })
        })
        .await
}

/// Somebody who gave evidence in a project, and what they did last, newest first: what they were at within a span of time.
///
/// # Errors
/// `not_found` for a project out of reach, and for who gave no evidence there.
pub async fn get_agent(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    id: PrincipalId,
    span: Span,
) -> Result<(Agent, Vec<Activity>)> {
    projects::reach(app, principal, project).await?;
    app.database
        .read(principal.tenant, move |tx| {
            Box::pin(async move {
                let agent = find(tx, project, id).await?;
                Ok((agent, store::activities(tx, project, id, span).await?))
            })
        })
        .await
}

async fn find(tx: &Tx<'_>, project: ProjectId, id: PrincipalId) -> Result<Agent> {
    let unknown = || Error::not_found("agent");
    let presence = store::find(tx, project, id).await?.ok_or_else(unknown)?;
    let principal = members::by_ids(tx, vec![id]).await?.remove(&id).ok_or_else(unknown)?;
    Ok(Agent { principal, presence })
}

/// How many agents of a project stand how; statuses that none has are left out.
///
/// # Errors
/// The database's.
pub async fn count_by_status(tx: &Tx<'_>, project: ProjectId) -> Result<BTreeMap<AgentStatus, u64>> {
    store::count_by_status(tx, project).await
}

/// Takes in what somebody says of themselves.
///
/// # Errors
/// `not_found` for a project out of reach, `invalid_request` for a task that is no line of text or a document that the
/// project does not have.
pub async fn report_status(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    report: Report,
) -> Result<Agent> {
    projects::reach(app, principal, project).await?;
    let task = report.task.map(|task| task.as_deref().map(parse_task).transpose()).transpose()?;
    if let Some(Some(artifact)) = report.artifact {
        check_artifact(app, principal, project, artifact).await?;
    }
    let status = report.status.unwrap_or(AgentStatus::Running);
    let mut evidence = Evidence::new(EvidenceKind::Report, app.clock.now(), Some(status), status.as_str());
    (evidence.task, evidence.artifact) = (task, report.artifact);
    let (context, id) = (Arc::clone(app), principal.id);
    app.database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                projects::find(tx, project).await?;
                let events = note(&context, tx, project, id, evidence).await?;
                let agent = find(tx, project, id).await?;
                events::tell(&context, tx, project, events).await?;
                Ok(agent)
            })
        })
        .await
}

async fn check_artifact(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    artifact: ArtifactId,
) -> Result<()> {
    match artifacts::get_artifact(app, principal, project, artifact).await {
        Err(error) if error.code == Code::NotFound => {
            let why = "the project has no document of this id; take one from its list of artifacts, or leave it out";
            Err(Error::invalid_field("/artifactId", why))
        }
        found => found.map(drop),
    }
}

/// A line of text that says something.
fn parse_task(text: &str) -> Result<String> {
    parse_line("/task", text, TASK)
}

/// The beginning of a text as a task line. Nothing if nothing is left of it.
fn task_line(text: &str) -> Option<String> {
    to_line(text, TASK)
}

/// Takes in evidence of what somebody is at, in the transaction of what it is evidence of; gives the event to be
/// appended, if it changes anything that others see. For who is not active (any more) it does nothing. The row is held
/// until the transaction ends; the project need not be, but has to be there.
///
/// # Errors
/// The database's.
pub async fn note(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    principal: PrincipalId,
    evidence: Evidence,
) -> Result<Vec<NewEvent>> {
    let (known, events) = take_in(app, tx, project, BTreeMap::from([(principal, evidence)])).await?;
    for (principal, presence) in known {
        let (signs, tenant) = (app.signs.clone(), tx.tenant());
        tx.after_commit(move || signs.learn((tenant, project, principal), &presence));
    }
    Ok(events)
}

/// As [`note`], of several; gives also what is known then of those who are active.
async fn take_in(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    mut signs: BTreeMap<PrincipalId, Evidence>,
) -> Result<(BTreeMap<PrincipalId, Presence>, Vec<NewEvent>)> {
    let mut who = members::by_ids(tx, signs.keys().copied().collect()).await?;
    who.retain(|_, who| who.deactivated_at.is_none());
    signs.retain(|id, _| who.contains_key(id));
    if signs.is_empty() {
        return Ok((BTreeMap::new(), Vec::new()));
    }
    let unknown = signs.iter().map(|(id, evidence)| (*id, Presence::unknown(*id, evidence)));
    let before = store::hold(tx, project, unknown.collect()).await?;
    store::add_activities(tx, &app.ids, project, &signs).await?;
    let (mut known, mut changed, mut events) = (BTreeMap::new(), Vec::new(), Vec::new());
    for ((id, before), evidence) in before.into_iter().zip(signs.values()) {
        let after = before.after(evidence, app.clock.now());
        if after != before {
            changed.push(after.clone());
        }
        if let Some(who) = who.get(&id).filter(|_| !after.looks_like(&before)) {
            events.push(event(who, &before, &after, evidence.kind.as_str()));
        }
        known.insert(id, after);
    }
    store::save(tx, project, &changed).await?;
    Ok((known, events))
}

/// Notes that somebody holds a work item no more, which ended by itself: if it is what they are at, they are at nothing.
/// In the transaction of that end; gives what the log is to be told.
///
/// # Errors
/// The database's.
pub async fn lost(
    tx: &Tx<'_>,
    project: ProjectId,
    principal: PrincipalId,
    item: WorkItem,
) -> Result<Vec<NewEvent>> {
    let known = store::hold_known(tx, project, [principal]).await?.remove(&principal);
    let Some(before) = known.filter(|known| known.work_item == Some(item)) else { return Ok(Vec::new()) };
    let Some(who) = members::by_ids(tx, vec![principal]).await?.remove(&principal) else {
        return Ok(Vec::new());
    };
    let after = Presence { task: None, artifact: None, work_item: None, ..before.clone() };
    store::save(tx, project, [&after]).await?;
    Ok(vec![event(&who, &before, &after, EvidenceKind::Claim.as_str())])
}

/// Ends what somebody is at, in all projects, in the transaction in which they are deactivated. They are listed no more.
///
/// # Errors
/// The database's.
pub async fn retire(app: &App, tx: &Tx<'_>, who: &PrincipalRecord) -> Result<()> {
    let projects = store::projects_of(tx, who.id).await?;
    for project in &projects {
        tx.lock(project.0).await?; // in one order for all, as where many change at once
    }
    let mut told = Vec::new();
    for project in projects {
        let Some(before) = store::remove(tx, project, who.id).await? else { continue };
        let is_there = projects::find_if_there(tx, project).await?.is_some();
        if is_there && before.status != AgentStatus::Idle {
            let now = app.clock.now();
            let after = Presence { status: AgentStatus::Idle, since: now, ..before.clone() };
            told.push((project, event(who, &before, &after, "deactivation")));
        }
    }
    for (project, event) in told {
        events::tell(app, tx, project, vec![event]).await?;
    }
    Ok(())
}

/// Removes up to `limit` rows of a deleted project; gives their number.
///
/// # Errors
/// The database's.
pub async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    store::purge(tx, project, limit).await
}

fn event(who: &PrincipalRecord, before: &Presence, after: &Presence, evidence: &str) -> NewEvent {
    let payload = json!({
        "principalId": who.id.0,
        "name": who.name,
        "kind": who.kind,
        "from": before.status,
        "to": after.status,
        "task": after.task,
        "artifactId": after.artifact.map(|artifact| artifact.0),
        "workItemId": after.work_item,
        "evidence": evidence,
        "since": Timestamp(after.since).to_string(),
    });
    NewEvent { name: EventName::AgentStatusChanged, payload }
}

/// A work item, by its id alone: its slice is another one.
pub type WorkItem = Uuid;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_one_line_that_hides_nothing() {
        for good in ["US-12: sign in", " Größe, 試験 🚀 ", "می\u{200c}خواهم", &"x".repeat(200)] {
            assert_eq!(parse_task(good).ok().as_deref(), Some(good.trim()));
        }
        let long = "x".repeat(201);
        for bad in
            ["", " ", "a\nb", "a\tb", "a\u{202e}b", "a\u{200b}b", "\u{200d}", "\u{e0041}", "a\0", &long]
        {
            let error = parse_task(bad).expect_err("refused");
            assert_eq!((error.code, &*error.fields[0].pointer), (Code::InvalidRequest, "/task"), "{bad:?}");
        }
    }

    #[test]
    fn what_others_wrote_becomes_a_task_line_without_what_cannot_be_seen() {
        assert_eq!(task_line("fix\u{202e}cod\u{200b}e\r\n now").as_deref(), Some("fixcode  now"));
        assert_eq!(task_line("\u{e0041}\n \u{200d}"), None);
        let cut = task_line(&"é".repeat(300)).expect("a line");
        assert!(cut.ends_with("é…") && cut.chars().count() == 200, "{cut}");
        assert_eq!(task_line(&cut), Some(cut.clone()));
    }
}
