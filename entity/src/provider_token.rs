//! Tokens by which a project's repository and its host's API are read, sealed.

use sea_orm::entity::prelude::*;

/// One row of `provider_token`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_token")]
pub struct Model {
    /// The project.
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The user's name that goes with it.
    pub username: String,
    /// The token under the master key.
    pub sealed: Vec<u8>,
    /// When it was given.
    pub created_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
