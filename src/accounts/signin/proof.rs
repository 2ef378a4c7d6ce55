//! Texts that show, for a while, that somebody may go on as a person: to the choice between their tenants, or to a new
//! password. They are sealed, and name the password that the person had: so nothing is kept of them, and another password
//! ends them all.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Method, Person, PersonId, store};
use crate::{
    app::App,
    clock::Time,
    database::Door,
    error::{Error, Result},
    vault::Place,
};

/// What a proof is good for.
pub(super) struct Purpose {
    /// Its name, so that none is good for another.
    name: &'static str,
    /// For how long it is good.
    life: TimeDelta,
}

/// To say in which tenant somebody wants to be who has shown who they are.
pub(super) const CHOICE: Purpose = Purpose { name: "signin.choice", life: TimeDelta::minutes(5) };
/// To take a new password.
pub(super) const RESET: Purpose = Purpose { name: "signin.reset", life: TimeDelta::hours(1) };

impl Purpose {
    fn place(&self) -> Place<'static> {
        Place { tenant: Uuid::nil(), column: self.name, row: Uuid::nil() }
    }
}

#[derive(Deserialize, Serialize)]
struct Proof {
    person: Uuid,
    until: Time,
    /// The SHA-256 of what is stored of the password.
    password: [u8; 32],
    /// How they showed who they are.
    method: String,
}

fn digest(person: &Person) -> [u8; 32] {
    Sha256::digest(person.password.as_deref().unwrap_or_default()).into()
}

/// A text that shows that somebody is a person, and until when it does.
pub(super) fn prove(app: &App, purpose: &Purpose, person: &Person, method: Method) -> Result<(String, Time)> {
    let until = app.clock.now() + purpose.life;
    let proof =
        Proof { person: person.id.0, until, password: digest(person), method: method.as_str().into() };
    let sealed = app.vault.seal(purpose.place(), &serde_json::to_vec(&proof).map_err(Error::internal)?)?;
    Ok((URL_SAFE_NO_PAD.encode(sealed), until))
}

/// Who a text shows somebody to be, and how they showed it; none for one that is late, made up, or of an old password.
pub(super) async fn proven(app: &App, purpose: &Purpose, text: &str) -> Result<Option<(Person, Method)>> {
    let sealed = URL_SAFE_NO_PAD.decode(text).ok();
    let plain = sealed.and_then(|sealed| app.vault.open(purpose.place(), &sealed).ok());
    let proof: Option<Proof> = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
    let Some(proof) = proof.filter(|proof| app.clock.now() < proof.until) else { return Ok(None) };
    let id = PersonId(proof.person);
    let found = app.database.read_through(Door::People, move |tx| Box::pin(store::person(tx, id))).await?;
    let person = found.filter(|person| digest(person) == proof.password);
    Ok(person.zip(proof.method.parse().ok()))
}
