//! Cheaper writes of the words of documents on PostgreSQL.
//!
//! What is written goes to a short list beside the index first, and from there into it many rows at once: a word that a
//! hundred documents share is looked up once. The list is short because every search reads it from end to end.

use sea_orm_migration::prelude::*;

use crate::tenancy::run;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        // In KiB.
        let list = "fastupdate = on, gin_pending_list_limit = 1024";
        run(m, &format!("ALTER INDEX artifact_text_words SET ({list})")).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        run(m, "ALTER INDEX artifact_text_words SET (fastupdate = off)").await?;
        run(m, "ALTER INDEX artifact_text_words RESET (gin_pending_list_limit)").await?;
        run(m, "SELECT gin_clean_pending_list('artifact_text_words')").await
    }
}
