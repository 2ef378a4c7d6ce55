//! Who somebody is here whom the provider knows.
//!
//! A person is known by the provider and by who they are to it, for good, whatever their address becomes. The first time,
//! an address for which the provider vouches makes them the person who has it here. Somebody new gets in with the link of
//! an invitation alone, which they were on their way to: it is used up by signing in.

use std::sync::Arc;

use super::{
    super::{Deed, Person, PersonId, Welcome, find_person, memberships, placed, still_known, store},
    Method,
    provider::Told,
};
use crate::{
    accounts::{Principal, invitation, parse_name},
    app::App,
    database::Door,
    error::{Code, Error, Result},
    security::SecurityAction,
    sender::Sender,
};

/// Where somebody may go whom the provider knows, and whether they joined by the invitation; `here` is who is signed in in
/// their browser.
///
/// # Errors
/// `insufficient_scope` for somebody whom nobody has invited, and what an invitation is refused for.
pub(super) async fn welcome(
    app: &App,
    sender: &Sender,
    told: Told,
    secret: Option<&str>,
    here: Option<(PersonId, Arc<Principal>)>,
) -> Result<(Welcome, bool)> {
    let person = match known(app, sender, &told, here.as_ref()).await? {
        Some(person) => person,
        None => newcomer(app, told, secret).await?,
    };
    let found = app.database.read_through(Door::People, move |tx| Box::pin(store::person(tx, person)));
    let person = found.await?.ok_or_else(uninvited)?;
    let is_in = !memberships(app, person.id).await?.is_empty();
    if let (false, Some(secret)) = (is_in, secret) {
        let person = still_known(app, person.clone()).await?;
        invitation::accept(app, secret, person.id, sender).await?;
    }
    let welcome = placed(app, &person, Method::Oidc).await?.ok_or_else(uninvited)?;
    Ok((welcome, !is_in))
}

/// The person that somebody is: for good, or from now on by the address that is theirs. Nobody here has ever shown that
/// theirs is: a person who has a password is linked only where they are signed in with it, and nobody to two accounts.
async fn known(
    app: &App,
    sender: &Sender,
    told: &Told,
    here: Option<&(PersonId, Arc<Principal>)>,
) -> Result<Option<PersonId>> {
    let (issuer, subject) = (told.issuer.clone(), told.subject.clone());
    let found = app.database.read_through(Door::People, |tx| {
        Box::pin(async move { store::person_by_identity(tx, &issuer, &subject).await })
    });
    if let Some(person) = found.await? {
        return Ok(Some(person));
    }
    let Some(email) = told.email.clone() else { return Ok(None) };
    let Some(person) = find_person(app, email).await? else { return Ok(None) };
    let (id, issuer) = (person.id, told.issuer.clone());
    let taken = app
        .database
        .read_through(Door::People, |tx| Box::pin(async move { store::has_identity(tx, id, &issuer).await }));
    if taken.await? {
        return Err(taken_address());
    }
    if person.password.is_some() && here.is_none_or(|(here, _)| *here != person.id) {
        let why = "there is an account with your e-mail address here, and it has a password: sign in with that, and \
                   connect the provider on your account's page";
        return Err(Error::new(Code::InsufficientScope, why));
    }
    let id = link(app, told, person.id, None).await?;
    for member in memberships(app, id).await? {
        let deed = Deed::new(app, member.principal, sender, SecurityAction::IdentityLinked)
            .by(here.map(|(_, principal)| &**principal));
        app.database.write(member.tenant.id, move |tx| Box::pin(deed.note(tx))).await?;
    }
    Ok(Some(id))
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
            let is_free = match new {
                Some(new) => store::insert_person(tx, new).await?,
                None => !store::has_identity(tx, person, &issuer).await?,
            };
            if !is_free {
                return Err(taken_address());
            }
            store::insert_identity(tx, id, person, &issuer, &subject, now).await?;
            store::person_by_identity(tx, &issuer, &subject).await
        })
    });
    linked.await?.ok_or_else(|| Error::internal("an identity that was noted is not there"))
}

fn taken_address() -> Error {
    let why = "the account with your e-mail address belongs to somebody else at the provider; ask whoever operates this \
               service";
    Error::new(Code::InsufficientScope, why)
}

fn uninvited() -> Error {
    let why = "you have shown who you are, and you belong to no organisation here: ask an owner or admin of yours for an \
               invitation, and open its link";
    Error::new(Code::InsufficientScope, why)
}
