//! PostgreSQL connections with a thread of their own, for transactions that many wait for.
//!
//! As a task among others such a transaction would stand behind requests at each of its statements, while the server
//! has nothing to do. Here it also begins with one message instead of three, because its connection is held. With
//! two connections the server works on one transaction while the other waits for the disk or for us.

use std::{sync::Arc, thread, time::Duration};

use futures::future::{BoxFuture, join_all};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr,
    sqlx::postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    runtime,
    sync::{Mutex, mpsc},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    AfterCommit,
    writer::{Operation, boxed, hold},
};
use crate::error::{Error, Result};

/// Connections of the ingest writer, which is how many transactions it has at once.
pub const LANES: usize = 2;
/// Transactions that may wait; more are refused.
const QUEUE: usize = 64;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// What a transaction begins with, and what it does.
type Waiting = (String, Operation);

/// A handle to the thread; it ends with the last one.
#[derive(Clone)]
pub(super) struct Lanes {
    queue: mpsc::Sender<Waiting>,
    stop: CancellationToken,
    running: TaskTracker,
}

impl Lanes {
    /// Starts a thread of a name with so many connections, which are made when there is something to do.
    pub(super) fn start(name: &str, count: usize, options: PgConnectOptions) -> Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (stop, running) = (CancellationToken::new(), TaskTracker::new());
        let waiting = Arc::new(Mutex::new(waiting));
        let lane = || work(options.clone(), Arc::clone(&waiting), stop.clone());
        let lanes = running.track_future(join_all((0..count).map(|_| lane())));
        running.close();
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(move || runtime.block_on(lanes)).map_err(Error::internal)?;
        Ok(Self { queue, stop, running })
    }

    /// Runs `operation` in a transaction that begins with the words `begin`; returns its value after the commit.
    pub(super) async fn run<T, F>(&self, begin: String, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<(T, Vec<AfterCommit>)>>
            + Send
            + 'static,
    {
        let (operation, answered) = boxed(operation);
        self.queue.send((begin, operation)).await.map_err(|_| unavailable())?;
        answered.await.map_err(|_| unavailable())?
    }

    /// Lets what waits be written, and returns when that is done.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.running.wait().await;
    }
}

fn unavailable() -> Error {
    Error::unavailable("the database did not take the write; try again", Duration::from_secs(1))
}

/// A connection that stays with its lane, and the pool of one that it came from.
struct Held {
    pool: DatabaseConnection,
    conn: DatabaseTransaction,
}

impl Held {
    async fn connect(options: &PgConnectOptions) -> Result<Self, DbErr> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT)
            .connect_lazy_with(options.clone());
        let pool = DatabaseConnection::from(pool);
        let conn = hold(&pool).await?;
        Ok(Self { pool, conn })
    }

    /// Closes the connection, whatever state it is in.
    async fn close(self) {
        drop(self.conn);
        if let Err(error) = self.pool.close().await {
            tracing::debug!(%error, "a connection that was held did not close cleanly");
        }
    }
}

async fn work(
    options: PgConnectOptions,
    waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>,
    stop: CancellationToken,
) {
    let mut held = None;
    loop {
        let Some((begin, operation)) = next(&waiting, &stop).await else { break };
        match begun(&options, held.take(), &begin).await {
            Ok(connection) => held = transaction(connection, operation).await,
            Err(error) => {
                operation(Err(error.into())).await;
            }
        }
    }
    if let Some(held) = held {
        held.close().await;
    }
}

/// What waits longest; nothing once the lanes are to stop and nothing waits any more.
async fn next(waiting: &Mutex<mpsc::Receiver<Waiting>>, stop: &CancellationToken) -> Option<Waiting> {
    let mut waiting = waiting.lock().await;
    tokio::select! {
        next = waiting.recv() => return next,
        () = stop.cancelled() => waiting.close(), // what waits is still received
    }
    waiting.recv().await
}

/// A connection on which a transaction has begun: the one that is held or, should that be broken, a new one.
async fn begun(options: &PgConnectOptions, held: Option<Held>, begin: &str) -> Result<Held, DbErr> {
    if let Some(held) = held {
        match held.conn.execute_unprepared(begin).await {
            Ok(_) => return Ok(held),
            Err(_) => held.close().await,
        }
    }
    let held = Held::connect(options).await?;
    held.conn.execute_unprepared(begin).await?;
    Ok(held)
}

/// The operation and the end of its transaction; gives the connection back if it can still be used.
async fn transaction(held: Held, operation: Operation) -> Option<Held> {
    let Some(answer) = operation(Ok(&held.conn)).await else {
        return match held.conn.execute_unprepared("ROLLBACK").await {
            Ok(_) => Some(held),
            Err(_) => {
                held.close().await;
                None
            }
        };
    };
    match held.conn.execute_unprepared("COMMIT").await {
        Ok(_) => {
            answer(Ok(()));
            Some(held)
        }
        Err(error) => {
            tracing::error!(%error, "a commit failed; everybody who waited for it is told so");
            answer(Err(unavailable().because(error)));
            held.close().await;
            None
        }
    }
}
