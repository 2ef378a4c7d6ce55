//! Projects and their webhook secrets.

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
                .table("project")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(text("name"))
                .col(text("repo_url"))
                .col(json_binary("config"))
                .col(big_integer("version"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("updated_at"))
                .col(timestamp_with_time_zone_null("deleted_at"))
                .foreign_key(ForeignKey::create().from("project", "tenant_id").to("tenant", "id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("project_by_tenant").table("project").col("tenant_id").col("id").to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("project_secret")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("project_id"))
                .col(blob("sealed"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("expires_at"))
                .foreign_key(ForeignKey::create().from("project_secret", "project_id").to("project", "id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("project_secret_by_project")
                .table("project_secret")
                .col("project_id")
                .to_owned(),
        )
        .await?;
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["project_secret", "project"] {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
