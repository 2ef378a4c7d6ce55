//! What the service takes when nothing happens: memory, start, size.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use scratch::free_port;
use tempfile::TempDir;

use crate::{
    Result, child,
    child::{Contender, Kind, Place, wait_until_ready},
    disk::Disk,
};

/// Starts that are measured.
pub(crate) const STARTS: usize = 10;
/// Subscribers that wait for events.
pub(crate) const STREAMS: usize = 1_000;

/// The service at rest.
pub(crate) struct Idle {
    /// From the start of the process to its first good answer, on a database that is there.
    pub(crate) starts: Vec<Duration>,
    /// Memory after the start, KiB.
    pub(crate) alone_kib: u64,
    /// Memory with [`STREAMS`] subscribers, KiB.
    pub(crate) followed_kib: u64,
    /// Bytes of the binary.
    pub(crate) binary_bytes: u64,
}

impl Idle {
    pub(crate) async fn measure(binary: &Path) -> Result<Self> {
        let (alone_kib, followed_kib) = memory(binary).await?;
        let binary_bytes = std::fs::metadata(binary)?.len();
        Ok(Self { starts: starts(binary).await?, alone_kib, followed_kib, binary_bytes })
    }
}

async fn starts(binary: &Path) -> Result<Vec<Duration>> {
    let folder = TempDir::new()?;
    let mut taken = Vec::new();
    for _ in 0..=STARTS {
        let port = free_port()?;
        let began = Instant::now();
        let mut service = Command::new(binary);
        let service = child::spawn(service.args(["serve", "--port", &port.to_string()]), folder.path())?;
        let ready = wait_until_ready(port).await;
        taken.push(began.elapsed());
        drop(service);
        ready?;
    }
    taken.remove(0); // it made the database
    Ok(taken)
}

async fn memory(binary: &Path) -> Result<(u64, u64)> {
    let place = Place { disk: Disk::AsIs, postgres: None, redis: None, scans: false };
    let target = child::start(&Contender::new(Kind::Trackside, binary), &place).await?;
    let alone = target.resident_kib()?;
    let project = target.path.rsplit('/').next().unwrap_or_default();
    let url = format!("http://127.0.0.1:{}/api/v1/projects/{project}/events/stream", target.port);
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build()?;
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = client.get(&url).bearer_auth(&target.key).send().await?.error_for_status()?;
        stream.chunk().await?;
        open.push(stream);
    }
    Ok((alone, target.resident_kib()?))
}
