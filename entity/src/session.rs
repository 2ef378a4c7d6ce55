//! Browsers in which somebody is signed in, known only by the SHA-256 of what the cookie holds.

use sea_orm::entity::prelude::*;

/// One row of `session`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// Who is signed in.
    pub principal_id: Uuid,
    /// SHA-256 of the secret in the cookie.
    pub hash: Vec<u8>,
    /// How they signed in: `setup`, `password`, `oidc` or `invitation`.
    pub method: String,
    /// Where they signed in from.
    pub ip: Option<String>,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
    /// When they signed in.
    pub created_at: DateTimeUtc,
    /// When it was last used, give or take a minute.
    pub last_seen_at: DateTimeUtc,
    /// From when on it is refused, whatever happens.
    pub expires_at: DateTimeUtc,
    /// When it was ended.
    pub revoked_at: Option<DateTimeUtc>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
