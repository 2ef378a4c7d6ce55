//! Principals: what they are, who may change them, and how their access ends.

use chrono::TimeDelta;
use entity::{oauth_grant, session};
use sea_orm::{ActiveValue::Set, EntityTrait as _};
use serde_json::{Value, json};
use trackside::accounts::{NewKey, Role};

use crate::support::{
    Client, EventStream, Server, Socket, Tenant, Visitor, any_key, client::answer, dawn, eventually, text,
};

/// A service account of some role, and somebody who comes with its key.
async fn colleague(server: &Server, tenant: &Tenant, role: Role) -> (String, Client) {
    let new = NewKey { name: format!("a {role}"), role, ..any_key() };
    let client = server.client(&server.key(tenant.id, new).await);
    let keys = tenant.client.get("/api/v1/api-keys").await.expect(200).json;
    (format!("/api/v1/principals/{}", text(&keys["items"][0]["principalId"])), client)
}

/// The owner that each tenant of a test begins with.
async fn owner(tenant: &Tenant) -> String {
    let all = tenant.client.get("/api/v1/principals").await.expect(200).json;
    format!("/api/v1/principals/{}", text(&all["items"][0]["id"]))
}

#[tokio::test]
async fn a_principal_is_shown_and_changed_by_who_has_seen_its_newest_version() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let (path, _) = colleague(&server, &acme, Role::Member).await;
    let shown = acme.client.get(&path).await.expect(200);
    assert_eq!((&shown.json["role"], &shown.json["version"]), (&json!("member"), &json!(1)));
    assert_eq!(shown.headers["etag"], "\"1\"");
    let changes = json!({"name": "dev-1", "agentRole": "developer", "role": "viewer"});
    let changed = acme.client.patch(&path, changes).await.expect(200).json;
    assert_eq!(
        (&changed["name"], &changed["agentRole"], &changed["role"], &changed["version"]),
        (&json!("dev-1"), &json!("developer"), &json!("viewer"), &json!(2))
    );
    let late = acme.client.request(reqwest::Method::PATCH, &path).header("if-match", "\"1\"");
    answer(late.json(&json!({"role": "admin"}))).await.refused(412, "precondition_failed");
    let cleared = acme.client.patch(&path, json!({"agentRole": null})).await.expect(200).json;
    assert_eq!((&cleared["agentRole"], &cleared["name"]), (&Value::Null, &json!("dev-1")));
    for bad in [
        json!({"agentRole": ""}),
        json!({"agentRole": "x".repeat(65)}),
        json!({"name": " "}),
        json!({"role": "king"}),
        json!({"role": null, "kind": "user"}),
        json!({"projectAccess": {"01890000-0000-7000-8000-000000000000": "viewer"}}),
        json!({"projectAccess": {"rocket": "viewer"}}),
    ] {
        acme.client.patch(&path, bad).await.refused(400, "invalid_request");
    }
    let listed = acme.client.get("/api/v1/security-events?action=role_changed").await.expect(200).json;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["details"], json!({"from": "member", "to": "viewer"}));
}

#[tokio::test]
async fn nobody_changes_who_has_more_nor_gives_more_than_they_have() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let project = acme.project("Rocket").await;
    let (path, _) = colleague(&server, &acme, Role::Viewer).await;
    let (_, admin) = colleague(&server, &acme, Role::Admin).await;
    let narrow = ["keys.write", "keys.read", "projects.read"].map(|scope| scope.parse().unwrap());
    let narrow = NewKey { role: Role::Admin, scopes: Some(narrow.into()), ..any_key() };
    let narrow = server.client(&server.key(acme.id, narrow).await);
    let limited = Some(vec![project.id.parse().unwrap()]);
    let limited = NewKey { role: Role::Admin, projects: limited, ..any_key() };
    let limited = server.client(&server.key(acme.id, limited).await);
    let (member, member_client) = colleague(&server, &acme, Role::Member).await;

    let refused = |client: &Client, path: &str, body: Value| {
        let (client, path) = (client.clone(), path.to_owned());
        async move { client.patch(&path, body).await.refused(403, "insufficient_scope") }
    };
    refused(&admin, &owner(&acme).await, json!({"name": "mine"})).await;
    refused(&admin, &path, json!({"role": "owner"})).await;
    refused(&narrow, &path, json!({"role": "member"})).await; // it has no work.write to give
    refused(&limited, &path, json!({"role": "viewer"})).await; // reaches all, which it does not
    refused(&member_client, &member, json!({"role": "admin"})).await;
    let deactivate = format!("{}/deactivate", owner(&acme).await);
    admin.post(&deactivate, json!({})).await.refused(403, "insufficient_scope");

    narrow.patch(&member, json!({"role": "viewer"})).await.expect(200); // which gives nothing
    admin.patch(&path, json!({"role": "admin"})).await.expect(200);
    let only = json!({"projectAccess": {&project.id: "viewer"}});
    admin.patch(&path, only.clone()).await.expect(200);
    limited.patch(&path, json!({"agentRole": "qa"})).await.expect(200);
    refused(&limited, &path, json!({"projectAccess": null})).await;
    acme.client.patch(&owner(&acme).await, only).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_new_role_and_new_limits_hold_at_once_for_keys_that_were_made_before() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let (mine, other) = (acme.project("Mine").await, acme.project("Other").await);
    let (path, client) = colleague(&server, &acme, Role::Admin).await;
    client.get(&other.path("")).await.expect(200);
    let limits = json!({"projectAccess": {&mine.id: "viewer"}});
    acme.client.patch(&path, limits).await.expect(200);
    client.get(&other.path("")).await.refused(404, "not_found");
    client.get(&mine.path("")).await.expect(200);
    client.patch(&mine.path(""), json!({"name": "x"})).await.refused(403, "insufficient_scope");
    acme.client.patch(&path, json!({"projectAccess": {&mine.id: "editor"}})).await.expect(200);
    client.patch(&mine.path(""), json!({"name": "x"})).await.expect(200);
    acme.client.patch(&path, json!({"role": "viewer", "projectAccess": null})).await.expect(200);
    client.get(&other.path("")).await.expect(200);
    client.patch(&mine.path(""), json!({"name": "y"})).await.refused(403, "insufficient_scope");
}

#[tokio::test]
async fn a_tenant_keeps_an_owner_who_is_active() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let first = owner(&acme).await;
    let demote = json!({"role": "admin"});
    acme.client.patch(&first, demote.clone()).await.refused(409, "conflict");
    acme.client.post(&format!("{first}/deactivate"), json!({})).await.refused(409, "conflict");
    let (second, other) = colleague(&server, &acme, Role::Owner).await;
    let both = tokio::join!(acme.client.patch(&second, demote.clone()), other.patch(&first, demote));
    let demoted = [both.0.status, both.1.status].iter().filter(|status| **status == 200).count();
    assert_eq!(demoted, 1, "of two who demote each other, one stays: {both:?}");
}

#[tokio::test]
async fn a_service_account_is_no_owner_in_the_place_of_the_last_person() {
    let server = Server::start().await;
    let machine = server.tenant("Acme").await;
    Visitor::owner(&server).await;
    let principals = machine.client.get("/api/v1/principals").await.expect(200).json;
    let is_person = |one: &&Value| one["kind"] == "user";
    let person = principals["items"].as_array().unwrap().iter().find(is_person).expect("who set it up");
    let path = format!("/api/v1/principals/{}", text(&person["id"]));
    machine.client.patch(&path, json!({"role": "admin"})).await.refused(409, "conflict");
    machine.client.post(&format!("{path}/deactivate"), json!({})).await.refused(409, "conflict");
}

#[tokio::test]
async fn a_project_that_is_taken_away_is_taken_from_open_streams_on_every_instance() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let (lost, kept) = (acme.project("Lost").await, acme.project("Kept").await);
    let (path, client) = colleague(&server, &acme, Role::Member).await;
    let elsewhere = server.another(&[]).await;
    let follow = async |client: &Client, path: String| {
        EventStream::open(client, &format!("{path}?after=0"), None).await
    };
    let far = elsewhere.client(client.key.as_ref().unwrap());
    let mut near = follow(&client, lost.path("/events/stream")).await.greeted().await;
    let mut far = follow(&far, lost.path("/events/stream")).await.greeted().await;
    let mut staying = follow(&client, kept.path("/events/stream")).await.greeted().await;
    let mut socket = Socket::open(&client).await;
    let less = json!({"role": "viewer", "projectAccess": {&kept.id: "viewer"}});
    acme.client.patch(&path, less).await.expect(200);
    let began = std::time::Instant::now();
    assert_eq!((near.next().await, far.next().await), (None, None));
    assert_eq!(socket.control("error").await["code"], "unauthenticated");
    assert_eq!(socket.ended().await, Some(1008));
    assert!(began.elapsed().as_secs_f64() < 5.0, "a second, and a moment: {:?}", began.elapsed());
    client.get(&lost.path("/events/stream")).await.refused(404, "not_found");
    let mut again = Socket::open(&client).await;
    again.subscribe(&lost, None).await;
    assert_eq!(again.control("error").await["code"], "not_found");
    again.subscribe(&kept, None).await;
    again.control("subscribed").await;
    let ping = trackside::samples::Repository::new("acme/kept", dawn()).ping();
    kept.deliver("d-1", &ping).await.expect(202);
    assert!(staying.next().await.is_some(), "what it still reaches goes on");
}

#[tokio::test]
async fn deactivation_ends_all_that_a_principal_came_with_on_every_instance() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let project = acme.project("Rocket").await;
    let (path, client) = colleague(&server, &acme, Role::Member).await;
    let other = server.another(&[]).await;
    let elsewhere = other.client(client.key.as_deref().unwrap());
    elsewhere.get("/api/v1/projects").await.expect(200);
    let follower = crate::support::Project { client: client.clone(), ..project.clone() };
    let mut stream = follower.follow(None).await.greeted().await;
    let id: uuid::Uuid = path.rsplit('/').next().unwrap().parse().unwrap();
    let database = server.database().await;
    let browser = session::ActiveModel {
        id: Set(uuid::Uuid::from_u128(1)),
        tenant_id: Set(acme.id.0),
        principal_id: Set(id),
        hash: Set(vec![1]),
        method: Set("password".into()),
        ip: Set(None),
        user_agent: Set(None),
        created_at: Set(dawn()),
        last_seen_at: Set(dawn()),
        expires_at: Set(dawn() + TimeDelta::days(30)),
        revoked_at: Set(None),
    };
    session::Entity::insert(browser).exec_without_returning(&database).await.unwrap();
    let grant = oauth_grant::ActiveModel {
        id: Set(uuid::Uuid::from_u128(2)),
        tenant_id: Set(acme.id.0),
        principal_id: Set(id),
        client_id: Set("https://client.example/".into()),
        client_name: Set("client".into()),
        scopes: Set(json!([])),
        resources: Set(json!([])),
        created_at: Set(dawn()),
        last_used_at: Set(None),
        revoked_at: Set(None),
    };
    oauth_grant::Entity::insert(grant).exec_without_returning(&database).await.unwrap();

    let deactivate = format!("{path}/deactivate");
    let deactivated = acme.client.post(&deactivate, json!({})).await.expect(200).json;
    assert!(deactivated["deactivatedAt"].is_string());
    client.get("/api/v1/projects").await.refused(401, "unauthenticated");
    assert_eq!(stream.next().await, None, "its stream ends");
    let is_refused = async || elsewhere.get("/api/v1/projects").await.status == 401;
    eventually("it is refused on the other instance", is_refused).await;
    let sessions = session::Entity::find().all(&database).await.unwrap();
    assert!(sessions.iter().all(|session| session.revoked_at.is_some()));
    let grants = oauth_grant::Entity::find().all(&database).await.unwrap();
    assert!(grants.iter().all(|grant| grant.revoked_at.is_some()));

    let again = acme.client.post(&deactivate, json!({})).await.expect(200).json;
    assert_eq!(again, deactivated, "doing it again changes nothing");
    let events = "/api/v1/security-events?action=principal_deactivated";
    let events = acme.client.get(events).await.expect(200).json;
    assert_eq!(events["items"][0]["details"], json!({"keys": 1, "sessions": 1, "grants": 1}));
    let new = json!({"name": "again", "principalId": id});
    acme.client.post("/api/v1/api-keys", new.clone()).await.refused(409, "conflict");

    let reactivate = format!("{path}/reactivate");
    let active = acme.client.post(&reactivate, json!({})).await.expect(200).json;
    assert!(active["deactivatedAt"].is_null());
    client.get("/api/v1/projects").await.refused(401, "unauthenticated");
    let made = acme.client.post("/api/v1/api-keys", new).await.expect(201).json;
    server.client(&text(&made["key"])).get("/api/v1/projects").await.expect(200);
}
