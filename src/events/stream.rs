//! Server-sent events: one project's log as a stream that can be resumed.
//!
//! A stream begins with its resume position, catches up from the log, and then lives off its [`Follower`].
//! Nobody waits for a slow reader: one that is live and falls out of the follower's ring is cut off, as is
//! one that reads nothing for a while (the accept loop sees to that). Either comes back with `Last-Event-ID`
//! and misses nothing. At shutdown each stream is told to come back after a time of its own.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    Position,
    follow::{Follower, Frames},
};
use crate::{accounts::Access, app::App, clock::Ids, error::chain};

/// Bytes handed to the connection at once.
const CHUNK: usize = 64 * 1024;
/// What clients wait before they reconnect, unless told otherwise; milliseconds.
const RETRY_MS: u64 = 2_000;
/// The longest that a client is asked to wait at shutdown; milliseconds.
const SHUTDOWN_RETRY_MS: u64 = 5_000;

/// One subscriber.
struct Subscriber {
    app: Arc<App>,
    follower: Arc<Follower>,
    head: watch::Receiver<i64>,
    access: Access,
    position: i64,
    /// Whether it has once seen everything there was: from then on it has to keep up.
    live: bool,
    greeting: Option<Bytes>,
    heartbeat: Instant,
    over: bool,
}

/// The stream of a project's log behind `from`, or from now on, for as long as `access` lasts.
pub(super) fn subscribe(
    app: Arc<App>,
    follower: Arc<Follower>,
    from: Option<Position>,
    access: Access,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let head = follower.head();
    let mut greeting = format!("retry: {RETRY_MS}\n");
    let position = match from.map(|from| from.within(head)) {
        Some(Some(position)) => position,
        None => head.position,
        Some(None) => {
            let data = json!({
                "reason": "this log does not have that position; load the present state, then go on from here",
                "id": head.to_string(),
            });
            let _ = write!(greeting, "id: {head}\nevent: reset\ndata: {data}\n\n");
            head.position
        }
    };
    // An id without data sets the client's resume position and dispatches nothing.
    let _ = write!(greeting, "id: {}:{position}\n\n", head.log);
    app.metrics.streams_open.inc();
    let subscriber = Subscriber {
        head: follower.wakes(),
        heartbeat: Instant::now() + app.config.heartbeat,
        greeting: Some(greeting.into()),
        live: false,
        over: false,
        app,
        follower,
        access,
        position,
    };
    stream::unfold(Box::new(subscriber), |mut subscriber| async move {
        let chunk = subscriber.next().await?;
        Some((Ok(chunk), subscriber))
    })
}

impl Subscriber {
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        loop {
            self.head.borrow_and_update();
            match self.follower.frames_after(self.position, CHUNK) {
                Frames::Some(frames, last) => return Some(self.sent(frames, last)),
                Frames::None => self.live = true,
                Frames::Older if self.live => {
                    self.app.metrics.streams_cut.inc();
                    tracing::info!(
                        position = self.position,
                        "a subscriber fell behind and was cut off; it can resume"
                    );
                    return None;
                }
                Frames::Older => match self.follower.read_log(&self.app.database, self.position).await {
                    Ok((frames, last)) => return Some(self.sent(frames, last)),
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "a stream could not read its log and was closed");
                        return None;
                    }
                },
            }
            tokio::select! {
                moved = self.head.changed() => moved.ok()?,
                () = sleep_until(self.heartbeat) => {
                    self.heartbeat = Instant::now() + self.app.config.heartbeat;
                    return Some(Bytes::from_static(b": heartbeat\n\n"));
                }
                () = self.app.shutdown.cancelled() => {
                    self.over = true;
                    return Some(come_back(&self.app.ids));
                }
                () = self.access.ended() => return None,
            }
        }
    }

    fn sent(&mut self, frames: Bytes, last: i64) -> Bytes {
        self.position = last;
        self.heartbeat = Instant::now() + self.app.config.heartbeat;
        frames
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.app.metrics.streams_open.dec();
    }
}

/// Spreads the reconnects of all subscribers over a few seconds.
fn come_back(ids: &Ids) -> Bytes {
    let jitter = u64::from_le_bytes(ids.bytes()) % SHUTDOWN_RETRY_MS;
    let retry = Duration::from_millis(500 + jitter).as_millis();
    format!("retry: {retry}\n: the service is shutting down; reconnect with your last event id\n\n").into()
}
