//! What Git hosts tell of who is at work: pushes, and CI on what was pushed.

use serde_json::{Value, json};
use trackside::samples::{Commit, Repository, Sample, WorkflowRun};

use super::{Worker, server};
use crate::support::{Project, dawn, eventually, hosts::HOSTS, text};

/// What happens in the samples is by whoever GitHub calls so.
const DEVELOPER: &str = "octavia-dev";

fn change() -> Commit<'static> {
    Commit { modified: &["src/main.rs"], ..Commit::default() }
}

fn run<'a>(id: u64, conclusion: Option<&'a str>, branch: &'a str) -> WorkflowRun<'a> {
    let status = if conclusion.is_some() { "completed" } else { "in_progress" };
    WorkflowRun { id, name: "CI", attempt: 1, status, conclusion, branch }
}

/// Somebody at GitHub, and what they send.
struct GitHub {
    project: Project,
    repository: Repository,
    sent: u32,
}

impl GitHub {
    fn new(project: &Project) -> Self {
        Self { project: project.clone(), repository: Repository::new("acme/rocket", dawn()), sent: 0 }
    }

    async fn push(&mut self, branch: &str) {
        let sample = self.repository.push(branch, &[change()]);
        self.send(&sample).await;
    }

    async fn run(&mut self, run: &WorkflowRun<'_>) {
        let sample = self.repository.workflow_run(run);
        self.send(&sample).await;
    }

    async fn send(&mut self, sample: &Sample) {
        self.sent += 1;
        self.project.deliver(&format!("d-{}", self.sent), sample).await.expect(202);
        self.project.settled().await;
    }
}

#[tokio::test]
async fn whoever_pushes_is_running_and_in_error_when_ci_fails_on_it() {
    let server = server().await;
    let project = server.project().await;
    let worker = Worker::new(&server, &project, "Octavia-Dev").await;
    let mut host = GitHub::new(&project);
    host.push("feature").await;
    let shown = worker.shown().await;
    assert_eq!((&shown["status"], &shown["lastSeen"]["evidence"]), (&json!("running"), &json!("push")));
    let activity = &shown["activities"][0];
    assert_eq!((&activity["what"], &activity["branch"]), (&json!("feature"), &json!("feature")));
    assert_eq!(text(&activity["commit"]).len(), 40);

    server.advance(40);
    worker.becomes("idle").await;
    host.run(&run(1, None, "feature")).await;
    assert!(worker.is("running").await, "CI runs on it");
    host.run(&run(1, Some("failure"), "feature")).await;
    let shown = worker.shown().await;
    assert_eq!((&shown["status"], &shown["lastSeen"]["evidence"]), (&json!("error"), &json!("run")));
    assert_eq!(
        (&shown["activities"][0]["what"], &shown["activities"][0]["outcome"]),
        (&json!("CI"), &json!("failure"))
    );
    host.run(&run(2, Some("success"), "feature")).await;
    assert!(worker.is("error").await, "what else passes says nothing of what failed");
    server.advance(60);
    host.push("feature").await;
    assert!(worker.is("running").await);
    let to: Vec<_> = worker.story().await.into_iter().map(|[_, to, _]| to).collect();
    assert_eq!(to, ["running", "idle", "running", "error", "running"]);
}

#[tokio::test]
async fn what_a_push_says_of_somebody_is_told_with_the_delivery_that_caused_it() {
    let server = server().await;
    let project = server.project().await;
    let worker = Worker::new(&server, &project, DEVELOPER).await;
    GitHub::new(&project).push("main").await;
    let delivery = project.all("/deliveries").await.remove(0);
    let path = project.path(&format!("/deliveries/{}", text(&delivery["id"])));
    let caused = project.client.get(&path).await.expect(200).json;
    let names: Vec<_> =
        caused["events"].as_array().unwrap().iter().map(|event| text(&event["event"])).collect();
    assert!(names.contains(&"agent_status_changed".to_owned()), "{names:?}");
    let replay = project.path(&format!("/deliveries/{}/replay", text(&delivery["id"])));
    project.client.post(&replay, json!({})).await.expect(202);
    project.settled().await;
    let told = project.event_names().await;
    assert_eq!(told.iter().filter(|name| *name == "agent_status_changed").count(), 1, "and told once");
    assert_eq!(worker.shown().await["activities"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_attributed_is_evidence_of_nobody() {
    let server = server().await;
    let project = server.project().await;
    let _one = Worker::new(&server, &project, DEVELOPER).await;
    let _same = Worker::new(&server, &project, "OCTAVIA-DEV").await;
    let mut host = GitHub::new(&project);
    host.push("main").await;
    host.run(&run(1, Some("failure"), "main")).await;
    assert_eq!(project.all("/agents").await, [] as [Value; 0], "two have that name");

    let other = server.tenant("Other").await.project("Other").await;
    let _elsewhere = Worker::new(&server, &other, DEVELOPER).await;
    assert_eq!(project.all("/agents").await, [] as [Value; 0], "somebody of another tenant is not meant");

    let limited = Worker::new(&server, &other, "release-manager").await;
    let third = other.tenant.project("Third").await;
    let access = json!({"projectAccess": {third.id.as_str(): "editor"}});
    let path = format!("/api/v1/principals/{}", limited.id);
    other.tenant.client.patch(&path, access).await.expect(200);
    let commit = Commit { author: "release-manager", ..change() };
    for (project, is_meant) in [(&other, false), (&third, true)] {
        let push = Repository::new("acme/rocket", dawn()).push("main", &[commit]);
        GitHub::new(project).send(&push).await;
        assert_eq!(!project.all("/agents").await.is_empty(), is_meant, "{}", project.id);
    }
}

#[tokio::test]
async fn a_run_of_somebody_elses_commit_on_ones_branch_says_nothing() {
    let server = server().await;
    let project = server.project().await;
    let worker = Worker::new(&server, &project, DEVELOPER).await;
    let mut host = GitHub::new(&project);
    host.push("feature").await;
    let by_another = Commit { author: "qa-tester", ..change() };
    let push = host.repository.push("feature", &[by_another]);
    host.send(&push).await;
    host.run(&run(1, Some("failure"), "feature")).await;
    assert!(worker.is("running").await);
}

#[tokio::test]
async fn a_run_that_ends_before_it_began_leaves_an_error() {
    let server = server().await;
    let project = server.project().await;
    let worker = Worker::new(&server, &project, DEVELOPER).await;
    let mut host = GitHub::new(&project);
    host.push("main").await;
    let begins = host.repository.workflow_run(&run(1, None, "main"));
    let ends = host.repository.workflow_run(&run(1, Some("failure"), "main"));
    server.advance(1);
    host.send(&ends).await;
    server.advance(1);
    host.send(&begins).await;
    assert!(worker.is("error").await, "what comes late changes nothing");
}

#[tokio::test]
async fn a_push_to_any_host_is_evidence_of_who_pushed_and_of_who_wrote_it() {
    let server = server().await;
    for host in HOSTS {
        let project = server.project().await;
        let worker = Worker::new(&server, &project, "ADA").await;
        project.post_as(host, "d-1", &host.push(dawn())).await.expect(202);
        project.settled().await;
        assert!(worker.is("running").await, "{host:?}");
    }
    let project = server.project().await;
    let (writes, pushes) = (
        Worker::new(&server, &project, DEVELOPER).await,
        Worker::new(&server, &project, "Merge Queue").await,
    );
    let mut push = Repository::new("acme/rocket", dawn()).push("main", &[change()]);
    push.body["sender"]["login"] = json!("merge queue");
    push.body["pusher"]["name"] = json!("merge queue");
    GitHub::new(&project).send(&push).await;
    assert!(writes.is("running").await && pushes.is("running").await);
}

#[tokio::test]
async fn a_run_of_an_agents_own_shows_that_it_is_at_work_and_that_it_failed() {
    let server = server().await;
    let project = server.project().await;
    let worker = Worker::new(&server, &project, "ada").await;
    let begun =
        worker.client.post(&project.path("/runs"), json!({"name": "implement 1.2"})).await.expect(201);
    let shown = worker.shown().await;
    assert_eq!((&shown["status"], &shown["lastSeen"]["evidence"]), (&json!("running"), &json!("run")));
    let run = project.path(&format!("/runs/{}", text(&begun.json["id"])));
    server.advance(29);
    worker.client.patch(&run, json!({})).await.expect(200);
    eventually("its sign of life is written", async || {
        worker.shown().await["lastSeen"]["evidence"] == "tool_call"
    })
    .await;
    worker.client.patch(&run, json!({"status": "failed"})).await.expect(200);
    assert!(worker.is("error").await, "a run of its own that fails is its failure");
    assert_eq!(worker.story().await.last().unwrap(), &["running", "error", "run"].map(str::to_owned));
}
