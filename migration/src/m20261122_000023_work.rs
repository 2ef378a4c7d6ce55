//! Work: what there is to do, what each waits for, who holds it, and what was said about it.

use sea_orm_migration::{prelude::*, schema::*};

use crate::tenancy::{drop_role, open_door, protect};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// What is claimed at all has a lease.
fn is_held() -> Expr {
    Expr::col("lease_id").is_not_null()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let in_project =
            |table: &str| {
                let mut create = Table::create();
                create.table(table.to_owned()).col(uuid("tenant_id")).col(uuid("project_id")).foreign_key(
                    ForeignKey::create().from(table.to_owned(), "project_id").to("project", "id"),
                );
                create
            };
        let item = in_project("work_item")
            .col(uuid("id").primary_key())
            .col(text("title"))
            .col(text_null("description"))
            .col(text("lane"))
            .col(big_integer("rank"))
            .col(integer("urgency"))
            .col(text_null("role"))
            .col(uuid_null("artifact_id"))
            .col(text_null("file_status"))
            .col(integer("blockers"))
            .col(big_integer("version"))
            .col(uuid_null("creator_id"))
            .col(text("creator_name"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone("updated_at"))
            .col(timestamp_with_time_zone_null("finished_at"))
            .col(text_null("commit"))
            .col(text_null("summary"))
            .col(big_integer("fence"))
            .col(uuid_null("lease_id"))
            .col(uuid_null("holder_id"))
            .col(text_null("holder_name"))
            .col(text_null("credential"))
            .col(timestamp_with_time_zone_null("claimed_at"))
            .col(timestamp_with_time_zone_null("expires_at"))
            .col(integer("lease_seconds"))
            .col(timestamp_with_time_zone_null("seen_at"))
            .col(text_null("seen_by"))
            .col(text_null("task"))
            .col(text_null("branch"))
            .col(json_binary_null("pins"))
            .to_owned();
        m.create_table(item).await?;
        let index = |name: &str| Index::create().name(name).table("work_item").to_owned();
        let by_project = |name: &str| index(name).col("project_id").to_owned();
        m.create_index(by_project("work_item_by_lane").col("lane").col("rank").col("id").to_owned()).await?;
        m.create_index(by_project("work_item_by_project").col("id").to_owned()).await?;
        let is_free = || Expr::col("lease_id").is_null().and(Expr::col("blockers").eq(0));
        m.create_index(
            by_project("work_item_ready")
                .col("lane")
                .col("urgency")
                .col("rank")
                .col("id")
                .and_where(is_free())
                .to_owned(),
        )
        .await?;
        m.create_index(
            by_project("work_item_by_artifact")
                .col("artifact_id")
                .unique()
                .and_where(Expr::col("artifact_id").is_not_null())
                .to_owned(),
        )
        .await?;
        m.create_index(by_project("work_item_held").col("holder_id").and_where(is_held()).to_owned()).await?;
        m.create_index(index("work_item_to_expire").col("expires_at").and_where(is_held()).to_owned())
            .await?;
        m.create_index(index("work_item_by_credential").col("credential").and_where(is_held()).to_owned())
            .await?;

        let dependency = in_project("work_dependency")
            .col(uuid("work_item_id"))
            .col(uuid("blocker_id"))
            .primary_key(Index::create().col("work_item_id").col("blocker_id"))
            .to_owned();
        m.create_table(dependency).await?;
        let mut index = Index::create();
        index.name("work_dependency_by_blocker").table("work_dependency").col("project_id").col("blocker_id");
        m.create_index(index.to_owned()).await?;
        let mut index = Index::create();
        index.name("work_dependency_by_item").table("work_dependency").col("project_id").col("work_item_id");
        m.create_index(index.to_owned()).await?;

        let comment = in_project("work_comment")
            .col(uuid("id").primary_key())
            .col(uuid("work_item_id"))
            .col(uuid("author_id"))
            .col(text("author_name"))
            .col(text("body"))
            .col(timestamp_with_time_zone("created_at"))
            .to_owned();
        m.create_table(comment).await?;
        let mut index = Index::create();
        index
            .name("work_comment_by_item")
            .table("work_comment")
            .col("project_id")
            .col("work_item_id")
            .col("id");
        m.create_index(index.to_owned()).await?;

        for table in ["work_item", "work_dependency", "work_comment"] {
            protect(m, table, "tenant_id", "SELECT, INSERT, UPDATE, DELETE").await?;
        }
        let seen = "SELECT (tenant_id, project_id, id, lease_id, credential, expires_at)";
        open_door(m, "trackside_leases", &[(seen, "work_item")]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["work_comment", "work_dependency", "work_item"] {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        drop_role(m, "trackside_leases").await
    }
}
