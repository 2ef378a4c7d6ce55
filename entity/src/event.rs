//! The event log: what happened in a project, by position.

use sea_orm::entity::prelude::*;

/// One row of `event`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// The project.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: Uuid,
    /// 1, 2, 3 … without a gap.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The event's name, such as `push`.
    pub name: String,
    /// The delivery that caused it, if one did.
    pub cause_id: Option<Uuid>,
    /// What happened.
    pub payload: Json,
    /// When it was recorded.
    pub created_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
