//! Refresh tokens: by which a client gets further tokens of a grant. Each is good once, and answered with the next one.
//!
//! Somebody who copied a token is found out as soon as both have used it: the second use ends the grant. But a client
//! whose answer was lost asks again, and two of its processes may ask at once with the token they share. So for
//! [`GRACE`] after its first use a token is answered with the same successor as then; nobody has two that are good.

use chrono::TimeDelta;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::{
    grants::{self, Grant},
    refused, store,
};
use crate::{
    accounts::secret,
    app::App,
    clock::Time,
    database::{Door, TenantId},
    error::{Error, Result},
    security::{Actor, SecurityAction, SecurityEvent},
    sender::Sender,
    vault::Place,
};

/// For how long a token is good that is not used.
pub const LIFE: TimeDelta = TimeDelta::days(30);
/// For how long a used token is answered with its successor again.
pub const GRACE: TimeDelta = TimeDelta::seconds(60);
/// What a refresh token begins with.
const MARK: &str = "tsr_";

/// A refresh token as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: Uuid,
    pub(super) created_at: Time,
    pub(super) expires_at: Time,
    pub(super) used_at: Option<Time>,
    /// The token that came after it, sealed.
    pub(super) successor: Option<Vec<u8>>,
}

impl Kept {
    fn new(app: &App, now: Time) -> Self {
        Self { id: app.ids.uuid(), created_at: now, expires_at: now + LIFE, used_at: None, successor: None }
    }
}

/// A new refresh token, and as it is to be kept.
pub(super) fn generate(app: &App, now: Time) -> (SecretString, Kept) {
    (secret::generate(&app.ids, MARK), Kept::new(app, now))
}

/// A refresh token that its client showed.
#[derive(Debug)]
pub struct Shown {
    /// What it stands for.
    pub grant: Grant,
    /// Whether it was used before.
    pub was_used: bool,
    token: Uuid,
}

/// The refresh token that a client shows. Nothing becomes of it yet.
///
/// # Errors
/// `unauthenticated`, which a token endpoint calls `invalid_grant`, for a token that is unknown or expired, or another
/// client's.
pub async fn look_up(app: &App, token: &str, client_id: &str) -> Result<Shown> {
    let hash = secret::hash(token);
    let found = app
        .database
        .read_through(Door::Credentials, |tx| Box::pin(async move { store::refresh_token(tx, hash).await }))
        .await?;
    let (kept, grant) = found.ok_or_else(refused)?;
    if grant.client_id != client_id || kept.expires_at <= app.clock.now() {
        return Err(refused());
    }
    Ok(Shown { grant, was_used: kept.used_at.is_some(), token: kept.id })
}

/// What became of a token that was shown.
enum Use {
    /// It was good, and is used now.
    First,
    /// It was used a moment ago; its successor, sealed.
    Again(Vec<u8>),
    /// It is no good.
    Refused,
    /// It was used before: somebody else has it. Its grant has ended.
    Stolen,
}

/// The token to use next time, in place of one that was shown.
///
/// # Errors
/// `unauthenticated` for a token that was used too long ago, whose grant ends by it, and for one whose grant has ended.
pub async fn rotate(app: &App, shown: Shown, sender: &Sender) -> Result<SecretString> {
    let Shown { grant, token, .. } = shown;
    let (id, tenant, now) = (grant.id, grant.tenant, app.clock.now());
    let (next, row) = generate(app, now);
    let place = place(tenant, token);
    let sealed = app.vault.seal(place, next.expose_secret().as_bytes())?;
    let hash = secret::hash(next.expose_secret());
    let reused = SecurityEvent::new(app, Actor::provoked(sender), SecurityAction::RefreshTokenReused);
    let used = app
        .database
        .write(tenant, move |tx| {
            Box::pin(async move {
                if store::use_refresh_token(tx, token, sealed, now).await? {
                    store::insert_refresh_token(tx, id, row, hash).await?;
                    let is_open = store::use_grant(tx, id, now).await?.is_some();
                    return Ok(if is_open { Use::First } else { Use::Refused });
                }
                // Perhaps just now, by somebody who was faster.
                let Some(Kept { used_at: Some(used_at), successor: Some(sealed), .. }) =
                    store::refresh_token_in(tx, token).await?
                else {
                    return Ok(Use::Refused);
                };
                if now - used_at > GRACE {
                    grants::end_in(tx, &grant, now, reused).await?;
                    return Ok(Use::Stolen);
                }
                let is_open = store::use_grant(tx, id, now).await?.is_some();
                Ok(if is_open { Use::Again(sealed) } else { Use::Refused })
            })
        })
        .await?;
    match used {
        Use::First => Ok(next),
        Use::Again(sealed) => {
            let plain = app.vault.open(place, &sealed)?;
            let successor = String::from_utf8(plain).map_err(Error::internal)?;
            Ok(successor.into())
        }
        Use::Refused => Err(refused()),
        Use::Stolen => {
            tracing::warn!(grant = %id, "a refresh token came twice: its grant has ended");
            app.accounts.forget();
            Err(refused())
        }
    }
}

fn place(tenant: TenantId, row: Uuid) -> Place<'static> {
    Place { tenant: tenant.0, column: "refresh_token.successor", row }
}
