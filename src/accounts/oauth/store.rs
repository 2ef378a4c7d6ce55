//! The rows of clients, grants, codes and refresh tokens.

use entity::{authorization_code, oauth_client, oauth_grant, refresh_token};
use sea_orm::{
    ActiveValue::Set,
    EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
    prelude::*,
    sea_query::{ExprTrait as _, OnConflict},
};
use serde_json::json;

use super::{
    clients, codes,
    codes::Challenge,
    grants::{Grant, Reach},
    refresh,
};
use crate::{
    accounts::{GrantId, PrincipalId},
    clock::Time,
    database::{DoorTx, TenantId, Tx},
    error::{Error, Result},
    wire::Page,
};

pub(super) async fn client(tx: &DoorTx<'_>, client_id: &str) -> Result<Option<clients::Kept>> {
    let row = oauth_client::Entity::find().filter(oauth_client::Column::ClientId.eq(client_id));
    Ok(row.one(tx.conn()).await?.map(to_client))
}

pub(super) async fn clients(tx: &DoorTx<'_>) -> Result<Vec<clients::Kept>> {
    let rows = oauth_client::Entity::find().order_by_asc(oauth_client::Column::ClientId);
    Ok(rows.all(tx.conn()).await?.into_iter().map(to_client).collect())
}

fn to_client(row: oauth_client::Model) -> clients::Kept {
    let oauth_client::Model { client_id, document, registered, fetched_at, fresh_until, .. } = row;
    clients::Kept { client_id, document, registered, fetched_at, fresh_until }
}

/// Keeps a client's document in place of an older one; a fetched one never in place of a registered one.
pub(super) async fn keep_client(tx: &DoorTx<'_>, id: Uuid, kept: clients::Kept) -> Result<()> {
    let is_registered = kept.registered;
    let row = oauth_client::ActiveModel {
        id: Set(id),
        client_id: Set(kept.client_id),
        document: Set(kept.document),
        registered: Set(kept.registered),
        fetched_at: Set(kept.fetched_at),
        fresh_until: Set(kept.fresh_until),
    };
    let mut newest = OnConflict::column(oauth_client::Column::ClientId);
    newest.update_columns([
        oauth_client::Column::Document,
        oauth_client::Column::Registered,
        oauth_client::Column::FetchedAt,
        oauth_client::Column::FreshUntil,
    ]);
    if !is_registered {
        newest.action_and_where(oauth_client::Column::Registered.eq(false));
    }
    oauth_client::Entity::insert_many([row]).on_conflict(newest).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Removes a registered client; false if there is none.
pub(super) async fn remove_client(tx: &DoorTx<'_>, client_id: &str) -> Result<bool> {
    let removed = oauth_client::Entity::delete_many()
        .filter(oauth_client::Column::ClientId.eq(client_id))
        .filter(oauth_client::Column::Registered.eq(true))
        .exec(tx.conn())
        .await?;
    Ok(removed.rows_affected == 1)
}

/// Forgets up to `limit` fetched documents that would be fetched anew; gives their number.
pub(super) async fn forget_clients(tx: &DoorTx<'_>, now: Time, limit: u64) -> Result<u64> {
    use oauth_client::{Column, Entity};
    let old = Column::Registered.eq(false).and(Column::FreshUntil.lte(now));
    tx.delete_some::<Entity>(Column::Id, old, limit).await
}

pub(super) async fn insert_grant(tx: &Tx<'_>, new: Grant) -> Result<()> {
    let row = oauth_grant::ActiveModel {
        id: Set(new.id.0),
        tenant_id: Set(tx.tenant().0),
        principal_id: Set(new.principal.0),
        client_id: Set(new.client_id),
        client_name: Set(new.client_name),
        scopes: Set(new.scopes.iter().map(|scope| json!(scope.as_str())).collect()),
        resources: Set(new.resources.iter().map(|resource| json!(resource.as_str())).collect()),
        created_at: Set(new.created_at),
        last_used_at: Set(new.last_used_at),
        revoked_at: Set(new.revoked_at),
    };
    oauth_grant::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

fn within(tx: &Tx<'_>, reach: Reach) -> Select<oauth_grant::Entity> {
    let grants = tx.find::<oauth_grant::Entity>();
    match reach {
        Reach::All => grants,
        Reach::Own(principal) => grants.filter(oauth_grant::Column::PrincipalId.eq(principal.0)),
        Reach::One(grant) => grants.filter(oauth_grant::Column::Id.eq(grant.0)),
    }
}

pub(super) async fn grants(tx: &Tx<'_>, reach: Reach, page: &Page<GrantId>) -> Result<Vec<Grant>> {
    let mut query = within(tx, reach).order_by_desc(oauth_grant::Column::Id).limit(page.limit + 1);
    if let Some(after) = page.after {
        query = query.filter(oauth_grant::Column::Id.lt(after.0));
    }
    query.all(tx.conn()).await?.into_iter().map(to_grant).collect()
}

pub(super) async fn grant_in(tx: &Tx<'_>, reach: Reach, id: GrantId) -> Result<Option<Grant>> {
    let row = within(tx, reach).filter(oauth_grant::Column::Id.eq(id.0)).one(tx.conn()).await?;
    row.map(to_grant).transpose()
}

/// Notes that a token is made of a grant; none if it has ended.
pub(super) async fn use_grant(tx: &Tx<'_>, id: GrantId, now: Time) -> Result<Option<Grant>> {
    tx.update::<oauth_grant::Entity>()
        .col_expr(oauth_grant::Column::LastUsedAt, Expr::value(now))
        .filter(oauth_grant::Column::Id.eq(id.0))
        .filter(oauth_grant::Column::RevokedAt.is_null())
        .exec(tx.conn())
        .await?;
    let grant = grant_in(tx, Reach::All, id).await?;
    Ok(grant.filter(|grant| grant.revoked_at.is_none()))
}

/// Ends a grant; false for one that has ended, which stays as it is.
pub(super) async fn end_grant(tx: &Tx<'_>, id: GrantId, now: Time) -> Result<bool> {
    let ended = tx
        .update::<oauth_grant::Entity>()
        .col_expr(oauth_grant::Column::RevokedAt, Expr::value(now))
        .filter(oauth_grant::Column::Id.eq(id.0))
        .filter(oauth_grant::Column::RevokedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(ended.rows_affected == 1)
}

/// Up to `limit` grants that somebody has given and that have not ended, newest first.
pub(super) async fn open_grants_by(tx: &Tx<'_>, principal: PrincipalId, limit: u64) -> Result<Vec<Grant>> {
    let rows = within(tx, Reach::Own(principal))
        .filter(oauth_grant::Column::RevokedAt.is_null())
        .order_by_desc(oauth_grant::Column::Id)
        .limit(limit);
    rows.all(tx.conn()).await?.into_iter().map(to_grant).collect()
}

/// What people of the tenant let a client do, and have not ended.
pub(super) async fn open_grants_of(tx: &Tx<'_>, client_id: &str) -> Result<Vec<Grant>> {
    let rows = tx
        .find::<oauth_grant::Entity>()
        .filter(oauth_grant::Column::ClientId.eq(client_id))
        .filter(oauth_grant::Column::RevokedAt.is_null());
    rows.all(tx.conn()).await?.into_iter().map(to_grant).collect()
}

fn to_grant(row: oauth_grant::Model) -> Result<Grant> {
    let scopes: Vec<String> = serde_json::from_value(row.scopes).map_err(Error::internal)?;
    let resources: Vec<String> = serde_json::from_value(row.resources).map_err(Error::internal)?;
    let resources = resources.iter().map(|resource| resource.parse());
    let resources = resources.collect::<Result<_, _>>().map_err(Error::internal)?; // one left out would mean all
    Ok(Grant {
        id: GrantId(row.id),
        tenant: TenantId(row.tenant_id),
        principal: PrincipalId(row.principal_id),
        client_id: row.client_id,
        client_name: row.client_name,
        // One that only a newer version knows is not granted by this one.
        scopes: scopes.iter().filter_map(|scope| scope.parse().ok()).collect(),
        resources,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
    })
}

pub(super) async fn insert_code(tx: &Tx<'_>, grant: GrantId, new: codes::Kept, hash: [u8; 32]) -> Result<()> {
    let row = authorization_code::ActiveModel {
        id: Set(new.id),
        tenant_id: Set(tx.tenant().0),
        grant_id: Set(grant.0),
        hash: Set(hash.to_vec()),
        redirect_uri: Set(new.redirect_uri),
        challenge: Set(new.challenge.to_text()),
        expires_at: Set(new.expires_at),
        used_at: Set(new.used_at),
    };
    authorization_code::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// A code and its grant, by the code's hash.
pub(super) async fn code(tx: &DoorTx<'_>, hash: [u8; 32]) -> Result<Option<(codes::Kept, Grant)>> {
    let row = authorization_code::Entity::find().filter(authorization_code::Column::Hash.eq(hash.to_vec()));
    let Some(row) = row.one(tx.conn()).await? else { return Ok(None) };
    let Some(grant) = grant_of(tx, row.grant_id).await? else { return Ok(None) };
    let kept = codes::Kept {
        id: row.id,
        redirect_uri: row.redirect_uri,
        challenge: Challenge::parse(&row.challenge).map_err(Error::internal)?,
        expires_at: row.expires_at,
        used_at: row.used_at,
    };
    Ok(Some((kept, grant)))
}

/// Uses a code; false if it was used already.
pub(super) async fn use_code(tx: &Tx<'_>, id: Uuid, now: Time) -> Result<bool> {
    let used = tx
        .update::<authorization_code::Entity>()
        .col_expr(authorization_code::Column::UsedAt, Expr::value(now))
        .filter(authorization_code::Column::Id.eq(id))
        .filter(authorization_code::Column::UsedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(used.rows_affected == 1)
}

async fn grant_of(tx: &DoorTx<'_>, id: Uuid) -> Result<Option<Grant>> {
    oauth_grant::Entity::find_by_id(id).one(tx.conn()).await?.map(to_grant).transpose()
}

pub(super) async fn insert_refresh_token(
    tx: &Tx<'_>,
    grant: GrantId,
    new: refresh::Kept,
    hash: [u8; 32],
) -> Result<()> {
    let row = refresh_token::ActiveModel {
        id: Set(new.id),
        tenant_id: Set(tx.tenant().0),
        grant_id: Set(grant.0),
        hash: Set(hash.to_vec()),
        created_at: Set(new.created_at),
        expires_at: Set(new.expires_at),
        used_at: Set(new.used_at),
        successor: Set(new.successor),
    };
    refresh_token::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// A refresh token and its grant, by the token's hash.
pub(super) async fn refresh_token(tx: &DoorTx<'_>, hash: [u8; 32]) -> Result<Option<(refresh::Kept, Grant)>> {
    let row = refresh_token::Entity::find().filter(refresh_token::Column::Hash.eq(hash.to_vec()));
    let Some(row) = row.one(tx.conn()).await? else { return Ok(None) };
    let Some(grant) = grant_of(tx, row.grant_id).await? else { return Ok(None) };
    Ok(Some((to_refresh_token(row), grant)))
}

pub(super) async fn refresh_token_in(tx: &Tx<'_>, id: Uuid) -> Result<Option<refresh::Kept>> {
    let row = tx.find::<refresh_token::Entity>().filter(refresh_token::Column::Id.eq(id));
    Ok(row.one(tx.conn()).await?.map(to_refresh_token))
}

fn to_refresh_token(row: refresh_token::Model) -> refresh::Kept {
    let refresh_token::Model { id, created_at, expires_at, used_at, successor, .. } = row;
    refresh::Kept { id, created_at, expires_at, used_at, successor }
}

/// Uses a refresh token; false if it was used already.
pub(super) async fn use_refresh_token(tx: &Tx<'_>, id: Uuid, successor: Vec<u8>, now: Time) -> Result<bool> {
    let used = tx
        .update::<refresh_token::Entity>()
        .col_expr(refresh_token::Column::UsedAt, Expr::value(now))
        .col_expr(refresh_token::Column::Successor, Expr::value(successor))
        .filter(refresh_token::Column::Id.eq(id))
        .filter(refresh_token::Column::UsedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(used.rows_affected == 1)
}

/// Forgets up to `limit` codes whose time has passed, whoever they belong to; gives their number.
pub(super) async fn forget_codes(tx: &DoorTx<'_>, now: Time, limit: u64) -> Result<u64> {
    use authorization_code::{Column, Entity};
    tx.delete_some::<Entity>(Column::Id, Column::ExpiresAt.lte(now), limit).await
}

/// Forgets up to `limit` refresh tokens whose time has passed, whoever they belong to; gives their number.
pub(super) async fn forget_refresh_tokens(tx: &DoorTx<'_>, now: Time, limit: u64) -> Result<u64> {
    use refresh_token::{Column, Entity};
    tx.delete_some::<Entity>(Column::Id, Column::ExpiresAt.lte(now), limit).await
}

/// Forgets up to `limit` grants that no token was made of since a time, or that are of before `never_since` and none was
/// ever made of, whoever they belong to; gives their number.
pub(super) async fn forget_grants(
    tx: &DoorTx<'_>,
    since: Time,
    never_since: Time,
    limit: u64,
) -> Result<u64> {
    use oauth_grant::{Column, Entity};
    let never = Column::LastUsedAt.is_null().and(Column::CreatedAt.lte(never_since));
    tx.delete_some::<Entity>(Column::Id, Column::LastUsedAt.lte(since).or(never), limit).await
}
