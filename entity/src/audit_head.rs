//! Both ends of each chain of `mcp_audit_log`: the newest record, and the checkpoint up to which old ones were removed.

use sea_orm::entity::prelude::*;

/// One row of `audit_head`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_head")]
pub struct Model {
    /// The tenant it belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    /// Names the chain.
    #[sea_orm(primary_key, auto_increment = false)]
    pub writer: Uuid,
    /// The position of the newest record; 0 before the first.
    pub position: i64,
    /// The hash of the newest record; zeros before the first.
    pub hash: Vec<u8>,
    /// Authenticates position and hash.
    pub mac: Vec<u8>,
    /// Records up to this position were removed by age; 0 if none was.
    pub pruned_to: i64,
    /// The hash of the last of them; zeros if there is none.
    pub pruned_hash: Vec<u8>,
    /// Authenticates the checkpoint.
    pub pruned_mac: Vec<u8>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
