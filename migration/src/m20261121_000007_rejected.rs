//! Deliveries that were refused.

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
                .table("rejected_delivery")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("project_id"))
                .col(text("source"))
                .col(text_null("delivery_id"))
                .col(text("event_type"))
                .col(text_null("user_agent"))
                .col(big_integer_null("body_bytes"))
                .col(text("code"))
                .col(text("reason"))
                .col(timestamp_with_time_zone("received_at"))
                .foreign_key(ForeignKey::create().from("rejected_delivery", "project_id").to("project", "id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("rejected_delivery_by_project")
                .table("rejected_delivery")
                .col("project_id")
                .col("id")
                .to_owned(),
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.drop_table(Table::drop().table("rejected_delivery").to_owned()).await
    }
}
