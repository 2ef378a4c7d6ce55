//! Fills a database by SQL, past the service: what stands beside this file says with what.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use anstream::println;
use sea_orm::ConnectionTrait as _;
use trackside::clock::Clock;

use super::grouped;
use crate::{
    Result,
    after::connect,
    child::{Endpoint, Target},
    output,
};

const DELIVERIES: &str = include_str!("deliveries.sql");
const EVENTS: &str = include_str!("events.sql");
const DOCUMENTS: &str = include_str!("documents.sql");
/// Deliveries whose rows are inserted by one statement.
const PART: u64 = 250_000;
/// Projects; the first of them has the lion's share.
const PROJECTS: usize = 4;
/// A document for so many deliveries, but no fewer and no more than these.
const PER_DOCUMENT: u64 = 100;
const FEWEST_DOCUMENTS: u64 = 100;
const MOST_DOCUMENTS: u64 = 100_000;
/// How often the 16 bytes of a body are repeated: as many bytes as a typical push takes when it is compressed, and about
/// a tenth of that for want of disk.
const BODIES: [u64; 2] = [56, 6];
/// Bytes that a delivery takes with its events and all indexes, beside its body.
const BESIDE_BODY: u64 = 1_450;
/// Bytes of WAL that the server keeps at most.
const WAL: u64 = 8 << 30;
/// Bytes for all else.
const SPARE: u64 = 2 << 30;
/// For the session that fills: nobody waits for each part to be on disk, and that a project exists is not looked up anew
/// for every row.
const SESSION: &str = "SET synchronous_commit = off; SET session_replication_role = replica";

/// Where the logs of all projects end.
const HEADS: &str = "UPDATE event_head SET position = \
    coalesce((SELECT max(position) FROM event WHERE event.project_id = event_head.project_id), position)";
/// Nothing is left to be tidied up later, and the server knows what is where.
const TIDY_DELIVERIES: [&str; 1] = ["VACUUM ANALYZE webhook_event"];
const TIDY_REST: [&str; 1] =
    ["VACUUM ANALYZE event, event_head, artifact, artifact_revision, artifact_text, work_item"];

/// What a database was filled with.
pub(super) struct Filled {
    /// The project that has the lion's share, by its id.
    pub(super) project: String,
    /// Deliveries of all projects; each caused two events.
    pub(super) deliveries: u64,
    /// Documents of all projects, and as many work items.
    pub(super) documents: u64,
    /// Bytes of each stored body.
    pub(super) body: u64,
    /// When the first delivery came, in milliseconds; one came in each.
    pub(super) start: i64,
    /// How long it took.
    pub(super) took: Duration,
}

/// How often the bytes of a body are repeated, so that there is room for so many deliveries beside a folder.
pub(super) fn room(folder: &Path, deliveries: u64) -> Result<u64> {
    let folder = folder.display().to_string();
    let told = output("df", &["--output=avail", "--block-size=1", &folder])?;
    let free: u64 = told.lines().last().ok_or("df says nothing")?.trim().parse()?;
    let needed = |repeats: u64| {
        let data = deliveries * (BESIDE_BODY + 16 * repeats);
        data + data.min(WAL) + SPARE
    };
    BODIES.into_iter().find(|repeats| needed(*repeats) <= free).ok_or_else(|| {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        format!(
            "{} deliveries need {:.0} GiB of disk, and {:.0} GiB are free at {folder}; make room, or ask for fewer \
             with --rows",
            grouped(deliveries),
            gib(needed(BODIES[1])),
            gib(free),
        )
        .into()
    })
}

/// Fills the database of a service that was just started, and leaves nothing to be tidied up or written later.
pub(super) async fn fill(target: &Target, deliveries: u64, repeats: u64) -> Result<Filled> {
    let began = Instant::now();
    let url = target.database().ok_or("there is no database")?;
    let mut projects = vec![target.endpoint()];
    while projects.len() < PROJECTS {
        projects.push(target.new_project().await?);
    }
    let projects: Vec<_> = projects.iter().map(Endpoint::project).collect();
    let documents = (deliveries / PER_DOCUMENT).clamp(FEWEST_DOCUMENTS, MOST_DOCUMENTS);
    let start = Clock::system().now().timestamp_millis() - i64::try_from(deliveries)?;
    let array = format!("ARRAY['{}']::uuid[]", projects.join("', '"));
    let values = [
        (":start", start.to_string()),
        (":projects", array),
        (":repeats", repeats.to_string()),
        (":step", (deliveries / documents).to_string()),
        (":documents", documents.to_string()),
    ];
    let [each, caused, known] = [DELIVERIES, EVENTS, DOCUMENTS].map(|sql| with(sql, &values));
    let next = AtomicU64::new(0);
    let lane = || insert(&url, [&each, &caused], deliveries, &next);
    let documented = [SESSION, &known];
    tokio::try_join!(lane(), lane(), say(&url, &documented))?;
    say(&url, &[HEADS]).await?;
    tokio::try_join!(say(&url, &TIDY_DELIVERIES), say(&url, &TIDY_REST))?;
    say(&url, &["CHECKPOINT"]).await?;
    let (project, body) = (projects[0].to_owned(), 16 * repeats);
    Ok(Filled { project, deliveries, documents, body, start, took: began.elapsed() })
}

/// One of several lanes over which the parts of both tables are inserted: each takes the next that nobody has.
async fn insert(url: &str, tables: [&str; 2], deliveries: u64, next: &AtomicU64) -> Result<()> {
    let database = connect(url).await?;
    database.execute_unprepared(SESSION).await?;
    loop {
        let turn = next.fetch_add(1, Ordering::Relaxed);
        let from = turn / 2 * PART;
        if from >= deliveries {
            break;
        }
        let until = (from + PART).min(deliveries);
        let values = [(":from", from.to_string()), (":until", until.to_string())];
        database.execute_unprepared(&with(tables[turn as usize % 2], &values)).await?;
        if until.is_multiple_of(1_000_000) && turn % 2 == 1 {
            println!("    {} of {} are stored", grouped(until), grouped(deliveries));
        }
    }
    Ok(database.close().await?)
}

/// Says something to a database, in a session of its own.
async fn say(url: &str, statements: &[&str]) -> Result<()> {
    let database = connect(url).await?;
    for statement in statements {
        database.execute_unprepared(statement).await?;
    }
    Ok(database.close().await?)
}

/// SQL with values in their places.
fn with(sql: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(sql.to_owned(), |sql, (name, value)| sql.replace(name, value))
}
