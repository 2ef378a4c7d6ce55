//! The digest of a project: what is going on in it, in a few lines.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Tool, page};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    artifacts::{ArtifactFilter, list_artifacts},
    error::Result,
    events::{Position, events_after},
    projects::{self, ProjectId},
    runs::{RunFilter, RunId, RunStatus, list_runs},
    wire::{MAX_LIMIT, Page, Timestamp},
};

/// Failed runs that are named.
const FAILED: u64 = 5;

/// A project's state in brief.
pub(super) struct Digest;

/// Arguments of [`Digest`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DigestArguments {
    project_id: ProjectId,
}

impl Tool for Digest {
    const NAME: &'static str = "digest";
    const TITLE: &'static str = "Digest of a project";
    const ABOUT: &'static str = "The state of a project in brief.";
    const SCOPE: Scope = Scope::StatusRead;
    type Arguments = DigestArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let (id, now) = (asked.project_id, app.clock.now());
        let project = projects::reach(&app, &principal, id).await?;
        let artifacts = artifacts_by_kind(&app, &principal, id).await?;
        let failed = RunFilter { status: Some(RunStatus::Failed), commit: None };
        let failed = list_runs(&app, &principal, id, failed, page::<RunId>(Some(FAILED), None)?).await?;
        let failed = failed
            .into_iter()
            .take(FAILED as usize)
            .map(|run| json!({"runId": run.id.0, "name": run.state.name, "branch": run.state.branch}));
        let (_, head) = events_after(&app, &principal, id, None, 1).await?;
        let before = Position::At((head.position - 1).max(0));
        let (last, _) = events_after(&app, &principal, id, Some(before), 1).await?;
        let last = last
            .last()
            .map(|event| json!({"event": event.name, "at": Timestamp(event.timestamp).to_string()}));
        let fields = [
            ("projectId", id.to_string().into()),
            ("name", project.name.into()),
            ("repoUrl", project.repo_url.into()),
            ("artifacts", artifacts),
            ("failedRuns", failed.collect()),
            ("lastChange", last.unwrap_or_default()),
            ("after", head.to_string().into()),
        ];
        Ok(Answer::new(now, fields).quoting(&["failedRuns"], "the repository's CI, by whoever could push"))
    }
}

/// How many documents of each kind there are.
async fn artifacts_by_kind(app: &App, principal: &Principal, project: ProjectId) -> Result<Value> {
    let mut counts = BTreeMap::new();
    let mut page = Page::<String> { limit: MAX_LIMIT, after: None };
    loop {
        let filter = ArtifactFilter { kind: None, removed: false };
        let found = list_artifacts(app, principal, project, filter, page.clone()).await?;
        let (found, next) = page.split(found, |artifact| artifact.path.clone());
        for artifact in &found {
            *counts.entry(artifact.kind.as_str()).or_insert(0) += 1;
        }
        match (next, found.last()) {
            (Some(_), Some(last)) => page.after = Some(last.path.clone()),
            _ => return Ok(json!(counts)),
        }
    }
}
