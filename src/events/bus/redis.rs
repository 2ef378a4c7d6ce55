//! The bus between instances: hints as Redis messages, which outside clients may hear too.
//!
//! On channel `project:{projectId}` goes one message per event, after its commit:
//!
//! ```json
//! {"event": "push", "projectId": "…", "timestamp": "…", "payload": {…}, "id": "{logId}:{position}"}
//! ```
//!
//! It is the event as REST and the streams give it. One with a payload beyond [`MOST_BYTES`] carries `null` in
//! its place and says in `payloadUrl` where on this service the event can be read. Messages can get lost: a
//! client that must not miss any reads the log behind the last `id` it saw.
//!
//! Publishing never slows or fails an operation: messages wait in a line of bounded length, and what does not fit
//! or cannot be sent is dropped. An instance hears only the projects that somebody follows on it. Whatever may
//! have been missed, because it was not subscribed yet or not connected or heard too much at once, is made good
//! by waking those who follow, who then read the log.

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{Event, Topics};
use crate::{
    error::chain,
    events::{EventId, Position},
    redis::{Heard, Redis},
    wire::ProjectId,
};

/// Begins the name of a project's channel; its id follows.
const CHANNEL: &str = "project:";
/// Bytes of payload that a message carries at most; a longer one is referred to.
const MOST_BYTES: usize = 8 * 1024;
/// Messages that may wait to be sent.
const LINE: usize = 1_024;
/// Messages sent together.
const TOGETHER: usize = 64;
/// Channels asked for together.
const CHANNELS: usize = 500;
/// How often it is seen to that all that is followed is subscribed to, should Redis have refused it before.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The bus's connection to other instances.
pub(super) struct Shared {
    line: mpsc::Sender<(String, String)>,
    /// Send and hear; aborted with the bus.
    _tasks: JoinSet<()>,
}

impl Shared {
    /// Begins to send, and to hear for those who follow here.
    pub(super) fn start(redis: Redis, topics: Arc<Topics>) -> Self {
        let (line, waiting) = mpsc::channel(LINE);
        let mut tasks = JoinSet::new();
        tasks.spawn(send(redis.clone(), waiting));
        tasks.spawn(hear(redis, topics));
        Self { line, _tasks: tasks }
    }

    /// Puts events in line to be published, as far as there is room.
    pub(super) fn publish(&self, events: &[Event]) {
        for event in events {
            let Ok(place) = self.line.try_reserve() else { return };
            place.send((channel(event.project), message(event)));
        }
    }
}

fn channel(project: ProjectId) -> String {
    format!("{CHANNEL}{project}")
}

/// An event as a message.
fn message(event: &Event) -> String {
    let mut message = event.to_json();
    if message["payload"].to_string().len() > MOST_BYTES {
        let before = EventId { position: event.id.position - 1, ..event.id };
        let url = format!("/api/v1/projects/{}/events?after={before}&limit=1", event.project);
        message["payload"] = Value::Null;
        message["payloadUrl"] = url.into();
    }
    message.to_string()
}

async fn send(redis: Redis, mut waiting: mpsc::Receiver<(String, String)>) {
    let mut messages = Vec::with_capacity(TOGETHER);
    while waiting.recv_many(&mut messages, TOGETHER).await > 0 {
        let messages = std::mem::take(&mut messages);
        if let Err(error) = redis.publish(messages).await {
            tracing::debug!(error = %chain(&error), "messages were not published; whoever follows reads the log");
        }
    }
}

async fn hear(redis: Redis, topics: Arc<Topics>) {
    let mut ear = redis.listen();
    let mut subscribed = HashSet::new();
    let mut again = interval(TRY_AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = ear.next() => match heard {
                Some(Heard::Message { channel, text }) => wake(&topics, &channel, &text),
                Some(Heard::TooMuch) => topics.followed().into_iter().for_each(|project| topics.wake(project)),
                Some(Heard::Connected) => {
                    subscribed.clear();
                    follow(&redis, &topics, &mut subscribed).await;
                }
                None => return,
            },
            // Without a connection there is nothing to ask: the next one is told of everything.
            () = topics.changed.notified() => if redis.hears() {
                follow(&redis, &topics, &mut subscribed).await;
            },
            _ = again.tick() => if redis.hears() {
                follow(&redis, &topics, &mut subscribed).await;
            },
        }
    }
}

/// Wakes those who follow the project that a message is about.
fn wake(topics: &Topics, channel: &str, text: &str) {
    #[derive(Deserialize)]
    struct Message {
        id: String,
    }
    let Some(Ok(project)) = channel.strip_prefix(CHANNEL).map(str::parse) else { return };
    let message = serde_json::from_str(text).ok();
    match message.and_then(|Message { id }| id.parse().ok()) {
        Some(Position::After(id)) => topics.heard_of(project, id.position),
        _ => topics.wake(project), // somebody else's, who may know more than we do
    }
}

/// Subscribes to what is followed and not subscribed to, and the other way round. What was said about a project
/// before it was subscribed to was missed, so those who follow it are woken.
async fn follow(redis: &Redis, topics: &Topics, subscribed: &mut HashSet<ProjectId>) {
    let followed: HashSet<_> = topics.followed().into_iter().collect();
    let missing: Vec<_> = followed.difference(subscribed).copied().collect();
    let needless: Vec<_> = subscribed.difference(&followed).copied().collect();
    for some in missing.chunks(CHANNELS) {
        match redis.subscribe(some.iter().copied().map(channel).collect()).await {
            Ok(()) => some.iter().for_each(|project| topics.wake(*project)),
            Err(error) => return tracing::debug!(error = %chain(&error), "not subscribed; it is tried again"),
        }
        subscribed.extend(some);
    }
    for some in needless.chunks(CHANNELS) {
        if let Err(error) = redis.unsubscribe(some.iter().copied().map(channel).collect()).await {
            return tracing::debug!(error = %chain(&error), "still subscribed; it is tried again");
        }
        some.iter().for_each(|project| {
            subscribed.remove(project);
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::events::LogId;

    fn event(payload: Value) -> Event {
        Event {
            id: EventId { log: LogId(Uuid::from_u128(1)), position: 7 },
            name: "push".into(),
            project: ProjectId(Uuid::from_u128(2)),
            timestamp: "2026-01-01T00:00:00Z".parse().expect("a time"),
            payload,
        }
    }

    #[test]
    fn a_message_is_the_event_and_a_large_payload_is_referred_to() {
        let small: Value = serde_json::from_str(&message(&event(json!({"ref": "main"})))).expect("JSON");
        assert_eq!(
            small,
            json!({
                "id": "00000000-0000-0000-0000-000000000001:7",
                "event": "push",
                "projectId": "00000000-0000-0000-0000-000000000002",
                "timestamp": "2026-01-01T00:00:00Z",
                "payload": {"ref": "main"},
            })
        );
        let large: Value =
            serde_json::from_str(&message(&event(json!("x".repeat(MOST_BYTES))))).expect("JSON");
        assert_eq!(large["payload"], Value::Null);
        assert_eq!(
            large["payloadUrl"],
            "/api/v1/projects/00000000-0000-0000-0000-000000000002/events\
             ?after=00000000-0000-0000-0000-000000000001:6&limit=1"
        );
    }

    #[test]
    fn a_message_wakes_unless_it_is_our_own_and_so_does_one_that_makes_no_sense() {
        use futures::FutureExt as _;
        let bus = super::super::Bus::new(None);
        let event = event(json!({}));
        let mut listener = bus.listen(event.project);
        let mut woken_by = |channel: &str, text: &str| {
            wake(&bus.topics, channel, text);
            listener.heard().now_or_never().is_some()
        };
        let (channel, text) = (channel(event.project), message(&event));
        assert!(woken_by(&channel, &text));
        assert!(woken_by(&channel, "nonsense"));
        assert!(!woken_by("project:nonsense", &text));
        bus.tell(event.project, 7, &[]);
        assert!(woken_by(&channel, &text), "by what was written here");
        assert!(!woken_by(&channel, &text), "it comes back");
    }
}
