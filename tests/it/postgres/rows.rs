//! P4 in the database itself: who sees which rows, and that nobody forgot a table or opened a door.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, TransactionTrait as _};
use trackside::{
    database::{Door, TenantId, Tx},
    error::{Error, Result},
};

use super::{server, server_with};
use crate::support::{PATIENCE, Server, number, said};

/// The rows of a query, as text with `|` between the columns.
async fn rows(database: &DatabaseConnection, sql: &str) -> Vec<String> {
    let statement = sea_orm::Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

#[tokio::test]
async fn every_table_with_a_tenant_shows_its_rows_to_that_tenant_alone() {
    let Some(server) = server().await else { return };
    let database = server.database().await;
    let open = rows(
        &database,
        "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' \
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND NOT (c.relrowsecurity \
         AND c.relforcerowsecurity AND EXISTS (SELECT FROM pg_policies p WHERE p.tablename = c.relname \
         AND p.roles = '{trackside_app}' AND p.cmd = 'ALL' AND p.qual LIKE '%tenant_id = %trackside.tenant%'))",
    )
    .await;
    assert!(open.is_empty(), "not under row-level security: {open:?}");
    let own = "SELECT count(*) FROM pg_class WHERE relowner IN (SELECT oid FROM pg_roles WHERE rolname LIKE 'trackside%')";
    assert_eq!(number(&database, own).await, 0, "the roles own nothing");
    let strong = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'trackside%' AND (rolcanlogin OR rolbypassrls OR rolsuper)";
    assert_eq!(number(&database, strong).await, 0, "nobody signs in as one, and none sees everything");
}

#[tokio::test]
async fn the_doors_are_these_and_open_no_further() {
    let Some(server) = server().await else { return };
    let database = server.database().await;
    let roles = rows(
        &database,
        "SELECT DISTINCT unnest(roles)::text FROM pg_policies WHERE policyname <> 'tenant' ORDER BY 1",
    )
    .await;
    let mut doors = Door::ALL.map(Door::role).to_vec();
    doors.sort_unstable();
    assert_eq!(roles, doors, "each door is a role, and there is no other");
    let rights = rows(
        &database,
        "SELECT format('%s may %s %s', grantee, privilege_type, table_name) FROM information_schema.table_privileges \
         WHERE grantee LIKE 'trackside\\_%' AND grantee <> 'trackside_app' UNION ALL \
         SELECT format('%s may %s %s.%s', grantee, privilege_type, table_name, column_name) FROM information_schema.column_privileges c \
         WHERE grantee LIKE 'trackside\\_%' AND grantee <> 'trackside_app' AND NOT EXISTS (SELECT FROM information_schema.table_privileges t \
         WHERE (t.grantee, t.table_name, t.privilege_type) = (c.grantee, c.table_name, c.privilege_type)) ORDER BY 1",
    )
    .await;
    insta::assert_snapshot!(rights.join("\n"));
}

#[tokio::test]
async fn a_transaction_that_says_no_tenant_sees_nothing_and_one_that_does_sees_its_own() {
    let Some(server) = server().await else { return };
    let project = server.project().await;
    server.tenant("Other").await.project("Theirs").await;
    let database = server.database().await;
    let tables = rows(&database, "SELECT tablename::text FROM pg_policies WHERE policyname = 'tenant'").await;
    assert!(tables.len() >= 13, "{tables:?}");
    for table in tables {
        let conn = database.begin().await.unwrap();
        conn.execute_unprepared("SET LOCAL ROLE trackside_app").await.unwrap();
        assert_eq!(seen(&conn, &table, "count(*)").await, 0, "{table} before a tenant is named");
        let tenant = project.tenant.id;
        conn.execute_unprepared(&format!("SET LOCAL trackside.tenant = '{tenant}'")).await.unwrap();
        let column = if table == "tenant" { "id" } else { "tenant_id" };
        let foreign = format!("count(*) FILTER (WHERE {column} <> '{tenant}')");
        assert_eq!(seen(&conn, &table, &foreign).await, 0, "{table}");
        if table == "project" {
            assert_eq!(seen(&conn, &table, "count(*)").await, 1);
        }
        let update = format!("UPDATE {table} SET {column} = gen_random_uuid()");
        let moved = conn.execute_unprepared(&update).await;
        assert!(moved.is_err() || moved.unwrap().rows_affected() == 0, "a row of {table} can be given away");
    }
}

async fn seen(conn: &DatabaseTransaction, table: &str, what: &str) -> i64 {
    let statement =
        sea_orm::Statement::from_string(conn.get_database_backend(), format!("SELECT {what} FROM {table}"));
    conn.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_transactions_that_are_cut_off_at_any_moment_leave_no_tenant_behind() {
    let Some(server) = server_with(&[("TRACKSIDE_DB_POOL_MAX", "4")]).await else { return };
    let mut tenants = Vec::new();
    for name in ["A", "B", "C", "D", "E"] {
        let tenant = server.tenant(name).await;
        tenant.project(name).await;
        tenants.push(tenant.id);
    }
    let (completed, cut) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let visit = async |seed: u64| {
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..500 {
            let tenant = tenants[random.random_range(0..tenants.len())];
            let patience = match random.random_bool(0.5) {
                true => Duration::from_micros(random.random_range(0..4_000)),
                false => PATIENCE,
            };
            let looked = look(&server, tenant, random.random_range(0..4));
            match tokio::time::timeout(patience, looked).await {
                Ok(()) => completed.fetch_add(1, Ordering::Relaxed),
                Err(_) => cut.fetch_add(1, Ordering::Relaxed),
            };
        }
    };
    futures::future::join_all((0..20).map(visit)).await;
    let (completed, cut) = (completed.into_inner(), cut.into_inner());
    assert_eq!(completed + cut, 10_000);
    server.service.stop().await; // what nobody waited for any more has ended too
    assert_eq!(WRONG.load(Ordering::Relaxed), 0, "transactions saw what was another tenant's");
    assert!(completed > 500 && cut > 500, "{completed} were completed and {cut} cut off");
}

/// Transactions that saw another tenant's rows or settings, also those that nobody waited for any more.
static WRONG: AtomicUsize = AtomicUsize::new(0);

/// A transaction of some kind, which looks whose rows and settings it sees.
async fn look(server: &Server, tenant: TenantId, kind: u8) {
    async fn check(tx: &Tx<'_>, expected: String, outcome: Result<()>) -> Result<()> {
        let sql = "SELECT string_agg(DISTINCT tenant_id::text, ' ') || current_setting('trackside.tenant') || \
                   current_user FROM project";
        WRONG.fetch_add(usize::from(said(tx.conn(), sql).await != expected), Ordering::Relaxed);
        outcome
    }
    let expected = format!("{tenant}{tenant}trackside_app");
    let database = &server.service.app.database;
    match kind {
        0 => {
            database.read(tenant, |tx| Box::pin(check(tx, expected, Ok(())))).await.unwrap();
        }
        1 => {
            database.write(tenant, |tx| Box::pin(check(tx, expected, Ok(())))).await.unwrap();
        }
        2 => {
            let fail = Err(Error::invalid("on purpose"));
            database.write(tenant, |tx| Box::pin(check(tx, expected, fail))).await.unwrap_err();
        }
        _ => {
            // Through a door no tenant is named at all.
            let sql = "SELECT coalesce(current_setting('trackside.tenant', true), '') || current_user";
            let through = database
                .read_through(Door::EventHeads, |tx| Box::pin(async { Ok(said(tx.conn(), sql).await) }));
            let is_wrong = through.await.unwrap() != Door::EventHeads.role();
            WRONG.fetch_add(usize::from(is_wrong), Ordering::Relaxed);
        }
    }
}
