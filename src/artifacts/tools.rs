//! Artifacts as agents see them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Artifact, ArtifactFilter, ArtifactId, ArtifactKind, get_artifact, list_artifacts};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    error::Result,
    mcp::{Answer, Fields, More, Tool, page},
    projects::ProjectId,
    wire::Timestamp,
};

/// Who wrote what artifacts say of themselves.
const AUTHORS: &str = "the repository, by whoever could push";

/// `list_artifacts`
pub struct ListArtifacts;

/// Arguments of [`ListArtifacts`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListArtifactsArguments {
    project_id: ProjectId,
    /// only this kind
    kind: Option<ArtifactKind>,
    /// nextAfter of the answer before
    after: Option<String>,
    /// rows, 20 if not given, at most 200
    limit: Option<u64>,
    /// of each row; also name, dependencies, commit, author, changedAt
    fields: Option<Vec<String>>,
}

/// What a row may tell, and how much of that it tells unasked.
const FIELDS: [&str; 9] =
    ["artifactId", "path", "kind", "version", "name", "dependencies", "commit", "author", "changedAt"];
const FEW: usize = 4;

impl Tool for ListArtifacts {
    const NAME: &'static str = "list_artifacts";
    const TITLE: &'static str = "List artifacts";
    const ABOUT: &'static str = "Tracked documents of a project (PRD, architecture, stories, QA) by path, with their \
                                 versions. Not for source files.";
    const SCOPE: Scope = Scope::ArtifactsRead;
    type Arguments = ListArtifactsArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let page = page::<String>(asked.limit, asked.after.as_deref())?;
        let fields = Fields::choose(&FIELDS, FEW, asked.fields)?;
        let filter = ArtifactFilter { kind: asked.kind, removed: false };
        let now = app.clock.now();
        let found = list_artifacts(&app, &principal, asked.project_id, filter, page.clone()).await?;
        let (found, more) = More::behind(&page, found, |artifact| artifact.path.clone());
        let rows = found.into_iter().map(|artifact| fields.of(shown(artifact)));
        Ok(Answer::rows(now, "artifacts", rows, more).quoting(&["artifacts"], AUTHORS))
    }
}

/// `get_artifact`
pub struct GetArtifact;

/// Arguments of [`GetArtifact`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetArtifactArguments {
    project_id: ProjectId,
    artifact_id: ArtifactId,
}

impl Tool for GetArtifact {
    const NAME: &'static str = "get_artifact";
    const TITLE: &'static str = "Show an artifact";
    const ABOUT: &'static str = "One tracked document: version, dependencies, the commit and author that last changed \
                                 it, whether it was removed. Take the id from list_artifacts.";
    const SCOPE: Scope = Scope::ArtifactsRead;
    type Arguments = GetArtifactArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let now = app.clock.now();
        let artifact = get_artifact(&app, &principal, asked.project_id, asked.artifact_id).await?;
        Ok(Answer::new(now, [("artifact", shown(artifact))]).quoting(&["artifact"], AUTHORS))
    }
}

fn shown(artifact: Artifact) -> Value {
    let dependencies = artifact.dependencies.iter();
    json!({
        "artifactId": artifact.id.0,
        "path": artifact.path,
        "kind": artifact.kind,
        "name": artifact.name,
        "version": artifact.version,
        "dependencies": dependencies.map(|on| json!({"path": on.path, "version": on.version})).collect::<Vec<_>>(),
        "commit": artifact.commit,
        "author": artifact.author,
        "changedAt": Timestamp(artifact.changed_at).to_string(),
        "removedAt": artifact.removed_at.map(|at| Timestamp(at).to_string()),
    })
}
