//! People, who may act in several tenants: as one principal in each.

use sea_orm::entity::prelude::*;

/// One row of `person`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "person")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The address they sign in with, in lower case; nobody else has it.
    pub email: String,
    /// The name people see.
    pub name: String,
    /// Their password as argon2id in PHC form; none for those who sign in elsewhere.
    pub password: Option<String>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
