//! What was said about an item of work.

use sea_orm::entity::prelude::*;

/// One row of `work_comment`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "work_comment")]
pub struct Model {
    /// UUIDv7: later ones are greater.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project it is in.
    pub project_id: Uuid,
    /// The item it is about.
    pub work_item_id: Uuid,
    /// The principal that said it.
    pub author_id: Uuid,
    /// The name which that had then.
    pub author_name: String,
    /// What it said.
    pub body: String,
    /// When.
    pub created_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
