//! P1 and P8 and P12, with the real binary: killed, restarted, watched at the system calls, told to stop.

use std::{collections::HashSet, sync::Arc, time::Duration};

use scratch::Scratch;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Mutex;
use trackside::samples::Repository;

use crate::support::{
    Client, Project, Socket, dawn, eventually, number,
    process::{Process, free_port},
    repository::{Origin, READS_FILES},
    text,
};

/// Short leases, so that a killed worker's jobs are taken up while the test waits.
const SETTINGS: [(&str, &str); 1] = [("TRACKSIDE_JOB_LEASE_SECONDS", "1")];

/// Posts until the connection breaks; notes what was acknowledged.
async fn burst(project: Project, name: String, acknowledged: Arc<Mutex<HashSet<String>>>) {
    let ping = Repository::new("acme/rocket", dawn()).ping();
    let (body, signature) = (ping.bytes(), trackside::samples::sign(&project.secret, &ping.bytes()));
    for index in 0.. {
        let id = format!("{name}-{index}");
        let request =
            project.client.clone().without_key().request(reqwest::Method::POST, &project.endpoint());
        let request = request.header("x-github-event", "ping").header("x-github-delivery", &id);
        match request.header("x-hub-signature-256", &signature).body(body.clone()).send().await {
            Ok(answer) if answer.status() == 202 => {
                acknowledged.lock().await.insert(id);
            }
            _ => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_the_middle_of_a_scan_has_the_rest_read_and_nothing_told_twice() {
    const STORIES: usize = 600;
    let (folder, port) = (Scratch::new(), free_port());
    let origin = Origin::new();
    for number in 0..STORIES {
        origin.write(&format!("docs/stories/{number}.md"), format!("# Story {number}\n"));
    }
    origin.commit_all("Begin");
    let settings = [SETTINGS[0], READS_FILES[0], READS_FILES[1]];
    let mut process = Process::serve(folder.path(), port, &settings, &[]).await;
    let tenant = process.project(folder.path()).await.tenant;
    let project = tenant.project_at(&origin.url()).await;
    for batches in [1, 3, 6] {
        eventually("some of it is read", async || {
            project.scan().await["done"].as_u64() >= Some(50 * batches)
        })
        .await;
        process.kill();
        process = Process::serve(folder.path(), port, &settings, &[]).await;
    }
    assert_eq!(project.scanned().await["state"], "succeeded");
    assert_eq!(project.artifacts().await.len(), STORIES);
    let mut told = HashSet::new();
    for event in project.all("/events").await.iter().filter(|event| event["event"] == "artifact_updated") {
        assert!(told.insert(text(&event["payload"]["path"])), "told twice: {event}");
    }
    assert_eq!(told.len(), STORIES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_in_the_middle_of_a_burst_loses_nothing_that_was_acknowledged() {
    let folder = Scratch::new();
    let port = free_port();
    let mut process = Process::serve(folder.path(), port, &SETTINGS, &[]).await;
    let project = process.project(folder.path()).await;
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    for round in 0..10 {
        let before = acknowledged.lock().await.len();
        let posting: Vec<_> = (0..8)
            .map(|lane| {
                tokio::spawn(burst(project.clone(), format!("{round}-{lane}"), Arc::clone(&acknowledged)))
            })
            .collect();
        eventually("the burst is under way", async || {
            acknowledged.lock().await.len() > before + 100 + round * 20
        })
        .await;
        process.kill();
        for lane in posting {
            lane.await.unwrap();
        }
        process = Process::serve(folder.path(), port, &SETTINGS, &[]).await;
    }
    project.settled().await;
    let listed = project.all("/deliveries").await;
    let stored: HashSet<_> = listed.iter().map(|delivery| text(&delivery["deliveryId"])).collect();
    let acknowledged = acknowledged.lock().await;
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), acknowledged.len());
    assert!(listed.iter().all(|delivery| delivery["status"] == "processed"));
    let mut effects = std::collections::HashMap::<String, usize>::new();
    for event in project.all("/events").await {
        *effects.entry(text(&event["payload"]["deliveryId"])).or_default() += 1;
    }
    assert_eq!(effects.len(), stored.len(), "each delivery had its effect");
    assert!(effects.values().all(|count| *count == 1), "and had it once");
}

#[tokio::test]
async fn the_fsync_comes_before_the_answer() {
    let folder = TempDir::new().unwrap(); // PostgreSQL syncs in processes of its own: see postgres.rs
    let trace = folder.path().join("trace");
    let wrapper =
        ["strace", "-f", "-yy", "-s", "64", "-e", "trace=fsync,fdatasync,write,sendto,writev,sendmsg", "-o"];
    let wrapper = [&wrapper[..], &[trace.to_str().unwrap()]].concat();
    let process = Process::serve(folder.path(), free_port(), &[], &wrapper).await;
    let project = process.project(folder.path()).await;
    const DELIVERIES: usize = 50;
    let ping = Repository::new("acme/rocket", dawn()).ping();
    for index in 0..DELIVERIES {
        project.deliver(&format!("d-{index}"), &ping).await.expect(202);
    }
    project.settled().await;
    drop(project);
    process.terminate();
    process.ended().await;
    let trace = std::fs::read_to_string(trace).unwrap();
    let (mut answers, mut synced) = (0, false);
    for line in trace.lines() {
        // A call that another thread interrupts is logged twice; its end is what counts.
        let ended = line.ends_with("= 0") || line.contains("resumed");
        if ended && (line.contains("fdatasync") || line.contains("fsync")) {
            synced = true;
        } else if line.contains("202 Accepted") {
            assert!(synced, "an answer without a sync since the one before: {line}");
            (answers, synced) = (answers + 1, false);
        }
    }
    assert_eq!(answers, DELIVERIES, "every answer was seen");
}

#[tokio::test]
async fn a_stop_lets_requests_in_flight_finish_and_exits_cleanly() {
    let folder = Scratch::new();
    let process = Process::serve(folder.path(), free_port(), &SETTINGS, &[]).await;
    let project = process.project(folder.path()).await;
    let mut stream = project.follow(None).await.greeted().await;
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let ping = Repository::new("acme/rocket", dawn()).ping();
    let posting: Vec<_> = (0..8)
        .map(|lane| {
            let (project, outcomes, ping) = (project.clone(), Arc::clone(&outcomes), ping.clone());
            tokio::spawn(async move {
                for index in 0.. {
                    let body = ping.bytes();
                    let request = Client::without_key(project.client.clone())
                        .request(reqwest::Method::POST, &project.endpoint())
                        .header("x-github-event", "ping")
                        .header("x-github-delivery", format!("{lane}-{index}"))
                        .header("x-hub-signature-256", trackside::samples::sign(&project.secret, &body));
                    match request.body(body).send().await {
                        Ok(answer) => outcomes.lock().await.push(answer.status().as_u16()),
                        // Nobody accepts any more, or an idle connection was closed under the request.
                        Err(error) => return assert!(error.is_connect() || error.is_request(), "{error:?}"),
                    }
                }
            })
        })
        .collect();
    let mut socket = Socket::open(&project.client).await;
    socket.subscribe(&project, None).await;
    socket.control("subscribed").await;
    eventually("the load is under way", async || outcomes.lock().await.len() > 100).await;
    process.terminate();
    let mut farewell = None;
    while let Some(frame) = stream.next_frame().await {
        farewell = Some(frame.comment);
    }
    assert!(
        farewell.is_some_and(|words| words.contains("shutting down")),
        "the stream was told to come back"
    );
    while socket.next().await.is_some_and(|frame| frame["type"] != "reconnect") {}
    assert_eq!(socket.ended().await, Some(1012), "the socket too, before the process ended");
    let code =
        tokio::time::timeout(Duration::from_secs(30), process.ended()).await.expect("it exits in time");
    assert_eq!(code, Some(0));
    for lane in posting {
        lane.await.unwrap();
    }
    let outcomes = outcomes.lock().await;
    assert!(outcomes.iter().all(|status| *status == 202), "every answer that was given was good");
    assert!(
        !folder.path().join("trackside.db-wal").exists(),
        "after a clean stop the file alone is everything"
    );
    let stored = number(&folder.database().await, "SELECT count(*) FROM webhook_event").await;
    assert!(stored >= outcomes.len() as i64, "{stored} stored, {} acknowledged", outcomes.len());
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_head_is_let_go() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = Scratch::new();
    let process = Process::serve(folder.path(), free_port(), &[], &[]).await;
    let mut sockets = Vec::new();
    for _ in 0..200 {
        let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", process.port)).await.unwrap();
        socket.write_all(b"GET /health HTTP/1.1\r\nhost:").await.unwrap();
        sockets.push(socket);
    }
    process.client(None).get("/health").await.expect(200);
    for mut socket in sockets {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(15), socket.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "the connection was closed");
    }
    let body = json!({});
    process.client(None).post("/webhooks/github/x", body).await.refused(404, "not_found");
}
