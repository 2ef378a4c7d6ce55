//! Which chains each tenant has in `mcp_audit_log`.

use sea_orm::entity::prelude::*;

/// One row of `audit_register`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_register")]
pub struct Model {
    /// The tenant.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    /// The names of its chains in ascending order, 16 bytes each.
    pub writers: Vec<u8>,
    /// How many chains were taken out because all of their records had come of age.
    pub retired: i64,
    /// The digest of their heads, each over those before.
    pub retired_hash: Vec<u8>,
    /// Authenticates all of it.
    pub mac: Vec<u8>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
