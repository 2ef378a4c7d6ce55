//! Tokens of an issuer elsewhere, which the operator names (`TRACKSIDE_OAUTH_ISSUER`).
//!
//! Such a token says who somebody is to that issuer, and nothing of who they are here: that is known of people who have
//! signed in at it (`signin/oidc`). It stands for their principal, with the scopes that both have, and ends with that: a
//! deactivation is noticed within a second. Somebody who belongs to several tenants needs one that says which, in the
//! claim `tenant`, as our own do.
//!
//! What is checked: a key that the issuer publishes, an algorithm for which there is a public key, issuer, audience and
//! times, and that it is no token of another kind. Issuers write access tokens in different ways, so a header may say more
//! than ours do and its type may be missing; but an ID token, by which somebody signs in, is none. Why one whose signature is good is of no use here is said; what is wrong with another is not.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Header, dangerous::insecure_decode_claims, jwk::Jwk};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Surface, Times, behind, crypto, legacy::OneOrMany, narrowed};
use crate::{
    accounts::{
        Credential, Principal, PrincipalId,
        issuer::{Issuer, known},
        signin,
    },
    app::App,
    config::OutsideSettings,
    database::TenantId,
    error::{Code, Error, Result},
};

/// What such a token says, as far as it concerns us.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
    /// What it may do (RFC 9068); some issuers call it `scp`.
    #[serde(alias = "scp")]
    scope: Option<OneOrMany>,
    tenant: Option<Uuid>,
    /// What only an ID token has (OpenID Connect Core 1.0, 2).
    nonce: Option<Value>,
}

/// What an access token may call itself (RFC 9068, RFC 7519).
const TYPES: [&str; 3] = ["at+jwt", "application/at+jwt", "jwt"];

#[derive(Deserialize)]
struct Named {
    iss: String,
}

/// Whether a token says that it is one of these; nothing of it is believed yet.
pub(super) fn is_one(settings: &OutsideSettings, text: &str) -> bool {
    insecure_decode_claims(text).is_ok_and(|named: Named| named.iss == settings.issuer.as_str())
}

/// Who such a token stands for, or what is wrong with it.
///
/// # Errors
/// `unavailable` while its key is not known and the issuer cannot be asked; `unauthenticated`, saying why, for one that is
/// good and of no use here.
pub(super) async fn examine(
    app: &App,
    settings: &OutsideSettings,
    text: &str,
    header: &Header,
    surface: Surface,
) -> Result<Result<Principal, &'static str>> {
    let Some(kid) = header.kid.as_deref().filter(|_| header.crit.is_none()) else {
        return Ok(Err("its header names no key, or something critical"));
    };
    if matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
        return Ok(Err("its algorithm is one for which there is no public key"));
    }
    let has_type = |kind: &String| TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind));
    if !header.typ.as_ref().is_none_or(has_type) {
        return Ok(Err("it is a token of another kind"));
    }
    let issuer = known(app, &settings.issuer, Some(kid)).await?;
    let Some(key) = key(&issuer, kid, header.alg) else {
        return Ok(Err("the issuer has no such key for this algorithm"));
    };
    let audiences =
        settings.audience.as_ref().map_or_else(|| surface.audiences(app).into(), |it| vec![it.clone()]);
    let claims = crypto::decode(text, header.alg, &key, Some(settings.issuer.as_str()), Some(&audiences));
    let Some(claims): Option<Claims> = claims else {
        return Ok(Err("its signature, issuer, audience or form is wrong"));
    };
    if claims.nonce.is_some() {
        return Ok(Err("it is an ID token"));
    }
    let times = Times { exp: claims.exp, iat: claims.iat, nbf: claims.nbf };
    if let Err(why) = times.check(app) {
        return Ok(Err(why));
    }
    let member = member(app, settings, &claims).await?;
    let Some(principal) = behind(app, Credential::Member(member)).await? else {
        return Ok(Err("whoever it is for was deactivated"));
    };
    let scopes =
        claims.scope.iter().flat_map(OneOrMany::words).filter_map(|scope| scope.parse().ok()).collect();
    Ok(Ok(narrowed(&principal, &scopes, claims.exp)))
}

/// A key of the issuer's, if it is for signatures of this kind.
fn key(issuer: &Issuer, kid: &str, algorithm: Algorithm) -> Option<DecodingKey> {
    let mut keys = issuer.keys["keys"].as_array()?.iter();
    let key = keys.find(|key| key["kid"] == kid)?;
    let says = |member: &str, expected: &str| matches!(&key[member], Value::Null) || key[member] == expected;
    if !says("alg", &format!("{algorithm:?}")) || !says("use", "sig") {
        return None;
    }
    DecodingKey::from_jwk(&serde_json::from_value::<Jwk>(key.clone()).ok()?).ok()
}

/// Who somebody is here, in the tenant that their token means.
async fn member(app: &App, settings: &OutsideSettings, claims: &Claims) -> Result<PrincipalId> {
    let refused = |why: String| Err(Error::new(Code::Unauthenticated, why));
    let members = members(app, settings, &claims.sub).await?;
    match (&**members, claims.tenant) {
        ([], _) => refused(format!(
            "this token is good, and nobody in an organisation here is known by its subject: whoever it is for signs in \
             at {}/signin first, with {}",
            app.public_url(),
            settings.issuer.as_str(),
        )),
        ([(_, only)], None) => Ok(*only),
        (_, None) => refused(
            "whoever this token is for belongs to several organisations here: get one whose claim `tenant` has the id of \
             the one that is meant"
                .to_owned(),
        ),
        (members, Some(tenant)) => match members.iter().find(|(known, _)| known.0 == tenant) {
            Some((_, member)) => Ok(*member),
            None => refused("whoever this token is for does not belong to the tenant that it names".to_owned()),
        },
    }
}

/// Who somebody is in the tenants that they belong to, at most a second old.
async fn members(app: &App, settings: &OutsideSettings, subject: &str) -> Result<Members> {
    let read = || {
        let (database, issuer, subject) =
            (app.database.clone(), settings.issuer.as_str().to_owned(), subject.to_owned());
        async move { signin::members(&database, issuer, subject).await.map(Arc::new) }
    };
    app.accounts.members.get(Sha256::digest(subject.as_bytes()).into(), |_| true, read).await
}

/// Who somebody is, by tenant.
pub(in crate::accounts) type Members = Arc<Vec<(TenantId, PrincipalId)>>;
