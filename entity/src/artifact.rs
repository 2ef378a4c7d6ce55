//! Tracked documents of a repository, as they are now.

use sea_orm::entity::prelude::*;

/// One row of `artifact`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "artifact")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project whose repository holds it.
    pub project_id: Uuid,
    /// Path from the repository's root.
    pub path: String,
    /// `prd`, `architecture`, `story`, `qa` or `other`.
    pub kind: String,
    /// The name people see.
    pub name: String,
    /// The version it states of itself.
    pub version: Option<String>,
    /// JSON array of `{path, version}`.
    pub dependencies: Json,
    /// The commit that last touched it.
    pub commit: String,
    /// Who made that commit, as the host names them.
    pub author: Option<String>,
    /// When it was last changed: when that was read or, without reading, when the push happened.
    pub changed_at: DateTimeUtc,
    /// When it was removed from the tracked branch.
    pub removed_at: Option<DateTimeUtc>,
    /// Its title.
    pub title: Option<String>,
    /// The status it states of itself.
    pub status: Option<String>,
    /// Who it says made it.
    pub created_by: Option<String>,
    /// Git's name of the content that was read; none until it was.
    pub blob: Option<String>,
    /// Bytes of that content.
    pub bytes: Option<i64>,
    /// JSON array of `{anchor, title, level, line, hash}`.
    pub sections: Json,
    /// JSON of the quality gate it decides.
    pub gate: Option<Json>,
    /// JSON array of what is wrong with it.
    pub warnings: Json,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
