//! What every live reader has, whatever carries its events: a place in a log, and a bound on how many there are.

use std::{collections::HashMap, ops::Range, sync::Arc, time::Duration};

use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::{sync::watch, time::Instant};

use super::{
    EventId, Head, Position,
    follow::{Follower, Frame, Frames},
};
use crate::{
    accounts::PrincipalId,
    app::App,
    clock::Ids,
    database::Database,
    error::{Error, Result, chain},
};

/// Bytes handed to a connection at once.
const CHUNK: usize = 64 * 1024;
/// How long a live reader may be further behind than the ring holds.
const PATIENCE: Duration = Duration::from_secs(5);
/// The shortest and the longest that a client is asked to wait at shutdown; milliseconds.
const SHUTDOWN_RETRY_MS: Range<u64> = 500..5_500;
/// When somebody with too many streams may try again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a reader that cannot be given the position it asked for is told to begin anew.
pub(super) const RESET: &str =
    "this log does not have that position; load the present state, then go on from here";

/// A reader's place in a log. It begins at its resume position, catches up from the log, and then lives off
/// the follower's ring.
pub(super) struct Cursor {
    follower: Arc<Follower>,
    head: watch::Receiver<i64>,
    position: i64,
    /// When it had seen everything there was, most recently: from the first time on it has to keep up.
    caught_up: Option<Instant>,
}

/// Why a reader gets nothing more.
pub(super) enum Lost {
    /// It fell out of the ring, and not only because much was written at once.
    Behind,
    /// The log could not be read.
    Unreadable,
}

impl Cursor {
    /// A reader behind `from`, or from now on; and whether `from` is a position that this log cannot serve, in
    /// which case it begins at the head and its client has to be told.
    pub(super) fn new(follower: Arc<Follower>, from: Option<Position>) -> (Self, bool) {
        let head = follower.newest();
        let start = from.map_or(Some(head.position), |from| from.within(head));
        let position = start.unwrap_or(head.position);
        (Self { head: follower.wakes(), follower, position, caught_up: None }, start.is_none())
    }

    /// The last event that was read, or behind which reading begins.
    pub(super) fn id(&self) -> EventId {
        Head { position: self.position, ..self.follower.head() }
    }

    /// The next frames; waits until there are some. Dropped before it returns, it has read nothing.
    pub(super) async fn next(&mut self, database: &Database) -> Result<Vec<Frame>, Lost> {
        loop {
            self.head.borrow_and_update();
            match self.follower.frames_after(self.position, CHUNK) {
                Frames::Some(frames, last) => return Ok(self.read(frames, last)),
                Frames::None => {
                    self.head.changed().await.map_err(|_| Lost::Unreadable)?;
                    self.caught_up = Some(Instant::now());
                }
                Frames::Older if self.caught_up.is_some_and(|at| at.elapsed() > PATIENCE) => {
                    tracing::info!(at = %self.id(), "a subscriber fell behind and was cut off; it can resume");
                    return Err(Lost::Behind);
                }
                Frames::Older => match self.follower.read_log(database, self.position).await {
                    Ok((frames, last)) => return Ok(self.read(frames, last)),
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "a stream could not read its log and was closed");
                        return Err(Lost::Unreadable);
                    }
                },
            }
        }
    }

    fn read(&mut self, frames: Vec<Frame>, last: i64) -> Vec<Frame> {
        self.position = last;
        frames
    }
}

/// How long one client waits before it comes back after a shutdown, in milliseconds: a time of its own, so that
/// the reconnects of all are spread over a few seconds.
pub(super) fn retry_ms(ids: &Ids) -> u64 {
    let Range { start, end } = SHUTDOWN_RETRY_MS;
    start + u64::from_le_bytes(ids.bytes()) % (end - start)
}

/// The streams that are open, by principal.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<HashMap<PrincipalId, usize>>>);

/// One open stream; dropped when it ends.
pub struct OpenStream {
    streams: Streams,
    principal: PrincipalId,
    gauge: IntGauge,
}

impl OpenStream {
    /// Opens one for a principal.
    ///
    /// # Errors
    /// `rate_limited` when the principal has as many open as it may.
    pub fn new(app: &App, principal: PrincipalId) -> Result<Self> {
        let most = app.config.streams_per_principal;
        let streams = app.streams.clone();
        let mut open = streams.0.lock();
        let count = open.entry(principal).or_insert(0);
        if most > 0 && *count >= most {
            return Err(Error::rate_limited(
                format!(
                    "this principal has {most} event streams open, which is as many as it may; close one, or follow \
                     many projects on one WebSocket"
                ),
                RETRY_AFTER,
            ));
        }
        *count += 1;
        drop(open);
        let gauge = app.metrics.streams_open.clone();
        gauge.inc();
        Ok(Self { streams, principal, gauge })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.gauge.dec();
        let mut open = self.streams.0.lock();
        if let Some(count) = open.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.principal);
            }
        }
    }
}
