//! Token buckets that instances share through Redis, and what holds when it does not answer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use futures::future::join_all;
use proptest::prelude::*;
use scratch::redis::RedisServer;
use trackside::{
    clock::Clock,
    config::{Config, Sources},
    limits::{Limits, ToolUse},
    redis::Redis,
};

use crate::support::{Server, any_key, dawn, eventually};

/// What one instance knows of limits, with a clock of its own.
struct Instance {
    limits: Limits,
    redis: Redis,
    clock: Clock,
}

impl Instance {
    /// An instance whose clock is so many hours ahead.
    async fn of(server: &RedisServer, hours: i64) -> Self {
        let settings = [("REDIS_URL", server.url().as_str()), ("TRACKSIDE_REST_PER_MINUTE", "90")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = BTreeMap::from(settings);
        let config = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
        let clock = Clock::mock(dawn() + TimeDelta::hours(hours));
        let redis = Redis::connect(config.redis.as_ref().unwrap()).unwrap();
        eventually("there is a connection", async || redis.ping().await.is_ok()).await;
        let instance = Self { limits: Limits::new(&config, &clock, Some(&redis)), redis, clock };
        instance.call("a_first_call_that_brings_the_script").await;
        instance
    }

    /// Whether a call was let through, and what is left.
    async fn call(&self, tool: &str) -> (bool, u32) {
        let (allowance, verdict) = self.limits.tools.take(&used(tool)).await;
        (verdict.is_ok(), allowance.unwrap().remaining)
    }

    /// How many of so many calls in a row are let through.
    async fn calls(&self, tool: &str, count: usize) -> usize {
        let mut granted = 0;
        for _ in 0..count {
            granted += usize::from(self.call(tool).await.0);
        }
        granted
    }

    /// What is left for some tools, by a look alone.
    async fn left(&self, tools: [&str; 2]) -> Vec<u32> {
        self.limits.tools.peek(&tools.map(used)).await.iter().map(|allowance| allowance.remaining).collect()
    }
}

fn used(tool: &str) -> ToolUse {
    ToolUse { client_id: "tsk_0123456789ab".into(), tool: tool.into() }
}

/// The name of the bucket of such a use.
fn bucket(tool: &str) -> String {
    format!("rate_limit:mcp:tsk_0123456789ab:{tool}")
}

#[tokio::test]
async fn three_instances_with_clocks_an_hour_apart_share_one_bucket() {
    let server = RedisServer::start(&[]).await.unwrap();
    let instances = join_all([-1, 0, 1].map(|hours| Instance::of(&server, hours))).await;
    let began = Instant::now();
    let granted: usize =
        join_all(instances.iter().map(|instance| instance.calls("claim_work", 50))).await.into_iter().sum();
    let refilled = began.elapsed().as_secs() as usize + 1;
    assert!((60..=60 + refilled).contains(&granted), "{granted} of 150 in {:?}", began.elapsed());

    instances[1].clock.advance(TimeDelta::hours(2));
    let again = instances[1].calls("claim_work", 60).await;
    let refilled = began.elapsed().as_secs() as usize + 1;
    assert!(granted + again <= 60 + refilled, "an instance's clock refills nothing: {again} more");
    assert_eq!(instances[2].calls("check_paths", 60).await, 60, "another tool's bucket is full");
}

#[tokio::test]
async fn a_bucket_lives_for_a_minute_and_says_when_it_has_a_token_and_when_it_is_full() {
    let server = RedisServer::start(&[]).await.unwrap();
    let instance = Instance::of(&server, 0).await;
    for left in (0..60).rev() {
        let (allowance, verdict) = instance.limits.tools.take(&used("claim_work")).await;
        let allowance = allowance.unwrap();
        assert!(verdict.is_ok());
        assert_eq!((allowance.policy, allowance.per_minute), ("tools", 60));
        assert!(allowance.remaining >= left, "{} of {left}", allowance.remaining);
        assert!(allowance.full_in <= Duration::from_secs(60) - Duration::from_secs(left.into()));
    }
    eventually("it is empty", async || !instance.call("claim_work").await.0).await;
    let (_, refused) = instance.limits.tools.take(&used("claim_work")).await;
    if let Err(refused) = refused {
        assert!(refused.retry_after.is_some_and(|wait| wait <= Duration::from_secs(1)), "{refused:?}");
    }
    let left_ms: i64 = server.answer(&["PTTL", &bucket("claim_work")])[0].parse().unwrap();
    assert!((50_000..=60_000).contains(&left_ms), "{left_ms}");
}

#[tokio::test]
async fn while_redis_is_away_the_bucket_of_the_instance_decides_at_once_and_never_without_a_limit() {
    let mut server = RedisServer::start(&[]).await.unwrap();
    let instance = Instance::of(&server, 0).await;
    for how in ["hangs", "is gone"] {
        let tool = format!("redis {how}");
        assert_eq!(instance.calls(&tool, 60).await, 60);
        if how == "hangs" {
            server.hang()
        } else {
            server.kill()
        }
        let began = Instant::now();
        let granted = instance.calls(&tool, 1).await;
        // 50 ms, and what a busy machine needs to notice; a hundred who wait would take 5 s.
        assert!(began.elapsed() < Duration::from_secs(1), "{:?} while Redis {how}", began.elapsed());
        let granted = granted + instance.calls(&tool, 99).await;
        assert!(began.elapsed() < Duration::from_secs(2), "only the first waits while Redis {how}");
        // One bucket per instance, whose clock stands still; a call before may have found Redis too slow, and used it.
        assert!((1..=60).contains(&granted), "{granted} while Redis {how}");
        if how == "hangs" {
            server.go_on()
        } else {
            server.start_again().await.unwrap()
        }
        // The bucket here is empty and stays so: whoever grants a token now is Redis.
        eventually("Redis decides again", async || instance.call(&tool).await.0).await;
    }
    eventually("Redis is back", async || instance.redis.is_up()).await;
}

#[tokio::test]
async fn whoever_looks_into_a_bucket_sees_what_all_instances_left_and_takes_nothing() {
    let mut server = RedisServer::start(&[]).await.unwrap();
    let instances = join_all([-1, 1].map(|hours| Instance::of(&server, hours))).await;
    let tools = ["claim_work", "check_paths"];
    assert_eq!(instances[0].calls("claim_work", 40).await, 40);
    for instance in &instances {
        for _ in 0..3 {
            let left = instance.left(tools).await;
            assert!((20..40).contains(&left[0]) && left[1] == 60, "{left:?}");
        }
    }
    assert_eq!(server.answer(&["EXISTS", &bucket("check_paths")]), ["0"], "no bucket is made by a look");
    server.kill();
    assert_eq!(instances[1].left(tools).await, [60, 60], "as far as this instance knows");
    assert_eq!(instances[1].calls("claim_work", 5).await, 5);
    assert_eq!(instances[1].left(tools).await, [55, 60]);
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_left_for_the_bucket_of_the_instance() {
    let server = RedisServer::start(&[]).await.unwrap();
    let instance = Instance::of(&server, 0).await;
    server.answer(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(instance.calls("claim_work", 100).await, 60, "never an error, never without a limit");
    server.answer(&["REPLICAOF", "NO", "ONE"]);
    eventually("Redis decides again", async || {
        instance.call("check_paths").await.0 && server.answer(&["EXISTS", &bucket("check_paths")]) == ["1"]
    })
    .await;
}

#[tokio::test]
async fn a_principal_has_one_limit_over_all_instances() {
    let redis = RedisServer::start(&[]).await.unwrap();
    let settings = [("REDIS_URL", &*redis.url()), ("TRACKSIDE_REST_PER_MINUTE", "3")];
    let a = Server::start_with(&settings).await;
    let b = a.another(&settings).await;
    for server in [&a, &b] {
        eventually("Redis is found", async || {
            server.stranger().get("/health").await.json["status"] == "healthy"
        })
        .await;
    }
    let tenant = a.tenant("Acme").await;
    let key = a.key(tenant.id, any_key()).await;
    for (server, left) in [(&a, "2"), (&b, "1"), (&a, "0")] {
        let answer = server.client(&key).get("/api/v1/tenant").await.expect(200);
        assert_eq!(answer.headers["x-ratelimit-remaining"], left);
        assert_eq!(answer.headers["ratelimit-policy"], "\"rest\";q=3;w=60");
    }
    let refused = b.client(&key).get("/api/v1/tenant").await.refused(429, "rate_limited");
    assert_eq!(refused.headers["retry-after"], "20");
}

/// A bucket as it is found: its tokens, how long ago that was, and how many calls come now.
fn found() -> impl Strategy<Value = (f64, i64, usize)> {
    (0.0..90.0f64, -5_000_000..70_000_000i64, 1..8usize)
}

/// The tokens in a bucket some time after there were `tokens` in it.
fn model(capacity: f64, tokens: f64, passed_us: i64) -> f64 {
    capacity.min(tokens + passed_us.max(0) as f64 * capacity / 60e6)
}

#[test]
fn the_script_does_what_a_bucket_of_fractional_tokens_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(RedisServer::start(&[])).unwrap();
    let instance = runtime.block_on(Instance::of(&server, 0));
    proptest!(ProptestConfig::with_cases(64), |((tokens, ago_us, calls) in found())| {
        let (key, began) = (bucket("claim_work"), Instant::now());
        let time: Vec<i64> =
            server.answer(&["TIME"]).iter().map(|part| part.parse().expect("a number")).collect();
        let at = time[0] * 1_000_000 + time[1] - ago_us;
        server.answer(&["HSET", &key, "tokens", &tokens.to_string(), "at", &at.to_string()]);
        // Between the two readings of the clock some time passes, which refills a little more.
        let mut least = model(60.0, tokens, ago_us);
        for call in 0..calls {
            let (granted, left) = runtime.block_on(instance.call("claim_work"));
            let most = model(60.0, least, began.elapsed().as_micros() as i64);
            if granted {
                prop_assert!(most >= 1.0, "call {call} got a token of {most}");
                least = (least - 1.0).max(0.0);
            } else {
                prop_assert!(least < 1.0, "call {call} got no token of {least}");
            }
            let most_left = if granted { most - 1.0 } else { most };
            prop_assert!(f64::from(left) >= least.floor() - 1e-6 && f64::from(left) <= most_left + 1e-6,
                "{left} left, between {least} and {most_left}");
        }
    });
}
