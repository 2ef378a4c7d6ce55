//! Buckets that all instances share: one Lua script, which Redis runs as one step, on Redis's clock.

use std::{sync::LazyLock, time::Duration};

use super::Taken;
use crate::{
    error::chain,
    redis::{Lua, Redis},
};

/// Takes a token from the bucket `KEYS[1]`, which holds `ARGV[1]` tokens and refills evenly within a minute.
/// Answers whether one was taken (1 or 0), the whole tokens that are left, the microseconds until there is a
/// token, and those until the bucket is full.
///
/// A bucket is the fractional tokens in it and the microsecond at which that was so. After a minute it would be
/// full, and is forgotten. Should Redis's clock step back, as after a failover, time stands still for the bucket
/// for a moment.
pub const SCRIPT: &str = "\
local capacity = tonumber(ARGV[1])
local per_microsecond = capacity / 60000000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = capacity
if bucket[1] and bucket[2] then
  local passed = math.max(0, now - bucket[2])
  tokens = math.min(capacity, bucket[1] + passed * per_microsecond)
end
local taken = 0
if tokens >= 1 then
  tokens = tokens - 1
  taken = 1
end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
redis.call('PEXPIRE', KEYS[1], 60000)
return {
  taken,
  math.floor(tokens),
  math.ceil(math.max(0, 1 - tokens) / per_microsecond),
  math.ceil((capacity - tokens) / per_microsecond)
}
";

static TAKE: LazyLock<Lua> = LazyLock::new(|| Lua::new(SCRIPT));

/// Takes a token, if there is one; none when Redis does not say so in time.
pub(super) async fn take(redis: &Redis, bucket: String, per_minute: u32) -> Option<Taken> {
    let answer = redis.run(&TAKE, bucket, per_minute).await;
    match answer.map(|numbers| read(&numbers)) {
        Ok(taken) => taken,
        Err(error) => {
            tracing::debug!(error = %chain(&error), "the bucket of this process decides");
            None
        }
    }
}

/// The fields of a bucket, as the script writes them.
const FIELDS: [&str; 2] = ["tokens", "at"];

/// How many whole tokens there are in some buckets, in their order, taking none; none when Redis does not say so in time.
pub(super) async fn peek(redis: &Redis, buckets: Vec<String>, per_minute: u32) -> Option<Vec<u32>> {
    match redis.read_hashes(buckets, &FIELDS).await {
        Ok((now_us, found)) => Some(found.iter().map(|bucket| left(bucket, now_us, per_minute)).collect()),
        Err(error) => {
            tracing::debug!(error = %chain(&error), "buckets are told as this process knows them");
            None
        }
    }
}

/// The whole tokens in a bucket, by the script's own arithmetic; one that is not there is full.
fn left(bucket: &[Option<String>], now_us: i64, per_minute: u32) -> u32 {
    let [Some(tokens), Some(at)] = bucket else { return per_minute };
    let (Ok(tokens), Ok(at)) = (tokens.parse::<f64>(), at.parse::<f64>()) else { return per_minute };
    let capacity = f64::from(per_minute);
    let passed_us = (now_us as f64 - at).max(0.0);
    (tokens + passed_us * capacity / 60e6).clamp(0.0, capacity) as u32
}

fn read(answer: &[i64]) -> Option<Taken> {
    let &[taken, remaining, wait_us, full_us] = answer else { return None };
    let time = |microseconds: i64| u64::try_from(microseconds).ok().map(Duration::from_micros);
    Some(Taken {
        remaining: remaining.try_into().ok()?,
        wait: if taken == 1 { None } else { Some(time(wait_us)?) },
        full_in: time(full_us)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_that_is_looked_at_has_refilled_since_it_was_written() {
        let bucket = |tokens: &str, at: &str| [Some(tokens.to_owned()), Some(at.to_owned())];
        let now_us = 1_763_800_000_000_000;
        assert_eq!(left(&bucket("2.5", "1763800000000000"), now_us, 60), 2);
        assert_eq!(left(&bucket("2.5", "1.7637999995e+15"), now_us, 60), 3, "half a second later");
        assert_eq!(left(&bucket("2.5", "1763799900000000"), now_us, 60), 60, "never more than full");
        assert_eq!(
            left(&bucket("2.5", "1763800005000000"), now_us, 60),
            2,
            "nor less after a clock stepped back"
        );
        assert_eq!(left(&[None, None], now_us, 60), 60);
    }
}
