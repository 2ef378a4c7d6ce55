//! What is taken when nothing happens, memory, start and size, beside other servers.

mod idle;
mod servers;

use std::{fmt::Write as _, path::Path};

use anstream::println;
use tempfile::TempDir;

use self::{
    idle::STREAMS,
    servers::{AtRest, Server},
};
use crate::{
    Plan, Result,
    answer::{Aim, Answer, Comparison},
    cargo,
    figures::{Figures, milliseconds},
    plots::{Axis, Bar, Chart, Shape},
};

/// Starts of each server that are measured.
const STARTS: usize = 5;

/// A server over all its starts.
struct Row {
    server: Server,
    /// What it was started in before.
    folder: TempDir,
    /// Milliseconds.
    start: Figures,
    /// MiB.
    memory: Figures,
}

/// Measures everything.
pub(crate) async fn answer(plan: &Plan) -> Result<Answer> {
    let service = cargo::service()?;
    let (servers, missing) = Server::all(&service);
    let mut rows = Vec::new();
    for server in servers {
        let (start, memory) = (Figures::default(), Figures::default());
        rows.push(Row { server, folder: TempDir::new()?, start, memory });
    }
    for turn in 0..=STARTS {
        look(&mut rows, turn > 0).await?;
    }
    let subscriber = follow(&service, plan.rounds).await?;
    let mut answer = Answer::new(text(&rows, &subscriber)?)?;
    answer.comparisons = comparisons(&rows, subscriber);
    answer.charts = vec![chart(&rows)];
    answer.missing = missing;
    Ok(answer)
}

/// Starts each server once, one after the other.
async fn look(rows: &mut [Row], counts: bool) -> Result<()> {
    for Row { server, folder, start, memory } in rows {
        let AtRest { start: took, kib } = server.look(folder).await?;
        let mib = kib as f64 / 1024.0;
        println!("  {}: ready after {took:.1?}, {mib:.1} MiB", server.name());
        if counts {
            start.push(milliseconds(took));
            memory.push(mib);
        }
    }
    Ok(())
}

/// KiB that each subscriber takes, each time of a new process.
async fn follow(service: &Path, rounds: usize) -> Result<Figures> {
    let mut each = Figures::default();
    for _ in 0..rounds.max(1) {
        let (followed, alone) = idle::follow(service).await?;
        println!("  {alone} KiB, with {STREAMS} subscribers {followed} KiB");
        each.push(followed.saturating_sub(alone) as f64 / STREAMS as f64);
    }
    Ok(each)
}

fn comparisons(rows: &[Row], subscriber: Figures) -> Vec<Comparison> {
    let Some((ours, others)) = rows.split_first() else { return Vec::new() };
    let mut comparisons = vec![
        Comparison::figure("memory at rest", ours.memory.clone(), " MiB")
            .aim(Aim::AtMost(40.0), "The program itself, as much of it as was used, is most of it."),
        Comparison::figure("start to ready, with a database that is there", ours.start.clone(), " ms")
            .aim(Aim::AtMost(200.0), "The machine was busy: opening the database and looking at its schema is all."),
        Comparison::figure(format!("memory of each of {STREAMS} idle subscribers"), subscriber, " KiB").aim(
            Aim::AtMost(16.0),
            "A subscriber is a connection that never ends: the buffer that its request was read into is 8 KB by itself, and \
             beside it stand the connection's task and the state of the request.",
        ),
    ];
    for other in others {
        let name = other.server.name();
        comparisons.push(Comparison::times("memory at rest", &ours.memory, name, &other.memory));
    }
    comparisons
}

fn chart(rows: &[Row]) -> Chart {
    let bars = rows.iter().map(|row| Bar {
        name: row.server.name().to_owned(),
        figures: row.memory.clone(),
        is_ours: matches!(row.server, Server::Trackside(_)),
    });
    let axis = Axis { name: "MiB".to_owned(), is_logarithmic: false };
    let shape = Shape::Bars { axis, bars: bars.collect() };
    Chart { file: "rest".to_owned(), title: "Memory at rest".to_owned(), shape }
}

fn text(rows: &[Row], subscriber: &Figures) -> Result<String> {
    let mut text = format!(
        "\
Each server is started in turn, one at a time, {STARTS} times after a start that is not counted. The start runs from the \
start of its process to its first answer over HTTP; half a second later its memory is looked at: what each of its \
processes has of its own, and its share of what several have (the kernel's `Pss`). Trackside runs all roles in one process \
and has its database open, which was made at the start that is not counted (SQLite, WAL, `synchronous=FULL`: what it \
acknowledges is on disk). The others keep nothing on disk: nginx has one worker, with places to publish and to follow by \
nchan, in memory; webhook has one hook; the echoes have one tool. Subscribers are those of a project's events by SSE, with \
nothing to tell them, and their memory is what the service has grown by (`VmRSS`), their clients not included.

| | start to ready | memory | program |
|---|---|---|---|
"
    );
    for Row { server, start, memory, .. } in rows {
        let bytes = server.bytes()?;
        let program = bytes.map(|bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)));
        let (name, program) = (server.name(), program.unwrap_or_default());
        writeln!(text, "| {name} | {} | {} | {program} |", start.show(0, " ms"), memory.show(1, " MiB"))?;
    }
    let each = subscriber.show(1, " KiB");
    write!(
        text,
        "\nA program's size is without the libraries of the system that it is linked with; nginx's is with the module of \
         nchan. FastMCP and the TypeScript SDK come with a language and its packages.\n\n| | |\n|---|---|\n\
         | memory of each of {STREAMS} idle subscribers | {each} |\n",
    )?;
    Ok(text)
}
