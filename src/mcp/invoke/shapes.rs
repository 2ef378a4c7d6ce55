//! How clients of the older protocol know things: fewer states, in capitals, and names of their own.

use serde_json::{Value, json};

use crate::{
    agents::Agent,
    clock::Time,
    conflicts::{Conflict, ConflictKind},
    runs::{Run, RunStatus},
    wire::Timestamp,
};

fn at(time: Option<Time>) -> Option<String> {
    time.map(|time| Timestamp(time).to_string())
}

/// Somebody at work.
pub(super) fn agent(agent: &Agent) -> Value {
    let Agent { principal, presence } = agent;
    json!({
        "agentId": principal.id.0,
        "agent": principal.name,
        "role": principal.agent_role,
        "status": presence.status.as_str().to_ascii_uppercase(),
        "taskDescription": presence.task,
        "artifact": presence.artifact.map(|artifact| artifact.0),
        "lastUpdated": at(Some(presence.seen_at)),
    })
}

/// A clash. What came to be known since is told as what it is most like.
pub(super) fn conflict(conflict: &Conflict) -> Value {
    let kind = match conflict.kind {
        ConflictKind::VersionMismatch => "version-mismatch",
        ConflictKind::DependencyBroken => "dependency-broken",
        ConflictKind::ConcurrentEdit
        | ConflictKind::ReservationOverlap
        | ConflictKind::ReservationViolated => "concurrent-edit",
    };
    json!({
        "id": conflict.id.0,
        "type": kind,
        "severity": conflict.severity.as_str().to_ascii_uppercase(),
        "message": conflict.message(),
        "affectedArtifacts": [conflict.details.artifact_path, conflict.details.dependency_path],
        "detectedAt": at(Some(conflict.detected_at)),
        "resolvedAt": at(conflict.resolution.as_ref().map(|resolution| resolution.at)),
    })
}

/// An execution. One that has not begun is under way, one that was lost has failed.
pub(super) fn run(run: &Run) -> Value {
    let status = match run.state.status {
        RunStatus::Queued | RunStatus::Running => "RUNNING",
        RunStatus::Success => "SUCCESS",
        RunStatus::Failed | RunStatus::Lost => "FAILED",
        RunStatus::Cancelled => "CANCELLED",
    };
    let summary = run.agent.as_ref().and_then(|agent| agent.summary.clone());
    let error = match run.state.status {
        RunStatus::Failed => summary,
        RunStatus::Lost => Some("nothing was heard of it until its deadline".to_owned()),
        _ => None,
    };
    json!({
        "id": run.id.0,
        "name": run.state.name,
        "agent": run.agent.as_ref().map(|agent| &agent.by.name),
        "startedAt": at(run.started_at()),
        "completedAt": at(run.state.finished_at),
        "durationMs": run.duration_ms(),
        "status": status,
        "error": error,
    })
}
