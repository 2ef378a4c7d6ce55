//! Which stream tickets were used, so that instances and restarts agree on it.

use sea_orm_migration::{prelude::*, schema::*};

use crate::tenancy::{open_door, protect};

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
                .table("stream_ticket")
                .col(uuid("id").primary_key())
                .col(uuid("tenant_id"))
                .foreign_key(ForeignKey::create().from("stream_ticket", "tenant_id").to("tenant", "id"))
                .to_owned(),
        )
        .await?;
        protect(m, "stream_ticket", "tenant_id", "SELECT, INSERT").await?;
        open_door(m, "trackside_retention", &[("SELECT (id), DELETE", "stream_ticket")]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.drop_table(Table::drop().table("stream_ticket").to_owned()).await
    }
}
