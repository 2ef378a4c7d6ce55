//! The gates of a project as the older protocol tells them.

use serde_json::{Value, json};

use crate::{
    accounts::Principal,
    app::App,
    error::Result,
    gates::{self, Gate, GateFilter, GateId, GateStatus},
    projects::ProjectId,
    wire::{MAX_LIMIT, Page, Timestamp},
};

/// Every gate of a project, in the shape of the older protocol: `{id, name, phase, type, status, message, weight,
/// lastChecked}`, where the status is `PASSED`, `FAILED`, `PENDING` or `SKIPPED`. It knows no waivers: what is waived is
/// skipped. A gate of a work item has no phase.
///
/// # Errors
/// `not_found` for a project out of reach.
pub(super) async fn gates_list(app: &App, principal: &Principal, project: ProjectId) -> Result<Vec<Value>> {
    let mut page = Page::<GateId> { limit: MAX_LIMIT, after: None, counts: false };
    let mut told = Vec::new();
    loop {
        let (found, _) =
            gates::list_gates(app, principal, project, GateFilter::default(), page.clone()).await?;
        let (rows, next) = page.split(found.rows, |gate| gate.id);
        told.extend(rows.iter().map(shown));
        page.after = rows.last().map(|gate| gate.id);
        if next.is_none() {
            return Ok(told);
        }
    }
}

fn shown(gate: &Gate) -> Value {
    let status = match gate.outcome.status {
        GateStatus::Waived => GateStatus::Skipped,
        status => status,
    };
    json!({
        "id": gate.id.0,
        "name": gate.config.name,
        "phase": gate.config.phase.map(|phase| phase.as_str().to_uppercase()),
        "type": gate.config.check.as_str().to_uppercase(),
        "status": status.as_str().to_uppercase(),
        "message": gate.outcome.message,
        "weight": gate.config.weight,
        "lastChecked": Timestamp(gate.evaluated_at).to_string(),
    })
}
