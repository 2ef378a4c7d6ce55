//! Signs of life from elsewhere, and the ends of claims that nobody asks for.

use serde_json::{Value, json};
use trackside::samples::{Commit, Repository, WorkflowRun};

use super::held;
use crate::support::{Project, Server, agent::Agent, dawn, eventually, text};

/// Who pushes in the samples of GitHub.
const PUSHER: &str = "octavia-dev";

async fn claim(project: &Project, agent: &Agent, more: Value) -> Value {
    project.item("Sign in", "ready").await;
    agent.get("claim_work", super::with(json!({"projectId": project.id, "leaseSeconds": 60}), more)).await
}

/// When the lease of the only item runs out, by how the service shows it, and what was seen last.
async fn lease(project: &Project) -> (String, String) {
    let item = project.all("/work-items").await.remove(0);
    (text(&item["claim"]["expiresAt"]), text(&item["claim"]["lastSeenBy"]))
}

async fn push(project: &Project, id: &str, branch: &str) {
    let mut repository = Repository::new("acme/rocket", dawn());
    let commit = Commit { modified: &["src/main.rs"], ..Commit::default() };
    project.deliver(id, &repository.push(branch, &[commit])).await.expect(202);
    project.settled().await;
}

#[tokio::test]
async fn a_push_to_the_branch_that_a_holder_named_keeps_the_claim() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = project.worker(&server, "ada").await;
    let before = claim(&project, &ada, json!({"branch": "feature"})).await;
    server.advance(20);
    push(&project, "d-1", "other").await;
    assert_eq!(lease(&project).await, (text(&before["expiresAt"]), "claim".to_owned()), "elsewhere");
    push(&project, "d-2", "feature").await;
    assert_eq!(lease(&project).await, ("2026-01-01T06:01:20Z".to_owned(), "push".to_owned()));
}

#[tokio::test]
async fn a_push_of_the_holder_keeps_the_claim_and_one_that_is_somebody_elses_does_not() {
    let server = Server::start().await;
    let project = server.project().await;
    let pusher = project.worker(&server, PUSHER).await;
    let ada = project.worker(&server, "ada").await;
    let before = claim(&project, &ada, json!({"branch": "feature"})).await;
    server.advance(20);
    push(&project, "d-1", "feature").await;
    assert_eq!(lease(&project).await.0, text(&before["expiresAt"]), "it is known to be another's");
    ada.get("release_work", held(&before, &project)).await;
    pusher.get("claim_work", json!({"projectId": project.id, "leaseSeconds": 60})).await;
    server.advance(20);
    push(&project, "d-2", "feature").await;
    assert_eq!(lease(&project).await, ("2026-01-01T06:01:40Z".to_owned(), "push".to_owned()));
}

#[tokio::test]
async fn a_run_of_ci_on_the_branch_keeps_the_claim() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = project.worker(&server, "ada").await;
    claim(&project, &ada, json!({"branch": "feature"})).await;
    server.advance(20);
    let mut repository = Repository::new("acme/rocket", dawn());
    let (id, status) = (7, "in_progress");
    let run = WorkflowRun { id, name: "CI", attempt: 1, status, conclusion: None, branch: "feature" };
    project.deliver("d-1", &repository.workflow_run(&run)).await.expect(202);
    project.settled().await;
    assert_eq!(lease(&project).await, ("2026-01-01T06:01:20Z".to_owned(), "run".to_owned()));
}

#[tokio::test]
async fn the_end_of_the_run_that_was_begun_for_an_item_frees_it() {
    let server = Server::start().await;
    let project = server.project().await;
    let (ada, client) = (project.worker(&server, "ada").await, project.member(&server, "bob").await);
    let bob = Agent::new(&client, crate::support::agent::Revision::Newest);
    let held = claim(&project, &bob, json!({})).await;
    let begin = json!({"name": "implement", "workItemId": held["workItemId"]});
    let run = client.post(&project.path("/runs"), begin).await.expect(201).json;
    client
        .patch(&project.path(&format!("/runs/{}", text(&run["id"]))), json!({"status": "failed"}))
        .await
        .expect(200);
    let told = project.story().await;
    assert_eq!(told.last().unwrap(), "work_released Sign in bob run_ended");
    ada.get("claim_work", json!({"projectId": project.id})).await;
}

#[tokio::test]
async fn what_a_run_of_the_holder_tells_of_itself_keeps_the_claim() {
    let server = Server::start().await;
    let project = server.project().await;
    let client = project.member(&server, "bob").await;
    let bob = Agent::new(&client, crate::support::agent::Revision::Newest);
    claim(&project, &bob, json!({})).await;
    let run = client.post(&project.path("/runs"), json!({"name": "implement"})).await.expect(201).json;
    server.advance(50);
    let path = project.path(&format!("/runs/{}", text(&run["id"])));
    client.patch(&path, json!({"summary": "half of it"})).await.expect(200);
    assert_eq!(lease(&project).await, ("2026-01-01T06:01:50Z".to_owned(), "run".to_owned()));
}

#[tokio::test]
async fn who_loses_a_claim_is_at_it_no_more() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = project.worker(&server, "ada").await;
    let claim = claim(&project, &ada, json!({})).await;
    let at = async || project.all("/agents").await.first().map(|agent| agent["workItemId"].clone());
    eventually("ada is at it", async || at().await.as_ref() == Some(&claim["workItemId"])).await;
    server.advance(60);
    eventually("ada is at nothing", async || at().await == Some(Value::Null)).await;
}

#[tokio::test]
async fn a_key_that_is_revoked_frees_what_was_claimed_with_it() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = project.worker(&server, "ada").await;
    claim(&project, &ada, json!({})).await;
    let keys = project.client.get("/api/v1/api-keys").await.expect(200).json;
    let key = keys["items"].as_array().unwrap().iter().find(|key| key["name"] == "ada").unwrap().clone();
    project.client.delete(&format!("/api/v1/api-keys/{}", text(&key["id"]))).await.expect(200);
    server.advance(5);
    eventually("it is free", async || {
        project.story().await.last().is_some_and(|told| told == "work_released Sign in ada revoked")
    })
    .await;
    let bob = project.worker(&server, "bob").await;
    assert_eq!(bob.get("claim_work", json!({"projectId": project.id})).await["fencingToken"], 2);
}
