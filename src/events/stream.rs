//! Server-sent events: one project's log as a stream that can be resumed.
//!
//! A stream begins with its resume position and then follows its [`Cursor`]. Nobody waits for a slow reader:
//! one that was live and stays further behind than the follower's ring for some seconds is cut off, as is one that
//! reads nothing for a while (the accept loop sees to that). Either comes back with `Last-Event-ID` and misses
//! nothing. At shutdown each stream is told to come back after a time of its own.

use std::{fmt::Write as _, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{
    Position,
    cursor::{Cursor, Lost, OpenStream, RESET, retry_ms},
    follow::{Follower, Frame},
};
use crate::{accounts::Access, app::App};

/// What clients wait before they reconnect, unless told otherwise; milliseconds.
const RETRY_MS: u64 = 2_000;

/// One subscriber.
struct Subscriber {
    app: Arc<App>,
    cursor: Cursor,
    access: Access,
    greeting: Option<Bytes>,
    heartbeat: Instant,
    over: bool,
    _open: OpenStream,
}

/// The stream of a project's log behind `from`, or from now on, for as long as `access` lasts.
pub(super) fn subscribe(
    app: Arc<App>,
    follower: Arc<Follower>,
    from: Option<Position>,
    access: Access,
    open: OpenStream,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let (cursor, is_reset) = Cursor::new(follower, from);
    let id = cursor.id();
    let mut greeting = format!("retry: {RETRY_MS}\n");
    if is_reset {
        let data = json!({"reason": RESET, "id": id.to_string()});
        let _ = write!(greeting, "id: {id}\nevent: reset\ndata: {data}\n\n");
    }
    // An id without data sets the client's resume position and dispatches nothing.
    let _ = write!(greeting, "id: {id}\n\n");
    let subscriber = Subscriber {
        heartbeat: Instant::now() + app.config.heartbeat,
        greeting: Some(greeting.into()),
        over: false,
        app,
        cursor,
        access,
        _open: open,
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
        let chunk = tokio::select! {
            frames = self.cursor.next(&self.app.database) => match frames {
                Ok(frames) => joined(&frames),
                Err(lost) => {
                    if matches!(lost, Lost::Behind) {
                        self.app.metrics.streams_cut.inc();
                    }
                    return None;
                }
            },
            () = sleep_until(self.heartbeat) => Bytes::from_static(b": heartbeat\n\n"),
            () = self.app.shutdown.cancelled() => {
                self.over = true;
                let retry = retry_ms(&self.app.ids);
                format!("retry: {retry}\n: the service is shutting down; reconnect with your last event id\n\n")
                    .into()
            }
            () = self.access.ended() => return None,
        };
        self.heartbeat = Instant::now() + self.app.config.heartbeat;
        Some(chunk)
    }
}

/// Frames as one piece; a single one is not copied.
fn joined(frames: &[Frame]) -> Bytes {
    if let [frame] = frames {
        return frame.sse().clone();
    }
    let mut bytes = BytesMut::with_capacity(frames.iter().map(|frame| frame.sse().len()).sum());
    frames.iter().for_each(|frame| bytes.extend_from_slice(frame.sse()));
    bytes.freeze()
}
