//! What deliveries mean: artifacts, runs, events, in whatever order they come.

use proptest::prelude::*;
use serde_json::{Value, json};
use trackside::samples::{Commit, Repository, WorkflowRun};

use crate::support::{Project, Server, dawn, eventually, number, sabotage, text};

fn repository() -> Repository {
    Repository::new("acme/rocket", dawn())
}

async fn artifact(project: &Project, path: &str) -> Value {
    let all = project.all("/artifacts?removed=true").await;
    all.into_iter().find(|artifact| artifact["path"] == path).unwrap_or_default()
}

#[tokio::test]
async fn a_push_to_the_default_branch_makes_changes_and_removes_artifacts() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = repository();
    let added =
        Commit { added: &["docs/prd.md", "docs/stories/1.1.login.md", "src/main.rs"], ..Default::default() };
    project.deliver("d-1", &repository.push("main", &[added])).await.expect(202);
    project.settled().await;
    let before = artifact(&project, "docs/prd.md").await;
    assert_eq!((&before["kind"], &before["name"]), (&json!("prd"), &json!("prd")));
    assert_eq!(project.all("/artifacts").await.len(), 2, "source code is no artifact");
    assert_eq!(project.all("/artifacts?kind=Story").await.len(), 1);

    repository.at(dawn() + chrono::TimeDelta::seconds(60));
    let changed =
        Commit { modified: &["docs/prd.md"], removed: &["docs/stories/1.1.login.md"], ..Default::default() };
    project.deliver("d-2", &repository.push("main", &[changed])).await.expect(202);
    project.settled().await;
    let after = artifact(&project, "docs/prd.md").await;
    assert_eq!(after["id"], before["id"], "it keeps its id");
    assert_ne!(after["commit"], before["commit"]);
    assert_eq!(project.all("/artifacts").await.len(), 1);
    assert!(artifact(&project, "docs/stories/1.1.login.md").await["removedAt"].is_string());
    let names = project.event_names().await;
    assert_eq!(
        names,
        ["push", "artifact_updated", "artifact_updated", "push", "artifact_updated", "artifact_removed"]
    );
}

#[tokio::test]
async fn documents_on_other_branches_do_not_count_unless_the_project_says_so() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = repository();
    let docs = || Commit { added: &["docs/prd.md"], ..Default::default() };
    project.deliver("d-1", &repository.push("feature/x", &[docs()])).await.expect(202);
    project.deliver("d-2", &repository.push_tag("v1.0.0")).await.expect(202);
    assert_eq!(project.event_names().await, ["push", "push"]);
    let config = json!({"config": {"branch": "refs/heads/feature/x"}});
    project.client.patch(&project.path(""), config).await.expect(200);
    project.deliver("d-3", &repository.push("feature/x", &[docs()])).await.expect(202);
    project.settled().await;
    assert_eq!(project.all("/artifacts").await.len(), 1);
}

#[tokio::test]
async fn an_older_push_that_arrives_late_overwrites_nothing() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = repository();
    let older = repository.push("main", &[Commit { added: &["docs/prd.md"], ..Default::default() }]);
    repository.at(dawn() + chrono::TimeDelta::seconds(60));
    let newer = repository.push(
        "main",
        &[Commit { removed: &["docs/prd.md"], added: &["docs/architecture.md"], ..Default::default() }],
    );
    project.deliver("d-2", &newer).await.expect(202);
    project.deliver("d-1", &older).await.expect(202);
    project.settled().await;
    let paths: Vec<_> =
        project.all("/artifacts").await.iter().map(|artifact| text(&artifact["path"])).collect();
    assert!(paths.contains(&"docs/architecture.md".to_owned()));
}

#[tokio::test]
async fn a_pipeline_is_one_run_through_all_its_states() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = repository();
    repository.push("main", &[]);
    let states = [("queued", None), ("in_progress", None), ("completed", Some("failure"))];
    for (second, (status, conclusion)) in states.into_iter().enumerate() {
        repository.at(dawn() + chrono::TimeDelta::seconds(second as i64 * 30));
        let run = WorkflowRun { id: 7, name: "CI", attempt: 1, status, conclusion, branch: "main" };
        project.deliver(&format!("d-{second}"), &repository.workflow_run(&run)).await.expect(202);
    }
    assert_eq!(project.event_names().await, ["run_started", "run_finished"]);
    let runs = project.all("/runs").await;
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (&runs[0]["status"], &runs[0]["name"], &runs[0]["kind"]),
        (&json!("failed"), &json!("CI"), &json!("workflow"))
    );
    assert!(runs[0]["durationMs"].as_i64().unwrap() > 0);
    let one =
        project.client.get(&project.path(&format!("/runs/{}", text(&runs[0]["id"])))).await.expect(200).json;
    assert_eq!(one, runs[0]);
    let commit = text(&runs[0]["commit"]);
    assert_eq!(project.all(&format!("/runs?commit={commit}&status=failed")).await.len(), 1);
    assert!(project.all("/runs?status=success").await.is_empty());
}

#[tokio::test]
async fn a_commit_status_may_go_back_to_pending_but_not_back_in_time() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = repository();
    repository.push("main", &[]);
    let mut states = Vec::new();
    for (second, state) in ["pending", "success", "pending", "failure"].into_iter().enumerate() {
        repository.at(dawn() + chrono::TimeDelta::seconds(second as i64 * 10));
        states.push(repository.status("ci/preview", state));
    }
    for index in [0, 1, 3, 2] {
        project.deliver(&format!("d-{index}"), &states[index]).await.expect(202);
        project.settled().await;
    }
    assert_eq!(project.all("/runs").await[0]["status"], "failed");
    assert_eq!(project.event_names().await, ["run_started", "run_finished", "run_finished"]);
}

#[tokio::test]
async fn pull_requests_issues_tags_and_releases_become_events() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = repository();
    let samples = [
        repository.pull_request("opened", 1, "Faster", false),
        repository.issue("opened", 2, "Slow"),
        repository.push_tag("v1.0.0"),
        repository.release("v1.0.0"),
    ];
    for (index, sample) in samples.iter().enumerate() {
        project.deliver(&format!("d-{index}"), sample).await.expect(202);
        project.settled().await;
    }
    let events = project.events().await;
    let told = |name: &str| &events.iter().find(|event| event["event"] == name).expect(name)["payload"];
    assert_eq!(told("pull_request_changed")["title"], "Faster");
    assert_eq!(told("pull_request_changed")["state"], "open");
    assert_eq!(told("issue_changed")["number"], 2);
    assert_eq!(told("push")["tag"], "v1.0.0");
    assert_eq!(told("release_published")["tag"], "v1.0.0");
}

#[tokio::test]
async fn deliveries_of_a_project_are_worked_through_in_the_order_they_came() {
    let server = Server::start().await;
    let project = server.project().await;
    let ping = repository().ping();
    for index in 0..100 {
        project.deliver(&format!("{index}"), &ping).await.expect(202);
        server.advance(1);
    }
    let order: Vec<_> =
        project.events().await.iter().map(|event| text(&event["payload"]["deliveryId"])).collect();
    assert_eq!(order, (0..100).map(|index| index.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_job_that_fails_is_tried_three_times_then_parked_and_can_be_replayed() {
    let server = Server::start().await;
    let project = server.project().await;
    let database = server.database().await;
    sabotage::refuse_inserts(&database, "run", "hush: disk on fire").await;
    let receipt = project.deliver("d-1", &repository().status("ci", "success")).await.expect(202).json;
    let path = project.path(&format!("/deliveries/{}", text(&receipt["id"])));
    // After a failed try the job is put back for a certain instant: 2 s after the first, 4 s after the second.
    let put_back = async |attempt: i64, instant: &str| {
        let sql =
            format!("SELECT count(*) FROM job WHERE attempt = {attempt} AND run_at = '{instant}+00:00'");
        eventually("the try fails and is put back", async || number(&database, &sql).await == 1).await;
    };
    put_back(1, "2026-01-01T06:00:02").await;
    let delivery = project.client.get(&path).await.expect(200).json;
    assert_eq!((&delivery["status"], &delivery["attempts"]), (&json!("pending"), &json!(1)));
    server.advance(2);
    put_back(2, "2026-01-01T06:00:06").await;
    server.advance(4);
    eventually("the third try", async || project.client.get(&path).await.json["status"] == "failed").await;
    let delivery = project.client.get(&path).await.expect(200);
    assert_eq!(delivery.json["attempts"], 3);
    let status = project.client.get(&project.path("/status")).await.expect(200).json;
    assert_eq!(status["lastDelivery"]["status"], "failed", "the project's status tells it too");
    assert!(!delivery.body.contains("hush"), "what the database said is not shown");
    let names: Vec<_> = project.events().await.iter().map(|event| text(&event["event"])).collect();
    assert_eq!(names, ["delivery_received", "delivery_failed"], "a failed try leaves no trace in the log");

    sabotage::mend(&database, "run").await;
    project.client.post(&format!("{path}/replay"), json!({})).await.expect(202);
    project.settled().await;
    assert_eq!(project.client.get(&path).await.json["status"], "processed");
    assert_eq!(project.event_names().await, ["delivery_failed", "run_finished"]);
}

#[tokio::test]
async fn a_delivery_that_cannot_be_read_harms_no_other() {
    let server = Server::start().await;
    let project = server.project().await;
    let database = server.database().await;
    // Damage to one body on its way to the disk, and a job whose run of the database fails.
    sabotage::falsify(&database, "webhook_event", "NEW.delivery_id = 'd-3'", "codec", "99").await;
    sabotage::refuse_inserts(&database, "run", "no").await;
    let (ping, status) = (repository().ping(), repository().status("ci", "success"));
    let sent = (0..20).map(|index| format!("d-{index}")).collect::<Vec<_>>();
    let sent = sent.iter().map(|id| project.deliver(id, if id == "d-7" { &status } else { &ping }));
    futures::future::join_all(sent).await;
    eventually("all but two are processed", async || {
        project.all("/deliveries?status=processed").await.len() == 18
    })
    .await;
    let left: Vec<_> =
        project.all("/deliveries?status=pending").await.iter().map(|row| text(&row["deliveryId"])).collect();
    assert_eq!(left.len(), 2);
    assert!(left.contains(&"d-3".to_owned()) && left.contains(&"d-7".to_owned()));
}

#[tokio::test]
async fn a_restart_takes_up_what_was_left() {
    let server = Server::start().await;
    let project = server.project().await;
    let database = server.database().await;
    // Nobody can claim a job whose time has not come: so these are still there when the service stops.
    sabotage::falsify(&database, "job", "1 = 1", "run_at", "'2026-01-01T07:00:00+00:00'").await;
    for index in 0..10 {
        project.deliver(&format!("d-{index}"), &repository().ping()).await.expect(202);
    }
    let server = server.restart().await;
    let project = Project { client: server.client(project.client.key.as_ref().unwrap()), ..project };
    assert_eq!(project.all("/deliveries?status=pending").await.len(), 10);
    server.advance(3600);
    assert_eq!(project.events().await.len(), 10);
}

/// One state of a workflow run, as GitHub might tell it.
fn run_states() -> impl Strategy<Value = Vec<(u32, usize)>> {
    // (attempt, step), each at least once, shuffled and repeated.
    let all: Vec<_> = (1..=2).flat_map(|attempt| (0..3).map(move |step| (attempt, step))).collect();
    let repeated = proptest::collection::vec(proptest::sample::select(all.clone()), 0..4);
    repeated.prop_flat_map(move |more| Just([all.clone(), more].concat()).prop_shuffle())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn in_whatever_order_and_however_often_states_come_the_newest_one_stands(order in run_states()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let server = Server::start().await;
            let project = server.project().await;
            let mut repository = repository();
            repository.push("main", &[]);
            let steps = [("queued", None), ("in_progress", None), ("completed", Some("failure"))];
            let mut samples = std::collections::HashMap::new();
            for attempt in 1..=2 {
                for (step, (status, conclusion)) in steps.into_iter().enumerate() {
                    repository.at(dawn() + chrono::TimeDelta::seconds(i64::from(attempt) * 100 + step as i64));
                    let conclusion = if attempt == 2 { conclusion.map(|_| "success") } else { conclusion };
                    let run = WorkflowRun { id: 7, name: "CI", attempt, status, conclusion, branch: "main" };
                    samples.insert((attempt, step), repository.workflow_run(&run));
                }
            }
            for (index, state) in order.iter().enumerate() {
                project.deliver(&format!("d-{index}"), &samples[state]).await.expect(202);
                project.settled().await;
            }
            let runs = project.all("/runs").await;
            assert_eq!(runs.len(), 1);
            assert_eq!(runs[0]["status"], "success", "the second attempt's end stands");
            let ends = project.event_names().await.iter().filter(|name| *name == "run_finished").count();
            assert!((1..=2).contains(&ends), "each attempt ends at most once");
        });
    }
}
