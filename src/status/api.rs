//! Status over REST.

use std::{collections::BTreeMap, sync::Arc};

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

use super::ProjectStatus;
use crate::{
    accounts::{Caller, scope},
    app::App,
    artifacts::scan::{Scan, ScanState},
    conflicts::OpenConflictsOut,
    error::Result,
    gates::GateCountsOut,
    git::Failure,
    projects::ProjectId,
    rest::Tag,
    runs::RunOut,
    webhooks::{DeliveryStatus, LastDelivery, Source, WebhookEventId},
    wire::{Timestamp, example},
};

/// The route of a project's status.
pub struct StatusApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Projects")]
impl StatusApi {
    /// Show a project's status
    ///
    /// How a project stands: documents by kind, what CI runs and what it finds broken, deliveries that wait or failed,
    /// the last one, and the place in the log from which changes after this status can be listed or followed. A status
    /// may be a second old; `freshAsOf` says as of when it is.
    #[oai(path = "/projects/:project_id/status", method = "get", operation_id = "get_project_status")]
    async fn get_project_status(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::StatusRead>,
        /// The project.
        project_id: Path<ProjectId>,
    ) -> Result<Json<StatusOut>> {
        let status = super::get_project_status(&app, &caller.principal, project_id.0).await?;
        Ok(Json(StatusOut::from(&*status)))
    }
}

/// How a project stands.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ProjectStatus", example)]
struct StatusOut {
    /// The project.
    project_id: ProjectId,
    /// The name people see.
    name: String,
    /// Where its repository lives.
    repo_url: String,
    /// Tracked documents by kind.
    artifacts: BTreeMap<String, u64>,
    /// Open conflicts by how bad they are.
    conflicts: OpenConflictsOut,
    /// Work items by lane.
    work: BTreeMap<String, u64>,
    /// How gates stand, and how far the current phase is.
    gates: GateCountsOut,
    /// Agents by how they stand: `idle`, `running`, `completed`, `blocked`, `error`.
    agents: BTreeMap<String, u64>,
    /// How the repository was read last.
    scan: ScanStatusOut,
    /// Runs that are queued or under way, newest first, among the newest 200.
    running: Vec<RunOut>,
    /// Runs that failed and are the last of their name on their branch, newest first, among the newest 200.
    failing: Vec<RunOut>,
    /// What is not worked through.
    deliveries: DeliveriesOut,
    /// What a Git host delivered last; null while nothing has come.
    last_delivery: Option<LastDeliveryOut>,
    /// What happened last.
    last_change: Option<LastChangeOut>,
    /// The id of the newest event: changes behind it are not in this status.
    last_event_id: String,
    /// As of when this is.
    fresh_as_of: Timestamp,
}

/// How a repository was read last, in short.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ScanStatus")]
struct ScanStatusOut {
    /// How far the newest scan is.
    state: ScanState,
    /// The commit that was read.
    commit: Option<String>,
    /// When the newest scan that succeeded began: artifacts are as fresh as that.
    succeeded_at: Option<Timestamp>,
    /// What keeps the repository from being read, if something does.
    failure: Option<Failure>,
}

impl From<&Scan> for ScanStatusOut {
    fn from(scan: &Scan) -> Self {
        Self {
            state: scan.state,
            commit: scan.commit.clone(),
            succeeded_at: scan.succeeded_at.map(Timestamp),
            failure: scan.failure.as_ref().map(|(failure, _)| *failure),
        }
    }
}

/// Deliveries that are not worked through, each number at most 100.
#[derive(Object)]
#[oai(rename = "DeliveriesLeft")]
struct DeliveriesOut {
    /// Those that wait.
    pending: u64,
    /// Those that were given up: what they tell is missing.
    failed: u64,
}

/// What a Git host delivered last.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "LastDelivery")]
struct LastDeliveryOut {
    /// Our id.
    id: WebhookEventId,
    /// The Git host.
    source: Source,
    /// The host's name of the event.
    event_type: String,
    /// What became of it.
    status: DeliveryStatus,
    /// When it was received.
    received_at: Timestamp,
}

impl From<&LastDelivery> for LastDeliveryOut {
    fn from(delivery: &LastDelivery) -> Self {
        Self {
            id: delivery.id,
            source: delivery.source,
            event_type: delivery.event_type.clone(),
            status: delivery.status,
            received_at: delivery.received_at.into(),
        }
    }
}

/// What happened last in a project.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "LastChange")]
struct LastChangeOut {
    /// The event's name.
    event: String,
    /// When it was recorded.
    timestamp: Timestamp,
}

example!(StatusOut, {
    "projectId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "name": "Rocket",
    "repoUrl": "https://github.com/your-org/your-repo",
    "artifacts": {"prd": 1, "story": 12},
    "conflicts": {"critical": 0, "warning": 2, "info": 0},
    "work": {"ready": 3, "doing": 2, "done": 7},
    "gates": {"currentPhase": "map", "percentage": 50, "counts": {"passed": 3, "pending": 6}},
    "agents": {"running": 2, "blocked": 1},
    "scan": {"state": "succeeded", "commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
             "succeededAt": "2026-11-21T09:00:00Z"},
    "running": [],
    "failing": [],
    "deliveries": {"pending": 0, "failed": 0},
    "lastDelivery": {"id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3e", "source": "github", "eventType": "push",
                     "status": "processed", "receivedAt": "2026-11-21T09:00:00Z"},
    "lastChange": {"event": "push", "timestamp": "2026-11-21T09:00:00Z"},
    "lastEventId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d:42",
    "freshAsOf": "2026-11-21T09:00:01Z"
});

impl From<&ProjectStatus> for StatusOut {
    fn from(status: &ProjectStatus) -> Self {
        let artifacts = status.artifacts.iter();
        let runs = |runs: &[crate::runs::Run]| runs.iter().cloned().map(RunOut::from).collect();
        let change = |event: &crate::events::Event| LastChangeOut {
            event: event.name.clone(),
            timestamp: event.timestamp.into(),
        };
        Self {
            project_id: status.project.id,
            name: status.project.name.clone(),
            repo_url: status.project.repo_url.clone(),
            artifacts: artifacts.map(|(kind, count)| (kind.to_string(), *count)).collect(),
            conflicts: (&status.conflicts).into(),
            work: status.work.clone(),
            gates: (&status.gates).into(),
            agents: status.agents.iter().map(|(status, count)| (status.to_string(), *count)).collect(),
            scan: (&status.scan).into(),
            running: runs(&status.running),
            failing: runs(&status.failing),
            deliveries: DeliveriesOut {
                pending: status.pending_deliveries,
                failed: status.failed_deliveries,
            },
            last_delivery: status.last_delivery.as_ref().map(LastDeliveryOut::from),
            last_change: status.last_change.as_ref().map(change),
            last_event_id: status.head.to_string(),
            fresh_as_of: status.as_of.into(),
        }
    }
}
