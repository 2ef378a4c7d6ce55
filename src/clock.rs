//! Time and randomness, injected: nothing else in the crate asks the operating system for either.
//!
//! A [`Clock`] is the system's or a test's, which stands still until it is moved. [`Ids`] draws from one
//! seeded generator, so that a test with a fixed seed sees the same ids and secrets in every run.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::watch;
use uuid::Uuid;

/// An instant in UTC, in whole microseconds, which both database engines keep exactly.
pub type Time = DateTime<Utc>;

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Mock(Arc<watch::Sender<Time>>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn mock(start: Time) -> Self {
        Self(Source::Mock(Arc::new(watch::channel(start).0)))
    }

    /// The present instant, in whole microseconds.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system")]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => whole_microseconds(Utc::now()),
            Source::Mock(now) => *now.borrow(),
        }
    }

    /// Time since some moment in the past, which never goes back however the clock is set.
    pub fn monotonic(&self) -> Duration {
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        match &self.0 {
            Source::System => BEGINNING.elapsed(),
            Source::Mock(now) => (*now.borrow() - Time::UNIX_EPOCH).to_std().unwrap_or_default(),
        }
    }

    /// Moves a mock clock forward; the system's clock cannot be moved and ignores it.
    pub fn advance(&self, by: TimeDelta) {
        if let Source::Mock(now) = &self.0 {
            now.send_modify(|now| *now += by);
        }
    }

    /// Returns once the clock has reached `then`.
    pub async fn sleep_until(&self, then: Time) {
        match &self.0 {
            Source::System => {
                tokio::time::sleep((then - self.now()).to_std().unwrap_or_default()).await;
            }
            Source::Mock(now) => {
                let _ = now.subscribe().wait_for(|now| *now >= then).await;
            }
        }
    }
}

/// Cuts what PostgreSQL would round, so that a stored instant equals the one that was written.
pub fn whole_microseconds(time: Time) -> Time {
    time.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(time)
}

/// The id that sorts before every one that was made at `time` or later, and after all that were made before.
pub fn oldest_id_of(time: Time) -> Uuid {
    let millisecond = u64::try_from(time.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(u128::from(millisecond) << 80)
}

/// Where ids and secrets come from: a cryptographic generator, seeded by the operating system or by a test.
#[derive(Clone)]
pub struct Ids {
    clock: Clock,
    source: Arc<Mutex<IdSource>>,
}

struct IdSource {
    random: StdRng,
    /// Millisecond and random part of the newest id.
    newest: (u64, u128),
}

/// Bits of a UUIDv7 that are neither its time nor fixed.
const RANDOM_BITS: u32 = 74;

impl Ids {
    /// Ids that nobody can guess.
    pub fn system(clock: Clock) -> Self {
        Self::new(clock, rand::make_rng())
    }

    /// The same ids in every run.
    pub fn seeded(clock: Clock, seed: u64) -> Self {
        Self::new(clock, StdRng::seed_from_u64(seed))
    }

    fn new(clock: Clock, random: StdRng) -> Self {
        Self { clock, source: Arc::new(Mutex::new(IdSource { random, newest: (0, 0) })) }
    }

    /// A new UUIDv7: an id made later by the same process sorts later. (The uuid crate does the same, with a
    /// generator that cannot be seeded.)
    pub fn uuid(&self) -> Uuid {
        let now = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or_default();
        let mut source = self.source.lock();
        let (millisecond, part) = source.newest;
        let fresh = (now, u128::from(source.random.next_u64()));
        let step = 1 + u128::from(source.random.next_u32());
        source.newest = match part + step {
            _ if now > millisecond => fresh,
            part if part < 1 << RANDOM_BITS => (millisecond, part),
            _ => (millisecond + 1, fresh.1),
        };
        let (millisecond, part) = source.newest;
        let mut bytes = [0; 10];
        // Above and below the two bits of the variant.
        bytes[..2].copy_from_slice(&((part >> 62) as u16).to_be_bytes());
        bytes[2..].copy_from_slice(&(part as u64 & (u64::MAX >> 2)).to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millisecond, &bytes).into_uuid()
    }

    /// `N` random bytes, fit for a secret.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.source.lock().random.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Time {
        DateTime::from_timestamp(1_700_000_000, 0).expect("in range")
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_a_mock_clock_reaches_its_time() {
        let clock = Clock::mock(noon());
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(noon() + TimeDelta::seconds(2)).await }
        });
        clock.advance(TimeDelta::seconds(1));
        assert!(!sleeper.is_finished());
        clock.advance(TimeDelta::seconds(1));
        sleeper.await.expect("wakes");
    }

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let clock = Clock::mock(noon());
        let (a, b) = (Ids::seeded(clock.clone(), 7), Ids::seeded(clock, 7));
        assert_eq!((a.uuid(), a.bytes::<8>()), (b.uuid(), b.bytes::<8>()));
    }

    #[test]
    fn ids_made_later_sort_later_even_within_a_millisecond_and_when_the_clock_steps_back() {
        let clock = Clock::mock(noon());
        let ids = Ids::system(clock.clone());
        let mut made: Vec<_> = (0..10_000).map(|_| ids.uuid()).collect();
        clock.advance(TimeDelta::milliseconds(-50));
        made.extend((0..100).map(|_| ids.uuid()));
        clock.advance(TimeDelta::seconds(1));
        made.push(ids.uuid());
        assert!(made.is_sorted_by(|a, b| a < b));
        assert!(
            made.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122)
        );
    }
}
