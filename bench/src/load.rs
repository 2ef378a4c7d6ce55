//! The load: signed pushes over kept-alive connections, each waiting for its answer before the next.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use trackside::samples::{Commit, Repository, sign};

use crate::{Result, child::Target};

/// Bytes of a push, as JSON.
pub(crate) const PUSH_BYTES: usize = 8_192;
/// Different bodies, so that nobody measures a cache of one; as many of them as fit into the memory.
const BODIES: usize = 64;
const MEMORY: usize = 4 << 20;
/// Pushes of fewer bytes have no links.
const LINKED: usize = 8_000;
/// Loads so far.
static LOADS: AtomicU64 = AtomicU64::new(0);
/// Load that comes before what is counted: connections are made, statements prepared.
pub(crate) const LEAD: Duration = Duration::from_millis(500);

/// What was measured in one run.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    /// Acknowledged deliveries per second.
    pub(crate) rate: f64,
    /// Half of them were answered within this.
    pub(crate) p50: Duration,
    /// 99 of 100 were answered within this.
    pub(crate) p99: Duration,
    /// Processor time that a delivery took of the measured process.
    pub(crate) cpu: Duration,
    /// Deliveries per sync, where syncs are counted.
    pub(crate) per_sync: Option<f64>,
    /// All that were acknowledged, also before and after what is counted.
    pub(crate) acknowledged: u64,
    /// From the first delivery to the last answer.
    pub(crate) took: Duration,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, p50, p99, cpu, .. } = self;
        write!(f, "{rate:.0}/s, p50 {p50:.2?}, p99 {p99:.2?}, {} µs of processor", cpu.as_micros())?;
        self.per_sync.map_or(Ok(()), |number| write!(f, ", {number:.1} per sync"))
    }
}

impl Measured {
    /// What the latencies of all that was counted in `time` say, as if there was nothing before, after and besides;
    /// `syncs` are how many there had been when it began and when it ended.
    pub(crate) fn of(
        mut latencies: Vec<Duration>,
        time: Duration,
        syncs: (Option<u64>, Option<u64>),
    ) -> Result<Self> {
        latencies.sort();
        let number = latencies.len();
        Ok(Self {
            rate: number as f64 / time.as_secs_f64(),
            p50: within(&latencies, 0.5)?,
            p99: within(&latencies, 0.99)?,
            cpu: Duration::ZERO,
            per_sync: syncs
                .0
                .zip(syncs.1)
                .filter(|(before, after)| after > before)
                .map(|(before, after)| number as f64 / (after - before) as f64),
            acknowledged: number as u64,
            took: time,
        })
    }
}

/// Within what time a share of all was done, of latencies from the shortest to the longest.
pub(crate) fn within(sorted: &[Duration], share: f64) -> Result<Duration> {
    let last = sorted.len().checked_sub(1).ok_or("nothing was done")?;
    Ok(sorted[(last as f64 * share) as usize])
}

/// Different pushes of one size.
#[derive(Clone)]
pub(crate) struct Bodies(Arc<[Vec<u8>]>);

impl Bodies {
    /// As many as fit, of about as many bytes.
    pub(crate) fn of_size(bytes: usize) -> Self {
        let start = "2026-01-01T00:00:00Z".parse().expect("a time");
        // A repository that the dictionary of stored bodies does not know.
        let mut repository = Repository::new("northwind/ledger", start);
        let bodies = (0..(MEMORY / bytes).clamp(1, BODIES)).map(|_| match bytes {
            ..LINKED => lean(&mut repository, bytes),
            _ => repository.push_of_size("main", bytes).bytes(),
        });
        Self(bodies.collect())
    }

    /// Bytes of one, on average.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum::<usize>() / self.0.len()
    }
}

/// A push with what says who pushed what to which repository, and no links, which are most of a small one.
fn lean(repository: &mut Repository, bytes: usize) -> Vec<u8> {
    let commit = Commit { modified: &["src/ledger.rs"], ..Commit::default() };
    let mut body = repository.push("main", &[commit]).body;
    let names = ["id", "name", "full_name", "private", "default_branch", "pushed_at"];
    keep(&mut body["repository"], &names);
    keep(&mut body["sender"], &["id", "login", "type"]);
    body["organization"] = Value::Null;
    body["repository"]["description"] = "".into();
    let rest = bytes.saturating_sub(body.to_string().len());
    let words = "Accounts, entries and what they add up to. ".chars().cycle();
    body["repository"]["description"] = words.take(rest).collect::<String>().into();
    body.to_string().into_bytes()
}

/// Leaves only the fields with these names.
fn keep(object: &mut Value, names: &[&str]) {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|name, _| names.contains(&name.as_str()));
    }
}

/// One answer: when it came, and how long it took.
type Answer = (Instant, Duration);

/// Pushes for one target, ready to be sent.
pub(crate) struct Load {
    requests: Arc<Requests>,
    connections: usize,
}

struct Requests {
    /// The how manieth load this is, so that no two send the same deliveries.
    number: u64,
    port: u16,
    path: String,
    bodies: Bodies,
    signatures: Vec<String>,
}

impl Load {
    pub(crate) fn new(target: &Target, bodies: &Bodies, connections: usize) -> Self {
        let signatures = bodies.0.iter().map(|body| sign(&target.secret, body)).collect();
        let (port, path, bodies) = (target.port, target.path.clone(), bodies.clone());
        let number = LOADS.fetch_add(1, Ordering::Relaxed);
        Self { requests: Arc::new(Requests { number, port, path, bodies, signatures }), connections }
    }

    /// Posts for `time` and a little before; every answer but 202 is an error.
    pub(crate) async fn run(&self, target: &Target, time: Duration) -> Result<Measured> {
        let began = Instant::now();
        let mut lanes = JoinSet::new();
        for lane in 0..self.connections {
            let requests = Arc::clone(&self.requests);
            lanes.spawn(async move { requests.post(lane as u64, began + LEAD + time).await });
        }
        tokio::time::sleep(LEAD).await;
        let (from, cpu_before, syncs_before) = (Instant::now(), target.cpu()?, target.syncs()?);
        tokio::time::sleep(time).await;
        let (until, cpu, syncs) = (Instant::now(), target.cpu()? - cpu_before, target.syncs()?);
        let answers: Vec<Answer> =
            lanes.join_all().await.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        let took = began.elapsed();
        let counted = answers.iter().filter(|(at, _)| (from..until).contains(at));
        let latencies: Vec<_> = counted.map(|(_, latency)| *latency).collect();
        let cpu = cpu / u32::try_from(latencies.len().max(1))?;
        let measured = Measured::of(latencies, until - from, (syncs_before, syncs))?;
        Ok(Measured { cpu, acknowledged: answers.len() as u64, took, ..measured })
    }
}

impl Requests {
    /// One connection's deliveries, one after the other.
    async fn post(&self, lane: u64, until: Instant) -> Result<Vec<Answer>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let (mut answers, mut request, mut answer) = (Vec::new(), Vec::new(), vec![0; 4096]);
        for index in 0.. {
            let sent = Instant::now();
            if sent >= until {
                break;
            }
            request.clear();
            self.write(&mut request, lane, index);
            stream.write_all(&request).await?;
            read_answer(&mut stream, &mut answer).await?;
            answers.push((Instant::now(), sent.elapsed()));
        }
        Ok(answers)
    }

    /// A request as GitHub sends it.
    fn write(&self, request: &mut Vec<u8>, lane: u64, index: u64) {
        let Self { number: load, port, path, bodies: Bodies(bodies), signatures } = self;
        let number = (lane * 7 + index) as usize % bodies.len();
        let (body, signature) = (&bodies[number], &signatures[number]);
        // Unique by its end; its beginning jumps about as GitHub's does, which an index feels.
        let jump = (load << 48 | lane << 32 | index).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: GitHub-Hookshot/abcdef0\r\n\
             accept: */*\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-github-event: push\r\n\
             x-github-delivery: {jump:08x}-{load:04x}-11e3-{lane:04x}-{index:012x}\r\nx-github-hook-id: 292430182\r\n\
             x-github-hook-installation-target-id: 79929171\r\n\
             x-github-hook-installation-target-type: repository\r\n\
             x-hub-signature-256: {signature}\r\n\r\n",
            body.len()
        );
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(body);
    }
}

/// Reads one whole answer, which must be a 202 and not of a duplicate.
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
        if !head.starts_with("HTTP/1.1 202") || body.contains("duplicate") {
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
