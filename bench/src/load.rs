//! The load: signed pushes over kept-alive connections, each waiting for its answer before the next.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use trackside::samples::{Repository, sign};

use crate::{Result, child::Target};

/// Bytes of a push, as JSON.
pub(crate) const PUSH_BYTES: usize = 8_192;
/// Different bodies, so that nobody measures a cache of one.
const BODIES: usize = 64;

/// What was measured in one run.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    /// Acknowledged deliveries per second.
    pub(crate) rate: f64,
    /// Half of them were answered within this.
    pub(crate) p50: Duration,
    /// 99 of 100 were answered within this.
    pub(crate) p99: Duration,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s, p50 {:.2?}, p99 {:.2?}", self.rate, self.p50, self.p99)
    }
}

/// Pushes for one target, ready to be sent.
pub(crate) struct Load {
    port: u16,
    path: String,
    bodies: Arc<Vec<(Vec<u8>, String)>>,
    connections: usize,
}

impl Load {
    pub(crate) fn new(target: &Target, connections: usize) -> Self {
        let start = "2026-01-01T00:00:00Z".parse().expect("a time");
        let mut repository = Repository::new("acme/rocket", start);
        let bodies = (0..BODIES).map(|_| {
            let body = repository.push_of_size("main", PUSH_BYTES).bytes();
            let signature = sign(&target.secret, &body);
            (body, signature)
        });
        Self { port: target.port, path: target.path.clone(), bodies: Arc::new(bodies.collect()), connections }
    }

    /// Posts for `time`; every answer but 202 is an error.
    pub(crate) async fn run(&self, time: Duration) -> Result<Measured> {
        let began = Instant::now();
        let lanes: Vec<_> = (0..self.connections)
            .map(|lane| {
                let (path, bodies, port) = (self.path.clone(), Arc::clone(&self.bodies), self.port);
                tokio::spawn(async move { post(port, &path, &bodies, lane, began + time).await })
            })
            .collect();
        let mut latencies = Vec::new();
        for lane in lanes {
            latencies.extend(lane.await??);
        }
        let took = began.elapsed();
        latencies.sort();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
        Ok(Measured { rate: latencies.len() as f64 / took.as_secs_f64(), p50: at(0.5), p99: at(0.99) })
    }
}

async fn post(
    port: u16,
    path: &str,
    bodies: &[(Vec<u8>, String)],
    lane: usize,
    until: Instant,
) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (mut latencies, mut request, mut answer) = (Vec::new(), Vec::new(), vec![0; 4096]);
    for index in 0.. {
        let sent = Instant::now();
        if sent >= until {
            break;
        }
        let (body, signature) = &bodies[(lane * 7 + index) % bodies.len()];
        request.clear();
        request.extend_from_slice(
            format!(
                "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: GitHub-Hookshot/abcdef0\r\n\
                 accept: */*\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-github-event: push\r\n\
                 x-github-delivery: {lane:08x}-cc78-11e3-81ab-{index:012x}\r\nx-github-hook-id: 292430182\r\n\
                 x-hub-signature-256: {signature}\r\n\r\n",
                body.len()
            )
            .as_bytes(),
        );
        request.extend_from_slice(body);
        stream.write_all(&request).await?;
        read_answer(&mut stream, &mut answer).await?;
        latencies.push(sent.elapsed());
    }
    Ok(latencies)
}

/// Reads one whole answer, which must be 202.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err("the connection ended before the answer".into());
        }
        filled += read;
        let text = std::str::from_utf8(&buffer[..filled])?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if !head.starts_with("HTTP/1.1 202") {
            return Err(format!("not acknowledged: {text}").into());
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Ok(());
        }
    }
}
