//! Group commit: rows that arrive at once are written by one statement in one transaction.
//!
//! A bounded queue feeds one task, which takes whatever waits (at most a batch), writes it, and tells each
//! submitter its own outcome after the commit. Waiting a little for a fuller batch gains nothing: while one
//! batch is being written the next gathers. A batch that fails is retried row by row, so that one bad row harms nobody.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, Result, chain};

/// Writes a batch; gives one outcome per row, in order.
type Commit<R, O> = Box<dyn Fn(Vec<R>) -> BoxFuture<'static, Result<Vec<O>>> + Send>;
type Waiting<R, O> = (R, oneshot::Sender<Result<O>>);

/// A handle to the queue; the task ends when the last handle is dropped.
pub struct GroupCommit<R, O> {
    queue: mpsc::Sender<Waiting<R, O>>,
}

impl<R: Clone + Send + 'static, O: Send + 'static> GroupCommit<R, O> {
    /// Starts a queue of `capacity` rows, written by `commit` at most `batch` at a time.
    pub fn start<F>(capacity: usize, batch: usize, commit: F) -> Self
    where
        F: Fn(Vec<R>) -> BoxFuture<'static, Result<Vec<O>>> + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(capacity);
        tokio::spawn(run(waiting, batch, Box::new(commit)));
        Self { queue }
    }

    /// Queues a row; returns after the commit of its batch. Once queued it is written even if the caller goes away.
    ///
    /// # Errors
    /// `unavailable` at once when the queue is full, and what `commit` said of this row.
    pub async fn submit(&self, row: R) -> Result<O> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send((row, answer)).map_err(|_| {
            Error::unavailable("too much is waiting to be stored; try again", Duration::from_secs(1))
        })?;
        answered.await.map_err(|_| Error::internal("the group commit dropped a row"))?
    }
}

async fn run<R: Clone, O>(mut waiting: mpsc::Receiver<Waiting<R, O>>, batch: usize, commit: Commit<R, O>) {
    let mut taken = Vec::with_capacity(batch);
    while waiting.recv_many(&mut taken, batch).await > 0 {
        let (rows, answers): (Vec<R>, Vec<_>) = taken.drain(..).unzip();
        match commit(rows.clone()).await {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    let _ = answer.send(Ok(outcome));
                }
            }
            Err(error) => {
                tracing::warn!(rows = rows.len(), error = %chain(&error), "a batch failed; its rows are retried singly");
                for (row, answer) in rows.into_iter().zip(answers) {
                    let outcome = commit(vec![row]).await.and_then(|mut outcomes| {
                        outcomes.pop().ok_or_else(|| Error::internal("a committed row without an outcome"))
                    });
                    let _ = answer.send(outcome);
                }
            }
        }
    }
}
