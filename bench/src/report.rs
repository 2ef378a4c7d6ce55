//! Medians, spreads and ratios, as Markdown.

use std::{fmt::Write as _, time::Duration};

use crate::{
    Result, Store,
    after::{Aftermath, Work},
    child::{self, Contender, Kind},
    claims::{AGENTS, CLAIMS, RATE, RUSHES},
    collisions::{DOCUMENTS, FILES, HOLDERS, ITEMS, PATHS, RESERVATIONS},
    disk::Disk,
    idle::{Idle, STARTS, STREAMS},
    load::{Measured, PUSH_BYTES},
    machine,
    newcomer::Newcomer,
};

/// One target under one load, over all rounds.
pub(crate) struct Row {
    pub(crate) contender: Contender,
    measured: Vec<Measured>,
    after: Vec<Aftermath>,
}

impl Row {
    pub(crate) fn new(contender: Contender) -> Self {
        Self { contender, measured: Vec::new(), after: Vec::new() }
    }

    /// Adds a round.
    pub(crate) fn add(&mut self, measured: Measured, after: Aftermath) {
        self.measured.push(measured);
        self.after.push(after);
    }

    /// One figure of each round.
    fn each(&self, figure: impl Fn(&Measured) -> f64) -> Figures {
        Figures(self.measured.iter().map(figure).collect())
    }

    fn work(&self, figure: impl Fn(Work) -> f64) -> Option<Figures> {
        let figures: Vec<_> = self.after.iter().filter_map(|after| after.work.map(&figure)).collect();
        (!figures.is_empty()).then_some(Figures(figures))
    }
}

/// All targets under one load.
pub(crate) struct Scene {
    pub(crate) disk: Disk,
    pub(crate) connections: usize,
    pub(crate) rows: Vec<Row>,
}

/// Everything that was measured.
pub(crate) struct Report {
    store: Store,
    scenes: Vec<Scene>,
    pub(crate) idle: Option<Idle>,
    pub(crate) newcomer: Option<Newcomer>,
}

impl Report {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, scenes: Vec::new(), idle: None, newcomer: None }
    }

    /// The file it is kept in.
    pub(crate) fn file(&self) -> &'static str {
        match self.store {
            Store::Sqlite => "RESULTS.md",
            Store::Postgres => "POSTGRES.md",
        }
    }

    pub(crate) fn add(&mut self, scene: Scene) {
        self.scenes.push(scene);
    }

    /// All of it.
    pub(crate) fn text(&self) -> Result<String> {
        let (title, command) = match self.store {
            Store::Sqlite => ("Results", "cargo run --release -p bench"),
            Store::Postgres => {
                ("Results over PostgreSQL", "cargo run --release -p bench -- --store postgres")
            }
        };
        let mut text = head(title, command)?;
        text.push_str(&preface(self.store));
        for scene in &self.scenes {
            scene.write(&mut text)?;
        }
        if let Some(idle) = &self.idle {
            write_idle(idle, &mut text)?;
        }
        if let Some(newcomer) = &self.newcomer {
            writeln!(
                text,
                "| from `git clone` to the first event of the demo, crates fetched before | {newcomer} |"
            )?;
        }
        Ok(text)
    }
}

/// What a report is called, and where its figures come from.
pub(crate) fn head(title: &str, command: &str) -> Result<String> {
    let (today, commit, machine) = (machine::today()?, child::commit()?, machine::describe()?);
    Ok(format!("# {title}\n\nMade by `{command}` on {today}, at {commit}: {machine}.\n\n"))
}

fn preface(store: Store) -> String {
    let table = match store {
        Store::Sqlite => {
            "\
| Trackside | after the commit of a transaction that many deliveries share | SQLite, WAL, `synchronous=FULL` | \
works through the deliveries on the same processors and the same disk: jobs, changes, events |
| (a) | once the signature is verified | none | nothing |
| (b) | after the commit of a transaction with one row: project, delivery id (unique), event, headers, body; SeaORM, \
one connection | SQLite, WAL, `synchronous=FULL` | nothing |"
        }
        Store::Postgres => {
            "\
| Trackside | after the commit of a transaction that many deliveries share | `fsync` and `synchronous_commit` on | \
works through the deliveries on the same processors and the same disk: jobs, changes, events |
| Trackside, role `web` | the same | the same | nothing: a worker elsewhere would |
| Trackside, 1 M stored | the same | the same | the same as Trackside, beside a million older deliveries |
| (b) | after the commit of a transaction with one row: project, delivery id (unique), event, headers, body; SeaORM, \
16 connections | the same | nothing |
| (c) | nobody: pgbench has as many clients as there are connections elsewhere; each sends a body of the same size \
for a row like (b)'s, and commits | the same | nothing, not even HTTP and signatures |"
        }
    };
    let alike = match store {
        Store::Sqlite => "All three stand",
        Store::Postgres => {
            "PostgreSQL runs on the same machine, with shared_buffers of 512 MB, and without checkpoints while it is \
             measured. All that speak HTTP stand"
        }
    };
    format!(
        "\
## What is measured

Signed pushes of {PUSH_BYTES} bytes over kept-alive connections, each waiting for its 202 before the next; only \
202s count. The load generator shares the machine. In each round all are measured in turn, each in a process \
of its own with a new database; after a round that is not counted. Figures are medians over the rounds, ranges in \
brackets; ratios are taken within a round.

| | Answers 202 | Durability | Does besides |
|---|---|---|---|
{table}

{alike} on the same accept loop. After each run the rows are counted: exactly what was acknowledged is \
there. \"Processor\" is the time that a delivery takes of the measured process. Every fsync is made 2 ms slower by a \
shim in front of libc's `fsync`, `fdatasync` and `sync_file_range`, which counts them too. These pushes touch no \
tracked document: each becomes two events.

"
    )
}

impl Scene {
    fn write(&self, text: &mut String) -> Result<()> {
        let Self { disk, connections, rows } = self;
        let first = rows.first().ok_or("nothing was measured")?;
        writeln!(text, "## {connections} connections, {disk}\n")?;
        text.push_str("| | per second | p50 | p99 | processor | per fsync | the first is |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
        for row in rows {
            let rates = row.each(|measured| measured.rate);
            let per_sync = row.each(|measured| measured.per_sync.unwrap_or(f64::INFINITY)).median();
            let ratios = first.each(|measured| measured.rate).over(&rates);
            writeln!(
                text,
                "| {} | {} | {:.2} ms | {:.2} ms | {:.0} µs | {} | {} |",
                row.contender.name,
                rates.show(0, ""),
                row.each(|measured| measured.p50.as_secs_f64() * 1e3).median(),
                row.each(|measured| measured.p99.as_secs_f64() * 1e3).median(),
                row.each(|measured| measured.cpu.as_secs_f64() * 1e6).median(),
                if per_sync.is_finite() && row.contender.kind != Kind::Verify {
                    format!("{per_sync:.1}")
                } else {
                    String::new()
                },
                if std::ptr::eq(row, first) { String::new() } else { ratios.show(2, "×") },
            )?;
        }
        writeln!(text)?;
        for row in rows {
            let Some(((share, rate), body)) = row
                .work(|work| work.share * 100.0)
                .zip(row.work(|work| work.rate))
                .zip(row.after.first().and_then(|after| after.body_bytes))
            else {
                continue;
            };
            writeln!(
                text,
                "{}: {} of the deliveries were worked through when the load ended. From the first to the last, \
                 working through included: {} per second. A body takes {body:.0} bytes.\n",
                row.contender.name,
                share.show(0, " %"),
                rate.show(0, ""),
            )?;
        }
        Ok(())
    }
}

fn write_idle(idle: &Idle, text: &mut String) -> Result<()> {
    let starts = Figures(idle.starts.iter().map(|start| start.as_secs_f64() * 1e3).collect());
    let mib = |kib: u64| kib as f64 / 1024.0;
    let each = (idle.followed_kib - idle.alone_kib) as f64 / STREAMS as f64;
    writeln!(text, "## At rest\n\n| | |\n|---|---|")?;
    writeln!(text, "| start of the process to ready, of {STARTS} | {} |", starts.show(0, " ms"))?;
    writeln!(text, "| memory after the start | {:.1} MiB |", mib(idle.alone_kib))?;
    writeln!(
        text,
        "| memory with {STREAMS} idle subscribers | {:.1} MiB, {each:.1} KiB each |",
        mib(idle.followed_kib)
    )?;
    writeln!(text, "| size of the binary | {:.1} MiB |", idle.binary_bytes as f64 / f64::from(1 << 20))?;
    Ok(())
}

/// What was measured of several instances.
pub(crate) fn documents(lines: &[String]) -> Result<String> {
    let mut text = head("Results of documents", "cargo run --release -p bench -- documents")?;
    write!(
        text,
        "\
Repositories are folders of this machine, which the service reads by `file`. A scan is a new project's first: it fetches, \
lists, reads, stores and tells of every document; time is the service's own, from its begin to its end. Beside it stand \
`git ls-tree -r HEAD` and `git cat-file --batch` of the same documents, run in turn with it. A push is committed, posted, \
stored, worked through, fetched and read before its event; the clock runs from the post to the first byte that a \
subscriber has of it. Searches go by REST, 20 results each with a snippet.

{}
",
        lines.join("\n")
    )?;
    Ok(text)
}

/// What was measured of claims, each load for some time.
pub(crate) fn claims(tables: &[String], time: Duration) -> Result<String> {
    let mut text = head("Results of claims", "cargo run --release -p bench -- claims")?;
    write!(
        text,
        "\
Everything goes by REST, over {AGENTS} kept-alive connections, each with an API key of its own. \"Claims\": each claims \
the next of {CLAIMS} items that are ready, finishes what it was given, and asks again at once, until all are done. Only \
the claims are timed and counted, but what is spent is spent on both. No item was given twice; one that is ends the \
measurement. \"Claims at the same moment\": all {AGENTS} ask at once, finish what they were given, wait for each other, \
and ask again, {RUSHES} times. \"Heartbeats\": each holds an item, and all of them together say {RATE:.0} times a second, evenly spread, \
that they are still at it, and nothing else (`update_work`). \"Reads\" are `GET` of the project at the same pace: what \
a connection, a key and an answer cost anyway. Both go on for {} s after half a second that is not counted; a request \
that is late because the one before it took long counts from when it was due.

The last two columns are processor time, less what was spent at rest for as long. SQLite is in the service; PostgreSQL's \
is that of all its processes, fsync and synchronous_commit are on, and it has segments of WAL to use again, as a server \
that has run for a while has. The load generator shares the machine. Figures are medians over the rounds, ranges in \
brackets, after a round that is not counted. Every fsync is made 2 ms slower by a shim in front of libc's `fsync`, \
`fdatasync` and `sync_file_range`.

{}",
        time.as_secs(),
        tables.join("\n")
    )?;
    Ok(text)
}

/// What was measured of collisions.
pub(crate) fn collisions(tables: &[String]) -> Result<String> {
    let mut text = head("Results of collisions", "cargo run --release -p bench -- collisions")?;
    write!(
        text,
        "\
A project has a repository of {DOCUMENTS} documents and {RESERVATIONS} live reservations of {HOLDERS} holders, which is \
as many as a project may have: files with their tests, folders, migrations, documents, settings, and 50 that mean a \
kind of file wherever it is. \"A check\" is of {PATHS} paths by REST, of as many modules: files of which about half are \
reserved, and patterns. A bare name, such as `Cargo.lock`, is meant in every folder, so whatever is reserved may be \
near it. The aim is 10 ms at p95.

A push is posted, stored and worked through before its event; the clock runs from the post to the first byte that a \
subscriber has of `conflict_detected`. The first kind touches {FILES} files, of which somebody else has reserved one; \
the second is committed to a folder of this machine, fetched, listed and read before it is seen that a document builds \
on a version that is not there. Nothing waits before it tells: what is held back for 5 s is a cause that went away and \
comes back. The aim is 500 ms at p95.

\"An evaluation\" is `POST` of `gates/evaluate` in a project with {ITEMS} work items, each one thing with a document and \
in review: CI of its commit, a document that has to be there, and somebody's review. The aim is 100 ms at p95.

\"A read beside it\" is `GET` of the same project over the same kind of connection, once after each of the others. The \
load generator shares the machine; PostgreSQL has fsync and synchronous_commit on. Figures are medians over the rounds, \
ranges in brackets, after a round that is not counted.

{}",
        tables.join("\n")
    )?;
    Ok(text)
}

pub(crate) fn instances(streams: &[String], buckets: &str) -> Result<String> {
    let mut text = head("Results of several instances", "cargo run --release -p bench -- instances")?;
    write!(
        text,
        "\
## From a change to the subscribers of another instance

One instance takes webhooks and works through them, another has the subscribers; PostgreSQL (fsync on), Redis, both \
instances and all subscribers share this machine. Time runs from the event's timestamp, which is taken before its \
commit, to the moment when a subscriber has read it. The last line has nothing of the service in it: it is what this \
machine takes to tell so many connections anything at all, readers included.

| | p50 | p99 | latest | events read | missed |
|---|---|---|---|---|---|
{}

## Buckets

| | |
|---|---|
{buckets}
",
        streams.join("\n")
    )?;
    Ok(text)
}

/// One figure, once per round.
#[derive(Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The ratio to others, round by round.
    pub(crate) fn over(&self, others: &Self) -> Self {
        Self(self.0.iter().zip(&others.0).map(|(ours, its)| ours / its).collect())
    }

    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The median and, in brackets, the range.
    pub(crate) fn show(&self, digits: usize, unit: &str) -> String {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        format!("{:.digits$}{unit} ({least:.digits$}–{most:.digits$})", self.median())
    }
}
