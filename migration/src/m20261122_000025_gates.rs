//! Gates: what has to hold before a phase or a work item is complete; and who worked on an item last, who does not
//! review it.

use sea_orm_migration::{prelude::*, schema::*};

use crate::tenancy::{drop_role, open_door, protect};

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
                .table("gate")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("project_id"))
                .col(text("name"))
                .col(text_null("phase"))
                .col(uuid_null("work_item_id"))
                .col(text("kind"))
                .col(integer("weight"))
                .col(json_binary("config"))
                .col(boolean("is_configured"))
                .col(text_null("seen"))
                .col(text("status"))
                .col(text("message"))
                .col(timestamp_with_time_zone("evaluated_at"))
                .col(timestamp_with_time_zone_null("due_at"))
                .col(json_binary_null("decision"))
                .col(json_binary_null("waiver"))
                .col(timestamp_with_time_zone_null("closed_at"))
                .col(big_integer("version"))
                .foreign_key(ForeignKey::create().from("gate", "project_id").to("project", "id"))
                .to_owned(),
        )
        .await?;
        let index = |name: &str| Index::create().name(name).table("gate").to_owned();
        let by_project = |name: &str| index(name).col("project_id").to_owned();
        m.create_index(by_project("gate_by_project").col("id").to_owned()).await?;
        let is_open = Expr::col("closed_at").is_null();
        m.create_index(by_project("gate_open").col("id").and_where(is_open).to_owned()).await?;
        let of_phase = Expr::col("work_item_id").is_null();
        m.create_index(by_project("gate_of_phase").col("name").unique().and_where(of_phase).to_owned())
            .await?;
        let of_item = Expr::col("work_item_id").is_not_null();
        m.create_index(
            by_project("gate_of_item").col("work_item_id").col("name").unique().and_where(of_item).to_owned(),
        )
        .await?;
        let is_due = Expr::col("due_at").is_not_null();
        m.create_index(index("gate_due").col("due_at").col("id").and_where(is_due).to_owned()).await?;
        protect(m, "gate", "tenant_id", "SELECT, INSERT, UPDATE, DELETE").await?;
        open_door(m, "trackside_due_gates", &[("SELECT (tenant_id, project_id, id, due_at)", "gate")])
            .await?;

        let mut worker = Table::alter();
        m.alter_table(worker.table("work_item").add_column(uuid_null("worker_id")).to_owned()).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let mut worker = Table::alter();
        m.alter_table(worker.table("work_item").drop_column("worker_id").to_owned()).await?;
        m.drop_table(Table::drop().table("gate").to_owned()).await?;
        drop_role(m, "trackside_due_gates").await
    }
}
