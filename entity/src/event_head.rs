//! The head of each project's event log: a narrow row of its own, bumped last in a transaction.

use sea_orm::entity::prelude::*;

/// One row of `event_head`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_head")]
pub struct Model {
    /// The project.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// Names this log, so that a position of another one is never mistaken for one of it.
    pub log_id: Uuid,
    /// The position of the newest event; 0 before the first.
    pub position: i64,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
