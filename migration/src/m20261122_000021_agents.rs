//! Agents: who is at what in a project, and what each of them did last.

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
        let to_project = |table: &'static str| {
            ForeignKey::create().from(table, "project_id").to("project", "id").to_owned()
        };
        m.create_table(
            Table::create()
                .table("agent")
                .col(uuid("tenant_id"))
                .col(uuid("project_id"))
                .col(uuid("principal_id"))
                .col(text("status"))
                .col(timestamp_with_time_zone("since"))
                .col(text_null("task"))
                .col(uuid_null("artifact_id"))
                .col(uuid_null("work_item_id"))
                .col(timestamp_with_time_zone("seen_at"))
                .col(text("seen_by"))
                .primary_key(Index::create().col("project_id").col("principal_id"))
                .foreign_key(&mut to_project("agent"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("agent_activity")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("project_id"))
                .col(uuid("principal_id"))
                .col(text("kind"))
                .col(text("what"))
                .col(text_null("outcome"))
                .col(big_integer("times"))
                .col(text_null("branch"))
                .col(text_null("commit"))
                .col(timestamp_with_time_zone("first_at"))
                .col(timestamp_with_time_zone("last_at"))
                .foreign_key(&mut to_project("agent_activity"))
                .to_owned(),
        )
        .await?;
        let index =
            |name: &'static str, table: &'static str| Index::create().name(name).table(table).to_owned();
        let is_running = Expr::col("status").eq("running");
        let is_push = || Expr::col("kind").eq("push");
        for index in [
            index("agent_by_status", "agent").col("project_id").col("status").col("principal_id"),
            index("agent_by_principal", "agent").col("principal_id"),
            index("agent_running", "agent").col("seen_at").and_where(is_running),
            index("agent_activity_by_agent", "agent_activity")
                .col("project_id")
                .col("principal_id")
                .col("id"),
            index("agent_push_by_commit", "agent_activity")
                .col("project_id")
                .col("commit")
                .and_where(is_push()),
            index("agent_push_by_branch", "agent_activity")
                .col("project_id")
                .col("branch")
                .col("id")
                .and_where(is_push()),
        ] {
            m.create_index(index.to_owned()).await?;
        }
        // Host logins are compared with names whatever their case, push by push.
        let by_name = "CREATE INDEX principal_by_name ON principal (tenant_id, lower(name))";
        m.get_connection().execute_unprepared(by_name).await?;
        for table in ["agent", "agent_activity"] {
            protect(m, table, "tenant_id", "SELECT, INSERT, UPDATE, DELETE").await?;
        }
        open_door(
            m,
            "trackside_silent_agents",
            &[("SELECT (tenant_id, project_id, status, seen_at)", "agent")],
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.drop_index(Index::drop().name("principal_by_name").table("principal").to_owned()).await?;
        for table in ["agent_activity", "agent"] {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        drop_role(m, "trackside_silent_agents").await
    }
}
