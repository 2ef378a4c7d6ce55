//! Clients that sign people in, as their metadata documents tell of them.

use sea_orm::entity::prelude::*;

/// One row of `oauth_client`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_client")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The address of its document, or the name it was registered by; unique.
    pub client_id: String,
    /// The document.
    pub document: Json,
    /// Whether an operator registered it; its document is never fetched then.
    pub registered: bool,
    /// When the document was fetched.
    pub fetched_at: DateTimeUtc,
    /// From when on it has to be fetched again.
    pub fresh_until: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
