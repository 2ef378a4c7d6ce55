//! Another master key may take the present one's place: the installation's row may be written anew.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        run(m, "GRANT UPDATE (key_id, key_check) ON instance TO trackside_installation").await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        run(m, "REVOKE UPDATE (key_id, key_check) ON instance FROM trackside_installation").await
    }
}

/// SQLite has no roles.
async fn run(m: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    match m.get_database_backend() {
        DbBackend::Postgres => m.get_connection().execute_unprepared(sql).await.map(drop),
        _ => Ok(()),
    }
}
