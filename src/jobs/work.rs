//! The worker: claims jobs, runs them, and puts back or parks those that fail.

use std::{
    collections::BTreeMap, future::Future, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration,
};

use chrono::TimeDelta;
use entity::job;
use futures::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use sea_orm::{QueryFilter as _, prelude::*};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Job, JobState, Jobs, lost};
use crate::{
    clock::Time,
    database::{Database, TenantId, Tx},
    error::{Code, Error, Result, chain},
};

/// How often a job is tried before it is parked.
pub const TRIES: i32 = 3;
/// Jobs claimed at once.
const BATCH: usize = 64;
/// Jobs that share a transaction: few enough that deliveries that arrive meanwhile wait a few milliseconds only.
const TOGETHER: usize = 16;
/// Jobs of this process that may be under way at once.
const CONCURRENCY: usize = 64;
/// How long an idle worker waits before it looks for jobs that nobody told it of.
const POLL: Duration = Duration::from_secs(1);

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

/// One kind of job, as the table in `worker.rs` lists it; `C` is what its functions work with.
pub struct Kind<C> {
    /// Its name in the database.
    pub name: &'static str,
    /// Does the work and calls [`finish`] in the transaction of its effect.
    pub run: Run<C>,
    /// Told, in the transaction that parks a job, that it has failed for good.
    pub parked: Option<Parked<C>>,
}

impl Jobs {
    /// Claims and runs jobs until `stop`; then lets those under way finish.
    pub async fn work<C: Send + Sync + 'static>(
        &self,
        context: Arc<C>,
        database: &Database,
        table: &'static [Kind<C>],
        stop: CancellationToken,
    ) {
        let slots = Arc::new(Semaphore::new(CONCURRENCY));
        let detached = TaskTracker::new();
        while !stop.is_cancelled() {
            let woken = self.woken();
            match self.claim_for(&slots, database).await {
                Ok(jobs) if !jobs.is_empty() => {
                    let mut together: BTreeMap<(&str, TenantId), Vec<Job>> = BTreeMap::new();
                    for job in jobs {
                        match table.iter().find(|kind| kind.name == job.kind) {
                            Some(Kind { name, run: Run::Together(_), .. }) => {
                                together.entry((*name, job.tenant)).or_default().push(job);
                            }
                            Some(kind) => {
                                let slot = Arc::clone(&slots).acquire_owned().await;
                                let run =
                                    self.clone().run(Arc::clone(&context), database.clone(), kind, vec![job]);
                                detached.spawn(async move { (run.await, drop(slot)) });
                            }
                            None => {
                                tracing::error!(job = %job.id, kind = job.kind, "no such kind of job; a newer version may know it")
                            }
                        }
                    }
                    let batches = together.into_iter().filter_map(|((name, _), jobs)| {
                        let kind = table.iter().find(|kind| kind.name == name)?;
                        Some(self.clone().run(Arc::clone(&context), database.clone(), kind, jobs))
                    });
                    join_all(batches).await;
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(error = %chain(&error), "jobs could not be claimed"),
            }
            let due = self.next_due(database).await.ok().flatten();
            tokio::select! {
                () = stop.cancelled() => {}
                () = woken => {}
                () = self.wait_for(due) => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        detached.close();
        detached.wait().await;
    }

    async fn claim_for(&self, slots: &Arc<Semaphore>, database: &Database) -> Result<Vec<Job>> {
        // Waits for one free slot, then claims no more than there are.
        drop(Arc::clone(slots).acquire_owned().await);
        self.claim(database, slots.available_permits().clamp(1, BATCH)).await
    }

    async fn wait_for(&self, due: Option<Time>) {
        match due {
            Some(due) => self.clock.sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Runs jobs of one kind and one tenant, and puts back or parks those that failed.
    async fn run<C: Send + Sync + 'static>(
        self,
        context: Arc<C>,
        database: Database,
        kind: &'static Kind<C>,
        jobs: Vec<Job>,
    ) {
        let mut outcomes = Vec::with_capacity(jobs.len());
        match &kind.run {
            Run::Together(run) => {
                for (done, some) in jobs.chunks(TOGETHER).enumerate() {
                    let work = caught(run(Arc::clone(&context), some[0].tenant, some.to_vec()).map(Ok));
                    // Those that wait for their turn are held as well.
                    match self.holding(&database, &jobs[done * TOGETHER..], work).await {
                        Some(Ok(done)) => outcomes.extend(done),
                        Some(Err(_)) => outcomes.extend(some.iter().map(|_| Err(panicked()))),
                        None => outcomes.extend(some.iter().map(|_| Err(lost()))),
                    }
                }
            }
            Run::Alone(run) => {
                for job in &jobs {
                    let work = caught(run(Arc::clone(&context), job.clone()));
                    let held = self.holding(&database, std::slice::from_ref(job), work).await;
                    outcomes.push(held.unwrap_or_else(|| Err(lost())));
                }
            }
        }
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            let Err(error) = outcome else { continue };
            if error.code == Code::Conflict {
                tracing::info!(job = %job.id, kind = job.kind, "the lease was lost; whoever holds it now goes on");
                continue;
            }
            tracing::warn!(job = %job.id, kind = job.kind, attempt = job.attempt, error = %chain(&error), "a job failed");
            self.put_back(&context, &database, kind, &job, &error).await;
        }
    }

    /// Puts a failed job back or parks it, however long the database is away: should its lease end before, the try
    /// would be counted.
    async fn put_back<C: Send + Sync + 'static>(
        &self,
        context: &Arc<C>,
        database: &Database,
        kind: &'static Kind<C>,
        job: &Job,
        why: &Error,
    ) {
        for pause in (0..6).map(|doubled| Duration::from_secs(1 << doubled)) {
            let settled = self.settle(Arc::clone(context), database, kind, job.clone(), why).await;
            let Err(error) = settled else { return };
            tracing::warn!(job = %job.id, error = %chain(&error), "a failed job could not be put back yet");
            if error.code != Code::Unavailable {
                return; // its lease will end
            }
            tokio::time::sleep(pause).await;
        }
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

    /// Puts a failed job back for its next try, or parks it. That something was away is no try.
    async fn settle<C: Send + Sync + 'static>(
        &self,
        context: Arc<C>,
        database: &Database,
        kind: &'static Kind<C>,
        job: Job,
        error: &Error,
    ) -> Result<()> {
        let passing = error.code == Code::Unavailable;
        let park = !passing && (error.code == Code::Unprocessable || job.attempt >= TRIES);
        let attempt = if passing { job.attempt - 1 } else { job.attempt };
        let state = if park { JobState::Failed } else { JobState::Ready };
        let run_at = self.clock.now() + TimeDelta::seconds(1 << job.attempt.clamp(1, 16));
        let why = error.detail.clone().into_owned();
        let notify = Arc::clone(&self.wake);
        database
            .write(job.tenant, move |tx| {
                Box::pin(async move {
                    let changed = tx
                        .update::<job::Entity>()
                        .col_expr(job::Column::State, Expr::value(state.as_str()))
                        .col_expr(job::Column::RunAt, Expr::value(run_at))
                        .col_expr(job::Column::Attempt, Expr::value(attempt))
                        .col_expr(job::Column::LastError, Expr::value(why.as_str()))
                        .filter(job::Column::Id.eq(job.id.0))
                        .filter(job::Column::Fence.eq(job.fence))
                        .exec(tx.conn())
                        .await?;
                    if changed.rows_affected == 1
                        && park
                        && let Some(parked) = kind.parked
                    {
                        parked(&context, tx, &job, why).await?;
                    }
                    tx.after_commit(move || notify.notify_one());
                    Ok(())
                })
            })
            .await
    }
}

/// A panic in a job is a failure like any other.
async fn caught<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Error {
    Error::internal("a job panicked; its panic message is above in the log")
}
