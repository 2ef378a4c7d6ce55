//! The one writer of a SQLite file: operations in order, a savepoint each, one fsync for many.
//!
//! The writer takes what waits in its queue, runs it for at most [`SLICE`], commits, and answers all of it at
//! once. An operation that fails, or panics, is undone alone and answered at once; should the commit itself
//! fail, everybody in it is told so. While nothing is to do, the writer asks each second whether another process has written.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait as _,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::AfterCommit;
use crate::error::{Error, Result};

/// How long operations may gather in one transaction.
const SLICE: Duration = Duration::from_millis(20);
/// Operations that may wait; more are refused.
const QUEUE: usize = 1024;
/// How often another process's writes are looked for.
const POLL: Duration = Duration::from_secs(1);

/// Called with the outcome of the commit.
type Answer = Box<dyn FnOnce(Result<()>) + Send>;
/// Runs an operation in a transaction, if one could begin; gives back whom to answer after the commit, or has
/// answered already.
type Operation =
    Box<dyn for<'t> FnOnce(Result<&'t DatabaseTransaction>) -> BoxFuture<'t, Option<Answer>> + Send>;

/// A handle to the writer; it ends when the last handle is dropped.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Operation>,
    stop: CancellationToken,
    running: TaskTracker,
    foreign_writes: watch::Receiver<u64>,
}

impl Writer {
    /// Starts the writer over a connection pool of exactly one.
    pub(super) fn start(conn: DatabaseConnection) -> Self {
        let (queue, operations) = mpsc::channel(QUEUE);
        let (noticed, foreign_writes) = watch::channel(0);
        let (stop, running) = (CancellationToken::new(), TaskTracker::new());
        running.spawn(run(conn, operations, noticed, stop.clone()));
        running.close();
        Self { queue, stop, running, foreign_writes }
    }

    /// Lets what waits be written, closes the connection, and returns when that is done.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.running.wait().await;
    }

    pub(super) fn foreign_writes(&self) -> watch::Receiver<u64> {
        self.foreign_writes.clone()
    }

    /// Operations that wait.
    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(self.queue.max_capacity() - self.queue.capacity()).unwrap_or(u32::MAX)
    }

    /// Runs `operation` in a transaction; returns its value after the commit.
    pub(super) async fn run<T, F>(&self, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<(T, Vec<AfterCommit>)>>
            + Send
            + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let boxed: Operation = Box::new(move |conn| {
            Box::pin(async move {
                let outcome = match conn {
                    Ok(conn) => in_savepoint(conn, operation).await,
                    Err(error) => Err(error),
                };
                match outcome {
                    Ok((value, signals)) => Some(Box::new(move |commit: Result<()>| {
                        if commit.is_ok() {
                            signals.into_iter().for_each(|signal| signal());
                        }
                        let _ = answer.send(commit.map(|()| value));
                    }) as Answer),
                    Err(error) => {
                        let _ = answer.send(Err(error));
                        None
                    }
                }
            })
        });
        let busy = || Error::unavailable("too many writes are waiting; try again", Duration::from_secs(1));
        self.queue.send_timeout(boxed, Duration::from_secs(5)).await.map_err(|_| busy())?;
        answered.await.map_err(|_| Error::internal("the writer dropped an operation"))?
    }
}

/// Runs an operation in a savepoint of its own; one that fails or panics leaves nothing behind.
pub(super) async fn in_savepoint<T, F>(conn: &DatabaseTransaction, operation: F) -> Result<T>
where
    F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T>> + Send,
{
    let savepoint = conn.begin().await?;
    match AssertUnwindSafe(operation(&savepoint)).catch_unwind().await {
        Ok(Ok(value)) => {
            savepoint.commit().await?;
            Ok(value)
        }
        Ok(Err(error)) => {
            savepoint.rollback().await?;
            Err(error)
        }
        Err(_) => {
            savepoint.rollback().await?;
            Err(Error::internal("a write panicked; its panic message is above in the log"))
        }
    }
}

async fn run(
    conn: DatabaseConnection,
    mut operations: mpsc::Receiver<Operation>,
    noticed: watch::Sender<u64>,
    stop: CancellationToken,
) {
    let mut poll = interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut data_version = None;
    loop {
        tokio::select! {
            operation = operations.recv() => match operation {
                Some(first) => transaction(&conn, first, &mut operations).await,
                None => break,
            },
            () = stop.cancelled(), if !operations.is_closed() => operations.close(), // what waits is still received
            _ = poll.tick() => {
                // SQLite moves this number on commits of other connections only, so never on our own.
                let seen = read_data_version(&conn).await.ok();
                if seen.is_some() && data_version.is_some() && seen != data_version {
                    noticed.send_modify(|epoch| *epoch += 1);
                }
                data_version = seen.or(data_version);
            }
        }
    }
    if let Err(error) = conn.close().await {
        tracing::warn!(error = %error, "the database did not close cleanly");
    }
}

/// One transaction: `first`, and whatever else waits, until the slice is over or the queue is empty.
async fn transaction(
    conn: &DatabaseConnection,
    first: Operation,
    operations: &mut mpsc::Receiver<Operation>,
) {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let tx = match conn.begin_with_options(options).await {
        Ok(tx) => tx,
        Err(error) => {
            first(Err(error.into())).await;
            return;
        }
    };
    let began = Instant::now();
    let mut answers = Vec::new();
    let mut next = Some(first);
    while let Some(operation) = next {
        answers.extend(operation(Ok(&tx)).await);
        next = if began.elapsed() < SLICE { operations.try_recv().ok() } else { None };
    }
    let outcome = tx.commit().await.map_err(|error| error.to_string());
    if let Err(error) = &outcome {
        tracing::error!(%error, "a commit failed; everybody who waited for it is told so");
    }
    for answer in answers {
        answer(outcome.clone().map_err(|error| {
            Error::unavailable("the database did not take the write; try again", Duration::from_secs(1))
                .because(error)
        }));
    }
}

async fn read_data_version(conn: &DatabaseConnection) -> Result<i64, DbErr> {
    let statement = Statement::from_string(conn.get_database_backend(), "PRAGMA data_version");
    let row = conn.query_one_raw(statement).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait as _;
    use tempfile::TempDir;

    use super::*;
    use crate::{database::sqlite, error::Code};

    async fn stage() -> (Writer, DatabaseConnection, TempDir) {
        let folder = TempDir::new().expect("a folder");
        let (conn, readers) = sqlite::open(&folder.path().join("writer.db")).await.expect("open");
        conn.execute_unprepared("CREATE TABLE t (x INTEGER PRIMARY KEY)").await.expect("made");
        (Writer::start(conn), readers, folder)
    }

    /// Writes a number; what happens after that is up to `then`.
    async fn write(writer: &Writer, x: i64, then: fn() -> Result<()>) -> Result<()> {
        let operation = writer.run(move |conn| {
            Box::pin(async move {
                conn.execute_unprepared(&format!("INSERT INTO t VALUES ({x})")).await?;
                then().map(|()| ((), Vec::new()))
            })
        });
        operation.await
    }

    async fn written(readers: &DatabaseConnection) -> Vec<i64> {
        let statement = Statement::from_string(readers.get_database_backend(), "SELECT x FROM t ORDER BY x");
        let rows = readers.query_all_raw(statement).await.expect("read");
        rows.iter().map(|row| row.try_get_by_index(0).expect("a number")).collect()
    }

    #[tokio::test]
    async fn an_operation_that_fails_or_panics_is_undone_alone() {
        let (writer, readers, _folder) = stage().await;
        let fails = || Err(Error::invalid("no"));
        let (a, b, c, d, e) = tokio::join!(
            write(&writer, 1, || Ok(())),
            write(&writer, 2, fails),
            write(&writer, 3, || panic!("on purpose")),
            write(&writer, 1, || Ok(())), // breaks the primary key
            write(&writer, 4, || Ok(())),
        );
        assert!(a.is_ok() && e.is_ok());
        assert_eq!(b.expect_err("it failed").code, Code::InvalidRequest);
        assert_eq!(c.expect_err("it panicked").code, Code::Internal);
        assert_eq!(d.expect_err("it clashed").code, Code::Internal);
        assert_eq!(written(&readers).await, [1, 4]);
    }

    #[tokio::test]
    async fn whoever_is_answered_can_read_what_was_written() {
        let (writer, readers, _folder) = stage().await;
        for x in 0..50 {
            write(&writer, x, || Ok(())).await.expect("written");
            assert_eq!(written(&readers).await.len() as i64, x + 1);
        }
    }

    #[tokio::test]
    async fn a_write_whose_caller_went_away_is_carried_out_all_the_same() {
        let (writer, readers, _folder) = stage().await;
        assert!(write(&writer, 1, || Ok(())).now_or_never().is_none(), "the caller did not wait");
        write(&writer, 2, || Ok(())).await.expect("written");
        assert_eq!(written(&readers).await, [1, 2]);
    }
}
