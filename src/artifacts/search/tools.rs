//! Search as agents see it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Place, search_artifacts};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    artifacts::{AUTHORS, Artifact, ArtifactFilter, ArtifactKind, list_artifacts},
    error::Result,
    mcp::{Answer, Fields, More, Tool, page},
    projects::ProjectId,
    wire::Timestamp,
};

/// `search_artifacts`
pub struct SearchArtifacts;

/// Arguments of [`SearchArtifacts`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SearchArtifactsArguments {
    project_id: ProjectId,
    /// words that must all be there, "a phrase", -without, begin*
    query: Option<String>,
    /// only this kind
    kind: Option<ArtifactKind>,
    /// nextAfter of the answer before
    after: Option<String>,
    /// rows, 20 if not given, at most 200
    limit: Option<u64>,
    /// of each row; also title, name, dependencies, commit, author, changedAt
    fields: Option<Vec<String>>,
}

/// What a row may tell, and how much of that it tells unasked. Only what was searched for has a snippet.
const FIELDS: [&str; 11] = [
    "artifactId",
    "path",
    "kind",
    "version",
    "snippet",
    "title",
    "name",
    "dependencies",
    "commit",
    "author",
    "changedAt",
];
const FEW: usize = 5;

impl Tool for SearchArtifacts {
    const NAME: &'static str = "search_artifacts";
    const TITLE: &'static str = "Search artifacts";
    const ABOUT: &'static str = "Tracked documents of a project (PRD, architecture, stories, QA): with `query` those \
                                 that say it, best first, with a snippet; without it all, by path. Not for source \
                                 files.";
    const SCOPE: Scope = Scope::ArtifactsRead;
    type Arguments = SearchArtifactsArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let fields = Fields::choose(&FIELDS, FEW, asked.fields)?;
        let now = app.clock.now();
        let row = |artifact: Artifact, snippet: Option<String>| {
            let mut row = shown(artifact);
            if let Some(snippet) = snippet {
                row["snippet"] = snippet.into();
            }
            fields.of(row)
        };
        let (rows, more): (Vec<Value>, _) = match asked.query {
            None => {
                let page = page::<String>(asked.limit, asked.after.as_deref())?;
                let filter = ArtifactFilter { kind: asked.kind, removed: false };
                let found = list_artifacts(&app, &principal, asked.project_id, filter, page.clone()).await?;
                let (found, more) = More::behind(&page, found, |artifact| artifact.path.clone());
                (found.into_iter().map(|artifact| row(artifact, None)).collect(), more)
            }
            Some(query) => {
                let page = page::<Place>(asked.limit, asked.after.as_deref())?;
                let (project, kind) = (asked.project_id, asked.kind);
                let found = search_artifacts(&app, &principal, project, &query, kind, page.clone()).await?;
                let (found, more) = More::behind(&page, found, |hit| hit.place);
                (found.into_iter().map(|hit| row(hit.artifact, Some(hit.snippet))).collect(), more)
            }
        };
        Ok(Answer::rows(now, "artifacts", rows, more).quoting(&["artifacts"], AUTHORS))
    }
}

fn shown(artifact: Artifact) -> Value {
    let dependencies = artifact.dependencies.iter();
    json!({
        "artifactId": artifact.id.0,
        "path": artifact.path,
        "kind": artifact.kind,
        "name": artifact.name,
        "title": artifact.title,
        "version": artifact.version,
        "dependencies": dependencies.map(|on| json!({"path": on.path, "version": on.version})).collect::<Vec<_>>(),
        "commit": artifact.commit,
        "author": artifact.author,
        "changedAt": Timestamp(artifact.changed_at).to_string(),
    })
}
