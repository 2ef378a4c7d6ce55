//! What documents say of themselves, each of their revisions, what they build on, and how a repository was read.

use sea_orm_migration::{prelude::*, schema::*};

use crate::tenancy::{protect, run};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: [&str; 4] = ["artifact_revision", "artifact_dependency", "repository_scan", "provider_token"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for column in columns() {
            m.alter_table(Table::alter().table("artifact").add_column(column).to_owned()).await?;
        }
        m.create_table(
            Table::create()
                .table("artifact_revision")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .col(uuid("project_id"))
                .col(uuid("artifact_id"))
                .col(text("path"))
                .col(text("commit"))
                .col(text_null("author"))
                .col(timestamp_with_time_zone("committed_at"))
                .col(text_null("blob"))
                .col(text_null("version"))
                .col(big_integer("bytes"))
                .col(blob_null("body"))
                .foreign_key(ForeignKey::create().from("artifact_revision", "project_id").to("project", "id"))
                .to_owned(),
        )
        .await?;
        index(m, "artifact_revision_by_artifact", "artifact_revision", &["artifact_id", "id"]).await?;
        index(m, "artifact_revision_by_project", "artifact_revision", &["project_id"]).await?;
        // Its body is compressed before it is stored.
        run(m, "ALTER TABLE artifact_revision ALTER COLUMN body SET STORAGE EXTERNAL").await?;
        m.create_table(
            Table::create()
                .table("artifact_dependency")
                .col(uuid("tenant_id"))
                .col(uuid("project_id"))
                .col(uuid("artifact_id"))
                .col(text("path"))
                .col(text_null("version"))
                .primary_key(Index::create().col("artifact_id").col("path"))
                .foreign_key(
                    ForeignKey::create().from("artifact_dependency", "project_id").to("project", "id"),
                )
                .to_owned(),
        )
        .await?;
        index(m, "artifact_dependency_by_path", "artifact_dependency", &["project_id", "path"]).await?;
        m.create_table(
            Table::create()
                .table("repository_scan")
                .col(uuid("project_id").primary_key())
                .col(uuid("tenant_id"))
                .col(text("state"))
                .col(big_integer("requests"))
                .col(boolean("is_asked_for"))
                .col(timestamp_with_time_zone("requested_at"))
                .col(timestamp_with_time_zone_null("started_at"))
                .col(timestamp_with_time_zone_null("finished_at"))
                .col(timestamp_with_time_zone_null("succeeded_at"))
                .col(text_null("commit"))
                .col(text_null("read_as"))
                .col(big_integer("done"))
                .col(big_integer("total"))
                .col(text_null("failure"))
                .col(text_null("failure_detail"))
                .col(big_integer("failures"))
                .col(timestamp_with_time_zone_null("reconciled_at"))
                .col(big_integer("redelivered"))
                .col(text_null("reconcile_failure"))
                .foreign_key(ForeignKey::create().from("repository_scan", "project_id").to("project", "id"))
                .to_owned(),
        )
        .await?;
        m.create_table(
            Table::create()
                .table("provider_token")
                .col(uuid("project_id").primary_key())
                .col(uuid("tenant_id"))
                .col(text("username"))
                .col(blob("sealed"))
                .col(timestamp_with_time_zone("created_at"))
                .foreign_key(ForeignKey::create().from("provider_token", "project_id").to("project", "id"))
                .to_owned(),
        )
        .await?;
        for table in TABLES {
            protect(m, table, "tenant_id", "SELECT, INSERT, UPDATE, DELETE").await?;
        }
        scan_what_is_there(m).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            m.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        for column in columns() {
            let name = column.get_column_name();
            m.alter_table(Table::alter().table("artifact").drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}

fn columns() -> Vec<ColumnDef> {
    vec![
        text_null("title"),
        text_null("status"),
        text_null("created_by"),
        text_null("blob"),
        big_integer_null("bytes"),
        json_binary("sections").default("[]").to_owned(),
        json_binary_null("gate"),
        json_binary("warnings").default("[]").to_owned(),
    ]
}

async fn index(
    m: &SchemaManager<'_>,
    name: &str,
    table: &'static str,
    columns: &[&'static str],
) -> Result<(), DbErr> {
    let mut index = Index::create();
    for column in columns {
        index.col(*column);
    }
    m.create_index(index.name(name).table(table).to_owned()).await
}

/// A project has one job, of its own id, that reads its repository again and again: so do those that are there already.
async fn scan_what_is_there(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    for table in ["project", "job"] {
        run(m, &format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")).await?;
    }
    let sql = "INSERT INTO job (id, tenant_id, kind, payload, state, run_at, attempt, fence) \
               SELECT id, tenant_id, 'scan_repository', '{}', 'ready', created_at, 0, 0 FROM project \
               WHERE deleted_at IS NULL";
    m.get_connection().execute_unprepared(sql).await?;
    for table in ["project", "job"] {
        run(m, &format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY")).await?;
    }
    Ok(())
}
