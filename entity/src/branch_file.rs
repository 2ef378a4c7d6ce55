//! A file that pushes to a branch have touched. Rows are kept until the branch is merged or gone, or nobody has pushed for
//! long.

use sea_orm::entity::prelude::*;

/// One row of `branch_file`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "branch_file")]
pub struct Model {
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project it is in.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: Uuid,
    /// The branch.
    #[sea_orm(primary_key, auto_increment = false)]
    pub branch: String,
    /// The file, from the repository's root.
    #[sea_orm(primary_key, auto_increment = false)]
    pub path: String,
    /// When the newest push that touched it was heard of.
    pub touched_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
