//! Where reserved patterns lie, so that those near a path are found without reading all.

use sea_orm::entity::prelude::*;

/// One row of `reservation_path`: a pattern of a reservation, and its prefix or a folder above that. Each pattern has a row
/// for its prefix, and one for every folder above it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reservation_path")]
pub struct Model {
    /// The reservation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub reservation_id: Uuid,
    /// Tells its rows apart, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project it is in.
    pub project_id: Uuid,
    /// The pattern, as it was written.
    pub pattern: String,
    /// A path from the repository's root, which is empty.
    pub folder: String,
    /// Whether that is the pattern's prefix, and not a folder above it.
    pub is_prefix: bool,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
