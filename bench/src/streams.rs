//! From a change on one instance to the subscribers of another, over PostgreSQL and Redis.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anstream::println;
use scratch::redis::RedisServer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Barrier,
    task::JoinSet,
};
use trackside::{
    clock::Clock,
    samples::{Repository, sign},
};

use crate::{
    Result,
    child::{self, Contender, Kind, Place},
    disk::Disk,
    load::within,
    postgres::Postgres,
};

/// For how long events come.
const TIME: Duration = Duration::from_secs(20);
/// Bytes of an event as a stream tells it.
const FRAME: usize = 330;

/// Who follows what.
struct Scene {
    subscribers: usize,
    /// Projects that they follow, as many each.
    projects: usize,
    /// Events of each project, evenly spread over the second.
    per_second: u32,
}

const SCENES: [Scene; 3] = [
    Scene { subscribers: 1_000, projects: 1, per_second: 10 },
    Scene { subscribers: 10_000, projects: 100, per_second: 1 },
    Scene { subscribers: 10_000, projects: 1, per_second: 1 },
];

impl Scene {
    /// Events that each subscriber is to see.
    fn events(&self) -> usize {
        self.per_second as usize * TIME.as_secs() as usize
    }
}

/// Measures every scene, and the last one without the service; gives lines of the report.
pub(crate) async fn measure(service: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for scene in &SCENES {
        let (postgres, redis) = (Postgres::start(Disk::AsIs)?, RedisServer::start(&[]).await?);
        let place = Place {
            disk: Disk::AsIs,
            postgres: Some(Arc::new(postgres)),
            redis: Some(redis.url()),
            scans: false,
        };
        let source = child::start(&Contender::new(Kind::Trackside, service), &place).await?;
        let other = source.beside(service).await?;
        let seen = follow(scene, &source, other.port).await?;
        let name = format!(
            "{} subscribers of {} project(s) with {} event(s) per second",
            scene.subscribers, scene.projects, scene.per_second
        );
        lines.push(line(&name, scene, &seen)?);
    }
    let [.., scene] = &SCENES;
    let name = format!(
        "a bare server that writes {FRAME} bytes to {} connections once per second",
        scene.subscribers
    );
    lines.push(line(&name, scene, &bare(scene).await?)?);
    Ok(lines)
}

/// A line of the report, from how late every event was, sorted.
fn line(name: &str, scene: &Scene, latencies: &[Duration]) -> Result<String> {
    let ms = |share| within(latencies, share).map(|latency| latency.as_secs_f64() * 1e3);
    let (p50, p99, latest) = (ms(0.5)?, ms(0.99)?, ms(1.0)?);
    let (read, lost) = (latencies.len(), scene.subscribers * scene.events() - latencies.len());
    let line = format!("| {name} | {p50:.1} ms | {p99:.1} ms | {latest:.1} ms | {read} | {lost} |");
    println!("  {line}");
    Ok(line)
}

/// How late every event of the service came to those who follow it on another instance, at `port`.
async fn follow(scene: &Scene, source: &child::Target, port: u16) -> Result<Vec<Duration>> {
    let mut projects = vec![source.endpoint()];
    while projects.len() < scene.projects {
        projects.push(source.new_project().await?);
    }
    let request = |index: usize| {
        let project = projects[index % projects.len()].path.rsplit('/').next().unwrap_or_default();
        format!(
            "GET /api/v1/projects/{project}/events/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
            source.key
        )
    };
    let readers = Readers::start(scene, port, request).await;
    let (client, clock) = (reqwest::Client::new(), Clock::system());
    let ping = Repository::new("northwind/ledger", clock.now()).ping().bytes();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / scene.per_second / scene.projects as u32);
    for index in 0..scene.events() * scene.projects {
        tick.tick().await;
        let project = &projects[index % projects.len()];
        let post = client
            .post(format!("http://127.0.0.1:{}{}", source.port, project.path))
            .header("x-github-event", "ping")
            .header("x-github-delivery", format!("bench-{index}"))
            .header("x-hub-signature-256", &sign(&project.secret, &ping));
        post.body(ping.clone()).send().await?.error_for_status()?;
    }
    readers.finish().await
}

/// The same of a server that does nothing but write: what this machine can do at all.
async fn bare(scene: &Scene) -> Result<Vec<Duration>> {
    let (folder, port) = (tempfile::TempDir::new()?, scratch::free_port()?);
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(["write", &port.to_string()]);
    let _server = child::spawn(&mut command, folder.path())?;
    child::wait_until_ready(port).await?;
    Readers::start(scene, port, |_| "GET / HTTP/1.1\r\n\r\n".to_owned()).await.finish().await
}

/// Serves [`bare`]: every connection is greeted, and told the time once a second.
pub(crate) async fn write(port: u16) -> Result<()> {
    let listener = trackside::server::bind(([127, 0, 0, 1], port).into())?;
    let (clock, (tell, told)) = (Clock::system(), tokio::sync::watch::channel(String::new()));
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            let now = clock.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            tell.send_replace(format!("{:<FRAME$}", format!("\"timestamp\":\"{now}\"")));
        }
    });
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mut told = told.clone();
        tokio::spawn(async move {
            told.mark_unchanged();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
            while told.changed().await.is_ok() {
                let frame = told.borrow_and_update().clone();
                stream.write_all(frame.as_bytes()).await?;
            }
            Ok::<_, std::io::Error>(())
        });
    }
}

/// Everybody who follows.
struct Readers {
    reading: JoinSet<()>,
    latencies: Arc<Mutex<Vec<Duration>>>,
}

impl Readers {
    /// Connects everybody, each with a request of their own; returns when all have been greeted.
    async fn start(scene: &Scene, port: u16, request: impl Fn(usize) -> String) -> Self {
        let (latencies, ready) =
            (Arc::new(Mutex::new(Vec::new())), Arc::new(Barrier::new(scene.subscribers + 1)));
        let (mut reading, events) = (JoinSet::new(), scene.events());
        for index in 0..scene.subscribers {
            let (latencies, ready, request) = (Arc::clone(&latencies), Arc::clone(&ready), request(index));
            reading.spawn(async move {
                let seen = subscribe(port, &request, &ready, events).await.unwrap_or_default();
                latencies.lock().unwrap_or_else(PoisonError::into_inner).extend(seen);
            });
        }
        ready.wait().await;
        Self { reading, latencies }
    }

    /// Waits until everybody has seen everything, or for some time more than it can take; gives how late it was.
    async fn finish(mut self) -> Result<Vec<Duration>> {
        let deadline = Instant::now() + TIME + Duration::from_secs(10);
        while !self.reading.is_empty() && Instant::now() < deadline {
            let _ = tokio::time::timeout(Duration::from_millis(100), self.reading.join_next()).await;
        }
        self.reading.shutdown().await;
        let mut latencies =
            std::mem::take(&mut *self.latencies.lock().unwrap_or_else(PoisonError::into_inner));
        latencies.sort();
        if latencies.is_empty() { Err("no event arrived".into()) } else { Ok(latencies) }
    }
}

/// Reads a stream until so many events have come; gives how late each was.
async fn subscribe(port: u16, request: &str, ready: &Barrier, events: usize) -> Result<Vec<Duration>> {
    const MARK: &[u8] = b"\"timestamp\":\"";
    const STAMP: usize = "2026-01-01T00:00:00.000000Z".len();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(request.as_bytes()).await?;
    let (mut buffer, mut seen, clock) =
        (Vec::with_capacity(4096), Vec::with_capacity(events), Clock::system());
    let mut is_ready = false;
    while seen.len() < events {
        if stream.read_buf(&mut buffer).await? == 0 {
            break;
        }
        let now = clock.now();
        if !is_ready {
            // The head of the answer and the greeting come before any event.
            is_ready = true;
            ready.wait().await;
        }
        let mut from = 0;
        while let Some(at) = buffer[from..].windows(MARK.len()).position(|window| window == MARK) {
            let start = from + at + MARK.len();
            let Some(stamp) = buffer.get(start..start + STAMP) else { break };
            // Times are written with as many digits as they need: a quote ends them.
            let stamp = stamp.split(|byte| *byte == b'"').next().unwrap_or_default();
            let then: chrono::DateTime<chrono::Utc> = std::str::from_utf8(stamp)?.parse()?;
            seen.push((now - then).to_std().unwrap_or_default());
            from = start;
        }
        let keep = buffer.len().saturating_sub(MARK.len() + STAMP).max(from);
        buffer.drain(..keep);
    }
    Ok(seen)
}
