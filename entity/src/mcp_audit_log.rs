//! Tool calls, as links of chains: inserted, never changed, and removed from the oldest end by age alone.

use sea_orm::entity::prelude::*;

/// One row of `mcp_audit_log`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mcp_audit_log")]
pub struct Model {
    /// The tenant it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    /// UUIDv7 of when it was recorded.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Names the chain.
    pub writer: Uuid,
    /// Its place in the chain: 1, 2, 3 … without a gap.
    pub position: i64,
    /// The hash of the record before it.
    pub previous_hash: Vec<u8>,
    /// The hash of that and of every other column, keyed.
    pub hash: Vec<u8>,
    /// The project that the call was about, if it was about one.
    pub project_id: Option<Uuid>,
    /// `user` or `service_account`.
    pub actor_kind: String,
    /// The principal that called.
    pub actor_id: Uuid,
    /// Its name at that time.
    pub actor_name: String,
    /// The API key that it called with, if it was one.
    pub key_id: Option<Uuid>,
    /// The tool's name, as the caller gave it.
    pub tool: String,
    /// The scope that the tool needs, if there is such a tool.
    pub scope: Option<String>,
    /// SHA-256 of the arguments in canonical form.
    pub arguments_hash: Vec<u8>,
    /// `success`, `failure`, `unauthorized` or `rate_limited`.
    pub result: String,
    /// What went wrong, in short.
    pub error: Option<String>,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// When it was called.
    pub called_at: DateTimeUtc,
    /// Where it was called from.
    pub ip: Option<String>,
    /// What called, by its own words.
    pub user_agent: Option<String>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
