//! Durable jobs: work that was promised in a transaction and is done after it.
//!
//! A job is a row, written in the transaction of whatever caused it. Workers claim jobs in batches; a claim
//! holds for a lease and carries a fencing token. The job's effect and [`finish`] are one transaction, which
//! fails when the token is not the newest: a worker that was stalled beyond its lease writes nothing. A job
//! whose worker was killed is claimed again when the lease ends. One that fails is tried [`TRIES`] times,
//! after 2 s and then 4 s, and is then parked as `failed`, where it can be seen and replayed.
//!
//! Architecture invariant: this module knows no kind of job; the table in `worker.rs` does.

mod others;
mod work;

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use entity::job;
use sea_orm::{
    ActiveValue::Set,
    Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    prelude::*,
    sea_query::{ExprTrait as _, LockBehavior, LockType, OnConflict},
};
use tokio::sync::Notify;

pub use self::{
    others::share_wakes,
    work::{Kind, Outcomes, Parked, Run, TRIES},
};
use crate::{
    clock::{Clock, Ids, Time},
    database::{Database, Door, DoorTx, TenantId, Tx},
    error::{Code, Error, Result},
    wire::{id_type, wire_enum},
};

id_type! {
    /// Names a job.
    JobId
}

wire_enum! {
    /// What is left to do for a job.
    JobState {
        /// To be claimed at its time, or under way.
        Ready = "ready",
        /// Parked after its last try.
        Failed = "failed",
    }
}

/// A claimed job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The tenant it works for.
    pub tenant: TenantId,
    /// The kind, by the name in the job table.
    pub kind: String,
    /// Its arguments.
    pub payload: Json,
    /// Which try this is, from 1.
    pub attempt: i32,
    fence: i64,
}

/// A job to be done.
pub struct NewJob {
    /// Its name; a job that is there already under it is started afresh.
    pub id: JobId,
    /// The tenant it works for.
    pub tenant: TenantId,
    /// The kind, by the name in the job table.
    pub kind: &'static str,
    /// Its arguments.
    pub payload: Json,
}

/// Enqueueing and the workers' wake-up calls.
#[derive(Clone)]
pub struct Jobs {
    clock: Clock,
    ids: Ids,
    lease: TimeDelta,
    wake: Arc<Notify>,
    /// Told when jobs were enqueued here, for the workers of other instances.
    enqueued: Arc<Notify>,
}

impl Jobs {
    /// Jobs whose claims hold for `lease`.
    pub fn new(clock: Clock, ids: Ids, lease: Duration) -> Self {
        let lease = TimeDelta::from_std(lease).unwrap_or(TimeDelta::seconds(30));
        Self { clock, ids, lease, wake: Arc::default(), enqueued: Arc::default() }
    }

    /// Makes the worker of this process look for jobs now.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Returns when the worker of this process is to look for jobs.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Makes workers look for jobs that were enqueued here: the one of this process and, where wakes are shared,
    /// those of others.
    pub fn wake_all(&self) {
        self.wake.notify_one();
        self.enqueued.notify_one();
    }

    /// Enqueues a job in the transaction of its cause.
    ///
    /// # Errors
    /// The database's.
    pub async fn enqueue(&self, tx: &Tx<'_>, job: NewJob) -> Result<()> {
        self.enqueue_all(tx, vec![job]).await
    }

    /// Enqueues jobs in the transaction of their cause.
    ///
    /// # Errors
    /// The database's.
    pub async fn enqueue_all(&self, tx: &Tx<'_>, jobs: Vec<NewJob>) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        self.insert(tx.conn(), jobs).await?;
        let jobs = self.clone();
        tx.after_commit(move || jobs.wake_all());
        Ok(())
    }

    /// Enqueues jobs of many tenants, none of which was there before; the caller wakes workers after the commit.
    ///
    /// # Errors
    /// The database's.
    pub async fn enqueue_through(&self, tx: &DoorTx<'_>, jobs: Vec<NewJob>) -> Result<()> {
        tx.insert_new(self.rows(jobs).collect(), job::Column::Id, &[job::Column::Id]).await?;
        Ok(())
    }

    async fn insert(&self, conn: &impl ConnectionTrait, jobs: Vec<NewJob>) -> Result<()> {
        let again = [
            job::Column::Payload,
            job::Column::State,
            job::Column::RunAt,
            job::Column::Attempt,
            job::Column::Fence,
        ];
        job::Entity::insert_many(self.rows(jobs))
            .on_conflict(OnConflict::column(job::Column::Id).update_columns(again).to_owned())
            .exec_without_returning(conn)
            .await?;
        Ok(())
    }

    fn rows(&self, jobs: Vec<NewJob>) -> impl Iterator<Item = job::ActiveModel> {
        let now = self.clock.now();
        jobs.into_iter().map(move |new| job::ActiveModel {
            id: Set(new.id.0),
            tenant_id: Set(new.tenant.0),
            kind: Set(new.kind.to_owned()),
            payload: Set(new.payload),
            state: Set(JobState::Ready.as_str().to_owned()),
            run_at: Set(now),
            attempt: Set(0),
            fence: Set(0),
            last_error: Set(None),
        })
    }

    /// Claims up to `most` jobs whose time has come.
    async fn claim(&self, database: &Database, most: usize) -> Result<Vec<Job>> {
        let now = self.clock.now();
        let until = now + self.lease;
        // Only equality with it is ever asked, so a random token does; 0 is kept for jobs nobody has claimed.
        let fence = i64::from_le_bytes(self.ids.bytes()) | 1;
        let jobs = database
            .write_through(Door::NextJobs, move |tx| {
                Box::pin(async move {
                    let due: Vec<Uuid> = job::Entity::find()
                        .select_only()
                        .column(job::Column::Id)
                        .filter(job::Column::State.eq(JobState::Ready.as_str()))
                        .filter(job::Column::RunAt.lte(now))
                        .order_by_asc(job::Column::RunAt)
                        .limit(most as u64)
                        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                        .into_tuple()
                        .all(tx.conn())
                        .await?;
                    if due.is_empty() {
                        return Ok(Vec::new());
                    }
                    Ok(job::Entity::update_many()
                        .col_expr(job::Column::RunAt, Expr::value(until))
                        .col_expr(job::Column::Attempt, Expr::col(job::Column::Attempt).add(1))
                        .col_expr(job::Column::Fence, Expr::value(fence))
                        .filter(job::Column::Id.is_in(due))
                        .exec_with_returning(tx.conn())
                        .await?)
                })
            })
            .await?;
        let mut jobs: Vec<_> = jobs.into_iter().map(Job::from).collect();
        jobs.sort_by_key(|job| job.id); // older work first: a job's id is as old as its cause
        Ok(jobs)
    }

    /// How many jobs there are in each state.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(&self, database: &Database) -> Result<Vec<(JobState, i64)>> {
        let counted: Vec<(String, i64)> = database
            .read_through(Door::NextJobs, |tx| {
                Box::pin(async move {
                    let counts = job::Entity::find()
                        .select_only()
                        .column(job::Column::State)
                        .column_as(job::Column::Id.count(), "count")
                        .group_by(job::Column::State);
                    Ok(counts.into_tuple().all(tx.conn()).await?)
                })
            })
            .await?;
        let in_state = |state: &JobState| {
            counted.iter().find(|(name, _)| name == state.as_str()).map_or(0, |(_, count)| *count)
        };
        Ok(JobState::ALL.iter().map(|state| (*state, in_state(state))).collect())
    }

    /// When the next job is due, if one is waiting.
    async fn next_due(&self, database: &Database) -> Result<Option<Time>> {
        database
            .read_through(Door::NextJobs, |tx| {
                Box::pin(async move {
                    let next = job::Entity::find()
                        .select_only()
                        .column(job::Column::RunAt)
                        .filter(job::Column::State.eq(JobState::Ready.as_str()))
                        .order_by_asc(job::Column::RunAt);
                    Ok(next.into_tuple().one(tx.conn()).await?)
                })
            })
            .await
    }
}

impl From<job::Model> for Job {
    fn from(row: job::Model) -> Self {
        Self {
            id: JobId(row.id),
            tenant: TenantId(row.tenant_id),
            kind: row.kind,
            payload: row.payload,
            attempt: row.attempt,
            fence: row.fence,
        }
    }
}

/// Ends jobs in the transaction of their effects.
///
/// # Errors
/// `conflict` when the lease of one was lost to another worker: none of the effects must be written.
pub async fn finish(tx: &Tx<'_>, jobs: &[Job]) -> Result<()> {
    let held = jobs.iter().fold(Condition::any(), |held, job| {
        held.add(job::Column::Id.eq(job.id.0).and(job::Column::Fence.eq(job.fence)))
    });
    if jobs.is_empty() {
        return Ok(());
    }
    let ended = tx.delete::<job::Entity>().filter(held).exec(tx.conn()).await?;
    if ended.rows_affected == jobs.len() as u64 {
        return Ok(());
    }
    Err(Error::new(Code::Conflict, "the lease on a job was lost"))
}

#[cfg(test)]
mod tests {
    use scratch::Scratch;
    use serde_json::json;

    use super::*;
    use crate::{
        config::{Config, Sources},
        database::Migrate,
    };

    struct Stage {
        database: Database,
        clock: Clock,
        jobs: Jobs,
        tenant: TenantId,
        _place: Scratch,
    }

    async fn stage(waiting: usize) -> Stage {
        let place = Scratch::new();
        let environment = place.settings().into_iter().collect();
        let config = Config::load(&Sources { environment, ..Sources::default() }).expect("valid settings");
        Database::migrate(&config.database, Migrate::Up).await.expect("migrated");
        let database = Database::open(&config).await.expect("open");
        let clock = Clock::mock("2026-01-01T00:00:00Z".parse().expect("a time"));
        let ids = Ids::system(clock.clone());
        let jobs = Jobs::new(clock.clone(), ids.clone(), Duration::from_secs(30));
        let tenant = TenantId(ids.uuid());
        let stage = Stage { database, clock, jobs, tenant, _place: place };
        for _ in 0..waiting {
            let new = NewJob { id: JobId(ids.uuid()), tenant, kind: "test", payload: json!({}) };
            let jobs = stage.jobs.clone();
            let enqueued =
                stage.database.write(tenant, move |tx| Box::pin(async move { jobs.enqueue(tx, new).await }));
            enqueued.await.expect("enqueued");
        }
        stage
    }

    impl Stage {
        async fn claim(&self, most: usize) -> Vec<Job> {
            self.jobs.claim(&self.database, most).await.expect("claimed")
        }

        async fn finish(&self, job: Job) -> Result<()> {
            self.database
                .write(self.tenant, move |tx| Box::pin(async move { finish(tx, &[job]).await }))
                .await
        }
    }

    #[tokio::test]
    async fn no_two_workers_hold_the_same_job() {
        let stage = stage(50).await;
        let (a, b) = tokio::join!(stage.claim(30), stage.claim(30));
        let mut ids: Vec<_> = a.iter().chain(&b).map(|job| job.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), a.len() + b.len()), (50, 50));
        assert!(stage.claim(30).await.is_empty());
    }

    #[tokio::test]
    async fn the_job_of_a_killed_worker_is_taken_up_when_its_lease_ends() {
        let stage = stage(1).await;
        let killed = stage.claim(1).await.remove(0);
        stage.clock.advance(TimeDelta::seconds(29));
        assert!(stage.claim(1).await.is_empty(), "the lease holds");
        stage.clock.advance(TimeDelta::seconds(1));
        let second = stage.claim(1).await.remove(0);
        assert_eq!((second.id, second.attempt), (killed.id, 2));
    }

    #[tokio::test]
    async fn a_stalled_worker_that_wakes_up_late_writes_nothing() {
        let stage = stage(1).await;
        let stalled = stage.claim(1).await.remove(0);
        stage.clock.advance(TimeDelta::seconds(30));
        let holder = stage.claim(1).await.remove(0);
        let refused = stage.finish(stalled.clone()).await.expect_err("the lease is lost");
        assert_eq!(refused.code, Code::Conflict);
        stage.finish(holder).await.expect("the holder may");
        assert!(stage.finish(stalled).await.is_err(), "also once the job is gone");
    }

    #[tokio::test]
    async fn a_job_that_is_enqueued_again_is_out_of_its_old_holders_hands() {
        let stage = stage(1).await;
        let stalled = stage.claim(1).await.remove(0);
        let again = NewJob { id: stalled.id, tenant: stage.tenant, kind: "test", payload: json!({}) };
        let jobs = stage.jobs.clone();
        let enqueued = stage
            .database
            .write(stage.tenant, move |tx| Box::pin(async move { jobs.enqueue(tx, again).await }));
        enqueued.await.expect("enqueued");
        assert!(stage.finish(stalled).await.is_err());
        assert_eq!(stage.claim(1).await.remove(0).attempt, 1);
    }
}
