//! What somebody decides: a gate that waits for it, a waiver, and a gate that a work item gets beside those that the
//! project asks for.

use std::sync::Arc;

use super::{
    Changed, CheckKind, Gate, GateConfig, GateId, GateStatus, Ruling, Verdict,
    evaluation::{evaluate_by, of_items},
    find, store,
};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    audit::CallRecord,
    clock::{Time, whole_microseconds},
    database::Tx,
    error::{Code, Error, Result},
    events,
    projects::{self, Project, ProjectId},
    prose::parse_text,
    wire::Timestamp,
    work::{self, Brief, WorkItemId},
};

/// Characters of a reason.
const REASON: usize = 1000;

/// A gate that a work item is to get.
#[derive(Clone, Debug)]
pub struct NewGate {
    /// The work item.
    pub work_item: WorkItemId,
    /// What is asked.
    pub config: GateConfig,
}

/// Which gate is decided about.
#[derive(Clone, Debug)]
pub enum Which {
    /// This one.
    Id(GateId),
    /// The one of a work item that is called so. One that is not there is made: a review by somebody.
    Of(WorkItemId, String),
}

impl Which {
    /// From what a request names.
    ///
    /// # Errors
    /// `invalid_request` for one that names none, or two.
    pub fn named(gate: Option<GateId>, item: Option<WorkItemId>, name: Option<String>) -> Result<Self> {
        match (gate, item, name) {
            (Some(gate), None, None) => Ok(Self::Id(gate)),
            (None, Some(item), Some(name)) => Ok(Self::Of(item, name)),
            _ => {
                let why = "name a gate by `gateId`, or by `workItemId` and `name`";
                Err(Error::invalid_field("/gateId", why))
            }
        }
    }
}

/// What somebody decides.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Until when a waiver is to hold.
    pub until: Option<Time>,
}

/// Gives a work item a gate of its own.
///
/// # Errors
/// `not_found` for a project or work item out of reach, `invalid_request` for what does not make sense, `conflict` for a
/// name that it has a gate of already, and for an item that is done.
pub async fn create_gate(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    new: NewGate,
) -> Result<Gate> {
    projects::reach(app, principal, project).await?;
    let NewGate { work_item, config } = new;
    let config = config.parse("")?;
    let context = Arc::clone(app);
    let write = app.database.write(principal.tenant, move |tx| {
        Box::pin(async move {
            let app = &context;
            projects::hold(tx, project).await?;
            let item = work::brief(tx, project, work_item).await?;
            is_open(&item)?;
            if let Some(other) = store::named(tx, project, work_item, &config.name).await? {
                let why = format!("this work item has a gate called `{}` already: {}", config.name, other.id);
                return Err(Error::new(Code::Conflict, why));
            }
            let gate = Gate::new(GateId(app.ids.uuid()), config, Some(work_item), false, app.clock.now());
            store::save(tx, project, &[&gate]).await?;
            let events = evaluate_by(app, tx, project, &Changed::nothing(), None).await?;
            events::tell(app, tx, project, events).await?;
            find(tx, project, gate.id).await
        })
    });
    write.await
}

/// Decides about a gate, and writes the record of the call that asks for it, if it was one.
///
/// # Errors
/// `not_found`; `invalid_request` for what does not make sense, also a decision about a gate that is not somebody's to
/// decide; `insufficient_scope` for a waiver by who may not manage the project; `conflict` for a review by who did the
/// work, and for a gate of a work item that is done.
pub async fn submit_gate(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    which: Which,
    submitted: Submission,
    record: CallRecord,
) -> Result<Gate> {
    projects::reach(app, principal, project).await?;
    let Submission { verdict, reason, until } = submitted;
    let reason = parse_text("/reason", &reason, REASON)?;
    let now = app.clock.now();
    match (verdict, until) {
        (Verdict::Waived, Some(until)) if until <= now => {
            let why = format!("has to come yet: it is {} now", Timestamp(now));
            return Err(Error::invalid_field("/until", why));
        }
        (Verdict::Waived, _) => principal.require_in(Some(project), Scope::ProjectsWrite)?,
        (_, Some(_)) => return Err(Error::invalid_field("/until", "only a waiver ends; leave it out")),
        (_, None) => {}
    }
    let by = principal.clone();
    let context = Arc::clone(app);
    let write = app.database.write(principal.tenant, move |tx| {
        Box::pin(async move {
            let app = &context;
            let (known, now) = (projects::hold(tx, project).await?, app.clock.now());
            let mut gate = match which {
                Which::Id(id) => find(tx, project, id).await?,
                Which::Of(item, name) => of_item(app, tx, &known, item, name).await?,
            };
            let ruling = Ruling { verdict, by: by.id.0, name: by.name.clone(), reason, at: now, until };
            gate.may_be_ruled(&ruling)?;
            if let Some(item) = gate.work_item {
                let item = work::brief(tx, project, item).await?;
                is_open(&item)?;
                if verdict != Verdict::Waived {
                    may_review(&item, &by)?;
                }
            }
            gate.rule(ruling, now);
            store::save(tx, project, &[&gate]).await?;
            let events = evaluate_by(app, tx, project, &Changed::nothing(), Some(&by)).await?;
            events::tell(app, tx, project, events).await?;
            let decided = find(tx, project, gate.id).await?;
            record.write(tx).await?;
            Ok(decided)
        })
    });
    write.await
}

impl Gate {
    /// Refuses what is not for anybody to decide.
    fn may_be_ruled(&self, ruling: &Ruling) -> Result<()> {
        if ruling.verdict == Verdict::Waived || self.config.check == CheckKind::ManualReview {
            return Ok(());
        }
        let why = format!(
            "this gate is decided by what `{}` finds: {}; see to that, or have somebody who manages the project waive it",
            self.config.check, self.outcome.message
        );
        Err(Error::invalid_field("/decision", why))
    }

    /// Takes a decision in; it is to be evaluated then. One that is no waiver ends the waiver.
    fn rule(&mut self, ruling: Ruling, now: Time) {
        if ruling.verdict == Verdict::Waived {
            self.waiver = Some(ruling);
        } else {
            (self.decision, self.waiver) = (Some(ruling), None);
        }
        self.outcome.due_at = Some(now);
        self.version += 1;
    }
}

/// The gate of a work item that is called so: one that it has, that the project asks for, or a new one.
async fn of_item(app: &App, tx: &Tx<'_>, project: &Project, item: WorkItemId, name: String) -> Result<Gate> {
    let brief = work::brief(tx, project.id, item).await?;
    is_open(&brief)?;
    if let Some(gate) = store::named(tx, project.id, item, name.trim()).await? {
        return Ok(gate);
    }
    let asked = of_items(&project.config).find(|gate| gate.name == name.trim());
    let config = match asked {
        Some(gate) => gate.clone(),
        None => GateConfig::new(&name, CheckKind::ManualReview).parse("")?,
    };
    Ok(Gate::new(GateId(app.ids.uuid()), config, Some(item), asked.is_some(), app.clock.now()))
}

/// Refuses a gate of what is done.
fn is_open(item: &Brief) -> Result<()> {
    match item.lane.is_done() {
        true => {
            let why =
                "this work item is done, and its gates stay as they were; move it to another lane first";
            Err(Error::new(Code::Conflict, why).with("next", "list_gates"))
        }
        false => Ok(()),
    }
}

/// Refuses a review by whoever did the work.
fn may_review(item: &Brief, who: &Principal) -> Result<()> {
    match item.worker == Some(who.id) {
        true => {
            let why = "you did this work: have somebody else review it";
            Err(Error::new(Code::Conflict, why).with("next", "list_gates"))
        }
        false => Ok(()),
    }
}

impl GateStatus {
    /// A word for how it stands, to be followed by why.
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::Passed => "is passed",
            Self::Failed => "is failed",
            Self::Pending => "is not passed yet",
            Self::Skipped => "is skipped",
            Self::Waived => "is waived",
        }
    }
}

/// A moment at which a waiver ends.
///
/// # Errors
/// `invalid_request` for a text that is none.
pub(super) fn parse_until(text: &str) -> Result<Time> {
    let time = chrono::DateTime::parse_from_rfc3339(text.trim()).map(|time| time.to_utc());
    let why = "has to be a time such as 2026-12-31T18:00:00Z";
    time.map(whole_microseconds).map_err(|_| Error::invalid_field("/until", why))
}
