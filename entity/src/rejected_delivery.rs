//! Deliveries that were refused: what is known of them, never their bodies.

use sea_orm::entity::prelude::*;

/// One row of `rejected_delivery`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rejected_delivery")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it was meant for.
    pub tenant_id: Uuid,
    /// The project it was posted to.
    pub project_id: Uuid,
    /// The Git host, by the path it was posted to.
    pub source: String,
    /// The host's id of it, if it said one.
    pub delivery_id: Option<String>,
    /// The host's name of the event; may be empty.
    pub event_type: String,
    /// Who sent it, by its own words.
    pub user_agent: Option<String>,
    /// Bytes of the body, as far as it was announced.
    pub body_bytes: Option<i64>,
    /// Why, as one of the closed set of codes.
    pub code: String,
    /// Why, in words that a person can act on.
    pub reason: String,
    /// When it was received.
    pub received_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
