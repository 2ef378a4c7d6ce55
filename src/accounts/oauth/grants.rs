//! Grants: what somebody lets a client do on their behalf, until they or an admin end it.
//!
//! A grant is given by a person in their own session. Its scopes are among theirs then, and never more than they may
//! later: that is looked up with every use. Ending a grant ends its tokens, within a second on every instance. One that
//! no token was made of for longer than a refresh token lives is forgotten, and so is one whose code nobody came to redeem.

use std::collections::BTreeSet;

use serde_json::json;

use super::{clients::Client, store};
use crate::{
    accounts::{Credential, GrantId, Principal, PrincipalId, Scope, tokens::Resource},
    app::App,
    clock::Time,
    database::{TenantId, Tx},
    error::{Code, Error, Result},
    security::{self, Actor, SecurityAction, SecurityEvent, TargetKind},
    sender::Sender,
    wire::{MAX_LIMIT, Page},
};

/// What somebody lets a client do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The tenant it is good in.
    pub tenant: TenantId,
    /// On whose behalf.
    pub principal: PrincipalId,
    /// The client.
    pub client_id: String,
    /// What the client called itself.
    pub client_name: String,
    /// What it may do, as far as the principal may.
    pub scopes: BTreeSet<Scope>,
    /// The resources that its tokens are for; none means all of this service's.
    pub resources: BTreeSet<Resource>,
    /// When it was given.
    pub created_at: Time,
    /// When a token was last made of it.
    pub last_used_at: Option<Time>,
    /// When it was ended.
    pub revoked_at: Option<Time>,
}

/// Lets a client act on behalf of a person who is signed in.
///
/// # Errors
/// `insufficient_scope` for somebody who came with something else than a session, and for scopes beyond theirs;
/// `invalid_request` without any scope.
pub async fn give(
    app: &App,
    principal: &Principal,
    client: &Client,
    scopes: BTreeSet<Scope>,
    resources: BTreeSet<Resource>,
    sender: &Sender,
) -> Result<Grant> {
    if !matches!(principal.credential, Credential::Session(_)) {
        let why = "only a person who is signed in lets a client act for them";
        return Err(Error::new(Code::InsufficientScope, why));
    }
    if scopes.is_empty() {
        return Err(Error::invalid_field("/scopes", "without a scope a client could do nothing"));
    }
    scopes.iter().try_for_each(|scope| principal.require(*scope))?;
    let grant = Grant {
        id: GrantId(app.ids.uuid()),
        tenant: principal.tenant,
        principal: principal.id,
        client_id: client.id.clone(),
        client_name: client.name.clone(),
        scopes,
        resources,
        created_at: app.clock.now(),
        last_used_at: None,
        revoked_at: None,
    };
    let event = SecurityEvent::new(app, Actor::new(principal, sender), SecurityAction::GrantCreated);
    let row = grant.clone();
    let given = app.database.write(principal.tenant, |tx| {
        Box::pin(async move {
            let details =
                json!({"clientId": row.client_id, "scopes": row.scopes, "resources": row.resources});
            let event = about(event, &row).with(details);
            store::insert_grant(tx, row).await?;
            security::note(tx, event).await
        })
    });
    given.await?;
    Ok(grant)
}

/// Whose grants somebody sees and ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach {
    /// Everybody's: they manage the tenant's keys.
    All,
    /// Their own.
    Own(PrincipalId),
    /// This one: they came with it.
    One(GrantId),
}

impl Reach {
    /// That of a caller, for whom `scope` opens everybody's.
    ///
    /// # Errors
    /// `insufficient_scope` for a client that came with a token of an issuer elsewhere: no grant here is its own.
    fn of(principal: &Principal, scope: Scope) -> Result<Self> {
        match principal.credential {
            Credential::Grant(grant) => Ok(Self::One(grant)),
            Credential::Member(_) => Err(Error::new(
                Code::InsufficientScope,
                "what somebody lets clients do is not for clients that act for them; they see it on their account's page",
            )),
            _ if principal.scopes.contains(&scope) => Ok(Self::All),
            _ => Ok(Self::Own(principal.id)),
        }
    }
}

/// The grants that the caller has given, or everybody's for who may see the tenant's keys; newest first.
///
/// # Errors
/// `insufficient_scope` for a token of an issuer elsewhere, and the database's.
pub async fn list(app: &App, principal: &Principal, page: Page<GrantId>) -> Result<Vec<Grant>> {
    let reach = Reach::of(principal, Scope::KeysRead)?;
    app.database
        .read(principal.tenant, |tx| Box::pin(async move { store::grants(tx, reach, &page).await }))
        .await
}

/// What somebody lets clients do now, newest first; [`MAX_LIMIT`] at most.
///
/// # Errors
/// The database's.
pub(in crate::accounts) async fn given_by(app: &App, principal: &Principal) -> Result<Vec<Grant>> {
    let id = principal.id;
    app.database.read(principal.tenant, move |tx| Box::pin(store::open_grants_by(tx, id, MAX_LIMIT))).await
}

/// Ends a grant: its tokens are refused from the next second on. Doing it again changes nothing.
///
/// # Errors
/// `not_found` for a grant of another tenant, of somebody else unless the caller may manage keys, or none;
/// `insufficient_scope` for a key that may not manage keys, and for a token of an issuer elsewhere.
pub async fn end(app: &App, principal: &Principal, sender: &Sender, id: GrantId) -> Result<Grant> {
    let (reach, now) = (Reach::of(principal, Scope::KeysWrite)?, app.clock.now());
    let may_end = principal.may_end_own();
    let event = SecurityEvent::new(app, Actor::new(principal, sender), SecurityAction::GrantRevoked);
    let ended = app
        .database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                let before =
                    store::grant_in(tx, reach, id).await?.ok_or_else(|| Error::not_found("grant"))?;
                may_end?;
                end_in(tx, &before, now, event).await?;
                store::grant_in(tx, reach, id).await?.ok_or_else(|| Error::not_found("grant"))
            })
        })
        .await?;
    app.accounts.forget();
    Ok(ended)
}

/// Ends whatever people of a tenant let a client do; false if that is nothing.
pub(super) async fn end_all_of(app: &App, tenant: TenantId, client_id: &str) -> Result<bool> {
    let (client_id, now, ids) = (client_id.to_owned(), app.clock.now(), app.ids.clone());
    let ended = app.database.write(tenant, move |tx| {
        Box::pin(async move {
            let open = store::open_grants_of(tx, &client_id).await?;
            for grant in &open {
                let event = SecurityEvent::at(&ids, now, Actor::system(), SecurityAction::GrantRevoked);
                end_in(tx, grant, now, event).await?;
            }
            Ok(!open.is_empty())
        })
    });
    let is_any = ended.await?;
    app.accounts.forget();
    Ok(is_any)
}

/// Ends a grant, and notes it; one that has ended stays as it is.
pub(super) async fn end_in(tx: &Tx<'_>, grant: &Grant, now: Time, event: SecurityEvent) -> Result<()> {
    if store::end_grant(tx, grant.id, now).await? {
        let details = json!({"clientId": grant.client_id, "principalId": grant.principal.0});
        security::note(tx, about(event, grant).with(details)).await?;
    }
    Ok(())
}

fn about(event: SecurityEvent, grant: &Grant) -> SecurityEvent {
    event.on(TargetKind::Grant, grant.id.0, grant.client_name.clone())
}
