//! Runs: executions of CI pipelines, as the Git host tells of them.
//!
//! States arrive in any order and more than once. Each carries a revision that orders the states of one run;
//! one that is not newer than what is known changes nothing and causes no event.

mod api;
mod store;
mod tools;

use serde_json::json;

pub use self::{
    api::{RunOut, RunsApi},
    tools::{GetRun, ListRuns},
};
use crate::{
    accounts::Principal,
    app::App,
    clock::{Ids, Time},
    database::Tx,
    error::{Error, Result},
    events::{EventName, NewEvent},
    projects::{self, ProjectId},
    webhooks::Source,
    wire::{Found, Page, id_type, wire_enum},
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
    }
}

impl RunStatus {
    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled)
    }

    /// How far a run has come: a later state of one attempt never has a smaller one.
    pub fn progress(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Running => 1,
            Self::Success | Self::Failed | Self::Cancelled => 2,
        }
    }
}

/// One state of a run, as a Git host tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunState {
    /// The host.
    pub source: Source,
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
    /// When it started.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// Orders the states of one run; what that means is the host's affair.
    pub revision: i64,
    /// When the host says this state was reached.
    pub stated_at: Time,
}

/// A run as it is known.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What was told of it last.
    pub state: RunState,
}

/// Takes in a state of a run; gives the events it causes, none if it is not newer than what is known.
///
/// # Errors
/// The database's.
pub async fn apply_state(
    tx: &Tx<'_>,
    ids: &Ids,
    project: ProjectId,
    state: RunState,
) -> Result<Vec<NewEvent>> {
    let before = store::by_external_id(tx, project, state.source, &state.external_id).await?;
    if before.as_ref().is_some_and(|before| !supersedes(&state, &before.state)) {
        return Ok(Vec::new());
    }
    let run = Run { id: before.as_ref().map_or_else(|| RunId(ids.uuid()), |before| before.id), state };
    store::save(tx, project, &run, before.is_none()).await?;
    let name = match (before.map(|before| before.state.status), run.state.status) {
        (_, status) if status.is_final() => EventName::RunFinished,
        (Some(RunStatus::Running), RunStatus::Running) => return Ok(Vec::new()),
        (_, RunStatus::Running) => EventName::RunStarted,
        _ => return Ok(Vec::new()), // queued: nothing has happened yet
    };
    Ok(vec![NewEvent { name, payload: payload(&run) }])
}

/// Whether `new` is a later state than `old`: the newer revision wins, and within one the later statement.
fn supersedes(new: &RunState, old: &RunState) -> bool {
    (new.revision, new.stated_at) > (old.revision, old.stated_at)
}

fn payload(run: &Run) -> serde_json::Value {
    let state = &run.state;
    json!({
        "id": run.id.0,
        "kind": state.kind.as_str(),
        "name": state.name,
        "status": state.status.as_str(),
        "commit": state.commit,
        "branch": state.branch,
        "url": state.url,
        "durationMs": duration_ms(state),
    })
}

/// How long a run took, in milliseconds, once it has ended.
fn duration_ms(state: &RunState) -> Option<i64> {
    Some((state.finished_at? - state.started_at?).num_milliseconds().max(0))
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
    /// Those of this commit.
    pub commit: Option<String>,
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

/// A run, as it was told of last.
///
/// # Errors
/// `not_found` for a project or run out of reach.
pub async fn get_run(app: &App, principal: &Principal, project: ProjectId, id: RunId) -> Result<Run> {
    projects::reach(app, principal, project).await?;
    let run = app.database.read(principal.tenant, move |tx| Box::pin(store::find(tx, project, id.0))).await?;
    run.ok_or_else(|| Error::not_found("run"))
}
