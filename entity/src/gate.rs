//! What has to hold before a phase of a project, or a work item, is complete.

use sea_orm::entity::prelude::*;

/// One row of `gate`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "gate")]
pub struct Model {
    /// UUIDv7: later ones are greater.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project it is in.
    pub project_id: Uuid,
    /// What it is called: once in a project or, if a work item has it, once there.
    pub name: String,
    /// `build`, `map`, `analyze` or `deploy`; none if a work item has it.
    pub phase: Option<String>,
    /// The work item that has it; none if a phase does.
    pub work_item_id: Option<Uuid>,
    /// What it looks at: `artifact_exists`, `manual_review`, …
    pub kind: String,
    /// How much it counts in its phase, 0 to 100.
    pub weight: i32,
    /// JSON of all that is asked.
    pub config: Json,
    /// Whether the project's configuration asks for it.
    pub is_configured: bool,
    /// The path of a file that was seen; empty if a scan has looked and found none, none if nobody knows.
    pub seen: Option<String>,
    /// `passed`, `failed`, `pending`, `skipped` or `waived`.
    pub status: String,
    /// Why, and what to do.
    pub message: String,
    /// Since when it stands so.
    pub evaluated_at: DateTimeUtc,
    /// When that may change though nothing happens.
    pub due_at: Option<DateTimeUtc>,
    /// JSON of what somebody has decided whose affair it is: `{verdict, by, name, reason, at, until}`.
    pub decision: Option<Json>,
    /// JSON of the newest waiver, in the same shape.
    pub waiver: Option<Json>,
    /// When its work item was done, with which it stays as it was.
    pub closed_at: Option<DateTimeUtc>,
    /// Grows by one with every change.
    pub version: i64,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
