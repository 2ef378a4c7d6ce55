//! Projects: one repository each, with its webhook endpoint, its configuration and its event log.
//!
//! A new project answers its webhook secret once. While a secret is rotated two are valid, the old one until
//! its expiry. A deleted project is gone at once for everybody; a job then removes its rows in small batches.
//! A project of another tenant, or one that the caller's key is not for, is the same 404 as one that never was.

mod api;
pub mod secrets;
mod store;
pub mod token;
mod tools;
pub mod worker;

use std::{collections::BTreeMap, sync::Arc};

use poem_openapi::Object;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use self::{api::ProjectsApi, tools::ListProjects};
pub use crate::wire::ProjectId;
use crate::{
    accounts::{Principal, parse_name},
    app::App,
    artifacts::scan::{self, Wanted},
    clock::Time,
    database::{TenantId, Tx},
    error::{Error, Result},
    events::{self, EventName, NewEvent},
    gates::{
        self, Changed, GateConfig,
        presets::{self, default_gates},
    },
    jobs::{JobId, NewJob},
    reservations::patterns,
    security::{self, Actor, SecurityAction, SecurityEvent, TargetKind},
    sender::Sender,
    wire::{Expected, Found, Page, wire_enum},
    work::lanes::{self, LaneConfig, default_lanes},
};

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// The name people see.
    pub name: String,
    /// Where its repository lives.
    pub repo_url: String,
    /// Branch and path patterns.
    pub config: ProjectConfig,
    /// Grows by one with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

wire_enum! {
    /// How GitLab has to prove that a webhook is its own.
    GitLabVerification {
        /// By the secret itself, in `X-Gitlab-Token`; a signature is not looked at.
        Token = "token",
        /// By a signature, in `webhook-signature`; a token alone is refused.
        Signature = "signature",
    }
}

/// What Trackside looks at in a repository, and what it asks of those who post to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ProjectConfig {
    /// The branch whose documents count; left out, the repository's default branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Path patterns by the kind of document they find: `prd`, `architecture`, `story`, `qa` or `other`. A `*`
    /// also stands for `/`.
    #[oai(default = "default_paths")]
    pub artifact_paths: BTreeMap<String, Vec<String>>,
    /// The lanes of the board, in their order: `backlog`, `ready` and `done`, and between them whatever the team has.
    #[oai(default = "default_lanes")]
    pub lanes: Vec<LaneConfig>,
    /// Patterns, in the syntax of gitignore, of files that everybody adds to or that tools write: who pushes one that
    /// somebody else has reserved is warned, and no more. Common lockfiles and changelogs if not given.
    #[oai(default = "default_soft_paths")]
    pub soft_paths: Vec<String>,
    /// What the project asks of its phases and of its work items; left out, what the BMAD method asks for.
    #[oai(default = "default_gates")]
    pub gates: Vec<GateConfig>,
    /// How GitLab has to prove that a webhook is its own: `token` or `signature`. Left out, either will do, and a
    /// delivery that carries a signature is judged by it alone.
    #[serde(rename = "gitlabVerification", skip_serializing_if = "Option::is_none")]
    #[oai(rename = "gitlabVerification", skip_serializing_if_is_none)]
    pub gitlab_verification: Option<GitLabVerification>,
}

impl Default for ProjectConfig {
    fn default() -> Self {
        Self {
            branch: None,
            artifact_paths: default_paths(),
            lanes: default_lanes(),
            soft_paths: default_soft_paths(),
            gates: default_gates(),
            gitlab_verification: None,
        }
    }
}

/// Where the BMAD method keeps its documents.
fn default_paths() -> BTreeMap<String, Vec<String>> {
    let defaults: [(&str, &[&str]); 4] = [
        ("prd", &["docs/prd*", "docs/epic*"]),
        ("architecture", &["docs/architecture*"]),
        ("story", &["docs/stories/**"]),
        ("qa", &["docs/qa/**"]),
    ];
    let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    defaults.into_iter().map(|(kind, patterns)| (kind.to_owned(), owned(patterns))).collect()
}

/// What several change at a time without harm, or what is made anew anyway.
fn default_soft_paths() -> Vec<String> {
    let defaults = [
        "CHANGELOG*",
        "CHANGES*",
        "Cargo.lock",
        "Gemfile.lock",
        "composer.lock",
        "go.sum",
        "package-lock.json",
        "pnpm-lock.yaml",
        "poetry.lock",
        "uv.lock",
        "yarn.lock",
    ];
    defaults.map(str::to_owned).to_vec()
}

/// A project to be made.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// The name people see.
    pub name: String,
    /// Where its repository lives.
    pub repo_url: String,
    /// Branch and path patterns.
    pub config: ProjectConfig,
}

/// What to change of a project; what is left out stays.
#[derive(Clone, Debug, Default)]
pub struct ProjectPatch {
    /// The name people see.
    pub name: Option<String>,
    /// Where its repository lives.
    pub repo_url: Option<String>,
    /// Branch and path patterns.
    pub config: Option<ProjectConfig>,
}

/// Makes a project, its first webhook secret and its log.
///
/// # Errors
/// `invalid_request` for a name, address or pattern that does not make sense; `insufficient_scope` for a key
/// that is limited to certain projects.
pub async fn create_project(
    app: &Arc<App>,
    principal: &Principal,
    sender: &Sender,
    new: NewProject,
) -> Result<(Project, SecretString)> {
    create_project_as(app, principal, sender, ProjectId(app.ids.uuid()), new).await
}

/// The same under an id that was made before, because something is named after it already.
///
/// # Errors
/// Those of [`create_project`].
pub(crate) async fn create_project_as(
    app: &Arc<App>,
    principal: &Principal,
    sender: &Sender,
    id: ProjectId,
    new: NewProject,
) -> Result<(Project, SecretString)> {
    if principal.projects.is_some() {
        let why = "a key that is limited to certain projects cannot make another one";
        return Err(Error::new(crate::error::Code::InsufficientScope, why));
    }
    make_project(app, principal.tenant, Actor::new(principal, sender), id, new).await
}

/// Makes a project in any tenant; for the command line, whose user owns the database.
///
/// # Errors
/// `invalid_request` for a name, address or pattern that does not make sense.
pub async fn issue_project(
    app: &Arc<App>,
    tenant: TenantId,
    new: NewProject,
) -> Result<(Project, SecretString)> {
    make_project(app, tenant, Actor::system(), ProjectId(app.ids.uuid()), new).await
}

async fn make_project(
    app: &Arc<App>,
    tenant: TenantId,
    actor: Actor,
    id: ProjectId,
    new: NewProject,
) -> Result<(Project, SecretString)> {
    let now = app.clock.now();
    let project = Project {
        id,
        name: parse_name("/name", &new.name)?,
        repo_url: parse_repo_url(&new.repo_url)?,
        config: parse_config(new.config)?,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let event = SecurityEvent::new(app, actor, SecurityAction::ProjectCreated);
    let event = event.on(TargetKind::Project, project.id.0, project.name.clone());
    let (row, app_) = (project.clone(), Arc::clone(app));
    let secret = app
        .database
        .write(tenant, move |tx| {
            Box::pin(async move {
                let id = row.id;
                store::insert(tx, row).await?;
                security::note(tx, event).await?;
                events::create_log(&app_, tx, id).await?;
                scan::want(&app_, tx, id, Wanted::ByProject).await?;
                // They are there from the beginning, though none of them says anything yet.
                let events = gates::evaluate(&app_, tx, id, &Changed::nothing()).await?;
                events::tell(&app_, tx, id, events).await?;
                secrets::create(&app_, tx, id).await
            })
        })
        .await?;
    Ok((project, secret))
}

/// The projects of the tenant that the caller's key reaches, oldest first.
///
/// # Errors
/// The database's.
pub async fn list_projects(
    app: &App,
    principal: &Principal,
    page: Page<ProjectId>,
) -> Result<Found<Project>> {
    let only = principal.project_ids();
    app.database
        .read(principal.tenant, |tx| Box::pin(async move { store::list(tx, &page, only).await }))
        .await
}

/// Every project of a tenant, oldest first; for the command line, whose user owns the database.
///
/// # Errors
/// The database's.
pub async fn list_all(app: &App, tenant: TenantId, page: Page<ProjectId>) -> Result<Vec<Project>> {
    app.database
        .read(tenant, |tx| Box::pin(async move { Ok(store::list(tx, &page, None).await?.rows) }))
        .await
}

/// A project that the caller's key reaches.
///
/// # Errors
/// `not_found` for every other one.
pub async fn reach(app: &App, principal: &Principal, id: ProjectId) -> Result<Project> {
    if !principal.reaches(id) {
        return Err(Error::not_found("project"));
    }
    app.database.read(principal.tenant, move |tx| Box::pin(find(tx, id))).await
}

/// A project of this transaction's tenant.
///
/// # Errors
/// `not_found` for one that is not there or was deleted.
pub async fn find(tx: &Tx<'_>, id: ProjectId) -> Result<Project> {
    find_if_there(tx, id).await?.ok_or_else(|| Error::not_found("project"))
}

/// A project of this transaction's tenant; none if it is not there or was deleted.
///
/// # Errors
/// The database's.
pub async fn find_if_there(tx: &Tx<'_>, id: ProjectId) -> Result<Option<Project>> {
    store::find(tx, id).await
}

/// The same, and nobody else changes anything about it until the transaction ends: what is read can be relied on in
/// what is written.
///
/// # Errors
/// `not_found` for one that is not there or was deleted, `unavailable` when somebody else holds it for too long.
pub async fn hold(tx: &Tx<'_>, id: ProjectId) -> Result<Project> {
    hold_if_there(tx, id).await?.ok_or_else(|| Error::not_found("project"))
}

/// The same; none if it is not there or was deleted.
///
/// # Errors
/// `unavailable` when somebody else holds it for too long.
pub async fn hold_if_there(tx: &Tx<'_>, id: ProjectId) -> Result<Option<Project>> {
    tx.lock(id.0).await?;
    find_if_there(tx, id).await
}

/// Changes a project and tells its log.
///
/// # Errors
/// `invalid_request` for a value that does not make sense, `not_found` for a project out of reach,
/// `precondition_failed` for one that is at another version.
pub async fn update_project(
    app: &Arc<App>,
    principal: &Principal,
    id: ProjectId,
    patch: ProjectPatch,
    expected: Expected,
) -> Result<Project> {
    reach(app, principal, id).await?;
    let name = patch.name.map(|name| parse_name("/name", &name)).transpose()?;
    let repo_url = patch.repo_url.map(|url| parse_repo_url(&url)).transpose()?;
    let config = patch.config.map(parse_config).transpose()?;
    let app_ = Arc::clone(app);
    let updated = app
        .database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                let before = hold(tx, id).await?;
                expected.check(before.version)?;
                let after = Project {
                    name: name.unwrap_or_else(|| before.name.clone()),
                    repo_url: repo_url.unwrap_or_else(|| before.repo_url.clone()),
                    config: config.unwrap_or_else(|| before.config.clone()),
                    version: before.version + 1,
                    updated_at: app_.clock.now(),
                    ..before.clone()
                };
                store::update(tx, &after).await?;
                if token::origin(&after.repo_url) != token::origin(&before.repo_url) {
                    store::remove_token(tx, id).await?; // it was given to one host, and goes to no other
                }
                if after.repo_url != before.repo_url || after.config != before.config {
                    scan::want(&app_, tx, id, Wanted::ByProject).await?;
                }
                let payload =
                    json!({"name": after.name, "repoUrl": after.repo_url, "version": after.version});
                let mut events = vec![NewEvent { name: EventName::ProjectChanged, payload }];
                if after.config != before.config {
                    events.extend(gates::evaluate(&app_, tx, id, &Changed::everything()).await?);
                }
                events::tell(&app_, tx, id, events).await?;
                Ok(after)
            })
        })
        .await?;
    app.endpoints.forget(id);
    Ok(updated)
}

/// Deletes a project: it is out of reach at once, and its rows go in small batches.
///
/// # Errors
/// `not_found` for a project out of reach, `precondition_failed` for one that is at another version.
pub async fn delete_project(
    app: &Arc<App>,
    principal: &Principal,
    sender: &Sender,
    id: ProjectId,
    expected: Expected,
) -> Result<()> {
    reach(app, principal, id).await?;
    let noted = SecurityEvent::new(app, Actor::new(principal, sender), SecurityAction::ProjectDeleted);
    let app_ = Arc::clone(app);
    let purge = NewJob {
        id: JobId(app.ids.uuid()),
        tenant: principal.tenant,
        kind: worker::PURGE_PROJECT,
        payload: json!({ "projectId": id.0 }),
    };
    app.database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                let project = hold(tx, id).await?;
                expected.check(project.version)?;
                store::mark_deleted(tx, id, app_.clock.now()).await?;
                security::note(tx, noted.on(TargetKind::Project, id.0, project.name)).await?;
                let event = NewEvent { name: EventName::ProjectChanged, payload: json!({"deleted": true}) };
                app_.jobs.enqueue(tx, purge).await?;
                events::tell(&app_, tx, id, vec![event]).await
            })
        })
        .await?;
    app.endpoints.forget(id);
    Ok(())
}

/// An address that Git could fetch from, without a password in it.
fn parse_repo_url(text: &str) -> Result<String> {
    let bad = |why: &str| Error::invalid_field("/repoUrl", why);
    let text = text.trim();
    if text.len() > 2000 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(bad("an address has at most 2000 characters and no spaces"));
    }
    let scp_like = text.split_once(':').is_some_and(|(host, path)| {
        host.contains('@') && !host.contains('/') && !path.is_empty() && !path.starts_with("//")
    });
    if scp_like {
        return Ok(text.to_owned());
    }
    let url = url::Url::parse(text)
        .map_err(|_| bad("not an address; an example: https://github.com/your-org/your-repo"))?;
    if !matches!(url.scheme(), "https" | "http" | "ssh" | "git" | "file") {
        return Err(bad("the address must begin with https://, http://, ssh://, git:// or file://"));
    }
    if url.password().is_some() {
        return Err(bad(
            "leave the password out of the address: it would be shown to everybody in the tenant",
        ));
    }
    Ok(text.to_owned())
}

fn parse_config(config: ProjectConfig) -> Result<ProjectConfig> {
    crate::artifacts::Patterns::compile(&config.artifact_paths)?;
    lanes::check(&config.lanes)?;
    patterns::check("/config/softPaths", &config.soft_paths)?;
    let gates = presets::parse(config.gates, &config.lanes)?;
    let branch = config.branch.map(|branch| branch.trim().trim_start_matches("refs/heads/").to_owned());
    if branch.as_ref().is_some_and(|branch| branch.is_empty() || branch.len() > 250) {
        return Err(Error::invalid_field(
            "/config/branch",
            "a branch has a name such as `main`; leave it out for the default",
        ));
    }
    Ok(ProjectConfig { branch, gates, ..config })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_git_understands_are_taken() {
        for url in [
            "https://github.com/acme/rocket",
            "git@github.com:acme/rocket.git",
            "ssh://git@host/x",
            "file:///srv/x",
        ] {
            assert!(parse_repo_url(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_or_holds_a_password_is_refused() {
        for url in ["", "rocket", "javascript:alert(1)", "https://me:secret@github.com/a/b", "https://a b"] {
            assert!(parse_repo_url(url).is_err(), "{url}");
        }
    }
}
