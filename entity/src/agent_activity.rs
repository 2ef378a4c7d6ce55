//! What somebody did in a project: the last of it.

use sea_orm::entity::prelude::*;

/// One row of `agent_activity`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "agent_activity")]
pub struct Model {
    /// UUIDv7: later ones are greater.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project.
    pub project_id: Uuid,
    /// Who did it.
    pub principal_id: Uuid,
    /// `tool_call`, `push`, `run`, `report` or `claim`.
    pub kind: String,
    /// The tool, the run, or what was said.
    pub what: String,
    /// `started`, `success`, `failure` or `cancelled`, for what has an outcome.
    pub outcome: Option<String>,
    /// How often in a row.
    pub times: i64,
    /// The branch, of pushes and runs.
    pub branch: Option<String>,
    /// The commit, of pushes and runs.
    pub commit: Option<String>,
    /// When it was done first.
    pub first_at: DateTimeUtc,
    /// When it was done last.
    pub last_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
