//! Runs: executions of CI pipelines (and later of agents).

use sea_orm::entity::prelude::*;

/// One row of `run`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "run")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project it ran for.
    pub project_id: Uuid,
    /// The Git host that told of it.
    pub source: String,
    /// The host's own name of it: repetitions and later states find it by this.
    pub external_id: String,
    /// `workflow`, `check` or `status`.
    pub kind: String,
    /// The name people see.
    pub name: String,
    /// `queued`, `running`, `success`, `failed` or `cancelled`.
    pub status: String,
    /// The commit it ran on.
    pub commit: Option<String>,
    /// The branch it ran on.
    pub branch: Option<String>,
    /// Where the host shows it.
    pub url: Option<String>,
    /// When it started.
    pub started_at: Option<DateTimeUtc>,
    /// When it ended.
    pub finished_at: Option<DateTimeUtc>,
    /// Orders the states of one run: attempt, then progress.
    pub revision: i64,
    /// When the host says this state was reached.
    pub stated_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
