//! Group commit: rows that arrive at once are written by one statement in one transaction.
//!
//! A bounded queue feeds a few writers, which take turns: one takes whatever waits (at most a batch), writes it, and
//! tells each submitter its own outcome after the commit. While a batch waits for the disk, the next gathers or is
//! being written. A batch that fails is retried row by row, so that one bad row harms nobody.
//!
//! Those who were just answered often come back at once. On a slow disk that would make two groups that take turns,
//! each waiting for the other's fsync; so there, and only there, a batch waits a moment for as many rows as could
//! be in it.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::error::{Error, Result, chain};

/// Half a commit that is shorter than this is not worth waiting for.
const WORTH_WAITING: Duration = Duration::from_millis(1);
/// About what a row takes by itself, on either engine: more rows in a batch do not save that.
const ROW: Duration = Duration::from_micros(50);

/// Writes a batch; gives one outcome per row, in order.
type Commit<R, O> = Arc<dyn Fn(Vec<Arc<R>>) -> BoxFuture<'static, Result<Vec<O>>> + Send + Sync>;
type Waiting<R, O> = (Arc<R>, oneshot::Sender<Result<O>>);

/// A handle to the queue; the writers end when the last handle is dropped.
pub struct GroupCommit<R, O> {
    queue: mpsc::Sender<Waiting<R, O>>,
}

impl<R: Send + Sync + 'static, O: Send + 'static> GroupCommit<R, O> {
    /// Starts a queue of `capacity` rows, written by `commit` at most `batch` at a time, in at most `writers` batches
    /// at once.
    pub fn start<F>(capacity: usize, batch: usize, writers: usize, commit: F) -> Self
    where
        F: Fn(Vec<Arc<R>>) -> BoxFuture<'static, Result<Vec<O>>> + Send + Sync + 'static,
    {
        let (queue, waiting) = mpsc::channel(capacity);
        let (waiting, commit): (_, Commit<R, O>) = (Arc::new(Mutex::new(waiting)), Arc::new(commit));
        for _ in 0..writers {
            tokio::spawn(run(Arc::clone(&waiting), batch, Arc::clone(&commit)));
        }
        Self { queue }
    }

    /// Queues a row; returns after the commit of its batch. Once queued it is written even if the caller goes away.
    ///
    /// # Errors
    /// `unavailable` at once when the queue is full, and what `commit` said of this row.
    pub async fn submit(&self, row: R) -> Result<O> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send((Arc::new(row), answer)).map_err(|_| {
            Error::unavailable("too much is waiting to be stored; try again", Duration::from_secs(1))
        })?;
        answered.await.map_err(|_| Error::internal("the group commit dropped a row"))?
    }
}

async fn run<R, O>(queue: Arc<Mutex<mpsc::Receiver<Waiting<R, O>>>>, batch: usize, commit: Commit<R, O>) {
    let mut taken = Vec::with_capacity(batch);
    // How many rows the next batch could have, and how long to wait for them at most: half of what the last commit took
    // beside its rows.
    let (mut expected, mut patience) = (1, Duration::ZERO);
    loop {
        let mut waiting = queue.lock().await;
        if waiting.recv_many(&mut taken, batch).await == 0 {
            return;
        }
        if patience >= WORTH_WAITING && taken.len() < expected {
            let gather =
                async { while taken.len() < expected && waiting.recv_many(&mut taken, batch).await > 0 {} };
            let _ = timeout(patience, gather).await;
        }
        drop(waiting);
        let began = Instant::now();
        let (rows, answers): (Vec<_>, Vec<_>) = taken.drain(..).unzip();
        let count = rows.len();
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
        patience = began.elapsed().saturating_sub(ROW * u32::try_from(count).unwrap_or(u32::MAX)) / 2;
        expected = count;
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, future::join_all};

    use super::*;

    #[tokio::test]
    async fn one_bad_row_harms_nobody_and_everybody_gets_an_own_outcome() {
        let queue = GroupCommit::start(100, 10, 2, |rows: Vec<Arc<i32>>| {
            Box::pin(async move {
                match rows.contains(&Arc::new(13)) {
                    true => Err(Error::invalid("thirteen")),
                    false => Ok(rows.iter().map(|row| **row * 2).collect()),
                }
            })
        });
        let outcomes = join_all((0..50).map(|row| queue.submit(row))).await;
        for (row, outcome) in (0..).zip(outcomes) {
            assert_eq!(outcome.ok(), (row != 13).then_some(row * 2));
        }
    }

    #[tokio::test]
    async fn who_comes_when_the_queue_is_full_is_refused_at_once() {
        let never = GroupCommit::<i32, ()>::start(1, 1, 1, |_| Box::pin(std::future::pending()));
        let refused = |row| matches!(never.submit(row).now_or_never(), Some(Err(_)));
        assert_eq!((0..10).filter(|row| refused(*row)).count(), 9, "one waits");
    }
}
