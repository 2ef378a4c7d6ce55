//! How fast buckets in Redis are asked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anstream::println;
use scratch::redis::RedisServer;
use tokio::task::JoinSet;
use trackside::{
    clock::Clock,
    config::{Config, Sources},
    limits::{Limits, SCRIPT, ToolUse},
    redis::Redis,
};

use crate::{Result, output, report::Figures};

/// Those who ask at once.
const CALLERS: usize = 32;

/// Asks the tools' buckets as the service does, beside redis-benchmark with the same script, in turns; gives a line of
/// the report.
pub(crate) async fn measure_buckets(rounds: usize, time: Duration) -> Result<String> {
    let server = RedisServer::start(&[]).await?;
    let environment = [("REDIS_URL".to_owned(), server.url())].into();
    let config = Config::load(&Sources { environment, ..Sources::default() })?;
    let redis = Redis::connect(config.redis.as_ref().ok_or("no address")?)?;
    let limits = Arc::new(Limits::new(&config, &Clock::system(), Some(&redis)));
    while !redis.is_up() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let port = server.port().to_string();
    let sha = server.answer(&["script", "load", SCRIPT]).concat();
    let (mut ours, mut limit) = (Figures::default(), Figures::default());
    for round in 0..=rounds {
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let limits = Arc::clone(&limits);
            callers.spawn(async move {
                let key = ToolUse { client_id: format!("client-{caller}"), tool: "list_changes".to_owned() };
                let mut asked = 0;
                while began.elapsed() < time {
                    let _ = limits.tools.take(&key).await;
                    asked += 1;
                }
                asked
            });
        }
        let asked: u64 = callers.join_all().await.into_iter().sum();
        let rate = asked as f64 / began.elapsed().as_secs_f64();
        let callers = CALLERS.to_string();
        let calls = ((rate * time.as_secs_f64()) as u64).to_string();
        let told = output(
            "redis-benchmark",
            &[
                "-p",
                &port,
                "-c",
                &callers,
                "-n",
                &calls,
                "--csv",
                "evalsha",
                &sha,
                "1",
                "rate_limit:bench",
                "60",
            ],
        )?;
        let line = told.lines().last().ok_or("redis-benchmark says nothing")?;
        let theirs: f64 = line.split("\",\"").nth(1).ok_or("redis-benchmark has another form")?.parse()?;
        println!("  buckets: {rate:.0}/s, redis-benchmark {theirs:.0}/s");
        if round > 0 {
            ours.push(rate);
            limit.push(theirs);
        }
    }
    let ratio = ours.over(&limit);
    Ok(format!(
        "| bucket in Redis, {CALLERS} callers on one connection | {} per second; redis-benchmark with the same script and \
         as many connections {}; {} |",
        ours.show(0, ""),
        limit.show(0, ""),
        ratio.show(2, "×"),
    ))
}
