//! Gates over REST, how far phases are, and both as the sheet that the BMAD method keeps.

use std::{collections::BTreeMap, sync::Arc};

use poem::{IntoResponse, Response, http::header, web::Data};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};
use serde::Deserialize;

use super::{
    CheckKind, Gate, GateConfig, GateFilter, GateId, GateStatus, NewGate, Phase, Ruling, Standing,
    Submission, Verdict, Which, decide, sprint,
};
use crate::{
    accounts::{Caller, PrincipalId, scope},
    app::App,
    artifacts::ArtifactKind,
    audit::CallRecord,
    error::Result,
    projects::ProjectId,
    rest::{Created, Input, Listed, Tag},
    wire::{Page, Timestamp, example},
    work::WorkItemId,
};

/// Routes of gates.
pub struct GatesApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Gates")]
impl GatesApi {
    /// List gates
    ///
    /// What has to hold before a phase of the project, or a work item, is complete, and how it stands; oldest first.
    #[oai(path = "/projects/:project_id/gates", method = "get", operation_id = "list_gates")]
    async fn list_gates(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::GatesRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// Only gates of this phase.
        phase: Query<Option<Phase>>,
        /// Only gates that stand so.
        status: Query<Option<GateStatus>>,
        /// Only gates of this work item.
        #[oai(name = "workItemId")]
        work_item_id: Query<Option<WorkItemId>>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<GateOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let filter = GateFilter { phase: phase.0, status: status.0, work_item: work_item_id.0 };
        let (found, _) =
            super::list_gates(&app, &caller.principal, project_id.0, filter, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |gate| gate.id, GateOut::from)))
    }

    /// Give a work item a gate
    ///
    /// Beside those that the project's configuration asks of all: the item is not done before this one is passed or waived.
    #[oai(path = "/projects/:project_id/gates", method = "post", operation_id = "create_gate")]
    async fn create_gate(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::GatesWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        body: Input<GateIn>,
    ) -> Result<Created<GateOut>> {
        let made = super::create_gate(&app, &caller.principal, project_id.0, body.0.into()).await?;
        let location = format!("/api/v1/projects/{}/gates/{}", project_id.0, made.id);
        Ok(Created::at(location, made.into()))
    }

    /// Show a gate
    ///
    /// With what was decided about it.
    #[oai(path = "/projects/:project_id/gates/:gate_id", method = "get", operation_id = "get_gate")]
    async fn get_gate(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::GatesRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The gate.
        gate_id: Path<GateId>,
    ) -> Result<Json<GateOut>> {
        let gate = super::get_gate(&app, &caller.principal, project_id.0, gate_id.0).await?;
        Ok(Json(gate.into()))
    }

    /// Decide about a gate
    ///
    /// A gate that waits for a review is passed or failed by somebody who did not do the work. Any gate may be waived, which
    /// needs the scope `projects.write`: it lets pass until the waiver ends.
    #[oai(
        path = "/projects/:project_id/gates/:gate_id/decision",
        method = "post",
        operation_id = "submit_gate"
    )]
    async fn submit_gate(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::GatesWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The gate.
        gate_id: Path<GateId>,
        body: Input<DecisionIn>,
    ) -> Result<Json<GateOut>> {
        let DecisionIn { decision, reason, until } = body.0;
        let until = until.as_deref().map(decide::parse_until).transpose()?;
        let submitted = Submission { verdict: decision, reason, until };
        let (which, record) = (Which::Id(gate_id.0), CallRecord::none());
        let gate =
            super::submit_gate(&app, &caller.principal, project_id.0, which, submitted, record).await?;
        Ok(Json(gate.into()))
    }

    /// Evaluate gates
    ///
    /// Looks at all gates now. Every change looks at those that it concerns, so this finds something only after time alone
    /// has made a difference.
    #[oai(path = "/projects/:project_id/gates/evaluate", method = "post", operation_id = "evaluate_gates")]
    async fn evaluate_gates(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::GatesWrite>,
        /// The project.
        project_id: Path<ProjectId>,
    ) -> Result<Json<EvaluationOut>> {
        let (changed, standing) = super::evaluate_gates(&app, &caller.principal, project_id.0).await?;
        Ok(Json(EvaluationOut { changed, progress: (&standing).into() }))
    }

    /// Show how far the phases are
    ///
    /// By the weight of the gates of each that are passed or waived, among those that are not skipped.
    #[oai(path = "/projects/:project_id/phase-progress", method = "get", operation_id = "get_phase_progress")]
    async fn get_phase_progress(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::GatesRead>,
        /// The project.
        project_id: Path<ProjectId>,
    ) -> Result<Json<PhaseProgressOut>> {
        let standing = super::get_phase_progress(&app, &caller.principal, project_id.0).await?;
        Ok(Json((&standing).into()))
    }

    /// Show the sprint's status as YAML
    ///
    /// In the shape of the `sprint-status.yaml` that the BMAD method keeps, derived from work items, gates and conflicts: a
    /// file that nobody need write and nobody should edit. It is as of the newest event of the project's log, which the `ETag`
    /// names.
    #[oai(
        path = "/projects/:project_id/sprint-status.yaml",
        method = "get",
        operation_id = "get_sprint_status"
    )]
    async fn get_sprint_status(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::GatesRead>,
        /// The project.
        project_id: Path<ProjectId>,
    ) -> Result<Yaml> {
        let (sheet, head) = sprint::get_sprint_status(&app, &caller.principal, project_id.0).await?;
        Ok(Yaml { text: sheet.render(), tag: head.to_string() })
    }
}

/// 200 with a YAML text, and a tag that changes with it.
struct Yaml {
    text: String,
    tag: String,
}

const YAML: &str = "text/yaml; charset=utf-8";

impl IntoResponse for Yaml {
    fn into_response(self) -> Response {
        Response::builder()
            .header(header::CONTENT_TYPE, YAML)
            .header(header::ETAG, format!("\"{}\"", self.tag))
            .body(self.text)
    }
}

impl ApiResponse for Yaml {
    fn meta() -> MetaResponses {
        let tag = MetaHeader {
            name: "ETag".to_owned(),
            description: Some("The newest event that it takes in; send it as `If-None-Match`.".to_owned()),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let content = vec![MetaMediaType { content_type: YAML, schema: String::schema_ref() }];
        let (description, status, headers) = ("The status, derived.", Some(200), vec![tag]);
        MetaResponses {
            responses: vec![MetaResponse { description, status, status_range: None, content, headers }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// A gate that a work item is to get.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "NewGate", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GateIn {
    /// The work item.
    work_item_id: WorkItemId,
    /// What it is called, in 1 to 100 characters: once for each work item.
    name: String,
    /// What it looks at.
    check: CheckKind,
    /// How much it counts, 0 to 100 (10 if not given).
    weight: Option<u32>,
    /// Documents of this kind are meant.
    kind: Option<ArtifactKind>,
    /// Path patterns of what is meant, at most 50.
    paths: Option<Vec<String>>,
    /// How many documents there have to be at least.
    count: Option<u32>,
    /// The name of the run that has to succeed.
    run_name: Option<String>,
}

example!(GateIn, {
    "workItemId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c", "name": "design review", "check": "manual_review"
});

impl From<GateIn> for NewGate {
    fn from(new: GateIn) -> Self {
        let GateIn { work_item_id, name, check, weight, kind, paths, count, run_name } = new;
        let asked = GateConfig::new(&name, check);
        let weight = weight.unwrap_or(asked.weight);
        let config = GateConfig { weight, kind, paths: paths.unwrap_or_default(), count, run_name, ..asked };
        Self { work_item: work_item_id, config }
    }
}

/// What somebody decides about a gate.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "GateDecision", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DecisionIn {
    /// What.
    decision: Verdict,
    /// Why, in 1 to 1000 characters.
    reason: String,
    /// When a waiver ends, as RFC 3339; left out, when somebody decides otherwise.
    until: Option<String>,
}

example!(DecisionIn, { "decision": "passed", "reason": "Read it and tried it in three browsers." });

/// Something that has to hold.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Gate", example)]
struct GateOut {
    /// Its id.
    id: GateId,
    /// What it is called.
    name: String,
    /// The phase that has it; none if a work item does.
    phase: Option<Phase>,
    /// The work item that has it.
    work_item_id: Option<WorkItemId>,
    /// What it looks at.
    check: CheckKind,
    /// How much it counts in its phase.
    weight: u32,
    /// How it stands.
    status: GateStatus,
    /// Why, and what to do.
    message: String,
    /// Since when it stands so.
    evaluated_at: Timestamp,
    /// Whether the project's configuration asks for it.
    is_configured: bool,
    /// What somebody has decided, whose affair it is.
    decision: Option<RulingOut>,
    /// The newest waiver, also if it is over.
    waiver: Option<RulingOut>,
    /// Grows by one with every change.
    version: i64,
}

example!(GateOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "name": "tests",
    "phase": "analyze",
    "check": "tests_passing",
    "weight": 10,
    "status": "failed",
    "message": "1 runs of the tracked branch failed: unit",
    "evaluatedAt": "2026-11-21T09:00:00Z",
    "isConfigured": true,
    "version": 3
});

/// What somebody has decided about a gate.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "GateRuling")]
struct RulingOut {
    /// What.
    decision: Verdict,
    /// The principal.
    by: PrincipalId,
    /// The name which that had then.
    name: String,
    /// Why.
    reason: String,
    /// When.
    at: Timestamp,
    /// Until when a waiver holds.
    until: Option<Timestamp>,
}

impl From<Ruling> for RulingOut {
    fn from(ruling: Ruling) -> Self {
        Self {
            decision: ruling.verdict,
            by: PrincipalId(ruling.by),
            name: ruling.name,
            reason: ruling.reason,
            at: ruling.at.into(),
            until: ruling.until.map(Timestamp),
        }
    }
}

impl From<Gate> for GateOut {
    fn from(gate: Gate) -> Self {
        Self {
            id: gate.id,
            name: gate.config.name,
            phase: gate.config.phase,
            work_item_id: gate.work_item,
            check: gate.config.check,
            weight: gate.config.weight,
            status: gate.outcome.status,
            message: gate.outcome.message,
            evaluated_at: gate.evaluated_at.into(),
            is_configured: gate.is_configured,
            decision: gate.decision.map(RulingOut::from),
            waiver: gate.waiver.map(RulingOut::from),
            version: gate.version,
        }
    }
}

/// How far the phases of a project are.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "PhaseProgress", example)]
struct PhaseProgressOut {
    /// The first phase that is not complete; none if all are.
    current_phase: Option<Phase>,
    /// How far each phase is, in percent.
    phases: Vec<PhaseOut>,
    /// How many gates stand how, those of work items that are not done too.
    gates: BTreeMap<String, u64>,
}

/// How far a phase is.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "PhaseShare")]
struct PhaseOut {
    /// The phase.
    phase: Phase,
    /// The share of its gates that are passed or waived, by weight, in percent.
    percentage: u32,
}

example!(PhaseProgressOut, {
    "currentPhase": "map",
    "phases": [{"phase": "build", "percentage": 100}, {"phase": "map", "percentage": 50},
               {"phase": "analyze", "percentage": 0}, {"phase": "deploy", "percentage": 0}],
    "gates": {"passed": 3, "pending": 6}
});

impl From<&Standing> for PhaseProgressOut {
    fn from(standing: &Standing) -> Self {
        let phases = standing.progress.phases.iter();
        let counts = standing.by_status.iter();
        Self {
            current_phase: standing.progress.current,
            phases: phases.map(|(phase, share)| PhaseOut { phase: *phase, percentage: *share }).collect(),
            gates: counts.map(|(status, count)| (status.to_string(), *count)).collect(),
        }
    }
}

/// What evaluating all gates did.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "GateEvaluation", example)]
struct EvaluationOut {
    /// How many gates stand otherwise than before.
    changed: u64,
    /// How far the phases are now.
    progress: PhaseProgressOut,
}

example!(EvaluationOut, {
    "changed": 0,
    "progress": {"currentPhase": "build", "phases": [{"phase": "build", "percentage": 50}], "gates": {"passed": 1}}
});

/// How the gates of a project stand, in short.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "GateCounts")]
pub struct GateCountsOut {
    /// The first phase that is not complete; none if all are.
    current_phase: Option<Phase>,
    /// How far that is, in percent.
    percentage: Option<u32>,
    /// How many gates stand how.
    counts: BTreeMap<String, u64>,
}

impl From<&Standing> for GateCountsOut {
    fn from(standing: &Standing) -> Self {
        let counts = standing.by_status.iter();
        Self {
            current_phase: standing.progress.current,
            percentage: standing.progress.percentage(),
            counts: counts.map(|(status, count)| (status.to_string(), *count)).collect(),
        }
    }
}
