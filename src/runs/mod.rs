//! Runs: executions of CI pipelines, as the Git host tells of them, and what agents run, as they tell themselves.
//!
//! States of a pipeline arrive in any order and more than once. Each carries a revision that orders the states of one
//! run; one that is not newer than what is known causes no event, and whatever the order, the same stands in the end. An
//! agent begins a run, gives signs of life while it works, and ends it ([`agents`]); nobody but it and admins may.
//!
//! A run whose end never comes is closed as lost after its deadline ([`worker`]), told once. Lost is an end of which only
//! this service knows: what a Git host tells later, by its own revision, still counts. An agent's run stays lost.
//!
//! How long a run took is its end less its start, both by the clock of whoever tells of it. Where that makes no sense,
//! because it ended before it started, it is what the host itself counted, or nothing: never a negative number.

mod agents;
mod api;
mod marks;
mod store;
mod tools;
pub mod worker;

use serde_json::json;
use uuid::Uuid;

use self::marks::Marks;
pub use self::{
    agents::{NewRun, RunPatch, Spent, begin_run, update_run},
    api::{RunOut, RunsApi},
    tools::{GetRun, ListRuns},
};
use crate::{
    accounts::{Principal, PrincipalId},
    agents::{ActivityOutcome, Ran, note_run},
    app::App,
    clock::Time,
    database::Tx,
    error::{Error, Result},
    events::{EventName, NewEvent},
    projects::{self, ProjectId},
    webhooks::Source,
    wire::{Found, Page, id_type, wire_enum},
    work::{self, heard::Heard, lease::SignOfLife},
};

id_type! {
    /// Names a run.
    RunId
}

wire_enum! {
    /// What kind of execution a run is.
    RunKind {
        /// A whole pipeline.
        Workflow = "workflow",
        /// One check of a commit.
        Check = "check",
        /// A commit status, set by some other system.
        Status = "status",
        /// What an agent does, as it tells itself.
        Agent = "agent",
    }
}

wire_enum! {
    /// How a run stands.
    RunStatus {
        /// It has not begun.
        Queued = "queued",
        /// It is under way.
        Running = "running",
        /// It ended well.
        Success = "success",
        /// It ended badly.
        Failed = "failed",
        /// It ended without a result: cancelled, skipped, stale.
        Cancelled = "cancelled",
        /// Nothing was heard of it until its deadline.
        Lost = "lost",
    }
}

impl RunStatus {
    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// How far a run has come: a later state of one attempt never has a smaller one.
    pub fn progress(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Running => 1,
            Self::Success | Self::Failed | Self::Cancelled | Self::Lost => 2,
        }
    }
}

/// One state of a run, as whoever tells of it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunState {
    /// The Git host; none for an agent's.
    pub source: Option<Source>,
    /// The host's own name of the run.
    pub external_id: String,
    /// What kind of execution it is.
    pub kind: RunKind,
    /// The name people see.
    pub name: String,
    /// How it stands.
    pub status: RunStatus,
    /// The commit it runs on.
    pub commit: Option<String>,
    /// The branch it runs on.
    pub branch: Option<String>,
    /// Where the host shows it.
    pub url: Option<String>,
    /// When it was set up, where the host says that instead of when it started; not kept.
    pub made_at: Option<Time>,
    /// When it started.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// How long the host itself says that it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// Orders the states of one run; what that means is the host's affair.
    pub revision: i64,
    /// When the host says this state was reached; an agent's last sign of life.
    pub stated_at: Time,
}

/// A run as it is known.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What was told of it last, or that it is lost.
    pub state: RunState,
    /// What else is known of an agent's.
    pub agent: Option<AgentRun>,
    /// When it is given up unless somebody tells of it; none once it has ended.
    pub deadline_at: Option<Time>,
    marks: Marks,
}

/// What is known of an agent's run beside its state.
#[derive(Clone, Debug)]
pub struct AgentRun {
    /// Whose it is.
    pub by: Runner,
    /// The work item that it is for, as the agent said.
    pub work_item: Option<Uuid>,
    /// How many seconds it is waited for after each sign of life.
    pub deadline_seconds: i64,
    /// What the agent said of it last.
    pub summary: Option<String>,
    /// What it has used so far.
    pub spent: Spent,
}

/// Who runs something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// The principal.
    pub id: PrincipalId,
    /// The name it had then.
    pub name: String,
}

impl Run {
    /// When it started; of a commit status, as its states tell.
    pub fn started_at(&self) -> Option<Time> {
        self.state.started_at.or_else(|| self.marks.began())
    }

    /// How long it took, in milliseconds and never less than 0, once it has ended and if that can be said.
    pub fn duration_ms(&self) -> Option<i64> {
        if !self.state.status.is_final() || self.state.status == RunStatus::Lost {
            return None;
        }
        let told = self.state.finished_at.zip(self.started_at());
        let told = told.map(|(finished, started)| (finished - started).num_milliseconds());
        told.filter(|told| *told >= 0).or(self.state.duration_ms)
    }

    /// What it says of whoever runs it, if it says anything: one that was lost does not.
    fn as_evidence(&self, heard_at: Time) -> Option<Ran<'_>> {
        let outcome = match self.state.status {
            RunStatus::Running => ActivityOutcome::Started,
            RunStatus::Success => ActivityOutcome::Success,
            RunStatus::Failed => ActivityOutcome::Failure,
            RunStatus::Cancelled => ActivityOutcome::Cancelled,
            _ => return None,
        };
        Some(Ran {
            name: &self.state.name,
            outcome,
            by: self.agent.as_ref().map(|agent| agent.by.id),
            commit: self.state.commit.as_deref(),
            branch: self.state.branch.as_deref(),
            at: heard_at,
        })
    }
}

/// Takes in a state of a run, as a Git host tells it, while the project is held; gives the events it causes, none if it is
/// not newer than what is known.
///
/// # Errors
/// The database's.
pub async fn apply_state(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    state: RunState,
    heard_at: Time,
) -> Result<Vec<NewEvent>> {
    let before = store::by_external_id(tx, project, state.source, &state.external_id).await?;
    let known = before.as_ref().map(|before| before.marks.clone()).unwrap_or_default();
    let marks = known.with(&state);
    if let Some(before) = before.as_ref().filter(|before| !supersedes(&state, &before.state)) {
        if marks != known {
            store::save(tx, project, &Run { marks, ..before.clone() }, false).await?;
        }
        return Ok(Vec::new());
    }
    let id = before.as_ref().map_or_else(|| RunId(app.ids.uuid()), |before| before.id);
    let is_over = state.status.is_final();
    let deadline_at = (!is_over).then(|| app.clock.now() + app.config.run_deadline);
    let run = Run { id, state, agent: None, deadline_at, marks };
    let before = before.map(|before| before.state.status);
    record(app, tx, project, before, &run, heard_at).await
}

/// Whether `new` is a later state than `old`: the newer revision wins, and within one the later statement. Of two that
/// claim the same moment one wins whichever comes first, and nothing is both later and the same.
fn supersedes(new: &RunState, old: &RunState) -> bool {
    fn rank(state: &RunState) -> impl Ord + '_ {
        let RunState { revision, stated_at, status, started_at, finished_at, duration_ms, .. } = *state;
        // A run that was lost ranks behind the state it was lost in: told again, that is no news.
        let told = (revision, stated_at, status, started_at, finished_at, duration_ms);
        (told, &state.commit, &state.branch, &state.url, &state.name)
    }
    rank(new) > rank(old)
}

/// Stores a run that is new, begins or ends; gives what the log is to be told, if anything.
///
/// Every start and every end of every run comes through here, whoever tells of it: a Git host, an agent, or the deadline.
/// It happens in the transaction of what told it, while the project is held. That it was heard of then is a sign of life
/// of whoever runs it.
async fn record(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    before: Option<RunStatus>,
    run: &Run,
    heard_at: Time,
) -> Result<Vec<NewEvent>> {
    store::save(tx, project, run, before.is_none()).await?;
    let name = match (before, run.state.status) {
        (_, status) if status.is_final() => EventName::RunFinished,
        (Some(RunStatus::Running), RunStatus::Running) => {
            if run.agent.is_some() {
                prolong(app, tx, project, run, heard_at).await?;
            }
            return Ok(Vec::new());
        }
        (_, RunStatus::Running) => EventName::RunStarted,
        _ => return Ok(Vec::new()), // queued: nothing has happened yet
    };
    let mut events = vec![NewEvent { name, payload: payload(run) }];
    let is_over = run.state.status.is_final();
    prolong(app, tx, project, run, heard_at).await?;
    if let Some(ran) = run.as_evidence(heard_at) {
        events.extend(note_run(app, tx, project, ran).await?);
    }
    if let Some((AgentRun { work_item: Some(item), by, .. }, began_at)) =
        run.agent.as_ref().zip(run.started_at())
        && is_over
    {
        events.extend(work::worker::run_ended(app, tx, project, (*item, by.id, began_at)).await?);
    }
    Ok(events)
}

/// Prolongs the claims of whoever runs it, or may.
async fn prolong(app: &App, tx: &Tx<'_>, project: ProjectId, run: &Run, heard_at: Time) -> Result<()> {
    let Some(ran) = run.as_evidence(heard_at) else { return Ok(()) };
    let whose = run.agent.iter().map(|agent| agent.by.id).collect();
    let heard = Heard { by: SignOfLife::Run, whose: &whose, branch: ran.branch, at: heard_at };
    work::worker::heard_of(app, tx, project, &[heard]).await
}

fn payload(run: &Run) -> serde_json::Value {
    let state = &run.state;
    let mut payload = json!({
        "id": run.id.0,
        "runId": run.id.0,
        "kind": state.kind.as_str(),
        "name": state.name,
        "status": state.status.as_str(),
        "commit": state.commit,
        "branch": state.branch,
        "url": state.url,
        "durationMs": run.duration_ms(),
    });
    if let Some(AgentRun { by, work_item, summary, spent, .. }) = &run.agent {
        payload["principal"] = json!({"id": by.id.0, "name": by.name});
        payload["workItemId"] = json!(work_item);
        payload["summary"] = json!(summary);
        payload["costMicroUsd"] = json!(spent.cost_micro_usd);
        payload["inputTokens"] = json!(spent.input_tokens);
        payload["outputTokens"] = json!(spent.output_tokens);
    }
    payload
}

/// Removes up to `limit` runs of a deleted project; gives their number.
///
/// # Errors
/// The database's.
pub async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    store::purge(tx, project, limit).await
}

/// Which runs are meant.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Those that stand so.
    pub status: Option<RunStatus>,
    /// Those of this kind.
    pub kind: Option<RunKind>,
    /// Those of this commit.
    pub commit: Option<String>,
    /// Those of this branch.
    pub branch: Option<String>,
    /// Those of this principal.
    pub by: Option<PrincipalId>,
    /// Those that were heard of first at this time or later.
    pub since: Option<Time>,
    /// Those that were heard of first before this time.
    pub until: Option<Time>,
}

/// A page of a project's runs, newest first, and one more if there are more.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn list_runs(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    filter: RunFilter,
    page: Page<RunId>,
) -> Result<Found<Run>> {
    projects::reach(app, principal, project).await?;
    app.database
        .read(principal.tenant, move |tx| {
            Box::pin(async move { store::list(tx, project, &filter, &page).await })
        })
        .await
}

/// The newest runs of a project, newest first.
///
/// # Errors
/// The database's.
pub async fn newest(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<Vec<Run>> {
    store::newest(tx, project, limit).await
}

/// A run of CI that ended well or badly, in short: what gates look at.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The name people see.
    pub name: String,
    /// Whether it ended well.
    pub is_success: bool,
    /// The commit it ran on.
    pub commit: Option<String>,
    /// The branch it ran on.
    pub branch: Option<String>,
}

/// Runs of CI of a project that ended well or badly, among the newest `limit` such runs, those that ended last first.
///
/// # Errors
/// The database's.
pub async fn ended(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<Vec<Ended>> {
    store::ended(tx, project, limit).await
}

/// A run, as it was told of last.
///
/// # Errors
/// `not_found` for a project or run out of reach.
pub async fn get_run(app: &App, principal: &Principal, project: ProjectId, id: RunId) -> Result<Run> {
    projects::reach(app, principal, project).await?;
    let run = app.database.read(principal.tenant, move |tx| Box::pin(store::find(tx, project, id))).await?;
    run.ok_or_else(|| Error::not_found("run"))
}
