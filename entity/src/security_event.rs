//! What happened to who may do what: sign-ins, keys, roles, secrets. Append-only.

use sea_orm::entity::prelude::*;

/// One row of `security_event`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "security_event")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// When.
    pub at: DateTimeUtc,
    /// `user`, `service_account`, or `system` for the command line and what happens by itself.
    pub actor_kind: String,
    /// The principal that did it.
    pub actor_id: Option<Uuid>,
    /// What it was called then.
    pub actor_name: String,
    /// What it came with: `key:`, `session:`, `grant:` or `member:`, and the id of that.
    pub credential: Option<String>,
    /// What was done.
    pub action: String,
    /// `success` or `refused`.
    pub outcome: String,
    /// What kind of thing it was done to.
    pub target_kind: Option<String>,
    /// Which one.
    pub target_id: Option<Uuid>,
    /// What that was called then.
    pub target_name: Option<String>,
    /// Where from.
    pub ip: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// What else is worth knowing; never a secret.
    pub details: Option<Json>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
