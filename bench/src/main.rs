//! Trackside measured beside its limits, on the machine it runs on.
//!
//! `cargo build --release && cargo run --release -p bench` starts the real binary and two controls in temporary
//! folders, posts the same signed pushes to each in turn (A B C A B C …), prints medians and ratios, and writes
//! `bench/RESULTS.md`. `-- clone` measures what a newcomer waits for.

mod child;
mod control;
mod load;
mod newcomer;
mod report;

use std::{error::Error, path::Path, time::Duration};

use anstream::println;
use clap::{Parser, Subcommand};

use crate::{
    child::{Disk, Kind},
    load::Load,
    report::{Report, Row},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Parser)]
struct Arguments {
    /// Rounds; each measures everything once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load per measurement
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Measure from `git clone` to the first event
    Clone,
    /// One of the controls, as a process of its own
    #[command(hide = true)]
    Control { kind: Kind, port: u16, folder: std::path::PathBuf },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Control { kind, port, folder }) => control::serve(kind, port, &folder).await,
        Some(Command::Clone) => newcomer::measure(),
        None => measure(arguments.rounds, Duration::from_secs(arguments.seconds)).await,
    }
}

async fn measure(rounds: usize, time: Duration) -> Result<()> {
    let mut report = Report::new();
    for (disk, connections) in [(Disk::AsIs, 32), (Disk::Slow, 32), (Disk::Slow, 128)] {
        println!("{} connections, {disk}", connections);
        let mut rows: Vec<Row> = Kind::ALL.iter().map(|kind| Row::new(*kind, disk, connections)).collect();
        for round in 0..=rounds {
            for row in &mut rows {
                let target = child::start(row.kind, disk).await?;
                let load = Load::new(&target, connections);
                let measured = load.run(time).await?;
                drop(target);
                println!("  {} {}: {measured}", if round == 0 { "warm-up" } else { "round" }, row.kind);
                if round > 0 {
                    row.measured.push(measured);
                }
            }
        }
        report.add(rows);
    }
    report.start = child::start_times(10).await?;
    report.idle = child::idle_memory(1_000).await?;
    report.write(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md")))?;
    Ok(())
}
