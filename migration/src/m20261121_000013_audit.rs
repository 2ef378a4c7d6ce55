//! The tool-call log: records in chains, the chains' heads, and which chains there are.

use sea_orm_migration::{prelude::*, schema::*};

use crate::tenancy::{drop_role, open_door, protect};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const WRITER: &str = "trackside_audit_writer";

/// What a list of records may be narrowed by, beside the tenant.
const FILTERS: [&str; 4] = ["project_id", "actor_id", "tool", "result"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.create_table(log()).await?;
        m.create_table(
            Table::create()
                .table("audit_head")
                .col(uuid("tenant_id"))
                .col(uuid("writer"))
                .col(big_integer("position"))
                .col(blob("hash"))
                .col(blob("mac"))
                .col(big_integer("pruned_to"))
                .col(blob("pruned_hash"))
                .col(blob("pruned_mac"))
                .primary_key(Index::create().col("tenant_id").col("writer"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("audit_register")
                .col(uuid("tenant_id").primary_key())
                .col(blob("writers"))
                .col(big_integer("retired"))
                .col(blob("retired_hash"))
                .col(blob("mac"))
                .to_owned(),
        )
        .await?;
        let index =
            |name: &str| Index::create().name(name).table("mcp_audit_log").col("tenant_id").to_owned();
        m.create_index(index("mcp_audit_log_chain").col("writer").col("position").unique().to_owned())
            .await?;
        for filter in FILTERS {
            m.create_index(index(&format!("mcp_audit_log_by_{filter}")).col(filter).col("id").to_owned())
                .await?;
        }
        protect(m, "mcp_audit_log", "tenant_id", "SELECT, INSERT").await?;
        protect(m, "audit_head", "tenant_id", "SELECT, INSERT, UPDATE (position, hash, mac)").await?;
        protect(m, "audit_register", "tenant_id", "SELECT, INSERT, UPDATE (writers, mac)").await?;
        open_door(
            m,
            WRITER,
            &[
                ("SELECT (tenant_id, id), INSERT", "mcp_audit_log"),
                ("SELECT (tenant_id, writer), UPDATE (position, hash, mac)", "audit_head"),
            ],
        )
        .await?;
        open_door(
            m,
            "trackside_retention",
            &[
                ("SELECT, DELETE", "mcp_audit_log"),
                ("SELECT, UPDATE (pruned_to, pruned_hash, pruned_mac), DELETE", "audit_head"),
                ("SELECT, UPDATE (writers, retired, retired_hash, mac)", "audit_register"),
            ],
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in ["mcp_audit_log", "audit_head", "audit_register"] {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        drop_role(m, WRITER).await
    }
}

/// Nothing here refers to another table: records outlive their projects, and an insert looks nowhere else.
fn log() -> TableCreateStatement {
    Table::create()
        .table("mcp_audit_log")
        .col(uuid("tenant_id"))
        .col(uuid("id"))
        .col(uuid("writer"))
        .col(big_integer("position"))
        .col(blob("previous_hash"))
        .col(blob("hash"))
        .col(uuid_null("project_id"))
        .col(text("actor_kind"))
        .col(uuid("actor_id"))
        .col(text("actor_name"))
        .col(uuid_null("key_id"))
        .col(text("tool"))
        .col(text_null("scope"))
        .col(blob("arguments_hash"))
        .col(text("result"))
        .col(text_null("error"))
        .col(big_integer("duration_us"))
        .col(timestamp_with_time_zone("called_at"))
        .col(text_null("ip"))
        .col(text_null("user_agent"))
        .primary_key(Index::create().col("tenant_id").col("id"))
        .to_owned()
}
