//! Issuers elsewhere that the operator trusts: where they are asked, and the keys that they sign with.
//!
//! An issuer tells both itself (OpenID Connect Discovery, RFC 8414). What it told is kept for an hour. A key that is not
//! among it makes it be asked again, once a minute at most, whoever names such keys: so a new key of its is known when it
//! is first used. While it cannot be asked, what it told last stays good for a day; where nothing is known of it, or not
//! the key in question, nobody is refused for that: it is `unavailable`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use hyper::StatusCode;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::{
    app::App,
    clock::Time,
    config::{Config, IssuerUrl},
    error::{Error, Result, chain},
    fetch::Fetch,
};

/// For how long it is not asked again without need.
const FRESH: TimeDelta = TimeDelta::hours(1);
/// For how long what it told is good while it cannot be asked.
const GOOD: TimeDelta = TimeDelta::hours(24);
/// How long it is left alone after it was asked: when something is known of it, and when nothing is.
const PAUSES: (TimeDelta, TimeDelta) = (TimeDelta::minutes(1), TimeDelta::seconds(5));
/// How long asking it may take in all.
const PATIENCE: Duration = Duration::from_secs(8);
/// The largest document that is taken, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// What an issuer told.
pub(super) struct Issuer {
    /// Its metadata.
    pub(super) metadata: Value,
    /// Its keys, as a JSON Web Key Set.
    pub(super) keys: Value,
}

impl Issuer {
    /// Whether a key is among its keys; without a name, some key may be the one.
    fn has(&self, kid: Option<&str>) -> bool {
        let mut keys = self.keys["keys"].as_array().into_iter().flatten();
        kid.is_none_or(|kid| keys.any(|key| key["kid"] == kid))
    }
}

/// What is known of issuers, by their names.
#[derive(Clone, Default)]
pub(super) struct Issuers(Arc<Mutex<HashMap<String, Arc<Slot>>>>);

/// What is known of one.
#[derive(Default)]
struct Slot {
    told: Mutex<Told>,
    /// Held by who asks it.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Told {
    /// What it told last, and when.
    newest: Option<(Arc<Issuer>, Time)>,
    /// When it was last asked, and whether it answered.
    asked: Option<(Time, bool)>,
}

impl Slot {
    /// What can be said without asking it.
    fn answer(&self, issuer: &IssuerUrl, kid: Option<&str>, now: Time) -> Option<Result<Arc<Issuer>>> {
        let told = self.told.lock();
        let newest = told.newest.as_ref().filter(|(_, at)| now - *at < GOOD);
        let pause = if newest.is_some() { PAUSES.0 } else { PAUSES.1 };
        let paused = told.asked.filter(|(at, _)| now - *at < pause);
        match (newest, paused) {
            (Some((known, at)), None) if known.has(kid) && now - *at < FRESH => Some(Ok(Arc::clone(known))),
            (Some((known, _)), Some((_, answered))) if known.has(kid) || answered => {
                Some(Ok(Arc::clone(known)))
            }
            (_, Some(_)) => Some(Err(unavailable(issuer, pause))),
            (_, None) => None,
        }
    }

    /// What will do while somebody else asks it.
    fn meanwhile(&self, kid: Option<&str>, now: Time) -> Option<Arc<Issuer>> {
        let told = self.told.lock();
        let good = told.newest.as_ref().filter(|(known, at)| now - *at < GOOD && known.has(kid));
        good.map(|(known, _)| Arc::clone(known))
    }

    fn note(&self, answer: Option<Issuer>, now: Time) {
        let mut told = self.told.lock();
        told.asked = Some((now, answer.is_some()));
        if let Some(issuer) = answer {
            told.newest = Some((Arc::new(issuer), now));
        }
    }
}

/// What is known of an issuer, with the key `kid` if it has such a key.
///
/// # Errors
/// `unavailable` while it cannot be asked and too little is known of it.
pub(super) async fn known(app: &App, issuer: &IssuerUrl, kid: Option<&str>) -> Result<Arc<Issuer>> {
    let slot = Arc::clone(app.accounts.issuers.0.lock().entry(issuer.as_str().to_owned()).or_default());
    let now = app.clock.now();
    if let Some(answer) = slot.answer(issuer, kid, now) {
        return answer;
    }
    let _turn = match (slot.asking.try_lock(), slot.meanwhile(kid, now)) {
        (Ok(turn), _) => turn,
        (Err(_), Some(known)) => return Ok(known),
        (Err(_), None) => slot.asking.lock().await,
    };
    if let Some(answer) = slot.answer(issuer, kid, now) {
        return answer; // somebody asked meanwhile
    }
    let asked = ask(&app.fetch, issuer).await;
    if let Err(why) = &asked {
        tracing::warn!(issuer = issuer.as_str(), why, "an issuer cannot be asked");
    }
    slot.note(asked.ok(), now);
    slot.answer(issuer, kid, now).unwrap_or_else(|| Err(unavailable(issuer, PAUSES.0)))
}

/// One that cannot be asked.
pub(super) fn unavailable(issuer: &IssuerUrl, pause: TimeDelta) -> Error {
    let why = format!("the identity provider {} cannot be asked at the moment; try again", issuer.as_str());
    Error::unavailable(why, pause.to_std().unwrap_or_default())
}

/// Asks the issuers that the settings name, so that the log of a start tells of one that cannot be asked.
pub async fn meet_issuers(app: Arc<App>) {
    for issuer in app.config.issuers() {
        let _ = known(&app, issuer, None).await; // it has logged why
    }
}

/// What is wrong with an issuer that other programs' tokens come from, for whoever operates the service.
///
/// # Errors
/// Why it cannot be asked, or is not the one that the settings name.
pub async fn check_issuer(config: &Config, issuer: &IssuerUrl) -> Result<(), String> {
    ask(&Fetch::new(config), issuer).await.map(|_| ())
}

/// Asks an issuer; what is wrong with its answer is for who operates the service.
pub(super) async fn ask(fetch: &Fetch, issuer: &IssuerUrl) -> Result<Issuer, String> {
    timeout(PATIENCE, look_up(fetch, issuer)).await.unwrap_or_else(|_| Err("it took too long".into()))
}

async fn look_up(fetch: &Fetch, issuer: &IssuerUrl) -> Result<Issuer, String> {
    let mut problems = Vec::new();
    for place in places(issuer) {
        match document(fetch, &place).await {
            Ok(metadata) if metadata["issuer"] == issuer.as_str() => {
                let place = metadata["jwks_uri"].as_str().and_then(|place| Url::parse(place).ok());
                let keys = document(fetch, &place.ok_or("its metadata have no jwks_uri")?).await?;
                if !keys["keys"].is_array() {
                    return Err("its keys are no JSON Web Key Set".to_owned());
                }
                return Ok(Issuer { metadata, keys });
            }
            Ok(metadata) => problems.push(format!(
                "{place}: it names itself {}, and the settings \"{}\"",
                metadata["issuer"],
                issuer.as_str()
            )),
            Err(why) => problems.push(why),
        }
    }
    Err(problems.join("; "))
}

/// Where an issuer's metadata may be.
fn places(issuer: &IssuerUrl) -> Vec<Url> {
    let name = issuer.as_str().trim_end_matches('/');
    let openid = Url::parse(&format!("{name}/.well-known/openid-configuration")).ok();
    let oauth = Url::parse(name).ok().map(|mut url| {
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
        url
    });
    openid.into_iter().chain(oauth).collect()
}

async fn document(fetch: &Fetch, place: &Url) -> Result<Value, String> {
    let answer =
        fetch.get_of_issuer(place, MAX_BYTES).await.map_err(|error| format!("{place}: {}", chain(&error)))?;
    if answer.status() != StatusCode::OK {
        return Err(format!("{place}: it answered {}", answer.status().as_u16()));
    }
    serde_json::from_slice(answer.body()).map_err(|error| format!("{place}: it is not JSON: {error}"))
}
