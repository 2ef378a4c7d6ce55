//! Idempotency keys: a write that is sent again with the same key has one effect, and the same answer.
//!
//! A client that did not hear the answer cannot know whether its write was done. With a key of its own choice
//! it simply sends it again: within 24 hours the first answer comes back, secrets shown once included, which is
//! why answers are kept sealed. The same key with another request is refused, and so is one whose first request
//! is still under way, or was cut off by the end of the process: then nobody knows its outcome, and doing it twice
//! would be worse than saying so. A request that was refused leaves its key free.

mod store;

use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    accounts::Principal,
    app::App,
    clock::Time,
    error::{Code, Error, Result},
    vault::Place,
};

/// For how long a key is remembered.
pub const KEPT: TimeDelta = TimeDelta::hours(24);
/// Keys forgotten at once.
const BATCH: u64 = 200;

/// What makes a request the same one: method, path with query, and body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a request.
    pub fn new(method: &str, path: &str, body: &[u8]) -> Self {
        let length = |text: &str| (text.len() as u64).to_le_bytes();
        let digest = Sha256::new()
            .chain_update(length(method))
            .chain_update(method)
            .chain_update(length(path))
            .chain_update(path)
            .chain_update(body);
        Self(digest.finalize().into())
    }
}

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that belong to the answer rather than to its delivery.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// A key as it is remembered.
struct Remembered {
    id: Uuid,
    fingerprint: Vec<u8>,
    sealed: Option<Vec<u8>>,
    created_at: Time,
}

/// What to do about a request.
pub enum Turn {
    /// It is new: do it, then [`Claim::keep`] its answer or [`Claim::release`] the key.
    First(Claim),
    /// It was done: this was the answer.
    Again(Answer),
}

/// A key that is held for a request under way.
pub struct Claim {
    app: Arc<App>,
    principal: Arc<Principal>,
    id: Uuid,
}

/// Takes a key for a request.
///
/// # Errors
/// `invalid_request` for a key that is none, `unprocessable` for one that was used for another request,
/// `conflict` for one whose first request has not been answered.
pub async fn claim(
    app: &Arc<App>,
    principal: &Arc<Principal>,
    key: &str,
    fingerprint: Fingerprint,
) -> Result<Turn> {
    if !(1..=200).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let why = "an Idempotency-Key has 1 to 200 visible ASCII characters; a UUID is a good one";
        return Err(Error::invalid(why));
    }
    let (id, actor, key, now) = (app.ids.uuid(), principal.id, key.to_owned(), app.clock.now());
    let remembered = app
        .database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                store::forget(tx, now - KEPT, BATCH).await?;
                if let Some(known) = store::find(tx, actor, &key).await? {
                    if known.created_at > now - KEPT {
                        return Ok(Some(known));
                    }
                    store::remove(tx, known.id).await?;
                }
                if store::insert(tx, id, actor, &key, &fingerprint.0, now).await? {
                    return Ok(None);
                }
                // The same request at another instance was faster, and is known by now.
                store::find(tx, actor, &key).await
            })
        })
        .await?;
    let Some(known) = remembered else {
        return Ok(Turn::First(Claim { app: Arc::clone(app), principal: Arc::clone(principal), id }));
    };
    if known.fingerprint != fingerprint.0 {
        let why = "this Idempotency-Key was used for another request; choose a new key for a new request";
        return Err(Error::new(Code::Unprocessable, why));
    }
    let Some(sealed) = known.sealed else {
        let why = "the first request with this Idempotency-Key has not been answered: it is under way, or was cut \
                   off; try again in a moment, and if this stays, look whether it was done before you use a new key";
        return Err(Error::new(Code::Conflict, why));
    };
    let plain = app.vault.open(place(principal, known.id), &sealed)?;
    Ok(Turn::Again(serde_json::from_slice(&plain).map_err(Error::internal)?))
}

impl Claim {
    /// Keeps the answer of a request that was done.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep(self, answer: &Answer) -> Result<()> {
        let plain = serde_json::to_vec(answer).map_err(Error::internal)?;
        let sealed = self.app.vault.seal(place(&self.principal, self.id), &plain)?;
        let id = self.id;
        self.app
            .database
            .write(self.principal.tenant, move |tx| {
                Box::pin(async move { store::keep(tx, id, sealed).await })
            })
            .await
    }

    /// Frees the key of a request that had no effect.
    ///
    /// # Errors
    /// The database's.
    pub async fn release(self) -> Result<()> {
        let id = self.id;
        self.app.database.write(self.principal.tenant, move |tx| Box::pin(store::remove(tx, id))).await
    }
}

/// Forgets keys that are not kept any longer, whoever they belong to.
///
/// # Errors
/// The database's; what is left goes the next time.
pub async fn forget_old(app: &App) -> Result<()> {
    let then = app.clock.now() - KEPT;
    app.clear_out(move |tx| Box::pin(store::forget_all(tx, then, BATCH))).await
}

fn place(principal: &Principal, row: Uuid) -> Place<'static> {
    Place { tenant: principal.tenant.0, column: "idempotency_key.sealed", row }
}
