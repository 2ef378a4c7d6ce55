//! What was measured of ingest: in words, in tables, in ratios, and in pictures.

use std::fmt::{self, Write as _};

use super::{FEW, MANY, Row, Scene};
use crate::{
    Result, Store,
    answer::{Aim, Comparison},
    child::Kind,
    disk::Disk,
    figures::{Figures, milliseconds},
    load::PUSH_BYTES,
    plots::{Axis, Bar, Chart, Line, Shape},
    postgres::BATCH,
};

/// What is compared: where, with how many connections, what of ours, and beside what; how many times as much it ought to
/// be, and why it is not where it is not.
type Wanted = (Store, Disk, usize, Kind, Kind, Option<f64>, &'static str);

/// What Trackside is compared with, how many times as fast it should be, and why it is not where it is not.
const WANTED: [Wanted; 13] = [
    (Store::Postgres, Disk::AsIs, FEW, Kind::Trackside, Kind::Pgbench, Some(1.6), WORKS),
    (Store::Postgres, Disk::Slow, MANY, Kind::Trackside, Kind::Pgbench, Some(1.8), WORKS),
    (Store::Postgres, Disk::Slow, FEW, Kind::Trackside, Kind::Pgbench, Some(0.9), SHARES),
    (Store::Postgres, Disk::AsIs, FEW, Kind::Web, Kind::Pgbench, Some(1.6), ALONE),
    (Store::Postgres, Disk::Slow, MANY, Kind::Web, Kind::Pgbench, Some(1.8), ALONE),
    (Store::Postgres, Disk::AsIs, FEW, Kind::Web, Kind::Row, Some(2.0), ALONE),
    (Store::Postgres, Disk::AsIs, FEW, Kind::Trackside, Kind::Batch, None, ""),
    (Store::Postgres, Disk::AsIs, FEW, Kind::Trackside, Kind::Row, Some(2.0), WORKS),
    (Store::Postgres, Disk::AsIs, FEW, Kind::Trackside, Kind::Verify, Some(0.3), STORES),
    (Store::Sqlite, Disk::AsIs, FEW, Kind::Trackside, Kind::Row, Some(5.0), SYNCS),
    (Store::Sqlite, Disk::Slow, FEW, Kind::Trackside, Kind::Row, None, ""),
    (Store::Postgres, Disk::AsIs, FEW, Kind::Trackside, Kind::Webhook, None, ""),
    (Store::Postgres, Disk::AsIs, FEW, Kind::Trackside, Kind::Octokit, None, ""),
];
const WORKS: &str = "Trackside works through what it takes while it takes more, on the same processors, which nothing \
    else here does; role `web` in the same table is the same binary without that work.";
const ALONE: &str = "Half of the processors' time goes to what neither has: the signature, the JSON, compression, and a load \
    generator that speaks HTTP.";
const SHARES: &str = "PostgreSQL lets clients that commit at the same moment share a sync, so those of pgbench do not \
    wait for one each either, and Trackside works through the deliveries on the same processors.";
const STORES: &str = "What only verifies neither reads the JSON nor compresses nor writes, and wakes no other process: \
    all that PostgreSQL needs of the same processors for a commit comes on top.";
const SYNCS: &str = "What a shared commit saves is syncs, and this machine's disk is quick at them, while Trackside \
    works through the deliveries on the same processors; the same with slower syncs is in the tables.";

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, disk, connections, bytes, .. } = self;
        write!(f, "{}, {}, {}, {disk}", size(*bytes), lanes(*connections), name(*store))
    }
}

fn size(bytes: usize) -> String {
    format!("{} KB", bytes >> 10)
}

fn lanes(connections: usize) -> String {
    format!("{connections} connection{}", if connections == 1 { "" } else { "s" })
}

fn name(store: Store) -> &'static str {
    match store {
        Store::Sqlite => "SQLite",
        Store::Postgres => "PostgreSQL",
    }
}

/// What is left of an acknowledged delivery when the power is cut.
fn durability(kind: Kind, store: Store) -> &'static str {
    match store {
        _ if !kind.stores() => "none",
        Store::Sqlite => "WAL, `synchronous=FULL`",
        Store::Postgres => "`fsync` and `synchronous_commit` on",
    }
}

/// What is done besides taking deliveries.
fn besides(kind: Kind) -> &'static str {
    match kind {
        Kind::Trackside | Kind::Beside => "works through the deliveries",
        Kind::Pgbench | Kind::Batch => "nothing, not even HTTP and signatures",
        Kind::Webhook => "starts `/bin/true` for each",
        Kind::Web | Kind::Row | Kind::Verify | Kind::Octokit => "nothing",
    }
}

/// How it was measured, and every figure.
pub(super) fn text(scenes: &[Scene]) -> Result<String> {
    let mut text = method();
    for scene in scenes.iter().filter(|scene| !scene.is_cell) {
        write!(text, "\n### {scene}\n\n{HEAD}")?;
        for row in &scene.rows {
            write_row(scene, row, &row.contender.name, &mut text)?;
        }
        write_work(scene, &mut text)?;
    }
    for disk in [Disk::AsIs, Disk::Slow] {
        let cells: Vec<_> = scenes.iter().filter(|scene| scene.is_cell && scene.disk == disk).collect();
        if !cells.is_empty() {
            write!(text, "\n### Sizes and connections, PostgreSQL, {disk}\n\n{HEAD}")?;
        }
        for scene in cells {
            for row in &scene.rows {
                let Scene { bytes, connections, .. } = scene;
                let label = format!("{}, {}, {}", size(*bytes), lanes(*connections), row.contender.name);
                write_row(scene, row, &label, &mut text)?;
            }
        }
    }
    Ok(text)
}

fn method() -> String {
    format!(
        "\
Signed pushes over kept-alive connections, each waiting for its 202 before the next; an answer that is anything else \
ends the measurement, and so does a count of rows, after each run, that is not exactly what was acknowledged. In each \
round all take turns, each in a process of its own with a new database. Half a second of load comes before what is \
counted, pgbench's too. The round that is not counted is half a second more, and leaves the grid of sizes and \
connections out, whose runs have their first half second only. In the grid nobody waits until the deliveries are \
worked through; everywhere else the next begins when they are.

A push of 8 KB has one commit, and more than half of it is links; one of 2 KB has none of these; larger ones have more \
commits. There are 64 different bodies of each size, of 256 KB 16. They touch no tracked document: each becomes two \
events.

| | Answers 202 | Durability | Does besides |
|---|---|---|---|
| Trackside | after the commit of a transaction that many deliveries share, of compressed bodies | in PostgreSQL, \
`fsync` and `synchronous_commit` on; in SQLite, WAL and `synchronous=FULL` | works through the deliveries on the same \
processors and the same disk: jobs, changes, events |
| Trackside, role `web` | the same | the same | nothing: a worker elsewhere would |
| {pgbench} | nobody: it has as many clients as there are connections elsewhere, and each of them sends, by a prepared \
statement, a row like the handler's with a body of the same size in hexadecimal digits, and commits | the same | \
nothing, not even HTTP and signatures |
| {batch} | nobody: the same, with {BATCH} rows in one statement, each with its body | the same | the same |
| {row} | after the commit of a transaction with one row: project, delivery id (unique), event, headers, body as it \
came; SeaORM, 16 connections to PostgreSQL, or one to SQLite | the same | nothing |
| {verify} | once the signature is verified | none | nothing |
| {webhook}, Debian's 2.8 | once the signature is verified and the JSON is read | none | starts a command for each, \
which is what it is for: `/bin/true`, for which it does not wait |
| {octokit} 14, one process of Node.js | once the signature is verified, the JSON is read and a handler that does \
nothing has run | none | nothing |

Trackside, the handler and what only verifies stand on the same accept loop. PostgreSQL runs on the same machine, with \
shared_buffers of 512 MB; it makes a checkpoint before each run and none during it, and has segments of WAL to use \
again, as a server has that has run for a while. All share the processors with it and with the load generator.

\"Per second\" are deliveries, or rows; times are of one answer, or of one commit of pgbench's. \"Processor\" is the \
time that a delivery takes of the measured process, without PostgreSQL's; `webhook`'s is with the commands that ended \
meanwhile. Every fsync is made 2 ms slower by a shim in front of libc's `fsync`, `fdatasync` and `sync_file_range`, \
which counts them too. \"Stored\" are the bytes of a stored body; Trackside's has the headers in it.
",
        pgbench = Kind::Pgbench,
        batch = Kind::Batch,
        row = Kind::Row,
        verify = Kind::Verify,
        webhook = Kind::Webhook,
        octokit = Kind::Octokit,
    )
}

/// How each table begins.
const HEAD: &str = "\
| | per second | p50 | p99 | processor | per fsync | stored | Trackside is | durability | besides |
|---|---|---|---|---|---|---|---|---|---|
";

fn write_row(scene: &Scene, row: &Row, label: &str, text: &mut String) -> fmt::Result {
    let kind = row.contender.kind;
    let processor = row.each(|measured| measured.cpu.as_secs_f64() * 1e6);
    let per_sync: Vec<_> = row.measured.iter().filter_map(|measured| measured.per_sync).collect();
    let stored: Vec<_> = row.after.iter().filter_map(|after| after.body_bytes).collect();
    let figures = [
        show(&row.rates(), 0, ""),
        show(&row.each(|measured| milliseconds(measured.p50)), 2, " ms"),
        show(&row.each(|measured| milliseconds(measured.p99)), 2, " ms"),
        if kind.is_pgbench() { String::new() } else { show(&processor, 0, " µs") },
        if kind.stores() { show(&per_sync.into(), 1, "") } else { String::new() },
        show(&stored.into(), 0, " B"),
        if kind == Kind::Trackside {
            String::new()
        } else {
            show(&scene.rates(Kind::Trackside).over(&row.rates()), 2, "×")
        },
    ];
    let durability = durability(kind, scene.store);
    writeln!(text, "| {label} | {} | {durability} | {} |", figures.join(" | "), besides(kind))
}

/// Figures with their range; nothing where there are none.
fn show(figures: &Figures, digits: usize, unit: &str) -> String {
    if figures.is_empty() { String::new() } else { figures.show(digits, unit) }
}

/// How far those were who work through the deliveries.
fn write_work(scene: &Scene, text: &mut String) -> fmt::Result {
    for row in &scene.rows {
        let (shares, rates) = (row.work(|work| work.share * 100.0), row.work(|work| work.rate));
        if !rates.is_empty() {
            writeln!(
                text,
                "\n{}: {} of the deliveries were worked through when the load ended. From the first to the last, \
                 working through included: {} per second.",
                row.contender.name,
                shares.show(0, " %"),
                rates.show(0, ""),
            )?;
        }
    }
    Ok(())
}

/// The scene outside the grid.
fn find(scenes: &[Scene], store: Store, disk: Disk, connections: usize) -> Option<&Scene> {
    let is_it = |scene: &&Scene| {
        !scene.is_cell && (scene.store, scene.disk, scene.connections) == (store, disk, connections)
    };
    scenes.iter().find(is_it)
}

/// Trackside beside what it is to be compared with.
pub(super) fn comparisons(scenes: &[Scene]) -> Vec<Comparison> {
    let compare = |(store, disk, connections, ours, kind, least, reason): Wanted| {
        let scene = find(scenes, store, disk, connections)?;
        let what = match ours {
            Kind::Trackside => scene.to_string(),
            other => format!("{scene}, {other}"),
        };
        let (ours, its) = (scene.rates(ours), scene.rates(kind));
        if ours.is_empty() || its.is_empty() {
            return None;
        }
        let comparison = Comparison::times(what, &ours, kind.to_string(), &its);
        Some(match least {
            Some(least) => comparison.aim(Aim::AtLeast(least), reason),
            None => comparison,
        })
    };
    WANTED.into_iter().filter_map(compare).collect()
}

/// All that was measured with as many connections, and how Trackside and pgbench fare with fewer and with more.
pub(super) fn charts(scenes: &[Scene]) -> Vec<Chart> {
    let mut charts = Vec::from_iter(find(scenes, Store::Postgres, Disk::AsIs, FEW).map(bars));
    charts.extend([(Disk::AsIs, "ingest-connections"), (Disk::Slow, "ingest-connections-slow")].map(
        |(disk, file)| {
            let title = format!("{} over PostgreSQL, {disk}", size(PUSH_BYTES));
            let (x, y) = (axis("connections", false), axis("deliveries per second", false));
            let lines = [Kind::Trackside, Kind::Pgbench].map(|kind| line(scenes, disk, kind)).into();
            Chart { file: file.to_owned(), title, shape: Shape::Lines { x, y, lines } }
        },
    ));
    charts
}

fn axis(name: &str, is_logarithmic: bool) -> Axis {
    Axis { name: name.to_owned(), is_logarithmic }
}

fn bars(scene: &Scene) -> Chart {
    let bar = |row: &Row| {
        let (name, kind) = (row.contender.name.replace('`', ""), row.contender.kind);
        Bar { name, figures: row.rates(), is_ours: kind.is_service() }
    };
    let axis = axis("deliveries per second", true);
    let shape = Shape::Bars { axis, bars: scene.rows.iter().map(bar).collect() };
    Chart { file: "ingest".to_owned(), title: scene.to_string(), shape }
}

/// Deliveries of the middle size, from few connections to many.
fn line(scenes: &[Scene], disk: Disk, kind: Kind) -> Line {
    let is_on = |scene: &&Scene| {
        (scene.store, scene.disk, scene.bytes) == (Store::Postgres, disk, PUSH_BYTES)
            && !scene.rates(kind).is_empty()
    };
    let point = |scene: &Scene| (scene.connections as f64, scene.rates(kind).median());
    let mut points: Vec<_> = scenes.iter().filter(is_on).map(point).collect();
    points.sort_by(|left, right| left.0.total_cmp(&right.0));
    Line { name: kind.to_string(), points, is_ours: kind.is_service() }
}
