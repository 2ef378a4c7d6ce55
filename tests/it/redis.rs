//! Several instances that share a Redis, and what becomes of them when it goes away.

use std::time::{Duration, Instant};

use scratch::redis::RedisServer;
use serde_json::{Value, json};
use tokio::time::timeout;
use trackside::{
    clock::{Clock, Ids},
    config::{Config, Sources},
    jobs::{Jobs, share_wakes},
    redis::Redis,
    samples::Repository,
    webhooks::worker::PROCESS_DELIVERY,
};

use crate::support::{
    EventStream, Project, Server, dawn, eventually,
    process::{free_port, trackside},
    text,
};

/// P10: how late an event may be, whatever Redis does.
const LATE: Duration = Duration::from_secs(2);

/// Two instances over one database and one Redis, and a project as each of them has it.
struct Pair {
    redis: RedisServer,
    a: Server,
    b: Server,
    on_a: Project,
    on_b: Project,
}

impl Pair {
    async fn start() -> Self {
        let redis = RedisServer::start(&[]).await.unwrap();
        let url = redis.url();
        let a = Server::start_with(&[("REDIS_URL", &url)]).await;
        let b = a.another(&[("REDIS_URL", &url)]).await;
        let on_a = a.project().await;
        let on_b = b.again(&on_a);
        let pair = Self { redis, a, b, on_a, on_b };
        pair.are("healthy").await;
        pair
    }

    /// Waits until both say that they are so, as a whole and about the rest.
    async fn are(&self, status: &str) {
        for server in [&self.a, &self.b] {
            eventually(&format!("{status} instances"), async || {
                server.stranger().get("/health").await.expect(200).json["status"] == status
            })
            .await;
        }
    }

    /// A subscriber on A, whose channel A has subscribed to.
    async fn follow_on_a(&self) -> EventStream {
        let stream = self.on_a.follow(None).await.greeted().await;
        self.channels(1).await;
        stream
    }

    /// Waits until so many channels are subscribed to.
    async fn channels(&self, count: usize) {
        eventually("instances hear what is followed", async || {
            let channels = self.redis.answer(&["PUBSUB", "CHANNELS", "project:*"]);
            channels.iter().filter(|channel| !channel.is_empty()).count() == count
        })
        .await;
    }

    /// Changes the project on B; gives the new name and when that was acknowledged.
    async fn change_on_b(&self, name: String) -> (String, Instant) {
        let changed = self.on_b.client.patch(&self.on_b.path(""), json!({"name": name})).await;
        changed.expect(200);
        (name, Instant::now())
    }

    /// Changes the project on B and reads that on A; gives how long it took.
    async fn heard_on_a(&self, stream: &mut EventStream, name: String) -> Duration {
        let (name, acknowledged) = self.change_on_b(name).await;
        let heard = stream.next().await.expect("an event");
        assert_eq!((heard.event.as_str(), &heard.data["payload"]["name"]), ("project_changed", &json!(name)));
        acknowledged.elapsed()
    }
}

#[tokio::test]
async fn a_subscriber_on_one_instance_hears_at_once_and_in_order_what_another_writes() {
    let pair = Pair::start().await;
    let mut stream = pair.follow_on_a().await;
    let mut waited = Duration::ZERO;
    for round in 1..=10 {
        waited += pair.heard_on_a(&mut stream, format!("Rocket {round}")).await;
    }
    // Heads are compared once a second: without Redis ten in a row would take about ten seconds.
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    let ids: Vec<_> = (0..50).map(|number| format!("d-{number}")).collect();
    for id in &ids {
        pair.on_b.deliver_bytes(id, "ping", b"{}".to_vec()).await.expect(202);
    }
    let mut positions = Vec::new();
    while positions.len() < ids.len() {
        positions.push(stream.next().await.expect("an event").position());
    }
    assert_eq!(positions, (11..=60).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_outside_client_hears_each_event_and_where_to_read_a_large_one() {
    let pair = Pair::start().await;
    let mut messages = pair.redis.subscribe(&format!("project:{}", pair.on_a.id)).await;
    let (name, _) = pair.change_on_b("Rocket 2".into()).await;
    let message: Value = serde_json::from_str(&messages.next().await).unwrap();
    assert_eq!(message, pair.on_a.events().await[0], "the event as it is in the log");
    assert_eq!((&message["event"], &message["payload"]["name"]), (&json!("project_changed"), &json!(name)));

    let issue = Repository::new("acme/rocket", dawn()).issue("opened", 1, &"x".repeat(10_000));
    pair.on_b.deliver("d-1", &issue).await.expect(202);
    let events = pair.on_a.events().await;
    let large = events.iter().find(|event| event["event"] == "issue_changed").expect("an issue");
    loop {
        let message: Value = serde_json::from_str(&messages.next().await).unwrap();
        if message["id"] == large["id"] {
            assert_eq!(message["payload"], Value::Null);
            let page = pair.on_a.client.get(&text(&message["payloadUrl"])).await.expect(200).json;
            assert_eq!(page["items"], json!([large]));
            return;
        }
        assert!(message.get("payloadUrl").is_none(), "only a large payload is referred to: {message}");
    }
}

#[tokio::test]
async fn an_instance_hears_a_project_only_while_somebody_follows_it_there() {
    let pair = Pair::start().await;
    pair.channels(0).await;
    let (one, other) = (pair.follow_on_a().await, pair.on_a.follow(None).await.greeted().await);
    let on_b = pair.on_b.follow(None).await.greeted().await;
    let channel = format!("project:{}", pair.on_a.id);
    let hearers = async |count: &str| {
        eventually("so many instances hear it", async || {
            pair.redis.answer(&["PUBSUB", "NUMSUB", &channel]).last().is_some_and(|number| number == count)
        })
        .await;
    };
    hearers("2").await;
    drop((one, on_b));
    hearers("1").await;
    drop(other);
    pair.channels(0).await;
}

#[tokio::test]
async fn redis_may_be_killed_and_come_back_empty_without_a_lost_or_late_event() {
    let mut pair = Pair::start().await;
    let mut stream = pair.follow_on_a().await;
    let mut round = 0;
    for state in ["up", "killed", "back"] {
        match state {
            "killed" => pair.redis.kill(),
            "back" => pair.redis.start_again().await.unwrap(),
            _ => {}
        }
        for _ in 0..5 {
            round += 1;
            let waited = pair.heard_on_a(&mut stream, format!("Rocket {round}")).await;
            assert!(waited < LATE, "{waited:?} while Redis is {state}");
            pair.on_b.deliver_bytes(&format!("d-{round}"), "ping", b"{}".to_vec()).await.expect(202);
            assert_eq!(stream.next().await.expect("an event").event, "delivery_received");
        }
        pair.are(if state == "killed" { "degraded" } else { "healthy" }).await;
        let infrastructure = pair.a.stranger().get("/health").await.json["infrastructure"].clone();
        let is_away = state == "killed";
        assert_eq!(infrastructure["redis"]["status"], if is_away { "unhealthy" } else { "healthy" });
        assert_eq!(infrastructure["redis"]["latencyMs"].is_number(), !is_away);
        pair.a.stranger().get("/health/ready").await.expect(200);
        let metrics = pair.a.stranger().get("/metrics").await.expect(200).body;
        assert!(metrics.contains(&format!("trackside_redis_up {}", u8::from(!is_away))), "{metrics}");
    }
    pair.channels(1).await;
    let mut waited = Duration::ZERO;
    for _ in 0..5 {
        round += 1;
        waited += pair.heard_on_a(&mut stream, format!("Rocket {round}")).await;
    }
    assert!(waited < Duration::from_secs(1), "A hears B through Redis again: {waited:?}");
}

#[tokio::test]
async fn redis_may_hang_without_a_lost_or_late_event_or_a_slow_answer() {
    let pair = Pair::start().await;
    let mut stream = pair.follow_on_a().await;
    pair.redis.hang();
    for round in 1..=5 {
        let asked = Instant::now();
        pair.on_b.deliver_bytes(&format!("d-{round}"), "ping", b"{}".to_vec()).await.expect(202);
        assert!(asked.elapsed() < Duration::from_secs(1), "ingest takes {:?}", asked.elapsed());
        assert_eq!(stream.next().await.expect("an event").event, "delivery_received");
        assert!(asked.elapsed() < LATE + Duration::from_secs(1), "{:?}", asked.elapsed());
    }
    pair.are("degraded").await;
    pair.redis.go_on();
    pair.are("healthy").await;
    pair.channels(1).await;
    let waited = pair.heard_on_a(&mut stream, "Rocket 2".into()).await;
    assert!(waited < LATE, "{waited:?}");
}

#[tokio::test]
async fn a_start_without_redis_is_a_start_and_redis_is_found_when_it_comes() {
    let mut redis = RedisServer::start(&[]).await.unwrap();
    redis.kill();
    let server = Server::start_with(&[("REDIS_URL", &redis.url())]).await;
    let project = server.project().await;
    project.deliver_bytes("d-1", "ping", b"{}".to_vec()).await.expect(202);
    let health = async || text(&server.stranger().get("/health").await.expect(200).json["status"]);
    assert_eq!(health().await, "degraded");
    redis.start_again().await.unwrap();
    eventually("Redis is found", async || health().await == "healthy").await;
}

#[tokio::test]
async fn a_password_is_given_and_a_wrong_one_stops_nothing() {
    let redis = RedisServer::start(&["--requirepass", "sesame"]).await.unwrap();
    for (password, status) in [("sesame", "healthy"), ("barley", "degraded")] {
        let url = redis.url().replace("redis://", &format!("redis://:{password}@"));
        let server = Server::start_with(&[("REDIS_URL", &url)]).await;
        eventually("Redis is used, or not", async || {
            server.stranger().get("/health").await.expect(200).json["status"] == status
        })
        .await;
    }
}

#[tokio::test]
async fn the_workers_of_all_instances_hear_of_a_job_and_nobody_wakes_himself() {
    let pair = Pair::start().await;
    let mut messages = pair.redis.subscribe("trackside:jobs").await;
    pair.on_b.deliver_bytes("d-1", "ping", b"{}".to_vec()).await.expect(202);
    let message = messages.next().await;
    let (sender, kind) = message.split_once(' ').unwrap_or_default();
    assert!(
        !sender.is_empty() && kind == PROCESS_DELIVERY,
        "a message says who sent it and of which kind, and nothing else: {message}"
    );

    let environment = [("REDIS_URL".to_owned(), pair.redis.url())].into();
    let config = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
    let redis = Redis::connect(config.redis.as_ref().unwrap()).unwrap();
    let (clock, lease) = (Clock::mock(dawn()), Duration::from_secs(30));
    let jobs: Vec<_> = (0..2).map(|_| Jobs::new(clock.clone(), Ids::system(clock.clone()), lease)).collect();
    for jobs in &jobs {
        tokio::spawn(share_wakes(jobs.clone(), redis.clone(), true));
    }
    let mut wakes: Vec<_> = jobs.iter().map(|jobs| jobs.wakes(&["work", "rest"])).collect();
    eventually("a job of the one wakes the other", async || {
        jobs[0].wake_all("work");
        timeout(Duration::from_millis(50), jobs[1].wakes(&["work"]).woken()).await.is_ok()
    })
    .await;
    // Its own wake is heard at once; what it sent comes back to it and wakes nobody.
    while timeout(Duration::from_millis(200), wakes[0].woken()).await.is_ok() {}
    wakes[1].mark_seen();
    jobs[0].wake_all("work");
    wakes[0].woken().await;
    wakes[1].woken().await;
    assert!(timeout(Duration::from_millis(200), wakes[0].woken()).await.is_err(), "woken by itself");
}

#[tokio::test]
async fn doctor_says_what_is_wrong_with_redis() {
    let redis = RedisServer::start(&["--requirepass", "sesame"]).await.unwrap();
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1 1"]).await.unwrap();
    let closed = format!("redis://127.0.0.1:{}", free_port());
    let with_password = |password: &str| redis.url().replace("redis://", &format!("redis://:{password}@"));
    let cases = [
        (with_password("sesame"), "good", "answers at"),
        (with_password("barley"), "bad", "password"),
        (redis.url(), "bad", "password"),
        (redis.url().replace("redis://", "rediss://"), "bad", "TLS"),
        (replica.url(), "bad", "lead to the primary"),
        (closed, "bad", "cannot be reached"),
    ];
    let folder = tempfile::TempDir::new().unwrap();
    for (url, state, words) in cases {
        let doctor =
            trackside(folder.path()).args(["doctor", "--json"]).env("REDIS_URL", &url).output().unwrap();
        let findings: Value = serde_json::from_slice(&doctor.stdout).unwrap();
        let found = findings.as_array().unwrap().iter().find(|finding| finding["what"] == "redis").unwrap();
        assert_eq!(found["state"], state, "{found}");
        assert!(text(&found["words"]).contains(words), "{found}");
        assert!(!found.to_string().contains("barley"), "no password is shown");
    }
}

#[tokio::test]
async fn a_subscriber_may_move_to_an_instance_that_has_not_read_as_far() {
    // Without Redis A reads up to a second later than B what B writes.
    let a = Server::start_with(&[("REDIS_URL", "")]).await;
    let b = a.another(&[("REDIS_URL", "")]).await;
    let on_a = a.project().await;
    let on_b = b.again(&on_a);
    let _other_on_a = on_a.follow(None).await.greeted().await;
    let mut stream = on_b.follow(Some("0")).await;
    for position in 1..=10 {
        on_b.client.patch(&on_b.path(""), json!({"name": format!("Rocket {position}")})).await.expect(200);
        let event = stream.next().await.expect("an event");
        assert_eq!((event.event.as_str(), event.position()), ("project_changed", position));
        let moved_to = if position % 2 == 0 { &on_b } else { &on_a };
        stream = moved_to.follow(stream.last_id.as_deref()).await;
    }
}
