//! PostgreSQL connections with a thread of their own, for transactions that many wait for.
//!
//! As a task among others such a transaction would stand behind requests at each of its messages, while the server
//! has nothing to do. Here it also has one message instead of four: a batch is one statement, which is a transaction
//! of its own if nobody says otherwise, and its role was taken when the connection was made. Behind a pooler, where a
//! connection is another session each time, it has three. With two connections the server works on one transaction
//! while the other waits for the disk or for us.

use std::{sync::Arc, thread, time::Duration};

use futures::future::join_all;
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr,
    sqlx::postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    runtime,
    sync::{Mutex, mpsc},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{operation::Operation, writer::hold};
use crate::error::{Error, Result};

/// Connections of the ingest writer, which is how many transactions it has at once.
pub const LANES: usize = 2;
/// Transactions that may wait; more are refused.
const QUEUE: usize = 64;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Whose session a connection is, which says how a transaction gets its role and its limits.
pub(super) enum Session {
    /// Ours alone: these words are said once, and hold until it ends.
    Ours { words: String },
    /// A pooler gives each transaction another one: each begins with these words.
    Shared { begin: String },
}

/// A handle to the thread; it ends with the last one.
#[derive(Clone)]
pub(super) struct Lanes {
    queue: mpsc::Sender<Operation>,
    stop: CancellationToken,
    running: TaskTracker,
}

impl Lanes {
    /// Starts a thread of a name with so many connections, which are made when there is something to do.
    pub(super) fn start(
        name: &str,
        count: usize,
        options: &PgConnectOptions,
        session: Session,
    ) -> Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (stop, running) = (CancellationToken::new(), TaskTracker::new());
        let waiting = Arc::new(Mutex::new(waiting));
        let server = Arc::new(Server { options: options.clone(), session });
        let lane = || work(Arc::clone(&server), Arc::clone(&waiting), stop.clone());
        let lanes = running.track_future(join_all((0..count).map(|_| lane())));
        running.close();
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(move || runtime.block_on(lanes)).map_err(Error::internal)?;
        Ok(Self { queue, stop, running })
    }

    /// Has an operation carried out, which is one statement.
    ///
    /// # Errors
    /// `unavailable` when the thread has ended.
    pub(super) async fn submit(&self, operation: Operation) -> Result<()> {
        self.queue.send(operation).await.map_err(|_| unavailable())
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

/// Where connections lead to.
struct Server {
    options: PgConnectOptions,
    session: Session,
}

/// A connection that stays with its lane, and the pool of one that it came from.
struct Held {
    pool: DatabaseConnection,
    conn: DatabaseTransaction,
}

impl Held {
    async fn connect(server: &Server) -> Result<Self, DbErr> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT)
            .connect_lazy_with(server.options.clone());
        let pool = DatabaseConnection::from(pool);
        let conn = hold(&pool).await?;
        if let Session::Ours { words } = &server.session {
            conn.execute_unprepared(words).await?;
        }
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

async fn work(server: Arc<Server>, waiting: Arc<Mutex<mpsc::Receiver<Operation>>>, stop: CancellationToken) {
    let mut held = None;
    loop {
        let Some(operation) = next(&waiting, &stop).await else { break };
        match ready(&server, held.take()).await {
            Ok(connection) => held = transaction(&server, connection, operation).await,
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
async fn next(waiting: &Mutex<mpsc::Receiver<Operation>>, stop: &CancellationToken) -> Option<Operation> {
    let mut waiting = waiting.lock().await;
    tokio::select! {
        next = waiting.recv() => return next,
        () = stop.cancelled() => waiting.close(), // what waits is still received
    }
    waiting.recv().await
}

/// A connection on which a statement has its role: the one that is held or, should that be broken, a new one.
async fn ready(server: &Server, held: Option<Held>) -> Result<Held, DbErr> {
    let Session::Shared { begin } = &server.session else {
        return match held {
            Some(held) => Ok(held),
            None => Held::connect(server).await,
        };
    };
    if let Some(held) = held {
        match held.conn.execute_unprepared(begin).await {
            Ok(_) => return Ok(held),
            Err(_) => held.close().await,
        }
    }
    let held = Held::connect(server).await?;
    held.conn.execute_unprepared(begin).await?;
    Ok(held)
}

/// The operation and the end of its transaction; gives the connection back if it can still be used.
async fn transaction(server: &Server, held: Held, operation: Operation) -> Option<Held> {
    let Some(answer) = operation(Ok(&held.conn)).await else {
        // Where the statement was a transaction of its own there is nothing to undo, and this asks whether anybody is
        // there.
        return match held.conn.execute_unprepared("ROLLBACK").await {
            Ok(_) => Some(held),
            Err(_) => {
                held.close().await;
                None
            }
        };
    };
    if let Session::Shared { .. } = server.session
        && let Err(error) = held.conn.execute_unprepared("COMMIT").await
    {
        tracing::error!(%error, "a commit failed; everybody who waited for it is told so");
        answer(Err(unavailable().because(error)));
        held.close().await;
        return None;
    }
    answer(Ok(()));
    Some(held)
}
