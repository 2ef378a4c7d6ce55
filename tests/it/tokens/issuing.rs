//! What buys a token, and how much of one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use trackside::accounts::NewKey;

use super::{OPEN, PUBLIC, ask, read, server, server_with, token, trade};
use crate::support::{
    Project, Server,
    agent::{Agent, Revision},
    any_key, dawn, eventually, text,
};

/// Whether a token opens the REST API, and the tools.
async fn opens(server: &Server, token: &str) -> (bool, bool) {
    let client = server.client(token);
    let tools = Agent::new(&client, Revision::Newest).send("tools/list", json!({})).await;
    let api = client.get(OPEN).await;
    assert!([api.status, tools.status].iter().all(|status| matches!(status, 200 | 401)));
    (api.status == 200, tools.status == 200)
}

#[tokio::test]
async fn a_token_is_good_for_the_resources_it_was_asked_for() {
    let server = server().await;
    let acme = server.tenant("Acme").await;
    let (api, mcp) = (format!("{PUBLIC}/api/v1"), format!("{PUBLIC}/mcp"));
    for (resources, expected) in [
        (vec![], (true, true)),
        (vec![PUBLIC], (true, true)),
        (vec![&*api], (true, false)),
        (vec![&*mcp], (false, true)),
        (vec![&*api, &*mcp], (true, true)),
    ] {
        let asked: Vec<_> = resources.iter().map(|resource| ("resource", *resource)).collect();
        assert_eq!(opens(&server, &token(&acme.client, &asked).await).await, expected, "{resources:?}");
    }
    let slash = format!("{PUBLIC}/");
    assert_eq!(opens(&server, &token(&acme.client, &[("resource", &slash)]).await).await, (true, true));
    for other in ["https://other.example/mcp", "https://trackside.example/mcp/x", "mcp"] {
        let refused = trade(&acme.client, &[("resource", &*mcp), ("resource", other)]).await.expect(400);
        assert_eq!(refused.json["error"], "invalid_target", "{other}");
    }
}

#[tokio::test]
async fn a_token_may_do_less_than_its_key_and_never_more() {
    let server = server().await;
    let project = server.project().await;
    let narrow = trade(&project.client, &[("scope", "projects.read status.read")]).await.expect(200).json;
    assert_eq!(narrow["scope"], "projects.read status.read");
    let client = server.client(&text(&narrow["access_token"]));
    client.get(&project.path("")).await.expect(200);
    client.get(&project.path("/events")).await.refused(403, "insufficient_scope");
    client
        .post("/api/v1/api-keys", json!({"name": "x", "role": "viewer"}))
        .await
        .refused(403, "insufficient_scope");
    let new = NewKey { scopes: Some(["projects.read".parse().unwrap()].into()), ..any_key() };
    let weak = server.client(&server.key(project.tenant.id, new).await);
    assert_eq!(trade(&weak, &[]).await.expect(200).json["scope"], "projects.read");
    for more in ["projects.read projects.write", "moon.read", "  "] {
        let refused = trade(&weak, &[("scope", more)]).await.expect(400);
        assert_eq!(refused.json["error"], "invalid_scope", "{more}");
    }
    // A token that was made before its key lost a scope loses it too.
    let mine = server.client(&token(&project.client, &[]).await);
    mine.get(&project.path("/events")).await.expect(200);
    let elsewhere = server.database().await;
    elsewhere.execute_unprepared("UPDATE api_key SET scopes = '[\"projects.read\"]'").await.unwrap();
    eventually("the scope is lost", async || mine.get(&project.path("/events")).await.status == 403).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_in_the_words_of_oauth() {
    let server = server().await;
    let acme = server.tenant("Acme").await;
    let other = server.tenant("Other").await;
    let key = acme.client.key.as_deref().unwrap();
    let (id, slip) = (&key[..16], &key[..36]);
    let foreign = other.client.key.as_deref().unwrap();
    let grant = ("grant_type", "client_credentials");
    let known = ("client_id", id);
    for (parameters, status, error) in [
        (vec![known, ("client_secret", key)], 400, "invalid_request"),
        (vec![grant, ("client_secret", key)], 400, "invalid_request"),
        (vec![grant, known, known, ("client_secret", key)], 400, "invalid_request"),
        (vec![("grant_type", "password"), known, ("client_secret", key)], 400, "unsupported_grant_type"),
        (vec![grant, known], 401, "invalid_client"),
        (vec![grant, known, ("client_secret", slip)], 401, "invalid_client"),
        (vec![grant, known, ("client_secret", foreign)], 401, "invalid_client"),
        (vec![grant, ("client_id", key), ("client_secret", key)], 401, "invalid_client"),
    ] {
        let refused = ask(&acme.client, &parameters).await.expect(status);
        assert_eq!(refused.json["error"], error, "{parameters:?}");
        assert!(!refused.body.contains(key), "{}", refused.body);
    }
    let nobody = server.stranger();
    let json = nobody.post("/oauth/token", json!({"grant_type": "client_credentials"})).await.expect(400);
    assert_eq!(json.json["error"], "invalid_request");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let large = nobody.post_bytes("/oauth/token", &form, vec![b'a'; 100_000]).await.expect(400);
    assert_eq!(large.json["error"], "invalid_request");
    nobody.get("/oauth/token").await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_client_may_show_its_key_by_http_basic() {
    let server = server().await;
    let acme = server.tenant("Acme").await;
    let key = acme.client.key.as_deref().unwrap();
    let ask = async |pair: &str, form: &str| {
        let basic = format!("Basic {}", STANDARD.encode(pair));
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", &basic)];
        server.stranger().post_bytes("/oauth/token", &headers, form.as_bytes().to_vec()).await
    };
    let pair = format!("{}:{key}", &key[..16]);
    let grant = "grant_type=client_credentials";
    let granted = ask(&pair, grant).await.expect(200);
    server.client(&text(&granted.json["access_token"])).get(OPEN).await.expect(200);
    let refused = ask("tsk_unknown:nothing", grant).await.expect(401);
    assert_eq!(refused.json["error"], "invalid_client");
    assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    for twice in [format!("{grant}&client_secret={key}"), format!("{grant}&client_id=tsk_another")] {
        assert_eq!(ask(&pair, &twice).await.expect(400).json["error"], "invalid_request");
    }
}

#[tokio::test]
async fn a_token_ends_after_its_time_and_never_after_its_key() {
    let server = server_with(&[("TRACKSIDE_TOKEN_SECONDS", "600")]).await;
    let acme = server.tenant("Acme").await;
    let client = server.client(&token(&acme.client, &[]).await);
    let expires_at = Some(dawn() + TimeDelta::seconds(60));
    let short = server.client(&server.key(acme.id, NewKey { expires_at, ..any_key() }).await);
    let granted = trade(&short, &[]).await.expect(200).json;
    assert_eq!(granted["expires_in"], 60);
    let capped = server.client(&text(&granted["access_token"]));
    server.advance(59);
    capped.get(OPEN).await.expect(200);
    server.advance(1);
    capped.get(OPEN).await.refused(401, "unauthenticated");
    server.advance(539);
    client.get(OPEN).await.expect(200);
    server.advance(1);
    client.get(OPEN).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_token_ends_with_its_key_and_so_do_its_streams() {
    let server = server().await;
    let project = server.project().await;
    let made = json!({"name": "dashboard", "role": "viewer"});
    let made = project.client.post("/api/v1/api-keys", made).await.expect(201).json;
    let bought = token(&server.client(&text(&made["key"])), &[]).await;
    let viewer = Project { client: server.client(&bought), ..project.clone() };
    let mut stream = viewer.follow(None).await.greeted().await;
    project.client.delete(&format!("/api/v1/api-keys/{}", text(&made["id"]))).await.expect(200);
    viewer.client.get(OPEN).await.refused(401, "unauthenticated");
    assert_eq!(stream.next().await, None, "the stream ends");
    assert_eq!(
        trade(&server.client(&text(&made["key"])), &[]).await.expect(401).json["error"],
        "invalid_client"
    );
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_opened_it_and_others_of_the_same_key_go_on() {
    let server = server().await;
    let project = server.project().await;
    let viewer = Project { client: server.client(&token(&project.client, &[]).await), ..project.clone() };
    let mut of_token = viewer.follow(None).await.greeted().await;
    let mut of_key = project.follow(None).await.greeted().await;
    server.advance(3600);
    assert_eq!(of_token.next().await, None, "the token is over");
    let sample = trackside::samples::Repository::new("acme/rocket", dawn()).ping();
    project.deliver("d-1", &sample).await.expect(202);
    assert!(of_key.next().await.is_some(), "the key is not");
}

#[tokio::test]
async fn what_ends_a_key_in_another_process_ends_its_tokens_within_a_second_or_so() {
    let server = server().await;
    let acme = server.tenant("Acme").await;
    let client = server.client(&token(&acme.client, &[]).await);
    client.get(OPEN).await.expect(200);
    let elsewhere = server.database().await;
    for (change, expected) in [
        ("UPDATE principal SET deactivated_at = created_at", 401),
        ("UPDATE principal SET deactivated_at = NULL", 200),
        ("UPDATE api_key SET revoked_at = created_at", 401),
    ] {
        elsewhere.execute_unprepared(change).await.unwrap();
        eventually(change, async || client.get(OPEN).await.status == expected).await;
    }
}

#[tokio::test]
async fn a_token_says_who_issued_it_for_whom_and_what_it_rests_on() {
    let server = server().await;
    let acme = server.tenant("Acme").await;
    let (header, claims) = read(&token(&acme.client, &[("scope", "status.read")]).await);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("at+jwt")));
    assert_eq!(header.as_object().unwrap().len(), 3, "and its kid");
    let keys = acme.client.get("/api/v1/api-keys").await.expect(200).json;
    let key = &keys["items"][0];
    let expected = json!({
        "iss": PUBLIC,
        "sub": key["principalId"],
        "aud": [format!("{PUBLIC}/api/v1"), format!("{PUBLIC}/mcp")],
        "iat": dawn().timestamp(),
        "exp": dawn().timestamp() + 3600,
        "jti": claims["jti"],
        "client_id": key["prefix"],
        "scope": "status.read",
        "tenant": acme.id.to_string(),
        "credential": format!("key:{}", text(&key["id"])),
    });
    assert_eq!(claims, expected);
    assert!(claims["jti"].as_str().is_some_and(|id| id.len() == 36));
}
