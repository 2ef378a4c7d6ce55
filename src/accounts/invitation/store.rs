//! The rows of invitations.

use entity::invitation;
use sea_orm::{
    ActiveValue::Set, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, prelude::*,
};

use super::{Invitation, InvitationId};
use crate::{
    accounts::{
        PrincipalId,
        members::limits_to_json,
        store::{stored, to_limits},
    },
    clock::Time,
    database::{DoorTx, TenantId, Tx},
    error::{Error, Result},
    wire::Page,
};

pub(in crate::accounts) async fn insert(tx: &Tx<'_>, new: Invitation, hash: [u8; 32]) -> Result<()> {
    let row = invitation::ActiveModel {
        id: Set(new.id.0),
        tenant_id: Set(tx.tenant().0),
        hash: Set(hash.to_vec()),
        role: Set(new.role.as_str().to_owned()),
        email: Set(new.email),
        project_access: Set(limits_to_json(&new.projects)),
        invited_by: Set(new.invited_by.map(|id| id.0)),
        created_at: Set(new.created_at),
        expires_at: Set(new.expires_at),
        ..Default::default()
    };
    invitation::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// The invitations of a page, and one more if there is one, newest first.
pub(super) async fn list(tx: &Tx<'_>, page: &Page<InvitationId>) -> Result<Vec<Invitation>> {
    let mut query =
        tx.find::<invitation::Entity>().order_by_desc(invitation::Column::Id).limit(page.limit + 1);
    if let Some(after) = page.after {
        query = query.filter(invitation::Column::Id.lt(after.0));
    }
    query.all(tx.conn()).await?.into_iter().map(to_invitation).collect()
}

pub(super) async fn find(tx: &Tx<'_>, id: InvitationId) -> Result<Invitation> {
    let row = tx.find::<invitation::Entity>().filter(invitation::Column::Id.eq(id.0)).one(tx.conn()).await?;
    to_invitation(row.ok_or_else(|| Error::not_found("invitation"))?)
}

/// The invitation with a secret, and whose it is.
pub(in crate::accounts) async fn by_hash(
    tx: &DoorTx<'_>,
    hash: [u8; 32],
) -> Result<Option<(TenantId, Invitation)>> {
    let row = invitation::Entity::find().filter(invitation::Column::Hash.eq(hash.to_vec())).one(tx.conn());
    row.await?.map(|row| Ok((TenantId(row.tenant_id), to_invitation(row)?))).transpose()
}

/// Withdraws an invitation that nobody has used; whether it was there to be withdrawn.
pub(super) async fn revoke(tx: &Tx<'_>, id: InvitationId, now: Time) -> Result<bool> {
    let revoked = tx
        .update::<invitation::Entity>()
        .col_expr(invitation::Column::RevokedAt, Expr::value(now))
        .filter(invitation::Column::Id.eq(id.0))
        .filter(invitation::Column::RevokedAt.is_null())
        .filter(invitation::Column::AcceptedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(revoked.rows_affected > 0)
}

/// Uses an invitation up; whether it was good until now. Of many who try at once, one is told so.
pub(in crate::accounts) async fn use_up(
    tx: &Tx<'_>,
    id: InvitationId,
    principal: PrincipalId,
    now: Time,
) -> Result<bool> {
    let used = tx
        .update::<invitation::Entity>()
        .col_expr(invitation::Column::AcceptedAt, Expr::value(now))
        .col_expr(invitation::Column::PrincipalId, Expr::value(principal.0))
        .filter(invitation::Column::Id.eq(id.0))
        .filter(invitation::Column::RevokedAt.is_null())
        .filter(invitation::Column::AcceptedAt.is_null())
        .filter(invitation::Column::ExpiresAt.gt(now))
        .exec(tx.conn())
        .await?;
    Ok(used.rows_affected > 0)
}

/// Forgets up to `limit` invitations that expired before then, whoever they belong to; gives their number.
pub(super) async fn forget(tx: &DoorTx<'_>, before: Time, limit: u64) -> Result<u64> {
    use invitation::{Column, Entity};
    tx.delete_some::<Entity>(Column::Id, Column::ExpiresAt.lt(before), limit).await
}

fn to_invitation(row: invitation::Model) -> Result<Invitation> {
    Ok(Invitation {
        id: InvitationId(row.id),
        role: stored(&row.role)?,
        email: row.email,
        projects: to_limits(row.project_access)?,
        invited_by: row.invited_by.map(PrincipalId),
        created_at: row.created_at,
        expires_at: row.expires_at,
        accepted_at: row.accepted_at,
        principal: row.principal_id.map(PrincipalId),
        revoked_at: row.revoked_at,
    })
}
