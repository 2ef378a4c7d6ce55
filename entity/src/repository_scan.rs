//! How a project's repository was read last, and what was asked since.

use sea_orm::entity::prelude::*;

/// One row of `repository_scan`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "repository_scan")]
pub struct Model {
    /// The project.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// `waiting`, `running`, `succeeded` or `failed`.
    pub state: String,
    /// Grows with everything that asks for a scan.
    pub requests: i64,
    /// Whether somebody waits for the next one: they are told of it though nothing changed.
    pub is_asked_for: bool,
    /// When a scan was asked for last.
    pub requested_at: DateTimeUtc,
    /// When the newest one began.
    pub started_at: Option<DateTimeUtc>,
    /// When the newest one ended, well or not.
    pub finished_at: Option<DateTimeUtc>,
    /// When the newest one that succeeded began: documents are as fresh as that.
    pub succeeded_at: Option<DateTimeUtc>,
    /// The commit that it read.
    pub commit: Option<String>,
    /// A digest of the patterns and the rules by which it was read.
    pub read_as: Option<String>,
    /// Documents of this scan that were read.
    pub done: i64,
    /// Documents of this scan that are to be read.
    pub total: i64,
    /// Which kind of failure the newest one met.
    pub failure: Option<String>,
    /// What happened, and what to do.
    pub failure_detail: Option<String>,
    /// How many have failed in a row.
    pub failures: i64,
    /// When the host was last asked which deliveries it could not make.
    pub reconciled_at: Option<DateTimeUtc>,
    /// How many it was then asked to make again.
    pub redelivered: i64,
    /// Why it could not be asked.
    pub reconcile_failure: Option<String>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
