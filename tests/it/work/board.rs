//! The board: lanes, places, and what waits for what.

use serde_json::json;

use crate::support::{Server, client::answer, text};

#[tokio::test]
async fn what_waits_for_something_else_is_not_begun_before_that_is_done() {
    let server = Server::start().await;
    let project = server.project().await;
    let first = project.item("First", "ready").await;
    let urgent =
        json!({"title": "Second", "lane": "ready", "priority": "urgent", "blockedBy": [first["id"]]});
    let second = project.item_with(urgent).await;
    assert_eq!(second["blockers"], 1);
    let ada = project.worker(&server, "ada").await;
    let asked = json!({"projectId": project.id, "workItemId": second["id"]});
    let refused = ada.refused("claim_work", asked).await;
    assert_eq!((&refused["code"], &refused["blockedBy"]), (&json!("blocked"), &json!([first["id"]])));
    let claim = ada.get("claim_work", json!({"projectId": project.id})).await;
    assert_eq!(claim["workItemId"], first["id"], "the urgent one waits");
    ada.get("finish_work", super::held(&claim, &project)).await;
    assert_eq!(project.work_item(&second).await["blockers"], 0);
    let claim = ada.get("claim_work", json!({"projectId": project.id})).await;
    assert_eq!(claim["workItemId"], second["id"]);
}

#[tokio::test]
async fn nothing_waits_for_itself_whichever_way_round() {
    let server = Server::start().await;
    let project = server.project().await;
    let first = project.item("First", "ready").await;
    let second = project.item_with(json!({"title": "Second", "blockedBy": [first["id"]]})).await;
    for blocker in [&first, &second] {
        let path = project.path(&format!("/work-items/{}", text(&first["id"])));
        let refused =
            project.client.patch(&path, json!({"blockedBy": [blocker["id"]]})).await.expect(400).json;
        assert_eq!(refused["errors"][0]["pointer"], "/blockedBy", "{refused}");
    }
}

#[tokio::test]
async fn the_next_thing_to_do_is_the_most_urgent_one_for_the_role_in_the_order_of_the_board() {
    let server = Server::start().await;
    let project = server.project().await;
    project.item("Later", "backlog").await;
    let third = project.item("Third", "ready").await;
    let fourth = project.item("Fourth", "ready").await;
    let first = project.item_with(json!({"title": "First", "lane": "ready", "priority": "high"})).await;
    let other = json!({"title": "For others", "lane": "ready", "priority": "urgent", "role": "Architect"});
    let other = project.item_with(other).await;
    let second = project.item("Second", "ready").await;
    let path = project.path(&format!("/work-items/{}", text(&second["id"])));
    project.client.patch(&path, json!({"lane": "ready", "beforeId": third["id"]})).await.expect(200);
    let ada = project.worker(&server, "ada").await;
    let asked = json!({"projectId": project.id});
    for expected in [&first, &second, &third, &fourth] {
        assert_eq!(ada.get("claim_work", asked.clone()).await["workItemId"], expected["id"]);
    }
    assert_eq!(ada.refused("claim_work", asked).await["code"], "nothing_ready");
    let asked = json!({"projectId": project.id, "role": "architect"});
    assert_eq!(ada.get("claim_work", asked).await["workItemId"], other["id"]);
}

#[tokio::test]
async fn a_lane_takes_no_more_than_it_may() {
    let server = Server::start().await;
    let project = server.project().await;
    let lanes =
        json!([{"name": "backlog"}, {"name": "ready"}, {"name": "doing", "wipLimit": 1}, {"name": "done"}]);
    project.client.patch(&project.path(""), json!({"config": {"lanes": lanes}})).await.expect(200);
    project.item("One", "ready").await;
    project.item("Two", "ready").await;
    let ada = project.worker(&server, "ada").await;
    let claim = ada.get("claim_work", json!({"projectId": project.id})).await;
    let refused = ada.refused("claim_work", json!({"projectId": project.id})).await;
    assert_eq!((&refused["code"], &refused["wipLimit"]), (&json!("lane_full"), &json!(1)));
    let body = json!({"title": "Three", "lane": "doing"});
    let refused = project.client.post(&project.path("/work-items"), body).await.expect(409).json;
    assert_eq!(refused["code"], "lane_full");
    let body = json!({"title": "Four", "lane": "review"});
    let refused = project.client.post(&project.path("/work-items"), body).await.expect(400).json;
    assert!(text(&refused["detail"]).contains("backlog, ready, doing, done"), "{refused}");
    ada.get("finish_work", super::held(&claim, &project)).await;
    ada.get("claim_work", json!({"projectId": project.id})).await;
}

#[tokio::test]
async fn another_version_than_the_one_that_was_seen_is_not_changed() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "ready").await;
    let path = project.path(&format!("/work-items/{}", text(&item["id"])));
    let patch = |version: &str, body| {
        let request =
            project.client.request(reqwest::Method::PATCH, &path).header("if-match", version.to_owned());
        answer(request.json(&body))
    };
    patch("\"1\"", json!({"title": "Sign in with a passkey"})).await.expect(200);
    patch("\"1\"", json!({"title": "Sign out"})).await.expect(412);
    assert_eq!(project.work_item(&item).await["title"], "Sign in with a passkey");
}

#[tokio::test]
async fn comments_are_told_to_whoever_claims_the_item_but_not_their_own() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "ready").await;
    let path = project.path(&format!("/work-items/{}/comments", text(&item["id"])));
    let ada = project.member(&server, "ada").await;
    project.client.post(&path, json!({"text": "Mind the relying party."})).await.expect(201);
    ada.post(&path, json!({"text": "I do."})).await.expect(201);
    project.client.post(&path, json!({"text": " \u{200b} "})).await.expect(400);
    let agent = crate::support::agent::Agent::new(&ada, crate::support::agent::Revision::Newest);
    let claim = agent.get("claim_work", json!({"projectId": project.id})).await;
    let told = claim["context"]["comments"].as_array().unwrap();
    assert_eq!(
        told.iter().map(|comment| text(&comment["text"])).collect::<Vec<_>>(),
        ["Mind the relying party."]
    );
    let all = project.all(&format!("/work-items/{}/comments", text(&item["id"]))).await;
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn an_item_that_is_deleted_blocks_nobody() {
    let server = Server::start().await;
    let project = server.project().await;
    let first = project.item("First", "ready").await;
    let second =
        project.item_with(json!({"title": "Second", "lane": "ready", "blockedBy": [first["id"]]})).await;
    project.client.delete(&project.path(&format!("/work-items/{}", text(&first["id"])))).await.expect(204);
    assert_eq!(project.work_item(&second).await["blockers"], 0);
    project.client.get(&project.path(&format!("/work-items/{}", text(&first["id"])))).await.expect(404);
}
