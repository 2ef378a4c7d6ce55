//! From a change on one instance to the subscribers of another, over PostgreSQL and Redis.

use std::{
    path::Path,
    sync::{Arc, Mutex},
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

/// Subscribers and events per second.
const SCENES: [(usize, u32); 2] = [(1_000, 10), (10_000, 1)];
/// For how long events come.
const TIME: Duration = Duration::from_secs(20);

/// Measures every scene; gives lines of the report.
pub(crate) async fn measure(service: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (subscribers, per_second) in SCENES {
        let (postgres, redis) = (Postgres::start(Disk::AsIs)?, RedisServer::start(&[]).await?);
        let place = Place { disk: Disk::AsIs, postgres: Some(Arc::new(postgres)), redis: Some(redis.url()) };
        let source = child::start(&Contender::new(Kind::Trackside, service), &place).await?;
        let other = source.beside(service).await?;
        let (latencies, lost) = follow(&source, other.port, subscribers, per_second).await?;
        let ms = |share| within(&latencies, share).map(|latency| latency.as_secs_f64() * 1e3);
        let line = format!(
            "| {subscribers} subscribers, {per_second} events per second | {:.1} ms | {:.1} ms | {:.1} ms | {} | {lost} |",
            ms(0.5)?,
            ms(0.99)?,
            ms(1.0)?,
            latencies.len(),
        );
        println!("  {line}");
        lines.push(line);
    }
    Ok(lines)
}

/// Every latency, sorted, and how many events were missed.
async fn follow(
    source: &child::Target,
    port: u16,
    subscribers: usize,
    per_second: u32,
) -> Result<(Vec<Duration>, usize)> {
    let project = source.path.rsplit('/').next().unwrap_or_default().to_owned();
    let events = per_second as usize * TIME.as_secs() as usize;
    let (latencies, ready) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Barrier::new(subscribers + 1)));
    let mut reading = JoinSet::new();
    for _ in 0..subscribers {
        let request = format!(
            "GET /api/v1/projects/{project}/events/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
            source.key
        );
        let (latencies, ready) = (Arc::clone(&latencies), Arc::clone(&ready));
        reading.spawn(async move {
            let seen = subscribe(port, &request, &ready, events).await.unwrap_or_default();
            latencies.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(seen);
        });
    }
    ready.wait().await;
    let (client, clock) = (reqwest::Client::new(), Clock::system());
    let ping = Repository::new("northwind/ledger", clock.now()).ping().bytes();
    let signature = sign(&source.secret, &ping);
    let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second);
    for index in 0..events {
        tick.tick().await;
        let post = client
            .post(format!("http://127.0.0.1:{}{}", source.port, source.path))
            .header("x-github-event", "ping")
            .header("x-github-delivery", format!("bench-{index}"))
            .header("x-hub-signature-256", &signature);
        post.body(ping.clone()).send().await?.error_for_status()?;
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while !reading.is_empty() && Instant::now() < deadline {
        let _ = tokio::time::timeout(Duration::from_millis(100), reading.join_next()).await;
    }
    reading.shutdown().await;
    let mut latencies =
        std::mem::take(&mut *latencies.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    latencies.sort();
    if latencies.is_empty() {
        return Err("no event arrived".into());
    }
    let lost = subscribers * events - latencies.len();
    Ok((latencies, lost))
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
