//! Durable ingest: signed pushes, each of which is on disk before it is acknowledged.
//!
//! The same pushes are taken in turn by the real binary, by what is hardly to be outdone (pgbench, which only inserts,
//! and a handler that only verifies), by what a plain handler would be, and by other receivers of webhooks. Then the
//! rows are counted: what was acknowledged has to be there, and nothing else.

mod report;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anstream::println;

use crate::{
    Plan, Result, Store,
    after::{Aftermath, Work},
    answer::Answer,
    cargo,
    child::{self, Contender, Kind, Place},
    disk::Disk,
    figures::Figures,
    load::{Bodies, LEAD, Load, Measured, PUSH_BYTES},
    peers,
    postgres::{self, Postgres},
};

/// Connections and sizes of the grid, in which each is measured with each.
const LANES: [usize; 3] = [1, 16, 64];
const SIZES: [usize; 4] = [2 << 10, PUSH_BYTES, 27 << 10, 256 << 10];
const GRID: [Kind; 3] = [Kind::Trackside, Kind::Beside, Kind::Pgbench];
/// Connections where more is measured beside Trackside; on a slow disk as few, and many.
const FEW: usize = 32;
const MANY: usize = 128;

/// What is measured of ingest.
#[derive(clap::Args)]
pub(crate) struct Ingest {
    /// Another build of the service, or several, measured in the same rounds; nothing is kept then
    #[arg(long, value_name = "BINARY")]
    beside: Vec<PathBuf>,
    /// Only where deliveries are stored here; nothing is kept then
    #[arg(long)]
    store: Option<Store>,
    /// Only these, separated by commas; nothing is kept then
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Only with so many connections, several separated by commas, and 8 KB; nothing is kept then
    #[arg(long, value_delimiter = ',')]
    connections: Vec<usize>,
}

/// Measures it; gives every figure.
pub(crate) async fn answer(plan: &Plan, ingest: &Ingest) -> Result<Answer> {
    let (service, mut all) = (cargo::service()?, Vec::new());
    for store in [Store::Postgres, Store::Sqlite] {
        for disk in [Disk::AsIs, Disk::Slow] {
            let is_asked = ingest.store.is_none_or(|only| only == store);
            if is_asked && plan.disk.is_none_or(|only| only == disk) {
                let mut scenes = ingest.scenes(store, disk, &service)?;
                measure(plan, store, disk, &mut scenes).await?;
                all.append(&mut scenes);
            }
        }
    }
    let mut answer = Answer::new(report::text(&all)?)?;
    answer.comparisons = report::comparisons(&all);
    answer.charts = report::charts(&all);
    answer.missing = missing();
    Ok(answer)
}

impl Ingest {
    /// Whether everything is measured that the answer is about.
    pub(crate) fn is_complete(&self) -> bool {
        let Self { beside, store, only, connections } = self;
        beside.is_empty() && store.is_none() && only.is_empty() && connections.is_empty()
    }

    /// Under what loads what is measured, in the order of a round.
    fn scenes(&self, store: Store, disk: Disk, service: &Path) -> Result<Vec<Scene>> {
        let mut scenes = Vec::new();
        let scene = |connections, bytes, is_cell, bodies: &Bodies, kinds: &[Kind]| -> Result<Scene> {
            let (bodies, rows) = (bodies.clone(), self.rows(kinds, service)?);
            Ok(Scene { store, disk, connections, bytes, is_cell, bodies, rows })
        };
        if store == Store::Postgres && self.connections.is_empty() {
            for bytes in SIZES {
                let bodies = Bodies::of_size(bytes);
                for connections in LANES {
                    scenes.push(scene(connections, bytes, true, &bodies, &GRID)?);
                }
            }
        }
        let (lanes, kinds) = beside(store, disk);
        let lanes = if self.connections.is_empty() { lanes } else { &self.connections };
        let bodies = Bodies::of_size(PUSH_BYTES);
        for connections in lanes {
            scenes.push(scene(*connections, PUSH_BYTES, false, &bodies, kinds)?);
        }
        scenes.retain(|scene| !scene.rows.is_empty());
        Ok(scenes)
    }

    /// Of these, what is to be measured and is there.
    fn rows(&self, kinds: &[Kind], service: &Path) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for kind in kinds.iter().filter(|kind| self.only.is_empty() || self.only.contains(*kind)) {
            let binaries = match kind {
                Kind::Beside => {
                    self.beside.iter().map(|file| file.canonicalize()).collect::<io::Result<Vec<_>>>()?
                }
                Kind::Webhook => Vec::from_iter(peers::program("webhook")),
                Kind::Octokit => Vec::from_iter(peers::node()),
                kind if kind.is_service() => vec![service.to_owned()],
                _ => vec![cargo::this_program()?.to_owned()],
            };
            rows.extend(binaries.iter().map(|binary| Row::new(Contender::new(*kind, binary))));
        }
        Ok(rows)
    }
}

/// With how many connections what is measured beside what.
fn beside(store: Store, disk: Disk) -> (&'static [usize], &'static [Kind]) {
    use Kind::{Batch, Beside, Octokit, Pgbench, Row, Trackside, Verify, Web, Webhook};
    match (store, disk) {
        (Store::Postgres, Disk::AsIs) => {
            (&[FEW], &[Web, Trackside, Beside, Pgbench, Batch, Row, Verify, Webhook, Octokit])
        }
        (Store::Postgres, Disk::Slow) => (&[FEW, MANY], &[Web, Trackside, Beside, Pgbench, Batch, Row]),
        (Store::Sqlite, _) => (&[FEW], &[Trackside, Beside, Row, Verify]),
    }
}

/// Peers that are not on this machine.
fn missing() -> Vec<String> {
    let peers = [("`webhook`", peers::program("webhook")), ("`@octokit/webhooks`", peers::node())];
    let missing = peers.into_iter().filter(|(_, found)| found.is_none());
    missing.map(|(name, _)| peers::missing(name)).collect()
}

/// Measures under all loads that share a store and a disk, round after round. The round that is not counted is short,
/// and leaves the grid out.
async fn measure(plan: &Plan, store: Store, disk: Disk, scenes: &mut [Scene]) -> Result<()> {
    if scenes.is_empty() {
        return Ok(());
    }
    let mut place = Place { disk, postgres: None, redis: None, scans: false };
    if store == Store::Postgres {
        let postgres = Postgres::start(disk)?;
        postgres.season().await?;
        place.postgres = Some(Arc::new(postgres));
    }
    for round in 0..=plan.rounds {
        for scene in scenes.iter_mut() {
            if round > 0 || !scene.is_cell {
                println!("{scene}, {}", if round > 0 { "round" } else { "warm-up" });
                scene.measure(&place, round, if round > 0 { plan.time } else { LEAD }).await?;
            }
        }
    }
    Ok(())
}

/// All that is measured under one load.
struct Scene {
    store: Store,
    disk: Disk,
    connections: usize,
    /// Bytes of a body, as they are meant.
    bytes: usize,
    /// Whether it belongs to the grid, where nobody waits for what the service makes of the deliveries.
    is_cell: bool,
    bodies: Bodies,
    rows: Vec<Row>,
}

impl Scene {
    /// Measures one after the other, each in a process and with a database of its own.
    async fn measure(&mut self, place: &Place, round: usize, time: Duration) -> Result<()> {
        for row in &mut self.rows {
            if let Some(postgres) = &place.postgres {
                postgres.clear().await?;
            }
            let target = child::start(&row.contender, place).await?;
            let measured = if target.kind.is_pgbench() {
                postgres::pgbench(&target, self.connections, self.bodies.bytes(), time)?
            } else {
                Load::new(&target, &self.bodies, self.connections).run(&target, time).await?
            };
            let after = Aftermath::of(&target, &measured, !self.is_cell).await?;
            println!("  {}: {measured}; {after}", row.contender.name);
            if round > 0 {
                row.measured.push(measured);
                row.after.push(after);
            }
        }
        Ok(())
    }

    /// Deliveries per second of the first of a kind, round by round; none, if it was not measured.
    fn rates(&self, kind: Kind) -> Figures {
        let row = self.rows.iter().find(|row| row.contender.kind == kind);
        row.map(Row::rates).unwrap_or_default()
    }
}

/// One of those that are measured, under one load, over all rounds.
struct Row {
    contender: Contender,
    measured: Vec<Measured>,
    after: Vec<Aftermath>,
}

impl Row {
    fn new(contender: Contender) -> Self {
        Self { contender, measured: Vec::new(), after: Vec::new() }
    }

    /// One figure of each round.
    fn each(&self, figure: impl Fn(&Measured) -> f64) -> Figures {
        self.measured.iter().map(figure).collect::<Vec<_>>().into()
    }

    /// Deliveries per second.
    fn rates(&self) -> Figures {
        self.each(|measured| measured.rate)
    }

    /// One figure of each round in which what was made of the deliveries was waited for.
    fn work(&self, figure: impl Fn(Work) -> f64) -> Figures {
        self.after.iter().filter_map(|after| after.work.map(&figure)).collect::<Vec<_>>().into()
    }
}
