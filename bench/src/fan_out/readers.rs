//! Everybody who follows: connections that are read as soon as something comes, and that note how late it was.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use trackside::clock::{Clock, Time};

use crate::Result;

/// The longest that greetings, and the last events, are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Those who connect at the same moment: fewer than wait in any server's backlog.
const AT_ONCE: usize = 250;
/// Bytes read at once at most.
const BUFFER: usize = 4_096;
/// Events that come before those that are counted.
const LEAD: usize = 1;
/// What stands before an event's time; a quote stands behind it.
const MARK: &[u8] = b"\"timestamp\":\"";

/// Everybody who follows.
pub(super) struct Readers {
    /// Their connections stay open until the last has seen everything.
    reading: JoinSet<Result<TcpStream>>,
    latencies: Arc<Mutex<Vec<Duration>>>,
}

impl Readers {
    /// Connects everybody, each with a request of their own; returns when all have been greeted.
    pub(super) async fn start(
        count: usize,
        events: usize,
        port: u16,
        request: impl Fn(usize) -> String,
    ) -> Result<Self> {
        let mut greeted = Vec::with_capacity(count);
        for first in (0..count).step_by(AT_ONCE) {
            let together = first..count.min(first + AT_ONCE);
            let greetings: JoinSet<_> = together.map(|index| greet(port, request(index))).collect();
            greeted.extend(greetings.join_all().await.into_iter().collect::<Result<Vec<_>>>()?);
        }
        let latencies: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let reading = greeted.into_iter().map(|(stream, buffer)| {
            let seen = Seen { latencies: Vec::with_capacity(LEAD + events), all: Arc::clone(&latencies) };
            follow(stream, buffer, seen, LEAD + events)
        });
        Ok(Self { reading: reading.collect(), latencies })
    }

    /// Waits until everybody has seen everything, or for some time more than it can take; gives how late it was, sorted.
    pub(super) async fn finish(mut self) -> Result<Vec<Duration>> {
        let mut done = Vec::new();
        let all = async {
            while let Some(connection) = self.reading.join_next().await {
                done.push(connection);
            }
        };
        // Who has not seen everything by then has missed it, and is counted.
        let _ = timeout(PATIENCE, all).await;
        self.reading.shutdown().await;
        for connection in done {
            connection??;
        }
        let mut latencies =
            std::mem::take(&mut *self.latencies.lock().unwrap_or_else(PoisonError::into_inner));
        latencies.sort();
        if latencies.is_empty() { Err("no event arrived".into()) } else { Ok(latencies) }
    }
}

/// Connects somebody, who has heard the beginning of the answer then, and is told of every event from now on.
async fn greet(port: u16, request: String) -> Result<(TcpStream, Vec<u8>)> {
    let mut buffer = Vec::with_capacity(BUFFER);
    let greeting = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request.as_bytes()).await?;
        stream.read_buf(&mut buffer).await?;
        Ok::<_, std::io::Error>(stream)
    };
    let stream = timeout(PATIENCE, greeting).await??;
    // By HTTP or, of Redis, an array of three.
    match buffer.starts_with(b"HTTP/1.1 200 ") || buffer.starts_with(b"*3\r\n") {
        true => Ok((stream, buffer)),
        false => Err(format!("a subscriber is answered: {}", String::from_utf8_lossy(&buffer)).into()),
    }
}

/// How late each event was that one subscriber has seen, who counts even when cut short.
struct Seen {
    latencies: Vec<Duration>,
    all: Arc<Mutex<Vec<Duration>>>,
}

impl Drop for Seen {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(self.latencies.iter().skip(LEAD));
    }
}

/// Reads a stream until so many events have come.
async fn follow(
    mut stream: TcpStream,
    mut buffer: Vec<u8>,
    mut seen: Seen,
    events: usize,
) -> Result<TcpStream> {
    let clock = Clock::system();
    while seen.latencies.len() < events {
        // Who is cut off misses what comes after.
        let Ok(1..) = stream.read_buf(&mut buffer).await else { break };
        let now = clock.now();
        for then in take_times(&mut buffer)? {
            seen.latencies.push((now - then).to_std().unwrap_or_default());
        }
    }
    Ok(stream)
}

/// The times of the events that were read, which leave the buffer; what may be the beginning of the next stays.
fn take_times(buffer: &mut Vec<u8>) -> Result<Vec<Time>> {
    let (mut times, mut from) = (Vec::new(), 0);
    let read = loop {
        let rest = &buffer[from..];
        let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) else {
            break from.max(buffer.len().saturating_sub(MARK.len()));
        };
        let time = &rest[at + MARK.len()..];
        let Some(length) = time.iter().position(|byte| *byte == b'"') else { break from + at };
        times.push(std::str::from_utf8(&time[..length])?.parse()?);
        from += at + MARK.len() + length;
    };
    buffer.drain(..read);
    Ok(times)
}
