//! Provider tokens: with which a project's repository, and its host's API, are read. Sealed, and never shown again.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Project, ProjectId, store};
use crate::{
    accounts::Principal,
    app::App,
    artifacts::scan::{self, Wanted},
    database::{TenantId, Tx},
    error::{Error, Result},
    git::Credential,
    security::{self, Actor, SecurityAction, SecurityEvent, TargetKind},
    sender::Sender,
    vault::Place,
};

/// The user's name beside a token, which most hosts do not look at.
const USERNAME: &str = "x-access-token";
/// Bytes of a token at most.
const MAX_TOKEN: usize = 4_000;

/// Gives a project a token, in place of the one that it may have had, and has its repository read with it.
///
/// # Errors
/// `not_found` for a project out of reach, `invalid_request` for what cannot be a token or a user's name.
pub async fn set_provider_token(
    app: &Arc<App>,
    principal: &Principal,
    sender: &Sender,
    project: ProjectId,
    username: Option<String>,
    token: SecretString,
) -> Result<()> {
    super::reach(app, principal, project).await?;
    let credential = parse(username, &token)?;
    let event = SecurityEvent::new(app, Actor::new(principal, sender), SecurityAction::ProviderTokenSet);
    let context = Arc::clone(app);
    app.database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                let Project { name, .. } = super::hold(tx, project).await?;
                let token = credential.token.expose_secret().as_bytes();
                let sealed = context.vault.seal(place(tx.tenant(), project), token)?;
                store::set_token(tx, project, credential.username, sealed, context.clock.now()).await?;
                security::note(tx, event.on(TargetKind::Project, project.0, name)).await?;
                scan::want(&context, tx, project, Wanted::BySomebody).await
            })
        })
        .await
}

/// Takes a project's token away.
///
/// # Errors
/// `not_found` for a project out of reach, or one that has no token.
pub async fn remove_provider_token(
    app: &Arc<App>,
    principal: &Principal,
    sender: &Sender,
    project: ProjectId,
) -> Result<()> {
    super::reach(app, principal, project).await?;
    let event = SecurityEvent::new(app, Actor::new(principal, sender), SecurityAction::ProviderTokenRemoved);
    app.database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                let Project { name, .. } = super::hold(tx, project).await?;
                if !store::remove_token(tx, project).await? {
                    return Err(Error::not_found("provider token"));
                }
                security::note(tx, event.on(TargetKind::Project, project.0, name)).await
            })
        })
        .await
}

/// A project's token, opened.
///
/// # Errors
/// The database's, and `internal` for one that was sealed elsewhere.
pub async fn open(app: &App, tx: &Tx<'_>, project: ProjectId) -> Result<Option<Credential>> {
    let Some((username, sealed)) = store::token(tx, project).await? else { return Ok(None) };
    let token = app.vault.open(place(tx.tenant(), project), &sealed)?;
    let token = String::from_utf8(token).map_err(|_| Error::internal("a provider token is not text"))?;
    Ok(Some(Credential { username, token: token.into() }))
}

/// The host that a token is for: another one never gets it.
pub(super) fn origin(repo_url: &str) -> Option<(String, String, Option<u16>)> {
    let url = url::Url::parse(repo_url).ok()?;
    Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port_or_known_default()))
}

fn parse(username: Option<String>, token: &SecretString) -> Result<Credential> {
    let token = token.expose_secret().trim();
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid_field("/token", "give the token as the Git host showed it, on one line"));
    }
    let username = username.unwrap_or_else(|| USERNAME.to_owned());
    if username.is_empty() || username.len() > 250 || username.chars().any(|c| c.is_control() || c == ':') {
        let why = "a user's name at the Git host; leave it out where only the token counts";
        return Err(Error::invalid_field("/username", why));
    }
    Ok(Credential { username, token: token.to_owned().into() })
}

fn place(tenant: TenantId, project: ProjectId) -> Place<'static> {
    Place { tenant: tenant.0, column: "provider_token.sealed", row: project.0 }
}
