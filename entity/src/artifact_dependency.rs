//! What tracked documents build on.

use sea_orm::entity::prelude::*;

/// One row of `artifact_dependency`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "artifact_dependency")]
pub struct Model {
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project whose repository holds both.
    pub project_id: Uuid,
    /// The document that builds on another.
    #[sea_orm(primary_key, auto_increment = false)]
    pub artifact_id: Uuid,
    /// Where that other one is, from the repository's root.
    #[sea_orm(primary_key, auto_increment = false)]
    pub path: String,
    /// The version of it that is meant.
    pub version: Option<String>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
