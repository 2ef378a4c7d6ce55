//! The worker: claims jobs, runs them, and puts back or parks those that fail.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use chrono::TimeDelta;
use entity::job;
use futures::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use sea_orm::{QueryFilter as _, prelude::*};
use tokio::{sync::Semaphore, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Job, JobState, Jobs, held, lost};
use crate::{
    database::{Database, TenantId, Tx},
    error::{Code, Error, Result, chain},
};

/// How often a job is tried before it is parked.
pub const TRIES: i32 = 3;
/// Jobs that are claimed at once, and may share a transaction: few enough that deliveries that arrive meanwhile wait a few
/// milliseconds only.
const BATCH: usize = 64;
/// How long an idle worker that is woken waits for more: deliveries that come one after the other share a transaction, too.
const GATHER: Duration = Duration::from_millis(4);
/// How long an idle worker waits before it looks for jobs that nobody told it of.
const LOOK: TimeDelta = TimeDelta::seconds(1);
/// How long it waits, when a job could not be put back, before it tries that again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What a kind of job does about one that was parked, and why it was.
pub type Parked<C> = for<'t> fn(&'t C, &'t Tx<'t>, &'t Job, String) -> BoxFuture<'t, Result<()>>;

/// One outcome per job, in order.
pub type Outcomes = BoxFuture<'static, Vec<Result<()>>>;

/// How the jobs of a kind are run.
pub enum Run<C> {
    /// One by one; they may take their time, nobody waits for them.
    Alone(fn(Arc<C>, Job) -> BoxFuture<'static, Result<()>>),
    /// Those of one tenant that were claimed together, oldest first, so that they can share a transaction. Gives
    /// one outcome per job, in order.
    Together(fn(Arc<C>, TenantId, Vec<Job>) -> Outcomes),
}

/// How long the jobs of a kind take, and so how many of them may be under way at once in a process. Those of one pace
/// never wait for those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Milliseconds.
    Quick,
    /// As long as somebody else's server likes.
    Slow,
}

impl Pace {
    fn at_once(self) -> usize {
        match self {
            Self::Quick => 64,
            Self::Slow => 4,
        }
    }
}

/// One kind of job, as the table in `worker.rs` lists it; `C` is what its functions work with.
pub struct Kind<C> {
    /// Its name in the database.
    pub name: &'static str,
    /// How long one takes.
    pub pace: Pace,
    /// Does the work and calls [`finish`] in the transaction of its effect.
    pub run: Run<C>,
    /// Told, in the transaction that parks a job, that it has failed for good.
    pub parked: Option<Parked<C>>,
}

impl Jobs {
    /// Claims and runs the jobs of one pace until `stop`; then lets those under way finish.
    ///
    /// It looks for them when it is woken and, because nobody says when a time has come or a lease has ended, a second
    /// after it last found none.
    pub async fn work<C: Send + Sync + 'static>(
        &self,
        context: Arc<C>,
        database: &Database,
        table: &'static [Kind<C>],
        pace: Pace,
        stop: CancellationToken,
    ) {
        // Whose turn it is, is another matter for each pace.
        let jobs = Self { turn: Arc::default(), ..self.clone() };
        let table: Vec<_> = table.iter().filter(|kind| kind.pace == pace).collect();
        let kinds: Vec<_> = table.iter().map(|kind| kind.name).collect();
        let mut wakes = self.wakes(&kinds);
        let worker =
            Arc::new(Worker { jobs: jobs.clone(), context, database: database.clone(), stop: stop.clone() });
        let slots = Arc::new(Semaphore::new(pace.at_once()));
        let detached = TaskTracker::new();
        while !stop.is_cancelled() {
            // Waits for one free slot, then claims no more than there are.
            drop(Arc::clone(&slots).acquire_owned().await);
            let look_again = self.clock.now() + LOOK;
            wakes.mark_seen(); // what happened before is about to be seen
            match jobs.claim(database, &kinds, slots.available_permits().clamp(1, BATCH)).await {
                Ok(jobs) if !jobs.is_empty() => {
                    let mut together: BTreeMap<_, Vec<_>> = BTreeMap::new();
                    for job in jobs {
                        let Some(at) = kinds.iter().position(|kind| *kind == job.kind) else { continue };
                        if let Run::Together(_) = table[at].run {
                            together.entry((at, job.tenant)).or_default().push(job);
                        } else {
                            let slot = Arc::clone(&slots).acquire_owned().await;
                            let run = Arc::clone(&worker).run(table[at], vec![job]);
                            detached.spawn(async move { (run.await, drop(slot)) });
                        }
                    }
                    let batches = together.into_iter();
                    join_all(batches.map(|((at, _), jobs)| Arc::clone(&worker).run(table[at], jobs))).await;
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(error = %chain(&error), "jobs could not be claimed"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = wakes.woken() => sleep(GATHER).await,
                () = self.clock.sleep_until(look_again) => {}
            }
        }
        detached.close();
        detached.wait().await;
    }

    /// Does some work while the lease on its jobs is renewed; gives it up, and nothing back, once one was lost.
    pub(super) async fn holding<T>(
        &self,
        database: &Database,
        jobs: &[Job],
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let (mut work, mut renew_at) = (pin!(work), self.clock.now() + self.lease / 3);
        loop {
            tokio::select! {
                biased;
                outcome = &mut work => return Some(outcome),
                () = self.clock.sleep_until(renew_at) => renew_at = self.clock.now() + self.lease / 3,
            }
            // In an outage nobody else can claim them either, and the fence decides in the end.
            match self.renew(database, jobs).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => tracing::warn!(error = %chain(&error), "a lease could not be renewed"),
            }
        }
    }
}

/// What it takes to run jobs.
struct Worker<C> {
    jobs: Jobs,
    context: Arc<C>,
    database: Database,
    stop: CancellationToken,
}

impl<C: Send + Sync + 'static> Worker<C> {
    /// Runs jobs of one kind and one tenant, and puts back or parks those that failed.
    async fn run(self: Arc<Self>, kind: &'static Kind<C>, jobs: Vec<Job>) {
        let Some(first) = jobs.first() else { return };
        let context = Arc::clone(&self.context);
        let work = match &kind.run {
            Run::Together(run) => run(context, first.tenant, jobs.clone()),
            Run::Alone(run) => {
                Box::pin(join_all(jobs.iter().cloned().map(|job| run(Arc::clone(&context), job))))
            }
        };
        // A panic in a job is a failure like any other.
        let work = AssertUnwindSafe(work).catch_unwind();
        let outcomes: Vec<_> = match self.jobs.holding(&self.database, &jobs, work).await {
            Some(Ok(outcomes)) => outcomes,
            Some(Err(_)) => jobs.iter().map(|_| Err(panicked())).collect(),
            None => jobs.iter().map(|_| Err(lost())).collect(),
        };
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            let Err(error) = outcome else { continue };
            if error.code == Code::Conflict {
                tracing::info!(job = %job.id, kind = job.kind, "the lease was lost; whoever holds it now goes on");
                continue;
            }
            tracing::warn!(job = %job.id, kind = job.kind, attempt = job.attempt, error = %chain(&error), "a job failed");
            self.put_back(kind, &job, &error).await;
        }
    }

    /// Puts a failed job back or parks it, however long the database is away, unless the service stops before: should
    /// the job's lease end first, the try would be counted.
    async fn put_back(&self, kind: &'static Kind<C>, job: &Job, why: &Error) {
        while let Err(error) = self.settle(kind, job.clone(), why).await {
            tracing::warn!(job = %job.id, error = %chain(&error), "a failed job could not be put back yet");
            let is_passing = error.code == Code::Unavailable;
            if !is_passing || self.stop.run_until_cancelled(sleep(TRY_AGAIN)).await.is_none() {
                return; // its lease will end
            }
        }
    }

    /// Puts a failed job back for its next try, or parks it. That something was away is no try.
    async fn settle(&self, kind: &'static Kind<C>, job: Job, error: &Error) -> Result<()> {
        let passing = error.code == Code::Unavailable;
        let park = !passing && (error.code == Code::Unprocessable || job.attempt >= TRIES);
        let attempt = if passing { job.attempt - 1 } else { job.attempt };
        let state = if park { JobState::Failed } else { JobState::Ready };
        let run_at = self.jobs.clock.now() + TimeDelta::seconds(1 << job.attempt.clamp(1, 16));
        let why = error.detail.clone().into_owned();
        let context = Arc::clone(&self.context);
        self.database
            .write(job.tenant, move |tx| {
                Box::pin(async move {
                    let changed = tx
                        .update::<job::Entity>()
                        .col_expr(job::Column::State, Expr::value(state.as_str()))
                        .col_expr(job::Column::RunAt, Expr::value(run_at))
                        .col_expr(job::Column::Attempt, Expr::value(attempt))
                        .col_expr(job::Column::LastError, Expr::value(why.as_str()))
                        .filter(held(tx, std::slice::from_ref(&job)))
                        .exec(tx.conn())
                        .await?;
                    match kind.parked {
                        Some(parked) if park && changed.rows_affected == 1 => {
                            parked(&context, tx, &job, why).await
                        }
                        _ => Ok(()),
                    }
                })
            })
            .await
    }
}

fn panicked() -> Error {
    Error::internal("a job panicked; its panic message is above in the log")
}
