//! Another master key may take the present one's place: the installation's row may be written anew.

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
        run(m, "GRANT UPDATE (key_id, key_check) ON instance TO trackside_installation").await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        run(m, "REVOKE UPDATE (key_id, key_check) ON instance FROM trackside_installation").await
    }
}
