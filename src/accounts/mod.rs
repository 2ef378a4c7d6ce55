//! Tenants, principals and API keys: who acts, and what they may do.
//!
//! A tenant is made at the command line, with its first key. Whoever holds a key with `keys.write` makes
//! further ones, never with more than their own role and scopes. A key's text is shown once; only its hash
//! is kept. A revoked or expired key is refused within a second, on open streams too.
//!
//! People sign in and have sessions ([`signin`]), which are credentials like keys.
//!
//! A client that cannot send headers trades its key for a [`Ticket`], which opens event streams and nothing else. One
//! that would rather not send its key with every request trades it for a token ([`tokens`]), which lasts an hour.
//!
//! Every operation takes the [`Principal`] that a key stands for, and works in that principal's tenant alone.

mod access;
mod api;
mod credential;
mod key;
pub mod oauth;
mod principal;
pub mod scope;
pub mod signin;
mod store;
mod ticket;
pub mod tokens;

use std::collections::BTreeSet;

use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

pub use self::{
    access::Access,
    api::{
        AccountsApi, Caller, StreamCaller, authenticate_caller, authenticate_request, authenticate_stream,
    },
    credential::{Accounts, authenticate},
    key::ApiKey,
    principal::{Credential, GrantId, Level, Limits, Principal, PrincipalKind, PrincipalRecord, SessionId},
    scope::{Role, Scope},
    ticket::{Ticket, forget_tickets, issue_ticket},
    tokens::Surface,
};
use crate::{
    app::App,
    clock::Time,
    database::{Door, TenantId},
    error::{Code, Error, Result},
    security::{self, Actor, SecurityAction, SecurityEvent, TargetKind},
    sender::Sender,
    wire::{Page, ProjectId, id_type},
};

id_type! {
    /// Names a principal.
    PrincipalId
}
id_type! {
    /// Names an API key.
    KeyId
}

/// An organisation.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// The name people see.
    pub name: String,
    /// When it was made.
    pub created_at: Time,
}

/// A key as it is listed: everything but its text.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// Its id.
    pub id: KeyId,
    /// Who acts with it.
    pub principal: PrincipalId,
    /// What it is for.
    pub name: String,
    /// Its first 16 characters.
    pub prefix: String,
    /// What its principal is.
    pub role: Role,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// The projects it is limited to.
    pub projects: Option<Vec<ProjectId>>,
    /// When it was made.
    pub created_at: Time,
    /// From when on it is refused.
    pub expires_at: Option<Time>,
    /// When it was last used, give or take a minute.
    pub last_used_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
}

/// A key to be made, together with the service account that acts with it.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// What its principal is to be.
    pub role: Role,
    /// What it may do; none means all that its role may.
    pub scopes: Option<BTreeSet<Scope>>,
    /// The projects to limit it to.
    pub projects: Option<Vec<ProjectId>>,
    /// From when on to refuse it.
    pub expires_at: Option<Time>,
}

/// Makes a tenant.
///
/// # Errors
/// `invalid_request` for an empty or overlong name.
pub async fn create_tenant(app: &App, name: &str) -> Result<Tenant> {
    let name = parse_name("/name", name)?;
    let tenant = Tenant { id: TenantId(app.ids.uuid()), name, created_at: app.clock.now() };
    let row = tenant.clone();
    app.database
        .write_through(Door::Installation, |tx| Box::pin(async move { store::insert_tenant(tx, row).await }))
        .await?;
    Ok(tenant)
}

/// Makes the first tenant; none when there is one already. Processes that ask at once make one between them.
///
/// # Errors
/// As [`create_tenant`].
pub async fn make_first_tenant(app: &App, name: &str) -> Result<Option<Tenant>> {
    let name = parse_name("/name", name)?;
    let tenant = Tenant { id: TenantId(app.ids.uuid()), name, created_at: app.clock.now() };
    app.database
        .write_through(Door::Installation, |tx| {
            Box::pin(async move {
                tx.lock(Uuid::nil()).await?;
                if !store::tenants(tx).await?.is_empty() {
                    return Ok(None);
                }
                store::insert_tenant(tx, tenant.clone()).await?;
                Ok(Some(tenant))
            })
        })
        .await
}

/// Every tenant, oldest first; for the command line.
///
/// # Errors
/// The database's.
pub async fn list_tenants(app: &App) -> Result<Vec<Tenant>> {
    app.database.read_through(Door::Installation, |tx| Box::pin(store::tenants(tx))).await
}

/// The caller's tenant.
///
/// # Errors
/// The database's.
pub async fn get_tenant(app: &App, principal: &Principal) -> Result<Tenant> {
    app.database.read(principal.tenant, |tx| Box::pin(store::tenant(tx))).await
}

/// The principals of the caller's tenant.
///
/// # Errors
/// The database's.
pub async fn list_principals(
    app: &App,
    principal: &Principal,
    page: Page<PrincipalId>,
) -> Result<Vec<PrincipalRecord>> {
    app.database
        .read(principal.tenant, |tx| Box::pin(async move { store::principals(tx, &page).await }))
        .await
}

/// Makes a key on somebody's behalf; nobody gives more than they have.
///
/// # Errors
/// `insufficient_scope` when the key would be able to do more than its maker, `invalid_request` for a name,
/// scope, project or expiry that does not make sense.
pub async fn create_key(
    app: &App,
    principal: &Principal,
    origin: &Sender,
    new: NewKey,
) -> Result<(KeyRecord, SecretString)> {
    if !principal.role.may_grant(new.role) {
        let why = format!("a key of role {} cannot make one of role {}", principal.role, new.role);
        return Err(Error::new(Code::InsufficientScope, why));
    }
    if let Some(mine) = principal.project_ids() {
        let beyond = |asked: &Vec<ProjectId>| asked.iter().any(|project| !mine.contains(project));
        if new.projects.as_ref().is_none_or(beyond) {
            let why =
                "this key is limited to some projects, so the keys it makes must name projects among them";
            return Err(Error::new(Code::InsufficientScope, why));
        }
    }
    let wanted = new.scopes.clone().unwrap_or_else(|| new.role.scopes());
    if let Some(scope) = wanted.iter().find(|scope| !principal.scopes.contains(scope)) {
        let why = format!(
            "this key does not have the scope `{scope}` itself; leave it out of the new key's scopes"
        );
        return Err(Error::new(Code::InsufficientScope, why));
    }
    make_key(app, principal.tenant, Actor::new(principal, origin), new).await
}

/// Makes a key in any tenant; for the command line, whose user owns the database.
///
/// # Errors
/// `invalid_request` for a name, scope, project or expiry that does not make sense, `not_found` for the tenant.
pub async fn issue_key(app: &App, tenant: TenantId, new: NewKey) -> Result<(KeyRecord, SecretString)> {
    make_key(app, tenant, Actor::system(), new).await
}

async fn make_key(
    app: &App,
    tenant: TenantId,
    actor: Actor,
    new: NewKey,
) -> Result<(KeyRecord, SecretString)> {
    let name = parse_name("/name", &new.name)?;
    let all = new.role.scopes();
    let scopes = new.scopes.unwrap_or_else(|| all.clone());
    if let Some(scope) = scopes.iter().find(|scope| !all.contains(scope)) {
        return Err(Error::invalid_field(
            "/scopes",
            format!("the role {} never has the scope `{scope}`", new.role),
        ));
    }
    if scopes.is_empty() {
        return Err(Error::invalid_field(
            "/scopes",
            "a key without scopes could do nothing; leave it out for all of its role",
        ));
    }
    let now = app.clock.now();
    if new.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Error::invalid_field("/expiresAt", "the expiry must lie in the future"));
    }
    let key = ApiKey::generate(&app.ids);
    let record = KeyRecord {
        id: KeyId(app.ids.uuid()),
        principal: PrincipalId(app.ids.uuid()),
        name,
        prefix: key.prefix().to_owned(),
        role: new.role,
        scopes,
        projects: new.projects,
        created_at: now,
        expires_at: new.expires_at.map(crate::clock::whole_microseconds),
        last_used_at: None,
        revoked_at: None,
    };
    let event = SecurityEvent::new(app, actor, SecurityAction::KeyCreated);
    let event = event.on(TargetKind::ApiKey, record.id.0, record.name.clone()).with(json!({
        "prefix": record.prefix,
        "principalId": record.principal.0,
        "role": record.role,
        "scopes": record.scopes,
        "projectIds": record.projects.iter().flatten().map(|id| id.0).collect::<Vec<_>>(),
        "expiresAt": record.expires_at,
    }));
    let (row, hash) = (record.clone(), key.hash());
    app.database
        .write(tenant, move |tx| {
            Box::pin(async move {
                store::tenant(tx).await?;
                for project in row.projects.iter().flatten() {
                    crate::projects::find(tx, *project).await.map_err(|_| {
                        Error::invalid_field(
                            "/projectIds",
                            format!("there is no project {project} in this tenant"),
                        )
                    })?;
                }
                store::insert_key(tx, row, hash).await?;
                security::note(tx, event).await
            })
        })
        .await?;
    Ok((record, key.into_secret()))
}

/// The keys of a tenant, newest first.
///
/// # Errors
/// The database's.
pub async fn list_keys(app: &App, tenant: TenantId, page: Page<KeyId>) -> Result<Vec<KeyRecord>> {
    app.database.read(tenant, |tx| Box::pin(async move { store::keys(tx, &page).await })).await
}

/// Revokes a key; from the next second on it is refused everywhere. Doing it again changes nothing.
///
/// # Errors
/// `not_found` for a key of another tenant or none.
pub async fn revoke_key(app: &App, tenant: TenantId, actor: Actor, id: KeyId) -> Result<KeyRecord> {
    let now = app.clock.now();
    let event = SecurityEvent::new(app, actor, SecurityAction::KeyRevoked);
    let key = app
        .database
        .write(tenant, move |tx| {
            Box::pin(async move {
                let is_news = store::revoke_key(tx, id, now).await?;
                let key = store::key(tx, id).await?;
                if is_news {
                    let event = event.on(TargetKind::ApiKey, id.0, key.name.clone());
                    security::note(tx, event.with(json!({"prefix": key.prefix}))).await?;
                }
                Ok(key)
            })
        })
        .await?;
    app.accounts.forget();
    Ok(key)
}

/// A name that people give: something to see, on one line, of at most 200 characters.
///
/// # Errors
/// `invalid_request`, pointing at the field.
pub fn parse_name(pointer: &str, text: &str) -> Result<String> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(Error::invalid_field(
            pointer,
            "a name has 1 to 200 characters, none of them control characters",
        ));
    }
    Ok(name.to_owned())
}
