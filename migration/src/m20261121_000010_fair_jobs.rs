//! Jobs are claimed tenant by tenant, so that nobody's backlog is in the way of others.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_index(
            Index::create()
                .name("job_by_turn")
                .table("job")
                .col("state")
                .col("tenant_id")
                .col("run_at")
                .to_owned(),
        )
        .await?;
        m.drop_index(Index::drop().name("job_by_state").table("job").to_owned()).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_index(
            Index::create().name("job_by_state").table("job").col("state").col("run_at").to_owned(),
        )
        .await?;
        m.drop_index(Index::drop().name("job_by_turn").table("job").to_owned()).await
    }
}
