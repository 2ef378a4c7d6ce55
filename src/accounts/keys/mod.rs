//! API keys: made, rotated, ended.
//!
//! A key is a service account's, which may be made along with it, or a person's own. Its text is shown once. While it is
//! rotated two are valid: the new one, and the old one until the overlap is over. A revoked or expired key is refused
//! within a second everywhere, on open streams too. Whoever may manage keys may revoke any of them, so that one that has
//! leaked is stopped by whoever sees it first.

mod api;
mod store;

use std::collections::{BTreeSet, HashMap};

use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::{Value, json};

pub use self::api::KeysApi;
use super::{
    ApiKey, Authority, KeyId, Level, PrincipalId, PrincipalKind, PrincipalRecord, Role, Scope, members,
    parse_name, principal::both,
};
use crate::{
    app::App,
    clock::{Time, whole_microseconds},
    database::{TenantId, Tx},
    error::{Code, Error, Result},
    projects::{self, secrets::parse_overlap},
    security::{self, SecurityAction, SecurityEvent, TargetKind},
    wire::{Page, ProjectId},
};

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
    /// The key that takes its place, once it was rotated.
    pub successor: Option<KeyId>,
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

/// Another key to be made for a principal that is there.
#[derive(Clone, Debug)]
pub struct AnotherKey {
    /// Whose it is to be.
    pub principal: PrincipalId,
    /// What it is for.
    pub name: String,
    /// What it may do; none means all that its principal's role may.
    pub scopes: Option<BTreeSet<Scope>>,
    /// The projects to limit it to.
    pub projects: Option<Vec<ProjectId>>,
    /// From when on to refuse it.
    pub expires_at: Option<Time>,
}

/// The visible prefixes of some keys, revoked ones too: the names under which what is done with them is counted.
///
/// # Errors
/// The database's.
pub async fn prefixes(tx: &Tx<'_>, keys: Vec<KeyId>) -> Result<HashMap<KeyId, String>> {
    match keys.is_empty() {
        true => Ok(HashMap::new()),
        false => store::prefixes(tx, keys).await,
    }
}

/// Makes a key and its service account on somebody's authority.
///
/// # Errors
/// `insufficient_scope` when the key would be able to do more than its maker, `invalid_request` for a name,
/// scope, project or expiry that does not make sense, `not_found` for the tenant.
pub async fn create_key(
    app: &App,
    tenant: TenantId,
    authority: Authority,
    new: NewKey,
) -> Result<(KeyRecord, SecretString)> {
    let NewKey { name, role, scopes, projects, expires_at } = new;
    let newcomer = PrincipalRecord {
        id: PrincipalId(app.ids.uuid()),
        kind: PrincipalKind::ServiceAccount,
        name: parse_name("/name", &name)?,
        role,
        agent_role: None,
        projects: None,
        version: 1,
        created_at: app.clock.now(),
        deactivated_at: None,
    };
    let key = AnotherKey { principal: newcomer.id, name, scopes, projects, expires_at };
    make(app, tenant, authority, Some(newcomer), key).await
}

/// Makes a key and its service account in any tenant; for the command line, whose user owns the database.
///
/// # Errors
/// `invalid_request` for a name, scope, project or expiry that does not make sense, `not_found` for the tenant.
pub async fn issue_key(app: &App, tenant: TenantId, new: NewKey) -> Result<(KeyRecord, SecretString)> {
    create_key(app, tenant, Authority::system(), new).await
}

/// Makes another key for a principal on somebody's authority.
///
/// # Errors
/// As [`create_key`], `not_found` for the principal, `conflict` for one that was deactivated, and `insufficient_scope`
/// for a person who is somebody else.
pub async fn add_key(
    app: &App,
    tenant: TenantId,
    authority: Authority,
    new: AnotherKey,
) -> Result<(KeyRecord, SecretString)> {
    make(app, tenant, authority, None, new).await
}

async fn make(
    app: &App,
    tenant: TenantId,
    authority: Authority,
    newcomer: Option<PrincipalRecord>,
    new: AnotherKey,
) -> Result<(KeyRecord, SecretString)> {
    let name = parse_name("/name", &new.name)?;
    let now = app.clock.now();
    if new.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Error::invalid_field("/expiresAt", "the expiry must lie in the future"));
    }
    let (id, text) = (KeyId(app.ids.uuid()), ApiKey::generate(&app.ids));
    let (prefix, hash) = (text.prefix().to_owned(), text.hash());
    let event = SecurityEvent::new(app, authority.actor(), SecurityAction::KeyCreated);
    let made = app.database.write(tenant, move |tx| {
        Box::pin(async move {
            super::store::tenant(tx).await?;
            let (owner, is_new) = match newcomer {
                Some(newcomer) => (newcomer, true),
                None => (active(tx, new.principal).await?, false),
            };
            let key = KeyRecord {
                id,
                principal: owner.id,
                name,
                prefix,
                role: owner.role,
                scopes: parse_scopes(owner.role, new.scopes)?,
                projects: new.projects,
                created_at: now,
                expires_at: new.expires_at.map(whole_microseconds),
                last_used_at: None,
                revoked_at: None,
                successor: None,
            };
            check(&authority, &owner, &key)?;
            for project in key.projects.iter().flatten() {
                projects::find(tx, *project).await.map_err(|_| {
                    let why = format!("there is no project {project} in this tenant");
                    Error::invalid_field("/projectIds", why)
                })?;
            }
            if is_new {
                members::insert(tx, owner, None).await?;
            }
            store::insert(tx, key.clone(), hash).await?;
            security::note(tx, about(event, &key).with(details(&key))).await?;
            Ok(key)
        })
    });
    Ok((made.await?, text.into_secret()))
}

/// The keys of a tenant, newest first.
///
/// # Errors
/// The database's.
pub async fn list_keys(app: &App, tenant: TenantId, page: Page<KeyId>) -> Result<Vec<KeyRecord>> {
    app.database.read(tenant, |tx| Box::pin(async move { store::list(tx, &page).await })).await
}

/// One key.
///
/// # Errors
/// `not_found` for a key of another tenant or none.
pub async fn get_key(app: &App, tenant: TenantId, id: KeyId) -> Result<KeyRecord> {
    app.database.read(tenant, move |tx| Box::pin(store::find(tx, id))).await
}

/// Gives a key a successor, of the same principal, with the same scopes, projects and expiry; gives it, and when the
/// old one ends: after `overlap`, or at its expiry if that is sooner.
///
/// # Errors
/// `not_found` for a key of another tenant or none, `conflict` for one that has ended already, `invalid_request` for an
/// overlap of more than 30 days, `insufficient_scope` for a key that may do more than whoever asks, and for another
/// person's.
pub async fn rotate_key(
    app: &App,
    tenant: TenantId,
    authority: Authority,
    id: KeyId,
    overlap: TimeDelta,
) -> Result<(KeyRecord, SecretString, Time)> {
    let now = app.clock.now();
    let over = now + parse_overlap(overlap)?;
    let (new_id, text) = (KeyId(app.ids.uuid()), ApiKey::generate(&app.ids));
    let (prefix, hash) = (text.prefix().to_owned(), text.hash());
    let event = SecurityEvent::new(app, authority.actor(), SecurityAction::KeyRotated);
    let rotated = app.database.write(tenant, move |tx| {
        Box::pin(async move {
            tx.lock(id.0).await?; // of two rotations at once, one sees the other's successor
            let old = store::find(tx, id).await?;
            if old.revoked_at.is_some() || old.expires_at.is_some_and(|expires_at| expires_at <= now) {
                let why = "this key has ended already; make a new key for its principal";
                return Err(Error::new(Code::Conflict, why));
            }
            // The end of its overlap is not the end that it was made with: nothing more comes of it.
            if let Some(successor) = old.successor {
                let prefix = store::find(tx, successor).await?.prefix;
                let why = format!(
                    "this key was rotated already: {prefix}… takes its place; rotate that one, or make a new key for its \
                     principal"
                );
                return Err(Error::new(Code::Conflict, why));
            }
            check(&authority, &active(tx, old.principal).await?, &old)?;
            let ends = old.expires_at.map_or(over, |expires_at| expires_at.min(over));
            store::succeed(tx, id, new_id, ends).await?;
            let event = about(event, &old).with(json!({"newKeyId": new_id.0, "oldKeyExpiresAt": ends}));
            let new = KeyRecord { id: new_id, prefix, created_at: now, last_used_at: None, ..old };
            store::insert(tx, new.clone(), hash).await?;
            security::note(tx, event).await?;
            Ok((new, ends))
        })
    });
    let (key, ends) = rotated.await?;
    app.accounts.forget();
    Ok((key, text.into_secret(), ends))
}

/// Revokes a key; from the next second on it is refused everywhere. Doing it again changes nothing.
///
/// # Errors
/// `not_found` for a key of another tenant or none.
pub async fn revoke_key(app: &App, tenant: TenantId, authority: Authority, id: KeyId) -> Result<KeyRecord> {
    let now = app.clock.now();
    let event = SecurityEvent::new(app, authority.actor(), SecurityAction::KeyRevoked);
    let revoked = app.database.write(tenant, move |tx| {
        Box::pin(async move {
            let is_news = store::revoke(tx, id, now).await?;
            let key = store::find(tx, id).await?;
            if is_news {
                security::note(tx, about(event, &key).with(json!({"prefix": key.prefix}))).await?;
            }
            Ok(key)
        })
    });
    let key = revoked.await?;
    app.accounts.forget();
    Ok(key)
}

/// Ends all keys of a principal; gives their number.
pub(super) async fn revoke_all(tx: &Tx<'_>, principal: PrincipalId, now: Time) -> Result<u64> {
    store::revoke_all(tx, principal, now).await
}

/// A principal that may act.
async fn active(tx: &Tx<'_>, id: PrincipalId) -> Result<PrincipalRecord> {
    let principal = members::find(tx, id).await?;
    if principal.deactivated_at.is_some() {
        let why = "this principal was deactivated; reactivate it first";
        return Err(Error::new(Code::Conflict, why));
    }
    Ok(principal)
}

/// Refuses a key that would be able to do more than its maker, or would be another person's.
fn check(authority: &Authority, owner: &PrincipalRecord, key: &KeyRecord) -> Result<()> {
    authority.may_act_as(owner)?;
    let level = if key.scopes.iter().any(|scope| scope.is_write()) { Level::Editor } else { Level::Viewer };
    let limits = key.projects.as_ref().map(|projects| projects.iter().map(|id| (*id, level)).collect());
    authority.may_give(owner.role, &key.scopes, &both(limits, owner.projects.clone()))
}

/// What a key may do, which its principal's role may; all of that if nothing is said.
fn parse_scopes(role: Role, scopes: Option<BTreeSet<Scope>>) -> Result<BTreeSet<Scope>> {
    let all = role.scopes();
    let scopes = scopes.unwrap_or_else(|| all.clone());
    if let Some(scope) = scopes.iter().find(|scope| !all.contains(scope)) {
        return Err(Error::invalid_field(
            "/scopes",
            format!("the role {role} never has the scope `{scope}`"),
        ));
    }
    if scopes.is_empty() {
        let why = "a key without scopes could do nothing; leave it out for all of its role";
        return Err(Error::invalid_field("/scopes", why));
    }
    Ok(scopes)
}

fn about(event: SecurityEvent, key: &KeyRecord) -> SecurityEvent {
    event.on(TargetKind::ApiKey, key.id.0, key.name.clone())
}

/// What the security log tells of a new key.
fn details(key: &KeyRecord) -> Value {
    json!({
        "prefix": key.prefix,
        "principalId": key.principal.0,
        "role": key.role,
        "scopes": key.scopes,
        "projectIds": key.projects.as_ref().map(|ids| ids.iter().map(|id| id.0).collect::<Vec<_>>()),
        "expiresAt": key.expires_at,
    })
}
