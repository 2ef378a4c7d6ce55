//! The rows of idempotency keys.

use entity::idempotency_key;
use sea_orm::{ActiveValue::Set, EntityTrait as _, QueryFilter as _, prelude::*, sea_query::OnConflict};

use super::Remembered;
use crate::{
    accounts::PrincipalId,
    clock::Time,
    database::{DoorTx, Tx},
    error::Result,
};

pub(super) async fn find(tx: &Tx<'_>, actor: PrincipalId, key: &str) -> Result<Option<Remembered>> {
    let row = tx
        .find::<idempotency_key::Entity>()
        .filter(idempotency_key::Column::PrincipalId.eq(actor.0))
        .filter(idempotency_key::Column::Key.eq(key))
        .one(tx.conn())
        .await?;
    Ok(row.map(|row| Remembered {
        id: row.id,
        fingerprint: row.fingerprint,
        sealed: row.sealed,
        created_at: row.created_at,
    }))
}

/// Takes a key; false if somebody else was first.
pub(super) async fn insert(
    tx: &Tx<'_>,
    id: Uuid,
    actor: PrincipalId,
    key: &str,
    fingerprint: &[u8],
    now: Time,
) -> Result<bool> {
    let row = idempotency_key::ActiveModel {
        id: Set(id),
        tenant_id: Set(tx.tenant().0),
        principal_id: Set(actor.0),
        key: Set(key.to_owned()),
        fingerprint: Set(fingerprint.to_vec()),
        sealed: Set(None),
        created_at: Set(now),
    };
    let once = [
        idempotency_key::Column::TenantId,
        idempotency_key::Column::PrincipalId,
        idempotency_key::Column::Key,
    ];
    let once = OnConflict::columns(once).do_nothing().to_owned();
    let inserted = idempotency_key::Entity::insert_many([row]).on_conflict(once);
    Ok(inserted.exec_without_returning(tx.conn()).await? == 1)
}

pub(super) async fn keep(tx: &Tx<'_>, id: Uuid, sealed: Vec<u8>) -> Result<()> {
    tx.update::<idempotency_key::Entity>()
        .col_expr(idempotency_key::Column::Sealed, Expr::value(sealed))
        .filter(idempotency_key::Column::Id.eq(id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn remove(tx: &Tx<'_>, id: Uuid) -> Result<()> {
    tx.delete::<idempotency_key::Entity>().filter(idempotency_key::Column::Id.eq(id)).exec(tx.conn()).await?;
    Ok(())
}

/// Removes up to `limit` keys from before `then`, whoever they belong to.
pub(super) async fn forget_all(tx: &DoorTx<'_>, then: Time, limit: u64) -> Result<u64> {
    use idempotency_key::{Column, Entity};
    tx.delete_some::<Entity>(Column::Id, Column::CreatedAt.lte(then), limit).await
}

/// Removes up to `limit` of the tenant's keys from before `then`.
pub(super) async fn forget(tx: &Tx<'_>, then: Time, limit: u64) -> Result<u64> {
    let old = idempotency_key::Column::CreatedAt.lte(then);
    tx.delete_some::<idempotency_key::Entity>(idempotency_key::Column::Id, old, limit).await
}
