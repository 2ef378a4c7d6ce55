//! Projects over REST.

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::{NewProject, Project, ProjectConfig, ProjectId, ProjectPatch, secrets, token};
use crate::{
    accounts::{Caller, scope},
    app::App,
    error::Result,
    rest::{self, Created, Input, Listed, NoContent, Tag, Versioned},
    webhooks,
    wire::{Page, Timestamp, example},
};

/// Routes of projects.
pub struct ProjectsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Projects")]
impl ProjectsApi {
    /// Make a project
    ///
    /// One repository, its webhook endpoint and its event log. The answer holds the webhook secret, this once.
    #[oai(path = "/projects", method = "post", operation_id = "create_project")]
    async fn create_project(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ProjectsWrite>,
        body: Input<ProjectIn>,
    ) -> Result<Created<CreatedProjectOut>> {
        let ProjectIn { name, repo_url, config } = body.0;
        let new = NewProject { name, repo_url, config: config.unwrap_or_default() };
        let (project, secret) = super::create_project(&app, &caller.principal, &caller.sender, new).await?;
        let location = format!("/api/v1/projects/{}", project.id);
        let project = ProjectOut::new(&app, project);
        Ok(Created::at(
            location,
            CreatedProjectOut { webhook_secret: secret.expose_secret().to_owned(), project },
        ))
    }

    /// List projects
    ///
    /// The projects of the tenant that the key reaches, oldest first.
    #[oai(path = "/projects", method = "get", operation_id = "list_projects")]
    async fn list_projects(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ProjectsRead>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<ProjectOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let found = super::list_projects(&app, &caller.principal, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |row| row.id, |row| ProjectOut::new(&app, row))))
    }

    /// Show a project
    ///
    /// Its repository, configuration and webhook addresses.
    #[oai(path = "/projects/:project_id", method = "get", operation_id = "get_project")]
    async fn get_project(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ProjectsRead>,
        /// The project.
        project_id: Path<ProjectId>,
    ) -> Result<Versioned<ProjectOut>> {
        Ok(ProjectOut::versioned(&app, super::reach(&app, &caller.principal, project_id.0).await?))
    }

    /// Change a project
    ///
    /// What is left out stays as it is. `config` is replaced as a whole.
    #[oai(path = "/projects/:project_id", method = "patch", operation_id = "update_project")]
    async fn update_project(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ProjectsWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The `ETag` of the version that is meant; another one is refused with 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Input<ProjectChanges>,
    ) -> Result<Versioned<ProjectOut>> {
        let ProjectChanges { name, repo_url, config } = body.0;
        let patch = ProjectPatch { name, repo_url, config };
        let expected = rest::if_match(if_match.0);
        let project = super::update_project(&app, &caller.principal, project_id.0, patch, expected).await?;
        Ok(ProjectOut::versioned(&app, project))
    }

    /// Delete a project
    ///
    /// It is out of reach at once, its webhook endpoint too; its rows are removed in the background.
    #[oai(path = "/projects/:project_id", method = "delete", operation_id = "delete_project")]
    async fn delete_project(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ProjectsWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The `ETag` of the version that is meant; another one is refused with 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<NoContent> {
        let expected = rest::if_match(if_match.0);
        super::delete_project(&app, &caller.principal, &caller.sender, project_id.0, expected).await?;
        Ok(NoContent::Done)
    }

    /// Rotate the webhook secret
    ///
    /// Answers a new secret, this once. The present one stays valid for `overlapSeconds`, so that the Git host can
    /// be changed without losing a delivery; older ones end now.
    #[oai(
        path = "/projects/:project_id/webhook-secret/rotate",
        method = "post",
        operation_id = "rotate_webhook_secret"
    )]
    async fn rotate_webhook_secret(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ProjectsWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        body: Input<RotationIn>,
    ) -> Result<Json<RotationOut>> {
        let overlap = body.0.overlap_seconds.map_or(secrets::DEFAULT_OVERLAP, |seconds| {
            TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX)
        });
        let Caller { principal, sender, .. } = &caller;
        let (secret, until) = secrets::rotate_secret(&app, principal, sender, project_id.0, overlap).await?;
        Ok(Json(RotationOut {
            webhook_secret: secret.expose_secret().to_owned(),
            old_secret_expires_at: until.into(),
        }))
    }

    /// Give the project a provider token
    ///
    /// With it a private repository is read, and what the Git host could not deliver is asked for. It needs no more
    /// than to read the repository and, on GitHub, its webhooks. It is stored sealed, never shown again, and sent to
    /// the host of `repoUrl` alone: a project that moves to another host has none.
    #[oai(path = "/projects/:project_id/provider-token", method = "put", operation_id = "set_provider_token")]
    async fn set_provider_token(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ProjectsWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        body: Input<ProviderTokenIn>,
    ) -> Result<NoContent> {
        let ProviderTokenIn { username, token } = body.0;
        let Caller { principal, sender, .. } = &caller;
        token::set_provider_token(&app, principal, sender, project_id.0, username, token.into()).await?;
        Ok(NoContent::Done)
    }

    /// Take the provider token away
    ///
    /// The repository is read without it from now on.
    #[oai(
        path = "/projects/:project_id/provider-token",
        method = "delete",
        operation_id = "remove_provider_token"
    )]
    async fn remove_provider_token(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ProjectsWrite>,
        /// The project.
        project_id: Path<ProjectId>,
    ) -> Result<NoContent> {
        let Caller { principal, sender, .. } = &caller;
        token::remove_provider_token(&app, principal, sender, project_id.0).await?;
        Ok(NoContent::Done)
    }
}

/// A token for the Git host.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "ProviderToken", example)]
struct ProviderTokenIn {
    /// The user's name that goes with it; left out where only the token counts.
    username: Option<String>,
    /// The token, as the Git host showed it.
    token: String,
}

example!(ProviderTokenIn, {"token": "github_pat_of_your_own"});

/// A project to be made.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "NewProject", example)]
struct ProjectIn {
    /// The name people see, 1 to 200 characters.
    name: String,
    /// Where its repository lives, without a password.
    repo_url: String,
    /// What to look at in the repository; left out, the default branch and the BMAD paths.
    config: Option<ProjectConfig>,
}

example!(ProjectIn, {"name": "Rocket", "repoUrl": "https://github.com/your-org/your-repo"});

/// What to change of a project.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "ProjectPatch", example)]
struct ProjectChanges {
    /// The name people see, 1 to 200 characters.
    name: Option<String>,
    /// Where its repository lives, without a password.
    repo_url: Option<String>,
    /// What to look at in the repository, as a whole.
    config: Option<ProjectConfig>,
}

example!(ProjectChanges, {"config": {"branch": "main", "artifactPaths": {"prd": ["docs/prd*"], "story": ["docs/stories/**"]}}});

/// A project.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Project")]
struct ProjectOut {
    /// Its id.
    id: ProjectId,
    /// The name people see.
    name: String,
    /// Where its repository lives.
    repo_url: String,
    /// Where the Git host posts its webhooks, by source.
    webhook_urls: BTreeMap<String, String>,
    /// What Trackside looks at in the repository.
    config: ProjectConfig,
    /// Grows by one with every change.
    version: i64,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
}

impl ProjectOut {
    fn new(app: &App, project: Project) -> Self {
        Self {
            id: project.id,
            webhook_urls: webhooks::urls(app, project.id),
            name: project.name,
            repo_url: project.repo_url,
            config: project.config,
            version: project.version,
            created_at: project.created_at.into(),
            updated_at: project.updated_at.into(),
        }
    }

    fn versioned(app: &App, project: Project) -> Versioned<Self> {
        Versioned { version: project.version, body: Self::new(app, project) }
    }
}

/// A project that was just made.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "CreatedProject")]
struct CreatedProjectOut {
    /// What the Git host signs with, shown this once.
    webhook_secret: String,
    /// The project.
    #[oai(flatten)]
    project: ProjectOut,
}

/// How to rotate.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "SecretRotation", example)]
struct RotationIn {
    /// For how many seconds the present secret stays valid, 0 to 2592000 (86400 if not given).
    overlap_seconds: Option<i64>,
}

example!(RotationIn, {"overlapSeconds": 3600});

/// A secret that was just made.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "RotatedSecret")]
struct RotationOut {
    /// What the Git host is to sign with from now on, shown this once.
    webhook_secret: String,
    /// Until when the old secret is accepted.
    old_secret_expires_at: Timestamp,
}
