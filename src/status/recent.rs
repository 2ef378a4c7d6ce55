//! Statuses that were read a moment ago.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{KEPT, ProjectStatus};
use crate::{
    database::TenantId,
    error::Result,
    events::bus::{Bus, Listener},
    projects::ProjectId,
};

type Key = (TenantId, ProjectId);

/// The newest status of each project that is asked about.
pub struct RecentStatuses(moka::sync::Cache<Key, Arc<Mutex<Recent>>>);

/// A project's newest status.
struct Recent {
    /// Hears when the log has grown.
    news: Listener,
    read: Option<(Arc<ProjectStatus>, Instant)>,
}

impl Default for RecentStatuses {
    fn default() -> Self {
        let idle = Duration::from_secs(60);
        Self(moka::sync::Cache::builder().max_capacity(10_000).time_to_idle(idle).build())
    }
}

impl RecentStatuses {
    /// The status of a project: the newest one, or the one that `read` gives. Who asks while somebody else reads
    /// waits for that, but not for a database that keeps everybody waiting.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) async fn get<F>(
        &self,
        bus: &Bus,
        key: Key,
        read: impl FnOnce() -> F,
    ) -> Result<Arc<ProjectStatus>>
    where
        F: Future<Output = Result<ProjectStatus>>,
    {
        let recent =
            self.0.get_with(key, || Arc::new(Mutex::new(Recent { news: bus.listen(key.1), read: None })));
        let Ok(mut recent) = timeout(KEPT, recent.lock()).await else {
            return read().await.map(Arc::new);
        };
        let has_grown = recent.news.heard().now_or_never().is_some(); // heard before the read, which then knows it
        if let Some((status, read_at)) = &recent.read
            && !has_grown
            && read_at.elapsed() < KEPT
        {
            return Ok(Arc::clone(status));
        }
        recent.read = None;
        let read_at = Instant::now();
        let status = read().await;
        if status.is_err() {
            self.0.invalidate(&key); // a project that is not there, or another's, is not listened for
        }
        let status = Arc::new(status?);
        recent.read = Some((Arc::clone(&status), read_at));
        Ok(status)
    }
}
