//! How often something was reserved in a project.

use sea_orm::entity::prelude::*;

/// One row of `reservation_head`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reservation_head")]
pub struct Model {
    /// The project.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The fencing token of the newest reservation.
    pub fence: i64,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
