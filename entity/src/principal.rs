//! Who acts: people and service accounts.

use sea_orm::entity::prelude::*;

/// One row of `principal`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "principal")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// `user` or `service_account`.
    pub kind: String,
    /// The name people see.
    pub name: String,
    /// `owner`, `admin`, `member` or `viewer`.
    pub role: String,
    /// The person that it is in this tenant; none for a service account.
    pub person_id: Option<Uuid>,
    /// What an agent does among others, such as `developer`.
    pub agent_role: Option<String>,
    /// JSON object of the projects it is limited to, each with `editor` or `viewer`; none means all of the tenant.
    pub project_access: Option<Json>,
    /// Grows by one with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// Since when it may do nothing.
    pub deactivated_at: Option<DateTimeUtc>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
