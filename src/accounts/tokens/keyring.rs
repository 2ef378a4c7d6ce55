//! The keys that tokens are signed with, how they follow one another, and which are published.
//!
//! One key is active: it signs. One is next: it is published long before it signs, so that whoever keeps what is
//! published knows it by then. Those that have signed are retired: they stay published until their last token is over. So
//! a rotation fails no request, on however many instances: each reads the keys again after a second, and at once when it
//! meets one that it does not know.
//!
//! Keys lie in the database, sealed as all secrets there are, and come into being at the first start. A key from the
//! settings is put there too, in place of the active one, whose tokens stay good. What verifies is derived from what is
//! sealed: a row of somebody who can write to the database and cannot seal verifies nothing.

use std::sync::Arc;

use chrono::TimeDelta;
use jsonwebtoken::DecodingKey;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{crypto::SigningKey, store};
use crate::{
    app::App,
    clock::{Ids, Time},
    database::Door,
    error::{Error, Result},
    security::{self, Actor, SecurityAction, SecurityEvent, TargetKind},
    vault::{Place, Vault},
    wire::wire_enum,
};

/// For how long others may keep what is published, in seconds.
pub(super) const PUBLISHED_SECONDS: i64 = 3600;
/// How long a key is published before it signs.
const BEFORE: TimeDelta = TimeDelta::minutes(65); // the hour, and some for those who are slow to ask
/// How long a key is published after it signed: the longest that a token may last, and some for clocks that differ.
const AFTER: TimeDelta = TimeDelta::hours(25);
/// How long a key signs.
const SIGNS: TimeDelta = TimeDelta::days(90);
/// What is locked while keys are changed.
const LOCK: Uuid = Uuid::from_u128(0x7369_676e_696e_672d_6b65_7973);

wire_enum! {
    /// Where in its life a signing key is.
    KeyState {
        /// It is published, and signs nothing yet.
        Next = "next",
        /// It signs.
        Active = "active",
        /// It has signed, and some of that may still be in use.
        Retired = "retired",
    }
}

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptKey {
    pub(super) id: Uuid,
    pub(super) kid: String,
    pub(super) sealed: Vec<u8>,
    pub(super) state: KeyState,
    pub(super) created_at: Time,
    pub(super) activated_at: Option<Time>,
    pub(super) retired_at: Option<Time>,
}

impl KeptKey {
    fn activate(&mut self, now: Time) {
        (self.state, self.activated_at, self.retired_at) = (KeyState::Active, Some(now), None);
    }

    fn retire(&mut self, now: Time) {
        (self.state, self.retired_at) = (KeyState::Retired, Some(now));
    }
}

/// The keys of a moment ago, opened; the one that signs first.
pub(in crate::accounts) struct Keyring(Vec<(KeyState, SigningKey)>);

impl Keyring {
    /// The one that signs, if there is one.
    pub(super) fn active(&self) -> Option<&SigningKey> {
        self.0.iter().find(|(state, _)| *state == KeyState::Active).map(|(_, key)| key)
    }

    /// What verifies signatures of the key with this id.
    pub(super) fn find(&self, kid: &str) -> Option<&DecodingKey> {
        self.0.iter().find(|(_, key)| key.kid == kid).map(|(_, key)| &key.public)
    }

    /// What everybody may have, as a JSON Web Key Set.
    pub(super) fn published(&self) -> Vec<Value> {
        self.0.iter().map(|(_, key)| key.jwk()).collect()
    }
}

/// The keys of a moment ago, or the present ones if those of a moment ago have none with the id `kid`.
pub(super) async fn keyring(app: &App, kid: Option<&str>) -> Result<Arc<Keyring>> {
    if app.config.tokens.life.is_none() {
        return Ok(Arc::new(Keyring(Vec::new())));
    }
    let is_good = |ring: &Arc<Keyring>| kid.is_none_or(|kid| ring.find(kid).is_some());
    let read = || {
        let (database, vault) = (app.database.clone(), app.vault.clone());
        async move {
            let kept = database.read_through(Door::SigningKeys, |tx| Box::pin(store::keys(tx))).await?;
            let mut keys = kept.into_iter().map(|key| open(&vault, key)).collect::<Result<Vec<_>>>()?;
            keys.sort_by_key(|(state, _)| (*state != KeyState::Active, *state));
            Ok(Arc::new(Keyring(keys)))
        }
    };
    app.accounts.keyring.get((), is_good, read).await
}

fn open(vault: &Vault, kept: KeptKey) -> Result<(KeyState, SigningKey)> {
    let key = SigningKey::parse(&vault.open(place(kept.id), &kept.sealed)?);
    let key = key.filter(|key| key.kid == kept.kid);
    Ok((kept.state, key.ok_or_else(|| Error::internal("a signing key that is not what it says"))?))
}

fn place(id: Uuid) -> Place<'static> {
    Place { tenant: Uuid::nil(), column: "signing_key.sealed", row: id }
}

/// What is to become of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The next one signs when the active one has come of age; what nobody needs any more goes.
    WhenDue,
    /// The next one signs now. Tokens of the active one stay good until they expire.
    Now,
    /// The next one signs now, and all that were active go: whatever they signed is refused from the next second on.
    Leaked,
}

/// What a rotation came to.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// The id of the key that signs now.
    pub kid: String,
    /// Whether those who keep what is published may not have it yet.
    pub is_early: bool,
}

/// Makes what keys are missing, and has them follow one another. Processes that ask at once do it between them.
///
/// # Errors
/// `invalid_request` where nothing can be rotated by hand, saying why.
pub async fn rotate(app: &App, how: Rotation) -> Result<Option<Rotated>> {
    let tokens = &app.config.tokens;
    let by_hand = how != Rotation::WhenDue;
    if tokens.life.is_none() {
        let why = "TRACKSIDE_TOKEN_SECONDS=0 turns tokens off, so there are no keys to rotate";
        return if by_hand { Err(Error::invalid(why)) } else { Ok(None) };
    }
    if by_hand && !tokens.keys.is_empty() {
        return Err(Error::invalid(
            "the key is given by TRACKSIDE_JWT_PRIVATE_KEY: put a new one behind it there and start the instances again, \
             an hour later put the new one first, and a day later take the old one away",
        ));
    }
    let maker = Maker { vault: app.vault.clone(), ids: app.ids.clone(), now: app.clock.now() };
    let given: Vec<_> = tokens.keys.iter().cloned().map(SigningKey::new).collect();
    let rotated = app
        .database
        .write_through(Door::SigningKeys, move |tx| {
            Box::pin(async move {
                tx.lock(LOCK).await?;
                let before = store::keys(tx).await?;
                let after = match &*given {
                    [] => maker.follow(before.clone(), how)?,
                    given => maker.adopt(before.clone(), given)?,
                };
                store::replace_keys(tx, &before, &after).await?;
                let is_news =
                    active(&before).is_some_and(|old| active(&after).is_some_and(|new| new.id != old.id));
                Ok((maker.outcome(&after), active(&after).map(|key| key.id).filter(|_| is_news)))
            })
        })
        .await?;
    app.accounts.keyring.forget_all();
    let (rotated, news) = rotated;
    if let Some((key, rotated)) = news.zip(rotated.as_ref()) {
        let details = json!({"isLeaked": how == Rotation::Leaked});
        let event = || {
            SecurityEvent::new(app, Actor::system(), SecurityAction::SigningKeyRotated)
                .on(TargetKind::SigningKey, key, &rotated.kid)
                .with(details.clone())
        };
        security::note_everywhere(&app.database, event).await;
    }
    Ok(rotated)
}

/// The key that signs.
fn active(keys: &[KeptKey]) -> Option<&KeptKey> {
    keys.iter().find(|key| key.state == KeyState::Active)
}

/// Makes keys.
struct Maker {
    vault: Vault,
    ids: Ids,
    now: Time,
}

impl Maker {
    fn keep(&self, key: &SigningKey, state: KeyState) -> Result<KeptKey> {
        let id = self.ids.uuid();
        Ok(KeptKey {
            id,
            kid: key.kid.clone(),
            sealed: self.vault.seal(place(id), &key.to_bytes())?,
            state,
            created_at: self.now,
            activated_at: (state == KeyState::Active).then_some(self.now),
            retired_at: None,
        })
    }

    /// The keys as they follow one another by themselves.
    fn follow(&self, mut keys: Vec<KeptKey>, how: Rotation) -> Result<Vec<KeptKey>> {
        let now = self.now;
        let new = |state| self.keep(&SigningKey::generate(&self.ids), state);
        if !keys.iter().any(|key| key.state == KeyState::Active) {
            keys.push(new(KeyState::Active)?);
        }
        if !keys.iter().any(|key| key.state == KeyState::Next) {
            keys.push(new(KeyState::Next)?);
        }
        let is_due = keys.iter().any(|key| {
            key.state == KeyState::Active && key.activated_at.is_none_or(|since| now - since >= SIGNS)
        });
        let is_known = keys.iter().any(|key| key.state == KeyState::Next && now - key.created_at >= BEFORE);
        if how != Rotation::WhenDue || (is_due && is_known) {
            for key in &mut keys {
                match key.state {
                    KeyState::Active => key.retire(now),
                    KeyState::Next => key.activate(now),
                    KeyState::Retired => {}
                }
            }
            keys.push(new(KeyState::Next)?);
        }
        keys.retain(|key| {
            key.state != KeyState::Retired
                || (how != Rotation::Leaked && key.retired_at.is_none_or(|since| now - since < AFTER))
        });
        Ok(keys)
    }

    /// The keys as the settings give them: the first signs, the others are published.
    fn adopt(&self, mut keys: Vec<KeptKey>, given: &[SigningKey]) -> Result<Vec<KeptKey>> {
        let now = self.now;
        let place_of = |key: &KeptKey| given.iter().position(|given| given.kid == key.kid);
        for key in &mut keys {
            match place_of(key) {
                Some(0) if key.state != KeyState::Active => key.activate(now),
                Some(0) => {}
                _ if key.state == KeyState::Active => key.retire(now),
                _ => {}
            }
        }
        keys.retain(|key| match key.state {
            KeyState::Active => true,
            KeyState::Next => place_of(key).is_some(),
            KeyState::Retired => {
                place_of(key).is_some() || key.retired_at.is_none_or(|since| now - since < AFTER)
            }
        });
        for (place, key) in given.iter().enumerate() {
            if !keys.iter().any(|kept| kept.kid == key.kid) {
                let state = if place == 0 { KeyState::Active } else { KeyState::Next };
                keys.push(self.keep(key, state)?);
            }
        }
        Ok(keys)
    }

    fn outcome(&self, keys: &[KeptKey]) -> Option<Rotated> {
        let active = active(keys)?;
        // What was made together with the first key was never missing among what is published.
        let is_first = keys.iter().all(|key| key.created_at >= active.created_at);
        let is_early = !is_first && self.now - active.created_at < BEFORE;
        Some(Rotated { kid: active.kid.clone(), is_early })
    }
}
