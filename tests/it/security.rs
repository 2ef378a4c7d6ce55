//! The security log: what happened to who may do what, and who may read it.

use chrono::TimeDelta;
use serde_json::{Value, json};
use trackside::accounts::{NewKey, Role};

use crate::support::{Client, Server, any_key, dawn, eventually, text};

/// The events that a query finds, newest first.
async fn events(client: &Client, query: &str) -> Vec<Value> {
    let listed = client.get(&format!("/api/v1/security-events{query}")).await.expect(200);
    listed.json["items"].as_array().unwrap().clone()
}

fn actions(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| text(&event["action"])).collect()
}

#[tokio::test]
async fn what_happens_to_keys_projects_and_secrets_is_noted_with_who_did_it_and_from_where() {
    let server = Server::start().await;
    let project = server.project().await;
    let client = &project.client;
    let made = client.post("/api/v1/api-keys", json!({"name": "ci", "role": "viewer"})).await.expect(201);
    let revoke = format!("/api/v1/api-keys/{}", text(&made.json["id"]));
    let named = client.request(reqwest::Method::DELETE, &revoke).header("user-agent", "curl\t8");
    crate::support::client::answer(named).await.expect(200);
    client.delete(&revoke).await.expect(200);
    let rotated = client.post(&project.path("/webhook-secret/rotate"), json!({})).await.expect(200);
    client.delete(&project.path("")).await.expect(204);
    let found = events(client, "").await;
    assert_eq!(
        actions(&found),
        [
            "project_deleted",
            "webhook_secret_rotated",
            "key_revoked", // once, though it was asked for twice
            "key_created",
            "project_created",
            "key_created", // the owner's, at the command line
        ]
    );
    let revoked = &found[2];
    assert_eq!(
        (&revoked["actorKind"], &revoked["actorName"], &revoked["outcome"]),
        (&json!("service_account"), &json!("owner"), &json!("success"))
    );
    assert_eq!(
        (&revoked["targetKind"], &revoked["targetId"], &revoked["targetName"]),
        (&json!("api_key"), &made.json["id"], &json!("ci"))
    );
    assert_eq!((&revoked["ip"], &revoked["userAgent"]), (&json!("127.0.0.1"), &json!("curl8")));
    assert_eq!((&found[5]["actorKind"], &found[5]["actorId"]), (&json!("system"), &Value::Null));
    let told = json!(found).to_string();
    for secret in [&made.json["key"], &rotated.json["webhookSecret"]] {
        assert!(!told.contains(&text(secret)), "no secret is noted");
    }
}

#[tokio::test]
async fn what_is_undone_leaves_no_event() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let nowhere = json!({"name": "x", "role": "viewer", "projectIds": [uuid::Uuid::from_u128(1)]});
    acme.client.post("/api/v1/api-keys", nowhere).await.refused(400, "invalid_request");
    assert_eq!(events(&acme.client, "").await.len(), 1, "the owner's key alone");
}

#[tokio::test]
async fn events_are_found_by_actor_action_and_time_and_come_page_by_page() {
    let server = Server::start().await;
    let project = server.project().await;
    let client = &project.client;
    server.advance(3600);
    client.post("/api/v1/api-keys", json!({"name": "later", "role": "viewer"})).await.expect(201);
    let actor = text(&events(client, "").await[0]["actorId"]);
    assert_eq!(
        actions(&events(client, &format!("?actor={actor}")).await),
        ["key_created", "project_created"]
    );
    assert_eq!(events(client, "?action=Key_Created").await.len(), 2);
    let then = (dawn() + TimeDelta::seconds(3600)).format("%Y-%m-%dT%H:%M:%SZ");
    assert_eq!(actions(&events(client, &format!("?from={then}")).await), ["key_created"]);
    assert_eq!(events(client, &format!("?until={then}")).await.len(), 2);
    let first = client.get("/api/v1/security-events?limit=2").await.expect(200).json;
    let rest = events(client, &format!("?limit=2&cursor={}", text(&first["nextCursor"]))).await;
    assert_eq!((first["items"].as_array().unwrap().len(), rest.len()), (2, 1));
    client.get("/api/v1/security-events?action=slept").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn only_who_may_read_the_whole_tenants_log_does() {
    let server = Server::start().await;
    let project = server.project().await;
    let other = server.tenant("Other").await;
    assert_eq!(events(&other.client, "").await.len(), 1, "each tenant sees its own");
    let member = server.client(&server.key(project.tenant.id, any_key()).await);
    member.get("/api/v1/security-events").await.refused(403, "insufficient_scope");
    let projects = Some(vec![project.id.parse().unwrap()]);
    let limited = NewKey { role: Role::Admin, projects, ..any_key() };
    let limited = server.client(&server.key(project.tenant.id, limited).await);
    limited.get("/api/v1/security-events").await.refused(403, "insufficient_scope");
}

#[tokio::test]
async fn events_go_when_they_have_come_of_age() {
    let server = Server::start_with(&[("TRACKSIDE_SECURITY_EVENT_DAYS", "10")]).await;
    let acme = server.tenant("Acme").await;
    server.advance(9 * 86_400);
    acme.project("Rocket").await;
    server.advance(2 * 86_400);
    eventually("the old one is removed", async || {
        actions(&events(&acme.client, "").await) == ["project_created"]
    })
    .await;
}
