//! Tickets that were used in time, and may be used again.

use sea_orm::entity::prelude::*;

/// One row of `stream_ticket`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "stream_ticket")]
pub struct Model {
    /// UUIDv7 of when it was made.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant of the key behind it.
    pub tenant_id: Uuid,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
