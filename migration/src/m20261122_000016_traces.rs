//! The security log says what an actor came with, a rotated key which one is its successor, and people are forgotten who
//! never came to belong anywhere.

use sea_orm_migration::{prelude::*, schema::*};

use crate::tenancy::{open_door, run};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Whoever forgets people finds those of no tenant.
const RIGHTS: [(&str, &str); 3] = [
    ("SELECT (id, created_at), DELETE", "person"),
    ("SELECT (id, person_id), DELETE", "identity"),
    ("SELECT (person_id)", "principal"),
];

const RETENTION: &str = "trackside_retention";
const INDEX: &str = "security_event_by_credential";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in
            [("security_event", text_null("credential")), ("api_key", uuid_null("successor_id"))]
        {
            m.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        let mut index = Index::create();
        for column in ["tenant_id", "credential", "id"] {
            index.col(column);
        }
        m.create_index(index.name(INDEX).table("security_event").to_owned()).await?;
        open_door(m, RETENTION, &RIGHTS).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for (rights, table) in RIGHTS {
            run(m, &format!("REVOKE {rights} ON {table} FROM {RETENTION}")).await?;
            run(m, &format!("DROP POLICY {RETENTION} ON {table}")).await?;
        }
        m.drop_index(Index::drop().name(INDEX).to_owned()).await?;
        for (table, column) in [("security_event", "credential"), ("api_key", "successor_id")] {
            m.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
