//! Codes by which a client gets its first tokens, known only by their SHA-256.

use sea_orm::entity::prelude::*;

/// One row of `authorization_code`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "authorization_code")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// What it stands for.
    pub grant_id: Uuid,
    /// SHA-256 of the code.
    pub hash: Vec<u8>,
    /// Where it was sent; to be named again.
    pub redirect_uri: String,
    /// SHA-256 of what its client has to know (RFC 7636), as base64url.
    pub challenge: String,
    /// From when on it is refused.
    pub expires_at: DateTimeUtc,
    /// When it was used.
    pub used_at: Option<DateTimeUtc>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
