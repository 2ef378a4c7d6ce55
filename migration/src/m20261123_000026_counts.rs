//! Counts of a project's documents by kind and of its work by lane, out of indexes alone.
//!
//! A status tells both. Without the tenant in the index, whose rows are protected by it, each counted row was read.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The index of lanes and what it is in the order of, with what is in it besides.
fn by_lane(more: Option<&'static str>) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name("work_item_by_lane").table("work_item");
    ["project_id", "lane", "rank", "id"].into_iter().chain(more).for_each(|column| {
        index.col(column);
    });
    index
}

fn drop_index(name: &str, table: &str) -> IndexDropStatement {
    Index::drop().name(name).table(table.to_owned()).to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let mut by_kind = Index::create();
        by_kind
            .name("artifact_by_kind")
            .table("artifact")
            .col("project_id")
            .col("kind")
            .col("tenant_id")
            .and_where(Expr::col("removed_at").is_null());
        m.create_index(by_kind).await?;
        m.drop_index(drop_index("work_item_by_lane", "work_item")).await?;
        m.create_index(by_lane(Some("tenant_id"))).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        m.drop_index(drop_index("artifact_by_kind", "artifact")).await?;
        m.drop_index(drop_index("work_item_by_lane", "work_item")).await?;
        m.create_index(by_lane(None)).await
    }
}
