//! The sheet: a sprint's status as YAML, derived.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::server;
use crate::support::{client::answer, repository::Origin, text};

#[derive(Debug, Deserialize)]
struct Sheet {
    project: String,
    current_phase: Option<String>,
    phases: BTreeMap<String, u32>,
    conflicts: BTreeMap<String, u64>,
    development_status: BTreeMap<String, String>,
    gates: Vec<BTreeMap<String, String>>,
}

#[tokio::test]
async fn a_sprint_is_told_as_the_method_writes_it_and_anew_with_each_event() {
    let server = server().await;
    let story = |status: &str| format!("---\nstatus: {status}\n---\n# Sign in\n");
    let origin = Origin::with(&[
        ("docs/prd.md", "# Rocket\n"),
        ("docs/stories/1.1.sign-in.md", &story("Done")),
        ("docs/stories/1.2.sign-out.md", &story("InProgress")),
        ("docs/stories/2.1.moon.md", &story("Draft")),
    ]);
    let project = server.project_of(&origin).await;
    project.item("Ask \"whoever\": it's #1 {urgent}\\", "ready").await;
    project.item("Ask whoever: it's 1 urgent", "review").await;
    let path = project.path("/sprint-status.yaml");
    let answered = project.client.get(&path).await.expect(200);
    assert_eq!(answered.headers["content-type"], "text/yaml; charset=utf-8");
    assert!(answered.body.starts_with("# Derived"), "{}", answered.body);
    let sheet: Sheet = serde_saphyr::from_str(&answered.body).unwrap();
    let expected = [
        ("epic-1", "in-progress"),
        ("1.1.sign-in", "done"),
        ("1.2.sign-out", "in-progress"),
        ("epic-2", "backlog"),
        ("2.1.moon", "backlog"),
        ("ask-whoever-it-s-1-urgent", "ready-for-dev"),
        ("ask-whoever-it-s-1-urgent-2", "review"),
    ];
    let expected = expected.map(|(key, stage)| (key.to_owned(), stage.to_owned()));
    assert_eq!(sheet.development_status, expected.into());
    assert_eq!((&*sheet.project, sheet.current_phase.as_deref()), ("Rocket", Some("build")));
    assert_eq!((sheet.phases["build"], sheet.conflicts["critical"]), (50, 0));
    assert!(sheet.gates.iter().any(|gate| gate["name"] == "prd" && gate["status"] == "passed"));

    let tag = text(&json!(answered.headers["etag"].to_str().unwrap()));
    server.advance(60);
    let again = answer(project.client.request(Method::GET, &path).header("if-none-match", &tag)).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""), "nothing has happened");
    assert_eq!(project.client.get(&path).await.expect(200).body, answered.body, "to the byte");
    project.item("One more", "backlog").await;
    let after = project.client.get(&path).await.expect(200);
    assert_ne!(after.headers["etag"].to_str().unwrap(), tag);
}
