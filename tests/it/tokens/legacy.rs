//! Tokens of an older issuer.

use super::{OPEN, PUBLIC, forge, hs256, server, server_with};
use crate::support::{
    EventStream, Project, Server,
    agent::{Agent, Revision},
    dawn, text,
};
use serde_json::{Value, json};

const SECRET: &str = "the older issuer signed with this, for years";

/// A token of the older issuer.
fn old(claims: Value) -> String {
    forge(&json!({"alg": "HS256", "typ": "JWT"}), &claims, hs256(SECRET.as_bytes()))
}

async fn lenient() -> Server {
    let until = dawn() + chrono::TimeDelta::days(30);
    server_with(&[
        ("TRACKSIDE_LEGACY_HS256_SECRET", SECRET),
        ("TRACKSIDE_LEGACY_HS256_UNTIL", &until.to_rfc3339()),
    ])
    .await
}

#[tokio::test]
async fn a_token_of_an_older_issuer_stands_for_the_key_that_its_subject_names() {
    let server = lenient().await;
    let project = server.project().await;
    let exp = dawn().timestamp() + 3600;
    let other = project.tenant.project("Other").await;
    let mine = project.client.get("/api/v1/api-keys").await.expect(200).json["items"][0].clone();
    for subject in ["id", "principalId"] {
        let client =
            server.client(&old(json!({"sub": mine[subject], "exp": exp, "iss": "https://old.example"})));
        assert_eq!(client.get(OPEN).await.expect(200).json["name"], "Acme");
        let tools = Agent::new(&client, Revision::Newest).send("tools/list", json!({})).await;
        tools.expect(200);
        client.get("/api/v1/api-keys").await.expect(200);
    }
    // What it says of itself narrows it.
    let narrowed =
        |claims: Value| server.client(&old(super::but(&json!({"sub": mine["id"], "exp": exp}), claims)));
    let scoped = narrowed(json!({"scopes": ["mcp:status.read", "mcp:stories.read"]}));
    scoped.get(OPEN).await.expect(200);
    scoped.get("/api/v1/api-keys").await.refused(403, "insufficient_scope");
    narrowed(json!({"role": "viewer"})).get("/api/v1/api-keys").await.refused(403, "insufficient_scope");
    narrowed(json!({"role": "emperor"})).get(OPEN).await.refused(403, "insufficient_scope");
    let here = narrowed(json!({"projectIds": [project.id]}));
    here.get(&project.path("")).await.expect(200);
    here.get(&other.path("")).await.refused(404, "not_found");
    // So it does a ticket that is bought with it.
    let ticket = text(&here.post("/api/v1/stream-tickets", json!({})).await.expect(201).json["ticket"]);
    let stream = |project: &Project| project.path(&format!("/events/stream?ticket={ticket}"));
    let nobody = server.stranger();
    nobody.get(&stream(&other)).await.refused(404, "not_found");
    drop(EventStream::open(&nobody, &stream(&project), None).await.greeted().await);
    let nowhere = narrowed(json!({"projectIds": []})).post("/api/v1/stream-tickets", json!({})).await;
    let nowhere = text(&nowhere.expect(201).json["ticket"]);
    let path = project.path(&format!("/events/stream?ticket={nowhere}"));
    nobody.get(&path).await.refused(404, "not_found");
    narrowed(json!({"aud": format!("{PUBLIC}/mcp")})).get(OPEN).await.refused(401, "unauthenticated");
    narrowed(json!({"aud": [format!("{PUBLIC}/api/v1")]})).get(OPEN).await.expect(200);
    // It ends with its key.
    let key = project
        .client
        .post("/api/v1/api-keys", json!({"name": "old", "role": "viewer"}))
        .await
        .expect(201)
        .json;
    let client = server.client(&old(json!({"sub": key["principalId"], "exp": exp})));
    client.get(OPEN).await.expect(200);
    project.client.delete(&format!("/api/v1/api-keys/{}", text(&key["id"]))).await.expect(200);
    client.get(OPEN).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn what_an_older_issuer_did_not_sign_or_not_for_now_is_refused() {
    let server = lenient().await;
    let acme = server.tenant("Acme").await;
    let mine = acme.client.get("/api/v1/api-keys").await.expect(200).json["items"][0]["id"].clone();
    let now = dawn().timestamp();
    let good = json!({"sub": mine, "exp": now + 3600});
    server.client(&old(good.clone())).get(OPEN).await.expect(200);
    for change in [
        json!({"exp": null}),
        json!({"exp": (now + 60).to_string()}),
        json!({"exp": now}),
        json!({"exp": now + 7 * 86_400}),
        json!({"nbf": now + 3600}),
        json!({"iat": now + 3600}),
        json!({"sub": null}),
        json!({"sub": "somebody"}),
        json!({"sub": "01890000-0000-7000-8000-000000000000"}),
        json!({"iss": PUBLIC}),
        json!({"aud": "https://other.example"}),
    ] {
        let changed = old(super::but(&good, change.clone()));
        let refused = server.client(&changed).get(OPEN).await;
        assert_eq!(refused.status, 401, "{change}: {}", refused.body);
    }
    let header = json!({"alg": "HS256"});
    for secret in ["another secret, as long as the right one is", "", &SECRET[1..]] {
        let forged = forge(&header, &good, hs256(secret.as_bytes()));
        server.client(&forged).get(OPEN).await.refused(401, "unauthenticated");
    }
    let other = forge(&json!({"alg": "HS512"}), &good, hs256(SECRET.as_bytes()));
    server.client(&other).get(OPEN).await.refused(401, "unauthenticated");
    server.advance(30 * 86_400);
    let late = old(super::but(&good, json!({"exp": now + 30 * 86_400 + 60})));
    server.client(&late).get(OPEN).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn without_the_settings_no_such_token_is_good() {
    let server = server().await;
    let acme = server.tenant("Acme").await;
    let mine = acme.client.get("/api/v1/api-keys").await.expect(200).json["items"][0]["id"].clone();
    let token = old(json!({"sub": mine, "exp": dawn().timestamp() + 3600}));
    server.client(&token).get(OPEN).await.refused(401, "unauthenticated");
}
