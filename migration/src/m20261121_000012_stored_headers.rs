//! Headers are stored with their body, compressed. Rows from before keep theirs in the column. And a delivery and its
//! job are inserted by one statement.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

const INGEST: &str = "trackside_ingest_writer";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        if m.get_database_backend() == DbBackend::Postgres {
            // Jobs are inserted by the statement that inserts their deliveries, for the tenants of those.
            run(m, &format!("GRANT SELECT (tenant_id) ON webhook_event TO {INGEST}")).await?;
            run(m, &format!("REVOKE SELECT (id) ON job FROM {INGEST}")).await?;
            return run(m, "ALTER TABLE webhook_event ALTER COLUMN headers DROP NOT NULL").await;
        }
        // SQLite cannot take NOT NULL from a column.
        run(m, "ALTER TABLE webhook_event ADD COLUMN optional_headers jsonb_text").await?;
        run(m, "UPDATE webhook_event SET optional_headers = headers").await?;
        run(m, "ALTER TABLE webhook_event DROP COLUMN headers").await?;
        run(m, "ALTER TABLE webhook_event RENAME COLUMN optional_headers TO headers").await
    }

    /// Headers that are stored with their body are not seen by a version from before.
    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let fill = "UPDATE webhook_event SET headers = '[]' WHERE headers IS NULL";
        if m.get_database_backend() == DbBackend::Sqlite {
            return run(m, fill).await;
        }
        run(m, &format!("GRANT SELECT (id) ON job TO {INGEST}")).await?;
        run(m, &format!("REVOKE SELECT (tenant_id) ON webhook_event FROM {INGEST}")).await?;
        // Forced row-level security would hide the rows from their owner too.
        run(m, "ALTER TABLE webhook_event NO FORCE ROW LEVEL SECURITY").await?;
        run(m, fill).await?;
        run(m, "ALTER TABLE webhook_event FORCE ROW LEVEL SECURITY, ALTER COLUMN headers SET NOT NULL").await
    }
}

async fn run(m: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    m.get_connection().execute_unprepared(sql).await.map(drop)
}
