//! A PostgreSQL server for what is measured, and pgbench as a limit: a client that only inserts.

use std::{
    path::Path,
    sync::atomic::{AtomicI64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use scratch::postgres::{PostgresServer, program};
use sea_orm::ConnectionTrait as _;

use crate::{
    Result,
    after::{connect, number},
    child::{Kind, Target},
    disk::Disk,
    load::{Measured, PUSH_BYTES},
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
/// Deliveries stored before, where growth is measured.
const STORED: i64 = 1_000_000;

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

/// Deliveries of a project that nobody posts to, as they are stored: about 900 bytes of compressed body.
const FILL: &str = "
    SET synchronous_commit = off;
    WITH t AS (INSERT INTO tenant VALUES (gen_random_uuid(), 'full', now()) RETURNING id),
         p AS (INSERT INTO project SELECT gen_random_uuid(), id, 'full', 'https://git.example/x', '{}', 1, now(), now() FROM t
               RETURNING id, tenant_id)
    INSERT INTO webhook_event (id, tenant_id, project_id, source, delivery_id, event_type, headers, codec, body_bytes, received_at, body)
      SELECT (substr(at, 1, 8) || '-' || substr(at, 9, 4) || substr(gen_random_uuid()::text, 14))::uuid, tenant_id, id, 'github',
             gen_random_uuid()::text, 'push', '[[\"content-type\", \"application/json\"]]', 0, 8192, now(),
             decode(repeat(md5(n::text), 56), 'hex')
      FROM p, generate_series(1, 1000000) n, lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - 1000000 + n), 12, '0') at;
    RESET synchronous_commit;
    ANALYZE";

/// A server under one disk.
pub(crate) struct Postgres {
    server: PostgresServer,
    made: AtomicUsize,
    stored: AtomicI64,
}

impl Postgres {
    pub(crate) fn start(disk: Disk) -> Result<Self> {
        let server = PostgresServer::start_in(&OPTIONS, |folder| disk.environment(folder))?;
        Ok(Self { server, made: AtomicUsize::new(0), stored: AtomicI64::new(0) })
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

    /// A database for what is measured: a new one or, where growth is measured, the full one.
    pub(crate) async fn database(&self, kind: Kind) -> Result<String> {
        let name = match kind {
            Kind::Full => "filled".to_owned(),
            _ => format!("run_{}", self.made.fetch_add(1, Ordering::Relaxed)),
        };
        let url = self.server.url(&name);
        if kind == Kind::Full && self.stored.load(Ordering::Relaxed) > 0 {
            let database = connect(&url).await?;
            let stored = number(&database, "SELECT count(*) FROM webhook_event").await?;
            self.stored.store(stored, Ordering::Relaxed);
            return Ok(url);
        }
        connect(&self.server.url("postgres"))
            .await?
            .execute_unprepared(&format!("CREATE DATABASE {name}"))
            .await?;
        let database = connect(&url).await?;
        if matches!(kind, Kind::Row | Kind::Pgbench) {
            database.execute_unprepared(SCHEMA).await?;
        }
        database.close().await?;
        Ok(url)
    }

    /// Fills a database whose schema is there, where growth is measured.
    pub(crate) async fn fill(&self, url: &str) -> Result<()> {
        if self.stored.load(Ordering::Relaxed) == 0 {
            let database = connect(url).await?;
            database.execute_unprepared(FILL).await?;
            database.execute_unprepared("CHECKPOINT").await?;
            database.close().await?;
            self.stored.store(STORED, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Deliveries that were in a database before it was measured.
    pub(crate) fn before(&self, kind: Kind) -> i64 {
        if kind == Kind::Full { self.stored.load(Ordering::Relaxed) } else { 0 }
    }
}

/// Runs pgbench: each client inserts a row with a body of the same size, commits, and begins again.
pub(crate) fn pgbench(target: &Target, connections: usize, time: Duration) -> Result<Measured> {
    let url = target.database().ok_or("pgbench needs a database")?;
    let folder = tempfile::TempDir::new()?;
    scratch::postgres::hand_over(folder.path())?;
    let script = folder.path().join("insert.sql");
    std::fs::write(
        &script,
        "INSERT INTO delivery (project_id, delivery_id, event_type, headers, body) \
         VALUES (1, gen_random_uuid(), 'push', '[]', :body);",
    )?;
    let body = format!("body=\\x{}", "4a".repeat(PUSH_BYTES));
    let syncs_before = target.syncs()?;
    let began = Instant::now();
    let status = program("pgbench")
        .args(["-n", "-M", "prepared", "-j", "2", "-c", &connections.to_string()])
        .args(["-T", &time.as_secs().to_string(), "-D", &body, "-l", "--log-prefix"])
        .arg(folder.path().join("latency"))
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
    let mut latencies = Vec::new();
    for file in std::fs::read_dir(folder.path())? {
        let path = file?.path();
        if path != script {
            for line in std::fs::read_to_string(&path)?.lines() {
                let micros = line.split(' ').nth(2).ok_or("pgbench's log has another form")?.parse()?;
                latencies.push(Duration::from_micros(micros));
            }
        }
    }
    Ok(Measured { took, ..Measured::of(latencies, time, (syncs_before, syncs))? })
}
