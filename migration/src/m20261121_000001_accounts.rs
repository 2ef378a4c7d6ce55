//! The installation, its tenants, and who may act in them.

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
                .table("instance")
                .col(integer("id").primary_key())
                .col(text("key_id"))
                .col(blob("key_check"))
                .col(timestamp_with_time_zone("created_at"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("tenant")
                .col(uuid("id").primary_key())
                .col(text("name"))
                .col(timestamp_with_time_zone("created_at"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("principal")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(text("kind"))
                .col(text("name"))
                .col(text("role"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(ForeignKey::create().from("principal", "tenant_id").to("tenant", "id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("principal_by_tenant")
                .table("principal")
                .col("tenant_id")
                .col("id")
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("api_key")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("principal_id"))
                .col(text("name"))
                .col(text("prefix"))
                .col(blob("hash"))
                .col(json_binary("scopes"))
                .col(json_binary_null("project_ids"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("expires_at"))
                .col(timestamp_with_time_zone_null("revoked_at"))
                .foreign_key(ForeignKey::create().from("api_key", "tenant_id").to("tenant", "id"))
                .foreign_key(ForeignKey::create().from("api_key", "principal_id").to("principal", "id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("api_key_by_tenant").table("api_key").col("tenant_id").col("id").to_owned(),
        )
        .await?;
        m.create_index(Index::create().name("api_key_by_hash").table("api_key").col("hash").to_owned())
            .await?;
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["api_key", "principal", "tenant", "instance"] {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
