//! API keys, known only by the SHA-256 of their text.

use sea_orm::entity::prelude::*;

/// One row of `api_key`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it opens.
    pub tenant_id: Uuid,
    /// Who acts with it.
    pub principal_id: Uuid,
    /// What it is for, in the words of whoever made it.
    pub name: String,
    /// The first 16 characters, which may be shown.
    pub prefix: String,
    /// SHA-256 of the whole key.
    pub hash: Vec<u8>,
    /// JSON array of scope names.
    pub scopes: Json,
    /// JSON array of the projects it is limited to; none means all of the tenant.
    pub project_ids: Option<Json>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// From when on it is refused.
    pub expires_at: Option<DateTimeUtc>,
    /// When it was last used, give or take a minute.
    pub last_used_at: Option<DateTimeUtc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTimeUtc>,
    /// The key that it was rotated to.
    pub successor_id: Option<Uuid>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
