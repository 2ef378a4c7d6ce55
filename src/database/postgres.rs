//! PostgreSQL: its pool, how a transaction takes its role and its tenant, and how the schema moves.
//!
//! The user that the address names may own the tables, or be a superuser; no query runs as that user. Every
//! transaction begins with one message that takes a role which owns nothing, and the tenant whose rows that role
//! may see. All of it ends with the transaction and nothing depends on the session, so a pooler that gives each
//! transaction another session, such as PgBouncer, may stand in between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use migration::{Migrator, MigratorTrait as _};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait as _,
    sqlx::{
        self, ConnectOptions as _, Connection as _, PgConnection,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};
use tokio::sync::Semaphore;

use super::{
    Door, LANES, Migrate, Step, TenantId,
    lane::{Lanes, Session},
    newer,
    operation::Operation,
    told,
    writer::Turn,
};
use crate::{
    config::{Config, SecretUrl},
    error::{Error, Result},
};

/// The oldest version that is supported, as `server_version_num`.
const OLDEST: i32 = 15_00_00;
/// How long somebody waits for a free connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long a connection beyond the smallest number is kept without use.
const IDLE: Duration = Duration::from_secs(30);
/// A connection that was idle for this long is tried before it is used: the server may have been restarted.
const DOUBTFUL: Duration = Duration::from_secs(1);
/// Migrations that run at once wait for each other on this advisory lock: the text "tracksid" as a number.
const MIGRATION_LOCK: i64 = i64::from_be_bytes(*b"tracksid");
/// What holds in every transaction. A commit that returns is on disk whatever the server's default is; no statement
/// runs for ever; and a process that was stopped amid a transaction does not hold its locks for long.
const ALWAYS: &str = "SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = '30s'; \
                      SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '20s'";

/// Whose rows a transaction may see.
#[derive(Clone, Copy)]
pub(super) enum Scope {
    /// One tenant's.
    Tenant(TenantId),
    /// Everybody's, of a few tables.
    Door(Door),
}

/// Whether a transaction changes anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It sees one snapshot and writes nothing.
    Read,
    Write,
}

/// The pool.
#[derive(Clone)]
pub(super) struct Postgres {
    pub(super) pool: DatabaseConnection,
    /// Where deliveries are written.
    pub(super) ingest: Lanes,
    /// Where tool calls are recorded, one batch after the other.
    pub(super) audit: Lanes,
    /// Keeps connections free for those whom somebody waits for.
    background: Arc<Semaphore>,
    waiting: Arc<AtomicU32>,
    is_direct: bool,
}

impl Postgres {
    pub(super) async fn open(url: &SecretUrl, config: &Config) -> Result<Self> {
        let (pool, is_direct) = connect(url, *config.pool.start(), *config.pool.end()).await?;
        check(&pool, url).await?;
        let background = (*config.pool.end() as usize / 2).max(1);
        let options = pool.get_postgres_connection_pool().connect_options();
        Ok(Self {
            ingest: Lanes::start("ingest", LANES, &options, Session::new(Door::IngestWriter, is_direct))?,
            audit: Lanes::start("audit", 1, &options, Session::new(Door::AuditWriter, is_direct))?,
            pool,
            background: Arc::new(Semaphore::new(background)),
            waiting: Arc::default(),
            is_direct,
        })
    }

    /// Begins a transaction that reads. It is a task of its own, because a BEGIN that is cut off would go back to the
    /// pool with its connection, begun.
    pub(super) async fn begin_reading(&self, scope: Scope) -> Result<DatabaseTransaction> {
        let postgres = self.clone();
        let begun = tokio::spawn(async move { postgres.begin(scope, Access::Read).await });
        Ok(begun.await.map_err(Error::internal)??)
    }

    /// Begins a transaction that sees what `scope` says, and nothing else.
    async fn begin(&self, scope: Scope, access: Access) -> Result<DatabaseTransaction, DbErr> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let begun = self.pool.begin().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let conn = begun?;
        conn.execute_unprepared(&prelude(scope, access, self.is_direct)).await?;
        Ok(conn)
    }

    /// Has an operation carried out in a transaction. It is a task of its own, so that it is carried out when whoever
    /// asked goes away.
    pub(super) fn submit(&self, turn: Turn, scope: Scope, operation: Operation) {
        let postgres = self.clone();
        tokio::spawn(async move { postgres.run(turn, scope, operation).await });
    }

    async fn run(&self, turn: Turn, scope: Scope, operation: Operation) {
        let _slot = match turn {
            Turn::First => None,
            Turn::Behind => self.background.acquire().await.ok(),
        };
        let conn = match self.begin(scope, Access::Write).await {
            Ok(conn) => conn,
            Err(error) => {
                operation(Err(error.into())).await;
                return;
            }
        };
        match operation(Ok(&conn)).await {
            Some(answer) => answer(conn.commit().await.map_err(Error::from)),
            None => {
                if let Err(error) = conn.rollback().await {
                    tracing::debug!(%error, "there was nothing to roll back");
                }
            }
        }
    }

    /// Where batches go through a door, if there is a place of their own.
    pub(super) fn lanes(&self, door: Door) -> Option<&Lanes> {
        match door {
            Door::IngestWriter => Some(&self.ingest),
            Door::AuditWriter => Some(&self.audit),
            _ => None,
        }
    }

    /// Transactions that wait for a connection.
    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Session {
    /// How a connection that is held goes through a door.
    fn new(door: Door, is_direct: bool) -> Self {
        let words = prelude(Scope::Door(door), Access::Write, is_direct);
        match is_direct {
            true => Self::Ours { words: words.replace("SET LOCAL", "SET") },
            false => Self::Shared { begin: format!("BEGIN; {words}") },
        }
    }
}

/// What a transaction says first, in one message.
fn prelude(scope: Scope, access: Access, is_direct: bool) -> String {
    let snapshot = match access {
        Access::Read => "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; ",
        Access::Write => "",
    };
    let who = match scope {
        Scope::Tenant(tenant) => {
            format!("SET LOCAL ROLE trackside_app; SET LOCAL trackside.tenant = '{tenant}'")
        }
        // The queue of jobs changes faster than its statistics: its index is always the way.
        Scope::Door(Door::NextJobs) => format!(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; \
             SET LOCAL ROLE {}",
            Door::NextJobs.role()
        ),
        Scope::Door(Door::Search) => format!(
            "SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL ROLE {}",
            Door::Search.role()
        ),
        Scope::Door(door) => format!("SET LOCAL ROLE {}", door.role()),
    };
    // The snapshot comes first: to forget statements takes one, and it cannot be chosen any more then.
    format!("{snapshot}{}{ALWAYS}; {who}", forget(is_direct))
}

/// Behind a pooler a session may hold statements that another client has prepared under the names we are going to
/// use, because SeaORM cannot prepare without a name.
fn forget(is_direct: bool) -> &'static str {
    if is_direct { "" } else { "DEALLOCATE ALL; " }
}

/// A pool, and whether its connections are sessions of the server rather than of a pooler in between.
async fn connect(url: &SecretUrl, min: u32, max: u32) -> Result<(DatabaseConnection, bool)> {
    let unreachable = |error: sqlx::Error| {
        Error::invalid(format!(
            "the database {url} cannot be reached ({error}); check that it runs, and DATABASE_URL's host, user, \
             password and name"
        ))
    };
    let options: PgConnectOptions = url.expose().parse().map_err(unreachable)?;
    let options = options.application_name("trackside").extra_float_digits(None).disable_statement_logging();
    let is_direct = is_direct(&options).await;
    let options = if is_direct { options } else { options.statement_cache_capacity(0) };
    let pool = PgPoolOptions::new()
        .min_connections(min)
        .max_connections(max)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(IDLE)
        .test_before_acquire(false)
        .before_acquire(|conn, seen| {
            Box::pin(async move { Ok(seen.idle_for < DOUBTFUL || conn.ping().await.is_ok()) })
        })
        .connect_with(options)
        .await
        .map_err(unreachable)?;
    Ok((pool.into(), is_direct))
}

/// Whether the server itself answers: only its own sessions have the settings that a client asks for when it
/// connects. Statements can be kept prepared there.
async fn is_direct(options: &PgConnectOptions) -> bool {
    let asked = options.clone().options([("trackside.direct", "on")]);
    let Ok(mut conn) = PgConnection::connect_with(&asked).await else { return false };
    let told = sqlx::query_scalar::<_, Option<String>>("SELECT current_setting('trackside.direct', true)")
        .persistent(false)
        .fetch_one(&mut conn)
        .await;
    let _ = conn.close().await;
    told.is_ok_and(|told| told.as_deref() == Some("on"))
}

/// Whether another process of ours is connected. One that has just gone may seem to be there for a moment.
pub(super) async fn is_used(url: &SecretUrl) -> Result<bool> {
    let (pool, _) = connect(url, 0, 1).await?;
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                  AND application_name = 'trackside' AND pid <> pg_backend_pid()";
    let mut is_used = true;
    for wait in [0, 250, 500, 1000].map(Duration::from_millis) {
        tokio::time::sleep(wait).await;
        let mut conn = pool.get_postgres_connection_pool().begin().await.map_err(Error::internal)?;
        let count = sqlx::query_scalar::<_, i64>(others).persistent(false).fetch_one(&mut *conn).await;
        conn.rollback().await.map_err(Error::internal)?;
        is_used = count.map_err(Error::internal)? > 0;
        if !is_used {
            break;
        }
    }
    pool.close().await?;
    Ok(is_used)
}

/// Refuses a server that is too old, or that does not keep what it acknowledges.
async fn check(pool: &DatabaseConnection, url: &SecretUrl) -> Result<()> {
    let settings = sqlx::query_as::<_, (i32, String, String)>(
        "SELECT current_setting('server_version_num')::int, current_setting('fsync'), \
         current_setting('full_page_writes')",
    );
    // In a transaction: outside of one a pooler may ask another session for the answer than was asked the question.
    let mut conn = pool.get_postgres_connection_pool().begin().await.map_err(Error::internal)?;
    let answer = settings.persistent(false).fetch_one(&mut *conn).await;
    conn.rollback().await.map_err(Error::internal)?;
    let (version, fsync, full_pages) = answer.map_err(Error::internal)?;
    if version < OLDEST {
        let major = version / 10_000;
        return Err(Error::invalid(format!("{url} runs PostgreSQL {major}; trackside needs 15 or newer")));
    }
    for (setting, value) in [("fsync", fsync), ("full_page_writes", full_pages)] {
        if value != "on" {
            return Err(Error::invalid(format!(
                "{url} runs with {setting} = {value}, so that it may lose what it has acknowledged; set {setting} = on \
                 in postgresql.conf"
            )));
        }
    }
    Ok(())
}

/// All steps are one transaction, which also holds the lock: a pooler would not keep a session's.
pub(super) async fn migrate(url: &SecretUrl, direction: Migrate) -> Result<Vec<Step>> {
    let (pool, is_direct) = connect(url, 0, 1).await?;
    let conn = pool.begin().await?;
    let begin = format!("{}SELECT pg_advisory_xact_lock({MIGRATION_LOCK})", forget(is_direct));
    conn.execute_unprepared(&begin).await?;
    match direction {
        Migrate::Up => Migrator::up(&conn, None).await.map_err(|error| explain(url, error))?,
        Migrate::Down(steps) => {
            Migrator::down(&conn, Some(steps)).await.map_err(|error| explain(url, error))?
        }
        Migrate::Status => {}
    }
    let applied = Migrator::get_applied_migrations_read_only(&conn).await.map_err(newer)?;
    conn.commit().await?;
    pool.close().await?;
    Ok(told(applied.iter().map(|step| step.name())))
}

/// What keeps a user from migrating, in words.
fn explain(url: &SecretUrl, error: DbErr) -> Error {
    let DbErr::Exec(sea_orm::RuntimeErr::SqlxError(cause)) = &error else { return newer(error) };
    if cause.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "42501") {
        let why = format!(
            "the user of {url} may not do what the schema needs: it must own the database, and either may create \
             roles (ALTER ROLE … CREATEROLE) or be given the roles that README names"
        );
        return Error::invalid(why).because(error);
    }
    newer(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_pooler_the_snapshot_is_chosen_before_anything_takes_one() {
        let said = prelude(Scope::Door(Door::Installation), Access::Read, false);
        assert!(said.starts_with("SET TRANSACTION") && said.contains("DEALLOCATE ALL"), "{said}");
    }
}
