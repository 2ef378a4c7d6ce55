//! Buckets of this process: GCRA, by the `governor` crate, on a monotonic clock, so that a clock that is set does
//! not open or shut them.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter, middleware::StateInformationMiddleware, nanos::Nanos, state::keyed::DashMapStateStore,
};

use super::{Key, Taken};
use crate::clock::Clock;

/// One bucket per key, which holds a minute's worth of tokens.
pub(super) struct Local<K: Key> {
    per_minute: NonZeroU32,
    limiter: Limiter<K>,
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, Ticks, StateInformationMiddleware>;

impl<K: Key> Local<K> {
    /// Full buckets.
    pub(super) fn new(per_minute: NonZeroU32, clock: &Clock) -> Self {
        let (quota, store) = (Quota::per_minute(per_minute), DashMapStateStore::default());
        Self { per_minute, limiter: Limiter::new(quota, store, Ticks(clock.clone())) }
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

    /// Forgets buckets that are full again.
    pub(super) fn forget_full(&self) {
        self.limiter.retain_recent();
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
                    let taken = buckets.take(&ProjectId(uuid::Uuid::nil()));
                    granted += u64::from(taken.wait.is_none());
                    prop_assert!(taken.remaining < per_minute);
                }
                let refilled = passed_ms as u64 * u64::from(per_minute) / 60_000;
                prop_assert!(granted <= u64::from(per_minute) + refilled + 1, "{granted} after {passed_ms} ms");
            }
        }
    }
}
