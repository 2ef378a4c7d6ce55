//! The words of documents, so that documents are found by them.
//!
//! Each engine has the index that it is good at. SQLite keeps it in a table of FTS5 that stores no text, whose rows
//! have the numbers of those in `artifact_text`. On PostgreSQL the words are a `tsvector`. Both are given words that
//! are split, folded and marked already, so neither splits, folds or stems anything by itself.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

use crate::tenancy::{drop_role, open_door, protect, run};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Its prefix indexes are left out: they double what an insert costs, and a prefix is found in milliseconds without.
const WORDS: &str = "CREATE VIRTUAL TABLE artifact_words USING fts5 (words, tokenize = 'ascii', content = '', contentless_delete = 1)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = m.get_database_backend() == DbBackend::Sqlite;
        let mut table = Table::create();
        table.table("artifact_text").col(uuid("tenant_id")).col(uuid("project_id"));
        match is_sqlite {
            true => table.col(integer("number").primary_key()).col(uuid("artifact_id")),
            false => table
                .col(uuid("artifact_id").primary_key())
                .col(big_integer("number"))
                .col(custom("words", "tsvector")),
        };
        table.foreign_key(ForeignKey::create().from("artifact_text", "project_id").to("project", "id"));
        m.create_table(table.to_owned()).await?;
        let mut index = Index::create();
        index.name("artifact_text_by_project").table("artifact_text").col("project_id").col("number");
        m.create_index(index.to_owned()).await?;
        if is_sqlite {
            let mut index = Index::create();
            index.name("artifact_text_once").table("artifact_text").col("artifact_id").unique();
            m.create_index(index.to_owned()).await?;
            m.get_connection().execute_unprepared(WORDS).await?;
        }
        // Without a list of what is still to be put into the index, which every search would read from end to end.
        run(m, "CREATE INDEX artifact_text_words ON artifact_text USING gin (words) WITH (fastupdate = off)")
            .await?;
        protect(m, "artifact_text", "tenant_id", "SELECT, INSERT, UPDATE, DELETE").await?;
        open_door(m, "trackside_search", &[("SELECT", "artifact_text")]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        if m.get_database_backend() == DbBackend::Sqlite {
            m.drop_table(Table::drop().table("artifact_words").to_owned()).await?;
        }
        m.drop_table(Table::drop().table("artifact_text").to_owned()).await?;
        drop_role(m, "trackside_search").await
    }
}
