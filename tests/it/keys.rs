//! API keys that are there: more of them for one principal, their rotation, and when they were last used.

use chrono::{DateTime, TimeDelta, Utc};
use entity::principal;
use futures::future::join_all;
use reqwest::Method;
use sea_orm::{ActiveValue::Set, EntityTrait as _};
use serde_json::{Value, json};
use trackside::accounts::{NewKey, Role};

use crate::support::{Client, Server, Visitor, any_key, client::answer, dawn, eventually, text};

/// A key made over REST.
async fn made(client: &Client, body: Value) -> Value {
    client.post("/api/v1/api-keys", body).await.expect(201).json
}

fn path(key: &Value) -> String {
    format!("/api/v1/api-keys/{}", text(&key["id"]))
}

fn time(value: &Value) -> DateTime<Utc> {
    text(value).parse().unwrap()
}

#[tokio::test]
async fn a_service_account_may_have_several_keys() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let first = made(&acme.client, json!({"name": "ci", "role": "member"})).await;
    let body = json!({"name": "ci, read", "principalId": first["principalId"], "scopes": ["projects.read"]});
    let second = made(&acme.client, body.clone()).await;
    assert_eq!((&second["principalId"], &second["role"]), (&first["principalId"], &json!("member")));
    server.client(&text(&second["key"])).get("/api/v1/projects").await.expect(200);
    let shown = acme.client.get(&path(&second)).await.expect(200);
    assert_eq!(shown.json["name"], "ci, read");
    assert!(!shown.body.contains(&text(&second["key"])));
    let principals = acme.client.get("/api/v1/principals").await.expect(200).json;
    assert_eq!(principals["items"].as_array().unwrap().len(), 2, "no other principal was made");

    let admin = server.client(&server.key(acme.id, NewKey { role: Role::Admin, ..any_key() }).await);
    let owner = json!({"name": "x", "principalId": principals["items"][0]["id"]});
    admin.post("/api/v1/api-keys", owner).await.refused(403, "insufficient_scope");
    for bad in [
        json!({"name": "x"}),
        json!({"name": "x", "role": "member", "principalId": first["principalId"]}),
        json!({"name": "x", "principalId": first["principalId"], "scopes": ["keys.write"]}),
    ] {
        acme.client.post("/api/v1/api-keys", bad).await.refused(400, "invalid_request");
    }
    let nobody = json!({"name": "x", "principalId": uuid::Uuid::from_u128(1)});
    acme.client.post("/api/v1/api-keys", nobody).await.refused(404, "not_found");
}

#[tokio::test]
async fn nobody_makes_a_key_of_another_person() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let person = principal::ActiveModel {
        id: Set(uuid::Uuid::from_u128(7)),
        tenant_id: Set(acme.id.0),
        kind: Set("user".into()),
        name: Set("Ada".into()),
        role: Set("member".into()),
        created_at: Set(dawn()),
        ..Default::default()
    };
    let database = server.database().await;
    principal::Entity::insert(person).exec_without_returning(&database).await.unwrap();
    let hers = json!({"name": "x", "principalId": uuid::Uuid::from_u128(7)});
    acme.client.post("/api/v1/api-keys", hers).await.refused(403, "insufficient_scope");
}

#[tokio::test]
async fn a_rotated_key_has_a_successor_and_stays_valid_until_the_overlap_is_over() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let project = acme.project("Rocket").await;
    let expires_at = (dawn() + TimeDelta::days(90)).to_rfc3339();
    let old = json!({"name": "ci", "role": "member", "scopes": ["projects.read"], "projectIds": [project.id],
        "expiresAt": expires_at});
    let old = made(&acme.client, old).await;
    let rotate = format!("{}/rotate", path(&old));
    let new = acme.client.post(&rotate, json!({"overlapSeconds": 600})).await.expect(201).json;
    assert_eq!(time(&new["oldKeyExpiresAt"]), dawn() + TimeDelta::seconds(600));
    for same in ["principalId", "name", "role", "scopes", "projectIds", "expiresAt"] {
        assert_eq!(new[same], old[same], "{same}");
    }
    assert!(new["id"] != old["id"] && new["key"] != old["key"] && new["prefix"] != old["prefix"]);
    let [before, after] = [&old, &new].map(|key| server.client(&text(&key["key"])));
    before.get("/api/v1/projects").await.expect(200);
    after.get("/api/v1/projects").await.expect(200);
    acme.client.post(&rotate, json!({})).await.refused(409, "conflict"); // it has a successor already
    server.advance(600);
    before.get("/api/v1/projects").await.refused(401, "unauthenticated");
    after.get("/api/v1/projects").await.expect(200);
    acme.client.post(&rotate, json!({})).await.refused(409, "conflict");

    let rotate = format!("{}/rotate", path(&new));
    for overlap in [-1, 2_592_001, i64::MAX] {
        let refused = acme.client.post(&rotate, json!({ "overlapSeconds": overlap })).await;
        refused.refused(400, "invalid_request");
    }
    let newest = acme.client.post(&rotate, json!({})).await.expect(201).json;
    assert_eq!(time(&newest["oldKeyExpiresAt"]), dawn() + TimeDelta::seconds(600 + 86_400));
    let rotate = format!("{}/rotate", path(&newest));
    let last = acme.client.post(&rotate, json!({"overlapSeconds": 0})).await.expect(201).json;
    let newest = server.client(&text(&newest["key"]));
    newest.get("/api/v1/projects").await.refused(401, "unauthenticated");
    acme.client.delete(&path(&last)).await.expect(200);
    acme.client.post(&format!("{}/rotate", path(&last)), json!({})).await.refused(409, "conflict");
    let events = acme.client.get("/api/v1/security-events?action=key_rotated").await.expect(200).json;
    assert_eq!(events["items"].as_array().unwrap().len(), 3);
    assert_eq!(events["items"][2]["details"]["newKeyId"], new["id"]);
}

#[tokio::test]
async fn of_many_rotations_at_once_one_has_the_successor() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    for _ in 0..5 {
        let old = made(&acme.client, json!({"name": "ci", "role": "member"})).await;
        let rotate = format!("{}/rotate", path(&old));
        let answers = join_all((0..8).map(|_| acme.client.post(&rotate, json!({})))).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    }
}

#[tokio::test]
async fn a_key_that_is_used_while_it_is_rotated_is_never_refused() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let old = made(&acme.client, json!({"name": "ci", "role": "viewer"})).await;
    let client = server.client(&text(&old["key"]));
    let used = async {
        for _ in 0..50 {
            client.get("/api/v1/projects").await.expect(200);
        }
    };
    let rotate = format!("{}/rotate", path(&old));
    let (rotated, ()) = tokio::join!(acme.client.post(&rotate, json!({})), used);
    rotated.expect(201);
}

#[tokio::test]
async fn nobody_rotates_a_key_that_may_do_more_than_they() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let project = acme.project("Rocket").await;
    let owners = acme.client.get("/api/v1/api-keys").await.expect(200).json["items"][0].take();
    let wide = made(&acme.client, json!({"name": "ci", "role": "member"})).await;
    let scopes = ["keys.write", "projects.read"].map(|scope| scope.parse().unwrap());
    let projects = Some(vec![project.id.parse().unwrap()]);
    let admin = NewKey { role: Role::Admin, ..any_key() };
    for (weak, key) in [
        (admin.clone(), &owners),
        (NewKey { scopes: Some(scopes.into()), ..admin.clone() }, &wide),
        (NewKey { projects, ..admin.clone() }, &wide),
    ] {
        let weak = server.client(&server.key(acme.id, weak).await);
        weak.post(&format!("{}/rotate", path(key)), json!({})).await.refused(403, "insufficient_scope");
    }
    let admin = server.client(&server.key(acme.id, admin).await);
    admin.post(&format!("{}/rotate", path(&wide)), json!({})).await.expect(201);
}

#[tokio::test]
async fn when_a_key_was_last_used_is_known_within_a_minute_and_survives_a_stop() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let key = made(&acme.client, json!({"name": "ci", "role": "viewer"})).await;
    let unused = made(&acme.client, json!({"name": "idle", "role": "viewer"})).await;
    let last_used = async |client: &Client, key: &Value| {
        client.get(&path(key)).await.expect(200).json["lastUsedAt"].take()
    };
    server.client(&text(&key["key"])).get("/api/v1/projects").await.expect(200);
    assert!(last_used(&acme.client, &key).await.is_null(), "it is not in the way of the request");
    server.advance(60);
    eventually("its use is noted", async || !last_used(&acme.client, &key).await.is_null()).await;
    let noted = time(&last_used(&acme.client, &key).await);
    assert!(noted >= dawn() && noted <= dawn() + TimeDelta::seconds(60), "{noted}");
    assert!(last_used(&acme.client, &unused).await.is_null());

    server.advance(30);
    server.client(&text(&unused["key"])).get("/api/v1/projects").await.expect(200);
    let owner = acme.client.key.clone().unwrap();
    let server = server.restart().await;
    assert!(
        !last_used(&server.client(&owner), &unused).await.is_null(),
        "what was used is written at the end"
    );
}

#[tokio::test]
async fn a_key_that_may_not_manage_keys_ends_no_session_of_its_person() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let ada = Visitor::owner(&server).await;
    let principals = ada.open("/api/v1/principals").await.expect(200).json;
    let me = principals["items"].as_array().unwrap().iter().find(|one| one["kind"] == "user").unwrap();
    let session = ada.open("/api/v1/sessions").await.expect(200).json["items"][0].take();
    let path = format!("/api/v1/sessions/{}", text(&session["id"]));
    let own = async |scopes: &[&str]| {
        let body = json!({"name": "own", "principalId": me["id"], "scopes": scopes});
        let made = ada.page_request(Method::POST, "/api/v1/api-keys").json(&body);
        server.client(&text(&answer(made).await.expect(201).json["key"]))
    };
    let looks = own(&["status.read"]).await;
    assert_eq!(looks.get("/api/v1/sessions").await.expect(200).json["items"][0]["id"], session["id"]);
    looks.delete(&path).await.refused(403, "insufficient_scope");
    ada.open("/api/v1/tenant").await.expect(200);
    acme.client.delete(&path).await.refused(404, "not_found");
    own(&["status.read", "keys.write"]).await.delete(&path).await.expect(200);
    ada.open("/api/v1/tenant").await.refused(401, "unauthenticated");
}
