//! Who somebody is here whom the provider knows.
//!
//! A person is known by the provider and by who they are to it, for good, whatever their address becomes. The first time,
//! an address for which the provider vouches makes them the person who has it here. Somebody new gets in with the link of
//! an invitation alone, which they were on their way to: it is used up by signing in.

use super::{
    super::{Person, PersonId, Welcome, find_person, memberships, placed, store},
    Method,
    provider::Told,
};
use crate::{
    accounts::{invitation, parse_name},
    app::App,
    database::Door,
    error::{Code, Error, Result},
    sender::Sender,
};

/// Where somebody may go whom the provider knows, and whether they joined by the invitation.
///
/// # Errors
/// `insufficient_scope` for somebody whom nobody has invited, and what an invitation is refused for.
pub(super) async fn welcome(
    app: &App,
    sender: &Sender,
    told: Told,
    secret: Option<&str>,
) -> Result<(Welcome, bool)> {
    let person = match known(app, &told).await? {
        Some(person) => person,
        None => newcomer(app, told, secret).await?,
    };
    let is_in = !memberships(app, person).await?.is_empty();
    if let (false, Some(secret)) = (is_in, secret) {
        invitation::accept(app, secret, person, sender).await?;
    }
    let welcome = placed(app, person, Method::Oidc).await?.ok_or_else(uninvited)?;
    Ok((welcome, !is_in))
}

/// The person that somebody is: for good, or from now on by the address that is theirs.
async fn known(app: &App, told: &Told) -> Result<Option<PersonId>> {
    let (issuer, subject) = (told.issuer.clone(), told.subject.clone());
    let found = app.database.read_through(Door::People, |tx| {
        Box::pin(async move { store::person_by_identity(tx, &issuer, &subject).await })
    });
    if let Some(person) = found.await? {
        return Ok(Some(person));
    }
    let Some(email) = told.email.clone() else {
        return Ok(None);
    };
    match find_person(app, email).await? {
        Some(person) => link(app, told, person.id, None).await.map(Some),
        None => Ok(None),
    }
}

/// Makes a person of somebody who is invited.
async fn newcomer(app: &App, told: Told, secret: Option<&str>) -> Result<PersonId> {
    let Some(email) = told.email.clone() else {
        let why = "nobody here is known by that account, and the provider does not vouch that its e-mail address is \
                   yours: have the address verified there, or ask an admin of your organisation for another way in";
        return Err(Error::new(Code::InsufficientScope, why));
    };
    let invited = invitation::peek(app, secret.ok_or_else(uninvited)?).await?;
    invited.invitation.check_address(&email)?;
    let first = || email.as_str().split('@').next().unwrap_or_default().to_owned();
    let name = told.name.as_deref().and_then(|name| parse_name("/name", name).ok()).unwrap_or_else(first);
    let (id, created_at) = (PersonId(app.ids.uuid()), app.clock.now());
    link(app, &told, id, Some(Person { id, email, name, password: None, created_at })).await
}

/// Notes that somebody is a person, who may be new; gives whom they are if somebody noted it at this moment.
async fn link(app: &App, told: &Told, person: PersonId, new: Option<Person>) -> Result<PersonId> {
    let (id, now) = (app.ids.uuid(), app.clock.now());
    let (issuer, subject) = (told.issuer.clone(), told.subject.clone());
    let linked = app.database.write_through(Door::People, move |tx| {
        Box::pin(async move {
            if let Some(new) = new
                && !store::insert_person(tx, new).await?
            {
                let why = "somebody took this e-mail address at this moment; sign in again";
                return Err(Error::new(Code::Conflict, why));
            }
            store::insert_identity(tx, id, person, &issuer, &subject, now).await?;
            store::person_by_identity(tx, &issuer, &subject).await
        })
    });
    linked.await?.ok_or_else(|| Error::internal("an identity that was noted is not there"))
}

fn uninvited() -> Error {
    let why = "you have shown who you are, and you belong to no organisation here: ask an owner or admin of yours for an \
               invitation, and open its link";
    Error::new(Code::InsufficientScope, why)
}
