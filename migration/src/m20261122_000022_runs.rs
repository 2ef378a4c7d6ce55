//! Runs of agents, and runs whose end never comes: who runs it, what it has cost, and until when it is waited for.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

use crate::tenancy::{drop_role, open_door, run};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const DUE_RUNS: &str = "trackside_due_runs";
/// What may be listed, each behind its project.
const LISTS: [(&str, &str); 3] =
    [("run_by_commit", "commit"), ("run_by_branch", "branch"), ("run_by_principal", "principal_id")];
const DUE: &str = "run_due";

fn columns() -> [ColumnDef; 11] {
    [
        big_integer_null("duration_ms"),
        json_binary_null("marks"),
        timestamp_with_time_zone_null("deadline_at"),
        big_integer_null("deadline_seconds"),
        uuid_null("principal_id"),
        text_null("principal_name"),
        uuid_null("work_item_id"),
        text_null("summary"),
        big_integer_null("cost_micro_usd"),
        big_integer_null("input_tokens"),
        big_integer_null("output_tokens"),
    ]
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for column in columns() {
            m.alter_table(Table::alter().table("run").add_column(column).to_owned()).await?;
        }
        for (name, column) in LISTS {
            let mut index = Index::create();
            index.name(name).table("run").col("project_id").col(column).col("id");
            index.and_where(Expr::col(column).is_not_null());
            m.create_index(index.to_owned()).await?;
        }
        let mut due = Index::create();
        due.name(DUE)
            .table("run")
            .col("deadline_at")
            .col("id")
            .and_where(Expr::col("deadline_at").is_not_null());
        m.create_index(due.to_owned()).await?;
        // What is under way already is waited for a day from now on.
        let tomorrow = match m.get_database_backend() {
            DbBackend::Sqlite => "strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', '+1 day')",
            _ => "now() + interval '1 day'",
        };
        run(m, "ALTER TABLE run NO FORCE ROW LEVEL SECURITY").await?;
        m.get_connection()
            .execute_unprepared(&format!(
                "UPDATE run SET deadline_at = {tomorrow} WHERE status IN ('queued', 'running')"
            ))
            .await?;
        run(m, "ALTER TABLE run FORCE ROW LEVEL SECURITY").await?;
        open_door(m, DUE_RUNS, &[("SELECT (id, tenant_id, project_id, deadline_at)", "run")]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        run(m, &format!("DROP POLICY {DUE_RUNS} ON run")).await?;
        drop_role(m, DUE_RUNS).await?;
        for name in LISTS.map(|(name, _)| name).into_iter().chain([DUE]) {
            m.drop_index(Index::drop().name(name).table("run").to_owned()).await?;
        }
        // What an older version cannot read.
        run(m, "ALTER TABLE run NO FORCE ROW LEVEL SECURITY").await?;
        for sql in [
            "DELETE FROM run WHERE source = 'agent'",
            "UPDATE run SET status = 'cancelled' WHERE status = 'lost'",
        ] {
            m.get_connection().execute_unprepared(sql).await?;
        }
        run(m, "ALTER TABLE run FORCE ROW LEVEL SECURITY").await?;
        for column in columns() {
            let name = column.get_column_name();
            m.alter_table(Table::alter().table("run").drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}
