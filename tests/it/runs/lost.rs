//! Runs whose end never came: closed once, by whoever looks first, and found again if their host tells more.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use trackside::samples::{Repository, Sample, WorkflowRun};

use super::{agent, are, begin, path_of, status, sweep, told, work};
use crate::support::{
    Project, Server,
    agent::{Agent, Revision},
    dawn, eventually, number, text,
};

const HOUR: i64 = 3_600;

fn workflow(repository: &mut Repository, status: &str, conclusion: Option<&str>) -> Sample {
    let run = WorkflowRun { id: 7, name: "CI", attempt: 1, status, conclusion, branch: "main" };
    repository.workflow_run(&run)
}

/// The only run of Git hosts.
async fn of_ci(project: &Project) -> Value {
    let mut runs = project.all("/runs?kind=workflow").await;
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

#[tokio::test]
async fn an_agents_run_is_lost_when_it_shows_no_life_within_its_deadline() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    let run = begin(&ada, &project, json!({"name": "short", "deadlineSeconds": 60})).await;
    let usual = begin(&ada, &project, work()).await;
    let path = path_of(&project, &run);
    for _ in 0..3 {
        server.advance(59);
        sweep(&server).await;
        ada.patch(&path, json!({})).await.expect(200);
    }
    assert_eq!(status(&project, &run).await, "running");
    server.advance(60);
    eventually("it is closed without anybody asking", async || status(&project, &run).await == "lost").await;
    let closed = project.client.get(&path).await.json;
    assert_eq!((&closed["durationMs"], &closed["finishedAt"]), (&Value::Null, &Value::Null), "nobody knows");
    assert_eq!(closed["deadlineAt"], Value::Null);
    assert_eq!(status(&project, &usual).await, "running", "an hour is the usual deadline");
    for late in [json!({}), json!({"status": "success"}), json!({"costMicroUsd": 5})] {
        let refused = ada.patch(&path, late).await;
        assert!(text(&refused.json["detail"]).contains("was closed as `lost`"), "{refused:?}");
        refused.refused(409, "conflict");
    }
    server.advance(HOUR);
    sweep(&server).await;
    sweep(&server).await;
    let (began, lost) = (("run_started", "running"), ("run_finished", "lost"));
    assert_eq!(told(&project).await, are(&[began, began, lost, lost]), "each is told once");
    let last = project.events().await.pop().unwrap()["payload"].clone();
    assert_eq!((&last["runId"], &last["principal"]), (&usual["id"], &usual["principal"]));
}

#[tokio::test]
async fn a_hosts_run_is_lost_a_day_after_its_last_state_and_found_when_its_host_tells_more() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = Repository::new("acme/rocket", dawn());
    repository.push("main", &[]);
    project.deliver("d-1", &workflow(&mut repository, "queued", None)).await.expect(202);
    project.settled().await;
    server.advance(23 * HOUR);
    repository.at(dawn() + TimeDelta::hours(23));
    let running = workflow(&mut repository, "in_progress", None);
    project.deliver("d-2", &running).await.expect(202);
    project.settled().await;
    server.advance(24 * HOUR - 1);
    sweep(&server).await;
    assert_eq!(of_ci(&project).await["status"], "running", "the newer state counts");
    server.advance(1);
    sweep(&server).await;
    let lost = of_ci(&project).await;
    assert_eq!((&lost["status"], &lost["durationMs"]), (&json!("lost"), &Value::Null));

    project.deliver("d-3", &running).await.expect(202);
    assert_eq!(told(&project).await, are(&[("run_started", "running"), ("run_finished", "lost")]));
    assert_eq!(of_ci(&project).await["status"], "lost", "what was known before is no news");
    repository.at(dawn() + TimeDelta::hours(48));
    project.deliver("d-4", &workflow(&mut repository, "completed", Some("success"))).await.expect(202);
    let expected = [("run_started", "running"), ("run_finished", "lost"), ("run_finished", "success")];
    assert_eq!(told(&project).await, are(&expected));
    server.advance(48 * HOUR);
    sweep(&server).await;
    project.deliver("d-5", &running).await.expect(202);
    assert_eq!(told(&project).await, are(&expected), "found once and for all");
    let found = of_ci(&project).await;
    assert_eq!((&found["id"], &found["status"]), (&lost["id"], &json!("success")));
}

#[tokio::test]
async fn a_run_that_goes_on_after_it_was_lost_is_waited_for_again() {
    let server = Server::start_with(&[("TRACKSIDE_RUN_DEADLINE_HOURS", "2")]).await;
    let project = server.project().await;
    let mut repository = Repository::new("acme/rocket", dawn());
    for (id, hours) in [("d-1", 0), ("d-2", 3)] {
        repository.at(dawn() + TimeDelta::hours(hours));
        project.deliver(id, &repository.status("ci", "pending")).await.expect(202);
        project.settled().await;
        server.advance(2 * HOUR);
        sweep(&server).await;
    }
    let once = [("run_started", "running"), ("run_finished", "lost")];
    assert_eq!(told(&project).await, are([once, once].as_flattened()));
}

#[tokio::test]
async fn deadlines_go_by_our_clock_however_far_off_the_hosts_is() {
    let server = Server::start().await;
    for hours in [-30, -1, 1, 30] {
        let project = server.project().await;
        let mut repository = Repository::new("acme/rocket", server.clock.now() + TimeDelta::hours(hours));
        repository.push("main", &[]);
        project.deliver("d-1", &workflow(&mut repository, "in_progress", None)).await.expect(202);
        project.settled().await;
        server.advance(24 * HOUR - 1);
        sweep(&server).await;
        assert_eq!(of_ci(&project).await["status"], "running", "{hours} hours off");
        server.advance(1);
        sweep(&server).await;
        assert_eq!(of_ci(&project).await["status"], "lost", "{hours} hours off");
    }
}

#[tokio::test]
async fn several_instances_that_sweep_at_once_tell_each_loss_once() {
    let server = Server::start().await;
    let (one, other) = (server.project().await, server.tenant("Globex").await.project("Other").await);
    let there = server.another(&[]).await;
    // More than one look takes.
    for (project, count) in [(&one, 220), (&other, 30)] {
        let ada = agent(&server, project, "ada").await;
        join_all((0..count).map(|_| begin(&ada, project, json!({"name": "x", "deadlineSeconds": 60})))).await;
    }
    server.advance(60);
    join_all([&server, &there, &server, &there].map(sweep)).await;
    for (project, count) in [(&one, 220), (&other, 30)] {
        let events = project.events().await;
        let lost = events.iter().filter(|event| event["event"] == "run_finished");
        let lost: Vec<_> = lost.map(|event| text(&event["payload"]["runId"])).collect();
        assert_eq!(lost.len(), count);
        assert_eq!(lost.iter().collect::<BTreeSet<_>>().len(), count, "each once");
        assert_eq!(project.all("/runs?status=lost").await.len(), count);
    }
    there.service.stop().await;
}

#[tokio::test]
async fn a_sign_of_life_at_the_last_moment_counts_or_is_refused_but_never_both() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    for _ in 0..10 {
        let run = begin(&ada, &project, json!({"name": "x", "deadlineSeconds": 30})).await;
        let path = path_of(&project, &run);
        server.advance(30);
        let (told, ()) = tokio::join!(ada.patch(&path, json!({})), sweep(&server));
        sweep(&server).await;
        let expected = if told.status == 200 { "running" } else { "lost" };
        assert_eq!(status(&project, &run).await, expected, "{told:?}");
    }
}

#[tokio::test]
async fn what_is_left_of_a_deleted_project_is_waited_for_by_nobody() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    begin(&ada, &project, json!({"name": "x", "deadlineSeconds": 30})).await;
    let database = server.database().await;
    project.client.delete(&project.path("")).await.expect(204);
    server.advance(30);
    sweep(&server).await;
    let waiting = "SELECT count(*) FROM run WHERE deadline_at IS NOT NULL";
    assert_eq!(number(&database, waiting).await, 0);
    eventually("its runs are removed", async || number(&database, "SELECT count(*) FROM run").await == 0)
        .await;
}

#[tokio::test]
async fn a_status_has_no_runs_that_nobody_tells_of_and_none_of_agents_among_what_ci_finds_broken() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    let failed = begin(&ada, &project, json!({"name": "failed"})).await;
    ada.patch(&path_of(&project, &failed), json!({"status": "failed"})).await.expect(200);
    begin(&ada, &project, json!({"name": "alive", "deadlineSeconds": 86_400})).await;
    begin(&ada, &project, json!({"name": "gone", "deadlineSeconds": 30})).await;
    server.advance(30);
    sweep(&server).await;
    let tools = Agent::new(&ada, Revision::Newest);
    let told = tools.get("get_project_status", json!({"projectId": project.id})).await;
    assert_eq!((&told["failingCount"], &told["runningCount"]), (&json!(0), &json!(1)));
    assert_eq!(told["running"][0]["name"], "alive");
}
