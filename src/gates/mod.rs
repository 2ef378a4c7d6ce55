//! Gates: what has to hold before a phase of a project, or a work item, is complete.
//!
//! A project asks for gates in its configuration ([`presets`]); anybody who works in it may give a work item further ones.
//! Each looks at something that is known anyway: documents, conflicts, runs, files ([`check`]), or waits for somebody to
//! decide. They are evaluated in the transaction of whatever may make a difference, once, while the project is held
//! ([`evaluation`]): a handful of queries, and only those that the gates in question need. So what the log tells of a
//! change and of the gates that it turns comes in one piece, and nobody sees a gate that is behind.
//!
//! A work item is not done while a gate of its own is red ([`keeper`]). Who did the work does not review it. A waiver
//! stands above what a gate finds, names who answers for it, and ends by itself ([`worker`]).
//!
//! A gate of a work item that is done stays as it was then.

mod api;
mod check;
mod decide;
mod evaluation;
pub mod keeper;
pub mod presets;
pub mod sprint;
mod store;
mod tools;
pub mod worker;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

pub use self::{
    api::{GateCountsOut, GatesApi},
    check::{Changed, Progress, Topic},
    decide::{NewGate, Submission, Which, create_gate, submit_gate},
    evaluation::{evaluate, note_files, see_files, tell, wanted_files},
    presets::GateConfig,
    tools::{ListGates, SubmitGate},
};
use crate::{
    accounts::Principal,
    app::App,
    clock::Time,
    database::Tx,
    error::{Error, Result},
    events::{self, EventName, NewEvent},
    projects::{self, Project, ProjectId},
    wire::{Found, Page, id_type, wire_enum},
    work::WorkItemId,
};

id_type! {
    /// Names a gate; later ones have greater names.
    GateId
}

wire_enum! {
    /// A phase of a project, in their order.
    Phase {
        /// What is to be made is written down.
        Build = "build",
        /// How it is to be made is.
        Map = "map",
        /// It is made, and it works.
        Analyze = "analyze",
        /// It can be handed to whoever uses it.
        Deploy = "deploy",
    }
}

wire_enum! {
    /// What a gate looks at.
    CheckKind {
        /// Whether there are documents of a kind, or at some paths, and how many.
        ArtifactExists = "artifact_exists",
        /// Whether one of them states a version that is made of numbers.
        VersionValid = "version_valid",
        /// Whether no conflict is open that is worse than `info`.
        DependenciesResolved = "dependencies_resolved",
        /// Whether the newest run of each name ended well, on the tracked branch or of a work item's commit.
        TestsPassing = "tests_passing",
        /// Whether a file was seen at some paths, in a scan or a push.
        CodeExists = "code_exists",
        /// Whether somebody has passed it who did not do the work.
        ManualReview = "manual_review",
        /// Whether quality assurance has, in a file of the repository.
        QaFile = "qa_file",
    }
}

wire_enum! {
    /// How a gate stands.
    GateStatus {
        /// What it asks for holds.
        Passed = "passed",
        /// It does not.
        Failed = "failed",
        /// It is not there yet, or nobody knows.
        Pending = "pending",
        /// It makes no sense here.
        Skipped = "skipped",
        /// Whether it holds or not, somebody answers for it.
        Waived = "waived",
    }
}

impl GateStatus {
    /// Whether it lets something pass that has this gate.
    pub fn is_green(self) -> bool {
        !self.is_red()
    }

    /// Whether it holds back a work item that has this gate.
    pub fn is_red(self) -> bool {
        matches!(self, Self::Failed | Self::Pending)
    }
}

wire_enum! {
    /// What somebody decides about a gate.
    Verdict {
        /// What it asks for holds.
        Passed = "passed",
        /// It does not.
        Failed = "failed",
        /// They answer for it.
        Waived = "waived",
    }
}

/// What somebody has decided about a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ruling {
    /// What.
    pub verdict: Verdict,
    /// The principal.
    pub by: Uuid,
    /// The name which that had then.
    pub name: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Time,
    /// Until when a waiver holds; none for as long as nobody decides otherwise.
    pub until: Option<Time>,
}

/// Whether a file was seen at the paths of a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nobody has told of one, and nobody has looked.
    Unknown,
    /// A scan has looked, and there was none.
    Nothing,
    /// There is one here.
    At(String),
}

/// What came of evaluating a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it stands.
    pub status: GateStatus,
    /// Why, and what to do.
    pub message: String,
    /// When that may change though nothing happens.
    pub due_at: Option<Time>,
}

/// Something that has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Its id.
    pub id: GateId,
    /// What is asked.
    pub config: GateConfig,
    /// The work item that has it; none if a phase does.
    pub work_item: Option<WorkItemId>,
    /// Whether the project's configuration asks for it, so that it goes when that does not any more.
    pub is_configured: bool,
    /// Whether a file was seen that it asks for.
    pub seen: Seen,
    /// What somebody has decided, whose affair it is.
    pub decision: Option<Ruling>,
    /// The waiver, also one that is over.
    pub waiver: Option<Ruling>,
    /// How it stands.
    pub outcome: Outcome,
    /// Since when it stands so.
    pub evaluated_at: Time,
    /// When its work item was done, with which it stays as it was.
    pub closed_at: Option<Time>,
    /// Grows by one with every change.
    pub version: i64,
}

impl Gate {
    /// One that nobody has evaluated yet.
    fn new(
        id: GateId,
        config: GateConfig,
        work_item: Option<WorkItemId>,
        is_configured: bool,
        now: Time,
    ) -> Self {
        let message = "nobody has looked yet".to_owned();
        Self {
            id,
            config,
            work_item,
            is_configured,
            seen: Seen::Unknown,
            decision: None,
            waiver: None,
            // Whoever looks next is to evaluate it.
            outcome: Outcome { status: GateStatus::Pending, message, due_at: Some(now) },
            evaluated_at: now,
            closed_at: None,
            version: 1,
        }
    }

    /// The waiver that is in force at a moment.
    pub fn waiver_at(&self, now: Time) -> Option<&Ruling> {
        self.waiver.as_ref().filter(|waiver| waiver.until.is_none_or(|until| now < until))
    }

    /// That it stands otherwise than it did; `title` is that of its work item, and `by` who decided so, if somebody did.
    fn event(&self, from: GateStatus, title: Option<String>, by: Option<&Principal>) -> NewEvent {
        let payload = json!({
            "id": self.id.0,
            "gateId": self.id.0,
            "name": self.config.name,
            "check": self.config.check,
            "phase": self.config.phase,
            "workItemId": self.work_item.map(|item| item.0),
            "title": title,
            "from": from,
            "to": self.outcome.status,
            "message": self.outcome.message,
            "by": by.map(|by| json!({"id": by.id.0, "name": by.name})),
        });
        NewEvent { name: EventName::GateEvaluated, payload }
    }
}

/// Which gates are meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct GateFilter {
    /// Those of this phase.
    pub phase: Option<Phase>,
    /// Those that stand so.
    pub status: Option<GateStatus>,
    /// Those of this work item.
    pub work_item: Option<WorkItemId>,
}

/// How the gates of a project stand, beside those of work items that are done.
#[derive(Clone, Debug)]
pub struct Standing {
    /// How many stand how; what none does is left out.
    pub by_status: BTreeMap<GateStatus, u64>,
    /// How far the phases are.
    pub progress: Progress,
}

impl Standing {
    /// How many gates stand so.
    pub fn count(&self, status: GateStatus) -> u64 {
        self.by_status.get(&status).copied().unwrap_or_default()
    }
}

/// How the gates of a project stand.
///
/// # Errors
/// The database's.
pub async fn standing(tx: &Tx<'_>, project: &Project) -> Result<Standing> {
    let mut rows = store::standing(tx, project.id).await?;
    if rows.iter().all(|(phase, ..)| phase.is_none()) {
        // Nobody has evaluated them since the project asks for any.
        let asked = project.config.gates.iter().filter(|gate| gate.phase.is_some());
        rows.extend(asked.map(|gate| (gate.phase, GateStatus::Pending, gate.weight)));
    }
    let mut by_status = BTreeMap::new();
    for (_, status, _) in &rows {
        *by_status.entry(*status).or_default() += 1;
    }
    let of_phases = rows.into_iter().filter_map(|(phase, status, weight)| Some((phase?, status, weight)));
    Ok(Standing { by_status, progress: check::progress(of_phases) })
}

/// A page of a project's gates, oldest first, and one more if there are more; and how all of them stand. Those of work
/// items that are done are there only for who asks for an item's.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn list_gates(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    filter: GateFilter,
    page: Page<GateId>,
) -> Result<(Found<Gate>, Standing)> {
    let known = projects::reach(app, principal, project).await?;
    let read = app.database.read(principal.tenant, move |tx| {
        Box::pin(async move {
            let standing = standing(tx, &known).await?;
            Ok((store::list(tx, project, filter, &page).await?, standing))
        })
    });
    read.await
}

/// A gate.
///
/// # Errors
/// `not_found` for a project or gate out of reach.
pub async fn get_gate(app: &App, principal: &Principal, project: ProjectId, id: GateId) -> Result<Gate> {
    projects::reach(app, principal, project).await?;
    app.database.read(principal.tenant, move |tx| Box::pin(find(tx, project, id))).await
}

async fn find(tx: &Tx<'_>, project: ProjectId, id: GateId) -> Result<Gate> {
    store::find(tx, project, id).await?.ok_or_else(|| Error::not_found("gate"))
}

/// How far the phases of a project are, and how its gates stand.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn get_phase_progress(app: &App, principal: &Principal, project: ProjectId) -> Result<Standing> {
    let known = projects::reach(app, principal, project).await?;
    let read =
        app.database.read(principal.tenant, move |tx| Box::pin(async move { standing(tx, &known).await }));
    read.await
}

/// Evaluates all gates of a project now, though every change evaluates those that it concerns; gives how many stand
/// otherwise than before, and how all of them stand.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn evaluate_gates(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
) -> Result<(u64, Standing)> {
    projects::reach(app, principal, project).await?;
    let context = Arc::clone(app);
    let write = app.database.write(principal.tenant, move |tx| {
        Box::pin(async move {
            let known = projects::hold(tx, project).await?;
            let events = evaluate(&context, tx, project, &Changed::everything()).await?;
            let changed = events.iter().filter(|event| event.name == EventName::GateEvaluated).count();
            let standing = standing(tx, &known).await?;
            events::tell(&context, tx, project, events).await?;
            Ok((changed as u64, standing))
        })
    });
    write.await
}

/// Removes the gates of a work item that is deleted.
///
/// # Errors
/// The database's.
pub async fn forget_item(tx: &Tx<'_>, project: ProjectId, item: WorkItemId) -> Result<()> {
    store::remove_of(tx, project, item).await
}

/// Removes up to `limit` gates of a deleted project; gives their number.
///
/// # Errors
/// The database's.
pub async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    store::purge(tx, project, limit).await
}
