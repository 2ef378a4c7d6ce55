//! Deliveries as they came. Rows are not changed after they are written: what became of one is told by its job.

use sea_orm::entity::prelude::*;

/// One row of `webhook_event`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_event")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project it was posted to.
    pub project_id: Uuid,
    /// The Git host: `github`, …
    pub source: String,
    /// The host's own id of the delivery, by which repetitions are known.
    pub delivery_id: String,
    /// The host's name of the event.
    pub event_type: String,
    /// JSON array of `[name, value]`, where a codec keeps only the body.
    pub headers: Option<Json>,
    /// How `body` is stored.
    pub codec: i16,
    /// Headers and raw body under `codec`.
    pub body: Vec<u8>,
    /// Bytes of the raw body.
    pub body_bytes: i64,
    /// When it was received.
    pub received_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
