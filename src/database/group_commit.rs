//! Group commit: rows that arrive at once are written by one statement in one transaction.
//!
//! A bounded queue feeds a few writers, which take turns: one takes whatever waits (at most a batch), writes it, and
//! tells each submitter its own outcome after the commit. While a batch waits for the disk, the next gathers or is
//! being written. A batch that fails is retried row by row, so that one bad row harms nobody.
//!
//! Those who were just answered often come back at once. On a slow disk that would make two groups that take turns,
//! each waiting for the other's fsync; so there, and only there, a batch waits a moment for as many rows as could
//! be in it. Rows that nobody is in a hurry for may wait longer, but only where others come: who is alone waits for
//! nobody.

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

/// How rows are gathered.
#[derive(Clone, Copy, Debug)]
pub struct Gathering {
    /// Rows that may wait; more are refused.
    pub queue: usize,
    /// Rows of a batch at most.
    pub batch: usize,
    /// Batches at once.
    pub writers: usize,
    /// For how long a batch waits for more rows where the one before had several.
    pub linger: Duration,
}

/// Writes a batch; gives one outcome per row, in order.
type Commit<R, O> = Arc<dyn Fn(Vec<Arc<R>>) -> BoxFuture<'static, Result<Vec<O>>> + Send + Sync>;
type Waiting<R, O> = (Arc<R>, oneshot::Sender<Result<O>>);

/// A handle to the queue; the writers end when the last handle is dropped.
pub struct GroupCommit<R, O> {
    queue: mpsc::Sender<Waiting<R, O>>,
}

impl<R: Send + Sync + 'static, O: Send + 'static> GroupCommit<R, O> {
    /// Starts a queue of rows that are written by `commit`.
    pub fn start<F>(gathering: Gathering, commit: F) -> Self
    where
        F: Fn(Vec<Arc<R>>) -> BoxFuture<'static, Result<Vec<O>>> + Send + Sync + 'static,
    {
        let (queue, waiting) = mpsc::channel(gathering.queue);
        let (waiting, commit): (_, Commit<R, O>) = (Arc::new(Mutex::new(waiting)), Arc::new(commit));
        for _ in 0..gathering.writers {
            tokio::spawn(run(Arc::clone(&waiting), gathering, Arc::clone(&commit)));
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

async fn run<R, O>(
    queue: Arc<Mutex<mpsc::Receiver<Waiting<R, O>>>>,
    Gathering { batch, linger, .. }: Gathering,
    commit: Commit<R, O>,
) {
    let mut taken = Vec::with_capacity(batch);
    // How many rows the next batch could have, and how long to wait for them at most: half of what the last commit took
    // beside its rows.
    let (mut expected, mut patience) = (1, Duration::ZERO);
    loop {
        let mut waiting = queue.lock().await;
        if waiting.recv_many(&mut taken, batch).await == 0 {
            return;
        }
        let (enough, wait) =
            if linger > patience && expected > 1 { (batch, linger) } else { (expected, patience) };
        if wait >= WORTH_WAITING && taken.len() < enough {
            let gather = async {
                while let Some(room @ 1..) = enough.checked_sub(taken.len())
                    && waiting.recv_many(&mut taken, room).await > 0
                {}
            };
            let _ = timeout(wait, gather).await;
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
    use tokio::{sync::Semaphore, task::yield_now};

    use super::*;

    #[tokio::test]
    async fn one_bad_row_harms_nobody_and_everybody_gets_an_own_outcome() {
        let gathering = Gathering { queue: 100, batch: 10, writers: 2, linger: Duration::ZERO };
        let queue = GroupCommit::start(gathering, |rows: Vec<Arc<i32>>| {
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
    async fn rows_in_no_hurry_wait_for_others_where_there_are_any() {
        let (begun, may_end) = (Arc::new(parking_lot::Mutex::new(Vec::new())), Arc::new(Semaphore::new(5)));
        let gathering = Gathering { queue: 100, batch: 4, writers: 1, linger: Duration::from_secs(3600) };
        let queue = Arc::new(GroupCommit::start(gathering, {
            let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
            move |rows: Vec<Arc<i32>>| {
                begun.lock().push(rows.len());
                let may_end = Arc::clone(&may_end);
                Box::pin(async move {
                    may_end.acquire().await.map_err(Error::internal)?.forget();
                    Ok(rows.iter().map(|row| **row).collect())
                })
            }
        }));
        for row in 0..5 {
            assert_eq!(queue.submit(row).await.ok(), Some(row), "who is alone waits for nobody");
        }
        let submit = |row| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { queue.submit(row).await.ok() })
        };
        let mut submitted = Vec::new();
        for (come, batches) in
            [(0..1, vec![1]), (1..3, vec![1, 2]), (3..4, vec![1, 2]), (4..7, vec![1, 2, 4])]
        {
            submitted.extend(come.map(submit));
            // Everybody who can go on has done so.
            for _ in 0..100 {
                yield_now().await;
            }
            may_end.add_permits(1);
            for _ in 0..100 {
                yield_now().await;
            }
            assert_eq!(begun.lock()[5..], batches);
        }
        let outcomes: Vec<_> = join_all(submitted).await.into_iter().flatten().flatten().collect();
        assert_eq!(outcomes, (0..7).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn who_comes_when_the_queue_is_full_is_refused_at_once() {
        let gathering = Gathering { queue: 1, batch: 1, writers: 1, linger: Duration::ZERO };
        let never = GroupCommit::<i32, ()>::start(gathering, |_| Box::pin(std::future::pending()));
        let refused = |row| matches!(never.submit(row).now_or_never(), Some(Err(_)));
        assert_eq!((0..10).filter(|row| refused(*row)).count(), 9, "one waits");
    }
}
