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

fn read(answer: &[i64]) -> Option<Taken> {
    let &[taken, remaining, wait_us, full_us] = answer else { return None };
    let time = |microseconds: i64| u64::try_from(microseconds).ok().map(Duration::from_micros);
    Some(Taken {
        remaining: remaining.try_into().ok()?,
        wait: if taken == 1 { None } else { Some(time(wait_us)?) },
        full_in: time(full_us)?,
    })
}
