//! What a project asks for, and what it cannot ask for.

use serde_json::json;

use crate::support::{Server, text};

#[tokio::test]
async fn a_gate_that_makes_no_sense_is_refused_with_the_field_that_is_wrong() {
    let server = Server::start().await;
    let project = server.project().await;
    for (gate, pointer) in [
        (json!({"name": "x", "check": "manual_review"}), "/config/gates/0/phase"),
        (
            json!({"name": "x", "phase": "build", "lane": "review", "check": "manual_review"}),
            "/config/gates/0/phase",
        ),
        (json!({"name": "x", "lane": "nowhere", "check": "manual_review"}), "/config/gates/0/lane"),
        (json!({"name": "x", "phase": "build", "check": "artifact_exists"}), "/config/gates/0/kind"),
        (
            json!({"name": "x", "phase": "build", "check": "manual_review", "weight": 101}),
            "/config/gates/0/weight",
        ),
        (json!({"name": "x", "phase": "build", "check": "magic"}), "/config/gates/0/check"),
        (
            json!({"name": "x", "phase": "build", "check": "code_exists", "paths": ["["]}),
            "/config/gates/0/paths",
        ),
    ] {
        let body = json!({"config": {"gates": [gate]}});
        let refused = project.client.patch(&project.path(""), body).await.refused(400, "invalid_request");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{gate}");
    }
}

#[tokio::test]
async fn another_configuration_counts_at_once_and_what_it_asks_for_still_keeps_its_decision() {
    let server = Server::start().await;
    let project = server.project().await;
    let review = json!({"name": "review", "phase": "build", "check": "manual_review", "weight": 30});
    let other = json!({"name": "other", "phase": "build", "check": "manual_review", "weight": 10});
    project.asks_for(json!([review, other])).await;
    let gate = project.gate("review").await;
    let passed = json!({"decision": "passed", "reason": "Read it."});
    project.client.post(&project.decision_path(&gate), passed).await.expect(200);
    assert_eq!(project.shares().await.0, [75, 100, 100, 100]);
    project.asks_for(json!([{"name": "review", "phase": "map", "check": "manual_review"}, other])).await;
    let after = project.gate("review").await;
    assert_eq!(
        (&after["id"], &after["status"], &after["phase"]),
        (&gate["id"], &json!("passed"), &json!("map"))
    );
    assert_eq!(project.shares().await.0, [0, 100, 100, 100]);
    project.asks_for(json!([other])).await;
    let names: Vec<_> = project.gates().await.iter().map(|gate| text(&gate["name"])).collect();
    assert_eq!(names, ["other"]);
}

#[tokio::test]
async fn a_project_of_two_hundred_items_is_evaluated_in_a_moment() {
    let server = Server::start().await;
    let project = server.project().await;
    project.asks_for(json!([{"name": "look", "lane": "backlog", "check": "manual_review"}])).await;
    for number in 0..200 {
        project.item(&format!("Item {number}"), "backlog").await;
    }
    let began = std::time::Instant::now();
    let told = project.client.post(&project.path("/gates/evaluate"), json!({})).await.expect(200).json;
    let took = began.elapsed();
    assert_eq!((&told["changed"], &told["progress"]["gates"]["pending"]), (&json!(0), &json!(200)));
    // A tenth of a second where nothing else is going on; a machine that runs all tests at once is slower.
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
}
