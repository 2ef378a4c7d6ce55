//! Conflicts over REST.

use std::{collections::BTreeMap, sync::Arc};

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Any,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Conflict, ConflictFilter, ConflictId, ConflictKind, ConflictState, Detection, Severity};
use crate::{
    accounts::{Caller, PrincipalId, scope},
    app::App,
    artifacts::ArtifactId,
    audit::CallRecord,
    error::Result,
    projects::ProjectId,
    rest::{Input, Listed, Tag},
    wire::{Page, Timestamp, example},
};

/// Routes of conflicts.
pub struct ConflictsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Conflicts")]
impl ConflictsApi {
    /// List conflicts
    ///
    /// What clashes in a project, newest first: documents that build on another version of a document than there is, or
    /// on one that is gone, and files that several edit at a time. Open ones, unless `resolved` asks for others.
    #[oai(path = "/projects/:project_id/conflicts", method = "get", operation_id = "list_conflicts")]
    async fn list_conflicts(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ConflictsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// `open` ones (if not given), `resolved` ones, or `all`.
        resolved: Query<Option<ConflictState>>,
        /// Only conflicts of this kind.
        kind: Query<Option<ConflictKind>>,
        /// Only conflicts that are as bad as this.
        severity: Query<Option<Severity>>,
        /// Only conflicts of this document, which depends on another.
        #[oai(name = "artifactId")]
        artifact_id: Query<Option<ArtifactId>>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<ConflictOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let state = resolved.0.unwrap_or(ConflictState::Open);
        let filter = ConflictFilter { state, kind: kind.0, severity: severity.0, artifact: artifact_id.0 };
        let found =
            super::list_conflicts(&app, &caller.principal, project_id.0, filter, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |row| row.id, ConflictOut::from)))
    }

    /// Show a conflict
    ///
    /// One conflict, open or resolved.
    #[oai(
        path = "/projects/:project_id/conflicts/:conflict_id",
        method = "get",
        operation_id = "get_conflict"
    )]
    async fn get_conflict(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ConflictsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The conflict.
        conflict_id: Path<ConflictId>,
    ) -> Result<Json<ConflictOut>> {
        let conflict = super::get_conflict(&app, &caller.principal, project_id.0, conflict_id.0).await?;
        Ok(Json(conflict.into()))
    }

    /// Resolve a conflict
    ///
    /// Settles a conflict though its cause may hold, and records who did so and why. It is not told again for the same
    /// cause: the same document, what it builds on, and both versions. Conflicts whose cause goes away resolve
    /// themselves.
    #[oai(
        path = "/projects/:project_id/conflicts/:conflict_id/resolve",
        method = "post",
        operation_id = "resolve_conflict"
    )]
    async fn resolve_conflict(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ConflictsWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The conflict.
        conflict_id: Path<ConflictId>,
        body: Input<ResolveIn>,
    ) -> Result<Json<ConflictOut>> {
        let (project, conflict, record) = (project_id.0, conflict_id.0, CallRecord::none());
        let reason = &body.0.reason;
        let resolved =
            super::resolve_conflict(&app, &caller.principal, project, conflict, reason, record).await?;
        Ok(Json(resolved.into()))
    }

    /// Detect conflicts
    ///
    /// Looks for conflicts between documents now, as happens at the end of each scan of the repository. While one is
    /// under way this finds nothing, because the scan is going to.
    #[oai(
        path = "/projects/:project_id/conflicts/detect",
        method = "post",
        operation_id = "detect_conflicts"
    )]
    async fn detect_conflicts(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ConflictsWrite>,
        /// The project.
        project_id: Path<ProjectId>,
    ) -> Result<Json<DetectionOut>> {
        Ok(Json(super::detect_conflicts(&app, &caller.principal, project_id.0).await?.into()))
    }
}

/// Why a conflict is settled.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "ResolveConflict", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResolveIn {
    /// Why this is no conflict any more, in 1 to 1000 characters.
    reason: String,
}

example!(ResolveIn, { "reason": "The story only uses the part about sign-in, which did not change." });

/// A clash that was found.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Conflict", example)]
struct ConflictOut {
    /// Its id.
    id: ConflictId,
    /// What kind of clash it is.
    kind: ConflictKind,
    /// How bad it is.
    severity: Severity,
    /// When it was found.
    detected_at: Timestamp,
    /// When it was resolved; none while it is open.
    resolved_at: Option<Timestamp>,
    /// The document that depends on another, in conflicts between documents.
    artifact_id: Option<ArtifactId>,
    /// Where that document is, or was when this was resolved.
    artifact_path: String,
    /// Where what it builds on is, or should be.
    dependency_path: String,
    /// The version that it builds on, as it writes it.
    wanted_version: Option<String>,
    /// The version that there is, as that writes it.
    found_version: Option<String>,
    /// Who edits what, in conflicts between those who do: `{principals, reservations, paths, branch}`.
    #[oai(skip_serializing_if_is_none)]
    edit: Option<Any<Value>>,
    /// What is wrong, and what to do.
    message: String,
    /// The principal that resolved it; none if its cause went away.
    resolved_by: Option<PrincipalId>,
    /// The name which that principal had then.
    resolver_name: Option<String>,
    /// Why it is resolved.
    resolution: Option<String>,
}

example!(ConflictOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "kind": "version_mismatch",
    "severity": "critical",
    "detectedAt": "2026-11-21T09:00:00Z",
    "artifactId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d",
    "artifactPath": "docs/stories/1.1.md",
    "dependencyPath": "docs/prd.md",
    "wantedVersion": "v1",
    "foundVersion": "v3",
    "message": "docs/stories/1.1.md builds on docs/prd.md at v1, and that is at v3: 2 major versions behind; read what \
                changed, bring the document up to date, then name the version it fits"
});

impl From<Conflict> for ConflictOut {
    fn from(conflict: Conflict) -> Self {
        let message = conflict.message();
        let (details, resolution) = (conflict.details, conflict.resolution);
        let (resolved_at, by, resolution) = match resolution {
            Some(resolution) => (Some(resolution.at.into()), resolution.by, Some(resolution.why)),
            None => (None, None, None),
        };
        let (resolved_by, resolver_name) = by.map(|by| (by.id, by.name)).unzip();
        Self {
            id: conflict.id,
            kind: conflict.kind,
            severity: conflict.severity,
            detected_at: conflict.detected_at.into(),
            resolved_at,
            artifact_id: conflict.artifact,
            artifact_path: details.artifact_path,
            dependency_path: details.dependency_path,
            wanted_version: details.wanted_version,
            found_version: details.found_version,
            edit: details.edit.map(|edit| Any(json!(edit))),
            message,
            resolved_by,
            resolver_name,
            resolution,
        }
    }
}

/// Conflicts that are open, by how bad they are.
#[derive(Object)]
#[oai(rename = "OpenConflicts")]
pub struct OpenConflictsOut {
    critical: u64,
    warning: u64,
    info: u64,
}

impl From<&BTreeMap<Severity, u64>> for OpenConflictsOut {
    fn from(open: &BTreeMap<Severity, u64>) -> Self {
        let of = |severity| open.get(&severity).copied().unwrap_or_default();
        Self { critical: of(Severity::Critical), warning: of(Severity::Warning), info: of(Severity::Info) }
    }
}

/// What looking for conflicts did.
#[derive(Object)]
#[oai(rename = "Detection", example)]
struct DetectionOut {
    /// How many were found.
    detected: u64,
    /// How many resolved themselves.
    resolved: u64,
    /// How many are open now.
    open: OpenConflictsOut,
}

example!(DetectionOut, { "detected": 2, "resolved": 0, "open": {"critical": 1, "warning": 1, "info": 0} });

impl From<Detection> for DetectionOut {
    fn from(Detection { detected, resolved, open }: Detection) -> Self {
        Self { detected, resolved, open: (&open).into() }
    }
}
