//! Invitations: how people join a tenant.
//!
//! Whoever may manage keys makes a link, for a role and projects that they have themselves, and hands it over in whatever
//! way they like: Trackside sends no mail. Whoever has the link may join once, within 7 days, as long as whoever made
//! it may still invite people, and to what it gives; one that names an address is good for the person with that address alone. Only the
//! hash of its secret is kept.
//!
//! The secret is in the query of the link, because the page behind it works without a script, to which alone a fragment
//! would be shown; Trackside logs no queries. The first link, which sets an installation up, is made by nobody.

mod api;
mod store;

use chrono::TimeDelta;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

pub use self::api::InvitationsApi;
pub(super) use self::store::{by_hash, insert, use_up};
use super::{
    Authority, Limits, PersonId, PrincipalId, PrincipalRecord, Role, Scope, Tenant,
    authority::is_within,
    members, secret,
    signin::{self, Email},
};
use crate::{
    app::App,
    clock::{Time, whole_microseconds},
    database::{Door, TenantId, Tx},
    error::{Code, Error, Result},
    security::{self, Actor, ActorKind, SecurityAction, SecurityEvent, TargetKind},
    sender::Sender,
    wire::{Page, id_type},
};

/// For how long an invitation is good unless its maker says otherwise.
const LIFE: TimeDelta = TimeDelta::days(7);
/// The longest that one may be good.
const MAX_LIFE: TimeDelta = TimeDelta::days(30);
/// For how long one is listed after its end.
const KEPT: TimeDelta = TimeDelta::days(30);
/// Invitations forgotten in one transaction.
const BATCH: u64 = 500;
/// What the secret begins with, so that a leaked one is recognised.
const PREFIX: &str = "tsi_";
const PATH: &str = "/join?invitation=";

id_type! {
    /// Names an invitation.
    InvitationId
}

/// An invitation, without its secret.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// What the new principal is to be.
    pub role: Role,
    /// Whom it is for, in lower case; none means whoever has the link.
    pub email: Option<String>,
    /// The projects that the new principal is to be limited to; none means all.
    pub projects: Limits,
    /// The principal that made it; none for one made at the command line.
    pub invited_by: Option<PrincipalId>,
    /// When it was made.
    pub created_at: Time,
    /// From when on it is refused.
    pub expires_at: Time,
    /// When it was used.
    pub accepted_at: Option<Time>,
    /// Who joined by it.
    pub principal: Option<PrincipalId>,
    /// When it was withdrawn.
    pub revoked_at: Option<Time>,
}

impl Invitation {
    /// Whether somebody may still join by it.
    pub(super) fn is_open(&self, now: Time) -> bool {
        self.accepted_at.is_none() && self.revoked_at.is_none() && self.expires_at > now
    }

    /// Refuses whoever has another address than the one it names, if it names one.
    ///
    /// # Errors
    /// `insufficient_scope`.
    pub(super) fn check_address(&self, email: &Email) -> Result<()> {
        if self.email.as_ref().is_none_or(|meant| *meant == email.as_str()) {
            return Ok(());
        }
        let why = "this invitation is for somebody with another address; sign in as them";
        Err(Error::new(Code::InsufficientScope, why))
    }
}

/// An invitation to be made.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// What the new principal is to be.
    pub role: Role,
    /// Whom it is for; none means whoever has the link.
    pub email: Option<String>,
    /// The projects to limit the new principal to; none means all.
    pub projects: Limits,
    /// From when on to refuse it; none means in 7 days.
    pub expires_at: Option<Time>,
}

/// What somebody who has a link is invited to.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The organisation.
    pub tenant: Tenant,
    /// The name of whoever invites them; none for an invitation made at the command line.
    pub by: Option<String>,
    /// The invitation.
    pub invitation: Invitation,
}

/// Makes an invitation on somebody's authority; its secret is shown this once, in a [`link`].
///
/// # Errors
/// `insufficient_scope` for who would give more than they have, `invalid_request` for an address, project or expiry that
/// does not make sense, `not_found` for the tenant.
pub async fn create_invitation(
    app: &App,
    tenant: TenantId,
    authority: Authority,
    new: NewInvitation,
) -> Result<(Invitation, SecretString)> {
    let now = app.clock.now();
    let expires_at = new.expires_at.unwrap_or(now + LIFE);
    if expires_at <= now || expires_at > now + MAX_LIFE {
        let why = "an invitation ends in the future, and within 30 days";
        return Err(Error::invalid_field("/expiresAt", why));
    }
    let NewInvitation { role, projects, .. } = new;
    authority.may_give(role, &role.scopes(), &projects)?;
    members::check_limits(role, &projects)?;
    let actor = authority.actor();
    let invitation = Invitation {
        id: InvitationId(app.ids.uuid()),
        role,
        email: new.email.map(|email| Email::parse("/email", &email)).transpose()?.map(Email::into_string),
        projects,
        invited_by: actor.id,
        created_at: now,
        expires_at: whole_microseconds(expires_at),
        accepted_at: None,
        principal: None,
        revoked_at: None,
    };
    let secret = secret::generate(&app.ids, PREFIX);
    let event = SecurityEvent::new(app, actor, SecurityAction::InvitationCreated);
    let (row, hash) = (invitation.clone(), secret::hash(secret.expose_secret()));
    let made = app.database.write(tenant, move |tx| {
        Box::pin(async move {
            super::store::tenant(tx).await?;
            members::check_projects(tx, &row.projects).await?;
            let details = json!({"role": row.role, "expiresAt": row.expires_at});
            let event = about(event, &row).with(details);
            store::insert(tx, row, hash).await?;
            security::note(tx, event).await
        })
    });
    made.await?;
    Ok((invitation, secret))
}

/// Where somebody with this secret joins.
pub fn link(app: &App, secret: &SecretString) -> String {
    format!("{}{PATH}{}", app.public_url(), secret.expose_secret())
}

/// The secret in the path of a [`link`], if it is one.
pub(super) fn secret_in(path: &str) -> Option<String> {
    let secret = path.strip_prefix(PATH)?.split('&').next()?;
    secret.starts_with(PREFIX).then(|| secret.to_owned())
}

/// The invitations of a tenant, newest first.
///
/// # Errors
/// The database's.
pub async fn list_invitations(
    app: &App,
    tenant: TenantId,
    page: Page<InvitationId>,
) -> Result<Vec<Invitation>> {
    app.database.read(tenant, |tx| Box::pin(async move { store::list(tx, &page).await })).await
}

/// Withdraws an invitation. One that was withdrawn before stays as it is.
///
/// # Errors
/// `not_found` for one of another tenant or none, `conflict` for one by which somebody has joined.
pub async fn revoke_invitation(
    app: &App,
    tenant: TenantId,
    authority: Authority,
    id: InvitationId,
) -> Result<Invitation> {
    let now = app.clock.now();
    let event = SecurityEvent::new(app, authority.actor(), SecurityAction::InvitationRevoked);
    let revoked = app.database.write(tenant, move |tx| {
        Box::pin(async move {
            let is_news = store::revoke(tx, id, now).await?;
            let invitation = store::find(tx, id).await?;
            if let Some(joined) = invitation.principal {
                return Err(Error::new(
                    Code::Conflict,
                    format!(
                        "somebody has joined by this invitation already; to end their access, deactivate the principal \
                         {joined}: trackside principal deactivate, or POST /api/v1/principals/{joined}/deactivate"
                    ),
                ));
            }
            if is_news {
                security::note(tx, about(event, &invitation)).await?;
            }
            Ok(invitation)
        })
    });
    revoked.await
}

/// What a secret invites to, without using it up.
///
/// # Errors
/// `gone` for a secret that is unknown, used, withdrawn or expired, and for one whose maker may not give what it
/// gives any more.
pub async fn peek(app: &App, secret: &str) -> Result<Invited> {
    let (tenant, invitation) = look_up(app, secret).await?;
    let (now, asked) = (app.clock.now(), invitation.clone());
    app.database
        .read(tenant, move |tx| {
            Box::pin(async move {
                if !asked.is_open(now) {
                    return Err(refused());
                }
                let by = maker(tx, &asked).await?.map(|maker| maker.name);
                Ok(Invited { tenant: super::store::tenant(tx).await?, by, invitation: asked })
            })
        })
        .await
}

/// Lets a person join by a secret, once; gives the tenant, and what they are there. Who was in the tenant before and was
/// deactivated is admitted again, as what the invitation says, if it names their address.
///
/// # Errors
/// Those of [`peek`], `insufficient_scope` for a person with another address than the invitation names, `conflict` for one
/// who is in the tenant already.
pub async fn accept(
    app: &App,
    secret: &str,
    person: PersonId,
    sender: &Sender,
) -> Result<(TenantId, PrincipalId)> {
    let (tenant, invitation) = look_up(app, secret).await?;
    let found = app.database.read_through(Door::People, move |tx| Box::pin(signin::person(tx, person)));
    let person = found.await?.ok_or_else(|| Error::not_found("person"))?;
    invitation.check_address(&person.email)?;
    let (newcomer, now) = (PrincipalId(app.ids.uuid()), app.clock.now());
    let name = person.name.clone();
    let actor = Actor { kind: ActorKind::User, name: name.clone(), ..Actor::provoked(sender) };
    let event = SecurityEvent::new(app, actor, SecurityAction::InvitationAccepted);
    let joined = app.database.write(tenant, move |tx| {
        Box::pin(async move {
            maker(tx, &invitation).await?;
            let known = members::by_person(tx, person.id).await?;
            if known.as_ref().is_some_and(|known| known.deactivated_at.is_none()) {
                return Err(Error::new(Code::Conflict, "you are in this organisation already"));
            }
            if known.is_some() && invitation.email.is_none() {
                let why = "your access to this organisation was ended; ask for an invitation to your own e-mail address";
                return Err(Error::new(Code::InsufficientScope, why));
            }
            let id = known.as_ref().map_or(newcomer, |known| known.id);
            if !store::use_up(tx, invitation.id, id, now).await? {
                return Err(refused());
            }
            let Invitation { role, projects, .. } = invitation;
            let details = json!({"role": role, "invitationId": invitation.id.0, "isBack": known.is_some()});
            members::admit(tx, id, known, &person, role, projects, now).await?;
            security::note(tx, event.on(TargetKind::Principal, id.0, name).with(details)).await?;
            Ok(id)
        })
    });
    let principal = joined.await?;
    app.accounts.forget();
    Ok((tenant, principal))
}

/// Forgets invitations that ended long ago, whoever they belong to.
///
/// # Errors
/// The database's; what is left goes the next time.
pub async fn forget_invitations(app: &App) -> Result<()> {
    let before = app.clock.now() - KEPT;
    app.clear_out(move |tx| Box::pin(store::forget(tx, before, BATCH))).await
}

async fn look_up(app: &App, secret: &str) -> Result<(TenantId, Invitation)> {
    if !secret.starts_with(PREFIX) {
        return Err(refused());
    }
    let hash = secret::hash(secret);
    let found = app.database.read_through(Door::Credentials, move |tx| Box::pin(store::by_hash(tx, hash)));
    found.await?.ok_or_else(refused)
}

/// Who made an invitation, if they may still give what it gives; none for one made at the command line.
async fn maker(tx: &Tx<'_>, invitation: &Invitation) -> Result<Option<PrincipalRecord>> {
    let Some(id) = invitation.invited_by else { return Ok(None) };
    let maker = members::find(tx, id).await?;
    let may_still = maker.deactivated_at.is_none()
        && maker.role.scopes().contains(&Scope::KeysWrite)
        && maker.role.may_grant(invitation.role)
        && is_within(&invitation.projects, &maker.projects);
    if !may_still {
        return Err(refused());
    }
    Ok(Some(maker))
}

fn about(event: SecurityEvent, invitation: &Invitation) -> SecurityEvent {
    let name = invitation.email.clone().unwrap_or_else(|| format!("a new {}", invitation.role));
    event.on(TargetKind::Invitation, invitation.id.0, name)
}

/// One answer for all that may be wrong with a secret: whoever guesses learns nothing.
fn refused() -> Error {
    let why = "this invitation is no longer valid; ask whoever invited you for another one";
    Error::new(Code::Gone, why)
}
