//! Limits: token buckets that keep one client from taking what belongs to all.
//!
//! Each principal has a bucket for REST, each project one for its webhooks. A bucket holds a minute's worth of
//! tokens and refills evenly (GCRA, by the `governor` crate). Buckets live in this process and are empty of
//! history after a restart; time is monotonic, so that a clock that is set does not open or shut them.

use std::{hash::Hash, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter, middleware::StateInformationMiddleware, nanos::Nanos, state::keyed::DashMapStateStore,
};

use crate::{
    accounts::PrincipalId,
    clock::Clock,
    config::Config,
    error::{Error, Result},
    wire::ProjectId,
};

/// The buckets of this process.
pub struct Limits {
    /// Requests to the REST API, by principal.
    pub rest: Buckets<PrincipalId>,
    /// Webhooks, by project.
    pub ingest: Buckets<ProjectId>,
}

impl Limits {
    /// Full buckets, as the settings say.
    pub fn new(config: &Config, clock: &Clock) -> Self {
        Self {
            rest: Buckets::new("rest", config.rest_per_minute, clock),
            ingest: Buckets::new("ingest", config.ingest_per_minute, clock),
        }
    }

    /// Forgets buckets that are full again, which are like new ones.
    pub fn forget_full(&self) {
        self.rest.forget_full();
        self.ingest.forget_full();
    }
}

/// One bucket per key.
pub struct Buckets<K: Hash + Eq + Clone> {
    policy: &'static str,
    per_minute: u32,
    limiter: Option<Limiter<K>>,
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, Ticks, StateInformationMiddleware>;

/// What is left in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The name of the limit.
    pub policy: &'static str,
    /// Tokens per minute, which is also what the bucket holds.
    pub per_minute: u32,
    /// Tokens left.
    pub remaining: u32,
    /// Until the bucket is full again.
    pub full_in: Duration,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(policy: &'static str, per_minute: u32, clock: &Clock) -> Self {
        let limiter = NonZeroU32::new(per_minute).map(|per_minute| {
            let store = DashMapStateStore::default();
            Limiter::new(Quota::per_minute(per_minute), store, Ticks(clock.clone()))
        });
        Self { policy, per_minute, limiter }
    }

    /// Takes a token; says what is left, or nothing when there is no limit.
    ///
    /// # Errors
    /// `rate_limited` when the bucket is empty, with the time after which there is a token again; what is left then
    /// is told beside it.
    pub fn take(&self, key: &K) -> (Option<Allowance>, Result<()>) {
        let Some(limiter) = &self.limiter else { return (None, Ok(())) };
        let per_token = Duration::from_secs(60) / self.per_minute;
        let allowance = |remaining: u32| Allowance {
            policy: self.policy,
            per_minute: self.per_minute,
            remaining,
            full_in: per_token * (self.per_minute - remaining),
        };
        match limiter.check_key(key) {
            Ok(left) => (Some(allowance(left.remaining_burst_capacity())), Ok(())),
            Err(not_until) => {
                let wait = not_until.wait_time_from(governor::clock::Clock::now(limiter.clock()));
                let why = format!(
                    "more than {} requests in a minute; wait, then go on more slowly",
                    self.per_minute
                );
                (Some(allowance(0)), Err(Error::rate_limited(why, wait)))
            }
        }
    }

    fn forget_full(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
        }
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

    proptest! {
        #[test]
        fn nobody_gets_more_than_a_bucket_and_its_refill(
            per_minute in 1..500u32,
            steps in proptest::collection::vec((0..5_000i64, 1..50u32), 1..60),
        ) {
            let clock = Clock::mock(chrono::DateTime::UNIX_EPOCH);
            let buckets = Buckets::new("test", per_minute, &clock);
            let (mut granted, mut passed_ms) = (0u64, 0i64);
            for (wait_ms, tries) in steps {
                clock.advance(TimeDelta::milliseconds(wait_ms));
                passed_ms += wait_ms;
                for _ in 0..tries {
                    let (allowance, outcome) = buckets.take(&1);
                    granted += u64::from(outcome.is_ok());
                    prop_assert!(allowance.expect("limited").remaining < per_minute);
                }
                let refilled = passed_ms as u64 * u64::from(per_minute) / 60_000;
                prop_assert!(granted <= u64::from(per_minute) + refilled + 1, "{granted} after {passed_ms} ms");
            }
        }
    }

    #[test]
    fn each_key_has_its_own_bucket_and_an_empty_one_says_when_to_come_back() {
        let clock = Clock::mock(chrono::DateTime::UNIX_EPOCH);
        let buckets = Buckets::new("test", 2, &clock);
        assert!((0..2).all(|_| buckets.take(&1).1.is_ok()));
        let error = buckets.take(&1).1.expect_err("empty");
        assert_eq!(error.retry_after, Some(Duration::from_secs(30)));
        assert!(buckets.take(&2).1.is_ok(), "another's is full");
        clock.advance(TimeDelta::seconds(30));
        assert!(buckets.take(&1).1.is_ok());
    }

    #[test]
    fn nought_means_no_limit() {
        let buckets = Buckets::new("test", 0, &Clock::mock(chrono::DateTime::UNIX_EPOCH));
        assert!((0..10_000).all(|_| matches!(buckets.take(&1), (None, Ok(())))));
    }
}
