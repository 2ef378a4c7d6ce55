//! What holds of claims, leases and turns, on a real database and a clock that tests move.

use scratch::Scratch;
use serde_json::json;
use tokio_util::sync::CancellationToken;

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
    stage.enqueue_for(tenant, waiting).await;
    stage
}

impl Stage {
    async fn claim(&self, most: usize) -> Vec<Job> {
        self.jobs.claim(&self.database, &["test"], most).await.expect("claimed")
    }

    /// Enqueues jobs of any kind for any tenant.
    async fn enqueue(&self, tenant: TenantId, kind: &'static str, count: usize) {
        let new =
            (0..count).map(|_| NewJob { id: JobId(self.jobs.ids.uuid()), tenant, kind, payload: json!({}) });
        let (jobs, new) = (self.jobs.clone(), new.collect::<Vec<_>>());
        let enqueued =
            self.database.write(tenant, move |tx| Box::pin(async move { jobs.enqueue_all(tx, new).await }));
        enqueued.await.expect("enqueued");
    }

    async fn enqueue_for(&self, tenant: TenantId, count: usize) {
        self.enqueue(tenant, "test", count).await;
    }

    /// When the only job may be claimed.
    async fn due(&self) -> Time {
        let job = self.database.read_through(Door::NextJobs, |tx| {
            Box::pin(async move { Ok(job::Entity::find().one(tx.conn()).await?) })
        });
        job.await.expect("read").expect("a job").run_at
    }

    async fn finish(&self, job: Job) -> Result<()> {
        self.database.write(self.tenant, move |tx| Box::pin(async move { finish(tx, &[job]).await })).await
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
    let enqueued =
        stage.database.write(stage.tenant, move |tx| Box::pin(async move { jobs.enqueue(tx, again).await }));
    enqueued.await.expect("enqueued");
    assert!(stage.finish(stalled).await.is_err());
    assert_eq!(stage.claim(1).await.remove(0).attempt, 1);
}

#[tokio::test]
async fn a_backlog_of_one_tenant_delays_others_by_no_more_than_its_turn() {
    let stage = stage(0).await;
    for _ in 0..20 {
        stage.enqueue_for(stage.tenant, 500).await;
    }
    assert_eq!(stage.claim(64).await.len(), 64);
    let ids = Ids::system(stage.clock.clone());
    let small: Vec<_> = (0..10).map(|_| TenantId(ids.uuid())).collect();
    for tenant in &small {
        stage.enqueue_for(*tenant, 2).await;
    }
    let (mut waited, mut of_others) = (0, 0);
    while waited < 20 {
        let batch = stage.claim(64).await;
        waited += batch.iter().filter(|job| small.contains(&job.tenant)).count();
        of_others += batch.iter().filter(|job| job.tenant == stage.tenant).count();
    }
    assert!(of_others <= 2 * 64, "{of_others} of 10,000 were claimed before them");
    // And the backlog is not forgotten over them.
    stage.enqueue_for(small[0], 1).await;
    let mut claimed = 64 + of_others;
    while claimed < 10_000 {
        let batch = stage.claim(64).await;
        assert!(!batch.is_empty(), "{claimed} of 10,000 were claimed");
        claimed += batch.iter().filter(|job| job.tenant == stage.tenant).count();
    }
}

#[tokio::test]
async fn a_job_of_a_kind_that_nobody_here_knows_is_left_untouched_to_somebody_who_does() {
    let stage = stage(2).await;
    stage.enqueue(stage.tenant, "newer", 1).await;
    assert_eq!(stage.claim(10).await.len(), 2);
    let newer = stage.jobs.claim(&stage.database, &["test", "newer"], 10).await.expect("claimed").remove(0);
    assert_eq!((newer.kind.as_str(), newer.attempt), ("newer", 1));
}

/// A job after which the database is gone, and the service is to stop.
static LAST: [Kind<(Database, CancellationToken)>; 1] = [Kind {
    pace: Pace::Quick,
    name: "test",
    run: Run::Alone(|context, _| {
        Box::pin(async move {
            context.0.close().await;
            context.1.cancel();
            Err(Error::unavailable("away", Duration::from_secs(1)))
        })
    }),
    parked: None,
}];

#[tokio::test]
async fn a_job_that_cannot_be_put_back_does_not_hold_up_the_end_of_the_service() {
    let stage = stage(1).await;
    let stop = CancellationToken::new();
    let context = Arc::new((stage.database.clone(), stop.clone()));
    let work = stage.jobs.work(context, &stage.database, &LAST, Pace::Quick, stop);
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it ends");
}

#[tokio::test]
async fn a_lease_is_renewed_as_long_as_the_work_goes_on() {
    let stage = stage(1).await;
    let job = stage.claim(1).await.remove(0);
    let (proceed, waiting) = tokio::sync::oneshot::channel::<()>();
    let held = stage.jobs.holding(&stage.database, std::slice::from_ref(&job), waiting);
    let others = async {
        for _ in 0..30 {
            stage.clock.advance(TimeDelta::seconds(11));
            // The renewal is on its way: it is seen by the time it has moved.
            let until = stage.clock.now() + TimeDelta::seconds(30);
            while stage.due().await != until {
                tokio::task::yield_now().await;
            }
            assert!(stage.claim(1).await.is_empty(), "nobody else gets it");
        }
        proceed.send(()).expect("it is waited for");
    };
    let (outcome, ()) = tokio::join!(held, others);
    assert!(outcome.is_some(), "the work was done to its end");
    stage.finish(job).await.expect("and could be written");
}

#[tokio::test]
async fn work_whose_lease_was_lost_is_given_up() {
    let stage = stage(1).await;
    let stalled = stage.claim(1).await.remove(0);
    stage.clock.advance(TimeDelta::seconds(31));
    let holder = stage.claim(1).await.remove(0);
    let given_up = async {
        let held =
            stage.jobs.holding(&stage.database, std::slice::from_ref(&stalled), std::future::pending::<()>());
        held.await.is_none()
    };
    let later = async {
        for _ in 0..3 {
            tokio::task::yield_now().await;
            stage.clock.advance(TimeDelta::seconds(5));
        }
    };
    let (given_up, ()) = tokio::join!(given_up, later);
    assert!(given_up);
    stage.finish(holder).await.expect("the holder may");
}
