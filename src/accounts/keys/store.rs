//! The rows of API keys.

use std::collections::HashMap;

use entity::{api_key, principal};
use sea_orm::{
    ActiveValue::Set, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, prelude::*,
};
use serde_json::json;

use super::KeyRecord;
use crate::{
    accounts::{
        KeyId, PrincipalId,
        store::{key_projects, stored, to_scopes},
    },
    clock::Time,
    database::Tx,
    error::{Error, Result},
    wire::Page,
};

pub(super) async fn insert(tx: &Tx<'_>, new: KeyRecord, hash: [u8; 32]) -> Result<()> {
    let key = api_key::ActiveModel {
        id: Set(new.id.0),
        tenant_id: Set(tx.tenant().0),
        principal_id: Set(new.principal.0),
        name: Set(new.name),
        prefix: Set(new.prefix),
        hash: Set(hash.to_vec()),
        scopes: Set(new.scopes.iter().map(|scope| json!(scope.as_str())).collect()),
        project_ids: Set(new
            .projects
            .map(|projects| projects.iter().map(|project| json!(project.0)).collect())),
        created_at: Set(new.created_at),
        expires_at: Set(new.expires_at),
        ..Default::default()
    };
    api_key::Entity::insert(key).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// The keys of a page, and one more if there is one, newest first.
pub(super) async fn list(tx: &Tx<'_>, page: &Page<KeyId>) -> Result<Vec<KeyRecord>> {
    let mut query = tx.find::<api_key::Entity>().order_by_desc(api_key::Column::Id).limit(page.limit + 1);
    if let Some(after) = page.after {
        query = query.filter(api_key::Column::Id.lt(after.0));
    }
    let keys = query.all(tx.conn()).await?;
    let owners = tx
        .find::<principal::Entity>()
        .filter(principal::Column::Id.is_in(keys.iter().map(|key| key.principal_id)))
        .all(tx.conn())
        .await?;
    keys.into_iter()
        .map(|key| {
            let owner = owners.iter().find(|owner| owner.id == key.principal_id);
            to_key(key, owner)
        })
        .collect()
}

pub(super) async fn find(tx: &Tx<'_>, id: KeyId) -> Result<KeyRecord> {
    let key = tx.find::<api_key::Entity>().filter(api_key::Column::Id.eq(id.0)).one(tx.conn()).await?;
    let key = key.ok_or_else(|| Error::not_found("API key"))?;
    let owner = tx
        .find::<principal::Entity>()
        .filter(principal::Column::Id.eq(key.principal_id))
        .one(tx.conn())
        .await?;
    to_key(key, owner.as_ref())
}

pub(super) async fn prefixes(tx: &Tx<'_>, keys: Vec<KeyId>) -> Result<HashMap<KeyId, String>> {
    let rows: Vec<(Uuid, String)> = tx
        .find::<api_key::Entity>()
        .select_only()
        .columns([api_key::Column::Id, api_key::Column::Prefix])
        .filter(tx.one_of(api_key::Column::Id, keys.into_iter().map(|key| key.0)))
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(|(id, prefix)| (KeyId(id), prefix)).collect())
}

fn to_key(row: api_key::Model, owner: Option<&principal::Model>) -> Result<KeyRecord> {
    let owner = owner.ok_or_else(|| Error::internal("a key without a principal"))?;
    Ok(KeyRecord {
        id: KeyId(row.id),
        principal: PrincipalId(row.principal_id),
        name: row.name,
        prefix: row.prefix,
        role: stored(&owner.role)?,
        scopes: to_scopes(row.scopes)?,
        projects: key_projects(row.project_ids)?,
        created_at: row.created_at,
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
        successor: row.successor_id.map(KeyId),
    })
}

pub(super) async fn succeed(tx: &Tx<'_>, id: KeyId, by: KeyId, at: Time) -> Result<()> {
    tx.update::<api_key::Entity>()
        .col_expr(api_key::Column::ExpiresAt, Expr::value(at))
        .col_expr(api_key::Column::SuccessorId, Expr::value(by.0))
        .filter(api_key::Column::Id.eq(id.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Revokes a key; whether there was one that was not revoked before.
pub(super) async fn revoke(tx: &Tx<'_>, id: KeyId, now: Time) -> Result<bool> {
    let revoked = revoke_those(tx, api_key::Column::Id.eq(id.0), now).await?;
    Ok(revoked > 0)
}

pub(super) async fn revoke_all(tx: &Tx<'_>, principal: PrincipalId, now: Time) -> Result<u64> {
    revoke_those(tx, api_key::Column::PrincipalId.eq(principal.0), now).await
}

async fn revoke_those(tx: &Tx<'_>, those: Expr, now: Time) -> Result<u64> {
    let revoked = tx
        .update::<api_key::Entity>()
        .col_expr(api_key::Column::RevokedAt, Expr::value(now))
        .filter(those)
        .filter(api_key::Column::RevokedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(revoked.rows_affected)
}
