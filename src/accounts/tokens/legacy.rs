//! Tokens of an older issuer, for as long as its clients take to move here.
//!
//! They are accepted only while `TRACKSIDE_LEGACY_HS256_SECRET` and `TRACKSIDE_LEGACY_HS256_UNTIL` are set and that time
//! has not come. The older issuer knows nothing of the principals here, so who has them made here is whoever moves the
//! clients: each gets an API key of its own, limited as it should be, and its tokens stand for that key, which their
//! subject names: by the key's id, or by that of its principal. They never do more than that key may, and end with it.
//!
//! Scopes, a role and projects in a token narrow it further. An audience, if it names one, has to be this service. It
//! cannot name this service as its issuer: what we issue, we sign with a key that nobody else has.

use std::collections::{BTreeMap, BTreeSet};

use jsonwebtoken::{Algorithm, DecodingKey};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use uuid::Uuid;

use super::{Surface, Times, behind, crypto, issuer, narrowed, store};
use crate::{
    accounts::{Credential, KeyId, Level, Principal, PrincipalId, Role, Scope, principal::both},
    app::App,
    database::Door,
    error::Result,
    wire::ProjectId,
};

/// What such a token says, as far as it concerns us.
#[derive(Deserialize)]
struct Claims {
    sub: Uuid,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
    iss: Option<String>,
    aud: Option<OneOrMany>,
    role: Option<String>,
    scope: Option<String>,
    scopes: Option<Vec<String>>,
    #[serde(rename = "projectIds")]
    projects: Option<Vec<ProjectId>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// The words in it.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        let texts = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        };
        texts.iter().flat_map(|text| text.split(' '))
    }

    fn names(&self, wanted: &[String]) -> bool {
        match self {
            Self::One(one) => wanted.contains(one),
            Self::Many(many) => many.iter().any(|one| wanted.contains(one)),
        }
    }
}

impl Claims {
    /// The scopes that it may have at most. Those of the older issuer began with `mcp:`, and work was its kanban; one that
    /// is unknown here grants nothing, and neither does a role.
    fn scopes(&self) -> BTreeSet<Scope> {
        let known = |scope: &str| match scope.strip_prefix("mcp:").unwrap_or(scope) {
            "kanban.write" => Some(Scope::WorkWrite),
            scope => scope.parse().ok(),
        };
        let mut scopes: BTreeSet<Scope> = Scope::ALL.iter().copied().collect();
        if let Some(named) = &self.scopes {
            scopes = &scopes & &named.iter().filter_map(|scope| known(scope)).collect();
        }
        if let Some(named) = &self.scope {
            scopes = &scopes & &named.split(' ').filter_map(known).collect();
        }
        if let Some(role) = &self.role {
            scopes = &scopes & &role.parse().map(Role::scopes).unwrap_or_default();
        }
        scopes
    }
}

/// Who such a token stands for, or what is wrong with it.
pub(super) async fn examine(
    app: &App,
    text: &str,
    surface: Surface,
) -> Result<Result<Principal, &'static str>> {
    let legacy = app.config.tokens.legacy.as_ref().filter(|legacy| app.clock.now() < legacy.until);
    let Some(legacy) = legacy else { return Ok(Err("tokens of an older issuer are not accepted")) };
    let key = DecodingKey::from_secret(legacy.secret.expose_secret().as_bytes());
    let claims: Option<Claims> = crypto::decode(text, Algorithm::HS256, &key, None, None);
    let Some(claims) = claims else { return Ok(Err("its signature or form is wrong")) };
    if claims.iss.as_ref().is_some_and(|from| *from == issuer(app)) {
        return Ok(Err("it says that it is ours"));
    }
    if claims.aud.as_ref().is_some_and(|aud| !aud.names(&surface.audiences(app))) {
        return Ok(Err("its audience is another"));
    }
    let times = Times { exp: claims.exp, iat: claims.iat, nbf: claims.nbf };
    if let Err(why) = times.check(app) {
        return Ok(Err(why));
    }
    let Some(principal) = named(app, claims.sub).await? else {
        return Ok(Err("its subject is no API key, and no principal that has one"));
    };
    let principal = narrowed(&principal, &claims.scopes(), claims.exp);
    let projects: Option<BTreeMap<_, _>> =
        claims.projects.map(|ids| ids.into_iter().map(|id| (id, Level::Editor)).collect());
    Ok(Ok(Principal { projects: both(projects, principal.projects.clone()), ..principal }))
}

/// The principal behind the key that a subject names.
async fn named(app: &App, subject: Uuid) -> Result<Option<std::sync::Arc<Principal>>> {
    if let Some(principal) = behind(app, Credential::Key(KeyId(subject))).await? {
        return Ok(Some(principal));
    }
    let (id, now) = (PrincipalId(subject), app.clock.now());
    let key =
        app.database.read_through(Door::Credentials, move |tx| Box::pin(store::key_of(tx, id, now))).await?;
    match key {
        Some(key) => behind(app, Credential::Key(key)).await,
        None => Ok(None),
    }
}
