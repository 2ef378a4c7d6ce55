//! Every payload of published collections of examples, through the whole service: GitHub's own, and GitLab's
//! from a client library's tests.

use std::path::Path;

use serde_json::Value;

use crate::support::{Server, hosts::Host, text};

#[tokio::test]
async fn every_example_payload_of_github_is_signed_posted_stored_and_processed() {
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

#[tokio::test]
async fn every_example_payload_of_gitlab_is_signed_posted_stored_and_processed() {
    let root = Path::new("/usr/share/gocode/src/github.com/xanzy/go-gitlab/testdata");
    let server = Server::start().await;
    let project = server.project().await;
    let mut posted = 0;
    for (folder, least) in [("webhooks", 16), ("systemhooks", 24)] {
        let files =
            std::fs::read_dir(root.join(folder)).expect("the examples are there; ./scripts/test brings them");
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= least, "{} examples in {folder}", files.len());
        for (index, file) in files.into_iter().enumerate() {
            let body = std::fs::read(&file).unwrap();
            let json: Value = serde_json::from_slice(&body).unwrap();
            let kind = json["object_kind"].as_str().or(json["event_name"].as_str()).unwrap_or_default();
            let event = if folder == "systemhooks" { "System Hook".to_owned() } else { hook_of(kind) };
            let host = [Host::GitLabToken, Host::GitLabSigned][index % 2];
            let id = format!("{folder}-{index}");
            let receipt = project.post_bytes_as(host, &id, &event, body).await.expect(202);
            assert_eq!(receipt.json["status"], "accepted", "{file:?}");
            posted += 1;
        }
    }
    project.settled().await;
    let failed = project.all("/deliveries?status=failed").await;
    assert!(failed.is_empty(), "{failed:#?}");
    let names: Vec<_> = project.all("/events").await.iter().map(|event| text(&event["event"])).collect();
    assert_eq!(names.iter().filter(|name| *name == "delivery_received").count(), posted);
    for name in ["push", "pull_request_changed", "issue_changed", "release_published", "run_finished"] {
        assert!(names.iter().any(|told| told == name), "{name} is among {names:?}");
    }
}

/// The event that GitLab names in its header for a kind of object.
fn hook_of(kind: &str) -> String {
    match kind {
        "build" => "Job Hook".to_owned(),
        _ => {
            let words = kind.split('_').map(|word| format!("{}{} ", word[..1].to_uppercase(), &word[1..]));
            words.collect::<String>() + "Hook"
        }
    }
}
