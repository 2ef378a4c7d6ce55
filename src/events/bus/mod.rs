//! The bus: tells whoever follows a project that its log has grown. It carries hints only: what is followed is
//! always read from the log, so that a hint that is lost or doubled harms nobody.
//!
//! In one process this is a channel per followed project; a project that nobody follows costs nothing. With
//! Redis the hints also go from instance to instance (`redis.rs`).

mod redis;

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};

use self::redis::Shared;
use super::Event;
use crate::{redis::Redis, wire::ProjectId};

/// A handle to the bus.
#[derive(Clone)]
pub struct Bus {
    topics: Arc<Topics>,
    shared: Option<Arc<Shared>>,
}

impl Bus {
    /// A bus within this process and, with Redis, between instances.
    pub fn new(redis: Option<Redis>) -> Self {
        let topics = Arc::new(Topics::default());
        Self { shared: redis.map(|redis| Arc::new(Shared::start(redis, Arc::clone(&topics)))), topics }
    }

    /// Whether other instances and outside clients hear of events, and want to see them.
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Says that a project's log has grown up to a position, by these events.
    pub fn tell(&self, project: ProjectId, position: i64, events: &[Event]) {
        self.topics.grown(project, position);
        if let Some(shared) = &self.shared {
            shared.publish(events);
        }
    }

    /// Wakes those who follow a project here, whatever they know already.
    pub fn wake(&self, project: ProjectId) {
        self.topics.wake(project);
    }

    /// Hears of a project from now on; several hints in a row may be heard as one.
    pub fn listen(&self, project: ProjectId) -> Listener {
        Listener { signals: self.topics.enter(project), project, topics: Arc::clone(&self.topics) }
    }
}

/// Hears of a project; when its last listener is dropped, nobody follows it here.
pub struct Listener {
    signals: watch::Receiver<i64>,
    project: ProjectId,
    topics: Arc<Topics>,
}

impl Listener {
    /// Whether the log may have grown since it began to listen, or since the last call of [`heard`](Self::heard).
    pub fn has_heard(&self) -> bool {
        self.signals.has_changed().unwrap_or(true)
    }

    /// Returns when the log may have grown since the last call.
    pub async fn heard(&mut self) {
        if self.signals.changed().await.is_err() {
            std::future::pending().await // cannot be: the topic lives as long as its listeners
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.topics.leave(self.project);
    }
}

/// The projects that are followed in this process.
#[derive(Default)]
struct Topics {
    topics: Mutex<HashMap<ProjectId, Topic>>,
    /// Told when a project is followed that was not, or the other way round.
    changed: Notify,
}

struct Topic {
    /// The newest position that was written in this process, 0 before the first.
    newest: watch::Sender<i64>,
    listeners: usize,
}

impl Topics {
    fn enter(&self, project: ProjectId) -> watch::Receiver<i64> {
        let mut topics = self.lock();
        let topic =
            topics.entry(project).or_insert_with(|| Topic { newest: watch::channel(0).0, listeners: 0 });
        topic.listeners += 1;
        if topic.listeners == 1 {
            self.changed.notify_one();
        }
        topic.newest.subscribe()
    }

    fn leave(&self, project: ProjectId) {
        let mut topics = self.lock();
        let Some(topic) = topics.get_mut(&project) else { return };
        topic.listeners -= 1;
        if topic.listeners == 0 {
            topics.remove(&project);
            self.changed.notify_one();
        }
    }

    /// Wakes the listeners of a project whose log has grown in this process.
    fn grown(&self, project: ProjectId, position: i64) {
        if let Some(topic) = self.lock().get(&project) {
            topic.newest.send_modify(|newest| *newest = position.max(*newest));
        }
    }

    /// Wakes the listeners of a project whose log is said to have grown, unless that happened in this process, as
    /// when a message of our own comes back.
    fn heard_of(&self, project: ProjectId, position: i64) {
        if let Some(topic) = self.lock().get(&project) {
            topic.newest.send_if_modified(|newest| position > *newest);
        }
    }

    fn wake(&self, project: ProjectId) {
        if let Some(topic) = self.lock().get(&project) {
            topic.newest.send_modify(|_| {});
        }
    }

    fn followed(&self) -> Vec<ProjectId> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProjectId, Topic>> {
        self.topics.lock()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn project() -> ProjectId {
        ProjectId(uuid::Uuid::from_u128(1))
    }

    #[test]
    fn what_was_written_here_wakes_and_wakes_no_more_when_it_comes_back() {
        let bus = Bus::new(None);
        let mut listener = bus.listen(project());
        let mut woke = || listener.heard().now_or_never().is_some();
        assert!(!woke());
        bus.tell(project(), 2, &[]);
        assert!(woke());
        bus.topics.heard_of(project(), 1);
        bus.topics.heard_of(project(), 2);
        assert!(!woke(), "both were written here");
        bus.topics.heard_of(project(), 3);
        assert!(woke(), "this was not");
        bus.wake(project());
        assert!(woke(), "whatever it knows");
    }

    #[test]
    fn a_project_is_followed_until_its_last_listener_is_gone() {
        let bus = Bus::new(None);
        let (one, other) = (bus.listen(project()), bus.listen(project()));
        drop(one);
        assert_eq!(bus.topics.followed(), [project()]);
        drop(other);
        assert!(bus.topics.followed().is_empty());
        bus.tell(project(), 1, &[]);
        assert!(bus.topics.followed().is_empty(), "telling of it follows nobody");
    }
}
