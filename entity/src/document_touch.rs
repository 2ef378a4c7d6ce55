//! Who changed a document just now. Rows are kept for as long as two changes count as one moment.

use sea_orm::entity::prelude::*;

/// One row of `document_touch`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "document_touch")]
pub struct Model {
    /// UUIDv7: later ones are greater.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project it is in.
    pub project_id: Uuid,
    /// The document, from the repository's root.
    pub path: String,
    /// Who changed it.
    pub principal_id: Uuid,
    /// The name which that had then.
    pub principal_name: String,
    /// When that was heard.
    pub touched_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
