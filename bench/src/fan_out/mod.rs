//! From an event to everybody who follows: Trackside beside nginx with nchan, Redis's own publish and subscribe, and a
//! server that does nothing but write.
//!
//! Each is started anew for every measurement, in turn; connections are the same readers' every time ([`readers`]), in the
//! process of the bench. Before what is counted, each project has one event that is not.

mod bare;
mod readers;
mod servers;
mod text;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use anstream::println;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scratch::redis::RedisServer;
use tokio::time::{interval, sleep};

pub(crate) use self::bare::write;
use self::{
    readers::Readers,
    servers::{Running, Teller},
};
use crate::{
    Plan, Result,
    answer::Answer,
    cargo,
    child::Place,
    disk::Disk,
    figures::{Figures, milliseconds},
    load::within,
    nchan::Nginx,
    peers,
    postgres::Postgres,
};

/// For how long events come in a round, and in the one that is not counted.
const TIME: Duration = Duration::from_secs(6);
const WARM_UP: Duration = Duration::from_secs(2);
/// From the events that are not counted to the first that is.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes of an event as Trackside's stream tells it.
const FRAME: usize = 362;
/// Files that the bench and what it measures may each have to hold open.
const FILES: u64 = 11_000;
/// Subscribers whose memory stands out from what else changes.
const MANY: usize = 1_000;
/// How often nchan is tried with some number of workers.
const TRIALS: usize = 3;

/// Who follows what.
#[derive(PartialEq, Eq)]
struct Scene {
    subscribers: usize,
    /// Projects that they follow, as many each.
    projects: usize,
    /// Events of each project, evenly spread over the second.
    per_second: u32,
}

const SCENES: [Scene; 7] = [
    Scene { subscribers: 100, projects: 1, per_second: 1 },
    Scene { subscribers: 100, projects: 10, per_second: 1 },
    Scene { subscribers: 1_000, projects: 1, per_second: 1 },
    Scene { subscribers: 1_000, projects: 10, per_second: 1 },
    Scene { subscribers: 10_000, projects: 100, per_second: 1 },
    OFTEN,
    FULL,
];
/// One project that much happens in.
const OFTEN: Scene = Scene { subscribers: 1_000, projects: 1, per_second: 10 };
/// The most who follow one project.
const FULL: Scene = Scene { subscribers: 10_000, projects: 1, per_second: 1 };

impl Scene {
    /// Events that each subscriber is to see.
    fn events(&self, time: Duration) -> usize {
        self.per_second as usize * time.as_secs() as usize
    }

    /// Who is measured in it.
    fn tellers(&self, stage: &Stage) -> Vec<Teller> {
        let mut tellers = vec![Teller::Trackside, Teller::Nchan, Teller::Redis, Teller::Bare];
        tellers.retain(|teller| match teller {
            Teller::Nchan => stage.nginx.is_some(),
            Teller::Bare => *self == FULL,
            Teller::Trackside | Teller::Redis => true,
        });
        tellers
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscribers, projects, per_second } = self;
        let subscribers = match subscribers {
            0..1_000 => subscribers.to_string(),
            _ => format!("{},{:03}", subscribers / 1_000, subscribers % 1_000),
        };
        let events = if *per_second == 1 { "event" } else { "events" };
        match projects {
            1 => write!(f, "{subscribers} subscribers of one project, {per_second} {events} per second"),
            _ => write!(
                f,
                "{subscribers} subscribers of {projects} projects, {per_second} {events} per second each"
            ),
        }
    }
}

/// What is measured is started from this.
struct Stage {
    service: PathBuf,
    /// Where Trackside's instances keep what they share.
    place: Place,
    nginx: Option<Nginx>,
}

/// What was measured at once; times are milliseconds.
struct Measured {
    p50: f64,
    p99: f64,
    latest: f64,
    read: usize,
    missed: usize,
    /// Memory that each subscriber took, where it is known.
    kib: Option<f64>,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p99, latest, missed, .. } = self;
        write!(f, "p50 {p50:.1} ms, p99 {p99:.1} ms, latest {latest:.1} ms, {missed} missed")?;
        self.kib.map_or(Ok(()), |kib| write!(f, ", {kib:.1} KiB each"))
    }
}

/// One teller in one scene, over all rounds; times are milliseconds.
struct Row {
    scene: &'static Scene,
    teller: Teller,
    p50: Figures,
    p99: Figures,
    latest: Figures,
    kib: Figures,
    read: usize,
    missed: usize,
}

impl Row {
    fn new(scene: &'static Scene, teller: Teller) -> Self {
        let none = Figures::default;
        let (p50, p99, latest, kib) = (none(), none(), none(), none());
        Self { scene, teller, p50, p99, latest, kib, read: 0, missed: 0 }
    }

    fn add(&mut self, measured: &Measured) {
        self.p50.push(measured.p50);
        self.p99.push(measured.p99);
        self.latest.push(measured.latest);
        if let Some(kib) = measured.kib {
            self.kib.push(kib);
        }
        self.read += measured.read;
        self.missed += measured.missed;
    }
}

/// Measures how soon everybody hears of an event.
pub(crate) async fn answer(plan: &Plan) -> Result<Answer> {
    if peers::program("redis-server").is_none() {
        let mut answer = Answer::new("Not measured: several instances need Redis.\n".to_owned())?;
        answer.missing.push(peers::missing("Redis"));
        return Ok(answer);
    }
    raise_open_files()?;
    let (service, postgres, redis) =
        (cargo::service()?, Postgres::start(Disk::AsIs)?, RedisServer::start(&[]).await?);
    postgres.season().await?;
    let place = Place {
        disk: Disk::AsIs,
        postgres: Some(Arc::new(postgres)),
        redis: Some(redis.url()),
        scans: false,
    };
    let mut stage = Stage { service, place, nginx: Nginx::find(FILES) };
    choose_workers(&mut stage).await?;
    let mut rows = Vec::new();
    for scene in &SCENES {
        rows.extend(scene.tellers(&stage).into_iter().map(|teller| Row::new(scene, teller)));
    }
    for round in 0..=plan.rounds {
        let (name, time) = if round == 0 { ("warm-up", WARM_UP) } else { ("round", TIME) };
        for row in &mut rows {
            let measured = measure(row.scene, row.teller, &stage, time).await?;
            println!("  {name} {}, {}: {measured}", row.scene, row.teller.name());
            if round > 0 {
                row.add(&measured);
            }
        }
    }
    text::answer(&rows, stage.nginx.as_ref())
}

/// Raises the limit of open files as far as is needed, which all that is started from here inherits.
fn raise_open_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < FILES) else { return Ok(()) };
    setrlimit(Resource::Nofile, Rlimit { current: Some(FILES), ..limit }).map_err(|_| {
        format!(
            "10,000 subscribers need {FILES} open files, and a process may have {current} here: raise the hard limit, \
             such as by `ulimit -Hn {FILES}` as root, and run this again"
        )
    })?;
    Ok(())
}

/// Finds out whether nchan does best with one worker or with as many as there are cores, where most follow one project.
async fn choose_workers(stage: &mut Stage) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    if stage.nginx.is_none() || cores == 1 {
        return Ok(());
    }
    let mut trials = [1, cores].map(|workers| (workers, Figures::default()));
    for _ in 0..TRIALS {
        for (workers, p99) in &mut trials {
            stage.nginx = stage.nginx.take().map(|nginx| nginx.with_workers(*workers));
            let measured = measure(&FULL, Teller::Nchan, stage, WARM_UP).await?;
            println!("  trial {FULL}, nchan with {workers} worker(s): {measured}");
            p99.push(measured.p99);
        }
    }
    let [(one, alone), (all, together)] = trials;
    let workers = if alone.median() <= together.median() { one } else { all };
    stage.nginx = stage.nginx.take().map(|nginx| nginx.with_workers(workers));
    Ok(())
}

/// Starts a teller, connects everybody, and has it tell of events for some time.
async fn measure(scene: &Scene, teller: Teller, stage: &Stage, time: Duration) -> Result<Measured> {
    let mut server = Running::start(teller, scene, stage).await?;
    let (before, events) = (server.memory_kib()?, scene.events(time));
    let request = |index: usize| server.request(index % scene.projects);
    let readers = Readers::start(scene.subscribers, events, server.port(), request).await?;
    let connected = server.memory_kib()?.filter(|_| scene.subscribers >= MANY);
    let kib = connected.zip(before).map(|(now, before)| now as f64 - before as f64);
    for project in 0..scene.projects {
        server.publish(project).await?;
    }
    sleep(PAUSE).await;
    let mut tick = interval(Duration::from_secs(1) / scene.per_second / scene.projects as u32);
    for index in 0..events * scene.projects {
        tick.tick().await;
        server.publish(index % scene.projects).await?;
    }
    let latencies = readers.finish().await?;
    let ms = |share| within(&latencies, share).map(milliseconds);
    Ok(Measured {
        p50: ms(0.5)?,
        p99: ms(0.99)?,
        latest: ms(1.0)?,
        read: latencies.len(),
        missed: scene.subscribers * events - latencies.len(),
        kib: kib.map(|kib| kib / scene.subscribers as f64),
    })
}
