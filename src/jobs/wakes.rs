//! Wakes: who works through jobs of a kind is told that there may be some.
//!
//! Within a process nothing is lost. Between instances they go over Redis, on one channel for all. A message says who sent
//! it, so that nobody is woken by himself, and of which kind the jobs are; several in a row may be heard as one. One that is
//! lost costs little: an idle worker looks for jobs once a second by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::interval,
};

use super::Jobs;
use crate::{
    error::chain,
    redis::{Heard, Redis},
};

/// Where instances say that there are jobs.
const CHANNEL: &str = "trackside:jobs";

/// How often it is seen to that others are heard, should Redis have refused it before.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How often those who work through the jobs of a kind were woken, by the kind; only of kinds that somebody works through.
type Counts = BTreeMap<String, u64>;

/// Where wakes come from; a clone is another handle to the same.
#[derive(Clone, Default)]
pub(super) struct Wakes {
    counts: watch::Sender<Counts>,
    /// The kinds of jobs that were enqueued here, of which other instances are to be told.
    enqueued: Arc<(Mutex<BTreeSet<&'static str>>, Notify)>,
}

impl Wakes {
    /// Wakes those of this process who work through a kind.
    pub(super) fn wake(&self, kind: &str) {
        self.counts.send_if_modified(|counts| counts.get_mut(kind).map(|count| *count += 1).is_some());
    }

    /// Wakes those of this process, whatever they work through.
    fn wake_everybody(&self) {
        self.counts.send_modify(|counts| counts.values_mut().for_each(|count| *count += 1));
    }

    /// Wakes those who work through a kind: those of this process and, where wakes are shared, those of others.
    pub(super) fn wake_all(&self, kind: &'static str) {
        self.wake(kind);
        let (kinds, told) = &*self.enqueued;
        kinds.lock().insert(kind);
        told.notify_one();
    }

    /// Wakes of some kinds, from now on.
    pub(super) fn of(&self, kinds: &[&str]) -> WakeListener {
        self.counts.send_modify(|counts| {
            for kind in kinds {
                counts.entry((*kind).to_owned()).or_default();
            }
        });
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let mut listener = WakeListener { counts: self.counts.subscribe(), kinds, seen: 0 };
        listener.mark_seen();
        listener
    }
}

/// Wakes who works through some kinds of jobs.
pub struct WakeListener {
    counts: watch::Receiver<Counts>,
    kinds: Vec<String>,
    /// Wakes of these kinds that were seen.
    seen: u64,
}

impl WakeListener {
    /// What happened before is about to be seen.
    pub fn mark_seen(&mut self) {
        self.seen = sum(&self.kinds, &self.counts.borrow_and_update());
    }

    /// Returns once there was a wake that was not seen.
    pub async fn woken(&mut self) {
        let (kinds, seen) = (&self.kinds, self.seen);
        // The channel is never closed: whoever waits has a handle to it.
        let _ = self.counts.wait_for(|counts| sum(kinds, counts) != seen).await;
        self.mark_seen();
    }
}

fn sum(kinds: &[String], counts: &Counts) -> u64 {
    kinds.iter().filter_map(|kind| counts.get(kind)).sum()
}

/// Tells the workers of other instances of jobs enqueued here and, in a process that works through jobs, wakes its
/// workers when others tell of theirs.
pub async fn share_wakes(jobs: Jobs, redis: Redis, works: bool) {
    let (mut ear, we) = (redis.listen(), jobs.ids.uuid().to_string());
    let (mut again, mut hears) = (interval(TRY_AGAIN), false);
    let Jobs { wakes, .. } = jobs;
    let (kinds, told) = &*wakes.enqueued;
    loop {
        tokio::select! {
            () = told.notified() => {
                let message = |kind: &str| (CHANNEL.to_owned(), format!("{we} {kind}"));
                let messages = std::mem::take(&mut *kinds.lock()).into_iter().map(message).collect();
                if let Err(error) = redis.publish(messages).await {
                    tracing::debug!(error = %chain(&error), "other workers were not woken; they look by themselves");
                }
            }
            heard = ear.next() => match heard {
                Some(Heard::Message { channel, text }) if channel == CHANNEL => match text.split_once(' ') {
                    Some((who, kind)) if who != we => wakes.wake(kind),
                    Some(_) => {}
                    None => wakes.wake_everybody(), // an older version does not tell the kind
                },
                Some(Heard::Message { .. }) => {}
                Some(Heard::Connected) => hears = works && redis.subscribe(vec![CHANNEL.to_owned()]).await.is_ok(),
                Some(Heard::TooMuch) => wakes.wake_everybody(),
                None => return,
            },
            _ = again.tick(), if works && !hears && redis.hears() => {
                hears = redis.subscribe(vec![CHANNEL.to_owned()]).await.is_ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn who_works_through_a_kind_is_woken_for_that_kind_only() {
        let wakes = Wakes::default();
        let (mut quick, mut slow) = (wakes.of(&["a", "b"]), wakes.of(&["c"]));
        wakes.wake_all("b");
        wakes.wake("of nobody");
        assert!(slow.woken().now_or_never().is_none());
        assert!(quick.woken().now_or_never().is_some());
        assert!(quick.woken().now_or_never().is_none(), "that was seen");
        wakes.wake("c");
        slow.mark_seen();
        assert!(slow.woken().now_or_never().is_none(), "that was about to be seen");
        wakes.wake_everybody();
        assert!(slow.woken().now_or_never().is_some() && quick.woken().now_or_never().is_some());
    }
}
