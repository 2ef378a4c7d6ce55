//! Deliveries as they came, and the durable jobs that work through them.

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
                .table("webhook_event")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("project_id"))
                .col(text("source"))
                .col(text("delivery_id"))
                .col(text("event_type"))
                .col(json_binary("headers"))
                .col(small_integer("codec"))
                .col(big_integer("body_bytes"))
                .col(timestamp_with_time_zone("received_at"))
                .col(blob("body"))
                .foreign_key(ForeignKey::create().from("webhook_event", "project_id").to("project", "id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("webhook_event_once")
                .table("webhook_event")
                .col("project_id")
                .col("source")
                .col("delivery_id")
                .unique()
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("webhook_event_by_project")
                .table("webhook_event")
                .col("project_id")
                .col("id")
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("job")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(text("kind"))
                .col(json_binary("payload"))
                .col(text("state"))
                .col(timestamp_with_time_zone("run_at"))
                .col(integer("attempt"))
                .col(big_integer("fence"))
                .col(text_null("last_error"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("job_by_state").table("job").col("state").col("run_at").to_owned(),
        )
        .await?;
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["job", "webhook_event"] {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
