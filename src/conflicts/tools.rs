//! Conflicts as agents see them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Conflict, ConflictFilter, ConflictId, ConflictKind, ConflictState, Severity, list_conflicts,
    resolve_conflict,
};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    artifacts::AUTHORS,
    audit::CallRecord,
    error::Result,
    mcp::{Answer, Fields, More, Tool, WritingTool, page},
    projects::ProjectId,
    wire::Timestamp,
};

/// `list_conflicts`
pub struct ListConflicts;

/// Arguments of [`ListConflicts`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListConflictsArguments {
    project_id: ProjectId,
    /// only this kind
    kind: Option<ConflictKind>,
    /// only this bad
    severity: Option<Severity>,
    /// open if not given
    resolved: Option<ConflictState>,
    /// nextAfter of the answer before
    after: Option<String>,
    /// rows, 20 if not given, at most 200
    limit: Option<u64>,
    /// of each row; also message, artifactId, detectedAt, resolvedAt, resolvedBy, resolverName, resolution, edit
    fields: Option<Vec<String>>,
}

/// What a row may tell, and how much of that it tells unasked.
const FIELDS: [&str; 15] = [
    "conflictId",
    "kind",
    "severity",
    "artifactPath",
    "dependencyPath",
    "wantedVersion",
    "foundVersion",
    "message",
    "artifactId",
    "detectedAt",
    "resolvedAt",
    "resolvedBy",
    "resolverName",
    "resolution",
    "edit",
];
const FEW: usize = 7;

impl Tool for ListConflicts {
    const NAME: &'static str = "list_conflicts";
    const TITLE: &'static str = "List conflicts";
    const ABOUT: &'static str = "Documents that build on another version of a document than there is, or on one that is \
                                 gone, and files that several edit; newest first. Use it before you build on a document.";
    const SCOPE: Scope = Scope::ConflictsRead;
    type Arguments = ListConflictsArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let page = page::<ConflictId>(asked.limit, asked.after.as_deref())?;
        let fields = Fields::choose(&FIELDS, FEW, asked.fields)?;
        let state = asked.resolved.unwrap_or(ConflictState::Open);
        let filter = ConflictFilter { state, kind: asked.kind, severity: asked.severity, artifact: None };
        let now = app.clock.now();
        let found = list_conflicts(&app, &principal, asked.project_id, filter, page.clone()).await?;
        let (conflicts, more) = More::behind(&page, found, |conflict| conflict.id);
        let rows = conflicts.iter().map(|conflict| fields.of(shown(conflict)));
        Ok(Answer::rows(now, "conflicts", rows, more).quoting(&["conflicts"], AUTHORS))
    }
}

/// `resolve_conflict`
pub struct ResolveConflict;

/// Arguments of [`ResolveConflict`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResolveConflictArguments {
    project_id: ProjectId,
    conflict_id: ConflictId,
    /// why it is none any more, for people
    reason: String,
}

impl WritingTool for ResolveConflict {
    const NAME: &'static str = "resolve_conflict";
    const TITLE: &'static str = "Resolve a conflict";
    const ABOUT: &'static str = "Settle a conflict whose cause stays, for good. Not when its cause goes: that resolves \
                                 it.";
    const SCOPE: Scope = Scope::ConflictsWrite;
    const DESTROYS: bool = false;
    const IS_IDEMPOTENT: bool = true;
    type Arguments = ResolveConflictArguments;

    async fn call(
        app: Arc<App>,
        principal: Arc<Principal>,
        record: CallRecord,
        asked: Self::Arguments,
    ) -> Result<Answer> {
        let ResolveConflictArguments { project_id, conflict_id, reason } = asked;
        let resolved = resolve_conflict(&app, &principal, project_id, conflict_id, &reason, record).await?;
        let answer = Answer::new(app.clock.now(), [("conflict", shown(&resolved))]);
        Ok(answer.quoting(&["conflict"], AUTHORS))
    }
}

fn shown(conflict: &Conflict) -> Value {
    let (details, resolution) = (&conflict.details, conflict.resolution.as_ref());
    let by = resolution.and_then(|resolution| resolution.by.as_ref());
    let mut shown = json!({
        "conflictId": conflict.id.0,
        "kind": conflict.kind,
        "severity": conflict.severity,
        "artifactId": conflict.artifact.map(|artifact| artifact.0),
        "artifactPath": details.artifact_path,
        "dependencyPath": details.dependency_path,
        "wantedVersion": details.wanted_version,
        "foundVersion": details.found_version,
        "message": conflict.message(),
        "detectedAt": Timestamp(conflict.detected_at).to_string(),
        "resolvedAt": resolution.map(|resolution| Timestamp(resolution.at).to_string()),
        "resolvedBy": by.map(|by| by.id.0),
        "resolverName": by.map(|by| &by.name),
        "resolution": resolution.map(|resolution| &resolution.why),
    });
    if let Some(edit) = &details.edit {
        shown["edit"] = json!(edit);
    }
    shown
}
