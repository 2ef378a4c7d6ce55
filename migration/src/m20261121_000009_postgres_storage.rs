//! How PostgreSQL keeps what is large and what comes and goes. SQLite needs nothing of this.

use sea_orm_migration::prelude::*;

use crate::tenancy::run;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // Bodies are compressed before they are stored: trying again would cost time for nothing.
        run(m, "ALTER TABLE webhook_event ALTER COLUMN body SET STORAGE EXTERNAL").await?;
        // A job lives for milliseconds and an event head changes with every event: what they leave behind has to be
        // cleared away long before a fifth of the table is dead.
        run(
            m,
            "ALTER TABLE job SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, \
                autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0)",
        )
        .await?;
        run(
            m,
            "ALTER TABLE event_head SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, \
                autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0)",
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        run(m, "ALTER TABLE webhook_event ALTER COLUMN body SET STORAGE EXTENDED").await?;
        for table in ["job", "event_head"] {
            let options = "fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, \
                           autovacuum_vacuum_cost_delay";
            run(m, &format!("ALTER TABLE {table} RESET ({options})")).await?;
        }
        Ok(())
    }
}
