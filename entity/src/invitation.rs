//! Links by which people join a tenant, known only by the SHA-256 of their secret. The first one, which sets an
//! installation up, is made by nobody.

use sea_orm::entity::prelude::*;

/// One row of `invitation`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitation")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// SHA-256 of the secret in the link.
    pub hash: Vec<u8>,
    /// What the new principal is to be.
    pub role: String,
    /// Whom it is for; none means whoever has the link.
    pub email: Option<String>,
    /// JSON object of the projects it is to be limited to, each with `editor` or `viewer`; none means all.
    pub project_access: Option<Json>,
    /// The principal that made it.
    pub invited_by: Option<Uuid>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// From when on it is refused.
    pub expires_at: DateTimeUtc,
    /// When it was used.
    pub accepted_at: Option<DateTimeUtc>,
    /// Who joined by it.
    pub principal_id: Option<Uuid>,
    /// When it was withdrawn.
    pub revoked_at: Option<DateTimeUtc>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
