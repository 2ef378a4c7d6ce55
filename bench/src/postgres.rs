//! A PostgreSQL server for what is measured, and pgbench as a limit: clients that only insert.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use scratch::postgres::{PostgresServer, program};
use sea_orm::ConnectionTrait as _;

use crate::{
    Result,
    after::connect,
    child::{Kind, Target},
    disk::Disk,
    load::{LEAD, Measured},
};

/// What keeps the server's own chores out of the figures. Durability is as it comes: fsync and synchronous_commit on.
const OPTIONS: [&str; 5] = [
    "shared_buffers=512MB",
    "min_wal_size=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=1h",
    "wal_compression=off",
];
/// Segments of WAL that a server keeps for later when it is seasoned: 640 MB.
const SEGMENTS: usize = 40;
/// Rows that pgbench inserts in one statement, where it gathers them.
pub(crate) const BATCH: usize = 50;
/// Bytes of a body in one variable of pgbench's: twice as many hexadecimal digits have to fit into an argument.
const PIECE: usize = 60_000;
/// What pgbench's log is called, before the number of its process.
const LOG: &str = "latency";

/// The controls' table.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE project (id bigint PRIMARY KEY);
    INSERT INTO project VALUES (1);
    CREATE TABLE delivery (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        project_id bigint NOT NULL REFERENCES project (id),
        delivery_id text NOT NULL,
        event_type text NOT NULL,
        headers text NOT NULL,
        body bytea NOT NULL,
        UNIQUE (project_id, delivery_id)
    );
    ALTER TABLE delivery ALTER COLUMN body SET STORAGE EXTERNAL;";

/// A server under one disk.
pub(crate) struct Postgres {
    server: PostgresServer,
    made: AtomicUsize,
    dropped: AtomicUsize,
}

impl Postgres {
    pub(crate) fn start(disk: Disk) -> Result<Self> {
        let server = PostgresServer::start_in(&OPTIONS, |folder| disk.environment(folder))?;
        Ok(Self { server, made: AtomicUsize::new(0), dropped: AtomicUsize::new(0) })
    }

    /// Leaves the server with segments of WAL to use again, as one that has run for a while: whoever waits for a commit
    /// while a new one is filled with zeros waits for 50 ms.
    pub(crate) async fn season(&self) -> Result<()> {
        let postgres = connect(&self.server.url("postgres")).await?;
        for _ in 0..SEGMENTS {
            postgres
                .execute_unprepared("SELECT pg_logical_emit_message(true, '', ''); SELECT pg_switch_wal()")
                .await?;
        }
        postgres.execute_unprepared("CHECKPOINT").await?;
        Ok(())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.server.folder()
    }

    /// A new database for what is measured.
    pub(crate) async fn database(&self, kind: Kind) -> Result<String> {
        let name = format!("run_{}", self.made.fetch_add(1, Ordering::Relaxed));
        let url = self.server.url(&name);
        connect(&self.server.url("postgres"))
            .await?
            .execute_unprepared(&format!("CREATE DATABASE {name}"))
            .await?;
        let database = connect(&url).await?;
        if matches!(kind, Kind::Row | Kind::Pgbench | Kind::Batch) {
            database.execute_unprepared(SCHEMA).await?;
        }
        database.close().await?;
        Ok(url)
    }

    /// Drops all databases that were made, with whoever is still connected. That is a checkpoint, too: what comes next
    /// meets a server that has nothing left to write.
    pub(crate) async fn clear(&self) -> Result<()> {
        let postgres = connect(&self.server.url("postgres")).await?;
        let made = self.made.load(Ordering::Relaxed);
        for number in self.dropped.swap(made, Ordering::Relaxed)..made {
            postgres.execute_unprepared(&format!("DROP DATABASE run_{number} WITH (FORCE)")).await?;
        }
        postgres.close().await?;
        Ok(())
    }
}

/// Runs pgbench, for whole seconds: each client inserts a row, or many in one statement, with bodies of so many bytes,
/// commits, and begins again.
pub(crate) fn pgbench(target: &Target, connections: usize, bytes: usize, time: Duration) -> Result<Measured> {
    let url = target.database().ok_or("pgbench needs a database")?;
    let rows = if target.kind == Kind::Batch { BATCH } else { 1 };
    let folder = tempfile::TempDir::new()?;
    scratch::postgres::hand_over(folder.path())?;
    let script = folder.path().join("insert.sql");
    let (variables, body) = body(bytes);
    std::fs::write(&script, insert(&body, rows))?;
    let running = Duration::from_secs_f64(time.as_secs_f64().ceil().max(1.0));
    let syncs_before = target.syncs()?;
    let began = Instant::now();
    let status = program("pgbench")
        .args(["-n", "-M", "prepared", "-j", "2", "-c", &connections.to_string()])
        .args(["-T", &running.as_secs().to_string(), "-l", "--log-prefix"])
        .arg(folder.path().join(LOG))
        .args(variables.iter().flat_map(|variable| ["-D", variable.as_str()]))
        .arg("-f")
        .arg(&script)
        .arg(&url)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()?;
    let (took, syncs) = (began.elapsed(), target.syncs()?);
    if !status.success() {
        return Err("pgbench failed".into());
    }
    let commits = commits(folder.path())?;
    let begun = commits.iter().map(|(ended, took)| *ended - *took).min().ok_or("pgbench did nothing")?;
    let counted = begun + LEAD..begun + running;
    let latencies = commits.iter().filter(|(ended, _)| counted.contains(ended)).map(|(_, took)| *took);
    let measured = Measured::of(latencies.collect(), running - LEAD, (None, None))?;
    let stored = commits.len() * rows;
    let syncs = syncs_before.zip(syncs).map(|(before, after)| after - before);
    Ok(Measured {
        rate: measured.rate * rows as f64,
        per_sync: syncs.map(|syncs| stored as f64 / syncs as f64),
        acknowledged: stored as u64,
        took,
        ..measured
    })
}

/// A body of so many bytes: variables for pgbench's command line, and what its script says for them.
fn body(bytes: usize) -> (Vec<String>, String) {
    let pieces: Vec<_> = (0..bytes).step_by(PIECE).map(|from| PIECE.min(bytes - from)).collect();
    let variable = |(number, bytes): (usize, &usize)| format!("body_{number}=\\x{}", "4a".repeat(*bytes));
    let name = |number| format!(":body_{number}::bytea");
    let variables = pieces.iter().enumerate().map(variable).collect();
    (variables, (0..pieces.len()).map(name).collect::<Vec<_>>().join(" || "))
}

/// One statement, which is one commit.
fn insert(body: &str, rows: usize) -> String {
    let row = format!("(1, gen_random_uuid(), 'push', '[]', {body})");
    let rows = vec![row; rows].join(", ");
    format!("INSERT INTO delivery (project_id, delivery_id, event_type, headers, body) VALUES {rows};")
}

/// What pgbench's log tells of each commit: when it ended, since 1970, and how long it took.
fn commits(folder: &Path) -> Result<Vec<(Duration, Duration)>> {
    let mut commits = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let file = file?;
        if !file.file_name().to_string_lossy().starts_with(LOG) {
            continue;
        }
        for line in std::fs::read_to_string(file.path())?.lines() {
            let fields = line.split(' ').map(str::parse::<u64>);
            let fields = fields.collect::<std::result::Result<Vec<_>, _>>()?;
            let [_, _, took, _, seconds, micros, ..] = fields[..] else {
                return Err("pgbench's log has another form".into());
            };
            let ended = Duration::from_secs(seconds) + Duration::from_micros(micros);
            commits.push((ended, Duration::from_micros(took)));
        }
    }
    Ok(commits)
}
