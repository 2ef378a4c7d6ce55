//! The rows of signing keys, and the key that a token of an older issuer stands for.

use entity::{api_key, signing_key};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    EntityTrait as _, QueryFilter as _, QueryOrder as _,
    prelude::*,
};

use super::keyring::{KeptKey, KeyState};
use crate::{
    accounts::{KeyId, PrincipalId},
    clock::Time,
    database::DoorTx,
    error::{Error, Result},
};

/// Every key, oldest first.
pub(super) async fn keys(tx: &DoorTx<'_>) -> Result<Vec<KeptKey>> {
    let rows = signing_key::Entity::find().order_by_asc(signing_key::Column::Id).all(tx.conn()).await?;
    rows.into_iter().map(to_key).collect()
}

fn to_key(row: signing_key::Model) -> Result<KeptKey> {
    Ok(KeptKey {
        id: row.id,
        kid: row.kid,
        sealed: row.sealed,
        state: row.state.parse::<KeyState>().map_err(Error::internal)?,
        created_at: row.created_at,
        activated_at: row.activated_at,
        retired_at: row.retired_at,
    })
}

/// Makes the rows those of `after`, where they were those of `before`.
pub(super) async fn replace_keys(tx: &DoorTx<'_>, before: &[KeptKey], after: &[KeptKey]) -> Result<()> {
    let gone = before.iter().filter(|old| !after.iter().any(|key| key.id == old.id)).map(|key| key.id);
    signing_key::Entity::delete_many().filter(signing_key::Column::Id.is_in(gone)).exec(tx.conn()).await?;
    for key in after {
        match before.iter().find(|old| old.id == key.id) {
            Some(old) if old == key => {}
            Some(_) => {
                let changed = signing_key::ActiveModel {
                    id: Unchanged(key.id),
                    state: Set(key.state.as_str().to_owned()),
                    activated_at: Set(key.activated_at),
                    retired_at: Set(key.retired_at),
                    ..Default::default()
                };
                signing_key::Entity::update(changed).exec(tx.conn()).await?;
            }
            None => {
                let new = signing_key::ActiveModel {
                    id: Set(key.id),
                    kid: Set(key.kid.clone()),
                    sealed: Set(key.sealed.clone()),
                    state: Set(key.state.as_str().to_owned()),
                    created_at: Set(key.created_at),
                    activated_at: Set(key.activated_at),
                    retired_at: Set(key.retired_at),
                };
                signing_key::Entity::insert(new).exec_without_returning(tx.conn()).await?;
            }
        }
    }
    Ok(())
}

/// The newest API key of a principal that is good at `now`.
pub(super) async fn key_of(tx: &DoorTx<'_>, principal: PrincipalId, now: Time) -> Result<Option<KeyId>> {
    let keys = api_key::Entity::find()
        .filter(api_key::Column::PrincipalId.eq(principal.0))
        .filter(api_key::Column::RevokedAt.is_null())
        .order_by_desc(api_key::Column::Id)
        .all(tx.conn())
        .await?;
    let good = keys.into_iter().find(|key| key.expires_at.is_none_or(|expires_at| expires_at > now));
    Ok(good.map(|key| KeyId(key.id)))
}
