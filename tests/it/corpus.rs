//! Every payload that GitHub's own collection of examples holds, through the whole service.

use std::path::Path;

use serde_json::Value;

use crate::support::{Server, text};

#[tokio::test]
async fn every_example_payload_is_signed_posted_stored_and_processed() {
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
