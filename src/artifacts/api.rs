//! Artifacts over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    Artifact, ArtifactFilter, ArtifactId, ArtifactKind, Decision, Dependency, Gate, Section, Waiver,
    scan::{self, Reconciliation, Scan, ScanState},
};
use crate::{
    accounts::{Caller, scope},
    app::App,
    audit::CallRecord,
    error::Result,
    git::Failure,
    projects::ProjectId,
    rest::{Accepted, Listed, Tag},
    wire::{Page, Timestamp, example},
};

/// Routes of artifacts.
pub struct ArtifactsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Artifacts")]
impl ArtifactsApi {
    /// List artifacts
    ///
    /// The tracked documents of a repository, by path.
    #[oai(path = "/projects/:project_id/artifacts", method = "get", operation_id = "list_artifacts")]
    async fn list_artifacts(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ArtifactsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// Only documents of this kind.
        kind: Query<Option<ArtifactKind>>,
        /// Also those that were removed from the tracked branch.
        #[oai(default)]
        removed: Query<bool>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<ArtifactOut>> {
        let page = Page::<String>::parse(limit.0, cursor.0.as_deref())?;
        let filter = ArtifactFilter { kind: kind.0, removed: removed.0 };
        let found =
            super::list_artifacts(&app, &caller.principal, project_id.0, filter, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |row| row.path.clone(), ArtifactOut::from)))
    }

    /// Show an artifact
    ///
    /// One tracked document, removed or not.
    #[oai(
        path = "/projects/:project_id/artifacts/:artifact_id",
        method = "get",
        operation_id = "get_artifact"
    )]
    async fn get_artifact(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ArtifactsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The artifact.
        artifact_id: Path<ArtifactId>,
    ) -> Result<Json<ArtifactOut>> {
        let artifact = super::get_artifact(&app, &caller.principal, project_id.0, artifact_id.0).await?;
        Ok(Json(artifact.into()))
    }

    /// Show the scan of a repository
    ///
    /// How the project's repository was read last: how far that is, what commit it read, and what keeps it from being
    /// read. `succeededAt` says how fresh the artifacts are.
    #[oai(path = "/projects/:project_id/scan", method = "get", operation_id = "get_scan")]
    async fn get_scan(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ArtifactsRead>,
        /// The project.
        project_id: Path<ProjectId>,
    ) -> Result<Json<ScanOut>> {
        Ok(Json(scan::get_scan(&app, &caller.principal, project_id.0).await?.into()))
    }

    /// Scan a repository
    ///
    /// Has the project's repository read now, as happens after each push and every hour by itself. The events
    /// `artifact_scan_started`, `_progress`, and `_completed` or `_failed` tell how it goes.
    #[oai(path = "/projects/:project_id/scan", method = "post", operation_id = "scan_repository")]
    async fn scan_repository(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ArtifactsWrite>,
        /// The project.
        project_id: Path<ProjectId>,
    ) -> Result<Accepted<ScanOut>> {
        let scan = scan::scan_repository(&app, &caller.principal, project_id.0, CallRecord::none()).await?;
        Ok(Accepted::Later(Json(scan.into())))
    }
}

/// How a repository was read last.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Scan", example)]
struct ScanOut {
    /// How far the newest scan is.
    state: ScanState,
    /// When a scan was asked for last.
    requested_at: Option<Timestamp>,
    /// When the newest one began.
    started_at: Option<Timestamp>,
    /// When it ended, well or not.
    finished_at: Option<Timestamp>,
    /// When the newest one that succeeded began: artifacts are as fresh as that.
    succeeded_at: Option<Timestamp>,
    /// The commit that was read.
    commit: Option<String>,
    /// Documents of the scan that were read.
    done: u64,
    /// Documents of the scan that changed, and were or are to be read.
    total: u64,
    /// What keeps the repository from being read.
    failure: Option<ScanFailureOut>,
    /// What became of deliveries that the Git host could not make; only GitHub can be asked, with a provider token.
    reconciliation: Option<ReconciliationOut>,
}

/// A look at the deliveries of the last 3 days that the Git host could not make.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Reconciliation")]
struct ReconciliationOut {
    /// When the host was asked.
    at: Timestamp,
    /// How many it was asked to make again.
    redelivered: u64,
    /// Why it could not be asked.
    failure: Option<String>,
}

/// What keeps a repository from being read.
#[derive(Object)]
#[oai(rename = "ScanFailure")]
struct ScanFailureOut {
    /// Which kind of failure it is.
    code: Failure,
    /// What happened, and what to do.
    detail: String,
}

example!(ScanOut, {
    "state": "succeeded",
    "requestedAt": "2026-11-21T09:00:00Z",
    "startedAt": "2026-11-21T09:00:00Z",
    "finishedAt": "2026-11-21T09:00:01Z",
    "succeededAt": "2026-11-21T09:00:00Z",
    "commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "done": 2,
    "total": 2
});

impl From<Scan> for ScanOut {
    fn from(scan: Scan) -> Self {
        Self {
            state: scan.state,
            requested_at: scan.requested_at.map(Timestamp),
            started_at: scan.started_at.map(Timestamp),
            finished_at: scan.finished_at.map(Timestamp),
            succeeded_at: scan.succeeded_at.map(Timestamp),
            commit: scan.commit,
            done: scan.done,
            total: scan.total,
            failure: scan.failure.map(|(code, detail)| ScanFailureOut { code, detail }),
            reconciliation: scan.reconciliation.map(|Reconciliation { at, redelivered, failure }| {
                ReconciliationOut { at: at.into(), redelivered, failure }
            }),
        }
    }
}

/// A tracked document.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Artifact", example)]
struct ArtifactOut {
    /// Its id, which it keeps through every change.
    id: ArtifactId,
    /// Path from the repository's root.
    path: String,
    /// What kind of document it is.
    kind: ArtifactKind,
    /// The file's name without its ending.
    name: String,
    /// The version it states of itself, once its text was read.
    version: Option<String>,
    /// What it states that it builds on.
    dependencies: Vec<DependencyOut>,
    /// The commit that last touched it.
    commit: String,
    /// Who made that commit.
    author: Option<String>,
    /// When it was last changed: when that was read or, where the repository cannot be read, when it was pushed.
    changed_at: Timestamp,
    /// When it was removed from the tracked branch.
    removed_at: Option<Timestamp>,
    /// What it is called in its text.
    title: Option<String>,
    /// The status it states of itself.
    status: Option<String>,
    /// Who it says made it.
    created_by: Option<String>,
    /// Git's name of the content that was read; none until it was.
    blob: Option<String>,
    /// Bytes of that content.
    bytes: Option<u64>,
    /// Its headings, in order.
    sections: Vec<SectionOut>,
    /// The quality gate that it decides.
    gate: Option<GateOut>,
    /// What is wrong with it; what else it says holds all the same.
    warnings: Vec<String>,
}

/// A heading, and what stands below it.
#[derive(Object)]
#[oai(rename = "Section")]
pub(super) struct SectionOut {
    /// Names it within the artifact, as Git hosts do in links.
    anchor: String,
    /// The heading.
    title: String,
    /// 1 for the highest.
    level: u8,
    /// Where it begins, from 1.
    line: u64,
    /// A digest of what stands below it, up to the next heading; another one means that it was edited.
    hash: String,
}

/// What quality assurance decided.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ArtifactGate")]
struct GateOut {
    /// `pass`, `concerns`, `fail` or `waived`.
    decision: Decision,
    /// Who decided.
    reviewer: Option<String>,
    /// Why.
    reasons: Vec<String>,
    /// The waiver, if one was given.
    waiver: Option<WaiverOut>,
    /// Until when it holds: a day, or a time.
    expires: Option<String>,
}

/// Why a gate need not be passed.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Waiver")]
struct WaiverOut {
    /// Whether it holds.
    active: bool,
    /// Why it was given.
    reason: Option<String>,
    /// Who gave it.
    approved_by: Option<String>,
}

impl From<Section> for SectionOut {
    fn from(Section { anchor, title, level, line, hash }: Section) -> Self {
        Self { anchor, title, level, line: line as u64, hash }
    }
}

impl From<Gate> for GateOut {
    fn from(Gate { decision, reviewer, reasons, waiver, expires }: Gate) -> Self {
        let waiver =
            waiver.map(|Waiver { active, reason, approved_by }| WaiverOut { active, reason, approved_by });
        Self { decision, reviewer, reasons, waiver, expires }
    }
}

example!(ArtifactOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "path": "docs/prd.md",
    "kind": "prd",
    "name": "prd",
    "dependencies": [],
    "sections": [],
    "warnings": [],
    "commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "author": "octavia-dev",
    "changedAt": "2026-11-21T09:00:00Z"
});

/// Another artifact, at a version.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Dependency")]
struct DependencyOut {
    /// Path from the repository's root.
    path: String,
    /// The version that is meant.
    version: Option<String>,
}

impl From<Artifact> for ArtifactOut {
    fn from(artifact: Artifact) -> Self {
        let dependencies = artifact.dependencies.into_iter();
        Self {
            id: artifact.id,
            path: artifact.path,
            kind: artifact.kind,
            name: artifact.name,
            version: artifact.version,
            dependencies: dependencies
                .map(|Dependency { path, version }| DependencyOut { path, version })
                .collect(),
            commit: artifact.commit,
            author: artifact.author,
            changed_at: artifact.changed_at.into(),
            removed_at: artifact.removed_at.map(Timestamp),
            title: artifact.title,
            status: artifact.status,
            created_by: artifact.created_by,
            blob: artifact.blob,
            bytes: artifact.bytes,
            sections: artifact.sections.into_iter().map(SectionOut::from).collect(),
            gate: artifact.gate.map(GateOut::from),
            warnings: artifact.warnings,
        }
    }
}
