//! Durable jobs: work that was promised in a transaction and is done after it.
//!
//! A job is a row, written in the transaction of whatever caused it. Workers claim jobs in batches, tenant after
//! tenant: a backlog waits for its own tenant's next turn and delays nobody else by more than a batch. A claim holds
//! for a lease, which is renewed while the work goes on, and carries a fencing token. The job's effect and [`finish`]
//! are one transaction, which fails when the token is not the newest: a worker that was stalled beyond its lease
//! writes nothing. A job whose worker was killed is claimed again when the lease ends. One that fails is tried
//! [`TRIES`] times, after 2 s and then 4 s, and is then parked as `failed`, where it can be seen and replayed; an
//! outage of what it depends on is not counted. Kinds of jobs that this version does not know are left to one that
//! does.
//!
//! Architecture invariant: this module knows no kind of job; the table in `worker.rs` does.

mod wakes;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use entity::job;
use parking_lot::Mutex;
use sea_orm::{
    ActiveValue::Set,
    Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    prelude::*,
    sea_query::{ExprTrait as _, LockBehavior, LockType, OnConflict},
};

use self::wakes::Wakes;
pub use self::{
    wakes::{WakeListener, share_wakes},
    work::{Kind, Outcomes, Pace, Parked, Run, TRIES},
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
    wakes: Wakes,
    /// The tenant whose turn was last.
    turn: Arc<Mutex<Uuid>>,
}

impl Jobs {
    /// Jobs whose claims hold for `lease`.
    pub fn new(clock: Clock, ids: Ids, lease: Duration) -> Self {
        let lease = TimeDelta::from_std(lease).unwrap_or(TimeDelta::seconds(30));
        Self { clock, ids, lease, wakes: Wakes::default(), turn: Arc::default() }
    }

    /// Makes the workers of this process look for jobs of a kind now.
    pub fn wake(&self, kind: &str) {
        self.wakes.wake(kind);
    }

    /// Makes workers look for jobs of a kind that were enqueued here: those of this process and, where wakes are shared,
    /// those of others.
    pub fn wake_all(&self, kind: &'static str) {
        self.wakes.wake_all(kind);
    }

    /// Tells from now on when there may be jobs of some kinds to work through in this process.
    pub fn wakes(&self, kinds: &[&str]) -> WakeListener {
        self.wakes.of(kinds)
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
        let kinds: BTreeSet<_> = jobs.iter().map(|job| job.kind).collect();
        self.insert(tx.conn(), jobs).await?;
        let jobs = self.clone();
        tx.after_commit(move || kinds.into_iter().for_each(|kind| jobs.wake_all(kind)));
        Ok(())
    }

    /// Brings a job that is always there forward to a time, and makes it if it is not there. One that is being worked on
    /// is left alone: whoever works on it has to look, in the transaction of [`again`], whether it was asked for anew.
    ///
    /// # Errors
    /// The database's.
    pub async fn hasten(&self, tx: &Tx<'_>, job: NewJob, to: Time) -> Result<()> {
        let kind = job.kind;
        let row = job::ActiveModel { run_at: Set(to), ..self.row(job) };
        let waits = job::Column::Fence.eq(0).and(Expr::col((job::Entity, job::Column::RunAt)).gt(to));
        let parked = Expr::col((job::Entity, job::Column::State)).eq(JobState::Failed.as_str());
        let sooner = OnConflict::column(job::Column::Id)
            .update_columns([
                job::Column::State,
                job::Column::RunAt,
                job::Column::Attempt,
                job::Column::Fence,
            ])
            .action_and_where(waits.or(parked))
            .to_owned();
        job::Entity::insert(row).on_conflict(sooner).exec_without_returning(tx.conn()).await?;
        let jobs = self.clone();
        tx.after_commit(move || jobs.wake_all(kind));
        Ok(())
    }

    /// A job but for its id and tenant, for who inserts many together with what they are about
    /// ([`Batch::insert_new_with`](crate::database::Batch::insert_new_with)); workers are to be woken after the
    /// commit.
    pub fn beside(&self, kind: &'static str, payload: Json) -> job::ActiveModel {
        let (id, tenant) = (JobId(Uuid::nil()), TenantId(Uuid::nil()));
        let mut row = self.row(NewJob { id, tenant, kind, payload });
        row.not_set(job::Column::Id);
        row.not_set(job::Column::TenantId);
        row
    }

    async fn insert(&self, conn: &impl ConnectionTrait, jobs: Vec<NewJob>) -> Result<()> {
        let again = [
            job::Column::Payload,
            job::Column::State,
            job::Column::RunAt,
            job::Column::Attempt,
            job::Column::Fence,
        ];
        job::Entity::insert_many(jobs.into_iter().map(|new| self.row(new)))
            .on_conflict(OnConflict::column(job::Column::Id).update_columns(again).to_owned())
            .exec_without_returning(conn)
            .await?;
        Ok(())
    }

    fn row(&self, new: NewJob) -> job::ActiveModel {
        job::ActiveModel {
            id: Set(new.id.0),
            tenant_id: Set(new.tenant.0),
            kind: Set(new.kind.to_owned()),
            payload: Set(new.payload),
            state: Set(JobState::Ready.as_str().to_owned()),
            run_at: Set(self.clock.now()),
            attempt: Set(0),
            fence: Set(0),
            last_error: Set(None),
        }
    }

    /// Claims up to `most` jobs whose time has come, of kinds that the caller knows: those of the tenants that come
    /// after the one whose turn was last.
    async fn claim(&self, database: &Database, kinds: &[&'static str], most: usize) -> Result<Vec<Job>> {
        let (now, kinds) = (self.clock.now(), kinds.to_vec());
        let (until, last) = (now + self.lease, *self.turn.lock());
        // Only equality with it is ever asked, so a random token does; 0 is kept for jobs nobody has claimed.
        let fence = i64::from_le_bytes(self.ids.bytes()) | 1;
        let jobs = database
            .write_through(Door::NextJobs, move |tx| {
                Box::pin(async move {
                    let mut due = due(tx, &kinds, now, last, most).await?;
                    if due.is_empty() && !last.is_nil() {
                        due = self::due(tx, &kinds, now, Uuid::nil(), most).await?;
                    }
                    if due.is_empty() {
                        return Ok(Vec::new());
                    }
                    Ok(job::Entity::update_many()
                        .col_expr(job::Column::RunAt, Expr::value(until))
                        .col_expr(job::Column::Attempt, Expr::col(job::Column::Attempt).add(1))
                        .col_expr(job::Column::Fence, Expr::value(fence))
                        .filter(tx.one_of(job::Column::Id, due))
                        .exec_with_returning(tx.conn())
                        .await?)
                })
            })
            .await?;
        let mut jobs: Vec<_> = jobs.into_iter().map(Job::from).collect();
        let last = jobs.iter().map(|job| job.tenant.0).max().unwrap_or_default();
        *self.turn.lock() = last;
        jobs.sort_by_key(|job| job.id); // older work first: a job's id is as old as its cause
        Ok(jobs)
    }

    /// Renews the lease on those of a tenant's jobs that are still held; false if none is.
    async fn renew(&self, database: &Database, jobs: &[Job]) -> Result<bool> {
        let Some(first) = jobs.first() else { return Ok(true) };
        let (until, jobs) = (self.clock.now() + self.lease, jobs.to_vec());
        let renewed = database.write(first.tenant, move |tx| {
            Box::pin(async move {
                let renewal = tx.update::<job::Entity>().col_expr(job::Column::RunAt, Expr::value(until));
                Ok(renewal.filter(held(tx, &jobs)).exec(tx.conn()).await?.rows_affected)
            })
        });
        Ok(renewed.await? > 0)
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
}

/// The ids of up to `most` jobs whose time has come, of some kinds and of tenants behind one.
async fn due(
    tx: &DoorTx<'_>,
    kinds: &[&'static str],
    now: Time,
    behind: Uuid,
    most: usize,
) -> Result<Vec<Uuid>> {
    let due = job::Entity::find()
        .select_only()
        .column(job::Column::Id)
        .filter(job::Column::State.eq(JobState::Ready.as_str()))
        .filter(job::Column::TenantId.gt(behind))
        .filter(job::Column::RunAt.lte(now))
        .filter(job::Column::Kind.is_in(kinds.iter().copied()))
        .order_by_asc(job::Column::TenantId)
        .order_by_asc(job::Column::RunAt)
        .limit(most as u64)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    Ok(due.into_tuple().all(tx.conn()).await?)
}

/// Jobs as long as nobody else has claimed them since. Those that were claimed together have one fence.
fn held(tx: &Tx<'_>, jobs: &[Job]) -> Condition {
    let mut claimed = BTreeMap::<i64, Vec<Uuid>>::new();
    for job in jobs {
        claimed.entry(job.fence).or_default().push(job.id.0);
    }
    claimed.into_iter().fold(Condition::any(), |held, (fence, ids)| {
        held.add(tx.one_of(job::Column::Id, ids).and(job::Column::Fence.eq(fence)))
    })
}

fn lost() -> Error {
    Error::new(Code::Conflict, "the lease on a job was lost")
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
    if jobs.is_empty() {
        return Ok(());
    }
    let ended = tx.delete::<job::Entity>().filter(held(tx, jobs)).exec(tx.conn()).await?;
    if ended.rows_affected == jobs.len() as u64 { Ok(()) } else { Err(lost()) }
}

/// Sees, in the transaction of a part of a job's effect, that the job is still held, and that nobody else claims it
/// until the transaction ends.
///
/// # Errors
/// `conflict` when its lease was lost to another worker: the part must not be written.
pub async fn hold(tx: &Tx<'_>, job: &Job) -> Result<()> {
    let held = tx.update::<job::Entity>().col_expr(job::Column::Fence, Expr::value(job.fence));
    let held = held.filter(self::held(tx, std::slice::from_ref(job))).exec(tx.conn()).await?;
    if held.rows_affected == 1 { Ok(()) } else { Err(lost()) }
}

/// Ends a run of a job that is always there, in the transaction of its effect; the next one is due at a time.
///
/// # Errors
/// `conflict` when its lease was lost to another worker: none of the effect must be written.
pub async fn again(tx: &Tx<'_>, job: &Job, at: Time) -> Result<()> {
    let put_back = tx
        .update::<job::Entity>()
        .col_expr(job::Column::RunAt, Expr::value(at))
        .col_expr(job::Column::Attempt, Expr::value(0))
        .col_expr(job::Column::Fence, Expr::value(0))
        .filter(held(tx, std::slice::from_ref(job)))
        .exec(tx.conn())
        .await?;
    if put_back.rows_affected == 1 { Ok(()) } else { Err(lost()) }
}

#[cfg(test)]
mod tests;
