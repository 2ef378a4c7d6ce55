//! What deliveries tell of: documents touched and pipelines run.

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
                .table("artifact")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("project_id"))
                .col(text("path"))
                .col(text("kind"))
                .col(text("name"))
                .col(text_null("version"))
                .col(json_binary("dependencies"))
                .col(text("commit"))
                .col(text_null("author"))
                .col(timestamp_with_time_zone("changed_at"))
                .col(timestamp_with_time_zone_null("removed_at"))
                .foreign_key(ForeignKey::create().from("artifact", "project_id").to("project", "id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("artifact_by_path")
                .table("artifact")
                .col("project_id")
                .col("path")
                .unique()
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("run")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("project_id"))
                .col(text("source"))
                .col(text("external_id"))
                .col(text("kind"))
                .col(text("name"))
                .col(text("status"))
                .col(text_null("commit"))
                .col(text_null("branch"))
                .col(text_null("url"))
                .col(timestamp_with_time_zone_null("started_at"))
                .col(timestamp_with_time_zone_null("finished_at"))
                .col(big_integer("revision"))
                .col(timestamp_with_time_zone("stated_at"))
                .foreign_key(ForeignKey::create().from("run", "project_id").to("project", "id"))
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create()
                .name("run_by_external_id")
                .table("run")
                .col("project_id")
                .col("source")
                .col("external_id")
                .unique()
                .to_owned(),
        )
        .await?;
        m.create_index(
            Index::create().name("run_by_project").table("run").col("project_id").col("id").to_owned(),
        )
        .await?;
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["run", "artifact"] {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
