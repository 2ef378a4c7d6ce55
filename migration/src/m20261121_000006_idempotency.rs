//! Idempotency keys and the answers given under them.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(
            Table::create()
                .table("idempotency_key")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("principal_id"))
                .col(text("key"))
                .col(blob("fingerprint"))
                .col(blob_null("sealed"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(ForeignKey::create().from("idempotency_key", "tenant_id").to("tenant", "id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("idempotency_key_once")
                .table("idempotency_key")
                .col("tenant_id")
                .col("principal_id")
                .col("key")
                .unique()
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("idempotency_key_by_age")
                .table("idempotency_key")
                .col("created_at")
                .to_owned(),
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.drop_table(Table::drop().table("idempotency_key").to_owned()).await
    }
}
