//! Trackside measured beside its limits, beside its peers, and as it grows, on the machine it runs on.
//!
//! `cargo run --release -p bench -- all` installs the peers, starts everything that it needs in temporary folders, and
//! answers the questions of [`question`], each in a module of its own; the name of one answers only that. What is compared
//! takes turns in one run, round after round (A B A B …), after a round that is not counted. Answers are kept as data in
//! `bench/answers/`, and `bench/RESULTS.md` with its pictures is made of them. `all` leaves out what takes long by itself,
//! such as `growth`, or the build from nothing of `newcomer`. `ulimit -n` has to be above 11,000.
//!
//! `-- ingest --beside OLD` measures a change: the binary of before is measured in the same rounds, and nothing is kept.

mod after;
mod answer;
mod buckets;
mod calls;
mod cargo;
mod catch_up;
mod child;
mod claims;
mod collisions;
mod control;
mod disk;
mod documents;
mod fan_out;
mod figures;
mod growth;
mod ingest;
mod load;
mod machine;
mod nchan;
mod newcomer;
mod peers;
mod plots;
mod postgres;
mod profile;
mod question;
mod rest;
mod results;
mod stand_in;
mod tools;
mod tree;

use std::{
    error::Error,
    path::PathBuf,
    time::{Duration, Instant},
};

use anstream::println;
use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    child::Kind,
    disk::Disk,
    question::{Question, SHORT},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Trackside measured beside its limits and its peers, and as it grows.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    plan: Plan,
    #[command(subcommand)]
    command: Command,
}

/// How much is measured.
#[derive(clap::Args)]
pub(crate) struct Plan {
    /// Rounds; each measures everything once. One more comes first and is not counted
    #[arg(long, default_value_t = 2, global = true)]
    pub(crate) rounds: usize,
    /// Seconds of load per measurement
    #[arg(long, default_value = "1", value_parser = seconds, global = true)]
    pub(crate) time: Duration,
    /// Only this disk, where there are two; nothing is kept then
    #[arg(long, global = true)]
    pub(crate) disk: Option<Disk>,
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    Duration::try_from_secs_f64(text.parse().map_err(|_| "not a number of seconds")?)
        .map_err(|error| error.to_string())
}

/// Where deliveries are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// A file
    Sqlite,
    /// A PostgreSQL server, started for the purpose
    Postgres,
}

#[derive(Subcommand)]
enum Command {
    /// Ask all that does not take long: ingest, tools, fan-out, catch-up, buckets, rest, profile
    All,
    #[command(flatten)]
    One(Question),
    /// Make the report and its pictures anew, of the answers that are kept
    Report,
    #[command(flatten)]
    Process(Process),
}

/// What is measured beside, as a process of its own.
#[derive(Subcommand)]
enum Process {
    /// A server whose tool echoes
    #[command(hide = true)]
    Echo { port: u16 },
    /// One of the controls of ingest
    #[command(hide = true)]
    Control { kind: Kind, port: u16, folder: PathBuf },
    /// A server that only writes to those who are connected
    #[command(hide = true)]
    Write { port: u16 },
}

/// The service's own, so that no control is slower for want of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { plan, command } = Arguments::parse();
    match command {
        Command::All => ask(&plan, SHORT.into_iter().filter_map(question).collect()).await,
        Command::One(question) => ask(&plan, vec![question]).await,
        Command::Report => results::render(),
        Command::Process(Process::Echo { port }) => tools::serve_echo(port).await,
        Command::Process(Process::Control { kind, port, folder }) => {
            control::serve(kind, port, &folder).await
        }
        Command::Process(Process::Write { port }) => fan_out::write(port).await,
    }
}

/// The question of a name, as if it were asked alone.
fn question(name: &str) -> Option<Question> {
    match Arguments::parse_from(["bench", name]).command {
        Command::One(question) => Some(question),
        _ => None,
    }
}

/// Answers questions, one after the other, and makes the report. One that cannot be answered keeps none of the others
/// from it.
async fn ask(plan: &Plan, questions: Vec<Question>) -> Result<()> {
    peers::set_up()?;
    cargo::build()?;
    let mut failed = Vec::new();
    for question in questions {
        let (name, began) = (question.name(), Instant::now());
        println!("\n{name}");
        match question.answer(plan).await {
            Ok(answer) if question.is_complete(plan) => answer.keep(name)?,
            Ok(answer) => println!("{}", answer.text),
            Err(error) => {
                println!("no answer: {error}");
                failed.push(format!("{name}: {error}"));
            }
        }
        println!("{name} took {:.0?}", began.elapsed());
    }
    results::render()?;
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ").into()) }
}

/// What a command prints, for the report.
fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = std::process::Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
