//! Keys that access tokens are signed with.

use sea_orm::entity::prelude::*;

/// One row of `signing_key`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_key")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// RFC 7638 thumbprint of the public key.
    pub kid: String,
    /// The private key, 32 bytes, sealed with the master key.
    pub sealed: Vec<u8>,
    /// `next`, `active` or `retired`.
    pub state: String,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// Since when it signs.
    pub activated_at: Option<DateTimeUtc>,
    /// Since when it signs no more.
    pub retired_at: Option<DateTimeUtc>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
