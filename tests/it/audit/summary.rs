//! The log in numbers: what counts, and what is left of the limits of who called.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use trackside::{
    accounts::NewKey,
    audit::{Entry, Outcome},
};

use super::{call, record};
use crate::support::{
    Project, Server,
    agent::{Agent, Revision},
    any_key, text,
};

/// The calls about a project in numbers.
async fn summary(project: &Project, query: &str) -> Value {
    project.client.get(&project.path(&format!("/tool-calls/summary{query}"))).await.expect(200).json
}

/// A call about a project, now.
fn about(server: &Server, project: &Project, tool: &str) -> Entry {
    let (project, tenant) = (Some(project.id.parse().unwrap()), project.tenant.id);
    Entry { project, at: server.clock.now(), ..call(tenant, tool) }
}

#[tokio::test]
async fn the_calls_of_a_window_are_told_by_tool_with_how_they_ended_and_how_long_they_took() {
    let server = Server::start().await;
    let (project, other) = (server.project().await, server.project().await);
    let bars = |told: &Value| told["histogram"].as_array().unwrap().clone();
    let nothing = summary(&project, "").await;
    assert_eq!((&nothing["calls"], &nothing["byTool"], bars(&nothing).len()), (&json!(0), &json!([]), 17));

    record(&server, about(&server, &project, "get_run")).await;
    server.advance(3_601);
    record(&server, about(&server, &other, "get_run")).await;
    let lists = (1..=100).map(|ms| {
        let duration = Duration::from_millis(ms);
        record(&server, Entry { duration, ..about(&server, &project, "list_runs") })
    });
    join_all(lists).await;
    for result in [Outcome::Failure, Outcome::Unauthorized, Outcome::RateLimited, Outcome::RateLimited] {
        let duration = Duration::from_micros(50);
        record(&server, Entry { result, duration, ..about(&server, &project, "claim_work") }).await;
    }

    let told = summary(&project, "").await;
    assert_eq!((&told["windowSeconds"], &told["calls"]), (&json!(3_600), &json!(104)));
    let lists = json!({
        "tool": "list_runs", "calls": 100, "failures": 0, "unauthorized": 0, "rateLimited": 0,
        "p50Us": 50_000, "p95Us": 95_000, "p99Us": 99_000,
    });
    let claims = json!({
        "tool": "claim_work", "calls": 4, "failures": 1, "unauthorized": 1, "rateLimited": 2,
        "p50Us": 50, "p95Us": 50, "p99Us": 50,
    });
    assert_eq!(told["byTool"], json!([lists, claims]));
    let mut filled = bars(&told);
    assert_eq!(filled.last(), Some(&json!({"upToUs": null, "calls": 0})));
    filled.retain(|bar| bar["calls"] != 0);
    let filled: Vec<_> = filled.iter().map(|bar| (bar["upToUs"].as_i64(), bar["calls"].as_u64())).collect();
    let expected = [
        (100, 4),
        (1_000, 1),
        (2_000, 1),
        (5_000, 3),
        (10_000, 5),
        (20_000, 10),
        (50_000, 30),
        (100_000, 50),
    ];
    assert_eq!(filled, expected.map(|(up_to_us, calls)| (Some(up_to_us), Some(calls))));
    assert_eq!(summary(&project, "?windowSeconds=86400").await["calls"], 105, "the older one too");
    for bad in ["59", "86401", "-1", "an+hour"] {
        let path = project.path(&format!("/tool-calls/summary?windowSeconds={bad}"));
        project.client.get(&path).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn the_emptiest_bucket_of_who_called_comes_first_and_looking_takes_nothing() {
    let server = Server::start_with(&[("TRACKSIDE_TOOLS_PER_MINUTE", "6")]).await;
    let project = server.project().await;
    let agent = async |name: &str| {
        let key = server.key(project.tenant.id, NewKey { name: name.into(), ..any_key() }).await;
        Agent::new(&server.client(&key), Revision::Newest)
    };
    let (calm, busy) = (agent("calm").await, agent("busy").await);
    let on = json!({"projectId": project.id});
    for _ in 0..5 {
        busy.get("list_runs", on.clone()).await;
    }
    calm.get("list_runs", on.clone()).await;
    calm.send("tools/call", json!({"name": "make_coffee", "arguments": on})).await;
    for _ in 0..3 {
        let told = summary(&project, "").await;
        let buckets = told["buckets"].as_array().unwrap();
        let whose: Vec<_> = buckets.iter().map(|it| (text(&it["name"]), text(&it["tool"]))).collect();
        let expected = [("busy", "list_runs"), ("calm", "list_runs")];
        assert_eq!(whose, expected.map(|(name, tool)| (name.to_owned(), tool.to_owned())), "{told}");
        let left: Vec<_> = buckets.iter().map(|it| it["tokens"].as_u64().unwrap()).collect();
        assert!((1..=3).contains(&left[0]) && left[1] >= 5, "some may have come back meanwhile: {left:?}");
        assert!(buckets.iter().all(|it| it["capacity"] == 6));
    }
    busy.get("list_runs", on.clone()).await;
}

#[tokio::test]
async fn where_there_is_no_limit_there_are_no_buckets() {
    let server = Server::start_with(&[("TRACKSIDE_TOOLS_PER_MINUTE", "0")]).await;
    let project = server.project().await;
    Agent::new(&project.client, Revision::Newest).get("list_runs", json!({"projectId": project.id})).await;
    let told = summary(&project, "").await;
    assert_eq!((&told["calls"], &told["buckets"]), (&json!(1), &json!([])));
}
