//! Durable jobs: what is left to do. A job that succeeds is deleted in the transaction of its effect.

use sea_orm::entity::prelude::*;

/// One row of `job`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    /// UUIDv7; a delivery and the job that processes it share theirs.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it works for.
    pub tenant_id: Uuid,
    /// The row of the job table that runs it.
    pub kind: String,
    /// Its arguments as JSON.
    pub payload: Json,
    /// `ready` or `failed`.
    pub state: String,
    /// From when on it may be claimed; a claim moves it to the end of the lease.
    pub run_at: DateTimeUtc,
    /// How often it was claimed since it was enqueued.
    pub attempt: i32,
    /// Fencing token of the newest claim: only its holder may finish the job.
    pub fence: i64,
    /// Why the newest attempt failed, in words that may be shown.
    pub last_error: Option<String>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
