//! Presence where several instances share a database: late evidence, sweeps at once, ends in mid-work.

use std::sync::Arc;

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use trackside::{clock::Clock, wire::Timestamp};

use super::{Worker, server};
use crate::support::{Server, dawn, eventually, text};

#[tokio::test]
async fn evidence_that_comes_late_never_overwrites_what_is_newer() {
    let clock = Clock::mock(dawn() + TimeDelta::seconds(20));
    let free = [("TRACKSIDE_TOOLS_PER_MINUTE", "0")];
    let ahead = Server::start_in(Arc::new(scratch::Scratch::new()), clock, &free).await;
    let project = ahead.project().await;
    let behind = Server::start_in(Arc::clone(&ahead.place), Clock::mock(dawn()), &free).await;
    let worker = Worker::new(&ahead, &project, "two-headed").await;
    worker.reports(json!({"status": "blocked", "task": "waiting"})).await;
    worker.at(&behind).calls("list_runs").await; // 20 s before, by its clock
    let shown = async || worker.shown().await;
    eventually("it is listed", async || shown().await["activities"].as_array().unwrap().len() == 2).await;
    let known = shown().await;
    assert_eq!((&known["status"], &known["since"]), (&json!("blocked"), &json!("2026-01-01T06:00:20Z")));
    assert_eq!(known["lastSeen"], json!({"at": "2026-01-01T06:00:20Z", "evidence": "report"}));
    behind.advance(21);
    worker.at(&behind).calls("list_runs").await;
    worker.becomes("running").await;
    assert_eq!(worker.shown().await["since"], "2026-01-01T06:00:21Z");
    behind.service.stop().await;
}

#[tokio::test]
async fn instances_that_look_at_once_tell_of_everybody_once() {
    let one = server().await;
    let project = one.project().await;
    let others = [one.another(&[]).await, one.another(&[]).await];
    let mut workers = Vec::new();
    for number in 0..12 {
        workers.push(Worker::new(&one, &project, &format!("agent-{number}")).await);
    }
    for round in 1..=3 {
        join_all(workers.iter().map(|worker| worker.reports(json!({"status": "running"})))).await;
        one.advance(31);
        let idle = async || project.all("/agents?status=idle").await.len() == workers.len();
        eventually("all are idle", idle).await;
        for worker in &workers {
            let story = worker.story().await;
            assert_eq!(story.len(), 2 * round, "{story:?}");
            assert_eq!(story[2 * round - 1], ["running", "idle", "silence"].map(str::to_owned));
        }
    }
    for other in others {
        other.service.stop().await;
    }
}

#[tokio::test]
async fn calls_at_two_instances_are_of_one_agent_who_is_told_of_once() {
    let one = server().await;
    let project = one.project().await;
    let other = one.another(&[("TRACKSIDE_TOOLS_PER_MINUTE", "0")]).await;
    let worker = Worker::new(&one, &project, "busy").await;
    let there = worker.at(&other);
    let calls = (0..20).map(|number| if number % 2 == 0 { &worker } else { &there });
    join_all(calls.map(|worker| worker.calls("list_runs"))).await;
    worker.becomes("running").await;
    for _ in 0..5 {
        one.advance(10);
        worker.calls("list_runs").await;
        there.calls("list_runs").await;
        let now = Timestamp(one.clock.now()).to_string();
        eventually("that is written", async || worker.shown().await["lastSeen"]["at"] == *now).await;
    }
    one.advance(12);
    let counted = async || {
        let activities = worker.shown().await["activities"].as_array().unwrap().clone();
        activities.iter().filter_map(|activity| activity["count"].as_u64()).sum::<u64>() == 30
    };
    eventually("every call is counted", counted).await;
    assert_eq!(worker.story().await, [["idle", "running", "tool_call"].map(str::to_owned)]);
    other.service.stop().await;
}

#[tokio::test]
async fn what_waits_is_written_when_the_service_stops() {
    let server = server().await;
    let project = server.project().await;
    let worker = Worker::new(&server, &project, "busy").await;
    worker.calls("list_runs").await;
    worker.becomes("running").await;
    server.advance(5);
    worker.calls("list_conflicts").await;
    let server = server.restart().await;
    let worker = worker.at(&server);
    let shown = worker.shown().await;
    assert_eq!(shown["lastSeen"]["at"], "2026-01-01T06:00:05Z");
    assert_eq!(shown["activities"][0]["what"], "list_conflicts");
    server.advance(31);
    worker.becomes("idle").await;
    assert_eq!(worker.shown().await["since"], "2026-01-01T06:00:35Z");
}

#[tokio::test]
async fn who_cannot_be_written_of_is_as_soon_as_it_can() {
    let server = server().await;
    let project = server.project().await;
    let worker = Worker::new(&server, &project, "patient").await;
    let database = server.database().await;
    crate::support::sabotage::refuse_inserts(&database, "agent_activity", "on purpose").await;
    worker.calls("list_runs").await; // is answered all the same
    let other = server.tenant("Other").await.project("Other").await;
    Worker::new(&server, &other, "other").await.calls("list_runs").await;
    assert_eq!(worker.shown().await, Value::Null);
    crate::support::sabotage::mend(&database, "agent_activity").await;
    server.advance(2);
    worker.becomes("running").await;
    assert_eq!(text(&worker.shown().await["since"]), "2026-01-01T06:00:00Z");
}
