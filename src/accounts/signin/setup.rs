//! How an installation gets its first owner: by a link that `serve` prints, or by what the operator has set.
//!
//! The link works once, for thirty minutes, and only while no person is an owner; a start prints a new one as long as
//! that is so. Looking at its page does not use it up, since browsers and mail scanners look at links unasked; the form
//! on it does. Two that are used at the same moment make one owner between them.
//!
//! `TRACKSIDE_ADMIN_EMAIL` and `TRACKSIDE_ADMIN_PASSWORD` make that owner without a link. Once there is one they change
//! nothing.

use chrono::TimeDelta;

use super::{Deed, Email, Membership, NewPassword, NewPerson, cookie::Secret, person_with, store};
use crate::{
    accounts::{
        PrincipalId, Role, Tenant,
        invitation::{self, Invitation, InvitationId},
        list_tenants, members,
    },
    app::App,
    clock::Time,
    database::Door,
    error::{Code, Error, Result},
    security::SecurityAction,
    sender::Sender,
};

/// How long a link can be used.
const LIFE: TimeDelta = TimeDelta::minutes(30);

/// A link that sets the installation up, as it was made.
#[derive(Clone, Debug)]
pub struct SetUp {
    /// Where it leads.
    pub url: String,
    /// Until when it can be used.
    pub expires_at: Time,
}

/// Whether a person owns the installation.
///
/// # Errors
/// The database's.
pub(super) async fn is_owned(app: &App) -> Result<bool> {
    app.database.read_through(Door::People, |tx| Box::pin(store::has_owner(tx))).await
}

/// Sees to it that a person can own the installation: makes the owner that the settings name, or a link to print. Does
/// nothing once a person is an owner, and while there is no tenant.
///
/// # Errors
/// `invalid_request` for an address or a password that is not fit, and the database's.
pub async fn prepare(app: &App) -> Result<Option<SetUp>> {
    if is_owned(app).await? {
        return Ok(None);
    }
    let Some(tenant) = list_tenants(app).await?.into_iter().next() else { return Ok(None) };
    if let Some((email, password)) = &app.config.admin {
        let named =
            |setting: &str, error: Error| Error::invalid(format!("{setting}: {}", error.field_details()));
        let email = Email::parse("/email", email).map_err(|error| named("TRACKSIDE_ADMIN_EMAIL", error))?;
        let password = NewPassword::parse("/password", password.clone())
            .map_err(|error| named("TRACKSIDE_ADMIN_PASSWORD", error))?;
        let name = email.as_str().split('@').next().unwrap_or_default().to_owned();
        let new = NewPerson { email, name, password };
        let made = own(app, &Sender::default(), tenant, None, new).await;
        // Another instance that starts now may have made the owner.
        return match made {
            Ok(_) => Ok(None),
            Err(error) if error.code == Code::Gone => Ok(None),
            Err(error) if error.fields.is_empty() => Err(error),
            // Somebody has the address, and another password.
            Err(error) => Err(named("TRACKSIDE_ADMIN_PASSWORD", error)),
        };
    }
    let (secret, now) = (Secret::generate(&app.ids), app.clock.now());
    let row = Invitation {
        id: InvitationId(app.ids.uuid()),
        role: Role::Owner,
        email: None,
        projects: None,
        invited_by: None,
        created_at: now,
        expires_at: now + LIFE,
        accepted_at: None,
        principal: None,
        revoked_at: None,
    };
    let url = format!("{}/setup?code={}", app.public_url(), secret.text());
    let (link, hash) = (SetUp { url, expires_at: row.expires_at }, secret.hash());
    app.database
        .write(tenant.id, move |tx| Box::pin(async move { invitation::insert(tx, row, hash).await }))
        .await?;
    Ok(Some(link))
}

/// Looks at a link, without using it up.
///
/// # Errors
/// `gone` for one that is used, late or made up: it tells not which.
pub(super) async fn peek(app: &App, code: &str) -> Result<(Tenant, InvitationId)> {
    let hash = Secret::parse(code).ok_or_else(gone)?.hash();
    let now = app.clock.now();
    let found = app
        .database
        .read_through(Door::Credentials, move |tx| Box::pin(invitation::by_hash(tx, hash)))
        .await?;
    let good = found.filter(|(_, link)| link.invited_by.is_none() && link.is_open(now));
    let (tenant, link) = good.ok_or_else(gone)?;
    let tenant = list_tenants(app).await?.into_iter().find(|known| known.id == tenant).ok_or_else(gone)?;
    Ok((tenant, link.id))
}

/// Uses a link up: whoever has it becomes the owner.
///
/// # Errors
/// `gone` as [`peek`], and when somebody else was faster; `invalid_request` for what does not fit.
pub(super) async fn accept(app: &App, sender: &Sender, code: &str, new: NewPerson) -> Result<Membership> {
    let (tenant, link) = peek(app, code).await?;
    own(app, sender, tenant, Some(link), new).await
}

/// Makes a person the first owner of a tenant.
async fn own(
    app: &App,
    sender: &Sender,
    tenant: Tenant,
    link: Option<InvitationId>,
    new: NewPerson,
) -> Result<Membership> {
    let person = person_with(app, sender, new).await?;
    let (newcomer, now) = (PrincipalId(app.ids.uuid()), app.clock.now());
    let (id, ids, sender) = (tenant.id, app.ids.clone(), sender.clone());
    let principal = app
        .database
        .write(id, move |tx| {
            Box::pin(async move {
                tx.lock(id.0).await?;
                if store::has_owner_here(tx).await? {
                    return Err(gone());
                }
                // They may have been here before, as something else.
                let known = members::by_person(tx, person.id).await?;
                let principal = known.as_ref().map_or(newcomer, |known| known.id);
                if let Some(link) = link
                    && !invitation::use_up(tx, link, principal, now).await?
                {
                    return Err(gone());
                }
                members::admit(tx, principal, known, &person, Role::Owner, None, now).await?;
                Deed::at(&ids, now, principal, &sender, SecurityAction::RoleChanged).note(tx).await?;
                Ok(principal)
            })
        })
        .await?;
    app.accounts.forget();
    Ok(Membership { tenant, principal })
}

fn gone() -> Error {
    let why = "this link is no longer valid: it works once, for 30 minutes; as long as nobody owns this \
               installation, starting the service again prints a new one";
    Error::new(Code::Gone, why)
}
