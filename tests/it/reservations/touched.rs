//! What pushes really touched, beside what was reserved.

use serde_json::{Value, json};
use trackside::samples::{Commit, Repository};

use super::{agent, asking, named};
use crate::support::{Project, Server, agent::Agent, dawn, eventually, text};

/// Who pushes in the samples of GitHub, unless they say otherwise.
const PUSHER: &str = "octavia-dev";

/// Delivers a signed push of some changed files, by somebody.
async fn push(project: &Project, id: &str, branch: &str, author: &str, files: &[&str]) {
    let mut repository = Repository::new("acme/rocket", dawn());
    let commit = Commit { modified: files, author, message: id, ..Commit::default() };
    project.deliver(id, &repository.push(branch, &[commit])).await.expect(202);
    project.settled().await;
}

async fn open(project: &Project) -> Vec<Value> {
    project.all("/conflicts").await
}

async fn told(project: &Project, event: &str) -> usize {
    project.event_names().await.iter().filter(|name| *name == event).count()
}

/// What the next answer of a tool tells somebody of conflicts.
async fn warned(project: &Project, agent: &Agent) -> Value {
    agent.get("list_work", json!({"projectId": project.id})).await["editConflicts"].clone()
}

/// A reservation that outlasts the test.
fn long() -> Value {
    json!({"leaseSeconds": 14_400})
}

#[tokio::test]
async fn who_pushes_what_another_reserved_is_told_so_and_so_is_the_holder() {
    let server = Server::start().await;
    let project = server.project().await;
    let (ada, octavia) = (agent(&server, &project, "ada").await, agent(&server, &project, PUSHER).await);
    let mine = ada.get("reserve_paths", asking(&project, &["src/signin/**"], long())).await;
    assert_eq!(warned(&project, &ada).await, Value::Null);
    push(&project, "d-1", "feature", PUSHER, &["src/signin/mod.rs", "src/main.rs"]).await;
    let conflict = open(&project).await.remove(0);
    assert_eq!(
        (&conflict["kind"], &conflict["severity"], &conflict["artifactPath"]),
        (&json!("reservation_violated"), &json!("critical"), &json!("src/signin/mod.rs"))
    );
    assert!(
        text(&conflict["message"]).contains("octavia-dev pushed src/signin/mod.rs to feature"),
        "{conflict}"
    );
    assert_eq!(warned(&project, &ada).await[0]["with"], json!([PUSHER]));
    assert_eq!(warned(&project, &octavia).await[0]["with"], json!(["ada"]));
    push(&project, "d-2", "feature", PUSHER, &["src/signin/key.rs"]).await;
    assert_eq!(open(&project).await.len(), 1, "the same cause is one conflict");
    assert_eq!(told(&project, "conflict_detected").await, 1);
    ada.get("release_paths", named(&project, &mine)).await;
    assert_eq!(open(&project).await, Vec::<Value>::new());
    assert_eq!(told(&project, "conflict_resolved").await, 1);
    assert_eq!(warned(&project, &ada).await, Value::Null);
}

#[tokio::test]
async fn the_holders_own_push_is_no_violation_and_keeps_the_reservation() {
    let server = Server::start().await;
    let project = server.project().await;
    let octavia = agent(&server, &project, PUSHER).await;
    octavia.get("reserve_paths", asking(&project, &["src/**"], json!({"leaseSeconds": 60}))).await;
    server.advance(20);
    push(&project, "d-1", "feature", PUSHER, &["src/main.rs"]).await;
    assert_eq!(open(&project).await, Vec::<Value>::new());
    let kept = project.all("/reservations").await.remove(0);
    assert_eq!((&kept["expiresAt"], &kept["lastSeenBy"]), (&json!("2026-01-01T06:01:20Z"), &json!("push")));
}

#[tokio::test]
async fn files_that_everybody_changes_are_worth_a_warning_only() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    agent(&server, &project, PUSHER).await;
    ada.get("reserve_paths", asking(&project, &["/Cargo.lock", "src/**"], long())).await;
    push(&project, "d-1", "feature", PUSHER, &["Cargo.lock"]).await;
    assert_eq!(open(&project).await.remove(0)["severity"], "warning");
    push(&project, "d-2", "feature", PUSHER, &["src/a.rs"]).await;
    assert_eq!(open(&project).await.remove(0)["severity"], "critical", "it has got worse");
    push(&project, "d-3", "other", "a-stranger", &["src/a.rs"]).await;
    let by_stranger = open(&project).await.remove(0);
    assert_eq!(by_stranger["severity"], "warning", "nobody knows whose that is: {by_stranger}");
}

#[tokio::test]
async fn a_violation_is_over_when_its_pusher_is_idle_and_is_not_told_twice_at_once() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    agent(&server, &project, PUSHER).await;
    ada.get("reserve_paths", asking(&project, &["src/**"], long())).await;
    push(&project, "d-1", "feature", PUSHER, &["src/main.rs"]).await;
    let first = open(&project).await.remove(0);
    server.advance(40);
    eventually("it is over", async || open(&project).await.is_empty()).await;
    push(&project, "d-2", "feature", PUSHER, &["src/main.rs"]).await;
    assert_eq!(open(&project).await.remove(0)["id"], first["id"], "it was never quite gone");
    assert_eq!(told(&project, "conflict_detected").await, 1);
}

#[tokio::test]
async fn what_somebody_settled_is_not_told_again_for_the_same_cause() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    agent(&server, &project, PUSHER).await;
    ada.get("reserve_paths", asking(&project, &["src/**"], long())).await;
    push(&project, "d-1", "feature", PUSHER, &["src/main.rs"]).await;
    let conflict = open(&project).await.remove(0);
    let settle = project.path(&format!("/conflicts/{}/resolve", text(&conflict["id"])));
    project.client.post(&settle, json!({"reason": "we talked"})).await.expect(200);
    push(&project, "d-2", "feature", PUSHER, &["src/main.rs"]).await;
    assert_eq!(open(&project).await, Vec::<Value>::new());
    push(&project, "d-3", "another", PUSHER, &["src/main.rs"]).await;
    assert_eq!(open(&project).await.len(), 1, "another branch is another cause");
}

#[tokio::test]
async fn two_who_change_one_document_within_a_minute_are_told_until_one_is_idle() {
    let server = Server::start().await;
    let project = server.project().await;
    let (ann, bob) = (agent(&server, &project, "ann-dev").await, agent(&server, &project, "bob-dev").await);
    push(&project, "d-1", "ann", "ann-dev", &["docs/prd.md", "src/main.rs"]).await;
    server.advance(20);
    push(&project, "d-2", "bob", "bob-dev", &["docs/prd.md", "src/main.rs"]).await;
    let found = open(&project).await;
    assert_eq!(found.len(), 1, "of the document alone: {found:?}");
    assert_eq!(
        (&found[0]["kind"], &found[0]["severity"], &found[0]["artifactPath"]),
        (&json!("concurrent_edit"), &json!("warning"), &json!("docs/prd.md"))
    );
    assert_eq!(warned(&project, &ann).await[0]["with"], json!(["bob-dev"]));
    assert_eq!(warned(&project, &bob).await[0]["with"], json!(["ann-dev"]));
    server.advance(120);
    eventually("one is idle", async || open(&project).await.is_empty()).await;
    push(&project, "d-3", "ann", "ann-dev", &["docs/prd.md"]).await;
    assert_eq!(open(&project).await, Vec::<Value>::new(), "that was long ago");
}

#[tokio::test]
async fn a_push_that_is_replayed_says_nothing_of_who_edits_what_now() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    agent(&server, &project, PUSHER).await;
    push(&project, "d-1", "feature", PUSHER, &["src/main.rs"]).await;
    ada.get("reserve_paths", asking(&project, &["src/**"], long())).await;
    let delivery = text(&project.all("/deliveries").await[0]["id"]);
    let replay = project.path(&format!("/deliveries/{delivery}/replay"));
    let status = project.client.post(&replay, json!({})).await.status;
    assert!((200..300).contains(&status), "{status}");
    project.settled().await;
    assert_eq!(open(&project).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_is_reserved_after_a_push_is_compared_when_its_pull_request_is_opened() {
    let server = Server::start().await;
    let project = server.project().await;
    let (ada, octavia) = (agent(&server, &project, "ada").await, agent(&server, &project, PUSHER).await);
    let mut repository = Repository::new("acme/rocket", dawn());
    let commit = Commit { modified: &["src/signin/mod.rs"], author: PUSHER, ..Commit::default() };
    project.deliver("d-1", &repository.push("feature", &[commit])).await.expect(202);
    project.settled().await;
    ada.get("reserve_paths", asking(&project, &["src/signin/**"], long())).await;
    assert_eq!(open(&project).await, Vec::<Value>::new());
    let opened = repository.pull_request("opened", 1, "Sign in", false);
    project.deliver("d-2", &opened).await.expect(202);
    project.settled().await;
    let conflict = open(&project).await.remove(0);
    assert_eq!(
        (&conflict["kind"], &conflict["artifactPath"]),
        (&json!("reservation_violated"), &json!("src/signin/mod.rs"))
    );
    assert_eq!(warned(&project, &octavia).await[0]["with"], json!(["ada"]));
    let merged = repository.pull_request("closed", 1, "Sign in", true);
    project.deliver("d-3", &merged).await.expect(202);
    project.settled().await;
    assert_eq!(open(&project).await, Vec::<Value>::new(), "the branch was merged");
}

#[tokio::test]
async fn a_revert_and_a_force_push_neither_tell_a_violation_twice_nor_settle_it() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    agent(&server, &project, PUSHER).await;
    ada.get("reserve_paths", asking(&project, &["src/signin/**"], long())).await;
    push(&project, "d-1", "feature", PUSHER, &["src/signin/mod.rs"]).await;
    let first = open(&project).await.remove(0);
    push(&project, "the revert", "feature", PUSHER, &["src/signin/mod.rs"]).await;
    let elsewhere = Commit { modified: &["src/main.rs"], author: PUSHER, ..Commit::default() };
    let mut forced = Repository::new("acme/rocket", dawn()).push("feature", &[elsewhere]);
    forced.body["forced"] = json!(true);
    project.deliver("d-3", &forced).await.expect(202);
    project.settled().await;
    let kept = open(&project).await;
    assert_eq!((kept.len(), &kept[0]["id"]), (1, &first["id"]), "nobody has agreed on anything: {kept:?}");
    assert_eq!(told(&project, "conflict_detected").await, 1);
    forced = Repository::new("acme/rocket", dawn())
        .push("feature", &[Commit { modified: &["src/signin/key.rs"], author: "ada", ..Commit::default() }]);
    forced.body["forced"] = json!(true);
    project.deliver("d-4", &forced).await.expect(202);
    project.settled().await;
    assert_eq!(open(&project).await.len(), 1, "the holder may do as she likes");
}
