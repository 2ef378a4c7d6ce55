//! Access tokens: what a client trades a credential for, to show it nowhere but at `/oauth/token`.
//!
//! A token is a JWT that a key of ours signed ([`keyring`]). It says who issued it, for which parts of the service, until
//! when, and what of its credential's scopes it has. And it names that credential, by which its principal is looked up
//! whenever it is shown, at most a second old: so it ends with its credential, on every instance and on open streams
//! too, and never does more than its credential may do now.
//!
//! Everything about a token is checked, and whatever is wrong with it is answered alike ([`refused`]); the log has why.
//! What it names as its key, its issuer or its algorithm is looked for among what is known here, and never followed.

mod crypto;
pub(super) mod endpoint;
mod grant;
mod keyring;
mod legacy;
mod metadata;
mod outside;
mod store;

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, TimeDelta};
use jsonwebtoken::{Algorithm, dangerous::insecure_decode_claims};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::keyring::{KeyState, Rotated, Rotation, rotate};
pub(super) use self::{endpoint::GRANT_TYPES, keyring::Keyring, outside::Members};
pub(crate) use self::{
    endpoint::answer_token_request,
    metadata::{challenge, show_api, show_key_set, show_mcp},
};
use super::{
    Credential, Principal, Scope,
    credential::{Trust, still},
};
use crate::{
    app::App,
    error::{Code, Error, Result},
    wire::wire_enum,
};

/// The longest text that is looked at; ours are far shorter.
const MAX_BYTES: usize = 8 * 1024;
/// How far clocks may differ before a token seems to come from the future.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);
/// The longest that a token may last.
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// Where a credential is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// The REST API, its streams among it.
    Api,
    /// The tools.
    Mcp,
}

wire_enum! {
    /// What a token is good for (RFC 8707).
    Resource {
        /// The whole service.
        Service = "service",
        /// The REST API.
        Api = "api",
        /// The tools.
        Mcp = "mcp",
    }
}

impl Resource {
    /// Its address at the service with this one.
    pub(super) fn address(self, service: &str) -> String {
        match self {
            Self::Service => service.to_owned(),
            Self::Api => format!("{service}/api/v1"),
            Self::Mcp => format!("{service}/mcp"),
        }
    }

    /// The one with this address.
    pub(super) fn at(service: &str, address: &str) -> Option<Self> {
        let address = address.trim_end_matches('/');
        Self::ALL.iter().copied().find(|resource| resource.address(service) == address)
    }
}

impl Surface {
    /// Who a token may be for, to be good here.
    fn audiences(self, app: &App) -> [String; 2] {
        let own = match self {
            Self::Api => Resource::Api,
            Self::Mcp => Resource::Mcp,
        };
        [Resource::Service, own].map(|resource| resource.address(&app.public_url()))
    }
}

/// Who issues the codes and tokens of this service: what clients compare, to the letter, with whom they meant to ask.
pub(super) fn issuer(app: &App) -> String {
    app.public_url()
}

/// What a token says.
#[derive(Debug, Deserialize, Serialize)]
struct Claims {
    iss: String,
    sub: Uuid,
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    jti: Uuid,
    client_id: String,
    scope: String,
    tenant: Uuid,
    credential: String,
}

/// A token that was just made.
pub(super) struct AccessToken {
    /// What its holder sends.
    pub(super) text: SecretString,
    /// How long it lasts.
    pub(super) lasts: TimeDelta,
}

/// Makes a token of a credential; `scopes` must be among those of `principal`. For no resource in particular it is good
/// everywhere.
///
/// # Errors
/// `unavailable` while there is no key to sign with.
pub(super) async fn issue(
    app: &App,
    principal: &Principal,
    scopes: &BTreeSet<Scope>,
    resources: &BTreeSet<Resource>,
) -> Result<AccessToken> {
    let ring = keyring::keyring(app, None).await?;
    let (Some(life), Some(key)) = (app.config.tokens.life, ring.active()) else {
        return Err(Error::unavailable(
            "there is no key to sign tokens with",
            std::time::Duration::from_secs(60),
        ));
    };
    let now = app.clock.now();
    let ends = principal.expires_at.map_or(now + life, |expires_at| expires_at.min(now + life));
    let everywhere = [Resource::Api, Resource::Mcp].into();
    let resources = if resources.is_empty() { &everywhere } else { resources };
    let claims = Claims {
        iss: issuer(app),
        sub: principal.id.0,
        aud: resources.iter().map(|resource| resource.address(&app.public_url())).collect(),
        exp: ends.timestamp(),
        iat: now.timestamp(),
        nbf: None,
        jti: app.ids.uuid(),
        client_id: principal.client.clone(),
        scope: words(scopes),
        tenant: principal.tenant.0,
        credential: principal.credential.to_string(),
    };
    let lasts = TimeDelta::seconds(claims.exp - claims.iat);
    Ok(AccessToken { text: key.sign(&claims)?.into(), lasts })
}

/// Scopes as OAuth writes them.
pub(super) fn words(scopes: &BTreeSet<Scope>) -> String {
    let words: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
    words.join(" ")
}

/// Whether a text has the form of a token rather than that of a key.
pub(super) fn is_token(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Whether a text is a token that says of itself that its time is over; nothing of it is believed.
pub(super) fn is_over(app: &App, text: &str) -> bool {
    #[derive(Deserialize)]
    struct Ends {
        exp: i64,
    }
    is_token(text)
        && text.len() <= MAX_BYTES
        && insecure_decode_claims(text).is_ok_and(|ends: Ends| ends.exp <= app.clock.now().timestamp())
}

/// Who a token stands for, and what they may do with it.
///
/// # Errors
/// `unauthenticated`, in the same words whatever is wrong with it, and `unavailable` while the issuer that signed it
/// cannot be asked.
pub(super) async fn verify(app: &App, text: &str, surface: Surface) -> Result<Arc<Principal>> {
    match examine(app, text, surface).await? {
        Ok(principal) => Ok(Arc::new(principal)),
        Err(why) => {
            tracing::info!(why, "a token was refused");
            Err(refused())
        }
    }
}

/// The same, or what is wrong with the token, for the log.
async fn examine(app: &App, text: &str, surface: Surface) -> Result<Result<Principal, &'static str>> {
    if text.len() > MAX_BYTES {
        return Ok(Err("it is too long"));
    }
    let Ok(header) = jsonwebtoken::decode_header(text) else {
        return Ok(Err("its header is not one, or names an algorithm that is unknown"));
    };
    if header.alg == Algorithm::HS256 {
        return legacy::examine(app, text, surface).await;
    }
    if let Some(outside) = app.config.tokens.outside.as_ref().filter(|outside| outside::is_one(outside, text))
    {
        return outside::examine(app, outside, text, &header, surface).await;
    }
    let Some(kid) = header.kid.as_deref().filter(|kid| header == crypto::header(kid)) else {
        return Ok(Err("its header is not that of a token of ours"));
    };
    let ring = keyring::keyring(app, Some(kid)).await?;
    let Some(key) = ring.find(kid) else { return Ok(Err("its key is unknown")) };
    let (issuer, audiences) = (issuer(app), surface.audiences(app));
    let claims: Option<Claims> = crypto::decode(text, Algorithm::ES256, key, Some(&issuer), Some(&audiences));
    let Some(claims) = claims else {
        return Ok(Err("its signature, issuer, audience or form is wrong"));
    };
    let times = Times { exp: claims.exp, iat: Some(claims.iat), nbf: claims.nbf };
    if let Err(why) = times.check(app) {
        return Ok(Err(why));
    }
    let Ok(credential) = claims.credential.parse() else { return Ok(Err("its credential is unknown")) };
    let Some(principal) = behind(app, credential).await? else { return Ok(Err("its credential has ended")) };
    if (principal.id.0, principal.tenant.0) != (claims.sub, claims.tenant) {
        return Ok(Err("its credential belongs to somebody else"));
    }
    let scopes = claims.scope.split(' ').filter_map(|scope| scope.parse().ok()).collect();
    Ok(Ok(narrowed(&principal, &scopes, claims.exp)))
}

/// The principal behind a credential, if it is still good.
async fn behind(app: &App, credential: Credential) -> Result<Option<Arc<Principal>>> {
    match still(app, credential, Trust::Recent).await {
        Ok(principal) => Ok(Some(principal)),
        Err(error) if error.code == Code::Unauthenticated => Ok(None),
        Err(error) => Err(error),
    }
}

/// A principal with no more than some scopes, until some second.
fn narrowed(principal: &Principal, scopes: &BTreeSet<Scope>, exp: i64) -> Principal {
    let ends = DateTime::from_timestamp(exp, 0);
    let expires_at = principal.expires_at.into_iter().chain(ends).min();
    Principal { scopes: &principal.scopes & scopes, expires_at, ..principal.clone() }
}

/// When a token is good, in seconds since 1970.
struct Times {
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
}

impl Times {
    fn check(&self, app: &App) -> Result<(), &'static str> {
        let now = app.clock.now();
        let soon = (now + LEEWAY).timestamp();
        if self.exp <= now.timestamp() {
            return Err("it has expired");
        }
        if self.iat.into_iter().chain(self.nbf).any(|since| since > soon) {
            return Err("it is not good yet");
        }
        if self.exp > soon + LONGEST.num_seconds() {
            return Err("it would last for too long");
        }
        Ok(())
    }
}

/// One answer for all that may be wrong: whoever guesses learns nothing, whoever is late knows what to do.
fn refused() -> Error {
    Error::new(
        Code::Unauthenticated,
        "this access token is not valid here, or no longer is; get a new one at POST /oauth/token",
    )
}
