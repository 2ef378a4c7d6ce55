//! The one writer of a SQLite file: operations in order, one fsync for many.
//!
//! The writer takes what waits in its queues, runs it for at most [`SLICE`], commits, and answers all of it at
//! once. An operation that fails, or panics, is undone alone and answered at once; should the commit itself
//! fail, everybody in it is told so.
//!
//! Somebody waits for the answer to an operation whose [`Turn`] is first. Background operations come behind those,
//! and while those keep coming make no commit of their own: they ride along with the next one, so that nobody
//! waits for an fsync of theirs.
//!
//! The writer is a thread of its own: as a task among others it would stand behind requests at each statement. And
//! a statement costs two switches between threads, so there are few that are not an operation's own. sqlx would
//! add five for each transaction (its pool tests a connection that comes back, and it acknowledges each BEGIN and
//! COMMIT), so the writer holds one connection for its life and says BEGIN and COMMIT itself.

use std::{thread, time::Duration};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait as _};
use tokio::{
    runtime,
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::operation::{Answer, Operation};
use crate::error::{Error, Result};

/// How long operations may gather in one transaction.
const SLICE: Duration = Duration::from_millis(20);
/// How long a background operation waits for a commit to ride along with, when there was one this short ago.
const RIDE: Duration = Duration::from_millis(5);
/// Operations of either turn that may wait; more are refused.
const QUEUE: usize = 1024;

/// Whose operation comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Somebody waits for the answer.
    First,
    /// It is done in the background.
    Behind,
}

/// A handle to the writer; it ends when the last handle is dropped.
#[derive(Clone)]
pub struct Writer {
    first: mpsc::Sender<Operation>,
    behind: mpsc::Sender<Operation>,
    stop: CancellationToken,
    running: TaskTracker,
}

impl Writer {
    /// Starts the writer over a connection pool of exactly one.
    ///
    /// # Errors
    /// A connection that cannot be had.
    pub(super) async fn start(conn: DatabaseConnection) -> Result<Self> {
        let held = hold(&conn).await?;
        let (first, queue) = mpsc::channel(QUEUE);
        let (behind, background) = mpsc::channel(QUEUE);
        let queues = Queues { first: queue, behind: background, alone_from: Instant::now() };
        let (stop, running) = (CancellationToken::new(), TaskTracker::new());
        let writer = running.track_future(run(conn, held, queues, stop.clone()));
        running.close();
        let runtime =
            runtime::Builder::new_current_thread().enable_time().build().map_err(Error::internal)?;
        let thread = thread::Builder::new().name("writer".to_owned());
        thread.spawn(move || runtime.block_on(writer)).map_err(Error::internal)?;
        Ok(Self { first, behind, stop, running })
    }

    /// Lets what waits be written, closes the connection, and returns when that is done.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.running.wait().await;
    }

    /// Operations that wait.
    pub(super) fn waiting(&self) -> u32 {
        let waiting = 2 * QUEUE - self.first.capacity() - self.behind.capacity();
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    /// Has an operation carried out, in its turn.
    ///
    /// # Errors
    /// `unavailable` when too many wait.
    pub(super) async fn submit(&self, turn: Turn, operation: Operation) -> Result<()> {
        let queue = if turn == Turn::First { &self.first } else { &self.behind };
        queue
            .send_timeout(operation, Duration::from_secs(5))
            .await
            .map_err(|_| Error::unavailable("too many writes are waiting; try again", Duration::from_secs(1)))
    }
}

/// Operations that wait.
struct Queues {
    first: mpsc::Receiver<Operation>,
    behind: mpsc::Receiver<Operation>,
    /// Until then a background operation waits for others to ride along with.
    alone_from: Instant,
}

impl Queues {
    /// The operation that begins the next transaction; none once the last handle is dropped, or they were closed,
    /// and nothing waits any more.
    async fn recv(&mut self) -> Option<(Turn, Operation)> {
        let Self { first, behind, alone_from } = self;
        let alone = async {
            sleep_until(*alone_from).await;
            behind.recv().await
        };
        tokio::select! {
            biased;
            Some(operation) = first.recv() => Some((Turn::First, operation)),
            operation = alone => match operation {
                Some(operation) => Some((Turn::Behind, operation)),
                None => first.recv().await.map(|operation| (Turn::First, operation)),
            },
        }
    }

    fn close(&mut self) {
        self.first.close();
        self.behind.close();
    }
}

async fn run(
    conn: DatabaseConnection,
    held: DatabaseTransaction,
    mut queues: Queues,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            operation = queues.recv() => match operation {
                Some((turn, operation)) => transaction(&held, turn, operation, &mut queues).await,
                None => break,
            },
            () = stop.cancelled(), if !queues.first.is_closed() => queues.close(), // what waits is still received
        }
    }
    if let Err(error) = release(held, conn).await {
        tracing::warn!(error = %error, "the database did not close cleanly");
    }
}

/// A connection that stays with its holder. SeaORM lends one out only as a transaction, so one is begun, and ended at
/// once.
pub(super) async fn hold(conn: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let held = conn.begin().await?;
    held.execute_unprepared("ROLLBACK").await?;
    Ok(held)
}

/// Gives the connection back as it was lent, and closes it.
async fn release(held: DatabaseTransaction, conn: DatabaseConnection) -> Result<(), DbErr> {
    held.execute_unprepared("BEGIN").await?;
    held.rollback().await?;
    conn.close().await
}

/// One transaction: `operation`, whatever else waits until the slice is over, and one background operation.
async fn transaction(conn: &DatabaseTransaction, turn: Turn, operation: Operation, queues: &mut Queues) {
    if let Err(error) = conn.execute_unprepared("BEGIN IMMEDIATE").await {
        operation(Err(error.into())).await;
        return;
    }
    let began = Instant::now();
    // Alone so far, the first operation needs no savepoint.
    let Some(answer) = operation(Ok(conn)).await else { return rollback(conn).await };
    let (mut answers, mut awaited, mut outcome) = (vec![answer], turn == Turn::First, Ok(()));
    while outcome.is_ok()
        && began.elapsed() < SLICE
        && let Ok(operation) = queues.first.try_recv()
    {
        outcome = in_savepoint(conn, operation, &mut answers).await;
        awaited = true;
    }
    if outcome.is_ok()
        && let Ok(operation) = queues.behind.try_recv()
    {
        outcome = in_savepoint(conn, operation, &mut answers).await;
    }
    if outcome.is_ok() {
        outcome = conn.execute_unprepared("COMMIT").await.map(|_| ());
    }
    if awaited {
        queues.alone_from = Instant::now() + RIDE;
    }
    let outcome = outcome.map_err(|error| error.to_string());
    if let Err(error) = &outcome {
        tracing::error!(%error, "a commit failed; everybody who waited for it is told so");
        rollback(conn).await;
    }
    for answer in answers {
        answer(outcome.clone().map_err(|error| {
            Error::unavailable("the database did not take the write; try again", Duration::from_secs(1))
                .because(error)
        }));
    }
}

/// Runs an operation that shares its transaction; one that fails leaves nothing behind. An error here means that
/// the transaction cannot go on.
async fn in_savepoint(
    conn: &DatabaseTransaction,
    operation: Operation,
    answers: &mut Vec<Answer>,
) -> Result<(), DbErr> {
    conn.execute_unprepared("SAVEPOINT operation").await?;
    match operation(Ok(conn)).await {
        Some(answer) => answers.push(answer), // the commit releases the savepoint
        None => {
            conn.execute_unprepared("ROLLBACK TO operation").await?;
        }
    }
    Ok(())
}

async fn rollback(conn: &DatabaseTransaction) {
    if let Err(error) = conn.execute_unprepared("ROLLBACK").await {
        tracing::debug!(%error, "there was nothing to roll back");
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use sea_orm::{ConnectionTrait as _, Statement};
    use tempfile::TempDir;

    use super::*;
    use crate::{
        database::{operation::operation, sqlite},
        error::Code,
    };

    async fn stage() -> (Writer, DatabaseConnection, TempDir) {
        let folder = TempDir::new().expect("a folder");
        let (conn, readers) = sqlite::open(&folder.path().join("writer.db")).await.expect("open");
        conn.execute_unprepared("CREATE TABLE t (x INTEGER PRIMARY KEY)").await.expect("made");
        (Writer::start(conn).await.expect("started"), readers, folder)
    }

    /// Writes a number; what happens after that is up to `then`.
    async fn write(writer: &Writer, x: i64, then: fn() -> Result<()>) -> Result<()> {
        write_in(Turn::First, writer, x, then).await
    }

    async fn write_in(turn: Turn, writer: &Writer, x: i64, then: fn() -> Result<()>) -> Result<()> {
        let (operation, written) = operation(Box::new(move |conn| {
            Box::pin(async move {
                conn.execute_unprepared(&format!("INSERT INTO t VALUES ({x})")).await?;
                then().map(|()| ((), Vec::new()))
            })
        }));
        writer.submit(turn, operation).await?;
        written.await.expect("an answer")
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

    #[tokio::test]
    async fn a_background_write_rides_along_with_others_and_is_never_starved_by_them() {
        let (writer, readers, _folder) = stage().await;
        let never_ending = async {
            for x in 1.. {
                write(&writer, x, || Ok(())).await.expect("written");
            }
        };
        tokio::select! {
            () = never_ending => unreachable!("it never ends"),
            written = write_in(Turn::Behind, &writer, -1, || Ok(())) => written.expect("written"),
        }
        assert!(written(&readers).await.contains(&-1));
        write_in(Turn::Behind, &writer, -2, || Ok(())).await.expect("alone, when nobody else writes");
    }

    #[tokio::test]
    async fn what_waits_when_the_writer_is_closed_is_written_first() {
        let (writer, readers, _folder) = stage().await;
        let (foreground, background) =
            (write(&writer, 1, || Ok(())), write_in(Turn::Behind, &writer, 2, || Ok(())));
        let (a, b, ()) = tokio::join!(foreground, background, writer.close());
        assert!(a.is_ok() && b.is_ok());
        assert_eq!(written(&readers).await, [1, 2]);
    }
}
