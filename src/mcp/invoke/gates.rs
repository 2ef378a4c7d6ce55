//! The gates of a project as the older protocol tells them: what the gate files of its repository decide.

use serde_json::{Value, json};

use crate::{
    accounts::Principal,
    app::App,
    artifacts::{self, Artifact, ArtifactFilter, ArtifactKind, Decision, Gate},
    error::Result,
    projects::ProjectId,
    wire::{MAX_LIMIT, Page},
};

/// Every gate of a project, in the shape of the older protocol: `{id, phase, type, status, message}`, where the status is
/// `PASSED`, `FAILED`, `PENDING` or `SKIPPED`.
///
/// # Errors
/// `not_found` for a project out of reach.
pub(super) async fn gates_list(app: &App, principal: &Principal, project: ProjectId) -> Result<Vec<Value>> {
    let filter = ArtifactFilter { kind: Some(ArtifactKind::Qa), removed: false };
    let mut page = Page::<String> { limit: MAX_LIMIT, after: None, counts: false };
    let mut gates = Vec::new();
    loop {
        let found = artifacts::list_artifacts(app, principal, project, filter, page.clone()).await?;
        let (rows, next) = page.split(found.rows, |document| document.path.clone());
        gates.extend(rows.iter().filter_map(|document| Some(shown(document, document.gate.as_ref()?))));
        page.after = rows.last().map(|document| document.path.clone());
        if next.is_none() {
            return Ok(gates);
        }
    }
}

fn shown(document: &Artifact, gate: &Gate) -> Value {
    let status = match gate.decision {
        Decision::Pass | Decision::Concerns => "PASSED",
        Decision::Fail => "FAILED",
        Decision::Waived => "SKIPPED",
    };
    let message = match &*gate.reasons {
        [] => document.title.clone().unwrap_or_else(|| document.name.clone()),
        reasons => reasons.join("; "),
    };
    json!({
        "id": document.id.0,
        "phase": document.kind,
        "type": document.name,
        "status": status,
        "message": message,
    })
}
