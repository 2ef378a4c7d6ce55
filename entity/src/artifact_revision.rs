//! Every content that a tracked document has had.

use sea_orm::entity::prelude::*;

/// One row of `artifact_revision`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "artifact_revision")]
pub struct Model {
    /// UUIDv7: later revisions have greater ones.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project whose repository holds it.
    pub project_id: Uuid,
    /// The document.
    pub artifact_id: Uuid,
    /// Where it was then, from the repository's root.
    pub path: String,
    /// The commit that made it so.
    pub commit: String,
    /// Who made that commit.
    pub author: Option<String>,
    /// When that commit was made, by its author's clock.
    pub committed_at: DateTimeUtc,
    /// Git's name of the content; none where the document was removed.
    pub blob: Option<String>,
    /// The version it states of itself.
    pub version: Option<String>,
    /// Bytes of the content.
    pub bytes: i64,
    /// The content, compressed; none where it was removed or too large.
    pub body: Option<Vec<u8>>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
