//! Who gets in, and how: people and their sessions, invitations, tokens and what clients may do on somebody's behalf,
//! and the record of all that.

use sea_orm_migration::{prelude::*, schema::*};

use crate::tenancy::{close, drop_role, open_door, protect};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// What each door may do with which table.
const DOORS: [(&str, &[(&str, &str)]); 4] = [
    (
        "trackside_credentials",
        &[
            ("SELECT", "api_key"),
            ("SELECT", "principal"),
            ("SELECT", "session"),
            ("SELECT", "invitation"),
            ("SELECT", "oauth_grant"),
            ("SELECT", "authorization_code"),
            ("SELECT", "refresh_token"),
        ],
    ),
    (
        "trackside_people",
        &[
            ("SELECT, INSERT, UPDATE", "person"),
            ("SELECT, INSERT", "identity"),
            ("SELECT", "principal"),
            ("SELECT", "tenant"),
        ],
    ),
    ("trackside_signing_keys", &[("SELECT, INSERT, UPDATE, DELETE", "signing_key")]),
    ("trackside_oauth_clients", &[("SELECT, INSERT, UPDATE, DELETE", "oauth_client")]),
];

/// What doors that are there already may do with the new tables.
const RIGHTS: [(&str, &[(&str, &str)]); 2] = [
    (
        "trackside_installation",
        &[
            ("SELECT, INSERT", "person"),
            ("SELECT, INSERT", "identity"),
            ("SELECT, INSERT", "signing_key"),
            ("SELECT, INSERT", "oauth_client"),
        ],
    ),
    (
        "trackside_retention",
        &[
            ("SELECT (id, expires_at), DELETE", "session"),
            ("SELECT (id, expires_at), DELETE", "authorization_code"),
            ("SELECT (id, expires_at), DELETE", "refresh_token"),
            ("SELECT (id, expires_at), DELETE", "invitation"),
            ("SELECT (id, created_at, last_used_at), DELETE", "oauth_grant"),
            ("SELECT (id), DELETE", "security_event"),
        ],
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ("principal", uuid_null("person_id")),
            ("principal", text_null("agent_role")),
            ("principal", json_binary_null("project_access")),
            ("principal", timestamp_with_time_zone_null("deactivated_at")),
            ("principal", big_integer("version").default(1).to_owned()),
            ("api_key", timestamp_with_time_zone_null("last_used_at")),
        ];
        for (table, column) in columns {
            m.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        for table in tables() {
            m.create_table(table).await?;
        }
        for index in indexes() {
            m.create_index(index).await?;
        }
        for table in ["person", "identity", "signing_key", "oauth_client"] {
            close(m, table).await?;
        }
        for table in TENANTS {
            protect(m, table, "tenant_id", "SELECT, INSERT, UPDATE, DELETE").await?;
        }
        protect(m, "security_event", "tenant_id", "SELECT, INSERT").await?;
        for (role, rights) in DOORS {
            open_door(m, role, rights).await?;
        }
        for (role, rights) in RIGHTS {
            open_door(m, role, rights).await?;
        }
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        for index in ["principal_by_person", "principals_of_person", "api_key_by_principal"] {
            m.drop_index(Index::drop().name(index).to_owned()).await?;
        }
        for table in tables() {
            let Some(name) = table.get_table_name().cloned() else { continue };
            m.drop_table(Table::drop().table(name).to_owned()).await?;
        }
        for (role, _) in DOORS {
            drop_role(m, role).await?;
        }
        let columns = [
            ("principal", "person_id"),
            ("principal", "agent_role"),
            ("principal", "project_access"),
            ("principal", "deactivated_at"),
            ("principal", "version"),
            ("api_key", "last_used_at"),
        ];
        for (table, column) in columns {
            m.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

/// Those whose rows a tenant may write as it likes.
const TENANTS: [&str; 5] = ["session", "invitation", "oauth_grant", "authorization_code", "refresh_token"];

fn tables() -> Vec<TableCreateStatement> {
    vec![
        Table::create()
            .table("person")
            .col(uuid("id").primary_key())
            .col(text("email"))
            .col(text("name"))
            .col(text_null("password"))
            .col(timestamp_with_time_zone("created_at"))
            .to_owned(),
        Table::create()
            .table("identity")
            .col(uuid("id").primary_key())
            .col(uuid("person_id"))
            .col(text("issuer"))
            .col(text("subject"))
            .col(timestamp_with_time_zone("created_at"))
            .to_owned(),
        Table::create()
            .table("session")
            .col(uuid("id").primary_key())
            .col(uuid("tenant_id"))
            .col(uuid("principal_id"))
            .col(blob("hash"))
            .col(text("method"))
            .col(text_null("ip"))
            .col(text_null("user_agent"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone("last_seen_at"))
            .col(timestamp_with_time_zone("expires_at"))
            .col(timestamp_with_time_zone_null("revoked_at"))
            .to_owned(),
        Table::create()
            .table("invitation")
            .col(uuid("id").primary_key())
            .col(uuid("tenant_id"))
            .col(blob("hash"))
            .col(text("role"))
            .col(text_null("email"))
            .col(json_binary_null("project_access"))
            .col(uuid_null("invited_by"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone("expires_at"))
            .col(timestamp_with_time_zone_null("accepted_at"))
            .col(uuid_null("principal_id"))
            .col(timestamp_with_time_zone_null("revoked_at"))
            .to_owned(),
        Table::create()
            .table("signing_key")
            .col(uuid("id").primary_key())
            .col(text("kid"))
            .col(blob("sealed"))
            .col(text("state"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone_null("activated_at"))
            .col(timestamp_with_time_zone_null("retired_at"))
            .to_owned(),
        Table::create()
            .table("oauth_client")
            .col(uuid("id").primary_key())
            .col(text("client_id"))
            .col(json_binary("document"))
            .col(boolean("registered"))
            .col(timestamp_with_time_zone("fetched_at"))
            .col(timestamp_with_time_zone("fresh_until"))
            .to_owned(),
        Table::create()
            .table("oauth_grant")
            .col(uuid("id").primary_key())
            .col(uuid("tenant_id"))
            .col(uuid("principal_id"))
            .col(text("client_id"))
            .col(text("client_name"))
            .col(json_binary("scopes"))
            .col(json_binary("resources"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone_null("last_used_at"))
            .col(timestamp_with_time_zone_null("revoked_at"))
            .to_owned(),
        Table::create()
            .table("authorization_code")
            .col(uuid("id").primary_key())
            .col(uuid("tenant_id"))
            .col(uuid("grant_id"))
            .col(blob("hash"))
            .col(text("redirect_uri"))
            .col(text("challenge"))
            .col(timestamp_with_time_zone("expires_at"))
            .col(timestamp_with_time_zone_null("used_at"))
            .to_owned(),
        Table::create()
            .table("refresh_token")
            .col(uuid("id").primary_key())
            .col(uuid("tenant_id"))
            .col(uuid("grant_id"))
            .col(blob("hash"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone("expires_at"))
            .col(timestamp_with_time_zone_null("used_at"))
            .col(blob_null("successor"))
            .to_owned(),
        Table::create()
            .table("security_event")
            .col(uuid("id").primary_key())
            .col(uuid("tenant_id"))
            .col(timestamp_with_time_zone("at"))
            .col(text("actor_kind"))
            .col(uuid_null("actor_id"))
            .col(text("actor_name"))
            .col(text("action"))
            .col(text("outcome"))
            .col(text_null("target_kind"))
            .col(uuid_null("target_id"))
            .col(text_null("target_name"))
            .col(text_null("ip"))
            .col(text_null("user_agent"))
            .col(json_binary_null("details"))
            .to_owned(),
    ]
}

/// Secrets are found by their hashes, which are unique whoever they belong to: nobody can guess one, so a refused insert
/// tells nothing. The same goes for people, whose address is theirs in every tenant.
fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name: &'static str, table: &'static str, columns: &[&'static str], is_unique: bool| {
        let mut index = Index::create();
        index.name(name).table(table);
        columns.iter().for_each(|column| {
            index.col(*column);
        });
        if is_unique {
            index.unique();
        }
        index.to_owned()
    };
    vec![
        index("person_by_email", "person", &["email"], true),
        index("identity_by_subject", "identity", &["issuer", "subject"], true),
        index("identity_by_person", "identity", &["person_id"], false),
        index("session_by_hash", "session", &["hash"], true),
        index("session_by_principal", "session", &["tenant_id", "principal_id", "id"], false),
        index("session_by_expiry", "session", &["expires_at"], false),
        index("invitation_by_hash", "invitation", &["hash"], true),
        index("invitation_by_tenant", "invitation", &["tenant_id", "id"], false),
        index("invitation_by_expiry", "invitation", &["expires_at"], false),
        index("signing_key_by_kid", "signing_key", &["kid"], true),
        index("oauth_client_once", "oauth_client", &["client_id"], true),
        index("oauth_grant_by_principal", "oauth_grant", &["tenant_id", "principal_id", "id"], false),
        index("authorization_code_by_hash", "authorization_code", &["hash"], true),
        index("authorization_code_by_expiry", "authorization_code", &["expires_at"], false),
        index("refresh_token_by_hash", "refresh_token", &["hash"], true),
        index("refresh_token_by_grant", "refresh_token", &["tenant_id", "grant_id", "id"], false),
        index("refresh_token_by_expiry", "refresh_token", &["expires_at"], false),
        index("security_event_by_tenant", "security_event", &["tenant_id", "id"], false),
        index("security_event_by_action", "security_event", &["tenant_id", "action", "id"], false),
        index("security_event_by_actor", "security_event", &["tenant_id", "actor_id", "id"], false),
        index("principal_by_person", "principal", &["tenant_id", "person_id"], true),
        index("principals_of_person", "principal", &["person_id"], false),
        index("api_key_by_principal", "api_key", &["tenant_id", "principal_id", "id"], false),
    ]
}
