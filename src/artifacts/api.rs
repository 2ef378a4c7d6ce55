//! Artifacts over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{Artifact, ArtifactFilter, ArtifactId, ArtifactKind, Dependency};
use crate::{
    accounts::{Caller, scope},
    app::App,
    error::Result,
    projects::ProjectId,
    rest::{Listed, Tag},
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
    /// When it was last pushed, by the host's clock.
    changed_at: Timestamp,
    /// When it was removed from the tracked branch.
    removed_at: Option<Timestamp>,
}

example!(ArtifactOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "path": "docs/prd.md",
    "kind": "prd",
    "name": "prd",
    "dependencies": [],
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
        }
    }
}
