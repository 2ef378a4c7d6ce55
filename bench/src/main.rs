//! Trackside measured beside its limits, on the machine it runs on.
//!
//! `cargo run --release -p bench` starts the real binary and two controls in temporary folders, posts the same
//! signed pushes to each in turn (A B C A B C …), prints medians, spreads and ratios, and writes
//! `bench/RESULTS.md`. `-- --beside OLD` measures a change: the binary of before is measured in the same rounds.
//! `-- clone` measures only what a newcomer waits for.

mod after;
mod child;
mod control;
mod disk;
mod idle;
mod load;
mod machine;
mod newcomer;
mod report;

use std::{error::Error, path::Path, path::PathBuf, time::Duration};

use anstream::println;
use clap::{Parser, Subcommand};

use crate::{
    after::Aftermath,
    child::{Contender, Kind},
    disk::Disk,
    idle::Idle,
    load::Load,
    report::{Report, Row, Scene},
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
    /// Only this disk; nothing is written then
    #[arg(long)]
    disk: Option<Disk>,
    /// Only these, separated by commas; nothing is written then
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    #[command(subcommand)]
    command: Option<Command>,
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
    /// One of the controls, as a process of its own
    #[command(hide = true)]
    Control { kind: Kind, port: u16, folder: PathBuf },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Control { kind, port, folder }) => control::serve(*kind, *port, folder).await,
        Some(Command::Clone) => {
            println!("{}", newcomer::measure()?);
            Ok(())
        }
        None => measure(&arguments).await,
    }
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let service = child::build()?;
    let measured = contenders(arguments, &service)?;
    let scenes = [
        (Disk::AsIs, arguments.connections),
        (Disk::Slow, arguments.connections),
        (Disk::Slow, arguments.many),
    ];
    let mut report = Report::default();
    for (disk, connections) in
        scenes.into_iter().filter(|(disk, _)| arguments.disk.is_none_or(|only| only == *disk))
    {
        println!("{connections} connections, {disk}");
        let mut rows: Vec<_> = measured.iter().map(|contender| Row::new(contender.clone())).collect();
        for round in 0..=arguments.rounds {
            for row in &mut rows {
                let target = child::start(&row.contender, disk).await?;
                let load = Load::new(&target, connections);
                let measured = load.run(&target, Duration::from_secs(arguments.seconds)).await?;
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
    if arguments.is_complete() {
        report.idle = Some(Idle::measure(&service).await?);
        report.newcomer = Some(newcomer::measure()?);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md");
        std::fs::write(file, report.text()?)?;
    }
    println!("\n{}", report.text()?);
    Ok(())
}

/// What is measured, in the order of a round.
fn contenders(arguments: &Arguments, service: &Path) -> Result<Vec<Contender>> {
    let this = std::env::current_exe()?;
    let mut all = vec![Contender::new(Kind::Trackside, service)];
    for other in &arguments.beside {
        all.push(Contender::new(Kind::Beside, &other.canonicalize()?));
    }
    all.extend([Contender::new(Kind::Verify, &this), Contender::new(Kind::Row, &this)]);
    all.retain(|contender| arguments.only.is_empty() || arguments.only.contains(&contender.kind));
    Ok(all)
}

/// What a shell command prints, for the report.
fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = std::process::Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
