//! Conflicts: what was found to clash, and how that was resolved.

use sea_orm_migration::{prelude::*, schema::*};

use crate::tenancy::protect;

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
                .table("conflict")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("project_id"))
                .col(text("kind"))
                .col(text("severity"))
                .col(uuid_null("artifact_id"))
                .col(text("path"))
                .col(json_binary("details"))
                .col(text("cause"))
                .col(timestamp_with_time_zone("detected_at"))
                .col(timestamp_with_time_zone_null("resolved_at"))
                .col(uuid_null("resolved_by"))
                .col(text_null("resolver_name"))
                .col(text_null("resolution"))
                .foreign_key(ForeignKey::create().from("conflict", "project_id").to("project", "id"))
                .to_owned(),
        )
        .await?;
        let index = |name: &str| Index::create().name(name).table("conflict").col("project_id").to_owned();
        let is_open = || Expr::col("resolved_at").is_null();
        m.create_index(index("conflict_by_project").col("id").to_owned()).await?;
        m.create_index(index("conflict_open").col("id").and_where(is_open()).to_owned()).await?;
        // One cause is open once at most, whoever looks for it at the same time.
        m.create_index(index("conflict_open_by_cause").col("cause").unique().and_where(is_open()).to_owned())
            .await?;
        let by_somebody = Expr::col("resolved_by").is_not_null();
        m.create_index(index("conflict_resolved_by_cause").col("cause").and_where(by_somebody).to_owned())
            .await?;
        protect(m, "conflict", "tenant_id", "SELECT, INSERT, UPDATE, DELETE").await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.drop_table(Table::drop().table("conflict").to_owned()).await
    }
}
