//! The history of Trackside's schema, for SQLite and PostgreSQL alike.
//!
//! One file per step, named by its day; a step that has landed is never edited. Nothing here imports
//! `entity`: an old step must go on meaning what it meant. Every unique key contains the tenant or a
//! project, or a secret's hash, so that a refused insert never tells one tenant of another; only people are the same
//! in all tenants.

use sea_orm_migration::prelude::MigrationTrait;
pub use sea_orm_migration::prelude::MigratorTrait;

mod m20261121_000001_accounts;
mod m20261121_000002_projects;
mod m20261121_000003_inbox;
mod m20261121_000004_events;
mod m20261121_000005_artifacts_and_runs;
mod m20261121_000006_idempotency;
mod m20261121_000007_rejected;
mod m20261121_000008_row_level_security;
mod m20261121_000009_postgres_storage;
mod m20261121_000010_fair_jobs;
mod m20261121_000011_stream_tickets;
mod m20261121_000012_stored_headers;
mod m20261121_000013_audit;
mod m20261121_000014_access;
mod m20261121_000015_master_key;
mod m20261122_000016_traces;
mod m20261122_000017_documents;
mod m20261122_000018_search;
mod m20261122_000019_conflicts;
mod m20261122_000020_search_writes;
mod m20261122_000021_agents;
mod m20261122_000022_runs;
mod m20261122_000023_work;
mod m20261122_000024_reservations;
mod m20261122_000025_gates;
mod m20261123_000026_counts;
mod tenancy;

/// All steps, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_accounts::Migration),
            Box::new(m20261121_000002_projects::Migration),
            Box::new(m20261121_000003_inbox::Migration),
            Box::new(m20261121_000004_events::Migration),
            Box::new(m20261121_000005_artifacts_and_runs::Migration),
            Box::new(m20261121_000006_idempotency::Migration),
            Box::new(m20261121_000007_rejected::Migration),
            Box::new(m20261121_000008_row_level_security::Migration),
            Box::new(m20261121_000009_postgres_storage::Migration),
            Box::new(m20261121_000010_fair_jobs::Migration),
            Box::new(m20261121_000011_stream_tickets::Migration),
            Box::new(m20261121_000012_stored_headers::Migration),
            Box::new(m20261121_000013_audit::Migration),
            Box::new(m20261121_000014_access::Migration),
            Box::new(m20261121_000015_master_key::Migration),
            Box::new(m20261122_000016_traces::Migration),
            Box::new(m20261122_000017_documents::Migration),
            Box::new(m20261122_000018_search::Migration),
            Box::new(m20261122_000019_conflicts::Migration),
            Box::new(m20261122_000020_search_writes::Migration),
            Box::new(m20261122_000021_agents::Migration),
            Box::new(m20261122_000022_runs::Migration),
            Box::new(m20261122_000023_work::Migration),
            Box::new(m20261122_000024_reservations::Migration),
            Box::new(m20261122_000025_gates::Migration),
            Box::new(m20261123_000026_counts::Migration),
        ]
    }
}
