//! How people get in: by the link that sets an installation up, by a link that somebody sent them, with a password, at a
//! provider that the operator names ([`oidc`]).
//!
//! A person has one e-mail address and one password, and is one principal in each of the tenants they belong to. Who
//! signs in gets a [`session`] in one of them, shown by a [`cookie`], which the API and streams take like a key, and
//! `/mcp` does not. There is no default password, and nobody becomes an owner by being the first to come: that takes
//! the link that [`setup`] prints, or what the operator has set.
//!
//! A wrong password and an account that is not there are answered alike, after the same time. [`attempts`] limits how
//! often somebody may try, and shuts nobody else out; [`record`] notes what came of it. The pages (`pages.rs`, `join.rs`,
//! `account.rs`) need no script.

mod account;
mod api;
mod attempts;
mod cookie;
mod join;
mod oidc;
mod pages;
mod password;
mod proof;
mod record;
mod reset;
mod session;
mod setup;
mod store;

use std::{collections::HashMap, fmt};

use chrono::TimeDelta;
use secrecy::SecretString;

pub(crate) use self::{
    account::{change_password_of, end_grant, end_session, show_account, sign_out},
    join::{join_tenant, show_join},
    oidc::{begin_oidc, end_oidc},
    pages::{choose, set_up, show_set_up, show_sign_in, sign_in, way_in},
    reset::{reset_password, show_reset},
};
pub use self::{
    api::SessionsApi,
    oidc::{check_provider, redirect_address},
    password::NewPassword,
    reset::{ResetLink, offer_reset},
    session::{Method, Session, forget_sessions, list_sessions, revoke_session},
    setup::{SetUp, prepare},
};
pub(super) use self::{
    cookie::{NAME as COOKIE, read as read_cookie},
    pages::on_the_way_to,
    session::{IDLE, authenticate_cookie, shown as who_is_there},
    store::{person, revoke_sessions},
};
use self::{
    password::{Hashing, Verdict},
    proof::{CHOICE, prove, proven},
    record::{Deed, Refusals, note_refusal, refused},
    session::BATCH,
};
use super::{PersonId, Principal, PrincipalId, Tenant, parse_name};
use crate::{
    app::App,
    clock::Time,
    database::{Database, Door, TenantId},
    error::{Code, Error, Result},
    security::SecurityAction,
    sender::Sender,
    wire::is_visible,
};

/// How long somebody is known who belongs nowhere.
const STRANGE: TimeDelta = TimeDelta::hours(1);

/// An e-mail address, in lower case: the name under which a person signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Reads an address. Whether mail arrives there is not known.
    ///
    /// # Errors
    /// `invalid_request`, pointing at the field.
    pub fn parse(pointer: &str, text: &str) -> Result<Self> {
        let email = text.trim().to_lowercase();
        let is_plain = email.chars().all(|it| is_visible(it) && !it.is_whitespace() && !it.is_control());
        match email.split('@').collect::<Vec<_>>()[..] {
            [name, host] if is_plain && !name.is_empty() && !host.is_empty() && email.len() <= 254 => {
                Ok(Self(email))
            }
            _ => Err(Error::invalid_field(pointer, "an e-mail address looks like name@example.org")),
        }
    }

    /// As it is stored, to be kept.
    pub fn into_string(self) -> String {
        self.0
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody who signs in.
#[derive(Clone)]
pub struct Person {
    /// Their id.
    pub id: PersonId,
    /// Their address.
    pub email: Email,
    /// The name others see.
    pub name: String,
    /// What is stored of their password; none for those who sign in elsewhere.
    password: Option<String>,
    /// When they were first here.
    pub created_at: Time,
}

/// What somebody who joins says of themselves.
pub struct NewPerson {
    /// Their address.
    pub email: Email,
    /// The name others are to see.
    pub name: String,
    /// Their password.
    pub password: NewPassword,
}

/// A tenant that a person belongs to, and who they are there.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The tenant.
    pub tenant: Tenant,
    /// Who they are in it.
    pub principal: PrincipalId,
}

/// What signing in needs beside the database.
#[derive(Clone)]
pub(super) struct SignIn {
    hashing: Hashing,
    refusals: Refusals,
}

impl SignIn {
    pub(super) fn new() -> Self {
        Self { hashing: Hashing::new(), refusals: Refusals::default() }
    }
}

/// What comes after somebody showed who they are.
enum Welcome {
    /// The only tenant that they belong to.
    To(Membership),
    /// They belong to several, and say which; the text shows that they came this far.
    Choose(Vec<Membership>, String),
}

/// Who gives an address and a password.
///
/// # Errors
/// `unprocessable`, the same for whatever is not right, `rate_limited`, and `unavailable` when too many sign in at once.
async fn welcome(app: &App, sender: &Sender, email: &str, password: &SecretString) -> Result<Welcome> {
    attempts::count(app, sender, &email.trim().to_lowercase()).await?;
    let person = match Email::parse("/email", email) {
        Ok(email) => find_person(app, email).await?,
        Err(_) => None,
    };
    let known = person.as_ref().map(|person| person.id);
    let stored = person.as_ref().and_then(|person| person.password.clone());
    let verdict = app.accounts.sign_in.hashing.verify(app, password, stored).await?;
    let (Some(mut person), Verdict::Right | Verdict::RightAndOld) = (person, verdict) else {
        return Err(refused(app, sender, known));
    };
    if verdict == Verdict::RightAndOld {
        person = replace_password(app, person, &NewPassword::parse("/password", password.clone())?).await?;
    }
    // Whoever waited for their turn may have had their password replaced meanwhile.
    let now = find_person(app, person.email.clone()).await?;
    if now.is_none_or(|now| now.password != person.password) {
        return Err(refused(app, sender, known));
    }
    placed(app, &person, Method::Password).await?.ok_or_else(|| refused(app, sender, known))
}

/// Where a person goes who has shown who they are; none for whoever belongs to no tenant.
async fn placed(app: &App, person: &Person, method: Method) -> Result<Option<Welcome>> {
    let mut memberships = memberships(app, person.id).await?;
    Ok(match memberships.len() {
        0 => None,
        1 => Some(Welcome::To(memberships.remove(0))),
        _ => Some(Welcome::Choose(memberships, prove(app, &CHOICE, person, method)?.0)),
    })
}

/// The tenant that somebody chose who showed who they are a moment ago, and how they did.
///
/// # Errors
/// `unprocessable` when it was longer ago, or they do not belong to it.
async fn chosen(app: &App, proof: &str, tenant: &str) -> Result<(Membership, Method)> {
    let late = || Error::new(Code::Unprocessable, "this sign-in is over, or was never begun; sign in again");
    let (person, method) = proven(app, &CHOICE, proof).await?.ok_or_else(late)?;
    let memberships = memberships(app, person.id).await?;
    let member = memberships.into_iter().find(|member| member.tenant.id.to_string() == tenant);
    Ok((member.ok_or_else(late)?, method))
}

async fn find_person(app: &App, email: Email) -> Result<Option<Person>> {
    app.database
        .read_through(Door::People, |tx| Box::pin(async move { store::person_by_email(tx, &email).await }))
        .await
}

/// The tenants that a person belongs to, oldest first.
async fn memberships(app: &App, person: PersonId) -> Result<Vec<Membership>> {
    app.database.read_through(Door::People, move |tx| Box::pin(store::memberships(tx, person))).await
}

/// The addresses of those of these principals of a tenant who are people. Nobody has shown that theirs is theirs, unless
/// they came by a provider.
///
/// # Errors
/// The database's.
pub async fn addresses(
    app: &App,
    tenant: TenantId,
    of: Vec<PrincipalId>,
) -> Result<HashMap<PrincipalId, Email>> {
    app.database
        .read_through(Door::People, move |tx| {
            Box::pin(async move { store::addresses(tx, tenant, &of).await })
        })
        .await
}

/// Who somebody is whom an issuer knows, in the tenants that they belong to.
///
/// # Errors
/// The database's.
pub(super) async fn members(
    database: &Database,
    issuer: String,
    subject: String,
) -> Result<Vec<(TenantId, PrincipalId)>> {
    let members = database.read_through(Door::People, |tx| {
        Box::pin(async move {
            match store::person_by_identity(tx, &issuer, &subject).await? {
                Some(person) => store::memberships(tx, person).await,
                None => Ok(Vec::new()),
            }
        })
    });
    Ok(members.await?.into_iter().map(|member| (member.tenant.id, member.principal)).collect())
}

/// Who acts, as a person; none for a service account.
async fn person_behind(app: &App, principal: &Principal) -> Result<Option<Person>> {
    let id = principal.id;
    let person =
        app.database.read(principal.tenant, move |tx| Box::pin(store::person_behind(tx, id))).await?;
    let Some(person) = person else { return Ok(None) };
    app.database.read_through(Door::People, move |tx| Box::pin(store::person(tx, person))).await
}

/// The person with an address: somebody new, or whoever has it already and gives the password that belongs to it.
///
/// # Errors
/// `invalid_request` at `/password` for somebody else's address, `rate_limited`, and the database's.
async fn person_with(app: &App, sender: &Sender, new: NewPerson) -> Result<Person> {
    let NewPerson { email, name, password } = new;
    let name = parse_name("/name", &name)?;
    if let Some(known) = find_person(app, email.clone()).await? {
        attempts::count(app, sender, email.as_str()).await?;
        let stored = known.password.clone();
        return match app.accounts.sign_in.hashing.verify(app, password.typed(), stored).await? {
            Verdict::Right | Verdict::RightAndOld => still_known(app, known).await,
            Verdict::Wrong => {
                note_refusal(app, sender, Some(known.id));
                let why = "somebody has this e-mail address here already; if it is you, give your password";
                Err(Error::invalid_field("/password", why))
            }
        };
    }
    let hash = app.accounts.sign_in.hashing.hash(app, &password).await?;
    let (id, created_at) = (PersonId(app.ids.uuid()), app.clock.now());
    let person = Person { id, email, name, password: Some(hash), created_at };
    let row = person.clone();
    let is_new = app
        .database
        .write_through(Door::People, |tx| Box::pin(async move { store::insert_person(tx, row).await }))
        .await?;
    if is_new {
        return Ok(person);
    }
    Err(Error::new(Code::Conflict, "somebody took this e-mail address at this moment; send the form again"))
}

/// Somebody who is about to join, and is not forgotten on the way there.
async fn still_known(app: &App, person: Person) -> Result<Person> {
    if !memberships(app, person.id).await?.is_empty() {
        return Ok(person);
    }
    let (id, now) = (person.id, app.clock.now());
    let restart = app.database.write_through(Door::People, move |tx| {
        Box::pin(async move { store::restart_person(tx, id, now).await })
    });
    match restart.await? {
        true => Ok(Person { created_at: now, ..person }),
        false => {
            Err(Error::new(Code::Conflict, "this account was forgotten at this moment; send the form again"))
        }
    }
}

/// Forgets people who said who they are more than an hour ago and came to belong nowhere, since somebody else was faster
/// to use up what they came with. Their address is free again.
///
/// # Errors
/// The database's; what is left goes the next time.
pub async fn forget_strangers(app: &App) -> Result<()> {
    let before = app.clock.now() - STRANGE;
    app.clear_out(move |tx| Box::pin(store::forget_strangers(tx, before, BATCH))).await
}

/// Puts a password in the place of the one that a person has.
///
/// # Errors
/// `conflict` if they have another by now.
async fn replace_password(app: &App, person: Person, new: &NewPassword) -> Result<Person> {
    let hash = app.accounts.sign_in.hashing.hash(app, new).await?;
    let (id, old, row) = (person.id, person.password.clone(), hash.clone());
    let replaced = app.database.write_through(Door::People, move |tx| {
        Box::pin(async move { store::replace_password(tx, id, old, row).await })
    });
    match replaced.await? {
        true => Ok(Person { password: Some(hash), ..person }),
        false => Err(Error::new(Code::Conflict, "the password was changed at this moment; sign in again")),
    }
}

/// Gives a person a new password, and ends where they are signed in, programs that act for them too: before, so that
/// nobody stays in whom a failure on the way would leave there, and after, for whoever came in meanwhile.
async fn renew_password(
    app: &App,
    sender: &Sender,
    here: Option<&Principal>,
    person: Person,
    new: &NewPassword,
) -> Result<(Person, Vec<Membership>)> {
    let memberships = memberships(app, person.id).await?;
    session::end_all(app, &memberships, None).await?;
    let person = replace_password(app, person, new).await?;
    session::end_all(app, &memberships, Some((sender, here))).await?;
    Ok((person, memberships))
}

/// Gives somebody who knows their password a new one, and signs them out everywhere, here too.
///
/// # Errors
/// `invalid_request` at `/current` when that is not their password, `rate_limited`, and `not_found` for whoever is no
/// person.
async fn change_password(
    app: &App,
    principal: &Principal,
    sender: &Sender,
    current: &SecretString,
    new: NewPassword,
) -> Result<Membership> {
    let person = person_behind(app, principal).await?.ok_or_else(|| Error::not_found("person"))?;
    attempts::count(app, sender, person.email.as_str()).await?;
    let verdict = app.accounts.sign_in.hashing.verify(app, current, person.password.clone()).await?;
    if verdict == Verdict::Wrong {
        let deed = Deed::new(app, principal.id, sender, SecurityAction::PasswordChanged)
            .with(principal.credential)
            .refused();
        app.database.write(principal.tenant, move |tx| Box::pin(deed.note(tx))).await?;
        return Err(Error::invalid_field("/current", "this is not your password"));
    }
    let (_, memberships) = renew_password(app, sender, Some(principal), person, &new).await?;
    let here = memberships.into_iter().find(|member| member.principal == principal.id);
    here.ok_or_else(|| Error::not_found("membership"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_whatever_its_case_and_nothing_else_is() {
        let parse = |text: &str| Email::parse("/email", text).ok().map(|email| email.0);
        assert_eq!(parse(" Ada@Example.ORG "), Some("ada@example.org".into()));
        for bad in [
            "",
            "ada",
            "ada\u{200b}@example.org",
            "@example.org",
            "ada@",
            "a da@example.org",
            "ada@exa\nmple.org",
            "ada@example@org",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(parse(&format!("{}@example.org", "a".repeat(250))), None);
    }
}
