//! Runs: executions of CI pipelines, and what agents run.

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
    /// The Git host that told of it, or `agent`.
    pub source: String,
    /// The host's own name of it: repetitions and later states find it by this. An agent's has its id here.
    pub external_id: String,
    /// `workflow`, `check`, `status` or `agent`.
    pub kind: String,
    /// The name people see.
    pub name: String,
    /// `queued`, `running`, `success`, `failed`, `cancelled` or `lost`.
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
    /// Orders the states of one run; of an agent's it counts the signs of life.
    pub revision: i64,
    /// When the host says this state was reached; the last sign of life of an agent's.
    pub stated_at: DateTimeUtc,
    /// How long the host itself says that it took.
    pub duration_ms: Option<i64>,
    /// When a commit status was under way and when it ended, as its states told so far.
    pub marks: Option<Json>,
    /// When it is given up unless somebody tells of it; null once it has ended.
    pub deadline_at: Option<DateTimeUtc>,
    /// How long an agent's is waited for after each sign of life.
    pub deadline_seconds: Option<i64>,
    /// Whose it is, for an agent's.
    pub principal_id: Option<Uuid>,
    /// The name that the principal had then.
    pub principal_name: Option<String>,
    /// The work item that it is for, as the agent said.
    pub work_item_id: Option<Uuid>,
    /// What the agent said of it last.
    pub summary: Option<String>,
    /// What it has cost so far, in millionths of a US dollar.
    pub cost_micro_usd: Option<i64>,
    /// Tokens that models have read for it so far.
    pub input_tokens: Option<i64>,
    /// Tokens that models have written for it so far.
    pub output_tokens: Option<i64>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
