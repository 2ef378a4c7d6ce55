//! Who people are to the issuers that they sign in with.

use sea_orm::entity::prelude::*;

/// One row of `identity`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identity")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who it is.
    pub person_id: Uuid,
    /// The issuer, as its tokens name it.
    pub issuer: String,
    /// Who they are to the issuer; the pair is unique.
    pub subject: String,
    /// When it was first seen.
    pub created_at: DateTimeUtc,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
