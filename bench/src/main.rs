//! Trackside measured beside its limits, on the machine it runs on.
//!
//! `cargo run --release -p bench` starts the real binary and two controls in temporary folders, posts the same
//! signed pushes to each in turn (A B C A B C …), prints medians, spreads and ratios, and writes
//! `bench/RESULTS.md`; `-- --store postgres` does the same over PostgreSQL, with pgbench beside it, and writes
//! `bench/POSTGRES.md`. `-- --beside OLD` measures a change: the binary of before is measured in the same rounds.
//! `-- instances` measures what several instances share and writes `bench/INSTANCES.md`; it needs redis-server and
//! redis-benchmark, and `ulimit -n` above 11,000. `-- tools` measures tool calls and writes `bench/TOOLS.md`; `-- documents`
//! measures repositories and writes `bench/DOCUMENTS.md`; `-- claims` measures work that many want at once, and writes
//! `bench/CLAIMS.md`; `-- collisions` measures how soon it is seen who edits the same and what is red, and writes
//! `bench/COLLISIONS.md`. `-- clone` measures only what a newcomer waits for.

mod after;
mod calls;
mod child;
mod claims;
mod collisions;
mod control;
mod disk;
mod documents;
mod idle;
mod load;
mod machine;
mod newcomer;
mod postgres;
mod redis;
mod report;
mod streams;
mod tools;

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anstream::println;
use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    after::Aftermath,
    child::{Contender, Kind, Place},
    disk::Disk,
    idle::Idle,
    load::Load,
    postgres::Postgres,
    report::{Report, Row, Scene},
    tools::Tools,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Trackside measured beside its limits.
#[derive(Parser)]
struct Arguments {
    /// Rounds; each measures everything once. One more comes first and is not counted
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load per measurement
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Connections that post
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Connections that post in the last scene, on a slow disk
    #[arg(long, default_value_t = 128)]
    many: usize,
    /// Other builds of the service, measured in the same rounds; nothing is written then
    #[arg(long, value_name = "BINARY")]
    beside: Vec<PathBuf>,
    /// Where deliveries are stored
    #[arg(long, default_value = "sqlite")]
    store: Store,
    /// Only this disk; nothing is written then
    #[arg(long)]
    disk: Option<Disk>,
    /// Only these, separated by commas; nothing is written then
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where deliveries are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// A file
    Sqlite,
    /// A PostgreSQL server, started for the purpose
    Postgres,
}

impl Arguments {
    /// Whether everything is measured that the report is about.
    fn is_complete(&self) -> bool {
        self.beside.is_empty() && self.disk.is_none() && self.only.is_empty() && self.rounds > 0
    }
}

#[derive(Subcommand)]
enum Command {
    /// Measure from `git clone` to the first event
    Clone,
    /// Measure what instances share: events from one to the subscribers of another, and buckets in Redis
    Instances,
    /// Measure calls of tools, beside other servers that only echo
    Tools(Tools),
    /// Measure how repositories are read, and their documents searched
    Documents,
    /// Measure claims of work by many at once, and the heartbeats of those who hold it
    Claims,
    /// Measure how soon it is seen who edits the same, and which gates are red
    Collisions,
    /// The echo that is measured beside, as a process of its own
    #[command(hide = true)]
    Echo { port: u16 },
    /// One of the controls, as a process of its own
    #[command(hide = true)]
    Control { kind: Kind, port: u16, folder: PathBuf },
    /// A server that only writes to those who are connected, as a process of its own
    #[command(hide = true)]
    Write { port: u16 },
}

/// The service's own, so that no control is slower for want of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Write { port }) => streams::write(*port).await,
        Some(Command::Control { kind, port, folder }) => control::serve(*kind, *port, folder).await,
        Some(Command::Clone) => {
            println!("{}", newcomer::measure()?);
            Ok(())
        }
        Some(Command::Instances) => instances(&arguments).await,
        Some(Command::Documents) => {
            let text = documents::measure(arguments.rounds).await?;
            println!("\n{text}");
            if cfg!(debug_assertions) { Ok(()) } else { keep("DOCUMENTS.md", &text) }
        }
        Some(Command::Claims) => {
            let time = Duration::from_secs(arguments.seconds);
            let text = claims::measure(arguments.rounds, arguments.disk, time).await?;
            println!("\n{text}");
            let is_kept = arguments.is_complete() && !cfg!(debug_assertions);
            if is_kept { keep("CLAIMS.md", &text) } else { Ok(()) }
        }
        Some(Command::Collisions) => {
            let text = collisions::measure(arguments.rounds).await?;
            println!("\n{text}");
            let is_kept = arguments.is_complete() && !cfg!(debug_assertions);
            if is_kept { keep("COLLISIONS.md", &text) } else { Ok(()) }
        }
        Some(Command::Tools(tools)) => call_tools(&arguments, tools).await,
        Some(Command::Echo { port }) => tools::serve_echo(*port).await,
        None => measure(&arguments).await,
    }
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let service = child::build()?;
    let mut report = Report::new(arguments.store);
    for (disk, connections, kinds) in scenes(arguments) {
        if arguments.disk.is_some_and(|only| only != disk) {
            continue;
        }
        println!("{connections} connections, {disk}");
        let mut rows: Vec<_> = contenders(arguments, &service, kinds)?.into_iter().map(Row::new).collect();
        if rows.len() < 2 && arguments.only.is_empty() {
            continue;
        }
        let postgres = match arguments.store {
            Store::Sqlite => None,
            Store::Postgres => Some(Arc::new(Postgres::start(disk)?)),
        };
        let place = Place { disk, postgres, redis: None, scans: false };
        for round in 0..=arguments.rounds {
            for row in &mut rows {
                let target = child::start(&row.contender, &place).await?;
                let time = Duration::from_secs(arguments.seconds);
                let measured = match row.contender.kind {
                    Kind::Pgbench => postgres::pgbench(&target, connections, time)?,
                    _ => Load::new(&target, connections).run(&target, time).await?,
                };
                let after = Aftermath::of(&target, &measured).await?;
                let name = &row.contender.name;
                println!("  {} {name}: {measured}; {after}", if round == 0 { "warm-up" } else { "round" });
                if round > 0 {
                    row.add(measured, after);
                }
            }
        }
        report.add(Scene { disk, connections, rows });
    }
    if arguments.is_complete() && arguments.store == Store::Sqlite {
        report.idle = Some(Idle::measure(&service).await?);
        report.newcomer = Some(newcomer::measure()?);
    }
    let text = report.text()?;
    println!("\n{text}");
    if arguments.is_complete() { keep(report.file(), &text) } else { Ok(()) }
}

/// Measures what instances share, and writes `bench/INSTANCES.md`.
async fn instances(arguments: &Arguments) -> Result<()> {
    let service = child::build()?;
    let buckets = redis::measure_buckets(arguments.rounds, Duration::from_secs(arguments.seconds)).await?;
    let text = report::instances(&streams::measure(&service).await?, &buckets)?;
    println!("\n{text}");
    keep("INSTANCES.md", &text)
}

/// Measures calls of tools, and writes `bench/TOOLS.md`.
async fn call_tools(arguments: &Arguments, tools: &Tools) -> Result<()> {
    let text = tools::measure(tools, arguments.rounds, Duration::from_secs(arguments.seconds)).await?;
    println!("\n{text}");
    if cfg!(debug_assertions) { Ok(()) } else { keep("TOOLS.md", &text) }
}

/// Writes a report beside the others.
fn keep(file: &str, report: &str) -> Result<()> {
    Ok(std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), report)?)
}

/// Under what load which are measured, in the order of a round.
fn scenes(arguments: &Arguments) -> Vec<(Disk, usize, &'static [Kind])> {
    use Kind::{Beside, Full, Pgbench, Row, Trackside, Verify, Web};
    let (few, many) = (arguments.connections, arguments.many);
    let kinds: &[Kind] = match arguments.store {
        Store::Sqlite => &[Trackside, Beside, Verify, Row],
        Store::Postgres => &[Web, Trackside, Beside, Pgbench, Row],
    };
    let mut scenes = vec![(Disk::AsIs, few, kinds), (Disk::Slow, few, kinds), (Disk::Slow, many, kinds)];
    if arguments.store == Store::Postgres {
        scenes.push((Disk::AsIs, few, &[Full, Trackside]));
    }
    scenes
}

/// What is measured.
fn contenders(arguments: &Arguments, service: &Path, kinds: &[Kind]) -> Result<Vec<Contender>> {
    let this = std::env::current_exe()?;
    let mut all = Vec::new();
    for kind in kinds {
        match kind {
            Kind::Beside => {
                for other in &arguments.beside {
                    all.push(Contender::new(Kind::Beside, &other.canonicalize()?));
                }
            }
            kind if kind.is_service() => all.push(Contender::new(*kind, service)),
            control => all.push(Contender::new(*control, &this)),
        }
    }
    all.retain(|contender| arguments.only.is_empty() || arguments.only.contains(&contender.kind));
    Ok(all)
}

/// What a shell command prints, for the report.
fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = std::process::Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
