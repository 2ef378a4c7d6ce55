//! Following a log: one reader per followed project, shared by all its streams.
//!
//! A [`Follower`] waits for the bus, reads what is new from the log once, renders it once, and keeps the
//! newest [`RING_BYTES`] of frames for its streams, which share them without copying. Once a second the heads
//! of all followed logs are compared with what was read, so that a signal that got lost, or an event that
//! another process wrote, is late by a second at most.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Event, Head, LogId, Position,
    bus::{Bus, Listener},
    store,
};
use crate::{
    database::{Database, Door, TenantId},
    error::{Error, Result, chain},
    wire::ProjectId,
};

/// Bytes of frames that a follower keeps; a live stream that stays further behind is cut off.
const RING_BYTES: usize = 1024 * 1024;
/// Events read from the log at once.
const PAGE: u64 = 200;
/// How often heads are compared.
const COMPARE: Duration = Duration::from_secs(1);

/// All followers of this process.
#[derive(Clone)]
pub struct Followers {
    database: Database,
    bus: Bus,
    followers: Arc<Mutex<HashMap<ProjectId, Weak<Follower>>>>,
}

/// One project's log as its streams see it.
pub(super) struct Follower {
    tenant: TenantId,
    project: ProjectId,
    log: LogId,
    ring: Mutex<Ring>,
    head: watch::Sender<i64>,
    /// The newest position that is known to be there, read or not.
    known: AtomicI64,
    /// Ends the reader when the last stream lets go.
    stop: DropGuard,
}

/// The newest frames of a log.
struct Ring {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Position of the newest frame, or of the head at which following began.
    head: i64,
}

impl Followers {
    /// Begins to compare heads; ends with the last handle.
    pub fn start(database: Database, bus: Bus) -> Self {
        let followers = Arc::new(Mutex::new(HashMap::new()));
        let all = Self { database, bus, followers };
        tokio::spawn(compare_heads(all.database.clone(), all.bus.clone(), Arc::downgrade(&all.followers)));
        all
    }

    /// The follower of a project for a reader that comes from a position: the one that is there, or a new one that
    /// begins at the present head. A reader may know more than the follower that is there, if another instance or
    /// the log itself told it; then the follower learns of the present head first.
    ///
    /// # Errors
    /// `not_found` for a project without a log in this tenant.
    pub(super) async fn follow(
        &self,
        tenant: TenantId,
        project: ProjectId,
        from: Option<Position>,
    ) -> Result<Arc<Follower>> {
        let serves =
            |follower: &Arc<Follower>| from.is_none_or(|from| from.within(follower.newest()).is_some());
        if let Some(follower) = self.find(tenant, project).filter(serves) {
            return Ok(follower);
        }
        let signals = self.bus.listen(project); // before the head is read, so that nothing falls between
        let head = self
            .database
            .read(tenant, move |tx| Box::pin(store::head(tx, project)))
            .await?
            .ok_or_else(|| Error::not_found("project"))?;
        let mut followers = self.followers.lock();
        followers.retain(|_, follower| follower.strong_count() > 0);
        if let Some(follower) = followers.get(&project).and_then(Weak::upgrade) {
            follower.known.fetch_max(head.position, Ordering::Relaxed);
            self.bus.wake(project);
            return Ok(follower);
        }
        let follower = Arc::new(Follower::new(tenant, project, head));
        followers.insert(project, Arc::downgrade(&follower));
        let stop = follower.stop.token().clone();
        tokio::spawn(follow(self.database.clone(), signals, Arc::downgrade(&follower), stop));
        Ok(follower)
    }

    fn find(&self, tenant: TenantId, project: ProjectId) -> Option<Arc<Follower>> {
        let followers = self.followers.lock();
        followers.get(&project).and_then(Weak::upgrade).filter(|follower| follower.tenant == tenant)
    }
}

/// What a stream finds in a follower's ring.
pub(super) enum Frames {
    /// The frames behind its position, and the position of the last.
    Some(Vec<Frame>, i64),
    /// It has seen everything.
    None,
    /// Its position is older than the ring: it has to read the log.
    Older,
}

impl Follower {
    fn new(tenant: TenantId, project: ProjectId, head: Head) -> Self {
        let ring = Ring { frames: VecDeque::new(), bytes: 0, head: head.position };
        let (newest, stop) = (watch::channel(head.position).0, CancellationToken::new().drop_guard());
        let known = AtomicI64::new(head.position);
        Self { tenant, project, log: head.log, ring: Mutex::new(ring), head: newest, known, stop }
    }

    /// The log it follows and the newest position that was read of it.
    pub(super) fn head(&self) -> Head {
        Head { log: self.log, position: *self.head.borrow() }
    }

    /// The newest position of the log that is known to be there; what is behind what was read comes soon.
    pub(super) fn newest(&self) -> Head {
        let read = self.head();
        Head { position: read.position.max(self.known.load(Ordering::Relaxed)), ..read }
    }

    /// Wakes whenever the head has moved.
    pub(super) fn wakes(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// What the ring holds behind a position, up to `most` bytes (one frame at least).
    pub(super) fn frames_after(&self, position: i64, most: usize) -> Frames {
        let ring = self.ring.lock();
        let oldest = ring.head - i64::try_from(ring.frames.len()).unwrap_or(i64::MAX);
        if position >= ring.head {
            return Frames::None;
        }
        if position < oldest {
            return Frames::Older;
        }
        let skip = usize::try_from(position - oldest).unwrap_or(usize::MAX);
        let (mut last, mut bytes, mut found) = (position, 0, Vec::new());
        for frame in ring.frames.iter().skip(skip) {
            bytes += frame.len();
            if bytes > most && !found.is_empty() {
                break;
            }
            found.push(frame.clone());
            last += 1;
        }
        Frames::Some(found, last)
    }

    /// Frames straight from the log, for a stream that is older than the ring.
    pub(super) async fn read_log(&self, database: &Database, position: i64) -> Result<(Vec<Frame>, i64)> {
        let events = self.read_events(database, position).await?;
        let last = events.last().map_or(position, |event| event.id.position);
        Ok((events.iter().map(Frame::new).collect(), last))
    }

    async fn read_events(&self, database: &Database, position: i64) -> Result<Vec<Event>> {
        let (project, log) = (self.project, self.log);
        database
            .read(self.tenant, move |tx| Box::pin(store::events_after(tx, project, log, position, PAGE)))
            .await
    }

    fn push(&self, events: &[Event]) {
        let Some(last) = events.last() else { return };
        let mut ring = self.ring.lock();
        for event in events {
            let frame = Frame::new(event);
            ring.bytes += frame.len();
            ring.frames.push_back(frame);
        }
        while ring.bytes > RING_BYTES && ring.frames.len() > 1 {
            let gone = ring.frames.pop_front();
            ring.bytes -= gone.map_or(0, |frame| frame.len());
        }
        ring.head = last.id.position;
        drop(ring);
        self.head.send_replace(last.id.position);
    }
}

/// An event as it is sent: rendered once, shared by all who are sent it.
#[derive(Clone)]
pub(super) struct Frame {
    bytes: Bytes,
    /// Where its data begins; it ends before the two line ends that end the frame.
    data: usize,
}

impl Frame {
    fn new(event: &Event) -> Self {
        let data = event.to_json();
        let head = format!("id: {}\nevent: {}\ndata: ", event.id, event.name);
        Self { data: head.len(), bytes: format!("{head}{data}\n\n").into() }
    }

    /// All of it, as a server-sent event.
    pub(super) fn sse(&self) -> &Bytes {
        &self.bytes
    }

    /// The event alone, as JSON.
    pub(super) fn json(&self) -> Bytes {
        self.bytes.slice(self.data..self.len() - 2)
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Reads what is new at every signal, as long as somebody holds the follower.
async fn follow(
    database: Database,
    mut signals: Listener,
    follower: Weak<Follower>,
    stop: CancellationToken,
) {
    loop {
        let Some(follower) = follower.upgrade() else { return };
        match follower.read_events(&database, follower.head().position).await {
            Ok(events) if events.is_empty() => {}
            Ok(events) => {
                follower.push(&events);
                continue;
            }
            Err(error) => {
                tracing::warn!(project = %follower.project, error = %chain(&error), "a log could not be read")
            }
        }
        drop(follower);
        tokio::select! {
            () = stop.cancelled() => return,
            () = signals.heard() => {}
        }
    }
}

async fn compare_heads(
    database: Database,
    bus: Bus,
    followers: Weak<Mutex<HashMap<ProjectId, Weak<Follower>>>>,
) {
    loop {
        tokio::time::sleep(COMPARE).await;
        let Some(followers) = followers.upgrade() else { return };
        let read: HashMap<ProjectId, i64> = {
            let followers = followers.lock();
            let live = followers.values().filter_map(Weak::upgrade);
            live.map(|follower| (follower.project, follower.head().position)).collect()
        };
        for projects in read.keys().copied().collect::<Vec<_>>().chunks(500) {
            let projects = projects.to_vec();
            let heads = database.read_through(Door::EventHeads, |tx| {
                Box::pin(async move { store::positions(tx, &projects).await })
            });
            match heads.await {
                Ok(heads) => heads
                    .into_iter()
                    .filter(|(project, head)| read.get(project).is_some_and(|read| read < head))
                    .for_each(|(project, _)| bus.wake(project)),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "the heads of followed logs could not be read")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::events::EventId;

    fn follower(head: i64) -> Follower {
        let log = LogId(Uuid::from_u128(1));
        Follower::new(TenantId(Uuid::nil()), ProjectId(Uuid::nil()), Head { log, position: head })
    }

    fn events(follower: &Follower, positions: std::ops::RangeInclusive<i64>, bytes: usize) -> Vec<Event> {
        let event = |position| Event {
            id: EventId { log: follower.log, position },
            name: "push".into(),
            project: follower.project,
            timestamp: "2026-01-01T00:00:00Z".parse().expect("a time"),
            payload: json!("x".repeat(bytes)),
        };
        positions.map(event).collect()
    }

    /// The positions that some frames carry.
    fn positions(frames: &[Frame]) -> Vec<i64> {
        let position = |frame: &Frame| {
            let event: serde_json::Value = serde_json::from_slice(&frame.json()).expect("JSON");
            let id = event["id"].as_str().expect("an id").to_owned();
            assert!(frame.sse().starts_with(format!("id: {id}\nevent: push\ndata: {{").as_bytes()));
            id.rsplit_once(':').expect("an id").1.parse().expect("a position")
        };
        frames.iter().map(position).collect()
    }

    proptest! {
        #[test]
        fn a_ring_gives_every_frame_behind_a_position_once_and_in_order(
            start in 0..1000i64, batches in proptest::collection::vec(1..20i64, 1..10), most in 1..4000usize,
        ) {
            let follower = follower(start);
            let mut head = start;
            for batch in batches {
                follower.push(&events(&follower, head + 1..=head + batch, 10));
                head += batch;
            }
            let (mut seen, mut position) = (Vec::new(), start);
            while let Frames::Some(frames, last) = follower.frames_after(position, most) {
                seen.extend(positions(&frames));
                position = last;
            }
            prop_assert_eq!(seen, (start + 1..=head).collect::<Vec<_>>());
            prop_assert_eq!(follower.head().position, head);
        }
    }

    #[test]
    fn a_reader_that_is_further_behind_than_the_ring_holds_is_told_so() {
        let follower = follower(0);
        follower.push(&events(&follower, 1..=30, 100_000));
        assert!(
            matches!(follower.frames_after(0, 1), Frames::Older),
            "three megabytes are more than it keeps"
        );
        assert!(matches!(follower.frames_after(29, 1), Frames::Some(_, 30)));
        assert!(matches!(follower.frames_after(30, 1), Frames::None));
        assert!(follower.ring.lock().bytes <= RING_BYTES);
    }
}
