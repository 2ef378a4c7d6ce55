//! Every payload of the public collections of examples, through the whole service.

use std::path::Path;

use serde_json::Value;

use crate::support::{Server, text};

#[tokio::test]
async fn every_example_of_github_is_signed_posted_stored_and_processed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/node/node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let index = std::fs::read(&path).expect("the examples are there; ./scripts/test brings them");
    let index: Vec<Value> = serde_json::from_slice(&index).unwrap();
    let server = Server::start().await;
    let project = server.project().await;
    let mut posted = 0;
    for event in &index {
        for example in event["examples"].as_array().unwrap() {
            let id = format!("example-{posted}");
            let body = serde_json::to_vec(example).unwrap();
            let receipt = project.deliver_bytes(&id, event["name"].as_str().unwrap(), body).await;
            assert_eq!(receipt.expect(202).json["status"], "accepted");
            posted += 1;
        }
    }
    assert!(posted > 300, "{posted} examples");
    project.settled().await;
    let failed = project.all("/deliveries?status=failed").await;
    assert!(failed.is_empty(), "{failed:#?}");
    let events = project.all("/events").await;
    let received = events.iter().filter(|event| event["event"] == "delivery_received").count();
    assert_eq!(received, posted);
    for name in
        ["push", "pull_request_changed", "issue_changed", "release_published", "run_started", "run_finished"]
    {
        assert!(events.iter().any(|event| text(&event["event"]) == name), "{name} is among the events");
    }
}

/// Where Debian's golang-github-xanzy-go-gitlab-dev has its examples.
const GITLAB: &str = "/usr/share/gocode/src/github.com/xanzy/go-gitlab/testdata";

/// The header that GitLab sends with a webhook, by what its body says it is about.
fn gitlab_event(body: &Value) -> &'static str {
    match body["object_kind"].as_str().unwrap_or_default() {
        "push" => "Push Hook",
        "tag_push" => "Tag Push Hook",
        "merge_request" => "Merge Request Hook",
        "issue" => "Issue Hook",
        "release" => "Release Hook",
        "pipeline" => "Pipeline Hook",
        "build" => "Job Hook",
        "note" => "Note Hook",
        _ => "Another Hook",
    }
}

#[tokio::test]
async fn every_example_of_gitlab_is_sent_posted_stored_and_processed() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut posted = 0;
    for kind in ["webhooks", "systemhooks"] {
        let folder = std::fs::read_dir(Path::new(GITLAB).join(kind))
            .expect("the examples are there; ./scripts/test installs golang-github-xanzy-go-gitlab-dev");
        for file in folder {
            let body = std::fs::read(file.unwrap().path()).unwrap();
            let json: Value = serde_json::from_slice(&body).unwrap();
            let event = if kind == "systemhooks" { "System Hook" } else { gitlab_event(&json) };
            let id = format!("example-{posted}");
            let headers =
                [("x-gitlab-event", event), ("x-gitlab-token", &project.secret), ("idempotency-key", &id)];
            let path = format!("/webhooks/gitlab/{}", project.id);
            let receipt = project.client.clone().without_key().post_bytes(&path, &headers, body).await;
            assert_eq!(receipt.expect(202).json["status"], "accepted");
            posted += 1;
        }
    }
    assert!(posted >= 40, "{posted} examples");
    project.settled().await;
    let failed = project.all("/deliveries?status=failed").await;
    assert!(failed.is_empty(), "{failed:#?}");
    let events = project.all("/events").await;
    let received = events.iter().filter(|event| event["event"] == "delivery_received").count();
    assert_eq!(received, posted);
    for name in ["push", "pull_request_changed", "issue_changed", "release_published", "run_finished"] {
        assert!(events.iter().any(|event| text(&event["event"]) == name), "{name} is among the events");
    }
}
