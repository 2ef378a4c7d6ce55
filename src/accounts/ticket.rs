//! Tickets: how a client that cannot send headers shows its key, in an address, without showing the key.
//!
//! A ticket is sealed as secrets at rest are: nobody can make or read one. It has to be used within [`FIRST_USE`]; from
//! then on it is good for as long as the key behind it is, so that a stream can reconnect, to any instance. Every use
//! looks the key up: a ticket may never do more than its key may do now, and ends with it. One that was bought with a
//! token ends when the token would have, and so do its streams; and it reaches no project that the token did not. Of its
//! key's scopes it has the one that streams need.
//!
//! Only that a ticket was used is stored, by its first use, and forgotten after [`KEPT`]: its client then makes a
//! new one.

use std::{collections::BTreeSet, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    Credential, Level, Principal, Scope,
    credential::{Trust, still},
    principal::both,
    store,
};
use crate::{
    app::App,
    clock::{Time, oldest_id_of},
    error::{Code, Error, Result},
    vault::Place,
    wire::ProjectId,
};

/// How soon a ticket has to be used for the first time.
const FIRST_USE: TimeDelta = TimeDelta::seconds(30);
/// The time at which a ticket ends that ends with its key alone.
const NEVER: i64 = i64::MAX;
/// What stands before the projects of a ticket that has less of them than its key.
const LIMITED: u8 = 1;
/// For how long it is known that a ticket was used.
const KEPT: TimeDelta = TimeDelta::days(30);
/// Used tickets that need not be looked up; beyond it the one that was used longest ago does.
const REMEMBERED: u64 = 100_000;
/// Tickets forgotten in one transaction.
const BATCH: u64 = 500;
/// What a ticket's text begins with, so that a leaked one is recognised.
const PREFIX: &str = "tst_";
const PLACE: Place<'static> = Place { tenant: Uuid::nil(), column: "stream_ticket", row: Uuid::nil() };

/// A ticket that was just made.
pub struct Ticket {
    /// What its holder sends.
    pub text: SecretString,
    /// Until when it has to be used for the first time.
    pub expires_at: Time,
}

/// Tickets that were used in time, and may be used again: those that this process has seen lately.
#[derive(Clone)]
pub(super) struct UsedTickets(moka::sync::Cache<Uuid, ()>);

impl UsedTickets {
    pub(super) fn new() -> Self {
        let policy = moka::policy::EvictionPolicy::lru(); // a newcomer is always taken in
        Self(moka::sync::Cache::builder().max_capacity(REMEMBERED).eviction_policy(policy).build())
    }
}

/// What is sealed in a ticket.
struct Contents {
    id: Uuid,
    made_at: Time,
    /// When what it was bought with ends by itself.
    expires_at: Option<Time>,
    credential: Credential,
    /// The projects that what it was bought with was limited to, if that was less than its credential reached.
    projects: Option<Vec<ProjectId>>,
}

impl Contents {
    fn to_bytes(&self) -> Vec<u8> {
        let expires_at = self.expires_at.map_or(NEVER, |time| time.timestamp_micros());
        let times = [self.made_at.timestamp_micros(), expires_at].map(i64::to_be_bytes);
        let mut bytes = [self.id.as_bytes(), times.as_flattened(), &self.credential.to_bytes()].concat();
        if let Some(projects) = &self.projects {
            bytes.push(LIMITED);
            bytes.extend(projects.iter().flat_map(|project| project.0.into_bytes()));
        }
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (made_at, rest) = rest.split_first_chunk::<8>()?;
        let (expires_at, rest) = rest.split_first_chunk::<8>()?;
        let (credential, rest) = rest.split_first_chunk::<17>()?;
        let made_at = DateTime::from_timestamp_micros(i64::from_be_bytes(*made_at))?;
        let expires_at = match i64::from_be_bytes(*expires_at) {
            NEVER => None,
            time => Some(DateTime::from_timestamp_micros(time)?),
        };
        let credential = Credential::parse(credential)?;
        let projects = match rest {
            [] => None,
            [LIMITED, rest @ ..] => {
                let (projects, []) = rest.as_chunks::<16>() else { return None };
                Some(projects.iter().map(|id| ProjectId(Uuid::from_bytes(*id))).collect())
            }
            _ => return None,
        };
        Some(Self { id: Uuid::from_bytes(*id), made_at, expires_at, credential, projects })
    }
}

/// Makes a ticket for whoever holds a key or a token.
///
/// # Errors
/// `insufficient_scope` for the holder of a token of an issuer elsewhere: nothing lasts behind it that a ticket could
/// stand for. `unauthenticated` for a key that has just ended.
pub async fn issue_ticket(app: &App, principal: &Principal) -> Result<Ticket> {
    if let Credential::Member(_) = principal.credential {
        let why =
            "a ticket stands for a key or a session of this service; open the stream with your token itself";
        return Err(Error::new(Code::InsufficientScope, why));
    }
    let made_at = app.clock.now();
    let Principal { credential, expires_at, .. } = *principal;
    let whole = still(app, credential, Trust::Recent).await?;
    let projects = principal.project_ids().filter(|ids| Some(ids) != whole.project_ids().as_ref());
    let contents = Contents { id: app.ids.uuid(), made_at, expires_at, credential, projects };
    let sealed = app.vault.seal(PLACE, &contents.to_bytes())?;
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)).into();
    Ok(Ticket { text, expires_at: made_at + FIRST_USE })
}

/// Who a ticket stands for.
///
/// # Errors
/// `unauthenticated` for a text that is no ticket, for a ticket whose time has passed, and for one whose key or token
/// is expired or revoked.
pub(super) async fn redeem_ticket(app: &App, text: &str) -> Result<Arc<Principal>> {
    let sealed = text.strip_prefix(PREFIX).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let contents = sealed
        .and_then(|sealed| app.vault.open(PLACE, &sealed).ok())
        .and_then(|plain| Contents::parse(&plain))
        .ok_or_else(refused)?;
    // A credential's own refusal speaks of what its holder has not shown here.
    let principal =
        still(app, contents.credential, Trust::Recent).await.map_err(|error| match error.code {
            Code::Unauthenticated => refused(),
            _ => error,
        })?;
    let now = app.clock.now();
    if contents.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(refused());
    }
    let expires_at = principal.expires_at.into_iter().chain(contents.expires_at).min();
    let limits = contents.projects.map(|ids| ids.into_iter().map(|id| (id, Level::Editor)).collect());
    let principal = Arc::new(Principal {
        expires_at,
        projects: both(limits, principal.projects.clone()),
        scopes: &principal.scopes & &BTreeSet::from([Scope::EventsRead]),
        ..Principal::clone(&principal)
    });
    let (id, used) = (contents.id, &app.accounts.tickets.0);
    if used.contains_key(&id) {
        return Ok(principal);
    }
    if now - contents.made_at < FIRST_USE {
        app.database.write(principal.tenant, move |tx| Box::pin(store::insert_used_ticket(tx, id))).await?;
    } else if !app.database.read(principal.tenant, |tx| Box::pin(store::is_used_ticket(tx, id))).await? {
        return Err(refused());
    }
    used.insert(id, ());
    Ok(principal)
}

/// Forgets tickets that were made long ago, whoever they belong to.
///
/// # Errors
/// The database's; what is left goes the next time.
pub async fn forget_tickets(app: &App) -> Result<()> {
    let before = oldest_id_of(app.clock.now() - KEPT);
    app.clear_out(move |tx| Box::pin(store::forget_tickets(tx, before, BATCH))).await
}

/// One answer for all that may be wrong: whoever guesses learns nothing, whoever is late knows what to do.
fn refused() -> Error {
    Error::new(
        Code::Unauthenticated,
        "this ticket is not valid, or no longer is; make a new one with POST /api/v1/stream-tickets",
    )
}
