//! SQLite: how its file is opened, and how its schema moves.
//!
//! WAL with `synchronous=FULL`, so that a commit has reached the disk when it returns; foreign keys on; one
//! connection that writes and a few that only read.

use std::{
    fs::{DirBuilder, File},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    time::Duration,
};

use migration::{Migrator, MigratorTrait as _};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection,
    sqlx::{
        self, ConnectOptions as _, Connection as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous},
    },
};

use super::{Migrate, Step, newer, told};
use crate::error::{Error, Result};

/// Connections that read.
const READERS: u32 = 4;
/// How long a connection waits for another process's write.
const BUSY: Duration = Duration::from_secs(5);
/// How long a reader waits for a free connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Pages of write-ahead log (64 MiB) between checkpoints: fewer checkpoints, more ingest.
const CHECKPOINT_PAGES: &str = "16000";

/// Statements kept prepared: a batch of deliveries has one for each of its possible sizes.
const STATEMENTS: usize = 400;

/// The connection that writes and those that read.
pub(super) async fn open(path: &Path) -> Result<(DatabaseConnection, DatabaseConnection)> {
    make(path)?;
    let writer = connect(path, Access::Write).await?;
    let readers = connect(path, Access::Read).await?;
    Ok((writer, readers))
}

pub(super) async fn migrate(path: &Path, direction: Migrate) -> Result<Vec<Step>> {
    if direction == Migrate::Status && !path.exists() {
        // Looking makes nothing.
        return Ok(told([]));
    }
    make(path)?;
    let _lock = lock(path).await?;
    let conn = connect(path, Access::Write).await?;
    match direction {
        Migrate::Up => Migrator::up(&conn, None).await.map_err(newer)?,
        Migrate::Down(steps) => Migrator::down(&conn, Some(steps)).await.map_err(newer)?,
        Migrate::Status => {}
    }
    let applied = Migrator::get_applied_migrations_read_only(&conn).await.map_err(newer)?;
    conn.close().await?;
    Ok(told(applied.iter().map(|step| step.name())))
}

/// Whether somebody else has the file open: then it cannot be had alone, not even for a moment.
pub(super) async fn is_used(path: &Path) -> Result<bool> {
    let alone = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(1))
        .locking_mode(SqliteLockingMode::Exclusive)
        .journal_mode(SqliteJournalMode::Wal)
        .disable_statement_logging();
    match alone.connect().await {
        Ok(conn) => conn.close().await.map(|()| false).map_err(Error::internal),
        Err(sqlx::Error::Database(error)) if error.message().contains("locked") => Ok(true),
        Err(error) => Err(Error::internal(error)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

async fn connect(path: &Path, access: Access) -> Result<DatabaseConnection> {
    let file = path.to_owned();
    let mut options = ConnectOptions::new("sqlite://");
    options
        .sqlx_logging(false)
        .acquire_timeout(ACQUIRE)
        .max_connections(if access == Access::Write { 1 } else { READERS })
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(move |options| {
            let options = options
                .filename(&file)
                .create_if_missing(true)
                .busy_timeout(BUSY)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .statement_cache_capacity(STATEMENTS)
                .pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
            if access == Access::Read { options.pragma("query_only", "ON") } else { options }
        });
    Database::connect(options).await.map_err(|error| {
        Error::invalid(format!(
            "the database {} cannot be opened; check that its folder exists and may be written to",
            path.display()
        ))
        .because(error)
    })
}

/// Makes the folder and the file if they are missing, for their owner alone: deliveries are stored as they came.
/// SQLite gives the files that it makes beside the database the same mode.
fn make(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Error::invalid(format!("the folder {} cannot be made: {error}", folder.display())))?;
    let made = File::options().create(true).append(true).mode(0o600).open(path);
    made.map_err(|error| {
        Error::invalid(format!("the database {} cannot be opened: {error}", path.display()))
    })?;
    Ok(())
}

/// SeaORM's migrations take no lock of their own; two that run at once would both fail.
async fn lock(path: &Path) -> Result<File> {
    let path = path.with_extension("migrate.lock");
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    });
    locked.await.map_err(Error::internal)?.map_err(Error::internal)
}
