//! Authorization codes: what the browser carries from a person's consent to the client, for its first tokens.
//!
//! A code is good once, for [`LIFE`], for the client that it was made for, with the redirect address it was sent to, and
//! for whoever knows what its challenge was made of (RFC 7636, S256). Who shows all that a second time is told no, and
//! the grant ends: one of the two was not the client. Who does not know all that has no effect.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::{
    grants::{self, Grant},
    redirect::RedirectUri,
    refresh, refused, store,
};
use crate::{
    accounts::secret,
    app::App,
    clock::Time,
    database::Door,
    error::{Error, Result},
    security::{Actor, SecurityAction, SecurityEvent},
    sender::Sender,
};

/// For how long a code is good.
pub const LIFE: TimeDelta = TimeDelta::seconds(60);
/// What a code begins with.
const MARK: &str = "tsc_";

/// The SHA-256 of a secret that a client made (RFC 7636), by which it shows that it began what it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// Reads one, as base64url.
    ///
    /// # Errors
    /// `invalid_request` for what is no SHA-256.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            Error::invalid("code_challenge: use the base64url of a SHA-256, 43 characters without padding")
        })
    }

    /// Whether `verifier` is what it was made of. Takes the same time for every verifier of a length.
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_verifier = (43..=128).contains(&verifier.len()) && verifier.bytes().all(is_unreserved);
        let hash: [u8; 32] = Sha256::digest(verifier).into();
        is_verifier & bool::from(hash.ct_eq(&self.0))
    }

    pub(super) fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// A code as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: Uuid,
    pub(super) redirect_uri: String,
    pub(super) challenge: Challenge,
    pub(super) expires_at: Time,
    pub(super) used_at: Option<Time>,
}

/// Makes a code by which a client gets the first tokens of a grant.
///
/// # Errors
/// The database's.
pub async fn issue(
    app: &App,
    grant: &Grant,
    redirect_uri: &RedirectUri,
    challenge: &Challenge,
) -> Result<SecretString> {
    let code = secret::generate(&app.ids, MARK);
    let kept = Kept {
        id: app.ids.uuid(),
        redirect_uri: redirect_uri.as_str().to_owned(),
        challenge: challenge.clone(),
        expires_at: app.clock.now() + LIFE,
        used_at: None,
    };
    let (hash, id) = (secret::hash(code.expose_secret()), grant.id);
    app.database
        .write(grant.tenant, move |tx| Box::pin(async move { store::insert_code(tx, id, kept, hash).await }))
        .await?;
    Ok(code)
}

/// A code that its client showed.
#[derive(Debug)]
pub struct Shown {
    /// What it stands for.
    pub grant: Grant,
    /// Whether it was used before.
    pub was_used: bool,
    code: Uuid,
}

/// The code that a client shows. Nothing becomes of it yet.
///
/// # Errors
/// `unauthenticated`, which a token endpoint calls `invalid_grant`, for a code that is unknown or expired, or was made
/// for another client, redirect address or verifier.
pub async fn look_up(
    app: &App,
    code: &str,
    client_id: &str,
    redirect_uri: &str,
    verifier: &str,
) -> Result<Shown> {
    let hash = secret::hash(code);
    let found = app
        .database
        .read_through(Door::Credentials, |tx| Box::pin(async move { store::code(tx, hash).await }))
        .await?;
    let (kept, grant) = found.ok_or_else(refused)?;
    let is_its_client = grant.client_id == client_id && kept.redirect_uri == redirect_uri;
    if !is_its_client || !kept.challenge.is_met_by(verifier) || kept.expires_at <= app.clock.now() {
        return Err(refused());
    }
    Ok(Shown { grant, was_used: kept.used_at.is_some(), code: kept.id })
}

/// The first refresh token of the grant that a code stands for. The code is of no use any more.
///
/// # Errors
/// `unauthenticated` for a code that was used, whose grant ends by it, and for one whose grant has ended.
pub async fn redeem(app: &App, shown: Shown, sender: &Sender) -> Result<SecretString> {
    let Shown { grant, code, .. } = shown;
    let (id, tenant, now) = (grant.id, grant.tenant, app.clock.now());
    let (token, row) = refresh::generate(app, now);
    let hash = secret::hash(token.expose_secret());
    let reused = SecurityEvent::new(app, Actor::provoked(sender), SecurityAction::CodeReused);
    let is_redeemed = app
        .database
        .write(tenant, move |tx| {
            Box::pin(async move {
                if store::use_code(tx, code, now).await? {
                    store::insert_refresh_token(tx, id, row, hash).await?;
                    return Ok(store::use_grant(tx, id, now).await?.is_some());
                }
                tracing::warn!(grant = %id, "a code came twice: its grant ends");
                grants::end_in(tx, &grant, now, reused).await?;
                Ok(false)
            })
        })
        .await?;
    if !is_redeemed {
        app.accounts.forget();
        return Err(refused());
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_standard_holds() {
        // RFC 7636, appendix B.
        let challenge = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").expect("a challenge");
        assert!(challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert_eq!(challenge.to_text(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    fn challenge_of(verifier: &str) -> Challenge {
        Challenge(Sha256::digest(verifier).into())
    }

    #[test]
    fn what_is_no_verifier_meets_no_challenge() {
        for bad in
            ["", "short", &"x".repeat(42), &"x".repeat(129), &format!("{} ", "x".repeat(43)), &"ä".repeat(30)]
        {
            assert!(!challenge_of(bad).is_met_by(bad), "{bad}");
        }
        for bad in [
            "",
            "x",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM",
        ] {
            assert!(Challenge::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_challenge_is_met_by_its_verifier_alone(verifier in "[A-Za-z0-9._~-]{43,128}", other in "[A-Za-z0-9._~-]{43,128}") {
            prop_assert!(challenge_of(&verifier).is_met_by(&verifier));
            prop_assert_eq!(challenge_of(&verifier).is_met_by(&other), verifier == other);
        }
    }
}
