//! The database goes away and comes back; a pooler stands in between; two instances start at once.

use std::{
    collections::HashSet,
    path::Path,
    process::{Child, Stdio},
    sync::Arc,
};

use scratch::{
    Scratch,
    postgres::{PostgresServer, as_postgres, hand_over},
};
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::Mutex};

use crate::support::{
    Project, dawn, eventually, number,
    process::{Process, free_port, run, signal, trackside},
    text,
};

/// A folder whose settings lead to a database.
fn folder(url: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let settings = format!("database_url = \"{url}\"\njob_lease_seconds = 1\nscans = \"false\"\n");
    std::fs::write(folder.path().join("trackside.toml"), settings).unwrap();
    folder
}

fn is_wanted() -> bool {
    std::env::var_os("TRACKSIDE_TEST_POSTGRES").is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_in_the_middle_of_a_burst_loses_nothing_that_was_acknowledged() {
    if !is_wanted() {
        return;
    }
    // A server that would by itself acknowledge what is not on disk yet: the service asks for more.
    let postgres = PostgresServer::start(&["synchronous_commit=off", "wal_writer_delay=10s"]).unwrap();
    let folder = folder(&postgres.url("postgres"));
    let process = Process::serve(folder.path(), free_port(), &[], &[]).await;
    let project = process.project(folder.path()).await;
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    let stop = tokio_util::sync::CancellationToken::new();
    let lanes: Vec<_> = (0..8)
        .map(|lane| {
            let (project, acknowledged, stop) = (project.clone(), Arc::clone(&acknowledged), stop.clone());
            tokio::spawn(async move {
                let ping = trackside::samples::Repository::new("acme/rocket", dawn()).ping();
                for index in 0.. {
                    if stop.is_cancelled() {
                        return;
                    }
                    let id = format!("{lane}-{index}");
                    let answer = project.deliver(&id, &ping).await;
                    match answer.status {
                        202 => {
                            acknowledged.lock().await.insert(id);
                        }
                        503 => assert!(answer.headers.contains_key("retry-after"), "{}", answer.body),
                        other => panic!("{other}: {}", answer.body),
                    }
                }
            })
        })
        .collect();
    for round in 1..=3 {
        let so_far = acknowledged.lock().await.len();
        eventually("the burst goes on", async || acknowledged.lock().await.len() > so_far + 100).await;
        postgres.crash();
        let health = process.client(None).get("/health").await;
        assert_eq!(health.status, 503, "round {round}: {}", health.body);
        process.client(None).get("/health/live").await.expect(200);
        postgres.resume().unwrap();
    }
    eventually("the service recovers by itself", async || {
        process.client(None).get("/health/ready").await.status == 200
    })
    .await;
    stop.cancel();
    for lane in lanes {
        lane.await.unwrap();
    }
    project.settled().await;
    let deliveries = project.all("/deliveries").await;
    let stored: HashSet<_> = deliveries.iter().map(|delivery| text(&delivery["deliveryId"])).collect();
    let acknowledged = acknowledged.lock().await;
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), acknowledged.len());
    assert!(deliveries.iter().all(|delivery| delivery["status"] == "processed"), "an outage is no failure");
    let events = project.all("/events").await;
    assert_eq!(events.len(), stored.len(), "each delivery had its effect, once");
}

/// PgBouncer in front of a server; each transaction gets another of its few sessions.
struct PgBouncer {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl PgBouncer {
    async fn before(postgres: &PostgresServer) -> Self {
        let (folder, port) = (TempDir::new().unwrap(), free_port());
        let at = folder.path().display();
        let settings = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = any\nunix_socket_dir =\npool_mode = transaction\ndefault_pool_size = 3\n\
             logfile = {at}/log\n",
            postgres.port()
        );
        std::fs::write(folder.path().join("pgbouncer.ini"), settings).unwrap();
        hand_over(folder.path()).unwrap();
        let mut command = as_postgres(Path::new("/usr/sbin/pgbouncer"));
        command.arg(folder.path().join("pgbouncer.ini")).stdout(Stdio::null()).stderr(Stdio::null());
        let pooler = Self { child: command.spawn().unwrap(), port, _folder: folder };
        eventually("PgBouncer listens", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        pooler
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        signal(self.child.id(), "KILL");
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_gives_each_transaction_another_session_changes_nothing() {
    if !is_wanted() {
        return;
    }
    let postgres = PostgresServer::start(&[]).unwrap();
    let pooler = PgBouncer::before(&postgres).await;
    let folder = folder(&pooler.url());
    // Two instances share the pooler's three sessions, so that each meets what the other has left in them.
    let first = Process::serve(folder.path(), free_port(), &[], &[]).await;
    let second = Process::serve(folder.path(), free_port(), &[], &[]).await;
    let project = first.project(folder.path()).await;
    let other = Project { client: second.client(project.client.key.as_deref()), ..project.clone() };
    let mut stream = other.follow(Some("0")).await;
    let lanes = (0..8).map(|lane| {
        let at = if lane % 2 == 0 { project.clone() } else { other.clone() };
        async move {
            for index in 0..25 {
                let status =
                    trackside::samples::Repository::new("acme/rocket", dawn()).status("ci", "success");
                at.deliver(&format!("{lane}-{index}"), &status).await.expect(202);
                at.client.get(&at.path("/deliveries?status=processed")).await.expect(200);
                at.client.get(&at.path("/runs")).await.expect(200);
            }
        }
    });
    futures::future::join_all(lanes).await;
    project.settled().await;
    let events = project.all("/events").await.len() as i64;
    assert!(events >= 200);
    for position in 1..=events {
        assert_eq!(stream.next().await.unwrap().position(), position);
    }
    assert!(project.all("/deliveries").await.iter().all(|delivery| delivery["status"] == "processed"));
}

#[tokio::test]
async fn instances_that_start_at_the_same_moment_migrate_once_and_make_one_tenant() {
    if !is_wanted() {
        return;
    }
    let postgres = PostgresServer::start(&[]).unwrap();
    let folder = folder(&postgres.url("postgres"));
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let port = free_port();
    let settings = [("TRACKSIDE_MASTER_KEY", key)];
    let start = |offset| Process::serve(folder.path(), port + offset, &settings, &[]);
    let processes = tokio::join!(start(0), start(1), start(2), start(3));
    let database = sea_orm::Database::connect(postgres.url("postgres")).await.unwrap();
    assert_eq!(number(&database, "SELECT count(*) FROM tenant").await, 1);
    assert_eq!(number(&database, "SELECT count(*) FROM instance").await, 1);
    drop(processes);
    let other = trackside(folder.path())
        .arg("serve")
        .env("TRACKSIDE_MASTER_KEY", "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(other.status.code(), Some(1));
    let words = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(words.contains("not the master key"), "{words}");
}

#[tokio::test]
async fn a_server_that_does_not_keep_what_it_acknowledges_is_refused() {
    if !is_wanted() {
        return;
    }
    let postgres = PostgresServer::start(&["fsync=off"]).unwrap();
    let refused = run(folder(&postgres.url("postgres")).path(), &["serve", "--port", "0"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("fsync = off"), "{words}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let place = Scratch::new();
    let url = format!("postgres://me:hunter2@127.0.0.1:{}/track", free_port());
    let refused = trackside(place.path()).args(["tenant", "list"]).env("DATABASE_URL", url).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("cannot be reached") && words.contains("DATABASE_URL"), "{words}");
    assert!(!words.contains("hunter2"), "{words}");
}
