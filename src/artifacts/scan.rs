//! Scans: a project's repository is read when it is new, after each push to the tracked branch, every hour, and when
//! somebody asks.
//!
//! A project has one job for that, which is always there, and one row that tells how it went. Whoever wants a scan says
//! so in the transaction of its cause; what is asked for while one is under way is seen to by another one behind it.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{store::scans as store, worker::SCAN_REPOSITORY};
use crate::{
    accounts::Principal,
    app::App,
    audit::CallRecord,
    clock::Time,
    database::Tx,
    error::{Code, Error, Result},
    git::{Failure, GitError},
    jobs::{JobId, NewJob},
    projects::{self, ProjectConfig, ProjectId},
    wire::{Timestamp, wire_enum},
};

/// Between a failed scan and the next one that nobody but a push wants.
const PAUSE: TimeDelta = TimeDelta::seconds(30);
/// By which rules documents are read; another number has all of them read again.
const RULES: &str = "1";

wire_enum! {
    /// How far the newest scan of a repository is.
    ScanState {
        /// One is wanted, and has not begun.
        Waiting = "waiting",
        /// It is under way.
        Running = "running",
        /// It has read what there was.
        Succeeded = "succeeded",
        /// The repository cannot be read; documents stay as they were.
        Failed = "failed",
        /// Repositories are not read here (`TRACKSIDE_SCANS`).
        Off = "off",
    }
}

/// How a project's repository was read last.
#[derive(Clone, Debug)]
pub struct Scan {
    /// How far it is.
    pub state: ScanState,
    /// When a scan was asked for last.
    pub requested_at: Option<Time>,
    /// When the newest one began.
    pub started_at: Option<Time>,
    /// When it ended, well or not.
    pub finished_at: Option<Time>,
    /// When the newest one that succeeded began: documents are as fresh as that.
    pub succeeded_at: Option<Time>,
    /// The commit that was read.
    pub commit: Option<String>,
    /// Documents of the scan that were read.
    pub done: u64,
    /// Documents of the scan that were or are to be read.
    pub total: u64,
    /// Why it failed.
    pub failure: Option<(Failure, String)>,
    /// How many have failed in a row.
    pub failures: u32,
    /// What became of deliveries that the host could not make, if it was ever asked.
    pub reconciliation: Option<Reconciliation>,
    /// By which patterns and rules it was read.
    pub(super) read_as: Option<String>,
    /// Grows with everything that asks for a scan.
    pub(super) requests: i64,
    /// Whether somebody waits for the next one.
    pub(super) is_asked_for: bool,
}

/// A look at the deliveries that a host could not make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// When the host was asked.
    pub at: Time,
    /// How many it was asked to make again.
    pub redelivered: u64,
    /// Why it could not be asked.
    pub failure: Option<String>,
}

impl Scan {
    /// Before the first one.
    pub(super) fn none(state: ScanState) -> Self {
        Self {
            state,
            requested_at: None,
            started_at: None,
            finished_at: None,
            succeeded_at: None,
            commit: None,
            done: 0,
            total: 0,
            failure: None,
            failures: 0,
            reconciliation: None,
            read_as: None,
            requests: 0,
            is_asked_for: false,
        }
    }

    /// Whether the repository itself tells what it holds, so that pushes need not.
    pub fn reads(&self) -> bool {
        self.state != ScanState::Off && self.succeeded_at.is_some() && self.failure.is_none()
    }

    /// How it stands, as agents are told: without the words of what keeps it from reading.
    pub fn brief(&self) -> Value {
        json!({
            "state": self.state,
            "commit": self.commit,
            "succeededAt": self.succeeded_at.map(|at| Timestamp(at).to_string()),
            "failure": self.failure.as_ref().map(|(failure, _)| *failure),
        })
    }

    pub(super) fn failed(&mut self, error: GitError) {
        self.state = ScanState::Failed;
        self.failures = self.failures.saturating_add(1);
        self.failure = Some((error.failure, error.detail));
    }
}

/// By which patterns and rules a configuration has documents read.
pub(super) fn read_as(config: &ProjectConfig) -> String {
    let patterns = format!("{RULES} {:?} {:?}", config.branch, config.artifact_paths);
    hex::encode(&Sha256::digest(patterns)[..8])
}

/// Who wants a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The project is new, or points to something else now.
    ByProject,
    /// Something was pushed.
    ByPush,
    /// Somebody asked, and is told how it went though nothing changed.
    BySomebody,
}

/// Asks for a scan in the transaction of its cause, as soon as may be.
///
/// # Errors
/// The database's.
pub async fn want(app: &App, tx: &Tx<'_>, project: ProjectId, wanted: Wanted) -> Result<()> {
    if !app.config.git.scans {
        return Ok(());
    }
    let now = app.clock.now();
    let before = store::find(tx, project).await?;
    store::request(tx, project, now, wanted == Wanted::BySomebody).await?;
    let pause = before.filter(|scan| wanted == Wanted::ByPush && scan.failure.is_some());
    let pause = pause.and_then(|scan| scan.finished_at).map(|failed| failed + PAUSE);
    let job = NewJob { id: JobId(project.0), tenant: tx.tenant(), kind: SCAN_REPOSITORY, payload: json!({}) };
    app.jobs.hasten(tx, job, pause.unwrap_or(now).max(now)).await
}

/// How a project's repository was read last, within a transaction.
///
/// # Errors
/// The database's.
pub async fn find(app: &App, tx: &Tx<'_>, project: ProjectId) -> Result<Scan> {
    find_where(tx, project, app.config.git.scans).await
}

/// The same, where it is known whether repositories are read at all.
///
/// # Errors
/// The database's.
pub async fn find_where(tx: &Tx<'_>, project: ProjectId, scans: bool) -> Result<Scan> {
    let mut scan = store::find(tx, project).await?.unwrap_or(Scan::none(ScanState::Waiting));
    if !scans {
        scan.state = ScanState::Off;
    }
    Ok(scan)
}

/// As of when the documents of a project are known: since the repository was read last, or, where it never was, now,
/// because then pushes tell.
///
/// # Errors
/// The database's.
pub async fn fresh_as_of(tx: &Tx<'_>, project: ProjectId, now: Time) -> Result<Time> {
    Ok(store::find(tx, project).await?.and_then(|scan| scan.succeeded_at).unwrap_or(now))
}

/// How a project's repository was read last.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn get_scan(app: &Arc<App>, principal: &Principal, project: ProjectId) -> Result<Scan> {
    projects::reach(app, principal, project).await?;
    let context = Arc::clone(app);
    let read = app
        .database
        .read(principal.tenant, move |tx| Box::pin(async move { find(&context, tx, project).await }));
    read.await
}

/// Has a project's repository read now, and writes the record of the call that asks for it; gives how that stands.
///
/// # Errors
/// `not_found` for a project out of reach, `conflict` where repositories are not read.
pub async fn scan_repository(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    record: CallRecord,
) -> Result<Scan> {
    projects::reach(app, principal, project).await?;
    if !app.config.git.scans {
        let why =
            "repositories are not read here; whoever operates this service may change that: TRACKSIDE_SCANS";
        return Err(Error::new(Code::Conflict, why));
    }
    let context = Arc::clone(app);
    app.database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                projects::hold(tx, project).await?;
                want(&context, tx, project, Wanted::BySomebody).await?;
                let scan = find(&context, tx, project).await?;
                record.write(tx).await?;
                Ok(scan)
            })
        })
        .await
}
