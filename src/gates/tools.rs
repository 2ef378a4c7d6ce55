//! Gates as agents see them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Gate, GateFilter, GateId, GateStatus, Phase, Standing, Submission, Verdict, Which, list_gates,
    submit_gate,
};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    audit::CallRecord,
    error::Result,
    mcp::{Answer, Fields, More, Tool, WritingTool, page},
    projects::ProjectId,
    wire::Timestamp,
    work::WorkItemId,
};

/// Who wrote what gates say.
const AUTHORS: &str = "whoever may write in this project, and its repository";

/// `list_gates`
pub struct ListGates;

/// Arguments of [`ListGates`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListGatesArguments {
    project_id: ProjectId,
    phase: Option<Phase>,
    status: Option<GateStatus>,
    work_item_id: Option<WorkItemId>,
    /// nextAfter of the answer before
    after: Option<String>,
    limit: Option<u64>,
    /// of each row; also check, weight, evaluatedAt, until
    fields: Option<Vec<String>>,
}

/// What a row may tell, and how much of that it tells unasked.
const FIELDS: [&str; 10] =
    ["gateId", "name", "phase", "workItemId", "status", "message", "check", "weight", "evaluatedAt", "until"];
const FEW: usize = 6;

impl Tool for ListGates {
    const NAME: &'static str = "list_gates";
    const TITLE: &'static str = "List gates";
    const ABOUT: &'static str =
        "What has to hold before a phase or a work item is complete, and how far the phases are.";
    const SCOPE: Scope = Scope::GatesRead;
    type Arguments = ListGatesArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let page = page::<GateId>(asked.limit, asked.after.as_deref())?;
        let fields = Fields::choose(&FIELDS, FEW, asked.fields)?;
        let filter = GateFilter { phase: asked.phase, status: asked.status, work_item: asked.work_item_id };
        let now = app.clock.now();
        let (found, standing) = list_gates(&app, &principal, asked.project_id, filter, page.clone()).await?;
        let (gates, more) = More::behind(&page, found, |gate| gate.id);
        let rows = gates.iter().map(|gate| fields.of(shown(gate)));
        let answer = Answer::rows(now, "gates", rows, more)
            .with(("currentPhase", json!(standing.progress.current)))
            .with(("phases", phases(&standing)))
            .with(("passCount", standing.count(GateStatus::Passed).into()))
            .with(("failCount", standing.count(GateStatus::Failed).into()));
        Ok(answer.quoting(&["gates"], AUTHORS))
    }
}

/// How far each phase is, in percent.
fn phases(standing: &Standing) -> Value {
    let share = |(phase, share): &(Phase, u32)| (phase.to_string(), Value::from(*share));
    standing.progress.phases.iter().map(share).collect()
}

/// `submit_gate`
pub struct SubmitGate;

/// Arguments of [`SubmitGate`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubmitGateArguments {
    project_id: ProjectId,
    gate_id: Option<GateId>,
    /// with name, instead of gateId
    work_item_id: Option<WorkItemId>,
    name: Option<String>,
    decision: Verdict,
    reason: String,
    /// end of a waiver, RFC 3339
    until: Option<String>,
}

impl WritingTool for SubmitGate {
    const NAME: &'static str = "submit_gate";
    const TITLE: &'static str = "Decide about a gate";
    const ABOUT: &'static str = "Pass or fail a review of what somebody else did; admins waive any gate.";
    const SCOPE: Scope = Scope::GatesWrite;
    const DESTROYS: bool = false;
    const IS_IDEMPOTENT: bool = true;
    type Arguments = SubmitGateArguments;

    async fn call(
        app: Arc<App>,
        principal: Arc<Principal>,
        record: CallRecord,
        asked: Self::Arguments,
    ) -> Result<Answer> {
        let which = Which::named(asked.gate_id, asked.work_item_id, asked.name)?;
        let until = asked.until.as_deref().map(super::decide::parse_until).transpose()?;
        let submitted = Submission { verdict: asked.decision, reason: asked.reason, until };
        let gate = submit_gate(&app, &principal, asked.project_id, which, submitted, record).await?;
        Ok(Answer::new(app.clock.now(), [("gate", shown(&gate))]).quoting(&["gate"], AUTHORS))
    }
}

fn shown(gate: &Gate) -> Value {
    let until = gate.outcome.due_at.filter(|_| gate.outcome.status == GateStatus::Waived);
    json!({
        "gateId": gate.id.0,
        "name": gate.config.name,
        "phase": gate.config.phase,
        "status": gate.outcome.status,
        "message": gate.outcome.message,
        "workItemId": gate.work_item.map(|item| item.0),
        "check": gate.config.check,
        "weight": gate.config.weight,
        "evaluatedAt": Timestamp(gate.evaluated_at).to_string(),
        "until": until.map(|until| Timestamp(until).to_string()),
    })
}
