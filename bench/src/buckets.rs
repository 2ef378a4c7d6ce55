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

use crate::{
    Plan, Result,
    answer::{Aim, Answer, Comparison},
    figures::Figures,
    output, peers,
    plots::{Axis, Bar, Chart, Shape},
};

/// Those who ask at once.
const CALLERS: usize = 32;

/// Asks the tools' buckets as the service does, beside redis-benchmark with the same script, in turns.
pub(crate) async fn answer(plan: &Plan) -> Result<Answer> {
    if ["redis-server", "redis-benchmark"].iter().any(|program| peers::program(program).is_none()) {
        let mut answer = Answer::new("Not measured: the buckets are in Redis.\n".to_owned())?;
        answer.missing.push(peers::missing("Redis"));
        return Ok(answer);
    }
    let (rounds, time) = (plan.rounds, plan.time);
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
    told(&ours, &limit)
}

/// What was measured, as an answer.
fn told(ours: &Figures, limit: &Figures) -> Result<Answer> {
    let text = format!(
        "\
### How it is measured

A call of a tool takes a token from its caller's bucket, which is in Redis where there are several instances. {CALLERS} \
callers ask at once, each as soon as it was answered, through the code of the service and its one connection. Beside it \
`redis-benchmark` runs the same script of one bucket, over {CALLERS} connections. Nothing is on a disk: Redis keeps \
buckets in memory only. Those who ask and Redis share the machine. Figures are medians over the rounds, ranges in \
brackets, after a round that is not counted; ratios are taken within a round.

### Buckets asked per second

| | per second | the first is |
|---|---|---|
| Trackside | {} | |
| `redis-benchmark` | {} | {} |
",
        ours.show(0, ""),
        limit.show(0, ""),
        ours.over(limit).show(2, "×"),
    );
    let mut answer = Answer::new(text)?;
    let reason = "The client's tasks and its timers share the cores with Redis.";
    let what = format!("buckets asked per second, {CALLERS} callers");
    answer.comparisons =
        vec![Comparison::times(what, ours, "`redis-benchmark`", limit).aim(Aim::AtLeast(0.5), reason)];
    let bar = |name: &str, figures: &Figures, is_ours| Bar {
        name: name.to_owned(),
        figures: figures.clone(),
        is_ours,
    };
    let bars = vec![bar("Trackside", ours, true), bar("redis-benchmark", limit, false)];
    let axis = Axis { name: "buckets asked per second".to_owned(), is_logarithmic: false };
    let title = "Buckets in Redis".to_owned();
    answer.charts = vec![Chart { file: "buckets".to_owned(), title, shape: Shape::Bars { axis, bars } }];
    Ok(answer)
}
