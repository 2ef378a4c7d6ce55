//! What was read a moment ago, handed to whoever asks meanwhile.
//!
//! A value is handed out for a set time after its reading began. Who asks for one that is half as old gets it, and it is
//! read anew in the background: a value that is in use never runs out, and nobody waits for it. Who asks for one that is
//! not there waits, with everybody else who does, for one reading; but not long for one that does not end.

use std::{hash::Hash, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, timeout},
};

use crate::error::Result;

/// Keys that are remembered at once.
const MOST: u64 = 10_000;
/// For how long a key is remembered that nobody asks for.
const IDLE: Duration = Duration::from_secs(60);

/// Values that were read a moment ago, by key.
#[derive(Clone)]
pub struct Recent<K, V> {
    slots: moka::sync::Cache<K, Arc<Slot<V>>>,
    kept: Duration,
}

/// The place of one value.
struct Slot<V> {
    /// The newest value, and when its reading began.
    newest: Mutex<Option<(V, Instant)>>,
    /// Held by who reads.
    reading: Arc<tokio::sync::Mutex<()>>,
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        Self { newest: Mutex::new(None), reading: Arc::default() }
    }
}

impl<K, V> Recent<K, V>
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Values that are handed out for as long as `kept`.
    pub fn new(kept: Duration) -> Self {
        Self { slots: moka::sync::Cache::builder().max_capacity(MOST).time_to_idle(IDLE).build(), kept }
    }

    /// Forgets one value, also if it is being read: who asks from now on gets what is read from now on.
    pub fn forget(&self, key: &K) {
        self.slots.invalidate(key);
    }

    /// Forgets everything so.
    pub fn forget_all(&self) {
        self.slots.invalidate_all();
    }

    /// The value of a key: one of a moment ago that `is_good`, or the one that `read` gives, which is asked for one only
    /// if it is needed.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn get<F>(&self, key: K, is_good: impl Fn(&V) -> bool, read: impl FnOnce() -> F) -> Result<V>
    where
        F: Future<Output = Result<V>> + Send + 'static,
    {
        let slot = self.slots.get_with(key, Arc::default);
        let newest = |slot: &Slot<V>| {
            let newest = slot.newest.lock().clone();
            let newest = newest.map(|(value, read_at)| (value, read_at.elapsed()));
            newest.filter(|(value, age)| *age < self.kept && is_good(value))
        };
        if let Some((value, age)) = newest(&slot) {
            if age > self.kept / 2
                && let Ok(turn) = Arc::clone(&slot.reading).try_lock_owned()
            {
                let read = read();
                tokio::spawn(async move { slot.renew(turn, read).await });
            }
            return Ok(value);
        }
        // Apart, so that whoever finds a value does not carry the reading of one along.
        let read = Box::pin(read());
        let Ok(turn) = timeout(self.kept, Arc::clone(&slot.reading).lock_owned()).await else {
            return read.await;
        };
        if let Some((value, _)) = newest(&slot) {
            return Ok(value);
        }
        let value = slot.renew(turn, read).await;
        if value.is_err() {
            self.slots.invalidate(&key);
        }
        value
    }
}

impl<V: Clone> Slot<V> {
    /// Reads the value anew; after a failure there is none.
    async fn renew(&self, _turn: OwnedMutexGuard<()>, read: impl Future<Output = Result<V>>) -> Result<V> {
        let began = Instant::now();
        let value = read.await;
        *self.newest.lock() = value.as_ref().ok().map(|value| (value.clone(), began));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use futures::future::join_all;
    use tokio::time::sleep;

    use super::*;
    use crate::error::{Code, Error};

    const LONG: Duration = Duration::from_secs(600);

    /// Counts how often it is read.
    fn counted(
        times: &Arc<AtomicU64>,
    ) -> impl FnOnce() -> futures::future::BoxFuture<'static, Result<u64>> + use<> {
        let times = Arc::clone(times);
        move || {
            Box::pin(async move {
                tokio::task::yield_now().await;
                Ok(times.fetch_add(1, Relaxed) + 1)
            })
        }
    }

    #[tokio::test]
    async fn many_who_ask_at_once_wait_for_one_reading() {
        let (recent, times) = (Recent::new(LONG), Arc::default());
        let all = join_all((0..100).map(|_| recent.get(1, |_| true, counted(&times)))).await;
        assert!(all.iter().all(|value| *value.as_ref().expect("a value") == 1));
        assert_eq!(recent.get(2, |_| true, counted(&times)).await.expect("of another key"), 2);
    }

    #[tokio::test]
    async fn what_is_not_good_or_was_forgotten_is_read_anew() {
        let (recent, times) = (Recent::new(LONG), Arc::default());
        for value in 1..4 {
            assert_eq!(
                recent.get(1, |known| *known >= value, counted(&times)).await.expect("a value"),
                value
            );
        }
        recent.forget(&1);
        assert_eq!(recent.get(1, |_| true, counted(&times)).await.expect("a value"), 4);
        recent.forget_all();
        assert_eq!(recent.get(1, |_| true, counted(&times)).await.expect("a value"), 5);
    }

    #[tokio::test]
    async fn a_value_in_use_is_renewed_before_it_is_too_old() {
        let (recent, times) = (Recent::new(Duration::from_millis(400)), Arc::default());
        let began = Instant::now();
        let mut newest = 0;
        while newest < 4 {
            newest = recent.get(1, |_| true, counted(&times)).await.expect("a value");
            assert!(newest <= 2 + began.elapsed().as_millis() as u64 / 200, "{newest}");
            sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn after_a_failure_the_next_one_tries_again() {
        let (recent, times) = (Recent::<_, u64>::new(LONG), Arc::default());
        let failed = recent.get(1, |_| true, || async { Err(Error::new(Code::Unavailable, "away")) }).await;
        assert_eq!(failed.expect_err("away").code, Code::Unavailable);
        assert_eq!(recent.get(1, |_| true, counted(&times)).await.expect("a value"), 1);
    }
}
