//! Buckets of this process: GCRA, by the `governor` crate, on a monotonic clock, so that a clock that is set does
//! not open or shut them.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter,
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{
        StateStore,
        keyed::{DashMapStateStore, ShrinkableKeyedStateStore},
    },
};

use super::{Key, Taken};
use crate::clock::Clock;

/// One bucket per key, which holds a minute's worth of tokens.
pub(super) struct Local<K: Key> {
    per_minute: NonZeroU32,
    limiter: Limiter<K>,
    /// What the limiter writes down, to be looked into.
    states: Arc<DashMapStateStore<K>>,
    clock: Clock,
    /// When the limiter was made: its times count from there.
    began: Duration,
}

type Limiter<K> = RateLimiter<K, Shared<K>, Ticks, StateInformationMiddleware>;

impl<K: Key> Local<K> {
    /// Full buckets.
    pub(super) fn new(per_minute: NonZeroU32, clock: &Clock) -> Self {
        let (quota, states) = (Quota::per_minute(per_minute), Arc::new(DashMapStateStore::default()));
        let began = clock.monotonic();
        let limiter = Limiter::new(quota, Shared(Arc::clone(&states)), Ticks(clock.clone()));
        Self { per_minute, limiter, states, clock: clock.clone(), began }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&self, key: &K) -> Taken {
        let (remaining, wait) = match self.limiter.check_key(key) {
            Ok(left) => (left.remaining_burst_capacity(), None),
            Err(not_until) => {
                (0, Some(not_until.wait_time_from(governor::clock::Clock::now(self.limiter.clock()))))
            }
        };
        let per_token = Duration::from_secs(60) / self.per_minute.get();
        Taken { remaining, wait, full_in: per_token * (self.per_minute.get() - remaining) }
    }

    /// Looks how many whole tokens there are, and takes none.
    pub(super) fn peek(&self, key: &K) -> u32 {
        // Who looks leaves no trace: a bucket that nobody took from is not made, and one that is there stays as it is,
        // because the store keeps what it has when it is answered with an error.
        let full_at = match self.states.contains_key(key) {
            true => self.states.measure_and_replace(key, Err::<((), Nanos), _>).err().flatten(),
            false => None,
        };
        let full_at = full_at.map_or(Duration::ZERO, Duration::from);
        let full_in = full_at.saturating_sub(self.clock.monotonic().saturating_sub(self.began));
        let per_token = Duration::from_secs(60) / self.per_minute.get();
        let missing = full_in.as_nanos().div_ceil(per_token.as_nanos().max(1));
        self.per_minute.get().saturating_sub(u32::try_from(missing).unwrap_or(u32::MAX))
    }

    /// Forgets buckets that are full again.
    pub(super) fn forget_full(&self) {
        self.limiter.retain_recent();
    }
}

/// The store of a limiter, which others have too.
struct Shared<K: Key>(Arc<DashMapStateStore<K>>);

impl<K: Key> StateStore for Shared<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, decide)
    }
}

impl<K: Key> ShrinkableKeyedStateStore<K> for Shared<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The injected clock, as governor reads it.
#[derive(Clone)]
struct Ticks(Clock);

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.monotonic().into()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::ProjectId;

    proptest! {
        #[test]
        fn nobody_gets_more_than_a_bucket_and_its_refill(
            per_minute in 1..500u32,
            steps in proptest::collection::vec((0..5_000i64, 1..50u32), 1..60),
        ) {
            let clock = Clock::mock(chrono::DateTime::UNIX_EPOCH);
            let buckets = Local::new(NonZeroU32::new(per_minute).expect("not nought"), &clock);
            let (mut granted, mut passed_ms) = (0u64, 0i64);
            for (wait_ms, tries) in steps {
                clock.advance(TimeDelta::milliseconds(wait_ms));
                passed_ms += wait_ms;
                for _ in 0..tries {
                    let key = ProjectId(uuid::Uuid::nil());
                    let before = buckets.peek(&key);
                    let taken = buckets.take(&key);
                    granted += u64::from(taken.wait.is_none());
                    prop_assert!(taken.remaining < per_minute);
                    prop_assert_eq!(before > 0, taken.wait.is_none(), "whoever looked saw what there was");
                    prop_assert_eq!(buckets.peek(&key), taken.remaining);
                }
                let refilled = passed_ms as u64 * u64::from(per_minute) / 60_000;
                prop_assert!(granted <= u64::from(per_minute) + refilled + 1, "{granted} after {passed_ms} ms");
            }
        }
    }
}
