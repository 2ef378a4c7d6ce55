//! Reservations: who is editing which files, which files branches change, and who changed which documents just now.

use sea_orm_migration::{prelude::*, schema::*};

use crate::tenancy::{open_door, protect};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: [&str; 5] =
    ["reservation", "reservation_path", "reservation_head", "branch_file", "document_touch"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let in_project = |table: &str| {
            let mut create = Table::create();
            create
                .table(table.to_owned())
                .col(uuid("tenant_id"))
                .foreign_key(ForeignKey::create().from(table.to_owned(), "project_id").to("project", "id"));
            create
        };
        let reservation = in_project("reservation")
            .col(uuid("project_id"))
            .col(uuid("id").primary_key())
            .col(text("mode"))
            .col(json_binary("patterns"))
            .col(uuid_null("work_item_id"))
            .col(text_null("branch"))
            .col(text_null("purpose"))
            .col(big_integer("fence"))
            .col(uuid("holder_id"))
            .col(text("holder_name"))
            .col(text_null("credential"))
            .col(timestamp_with_time_zone("reserved_at"))
            .col(timestamp_with_time_zone("expires_at"))
            .col(integer("lease_seconds"))
            .col(timestamp_with_time_zone("seen_at"))
            .col(text("seen_by"))
            .to_owned();
        m.create_table(reservation).await?;
        let index = |name: &str| Index::create().name(name).table("reservation").to_owned();
        m.create_index(index("reservation_by_project").col("project_id").col("id").to_owned()).await?;
        m.create_index(
            index("reservation_by_holder").col("project_id").col("holder_id").col("id").to_owned(),
        )
        .await?;
        m.create_index(index("reservation_to_expire").col("expires_at").col("id").to_owned()).await?;
        m.create_index(index("reservation_by_credential").col("credential").to_owned()).await?;

        let path = in_project("reservation_path")
            .col(uuid("project_id"))
            .col(uuid("reservation_id"))
            .col(integer("number"))
            .col(text("pattern"))
            .col(text("folder"))
            .col(boolean("is_prefix"))
            .primary_key(Index::create().col("reservation_id").col("number"))
            .to_owned();
        m.create_table(path).await?;
        let mut index = Index::create();
        index
            .name("reservation_path_by_folder")
            .table("reservation_path")
            .col("project_id")
            .col("is_prefix")
            .col("folder");
        m.create_index(index.to_owned()).await?;
        let mut index = Index::create();
        index
            .name("reservation_path_by_reservation")
            .table("reservation_path")
            .col("project_id")
            .col("reservation_id");
        m.create_index(index.to_owned()).await?;

        let head = in_project("reservation_head")
            .col(uuid("project_id").primary_key())
            .col(big_integer("fence"))
            .to_owned();
        m.create_table(head).await?;

        let file = in_project("branch_file")
            .col(uuid("project_id"))
            .col(text("branch"))
            .col(text("path"))
            .col(timestamp_with_time_zone("touched_at"))
            .primary_key(Index::create().col("project_id").col("branch").col("path"))
            .to_owned();
        m.create_table(file).await?;
        let mut index = Index::create();
        index.name("branch_file_by_age").table("branch_file").col("project_id").col("touched_at");
        m.create_index(index.to_owned()).await?;

        let touch = in_project("document_touch")
            .col(uuid("project_id"))
            .col(uuid("id").primary_key())
            .col(text("path"))
            .col(uuid("principal_id"))
            .col(text("principal_name"))
            .col(timestamp_with_time_zone("touched_at"))
            .to_owned();
        m.create_table(touch).await?;
        let mut index = Index::create();
        index.name("document_touch_by_path").table("document_touch").col("project_id").col("path");
        m.create_index(index.to_owned()).await?;
        let mut index = Index::create();
        index.name("document_touch_by_age").table("document_touch").col("project_id").col("touched_at");
        m.create_index(index.to_owned()).await?;

        // What was found to clash comes back by its cause, also if that went away by itself.
        let mut index = Index::create();
        index.name("conflict_by_cause").table("conflict").col("project_id").col("cause");
        m.create_index(index.to_owned()).await?;

        for table in TABLES {
            protect(m, table, "tenant_id", "SELECT, INSERT, UPDATE, DELETE").await?;
        }
        let seen = "SELECT (tenant_id, project_id, id, credential, expires_at)";
        open_door(m, "trackside_leases", &[(seen, "reservation")]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.drop_index(Index::drop().name("conflict_by_cause").table("conflict").to_owned()).await?;
        for table in TABLES {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
