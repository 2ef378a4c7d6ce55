//! Keys: what they open, what they do not, and how they end.

use chrono::TimeDelta;
use serde_json::{Value, json};
use trackside::accounts::{NewKey, Role, Scope};

use crate::{
    support::{Server, Visitor, any_key, dawn, eventually, text},
    tokens::token,
};

#[tokio::test]
async fn only_a_valid_key_opens_anything() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let key = acme.client.key.clone().unwrap();
    let mut slip = key.clone();
    slip.replace_range(10..11, if &key[10..11] == "a" { "b" } else { "a" });
    for bad in ["", "tsk_", "hunter2", &slip, &key[..36]] {
        let refused = server.client(bad).get("/api/v1/projects").await.refused(401, "unauthenticated");
        let challenge = refused.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer ") && challenge.contains("invalid_token"), "{challenge}");
    }
    server.stranger().get("/api/v1/projects").await.refused(401, "unauthenticated");
    acme.client.get("/api/v1/projects").await.expect(200);
}

#[tokio::test]
async fn a_key_is_shown_once_and_then_known_by_its_first_sixteen_characters() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let made =
        acme.client.post("/api/v1/api-keys", json!({"name": "ci", "role": "Member"})).await.expect(201).json;
    let key = text(&made["key"]);
    assert_eq!(text(&made["prefix"]), key[..16]);
    let listed = acme.client.get("/api/v1/api-keys").await.expect(200);
    assert!(!listed.body.contains(&key));
    assert!(listed.body.contains(&key[..16]));
    server.client(&key).get("/api/v1/projects").await.expect(200);
    let principals = acme.client.get("/api/v1/principals").await.expect(200).json;
    let names: Vec<_> =
        principals["items"].as_array().unwrap().iter().map(|who| text(&who["name"])).collect();
    assert_eq!(names, ["owner", "ci"]);
    let tenant = acme.client.get("/api/v1/tenant").await.expect(200).json;
    let kept = json!({"payloadDays": 30, "toolCallDays": 90, "securityEventDays": 400});
    assert_eq!((&tenant["name"], &tenant["retention"]), (&json!("Acme"), &kept));
}

#[tokio::test]
async fn everybody_is_told_who_they_are_with_what_they_came_and_what_they_may_do() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let project = acme.project("Rocket").await;
    let (scopes, projects) = (Some([Scope::WorkRead].into()), Some(vec![project.id.parse().unwrap()]));
    let key = server.key(acme.id, NewKey { name: "dev-1".into(), scopes, projects, ..any_key() }).await;
    let agent = server.client(&key);
    let shown = agent.get("/api/v1/me").await.expect(200).json;
    let mut expected = json!({
        "principal": {
            "id": shown["principal"]["id"], "name": "dev-1", "kind": "service_account", "role": "member", "agentRole": null
        },
        "tenant": {"id": acme.id.to_string(), "name": "Acme"},
        "scopes": ["work.read"],
        "credential": "api_key",
        "projects": [project.id],
        "projectAccess": {&project.id: "editor"},
    });
    assert_eq!(shown, expected);
    expected["credential"] = json!("token");
    let with_token = server.client(&token(&agent, &[]).await);
    assert_eq!(with_token.get("/api/v1/me").await.expect(200).json, expected);

    let ada = Visitor::owner(&server).await.open("/api/v1/me").await.expect(200).json;
    assert_eq!((&ada["credential"], &ada["principal"]["kind"]), (&json!("session"), &json!("user")));
    assert_eq!((&ada["principal"]["role"], &ada["projects"]), (&json!("owner"), &Value::Null));
    assert_eq!(ada["scopes"].as_array().unwrap().len(), Scope::ALL.len());
    server.stranger().get("/api/v1/me").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_key_ends_at_its_expiry() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let expires_at = Some(dawn() + TimeDelta::seconds(60));
    let client = server.client(&server.key(acme.id, NewKey { expires_at, ..any_key() }).await);
    client.get("/api/v1/projects").await.expect(200);
    server.advance(60);
    client.get("/api/v1/projects").await.refused(401, "unauthenticated");
    let past = json!({"name": "late", "role": "viewer", "expiresAt": dawn().to_rfc3339()});
    acme.client.post("/api/v1/api-keys", past).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_its_streams_end() {
    let server = Server::start().await;
    let project = server.project().await;
    let made = json!({"name": "dashboard", "role": "viewer"});
    let made = project.client.post("/api/v1/api-keys", made).await.expect(201).json;
    let viewer = crate::support::Project { client: server.client(&text(&made["key"])), ..project.clone() };
    let mut stream = viewer.follow(None).await.greeted().await;
    let revoke = format!("/api/v1/api-keys/{}", text(&made["id"]));
    let revoked = project.client.delete(&revoke).await.expect(200).json;
    viewer.client.get(&project.path("/events")).await.refused(401, "unauthenticated");
    assert_eq!(stream.next().await, None, "the stream ends");
    server.advance(5);
    let again = project.client.delete(&revoke).await.expect(200).json;
    assert_eq!(again["revokedAt"], revoked["revokedAt"], "doing it again changes nothing");
}

#[tokio::test]
async fn a_stream_ends_when_its_key_expires() {
    let server = Server::start().await;
    let project = server.project().await;
    let expires_at = Some(dawn() + TimeDelta::seconds(60));
    let key = server.key(project.tenant.id, NewKey { expires_at, ..any_key() }).await;
    let viewer = crate::support::Project { client: server.client(&key), ..project };
    let mut stream = viewer.follow(None).await.greeted().await;
    server.advance(61);
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_key_revoked_by_another_process_is_refused_within_a_second_or_so() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let client = server.client(&server.key(acme.id, any_key()).await);
    client.get("/api/v1/projects").await.expect(200);
    let elsewhere = server.database().await;
    use sea_orm::ConnectionTrait as _;
    elsewhere.execute_unprepared("UPDATE api_key SET revoked_at = created_at").await.unwrap();
    eventually("the key is refused", async || client.get("/api/v1/projects").await.status == 401).await;
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let admin = server.client(&server.key(acme.id, NewKey { role: Role::Admin, ..any_key() }).await);
    let refused =
        |body| async { admin.post("/api/v1/api-keys", body).await.refused(403, "insufficient_scope") };
    refused(json!({"name": "x", "role": "owner"})).await;
    let narrow = ["keys.write".parse().unwrap(), "projects.read".parse().unwrap()];
    let narrow = NewKey { role: Role::Admin, scopes: Some(narrow.into()), ..any_key() };
    let narrow = server.client(&server.key(acme.id, narrow).await);
    let wide = json!({"name": "x", "role": "admin"});
    narrow.post("/api/v1/api-keys", wide).await.refused(403, "insufficient_scope");
    let same = json!({"name": "x", "role": "viewer", "scopes": ["projects.read"]});
    narrow.post("/api/v1/api-keys", same).await.expect(201);
    let member = server.client(&server.key(acme.id, any_key()).await);
    let any = json!({"name": "x", "role": "viewer"});
    member.post("/api/v1/api-keys", any).await.refused(403, "insufficient_scope");
    for body in [
        json!({"name": "x", "role": "viewer", "scopes": ["keys.write"]}),
        json!({"name": "x", "role": "viewer", "scopes": []}),
        json!({"name": "x", "role": "king"}),
        json!({"name": "x", "role": "viewer", "scopes": ["moon.read"]}),
        json!({"name": "x", "role": "viewer", "projectIds": ["01890000-0000-7000-8000-000000000000"]}),
    ] {
        acme.client.post("/api/v1/api-keys", body).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_key_limited_to_a_project_reaches_no_other() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let (mine, other) = (acme.project("Mine").await, acme.project("Other").await);
    let only = json!({"name": "ci", "role": "admin", "projectIds": [mine.id]});
    let made = acme.client.post("/api/v1/api-keys", only).await.expect(201).json;
    let client = server.client(&text(&made["key"]));
    client.get(&mine.path("")).await.expect(200);
    client.get(&other.path("")).await.refused(404, "not_found");
    client.get(&other.path("/deliveries")).await.refused(404, "not_found");
    client.patch(&other.path(""), json!({"name": "mine now"})).await.refused(404, "not_found");
    client.delete(&other.path("")).await.refused(404, "not_found");
    let listed = client.get("/api/v1/projects").await.expect(200).json;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let another = json!({"name": "x", "repoUrl": "https://github.com/a/b"});
    client.post("/api/v1/projects", another).await.refused(403, "insufficient_scope");
    for projects in [json!(null), json!([other.id])] {
        let wider = json!({"name": "x", "role": "viewer", "projectIds": projects});
        client.post("/api/v1/api-keys", wider).await.refused(403, "insufficient_scope");
    }
}

#[tokio::test]
async fn a_key_without_a_scope_is_told_which_one_is_missing() {
    let server = Server::start().await;
    let project = server.project().await;
    let narrow = NewKey { scopes: Some(["projects.read".parse().unwrap()].into()), ..any_key() };
    let client = server.client(&server.key(project.tenant.id, narrow).await);
    client.get(&project.path("")).await.expect(200);
    let refused = client.get(&project.path("/events")).await.refused(403, "insufficient_scope");
    assert!(text(&refused.json["detail"]).contains("events.read"));
}
