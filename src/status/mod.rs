//! Status: how a project stands, in one answer small enough to be asked for often.
//!
//! Everything is read from one snapshot, the log's head too: the changes behind that head are exactly those that the
//! status does not count. A status is kept for [`KEPT`] and handed to whoever asks meanwhile, unless the bus tells that
//! the project's log has grown; it always says as of when it is.

mod api;
mod tools;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use self::{api::StatusApi, tools::GetProjectStatus};
use crate::{
    accounts::Principal,
    agents::{self, AgentStatus},
    app::App,
    artifacts::{
        self, ArtifactKind,
        scan::{self, Scan},
    },
    clock::Time,
    conflicts::{self, Severity},
    database::{TenantId, Tx},
    error::{Error, Result},
    events::{self, Event, Head, bus::Listener},
    gates::{self, Standing},
    projects::{self, Project, ProjectId},
    recent::Recent,
    runs::{self, Run, RunKind, RunStatus},
    webhooks::{self, DeliveryStatus, LastDelivery},
    work,
};

/// For how long a status is handed out.
const KEPT: Duration = Duration::from_secs(1);
/// How many of the newest runs are looked at.
const RUNS: u64 = 200;
/// Up to how many deliveries are counted.
const COUNTED: u64 = 100;

/// The statuses that were read a moment ago.
pub struct Statuses(Recent<(TenantId, ProjectId), Arc<Heard>>);

/// A status, and an ear for what happens after it.
struct Heard {
    status: Arc<ProjectStatus>,
    news: Listener,
}

impl Default for Statuses {
    fn default() -> Self {
        Self(Recent::new(KEPT))
    }
}

/// How a project stands.
#[derive(Clone, Debug)]
pub struct ProjectStatus {
    /// The project.
    pub project: Project,
    /// The newest place in its log: where to list changes from.
    pub head: Head,
    /// What happened last.
    pub last_change: Option<Event>,
    /// Tracked documents by kind; kinds without any are left out.
    pub artifacts: BTreeMap<ArtifactKind, u64>,
    /// Open conflicts by how bad they are; those that none are of are left out.
    pub conflicts: BTreeMap<Severity, u64>,
    /// Work items by lane; lanes without any are left out.
    pub work: BTreeMap<String, u64>,
    /// How gates stand, and how far the phases are.
    pub gates: Standing,
    /// Agents by how they stand; statuses that none has are left out.
    pub agents: BTreeMap<AgentStatus, u64>,
    /// How the repository was read last.
    pub scan: Scan,
    /// Of the newest [`RUNS`] runs those that are queued or under way, newest first.
    pub running: Vec<Run>,
    /// Of the newest [`RUNS`] runs those of CI that failed and are the last of their name on their branch, newest first.
    pub failing: Vec<Run>,
    /// Deliveries that have not been worked through yet, counted up to [`COUNTED`].
    pub pending_deliveries: u64,
    /// Deliveries that were given up, counted up to [`COUNTED`]: what they tell is missing here.
    pub failed_deliveries: u64,
    /// What a Git host delivered last.
    pub last_delivery: Option<LastDelivery>,
    /// When it was read.
    pub as_of: Time,
}

/// How a project stands, as of at most [`KEPT`] ago.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn get_project_status(
    app: &App,
    principal: &Principal,
    project: ProjectId,
) -> Result<Arc<ProjectStatus>> {
    if !principal.reaches(project) {
        return Err(Error::not_found("project"));
    }
    let tenant = principal.tenant;
    let read = || {
        let news = app.bus.listen(project); // before the snapshot, so that nothing falls between
        let (database, as_of, scans) = (app.database.clone(), app.clock.now(), app.config.git.scans);
        async move {
            let status = database.read(tenant, move |tx| Box::pin(read(tx, project, as_of, scans))).await?;
            Ok(Arc::new(Heard { status: Arc::new(status), news }))
        }
    };
    let heard = app.statuses.0.get((tenant, project), |heard| !heard.news.has_heard(), read).await?;
    Ok(Arc::clone(&heard.status))
}

async fn read(tx: &Tx<'_>, project: ProjectId, as_of: Time, scans: bool) -> Result<ProjectStatus> {
    let head = events::head(tx, project).await?;
    let runs = runs::newest(tx, project, RUNS).await?;
    let known = projects::find(tx, project).await?;
    Ok(ProjectStatus {
        gates: gates::standing(tx, &known).await?,
        project: known,
        head,
        last_change: events::last(tx, project, head).await?,
        artifacts: artifacts::count_by_kind(tx, project).await?,
        conflicts: conflicts::count_open(tx, project).await?,
        work: work::count_by_lane(tx, project).await?,
        agents: agents::count_by_status(tx, project).await?,
        scan: scan::find_where(tx, project, scans).await?,
        running: runs.iter().filter(|run| !run.state.status.is_final()).cloned().collect(),
        failing: failing(runs),
        pending_deliveries: webhooks::count(tx, project, DeliveryStatus::Pending, COUNTED).await?,
        failed_deliveries: webhooks::count(tx, project, DeliveryStatus::Failed, COUNTED).await?,
        last_delivery: webhooks::last(tx, project).await?,
        as_of,
    })
}

/// Runs of CI that failed, of which no later one has the same name and branch; those that are cancelled, lost or not
/// over yet say nothing about it.
fn failing(newest_first: Vec<Run>) -> Vec<Run> {
    let mut last = std::collections::HashSet::new();
    let mut ended = newest_first;
    ended.retain(|run| {
        run.state.kind != RunKind::Agent
            && matches!(run.state.status, RunStatus::Success | RunStatus::Failed)
            && last.insert((run.state.name.clone(), run.state.branch.clone()))
    });
    ended.retain(|run| run.state.status == RunStatus::Failed);
    ended
}
