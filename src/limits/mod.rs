//! Limits: token buckets that keep one client from taking what belongs to all.
//!
//! Four policies: each principal has a bucket for REST, each project one for its webhooks, each client one per MCP
//! tool, and each address one for signing in, and one more per account. A bucket holds a minute's worth of tokens and refills evenly, so an old one is a full one.
//!
//! Two engines behind one interface. Buckets of this process (`local.rs`) are empty of history after a restart and
//! live by its monotonic clock. With Redis all instances share one bucket (`redis.rs`), which lives by Redis's
//! clock, so that theirs do not matter. When Redis is away or does not answer within 50 ms, the bucket of this
//! process decides: the bound is then one bucket per instance, never none.

mod local;
mod redis;

use std::{hash::Hash, num::NonZeroU32, time::Duration};

use self::local::Local;
pub use self::redis::SCRIPT;
use crate::{
    accounts::PrincipalId,
    clock::Clock,
    config::Config,
    error::{Error, Result},
    redis::Redis,
    wire::ProjectId,
};

/// All buckets.
pub struct Limits {
    /// Requests to the REST API, by principal.
    pub rest: Buckets<PrincipalId>,
    /// Calls of MCP tools, by client and tool.
    pub tools: Buckets<ToolUse>,
    /// Webhooks, by project.
    pub ingest: Buckets<ProjectId>,
    /// Attempts to sign in to one account, by address.
    pub sign_ins: Buckets<Attempt>,
    /// Attempts to sign in to any, by address.
    pub sign_ins_anywhere: Buckets<Attempt>,
}

impl Limits {
    /// Buckets as the settings say, shared through Redis if there is one.
    pub fn new(config: &Config, clock: &Clock, redis: Option<&Redis>) -> Self {
        Self {
            rest: Buckets::new("rest", config.rest_per_minute, clock, redis),
            tools: Buckets::new("tools", config.tools_per_minute, clock, redis),
            ingest: Buckets::new("ingest", config.ingest_per_minute, clock, redis),
            sign_ins: Buckets::new("sign_ins", config.sign_ins_per_minute, clock, redis),
            sign_ins_anywhere: Buckets::new(
                "sign_ins",
                config.sign_ins_per_minute.saturating_mul(6),
                clock,
                redis,
            ),
        }
    }

    /// Forgets buckets of this process that are full again, which are like new ones.
    pub fn forget_full(&self) {
        self.rest.forget_full();
        self.tools.forget_full();
        self.ingest.forget_full();
        self.sign_ins.forget_full();
        self.sign_ins_anywhere.forget_full();
    }
}

/// A tool in the hands of one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ToolUse {
    /// The client, as it names itself at `/oauth/token`.
    pub client_id: String,
    /// The name of the tool.
    pub tool: String,
}

/// An attempt to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// From where; what is handed out as one network to one customer counts as one.
    pub from: String,
    /// To which account, by a hash of its name; none means any.
    pub to: Option<[u8; 16]>,
}

/// What buckets are told apart by.
pub trait Key: Hash + Eq + Clone {
    /// The bucket's name in Redis.
    fn name(&self) -> String;
}

impl Key for PrincipalId {
    fn name(&self) -> String {
        format!("rate_limit:rest:{self}")
    }
}

impl Key for ProjectId {
    fn name(&self) -> String {
        format!("rate_limit:ingest:{self}")
    }
}

impl Key for ToolUse {
    fn name(&self) -> String {
        format!("rate_limit:mcp:{}:{}", self.client_id, self.tool)
    }
}

impl Key for Attempt {
    fn name(&self) -> String {
        format!("rate_limit:sign_in:{}:{}", self.from, self.to.map_or_else(|| "any".to_owned(), hex::encode))
    }
}

/// One bucket per key.
pub struct Buckets<K: Key> {
    policy: &'static str,
    per_minute: u32,
    /// None when there is no limit.
    local: Option<Local<K>>,
    redis: Option<Redis>,
}

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

/// What came of asking a bucket for a token.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    /// Whole tokens that are left.
    remaining: u32,
    /// None if a token was taken, else the time until there is one.
    wait: Option<Duration>,
    /// Until the bucket is full.
    full_in: Duration,
}

impl<K: Key> Buckets<K> {
    fn new(policy: &'static str, per_minute: u32, clock: &Clock, redis: Option<&Redis>) -> Self {
        let local = NonZeroU32::new(per_minute).map(|per_minute| Local::new(per_minute, clock));
        Self { policy, per_minute, local, redis: redis.cloned() }
    }

    /// Takes a token; says what is left, or nothing when there is no limit.
    ///
    /// # Errors
    /// `rate_limited` when the bucket is empty, with the time after which there is a token again; what is left then
    /// is told beside it.
    pub async fn take(&self, key: &K) -> (Option<Allowance>, Result<()>) {
        let Some(local) = &self.local else { return (None, Ok(())) };
        let shared = match &self.redis {
            // Apart: a command of fred's takes 14 KB, which whoever takes a token would carry along.
            Some(redis) => Box::pin(redis::take(redis, key.name(), self.per_minute)).await,
            None => None,
        };
        let Taken { remaining, wait, full_in } = shared.unwrap_or_else(|| local.take(key));
        let Self { policy, per_minute, .. } = *self;
        let verdict = match wait {
            None => Ok(()),
            Some(wait) => {
                let why =
                    format!("more than {per_minute} requests in a minute; wait, then go on more slowly");
                Err(Error::rate_limited(why, wait))
            }
        };
        (Some(Allowance { policy, per_minute, remaining, full_in }), verdict)
    }

    /// Looks into some buckets, in their order, and takes nothing; none when there is no limit. What Redis does not tell
    /// in time is as this process knows it.
    pub async fn peek(&self, keys: &[K]) -> Vec<Allowance> {
        let Some(local) = &self.local else { return Vec::new() };
        let shared = match &self.redis {
            Some(redis) => {
                let names = keys.iter().map(K::name).collect();
                Box::pin(redis::peek(redis, names, self.per_minute)).await
            }
            None => None,
        };
        let remaining = shared.unwrap_or_else(|| keys.iter().map(|key| local.peek(key)).collect());
        let Self { policy, per_minute, .. } = *self;
        let per_token = Duration::from_secs(60) / per_minute.max(1);
        let allowance = |remaining: u32| {
            let full_in = per_token * per_minute.saturating_sub(remaining);
            Allowance { policy, per_minute, remaining, full_in }
        };
        remaining.into_iter().map(allowance).collect()
    }

    fn forget_full(&self) {
        if let Some(local) = &self.local {
            local.forget_full();
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn tools(per_minute: u32, clock: &Clock) -> Buckets<ToolUse> {
        Buckets::new("tools", per_minute, clock, None)
    }

    fn use_of(tool: &str) -> ToolUse {
        ToolUse { client_id: "tsk_0123456789ab".into(), tool: tool.into() }
    }

    #[tokio::test]
    async fn each_key_has_its_own_bucket_and_an_empty_one_says_when_to_come_back() {
        let clock = Clock::mock(chrono::DateTime::UNIX_EPOCH);
        let buckets = tools(2, &clock);
        for left in [1, 0] {
            let (allowance, verdict) = buckets.take(&use_of("claim_work")).await;
            assert_eq!((allowance.expect("limited").remaining, verdict.is_ok()), (left, true));
        }
        let error = buckets.take(&use_of("claim_work")).await.1.expect_err("empty");
        assert_eq!(error.retry_after, Some(Duration::from_secs(30)));
        assert!(buckets.take(&use_of("check_paths")).await.1.is_ok(), "another's is full");
        clock.advance(TimeDelta::seconds(30));
        assert!(buckets.take(&use_of("claim_work")).await.1.is_ok());
    }

    #[tokio::test]
    async fn whoever_looks_into_a_bucket_takes_nothing_and_makes_none() {
        let clock = Clock::mock(chrono::DateTime::UNIX_EPOCH);
        let buckets = tools(60, &clock);
        clock.advance(TimeDelta::seconds(7));
        let keys = ["claim_work", "check_paths"].map(use_of);
        let left = async || buckets.peek(&keys).await.iter().map(|it| it.remaining).collect::<Vec<_>>();
        assert_eq!(left().await, [60, 60]);
        for _ in 0..3 {
            assert!(buckets.take(&use_of("claim_work")).await.1.is_ok());
        }
        assert_eq!(left().await, [57, 60]);
        assert_eq!(left().await, [57, 60], "looking once more changes nothing");
        clock.advance(TimeDelta::seconds(2));
        assert_eq!(left().await, [59, 60]);
        clock.advance(TimeDelta::seconds(60));
        assert_eq!(left().await, [60, 60], "a bucket is never more than full");
        assert!(tools(0, &clock).peek(&keys).await.is_empty(), "there are no buckets without a limit");
    }

    #[tokio::test]
    async fn nought_means_no_limit() {
        let buckets = tools(0, &Clock::mock(chrono::DateTime::UNIX_EPOCH));
        for _ in 0..10_000 {
            assert!(matches!(buckets.take(&use_of("claim_work")).await, (None, Ok(()))));
        }
    }

    #[test]
    fn a_bucket_is_named_in_redis_by_whose_it_is() {
        let id = uuid::Uuid::from_u128(1);
        assert_eq!(use_of("claim_work").name(), "rate_limit:mcp:tsk_0123456789ab:claim_work");
        assert_eq!(PrincipalId(id).name(), "rate_limit:rest:00000000-0000-0000-0000-000000000001");
        assert_eq!(ProjectId(id).name(), "rate_limit:ingest:00000000-0000-0000-0000-000000000001");
    }
}
