//! Projects as agents see them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{ProjectId, list_projects};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    error::Result,
    mcp::{Answer, Fields, More, Tool, page},
    wire::{Page, Timestamp},
};

/// `list_projects`
pub struct ListProjects;

/// Arguments of [`ListProjects`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListProjectsArguments {
    /// nextAfter of the answer before
    after: Option<String>,
    /// rows, 20 if not given, at most 200
    limit: Option<u64>,
    /// of each row; also config, createdAt, updatedAt
    fields: Option<Vec<String>>,
}

/// What a row may tell, and how much of that it tells unasked.
const FIELDS: [&str; 6] = ["projectId", "name", "repoUrl", "config", "createdAt", "updatedAt"];
const FEW: usize = 3;

impl Tool for ListProjects {
    const NAME: &'static str = "list_projects";
    const TITLE: &'static str = "List projects";
    const ABOUT: &'static str =
        "Projects you can reach. Use once, to find a projectId; not to learn what happens in a project.";
    const SCOPE: Scope = Scope::ProjectsRead;
    type Arguments = ListProjectsArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let page: Page<ProjectId> = page(asked.limit, asked.after.as_deref())?;
        let fields = Fields::choose(&FIELDS, FEW, asked.fields)?;
        let now = app.clock.now();
        let found = list_projects(&app, &principal, page.clone()).await?;
        let (projects, more) = More::behind(&page, found, |project| project.id);
        let rows = projects.into_iter().map(|project| {
            fields.of(json!({
                "projectId": project.id.0,
                "name": project.name,
                "repoUrl": project.repo_url,
                "config": project.config,
                "createdAt": Timestamp(project.created_at).to_string(),
                "updatedAt": Timestamp(project.updated_at).to_string(),
            }))
        });
        Ok(Answer::rows(now, "projects", rows, more))
    }
}
