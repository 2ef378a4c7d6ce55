//! Stories of the repository: documents that are one thing with a work item.

use serde_json::{Value, json};

use super::held;
use crate::support::{
    Project, Server,
    repository::{Origin, READS_FILES},
    text,
};

const STORY: &str = "docs/stories/1.md";

fn story(status: &str) -> String {
    format!("---\nstatus: {status}\n---\n# Sign in with a passkey\n\n## Tasks\n\nOne.\n")
}

/// The only item, its lane and its file's status.
async fn stands(project: &Project) -> (Value, String, Value) {
    let items = project.all("/work-items").await;
    let [item] = &items[..] else { panic!("{items:?}") };
    (item.clone(), text(&item["lane"]), item["fileStatus"].clone())
}

async fn becomes(project: &Project, origin: &Origin, status: &str) -> String {
    origin.commit(status, &[(STORY, &story(status))]);
    project.scan_now().await;
    let (_, lane, stated) = stands(project).await;
    assert_eq!(stated, status);
    lane
}

#[tokio::test]
async fn a_story_is_an_item_that_goes_where_its_file_says() {
    let server = Server::start_with(&READS_FILES).await;
    let origin = Origin::with(&[(STORY, &story("Draft")), ("docs/prd.md", "# Requirements\n")]);
    let project = server.project_of(&origin).await;
    let (item, lane, stated) = stands(&project).await;
    assert_eq!(
        (&item["title"], lane.as_str(), stated),
        (&json!("Sign in with a passkey"), "backlog", json!("Draft"))
    );
    assert_eq!(item["artifactId"], project.artifact(STORY).await["id"]);
    for (status, lane) in
        [("Approved", "ready"), ("InProgress", "doing"), ("Ready for Review", "review"), ("Done", "done")]
    {
        assert_eq!(becomes(&project, &origin, status).await, lane, "{status}");
    }
    assert_eq!(becomes(&project, &origin, "Whatever").await, "done", "what means nothing moves nothing");
}

#[tokio::test]
async fn what_people_say_on_the_board_stays_until_the_file_says_something_new() {
    let server = Server::start_with(&READS_FILES).await;
    let origin = Origin::with(&[(STORY, &story("Draft"))]);
    let project = server.project_of(&origin).await;
    let (item, ..) = stands(&project).await;
    project.client.patch(&project.item_path(&item), json!({"lane": "ready"})).await.expect(200);
    origin.commit("Other words", &[(STORY, &story("Draft").replace("One", "Two"))]);
    project.scan_now().await;
    assert_eq!(stands(&project).await.1, "ready");
    assert_eq!(becomes(&project, &origin, "Done").await, "done");
}

#[tokio::test]
async fn while_somebody_holds_a_story_its_lane_is_theirs_and_the_files_word_counts_when_they_stop() {
    let server = Server::start_with(&READS_FILES).await;
    let origin = Origin::with(&[(STORY, &story("Approved"))]);
    let project = server.project_of(&origin).await;
    let ada = project.worker(&server, "ada").await;
    let claim = ada.get("claim_work", json!({"projectId": project.id})).await;
    assert_eq!(claim["context"]["document"]["path"], STORY);
    assert_eq!(becomes(&project, &origin, "Done").await, "doing");
    let freed = ada.get("release_work", held(&claim, &project)).await;
    assert_eq!(freed["lane"], "done");
}

#[tokio::test]
async fn a_story_whose_file_is_gone_waits_in_the_backlog_and_is_the_same_item_when_it_comes_back() {
    let server = Server::start_with(&READS_FILES).await;
    let origin = Origin::with(&[(STORY, &story("Approved")), ("docs/prd.md", "# Requirements\n")]);
    let project = server.project_of(&origin).await;
    let (before, ..) = stands(&project).await;
    std::fs::remove_file(origin.path().join(STORY)).unwrap();
    origin.commit_all("Drop it");
    project.scan_now().await;
    let (item, lane, stated) = stands(&project).await;
    assert_eq!((&item["id"], lane.as_str(), stated), (&before["id"], "backlog", Value::Null));
    assert_eq!(becomes(&project, &origin, "Approved").await, "ready");
    assert_eq!(stands(&project).await.0["id"], before["id"]);
}
