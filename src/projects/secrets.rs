//! Webhook secrets: made, sealed, rotated, and opened for the few seconds that a delivery is verified.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use super::{GitLabVerification, Project, ProjectId, store};
use crate::{
    accounts::Principal,
    app::App,
    clock::Time,
    database::{Database, Door, TenantId, Tx},
    error::{Code, Error, Result},
    recent::Recent,
    security::{self, Actor, SecurityAction, SecurityEvent, TargetKind},
    sender::Sender,
    vault::{Place, Vault},
};

/// For how long an old secret stays valid unless the caller says otherwise.
pub const DEFAULT_OVERLAP: TimeDelta = TimeDelta::hours(24);
/// The longest that an old secret may stay valid.
pub const MAX_OVERLAP: TimeDelta = TimeDelta::days(30);

/// A project as an incoming webhook meets it: whose it is, the secrets that may have signed, and how.
pub struct Endpoint {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// The project.
    pub project: ProjectId,
    /// How GitLab has to prove itself, if the project insists on one way.
    pub gitlab: Option<GitLabVerification>,
    secrets: Vec<(SecretString, Option<Time>)>,
}

impl Endpoint {
    /// The secrets that are valid at `now`, newest first.
    pub fn secrets_at(&self, now: Time) -> impl Iterator<Item = &SecretString> {
        self.secrets
            .iter()
            .filter(move |(_, expires_at)| expires_at.is_none_or(|expires_at| now < expires_at))
            .map(|(secret, _)| secret)
    }

    /// The secrets that were valid once, with the moments at which they expired.
    pub fn expired_at(&self, now: Time) -> impl Iterator<Item = (&SecretString, Time)> {
        let expired = move |expires_at: &Option<Time>| expires_at.filter(|expires_at| *expires_at <= now);
        self.secrets.iter().filter_map(move |(secret, expires_at)| Some((secret, expired(expires_at)?)))
    }
}

/// For how long an endpoint is used without asking the database: what another instance changes is noticed by then.
const TRUSTED: Duration = Duration::from_secs(1);

/// Recently used endpoints.
#[derive(Clone)]
pub struct Endpoints(Recent<ProjectId, Arc<Endpoint>>);

impl Endpoints {
    /// Forgets one project, because it has changed.
    pub fn forget(&self, project: ProjectId) {
        self.0.forget(&project);
    }
}

impl Default for Endpoints {
    fn default() -> Self {
        Self(Recent::new(TRUSTED))
    }
}

/// The endpoint of a project, for a webhook that carries no tenant.
///
/// # Errors
/// `not_found` for a project that is not there.
pub async fn endpoint(app: &App, project: ProjectId) -> Result<Arc<Endpoint>> {
    app.endpoints
        .0
        .get(project, |_| true, || read_endpoint(app.database.clone(), app.vault.clone(), project))
        .await
}

async fn read_endpoint(database: Database, vault: Vault, project: ProjectId) -> Result<Arc<Endpoint>> {
    let found = database.read_through(Door::ProjectForWebhook, |tx| Box::pin(store::endpoint(tx, project)));
    let missing = || Error::new(Code::NotFound, "there is no such webhook endpoint");
    let (tenant, config, rows) = found.await?.ok_or_else(missing)?;
    let secrets = rows.into_iter().map(|row| Ok((open(&vault, tenant, &row)?, row.expires_at)));
    let secrets = secrets.collect::<Result<_>>()?;
    Ok(Arc::new(Endpoint { tenant, project, gitlab: config.gitlab_verification, secrets }))
}

/// A sealed secret as it is stored.
pub(super) struct SealedSecret {
    pub(super) id: Uuid,
    pub(super) project: ProjectId,
    pub(super) sealed: Vec<u8>,
    pub(super) created_at: Time,
    pub(super) expires_at: Option<Time>,
}

/// Makes a secret for a project: `whsec_` and base64 of 32 random bytes.
pub(super) async fn create(app: &App, tx: &Tx<'_>, project: ProjectId) -> Result<SecretString> {
    let text = format!("whsec_{}", STANDARD.encode(app.ids.bytes::<32>()));
    let id = app.ids.uuid();
    let sealed = app.vault.seal(place(tx.tenant(), id), text.as_bytes())?;
    let row = SealedSecret { id, project, sealed, created_at: app.clock.now(), expires_at: None };
    store::insert_secret(tx, row).await?;
    Ok(text.into())
}

/// Gives a project a new secret; the present one stays valid for `overlap`, older ones end now.
///
/// # Errors
/// `not_found` for a project out of reach, `invalid_request` for an overlap above [`MAX_OVERLAP`].
pub async fn rotate_secret(
    app: &Arc<App>,
    principal: &Principal,
    sender: &Sender,
    project: ProjectId,
    overlap: TimeDelta,
) -> Result<(SecretString, Time)> {
    let overlap = parse_overlap(overlap)?;
    super::reach(app, principal, project).await?;
    let event = SecurityEvent::new(app, Actor::new(principal, sender), SecurityAction::WebhookSecretRotated);
    let app_ = Arc::clone(app);
    let rotated = app
        .database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                let Project { name, .. } = super::hold(tx, project).await?;
                let now = app_.clock.now();
                let until = now + overlap;
                store::retire_secrets(tx, project, now, until).await?;
                let event = event.on(TargetKind::Project, project.0, name);
                security::note(tx, event.with(json!({"oldSecretExpiresAt": until}))).await?;
                Ok((create(&app_, tx, project).await?, until))
            })
        })
        .await?;
    app.endpoints.forget(project);
    Ok(rotated)
}

/// For how long an old secret may stay valid beside its successor.
///
/// # Errors
/// `invalid_request` for less than nothing and more than [`MAX_OVERLAP`].
pub(crate) fn parse_overlap(overlap: TimeDelta) -> Result<TimeDelta> {
    if overlap < TimeDelta::zero() || overlap > MAX_OVERLAP {
        let why = format!("use a number of seconds between 0 and {}", MAX_OVERLAP.num_seconds());
        return Err(Error::invalid_field("/overlapSeconds", why));
    }
    Ok(overlap)
}

fn open(vault: &Vault, tenant: TenantId, row: &SealedSecret) -> Result<SecretString> {
    let plain = vault.open(place(tenant, row.id), &row.sealed)?;
    Ok(String::from_utf8(plain).map_err(|_| Error::internal("a webhook secret is not text"))?.into())
}

fn place(tenant: TenantId, row: Uuid) -> Place<'static> {
    Place { tenant: tenant.0, column: "project_secret.sealed", row }
}
