//! The event log of each project and its head.

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
                .table("event_head")
                .col(uuid("project_id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("log_id"))
                .col(big_integer("position"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("event")
                .col(uuid("project_id"))
                .col(big_integer("position"))
                .col(uuid("tenant_id"))
                .col(text("name"))
                .col(uuid_null("cause_id"))
                .col(json_binary("payload"))
                .col(timestamp_with_time_zone("created_at"))
                .primary_key(Index::create().col("project_id").col("position"))
                .foreign_key(ForeignKey::create().from("event", "project_id").to("project", "id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("event_by_cause")
                .table("event")
                .col("project_id")
                .col("cause_id")
                .to_owned(),
        )
        .await?;
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["event", "event_head"] {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
