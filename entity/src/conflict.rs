//! What was found to clash in a project.

use sea_orm::entity::prelude::*;

/// One row of `conflict`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conflict")]
pub struct Model {
    /// UUIDv7: later ones are greater.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant it belongs to.
    pub tenant_id: Uuid,
    /// The project it is in.
    pub project_id: Uuid,
    /// `version_mismatch`, `dependency_broken`, …
    pub kind: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// The document that depends on another.
    pub artifact_id: Option<Uuid>,
    /// Where that other one is or should be, from the repository's root.
    pub path: String,
    /// JSON of `{artifactPath, dependencyPath, wantedVersion, foundVersion}`.
    pub details: Json,
    /// What it comes from: the same text for the same cause, whenever that is found.
    pub cause: String,
    /// When it was found.
    pub detected_at: DateTimeUtc,
    /// When it was resolved; none while it is open.
    pub resolved_at: Option<DateTimeUtc>,
    /// The principal that resolved it; none if its cause went away.
    pub resolved_by: Option<Uuid>,
    /// The name which that principal had then.
    pub resolver_name: Option<String>,
    /// Why it is resolved.
    pub resolution: Option<String>,
}

/// Relations are spelled out in the queries that need them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
