//! Looking after deliveries: why some were refused, replays of many, and what goes by age.

use serde_json::{Value, json};
use trackside::samples::{Commit, Repository};

use crate::support::{Project, Server, dawn, eventually, number, text};

const DAY: i64 = 24 * 3600;

impl Project {
    /// Refused deliveries, newest first, once there are so many.
    async fn rejected(&self, count: usize) -> Vec<Value> {
        let noted = async || self.all("/deliveries/rejected").await;
        eventually("refusals are noted", async || noted().await.len() >= count).await;
        noted().await
    }

    /// Posts a delivery that carries another project's signature.
    async fn forge(&self, delivery_id: &str) {
        let forger = Self { secret: "whsec_another".to_owned(), ..self.clone() };
        forger.deliver_bytes(delivery_id, "push", b"{}".to_vec()).await.expect(401);
    }

    async fn replay(&self, which: Value) -> Value {
        self.client.post(&self.path("/deliveries/replay"), which).await.expect(202).json
    }
}

#[tokio::test]
async fn a_refused_delivery_can_be_seen_with_its_reason_and_is_not_among_the_deliveries() {
    let server = Server::start().await;
    let project = server.project().await;
    project.forge("forged").await;
    project.deliver_bytes("broken", "push", b"{".to_vec()).await.expect(400);
    let rejected = project.rejected(2).await;
    let seen: Vec<_> = rejected
        .iter()
        .map(|row| (text(&row["deliveryId"]), text(&row["code"]), text(&row["eventType"])))
        .collect();
    let expected = [("broken", "invalid_request", "push"), ("forged", "invalid_signature", "push")];
    assert_eq!(seen, expected.map(|(id, code, event)| (id.to_owned(), code.to_owned(), event.to_owned())));
    assert!(text(&rejected[0]["reason"]).contains("not JSON"));
    assert!(text(&rejected[1]["reason"]).contains("the signature does not match"));
    assert_eq!((&rejected[1]["source"], &rejected[1]["bodyBytes"]), (&json!("github"), &json!(2)));
    assert!(project.all("/deliveries").await.is_empty());
}

#[tokio::test]
async fn a_project_keeps_the_newest_hundred_refusals_however_many_come() {
    let server = Server::start().await;
    let (project, other) = (server.project().await, server.project().await);
    other.forge("other").await;
    // In two portions, because what comes at once is cut before it is written.
    for portion in [0..60, 60..150] {
        let newest = format!("d-{}", portion.end - 1);
        for index in portion {
            project.forge(&format!("d-{index}")).await;
        }
        eventually("the newest is noted", async || {
            project
                .all("/deliveries/rejected")
                .await
                .first()
                .is_some_and(|row| row["deliveryId"] == newest.as_str())
        })
        .await;
    }
    let ids: Vec<_> =
        project.all("/deliveries/rejected").await.iter().map(|row| text(&row["deliveryId"])).collect();
    assert_eq!(ids, (50..150).rev().map(|index| format!("d-{index}")).collect::<Vec<_>>());
    assert_eq!(other.rejected(1).await.len(), 1, "another project's are left alone");
    let by_page = project.client.get(&project.path("/deliveries/rejected?limit=30")).await.expect(200).json;
    assert_eq!(by_page["items"].as_array().unwrap().len(), 30);
}

#[tokio::test]
async fn a_signature_of_a_secret_that_expired_is_refused_with_that_reason() {
    let server = Server::start().await;
    let project = server.project().await;
    let rotate = project.path("/webhook-secret/rotate");
    project.client.post(&rotate, json!({"overlapSeconds": 3600})).await.expect(200);
    server.advance(3 * 3600);
    project.deliver_bytes("late", "push", b"{}".to_vec()).await.refused(401, "invalid_signature");
    let reason = text(&project.rejected(1).await[0]["reason"]);
    assert!(reason.contains("the secret that expired 2 hours ago, at 2026-01-01T07:00:00Z"), "{reason}");
}

#[tokio::test]
async fn all_failed_deliveries_are_replayed_at_once() {
    let server = Server::start().await;
    let project = server.project().await;
    for index in 0..5 {
        project.deliver_bytes(&format!("bad-{index}"), "push", b"null".to_vec()).await.expect(202);
    }
    project.deliver("good", &Repository::new("acme/rocket", dawn()).ping()).await.expect(202);
    project.settled().await;
    let before = project.events().await.len();
    assert_eq!(project.replay(json!({"status": "failed"})).await, json!({"enqueued": 5, "gone": 0}));
    let after = project.events().await;
    let told = after.iter().skip(before).map(|event| text(&event["event"]));
    assert!(told.eq(vec!["delivery_failed"; 5]), "they failed again, and nothing else is told twice");
}

#[tokio::test]
async fn a_range_of_time_is_replayed_and_replaying_it_again_changes_nothing() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = Repository::new("acme/rocket", dawn());
    for index in 0..6 {
        let commit = Commit { added: &["docs/prd.md"], ..Default::default() };
        project.deliver(&format!("d-{index}"), &repository.push("main", &[commit])).await.expect(202);
        server.advance(60);
    }
    let before = project.events().await;
    let at = |minute: i64| (dawn() + chrono::TimeDelta::minutes(minute)).to_rfc3339();
    let range = json!({"from": at(1), "until": at(4)});
    for _ in 0..2 {
        assert_eq!(project.replay(range.clone()).await, json!({"enqueued": 3, "gone": 0}));
        assert_eq!(project.events().await, before);
    }
    let path = format!("/deliveries?from={}&until={}", at(1), at(4)).replace('+', "%2B");
    assert_eq!(project.all(&path).await.len(), 3, "the list takes the same range");
    let replay = project.path("/deliveries/replay");
    for bad in
        [json!({}), json!({"status": "pending"}), json!({"since": at(1)}), json!({"from": "yesterday"})]
    {
        project.client.post(&replay, bad).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn bodies_go_by_age_and_cannot_be_replayed_then_and_ids_go_later() {
    let server = Server::start_with(&[("TRACKSIDE_PAYLOAD_RETENTION_DAYS", "7")]).await;
    let project = server.project().await;
    let mut repository = Repository::new("acme/rocket", dawn());
    let old = project.deliver("old", &repository.ping()).await.expect(202).json;
    project.settled().await;
    server.advance(7 * DAY);
    project.deliver("young", &repository.ping()).await.expect(202);
    project.settled().await;
    let shown =
        async || project.client.get(&project.path(&format!("/deliveries/{}", text(&old["id"])))).await;
    assert!(shown().await.expect(200).json["body"].is_string(), "not a second too early");
    server.advance(3601);
    eventually("the old body is removed", async || shown().await.json["body"].is_null()).await;
    let delivery = shown().await.expect(200).json;
    assert_eq!(
        (&delivery["status"], delivery["bodyBytes"].as_i64().unwrap() > 100),
        (&json!("processed"), true)
    );
    let replay = project.path(&format!("/deliveries/{}/replay", text(&old["id"])));
    project.client.post(&replay, json!({})).await.refused(410, "gone");
    assert_eq!(project.replay(json!({"status": "processed"})).await, json!({"enqueued": 1, "gone": 1}));
    let again = project.deliver("old", &repository.ping()).await.expect(202).json;
    assert_eq!(again["status"], "duplicate", "its id is still known");

    project.settled().await;
    server.advance(83 * DAY);
    eventually("the old id is removed", async || {
        let ids: Vec<_> =
            project.all("/deliveries").await.iter().map(|row| text(&row["deliveryId"])).collect();
        ids == ["young"]
    })
    .await;
    let kept = number(&server.database().await, "SELECT count(*) FROM webhook_event").await;
    assert_eq!(kept, 1);
}
