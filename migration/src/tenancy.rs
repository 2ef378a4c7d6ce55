//! Who may see which rows, on PostgreSQL. SQLite knows neither roles nor row-level security, so nothing happens there.
//!
//! A step that makes a table with a `tenant_id` calls [`protect`] for it; a test of the catalog fails when one does
//! not. What must look across tenants goes through a door: a role of its own, with a few rights to a few columns.
//! Row-level security is forced, on the tables' owner too: a later step that changes rows has to lift that for
//! itself (`ALTER TABLE … NO FORCE ROW LEVEL SECURITY`) and restore it.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

/// The role of a tenant's transactions.
const APP: &str = "trackside_app";

/// Makes the role of a tenant's transactions.
pub(crate) async fn create_app(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    create_role(m, APP).await
}

/// Puts a table under row-level security: a transaction sees and writes the rows whose `column` is its tenant, and
/// none when it has not said which tenant it is.
pub(crate) async fn protect(
    m: &SchemaManager<'_>,
    table: &str,
    column: &str,
    rights: &str,
) -> Result<(), DbErr> {
    close(m, table).await?;
    // A query of its own is worked out once per statement, not once per row.
    let tenant = "(SELECT NULLIF(current_setting('trackside.tenant', true), '')::uuid)";
    let policy = format!("CREATE POLICY tenant ON {table} TO {APP} USING ({column} = {tenant})");
    run(m, &policy).await?;
    run(m, &format!("GRANT {rights} ON {table} TO {APP}")).await
}

/// Puts a table under row-level security that shows nobody anything, but through doors.
pub(crate) async fn close(m: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    run(m, &format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")).await
}

/// Undoes [`protect`] or [`close`], whichever it was.
pub(crate) async fn unprotect(m: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    run(m, &format!("DROP POLICY IF EXISTS tenant ON {table}")).await?;
    run(m, &format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")).await
}

/// Makes a door: a role, and what it may do, as pairs of rights and a table.
pub(crate) async fn open_door(
    m: &SchemaManager<'_>,
    role: &str,
    rights: &[(&str, &str)],
) -> Result<(), DbErr> {
    create_role(m, role).await?;
    let mut seen = Vec::new();
    for (right, table) in rights {
        if !seen.contains(table) {
            run(m, &format!("CREATE POLICY {role} ON {table} TO {role} USING (true)")).await?;
            seen.push(table);
        }
        run(m, &format!("GRANT {right} ON {table} TO {role}")).await?;
    }
    Ok(())
}

/// Takes from a role everything it may do in this database, and removes it, unless another database uses it or the
/// present user may not remove roles.
pub(crate) async fn drop_role(m: &SchemaManager<'_>, role: &str) -> Result<(), DbErr> {
    // The rights go whatever becomes of the role: what an inner block catches undoes that block alone.
    run(
        m,
        &format!(
            "DO $$ BEGIN
               IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                 DROP OWNED BY {role};
                 BEGIN
                   DROP ROLE {role};
                 EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege OR undefined_object THEN
                   NULL;
                 END;
               END IF;
             END $$"
        ),
    )
    .await
}

/// Undoes [`create_app`].
pub(crate) async fn drop_app(m: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_role(m, APP).await
}

/// Makes a role that nobody can sign in as and that owns nothing, unless the server has it from another database,
/// and lets the present user take it.
async fn create_role(m: &SchemaManager<'_>, role: &str) -> Result<(), DbErr> {
    run(
        m,
        &format!(
            "DO $$ DECLARE
               may text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
             BEGIN
               IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                 BEGIN
                   CREATE ROLE {role} NOLOGIN;
                 EXCEPTION WHEN duplicate_object OR unique_violation THEN
                   NULL;
                 END;
               END IF;
               IF NOT pg_has_role(current_user, '{role}', may) THEN
                 EXECUTE format('GRANT {role} TO %I', current_user);
               END IF;
               EXECUTE format('GRANT USAGE ON SCHEMA %I TO {role}', current_schema());
             END $$"
        ),
    )
    .await
}

/// Says something to PostgreSQL, and nothing to SQLite.
pub(crate) async fn run(m: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    let conn = m.get_connection();
    if conn.get_database_backend() == DbBackend::Postgres {
        conn.execute_unprepared(sql).await?;
    }
    Ok(())
}
