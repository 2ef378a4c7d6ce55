//! Projects: one repository each, with its webhook endpoint, configuration and event log.

use sea_orm::entity::prelude::*;

/// One row of `project`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "project")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The name people see.
    pub name: String,
    /// Where the repository lives.
    pub repo_url: String,
    /// Branch and path patterns, as JSON.
    pub config: Json,
    /// Grows by one with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was last changed.
    pub updated_at: DateTimeUtc,
    /// When it was deleted; from then on it is invisible, and a job removes its rows.
    pub deleted_at: Option<DateTimeUtc>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
