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

/// Makes the first refresh token of a grant.
///
/// # Errors
/// The database's.
pub async fn issue(app: &App, grant: &Grant) -> Result<SecretString> {
    let token = secret::generate(&app.ids, MARK);
    let (kept, hash, id) = (Kept::new(app, app.clock.now()), secret::hash(token.expose_secret()), grant.id);
    app.database
        .write(grant.tenant, move |tx| {
            Box::pin(async move { store::insert_refresh_token(tx, id, kept, hash).await })
        })
        .await?;
    Ok(token)
}

/// What became of a token that was shown.
enum Use {
    /// It was good, and is used now.
    First(Grant),
    /// It was used a moment ago; its successor, sealed.
    Again(Grant, Vec<u8>),
    /// It is no good.
    Refused,
    /// It was used before: somebody else has it. Its grant has ended.
    Stolen,
}

/// The grant that a refresh token stands for, and the token to use next time.
///
/// # Errors
/// `unauthenticated`, which a token endpoint calls `invalid_grant`, for a token that is unknown, expired or used, or
/// another client's, and for one whose grant has ended.
pub async fn rotate(app: &App, token: &str, client_id: &str) -> Result<(Grant, SecretString)> {
    let hash_of_token = secret::hash(token);
    let found = app
        .database
        .read_through(Door::Credentials, |tx| {
            Box::pin(async move { store::refresh_token(tx, hash_of_token).await })
        })
        .await?;
    let (kept, grant) = found.ok_or_else(refused)?;
    let now = app.clock.now();
    if grant.client_id != client_id || kept.expires_at <= now {
        return Err(refused());
    }
    let next = secret::generate(&app.ids, MARK);
    let place = place(grant.tenant, kept.id);
    let sealed = app.vault.seal(place, next.expose_secret().as_bytes())?;
    let (row, hash, token, id) = (Kept::new(app, now), secret::hash(next.expose_secret()), kept.id, grant.id);
    let (tenant, shown) = (grant.tenant, grant);
    let reused = SecurityEvent::new(app, Actor::system(), SecurityAction::RefreshTokenReused);
    let used = app
        .database
        .write(tenant, move |tx| {
            Box::pin(async move {
                if store::use_refresh_token(tx, token, sealed, now).await? {
                    store::insert_refresh_token(tx, id, row, hash).await?;
                    return match store::use_grant(tx, id, now).await? {
                        Some(grant) => Ok(Use::First(grant)),
                        None => Ok(Use::Refused),
                    };
                }
                // Perhaps just now, by somebody who was faster.
                let Some(Kept { used_at: Some(used_at), successor: Some(sealed), .. }) =
                    store::refresh_token_in(tx, token).await?
                else {
                    return Ok(Use::Refused);
                };
                if now - used_at > GRACE {
                    grants::end_in(tx, &shown, now, reused).await?;
                    return Ok(Use::Stolen);
                }
                match store::use_grant(tx, id, now).await? {
                    Some(grant) => Ok(Use::Again(grant, sealed)),
                    None => Ok(Use::Refused),
                }
            })
        })
        .await?;
    match used {
        Use::First(grant) => Ok((grant, next)),
        Use::Again(grant, sealed) => {
            let plain = app.vault.open(place, &sealed)?;
            let successor = String::from_utf8(plain).map_err(Error::internal)?;
            Ok((grant, successor.into()))
        }
        Use::Refused => Err(refused()),
        Use::Stolen => {
            tracing::warn!(grant = %id, client_id, "a refresh token came twice: its grant has ended");
            app.accounts.forget();
            Err(refused())
        }
    }
}

fn place(tenant: TenantId, row: Uuid) -> Place<'static> {
    Place { tenant: tenant.0, column: "refresh_token.successor", row }
}
