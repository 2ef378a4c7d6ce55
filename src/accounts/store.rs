//! The rows of tenants and tickets, and the principals behind what somebody comes with.

use std::collections::{BTreeMap, BTreeSet};

use entity::{api_key, oauth_grant, principal, session, stream_ticket, tenant};
use sea_orm::{
    ActiveValue::Set, EntityTrait as _, QueryFilter as _, QueryOrder as _, prelude::*, sea_query::OnConflict,
};

use super::{
    Credential, GrantId, KeyId, Level, Limits, Principal, PrincipalId, PrincipalKind, PrincipalRecord, Role,
    Scope, SessionId, Tenant, principal::both, signin::IDLE,
};
use crate::{
    clock::Time,
    database::{DoorTx, TenantId, Tx},
    error::{Error, Result},
    wire::ProjectId,
};

pub(super) async fn insert_tenant(tx: &DoorTx<'_>, new: Tenant) -> Result<()> {
    let row = tenant::ActiveModel { id: Set(new.id.0), name: Set(new.name), created_at: Set(new.created_at) };
    tenant::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub(super) async fn tenants(tx: &DoorTx<'_>) -> Result<Vec<Tenant>> {
    let rows = tenant::Entity::find().order_by_asc(tenant::Column::Id).all(tx.conn()).await?;
    Ok(rows.into_iter().map(to_tenant).collect())
}

pub(super) async fn tenant(tx: &Tx<'_>) -> Result<Tenant> {
    let row = tenant::Entity::find_by_id(tx.tenant().0).one(tx.conn()).await?;
    row.map(to_tenant).ok_or_else(|| Error::not_found("tenant"))
}

fn to_tenant(row: tenant::Model) -> Tenant {
    Tenant { id: TenantId(row.id), name: row.name, created_at: row.created_at }
}

pub(super) fn to_principal(row: principal::Model) -> Result<PrincipalRecord> {
    Ok(PrincipalRecord {
        id: PrincipalId(row.id),
        kind: stored::<PrincipalKind>(&row.kind)?,
        name: row.name,
        role: stored::<Role>(&row.role)?,
        agent_role: row.agent_role,
        projects: to_limits(row.project_access)?,
        version: row.version,
        created_at: row.created_at,
        deactivated_at: row.deactivated_at,
    })
}

/// The projects that somebody is limited to, as they are stored.
pub(super) fn to_limits(stored: Option<Json>) -> Result<Limits> {
    let Some(stored) = stored else { return Ok(None) };
    let levels: BTreeMap<Uuid, String> = serde_json::from_value(stored).map_err(Error::internal)?;
    let level = |(id, level): (_, String)| Ok((ProjectId(id), self::stored(&level)?));
    levels.into_iter().map(level).collect::<Result<_>>().map(Some)
}

/// The projects that a key is limited to, as they are stored.
pub(super) fn key_projects(stored: Option<Json>) -> Result<Option<Vec<ProjectId>>> {
    let projects: Option<Vec<Uuid>> =
        stored.map(serde_json::from_value).transpose().map_err(Error::internal)?;
    Ok(projects.map(|projects| projects.into_iter().map(ProjectId).collect()))
}

/// The principal behind a key that has not been revoked.
pub(super) async fn principal_by_key(tx: &DoorTx<'_>, hash: [u8; 32]) -> Result<Option<Principal>> {
    let key = api_key::Entity::find()
        .filter(api_key::Column::Hash.eq(hash.to_vec()))
        .filter(api_key::Column::RevokedAt.is_null())
        .one(tx.conn())
        .await?;
    match key {
        Some(key) => with_key(tx, key).await,
        None => Ok(None),
    }
}

/// The principal behind a session that has not been ended.
pub(super) async fn principal_by_session(tx: &DoorTx<'_>, hash: [u8; 32]) -> Result<Option<Principal>> {
    let session = session::Entity::find()
        .filter(session::Column::Hash.eq(hash.to_vec()))
        .filter(session::Column::RevokedAt.is_null())
        .one(tx.conn())
        .await?;
    match session {
        Some(session) => with_session(tx, session).await,
        None => Ok(None),
    }
}

/// The principal behind a credential that has not been revoked.
pub(super) async fn principal_by_credential(
    tx: &DoorTx<'_>,
    credential: Credential,
) -> Result<Option<Principal>> {
    match credential {
        Credential::Key(KeyId(id)) => {
            let key = api_key::Entity::find_by_id(id).filter(api_key::Column::RevokedAt.is_null());
            match key.one(tx.conn()).await? {
                Some(key) => with_key(tx, key).await,
                None => Ok(None),
            }
        }
        Credential::Session(SessionId(id)) => {
            let session = session::Entity::find_by_id(id).filter(session::Column::RevokedAt.is_null());
            match session.one(tx.conn()).await? {
                Some(session) => with_session(tx, session).await,
                None => Ok(None),
            }
        }
        Credential::Grant(GrantId(id)) => {
            let grant = oauth_grant::Entity::find_by_id(id).filter(oauth_grant::Column::RevokedAt.is_null());
            match grant.one(tx.conn()).await? {
                Some(grant) => with_grant(tx, grant).await,
                None => Ok(None),
            }
        }
        Credential::Member(PrincipalId(id)) => {
            let Some(owner) = owner(tx, id).await? else { return Ok(None) };
            let client = owner.id.to_string();
            acting(owner, credential, client, None).map(Some)
        }
    }
}

async fn with_key(tx: &DoorTx<'_>, key: api_key::Model) -> Result<Option<Principal>> {
    let Some(owner) = owner(tx, key.principal_id).await? else { return Ok(None) };
    let scopes = to_scopes(key.scopes)?;
    let projects = key_projects(key.project_ids)?;
    let of_key = projects.map(|projects| projects.into_iter().map(|id| (id, Level::Editor)).collect());
    let principal = acting(owner, Credential::Key(KeyId(key.id)), key.prefix, key.expires_at)?;
    Ok(Some(Principal {
        scopes: &principal.scopes & &scopes,
        projects: both(of_key, principal.projects),
        ..principal
    }))
}

async fn with_session(tx: &DoorTx<'_>, session: session::Model) -> Result<Option<Principal>> {
    let Some(owner) = owner(tx, session.principal_id).await? else { return Ok(None) };
    let client = owner.id.to_string();
    let expires_at = session.expires_at.min(session.last_seen_at + IDLE);
    acting(owner, Credential::Session(SessionId(session.id)), client, Some(expires_at)).map(Some)
}

async fn with_grant(tx: &DoorTx<'_>, grant: oauth_grant::Model) -> Result<Option<Principal>> {
    let Some(owner) = owner(tx, grant.principal_id).await? else { return Ok(None) };
    let scopes = to_scopes(grant.scopes)?;
    let principal = acting(owner, Credential::Grant(GrantId(grant.id)), grant.client_id, None)?;
    Ok(Some(Principal { scopes: &principal.scopes & &scopes, ..principal }))
}

/// A principal that has not been deactivated.
async fn owner(tx: &DoorTx<'_>, id: Uuid) -> Result<Option<principal::Model>> {
    let owner = principal::Entity::find_by_id(id).one(tx.conn()).await?;
    let owner = owner.ok_or_else(|| Error::internal("a credential without a principal"))?;
    Ok(owner.deactivated_at.is_none().then_some(owner))
}

/// A principal with all that its role may do.
fn acting(
    row: principal::Model,
    credential: Credential,
    client: String,
    expires_at: Option<Time>,
) -> Result<Principal> {
    let tenant = TenantId(row.tenant_id);
    let PrincipalRecord { id, kind, name, role, agent_role, projects, .. } = to_principal(row)?;
    let scopes = role.scopes();
    Ok(Principal {
        tenant,
        id,
        role,
        agent_role,
        kind,
        name,
        credential,
        client,
        scopes,
        projects,
        expires_at,
    })
}

/// Scopes as they are stored. One that only a newer version knows is not granted by this one.
pub(super) fn to_scopes(stored: Json) -> Result<BTreeSet<Scope>> {
    let scopes: Vec<String> = serde_json::from_value(stored).map_err(Error::internal)?;
    Ok(scopes.iter().filter_map(|scope| scope.parse().ok()).collect())
}

pub(super) fn stored<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T> {
    text.parse().map_err(Error::internal)
}

/// Notes that a ticket was used; doing it again changes nothing.
pub(super) async fn insert_used_ticket(tx: &Tx<'_>, id: Uuid) -> Result<()> {
    let row = stream_ticket::ActiveModel { id: Set(id), tenant_id: Set(tx.tenant().0) };
    let once = OnConflict::column(stream_ticket::Column::Id).do_nothing().to_owned();
    stream_ticket::Entity::insert(row).on_conflict(once).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub(super) async fn is_used_ticket(tx: &Tx<'_>, id: Uuid) -> Result<bool> {
    let row =
        tx.find::<stream_ticket::Entity>().filter(stream_ticket::Column::Id.eq(id)).one(tx.conn()).await?;
    Ok(row.is_some())
}

/// Forgets up to `limit` tickets from before an id, whoever they belong to; gives their number.
pub(super) async fn forget_tickets(tx: &DoorTx<'_>, before: Uuid, limit: u64) -> Result<u64> {
    use stream_ticket::{Column, Entity};
    tx.delete_some::<Entity>(Column::Id, Column::Id.lt(before), limit).await
}

/// Notes that keys, sessions and grants of this transaction's tenant were used.
pub(super) async fn note_uses(tx: &Tx<'_>, used: &[Credential], at: Time) -> Result<()> {
    let (mut keys, mut sessions, mut grants) = (Vec::new(), Vec::new(), Vec::new());
    for credential in used {
        match credential {
            Credential::Key(KeyId(id)) => keys.push(*id),
            Credential::Session(SessionId(id)) => sessions.push(*id),
            Credential::Grant(GrantId(id)) => grants.push(*id),
            Credential::Member(_) => {} // nothing that could be unused
        }
    }
    if !keys.is_empty() {
        let used = tx.update::<api_key::Entity>().col_expr(api_key::Column::LastUsedAt, Expr::value(at));
        used.filter(api_key::Column::Id.is_in(keys)).exec(tx.conn()).await?;
    }
    if !sessions.is_empty() {
        let used = tx.update::<session::Entity>().col_expr(session::Column::LastSeenAt, Expr::value(at));
        used.filter(session::Column::Id.is_in(sessions)).exec(tx.conn()).await?;
    }
    if !grants.is_empty() {
        let used =
            tx.update::<oauth_grant::Entity>().col_expr(oauth_grant::Column::LastUsedAt, Expr::value(at));
        used.filter(oauth_grant::Column::Id.is_in(grants)).exec(tx.conn()).await?;
    }
    Ok(())
}
