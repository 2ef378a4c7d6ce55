//! One tenant's transactions see one tenant's rows, and doors see what they must.

use sea_orm_migration::prelude::*;

use crate::tenancy::{close, create_app, drop_app, drop_role, open_door, protect, unprotect};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: [&str; 12] = [
    "api_key",
    "artifact",
    "event",
    "event_head",
    "idempotency_key",
    "job",
    "principal",
    "project",
    "project_secret",
    "rejected_delivery",
    "run",
    "webhook_event",
];

/// What each door may do with which table.
const DOORS: [(&str, &[(&str, &str)]); 7] = [
    ("trackside_installation", &[("SELECT, INSERT", "instance"), ("SELECT, INSERT", "tenant")]),
    ("trackside_key_by_hash", &[("SELECT", "api_key"), ("SELECT", "principal")]),
    ("trackside_project_for_webhook", &[("SELECT", "project"), ("SELECT", "project_secret")]),
    (
        "trackside_ingest_writer",
        &[
            ("INSERT, SELECT (id, project_id, source, delivery_id)", "webhook_event"),
            ("INSERT, SELECT (id)", "job"),
        ],
    ),
    ("trackside_next_jobs", &[("SELECT, UPDATE (run_at, attempt, fence)", "job")]),
    ("trackside_event_heads", &[("SELECT (project_id, position)", "event_head")]),
    (
        "trackside_retention",
        &[
            ("SELECT (id, codec), UPDATE (codec, body), DELETE", "webhook_event"),
            ("SELECT (id, kind), DELETE", "job"),
            ("SELECT (id, created_at), DELETE", "idempotency_key"),
        ],
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        create_app(m).await?;
        for table in TABLES {
            protect(m, table, "tenant_id", "SELECT, INSERT, UPDATE, DELETE").await?;
        }
        protect(m, "tenant", "id", "SELECT").await?;
        close(m, "instance").await?;
        for (role, rights) in DOORS {
            open_door(m, role, rights).await?;
        }
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for (role, _) in DOORS {
            drop_role(m, role).await?;
        }
        drop_app(m).await?;
        for table in TABLES.into_iter().chain(["tenant", "instance"]) {
            unprotect(m, table).await?;
        }
        Ok(())
    }
}
