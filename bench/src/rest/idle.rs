//! What somebody who follows a project costs while nothing happens there.

use std::path::Path;

use crate::{
    Result,
    child::{self, Contender, Kind, Place},
    disk::Disk,
};

/// Subscribers that wait for events.
pub(super) const STREAMS: usize = 1_000;

/// Memory of the service with [`STREAMS`] subscribers, and before they came; KiB.
pub(super) async fn follow(binary: &Path) -> Result<(u64, u64)> {
    let place = Place { disk: Disk::AsIs, postgres: None, redis: None, scans: false };
    let target = child::start(&Contender::new(Kind::Trackside, binary), &place).await?;
    let alone = target.resident_kib()?;
    let project = target.project();
    let url = format!("http://127.0.0.1:{}/api/v1/projects/{project}/events/stream", target.port);
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build()?;
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = client.get(&url).bearer_auth(&target.key).send().await?.error_for_status()?;
        stream.chunk().await?;
        open.push(stream);
    }
    Ok((target.resident_kib()?, alone))
}
