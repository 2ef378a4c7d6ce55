//! P8 and what comes of several workers: roles, outages, stalls, and writes of two instances at the same time.

use std::collections::BTreeMap;

use futures::future::join_all;
use proptest::prelude::*;
use reqwest::Method;
use scratch::Scratch;
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use serde_json::{Value, json};
use trackside::{
    accounts,
    samples::{Commit, Repository, Sample, WorkflowRun},
};

use crate::support::{
    Project, Server,
    client::answer,
    dawn, eventually, number,
    process::{Process, free_port, run, signal},
    text,
};

fn repository() -> Repository {
    Repository::new("acme/rocket", dawn())
}

#[tokio::test]
async fn a_web_process_leaves_the_jobs_to_a_worker() {
    let web = Server::start_with(&[("TRACKSIDE_ROLE", "web")]).await;
    let project = web.project().await;
    for index in 0..5 {
        project.deliver(&format!("d-{index}"), &repository().ping()).await.expect(202);
    }
    let database = web.database().await;
    assert_eq!(
        number(&database, "SELECT count(*) FROM job WHERE attempt = 0").await,
        5,
        "nobody touched them"
    );
    let worker = web.another(&[("TRACKSIDE_ROLE", "worker")]).await;
    assert_eq!(project.events().await.len(), 5);
    worker.service.stop().await;
}

#[tokio::test]
async fn a_worker_answers_those_who_operate_it_and_nobody_else() {
    let worker = Server::start_with(&[("TRACKSIDE_ROLE", "worker")]).await;
    let client = worker.stranger();
    for path in ["/health", "/api/health", "/health/live", "/health/ready", "/metrics"] {
        client.get(path).await.expect(200);
    }
    for path in ["/api/v1/projects", "/openapi.json", "/docs", "/api/v1/events/ws"] {
        client.get(path).await.refused(404, "not_found");
    }
    client.post("/webhooks/github/x", json!({})).await.refused(404, "not_found");
}

#[test]
fn a_role_is_given_to_serve_and_has_to_be_one() {
    let folder = Scratch::new();
    let refused = run(folder.path(), &["serve", "--role", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("--role is `nobody`: use all, web or worker"), "{words}");
}

#[tokio::test]
async fn of_several_processes_that_begin_at_once_one_makes_the_first_tenant() {
    let one = Server::start().await;
    let other = one.another(&[]).await;
    let begin = (0..10).map(|index| {
        let app = if index % 2 == 0 { &one.service.app } else { &other.service.app };
        accounts::make_first_tenant(app, "default")
    });
    let made = join_all(begin).await;
    assert_eq!(made.into_iter().filter(|made| made.as_ref().unwrap().is_some()).count(), 1);
    assert_eq!(number(&one.database().await, "SELECT count(*) FROM tenant").await, 1);
}

/// The same project as another instance serves it.
fn at(server: &Server, project: &Project) -> Project {
    server.again(project)
}

#[tokio::test]
async fn of_changes_at_two_instances_that_were_meant_for_one_version_one_is_made() {
    let one = Server::start().await;
    let other = one.another(&[]).await;
    let project = one.project().await;
    let projects = [at(&one, &project), at(&other, &project)];
    for version in 1..=5 {
        let renames = (0..10).map(|index| {
            let project = &projects[index % 2];
            let request = project.client.request(Method::PATCH, &project.path(""));
            let request = request.header("if-match", format!("\"{version}\""));
            answer(request.json(&json!({ "name": format!("Name {version} {index}") })))
        });
        let answers = join_all(renames).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.status == 412).count(), 9);
    }
    let changes = project.event_names().await;
    assert_eq!(changes, ["project_changed"; 5]);
}

#[tokio::test]
async fn changes_at_two_instances_that_were_meant_for_any_version_all_count() {
    let one = Server::start().await;
    let other = one.another(&[]).await;
    let project = one.project().await;
    let projects = [at(&one, &project), at(&other, &project)];
    let renames = (0..20).map(|index| {
        let project = &projects[index % 2];
        async move {
            let name = json!({ "name": format!("Name {index}") });
            project.client.patch(&project.path(""), name).await
        }
    });
    for answer in join_all(renames).await {
        answer.expect(200);
    }
    assert_eq!(project.client.get(&project.path("")).await.expect(200).json["version"], 21);
}

#[tokio::test]
async fn the_same_key_at_two_instances_at_once_has_one_effect() {
    let one = Server::start().await;
    let other = one.another(&[]).await;
    let tenant = one.tenant("Acme").await;
    let clients = [tenant.client.clone(), other.client(tenant.client.key.as_deref().unwrap())];
    for round in 0..5 {
        let body = json!({"name": format!("Rocket {round}"), "repoUrl": "https://github.com/acme/rocket"});
        let tries = (0..10).map(|index| {
            let request = clients[index % 2].request(Method::POST, "/api/v1/projects");
            answer(request.header("idempotency-key", format!("k-{round}")).json(&body))
        });
        let answers = join_all(tries).await;
        assert!(answers.iter().any(|answer| answer.status == 201));
        for refused in answers.into_iter().filter(|answer| answer.status != 201) {
            refused.refused(409, "conflict");
        }
    }
    assert_eq!(number(&one.database().await, "SELECT count(*) FROM project").await, 5);
}

#[tokio::test]
async fn secrets_rotated_at_two_instances_at_once_leave_two_that_are_good() {
    let one = Server::start().await;
    let other = one.another(&[]).await;
    let project = one.project().await;
    let projects = [at(&one, &project), at(&other, &project)];
    let rotations = (0..10).map(|index| {
        let project = &projects[index % 2];
        async move {
            let overlap = json!({"overlapSeconds": 60});
            project.client.post(&project.path("/webhook-secret/rotate"), overlap).await
        }
    });
    for answer in join_all(rotations).await {
        answer.expect(200);
    }
    let database = one.database().await;
    let open = "SELECT count(*) FROM project_secret WHERE expires_at IS NULL";
    assert_eq!(number(&database, open).await, 1, "one that does not end");
    assert_eq!(number(&database, "SELECT count(*) FROM project_secret").await, 2, "and one that does");
}

/// What became of a project: its runs and artifacts, without our ids.
async fn outcome(project: &Project) -> Value {
    let pick =
        |row: &Value, fields: &[&str]| fields.iter().map(|field| row[*field].clone()).collect::<Value>();
    let runs = project.all("/runs").await;
    let runs: BTreeMap<_, _> = runs
        .iter()
        .map(|run| (text(&run["name"]), pick(run, &["status", "startedAt", "finishedAt"])))
        .collect();
    let artifacts = project.all("/artifacts?removed=true").await;
    let artifacts: BTreeMap<_, _> = artifacts
        .iter()
        .map(|artifact| (text(&artifact["path"]), pick(artifact, &["commit", "changedAt", "removedAt"])))
        .collect();
    json!({ "runs": runs, "artifacts": artifacts })
}

/// What a host tells in the course of a few minutes, in order: pipelines that begin and end, documents that change.
fn history() -> Vec<Sample> {
    let mut repository = repository();
    let mut told = Vec::new();
    let mut second = 0;
    let mut tell = |repository: &mut Repository, sample: &dyn Fn(&mut Repository) -> Sample| {
        second += 1;
        repository.at(dawn() + chrono::TimeDelta::seconds(second));
        told.push(sample(repository));
    };
    for _ in 0..8 {
        let added = Commit { added: &["docs/prd.md", "docs/stories/1.1.md"], ..Default::default() };
        tell(&mut repository, &|it| it.push("main", std::slice::from_ref(&added)));
        let changed =
            Commit { modified: &["docs/prd.md"], removed: &["docs/stories/1.1.md"], ..Default::default() };
        tell(&mut repository, &|it| it.push("main", std::slice::from_ref(&changed)));
        for (id, name) in [(7, "CI"), (8, "Nightly"), (9, "Release")] {
            for (status, conclusion) in
                [("queued", None), ("in_progress", None), ("completed", Some("success"))]
            {
                let run = WorkflowRun { id, name, attempt: 1, status, conclusion, branch: "main" };
                tell(&mut repository, &|it| it.workflow_run(&run));
            }
        }
    }
    told
}

/// Whether the log tells of every document's commits in the order in which they were pushed.
fn documents_never_go_back(log: &[Value], told: &[Sample]) -> bool {
    let pushed = |commit: &Value| {
        told.iter().position(|sample| {
            let push: Value = serde_json::from_slice(&sample.bytes()).unwrap();
            push["after"] == *commit
        })
    };
    let changes = log.iter().filter(|event| event["payload"]["path"].is_string());
    let mut seen = BTreeMap::new();
    changes.into_iter().all(|event| {
        let place = pushed(&event["payload"]["commit"]);
        assert!(place.is_some(), "a commit that was pushed: {event}");
        seen.insert(text(&event["payload"]["path"]), place) < Some(place)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn two_workers_at_once_come_to_what_one_comes_to_step_by_step(
        order in Just((0..history().len()).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let one = Server::start().await;
            let other = one.another(&[]).await;
            let (together, alone) = (one.project().await, one.project().await);
            let (told, at) = (history(), [at(&one, &together), at(&other, &together)]);
            let posted = order.iter().map(|index| {
                let (project, told) = (&at[index % 2], &told);
                async move { project.deliver(&format!("d-{index}"), &told[*index]).await.expect(202) }
            });
            join_all(posted).await;
            for (index, sample) in told.iter().enumerate() {
                alone.deliver(&format!("d-{index}"), sample).await.expect(202);
                alone.settled().await;
            }
            together.settled().await;
            assert_eq!(outcome(&together).await, outcome(&alone).await);
            assert!(documents_never_go_back(&together.events().await, &told), "an older push came after a newer one");
            let left = together.all("/deliveries").await.iter().filter(|row| row["status"] != "processed").count();
            assert_eq!(left, 0, "each delivery was processed");
            other.service.stop().await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_stopped_and_wakes_after_its_lease_writes_nothing() {
    let folder = Scratch::new();
    if !folder.is_postgres() {
        return; // on SQLite a process that is stopped in the middle of a write stops every other writer, by design
    }
    let lease = ("TRACKSIDE_JOB_LEASE_SECONDS", "1");
    let web = Process::serve(folder.path(), free_port(), &[("TRACKSIDE_ROLE", "web")], &[]).await;
    let project = web.project(folder.path()).await;
    project.deliver("d-1", &repository().ping()).await.expect(202);
    // Reading the delivery waits for this lock, so that the worker is stopped between its claim and its writing.
    let database = folder.database().await;
    let obstacle = database.begin().await.unwrap();
    obstacle.execute_unprepared("LOCK TABLE webhook_event IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let worker = ("TRACKSIDE_ROLE", "worker");
    let stalled = Process::serve(folder.path(), free_port(), &[worker, lease], &[]).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%\"webhook_event\".\"body\"%'";
    let observer = folder.database().await;
    eventually("the worker is in the middle of the job", async || number(&observer, waiting).await == 1)
        .await;
    signal(stalled.id(), "STOP");
    obstacle.rollback().await.unwrap();
    let healthy = Process::serve(folder.path(), free_port(), &[worker, lease], &[]).await;
    project.settled().await;
    signal(stalled.id(), "CONT");
    let log = project.events().await;
    assert_eq!(log.len(), 1, "the effect is there once");
    // Whatever the one that woke up does with its old job comes before what it does with a new one.
    healthy.kill();
    project.deliver("d-2", &repository().ping()).await.expect(202);
    let events = project.events().await;
    assert_eq!(events[0], log[0]);
    assert_eq!(events.len(), 2, "it works again, and wrote nothing of the job that it had lost");
}
