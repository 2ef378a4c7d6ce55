//! What an item of work waits for.

use sea_orm::entity::prelude::*;

/// One row of `work_dependency`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "work_dependency")]
pub struct Model {
    /// The item that waits.
    #[sea_orm(primary_key, auto_increment = false)]
    pub work_item_id: Uuid,
    /// The item that has to be done before.
    #[sea_orm(primary_key, auto_increment = false)]
    pub blocker_id: Uuid,
    /// The tenant they belong to.
    pub tenant_id: Uuid,
    /// The project they are in.
    pub project_id: Uuid,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
