//! What somebody is at in a project, as evidence tells.

use sea_orm::entity::prelude::*;

/// One row of `agent`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agent")]
pub struct Model {
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: Uuid,
    /// Who it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub principal_id: Uuid,
    /// `idle`, `running`, `completed`, `blocked` or `error`.
    pub status: String,
    /// Since when that holds.
    pub since: DateTimeUtc,
    /// What they are at, in one line.
    pub task: Option<String>,
    /// The document that it is about.
    pub artifact_id: Option<Uuid>,
    /// The work item that it is about.
    pub work_item_id: Option<Uuid>,
    /// When the newest evidence is from.
    pub seen_at: DateTimeUtc,
    /// What that was: `tool_call`, `push`, `run`, `report` or `claim`.
    pub seen_by: String,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
