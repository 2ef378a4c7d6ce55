//! The installation itself: one row that proves that the master key is the one the data was written with.

use sea_orm::entity::prelude::*;

/// One row of `instance`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "instance")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// Which master key sealed `key_check`.
    pub key_id: String,
    /// A known text sealed with the master key.
    pub key_check: Vec<u8>,
    /// When the installation was made.
    pub created_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
