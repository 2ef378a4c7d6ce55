//! Files that somebody is editing, by patterns of their paths.

use sea_orm::entity::prelude::*;

/// One row of `reservation`. It is there while it is held: one that has ended is removed.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reservation")]
pub struct Model {
    /// UUIDv7: later ones are greater.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project it is in.
    pub project_id: Uuid,
    /// `shared` or `exclusive`.
    pub mode: String,
    /// JSON list of its patterns, as they were written.
    pub patterns: Json,
    /// The item of work that it is for.
    pub work_item_id: Option<Uuid>,
    /// The branch on which the holder works.
    pub branch: Option<String>,
    /// What for, in the holder's words.
    pub purpose: Option<String>,
    /// Its fencing token: greater than that of every reservation before it in the project.
    pub fence: i64,
    /// Who holds it.
    pub holder_id: Uuid,
    /// The name which that had then.
    pub holder_name: String,
    /// What the holder came with.
    pub credential: Option<String>,
    /// Since when it is held.
    pub reserved_at: DateTimeUtc,
    /// Until when, without another sign of life.
    pub expires_at: DateTimeUtc,
    /// For how long each sign of life holds it.
    pub lease_seconds: i32,
    /// The last sign of life.
    pub seen_at: DateTimeUtc,
    /// What that was.
    pub seen_by: String,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
