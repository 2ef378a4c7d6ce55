//! The security log: what happened to who may do what, and who may read it.

use chrono::TimeDelta;
use serde_json::{Value, json};
use trackside::accounts::{
    NewKey, Role,
    oauth::clients,
    tokens::{Rotation, rotate},
};

use crate::{
    oauth::{any_grant, document},
    support::{
        Client, Server, Visitor, any_key, dawn, eventually, text,
        visitor::{EMAIL, PASSWORD},
    },
};

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
async fn what_was_done_with_one_key_is_found() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let leaked = acme.client.post("/api/v1/api-keys", json!({"name": "leaked", "role": "admin"})).await;
    let leaked = leaked.expect(201).json;
    let thief = server.client(&text(&leaked["key"]));
    thief.post("/api/v1/api-keys", json!({"name": "left behind", "role": "viewer"})).await.expect(201);
    let found = events(&acme.client, &format!("?credential=key:{}", text(&leaked["id"]))).await;
    assert_eq!(actions(&found), ["key_created"]);
    assert_eq!(found[0]["targetName"], "left behind");
    assert_eq!(text(&found[0]["credential"]), format!("key:{}", text(&leaked["id"])));
    acme.client.get("/api/v1/security-events?credential=leaked").await.refused(400, "invalid_request");
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

/// What the newest events say: the action, what became of it, and how somebody signed in.
fn told(events: &[Value]) -> Vec<String> {
    let word = |word: &Value| word.as_str().map(|word| format!(" {word}")).unwrap_or_default();
    let told = |event: &Value| {
        let outcome = Some(&event["outcome"]).filter(|outcome| **outcome != "success");
        let (outcome, method) = (outcome.map(word).unwrap_or_default(), word(&event["details"]["method"]));
        format!("{}{outcome}{method}", text(&event["action"]))
    };
    events.iter().map(told).collect()
}

#[tokio::test]
async fn how_people_come_and_go_is_noted_and_nothing_that_they_type() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let visitor = Visitor::owner(&server).await;
    visitor.send("/signout", &[]).await.expect(303);
    visitor.send("/signout", &[]).await.expect(303);
    visitor.sign_in(EMAIL, PASSWORD).await.expect(303);
    let elsewhere = Visitor::new(&server);
    elsewhere.sign_in(EMAIL, PASSWORD).await.expect(303);
    let sessions = visitor.open("/api/v1/sessions").await.expect(200).json;
    let other =
        &sessions["items"].as_array().unwrap().iter().find(|it| it["isCurrent"] == false).unwrap()["id"];
    let end = format!("/api/v1/sessions/{}", text(other));
    for _ in 0..2 {
        crate::support::client::answer(visitor.page_request(reqwest::Method::DELETE, &end)).await.expect(200);
    }
    const NEW: &str = "thirteen dry herons";
    for (current, status) in [("not the password", 400), (PASSWORD, 303)] {
        let typed = [("current", current), ("password", NEW), ("repeat", NEW)];
        visitor.send("/account/password", &typed).await.expect(status);
    }
    let found = events(&acme.client, "").await;
    assert_eq!(
        told(&found),
        [
            "signed_in password", // anew, with the new password
            "password_changed",
            "password_changed refused",
            "session_revoked password",
            "signed_in password",
            "signed_in password",
            "signed_out setup", // once, though it was asked for twice
            "signed_in setup",
            "role_changed",
            "key_created",
        ]
    );
    let ended = &found[3];
    assert_eq!((&ended["targetKind"], &ended["targetId"]), (&json!("session"), other));
    assert_eq!(
        (&ended["actorKind"], &ended["actorName"], &ended["ip"]),
        (&json!("user"), &json!("Ada"), &json!("127.0.0.1"))
    );
    let here = &found[5]["targetId"]; // what both changes were asked from
    for event in &found[1..4] {
        assert_eq!(event["credential"], format!("session:{}", text(here)), "{event}");
    }
    assert_eq!(found[6]["credential"], format!("session:{}", text(&found[6]["targetId"])));
    let all = json!(found).to_string();
    for typed in [PASSWORD, NEW, "not the password"] {
        assert!(!all.contains(typed), "what was typed is not noted");
    }
}

#[tokio::test]
async fn whoever_is_known_and_refused_is_noted_in_their_tenants_once_a_minute() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    Visitor::owner(&server).await;
    let other = server.tenant("Other").await;
    let visitor = Visitor::new(&server);
    let refused = async |client: &Client| {
        let found = events(client, "?action=signed_in").await;
        found.iter().filter(|event| event["outcome"] == "refused").count()
    };
    visitor.sign_in("eve@example.org", "not the password").await.expect(422);
    for expected in [1, 2] {
        for _ in 0..2 {
            visitor.sign_in(EMAIL, "not the password").await.expect(422);
        }
        eventually("it is noted", async || refused(&acme.client).await == expected).await;
        server.advance(60);
    }
    assert_eq!(refused(&other.client).await, 0);
    let (_, secret) = crate::invitations::invited(&other.client, json!({"role": "viewer"})).await;
    let password = "not the password either";
    let typed = [("email", EMAIL), ("name", "Eve"), ("password", password), ("repeat", password)];
    visitor.send("/join", &[&[("invitation", secret.as_str())][..], &typed].concat()).await.expect(400);
    eventually("guessing there is noted too", async || refused(&acme.client).await == 3).await;
}

#[tokio::test]
async fn what_people_let_clients_do_is_noted_when_it_begins_and_when_it_ends() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let grant = any_grant(&server, &acme).await;
    let path = format!("/api/v1/grants/{}", grant.id);
    for _ in 0..2 {
        acme.client.delete(&path).await.expect(200);
    }
    let found = events(&acme.client, "").await;
    assert_eq!(actions(&found), ["grant_revoked", "grant_created", "key_created"]);
    assert_eq!(found[1]["details"]["scopes"], json!(["work.read"]));
    for event in &found[..2] {
        assert_eq!((&event["targetKind"], text(&event["targetId"])), (&json!("grant"), grant.id.to_string()));
        assert_eq!(event["targetName"], grant.client_name);
    }
}

#[tokio::test]
async fn every_tenant_is_told_of_clients_that_the_operator_lets_in() {
    let server = Server::start().await;
    let (acme, other) = (server.tenant("Acme").await, server.tenant("Other").await);
    let app = &server.service.app;
    clients::register(app, document("visitor")).await.unwrap();
    clients::remove(app, "visitor").await.unwrap();
    for tenant in [&acme, &other] {
        let found = events(&tenant.client, "").await;
        assert_eq!(actions(&found)[..2], ["client_removed", "client_registered"]);
        assert!(found[..2].iter().all(|event| event["details"]["clientId"] == "visitor"));
    }
}

#[tokio::test]
async fn every_tenant_is_told_when_its_tokens_are_signed_with_another_key() {
    let server = Server::start().await;
    let (acme, other) = (server.tenant("Acme").await, server.tenant("Other").await);
    let app = &server.service.app;
    rotate(app, Rotation::WhenDue).await.unwrap();
    assert_eq!(events(&acme.client, "?action=signing_key_rotated").await.len(), 0, "nothing was due");
    let kid = rotate(app, Rotation::Leaked).await.unwrap().expect("a key").kid;
    for tenant in [&acme, &other] {
        let found = events(&tenant.client, "?action=signing_key_rotated").await;
        assert_eq!(found.len(), 1);
        assert_eq!(
            (&found[0]["targetName"], &found[0]["actorKind"], &found[0]["details"]["isLeaked"]),
            (&json!(kid), &json!("system"), &json!(true))
        );
    }
}
