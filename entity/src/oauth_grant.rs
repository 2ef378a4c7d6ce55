//! What somebody lets a client do on their behalf.

use sea_orm::entity::prelude::*;

/// One row of `oauth_grant`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_grant")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// On whose behalf.
    pub principal_id: Uuid,
    /// The client.
    pub client_id: String,
    /// What the client calls itself.
    pub client_name: String,
    /// JSON array of scope names.
    pub scopes: Json,
    /// JSON array of the resources its tokens are for.
    pub resources: Json,
    /// When it was given.
    pub created_at: DateTimeUtc,
    /// When a token was last made of it.
    pub last_used_at: Option<DateTimeUtc>,
    /// When it was ended.
    pub revoked_at: Option<DateTimeUtc>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
