//! What happens to people who sign in, as the security log of their tenants has it: every sign-in and its refusal, every
//! end of a session, every new password, under the name that the person has there. What was typed is not noted: people
//! type passwords into the wrong field.
//!
//! Of refusals of one person one a minute is noted, so that nobody who guesses fills the log; the service's own log has
//! each. They are noted behind the answer, which takes as long as for an account that is not there.

use std::{collections::HashMap, sync::Arc};

use chrono::TimeDelta;
use parking_lot::Mutex;
use serde_json::json;

use super::{PersonId, store};
use crate::{
    accounts::{Credential, Principal, PrincipalId, SessionId, members},
    app::App,
    clock::{Ids, Time},
    database::{Database, Door, Tx},
    error::{Code, Error, Result, chain},
    security::{self, Actor, ActorKind, SecurityAction, SecurityEvent, TargetKind},
    sender::Sender,
};

/// How often refusals of one person are noted.
const APART: TimeDelta = TimeDelta::minutes(1);

/// Persons that are remembered before those of long ago are forgotten.
const REMEMBERED: usize = 10_000;

/// The persons whose refusal was noted a moment ago, and when.
#[derive(Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<HashMap<PersonId, Time>>>);

impl Refusals {
    /// Whether it is time to note another refusal of a person.
    fn is_due(&self, person: PersonId, now: Time) -> bool {
        let mut noted = self.0.lock();
        if noted.get(&person).is_some_and(|at| now - *at < APART) {
            return false;
        }
        if noted.len() >= REMEMBERED {
            noted.retain(|_, at| now - *at < APART);
        }
        noted.insert(person, now);
        true
    }
}

/// Something that a person does in a tenant, or that is tried in their name.
pub(super) struct Deed {
    who: PrincipalId,
    event: SecurityEvent,
}

impl Deed {
    /// Something that is done now.
    pub(super) fn new(app: &App, who: PrincipalId, sender: &Sender, action: SecurityAction) -> Self {
        Self::at(&app.ids, app.clock.now(), who, sender, action)
    }

    pub(super) fn at(
        ids: &Ids,
        now: Time,
        who: PrincipalId,
        sender: &Sender,
        action: SecurityAction,
    ) -> Self {
        let actor = Actor { kind: ActorKind::User, id: Some(who), ..Actor::provoked(sender) };
        Self { who, event: SecurityEvent::at(ids, now, actor, action) }
    }

    /// The same, done with a credential.
    pub(super) fn with(self, credential: Credential) -> Self {
        Self { event: self.event.with_credential(credential), ..self }
    }

    /// The same, by who is signed in, if that is in this tenant.
    pub(super) fn by(self, here: Option<&Principal>) -> Self {
        match here {
            Some(here) if here.id == self.who => self.with(here.credential),
            _ => self,
        }
    }

    /// The same, but it was refused.
    pub(super) fn refused(self) -> Self {
        Self { event: self.event.refused(), ..self }
    }

    /// Notes it in the transaction in which it is done.
    pub(super) async fn note(self, tx: &Tx<'_>) -> Result<()> {
        self.note_on(tx, None).await
    }

    /// Notes it in the transaction in which it is done to one of their sessions.
    pub(super) async fn note_on(
        self,
        tx: &Tx<'_>,
        session: Option<(SessionId, super::Method)>,
    ) -> Result<()> {
        let name = members::find(tx, self.who).await?.name;
        let event = self.event.by(name.clone());
        let event = match session {
            Some((id, method)) => event.on(TargetKind::Session, id.0, name).with(json!({"method": method})),
            None => event.on(TargetKind::Principal, self.who.0, name),
        };
        security::note(tx, event).await
    }
}

/// Refuses to let somebody in, with one answer for all that may be wrong, and notes it where it was tried in the name of
/// somebody known.
pub(super) fn refused(app: &App, sender: &Sender, known: Option<PersonId>) -> Error {
    note_refusal(app, sender, known);
    Error::new(Code::Unprocessable, "the e-mail address or the password is not right")
}

/// Notes that somebody was not let in.
pub(super) fn note_refusal(app: &App, sender: &Sender, known: Option<PersonId>) {
    tracing::info!(ip = sender.ip.map(tracing::field::display), "a sign-in was refused");
    let now = app.clock.now();
    if let Some(person) = known
        && app.accounts.sign_in.refusals.is_due(person, now)
    {
        let (database, ids, sender) = (app.database.in_background(), app.ids.clone(), sender.clone());
        tokio::spawn(async move {
            if let Err(error) = note_everywhere(&database, &ids, now, person, &sender).await {
                tracing::warn!(error = %chain(&error), "a refused sign-in could not be noted");
            }
        });
    }
}

async fn note_everywhere(
    database: &Database,
    ids: &Ids,
    now: Time,
    person: PersonId,
    sender: &Sender,
) -> Result<()> {
    let memberships =
        database.read_through(Door::People, move |tx| Box::pin(store::memberships(tx, person))).await?;
    for member in memberships {
        let deed = Deed::at(ids, now, member.principal, sender, SecurityAction::SignedIn).refused();
        database.write(member.tenant.id, move |tx| Box::pin(deed.note(tx))).await?;
    }
    Ok(())
}
