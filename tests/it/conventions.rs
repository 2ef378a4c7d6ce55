//! What all routes of the API have in common: limits, idempotency keys, versions, links between pages.

use std::collections::HashSet;

use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use trackside::accounts::{NewKey, Role};

use crate::support::{Answer, Client, Server, any_key, client::answer, eventually, number, text};

fn rocket() -> Value {
    json!({"name": "Rocket", "repoUrl": "https://github.com/acme/rocket"})
}

impl Client {
    /// A write with an idempotency key.
    fn keyed(&self, key: &str, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).header("idempotency-key", key).json(body)
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[tokio::test]
async fn the_same_write_with_the_same_key_has_one_effect_and_the_same_answer() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await;
    let create = || answer(tenant.client.keyed("k-1", "/api/v1/projects", &rocket()));
    let first = create().await.expect(201);
    let again = create().await.expect(201);
    assert_eq!(first.json, again.json, "the secret that is shown once too");
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    let projects = tenant.client.get("/api/v1/projects").await.expect(200).json;
    assert_eq!(projects["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_key_many_times_at_once_has_one_effect() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await;
    let tries = (0..20).map(|_| answer(tenant.client.keyed("k-1", "/api/v1/projects", &rocket())));
    let answers = join_all(tries).await;
    let made: HashSet<_> =
        answers.iter().filter(|answer| answer.status == 201).map(|answer| text(&answer.json["id"])).collect();
    assert_eq!(made.len(), 1);
    for refused in answers.into_iter().filter(|answer| answer.status != 201) {
        refused.refused(409, "conflict");
    }
    assert_eq!(number(&server.database().await, "SELECT count(*) FROM project").await, 1);
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_refused() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await;
    answer(tenant.client.keyed("k-1", "/api/v1/projects", &rocket())).await.expect(201);
    let other = json!({"name": "Other", "repoUrl": "https://github.com/acme/other"});
    answer(tenant.client.keyed("k-1", "/api/v1/projects", &other)).await.refused(422, "unprocessable");
    let another_path = answer(tenant.client.keyed("k-1", "/api/v1/api-keys", &rocket())).await;
    another_path.refused(422, "unprocessable");
    let long = "x".repeat(201);
    for bad in ["", "with space", &long] {
        answer(tenant.client.keyed(bad, "/api/v1/projects", &rocket())).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_request_that_was_refused_leaves_its_key_free() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await;
    let bad = json!({"name": "", "repoUrl": "https://github.com/acme/rocket"});
    answer(tenant.client.keyed("k-1", "/api/v1/projects", &bad)).await.refused(400, "invalid_request");
    answer(tenant.client.keyed("k-1", "/api/v1/projects", &rocket())).await.expect(201);
}

#[tokio::test]
async fn keys_belong_to_their_principal_and_are_forgotten_after_a_day() {
    let server = Server::start().await;
    let (acme, other) = (server.tenant("Acme").await, server.tenant("Other").await);
    let create = |client: Client| async move {
        answer(client.keyed("k-1", "/api/v1/projects", &rocket())).await.expect(201).json
    };
    let first = create(acme.client.clone()).await;
    assert_ne!(first["id"], create(other.client.clone()).await["id"], "another tenant's");
    let colleague = NewKey { role: Role::Admin, ..any_key() };
    let colleague = server.client(&server.key(acme.id, colleague).await);
    assert_ne!(first["id"], create(colleague).await["id"], "another principal's");
    server.advance(24 * 3600 + 1);
    assert_ne!(first["id"], create(acme.client.clone()).await["id"], "a day later");
    let database = server.database().await;
    eventually("the old ones are removed", async || {
        number(&database, "SELECT count(*) FROM idempotency_key").await == 1
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_kept_can_be_read_by_nobody_else() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await;
    let made = answer(tenant.client.keyed("k-1", "/api/v1/projects", &rocket())).await.expect(201).json;
    let database = server.database().await;
    let secret = hex::encode_upper(text(&made["webhookSecret"]));
    let hex = if server.place.is_postgres() { "upper(encode(sealed, 'hex'))" } else { "hex(sealed)" };
    let found = format!("SELECT count(*) FROM idempotency_key WHERE {hex} LIKE '%{secret}%'");
    assert_eq!(number(&database, &found).await, 0);
    assert_eq!(number(&database, "SELECT count(*) FROM idempotency_key WHERE sealed IS NOT NULL").await, 1);
}

#[tokio::test]
async fn a_write_whose_process_ended_before_its_answer_is_not_done_twice() {
    let server = Server::start().await;
    let tenant = server.tenant("Acme").await;
    answer(tenant.client.keyed("k-1", "/api/v1/projects", &rocket())).await.expect(201);
    let database = server.database().await;
    use sea_orm::ConnectionTrait as _;
    database.execute_unprepared("UPDATE idempotency_key SET sealed = NULL").await.unwrap();
    let again = answer(tenant.client.keyed("k-1", "/api/v1/projects", &rocket())).await;
    assert!(text(&again.refused(409, "conflict").json["detail"]).contains("look whether it was done"));
}

#[tokio::test]
async fn a_change_that_was_meant_for_another_version_is_refused() {
    let server = Server::start().await;
    let project = server.project().await;
    let shown = project.client.get(&project.path("")).await.expect(200);
    assert_eq!(shown.header("etag"), "\"1\"");
    let rename = |tag: &'static str, name: &str| {
        let request = project.client.request(Method::PATCH, &project.path(""));
        answer(request.header("if-match", tag).json(&json!({ "name": name })))
    };
    assert_eq!(rename("\"1\"", "Second").await.expect(200).header("etag"), "\"2\"");
    for stale in ["\"1\"", "W/\"2\"", "\"nonsense\"", "2", ""] {
        rename(stale, "Lost update").await.refused(412, "precondition_failed");
    }
    rename("\"1\", \"2\"", "Third").await.expect(200);
    rename("*", "Fourth").await.expect(200);
    let delete = |tag: &'static str| {
        answer(project.client.request(Method::DELETE, &project.path("")).header("if-match", tag))
    };
    delete("\"1\"").await.refused(412, "precondition_failed");
    delete("\"4\"").await.expect(204);
}

#[tokio::test]
async fn of_two_changes_that_were_meant_for_one_version_one_is_made() {
    let server = Server::start().await;
    let project = server.project().await;
    let renames = (0..10).map(|index| {
        let request = project.client.request(Method::PATCH, &project.path("")).header("if-match", "\"1\"");
        answer(request.json(&json!({ "name": format!("Name {index}") })))
    });
    let answers = join_all(renames).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 412).count(), 9);
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let server = Server::start().await;
    let project = server.project().await;
    let get = |tag: &'static str| {
        answer(project.client.request(Method::GET, &project.path("")).header("if-none-match", tag))
    };
    for known in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*"] {
        let answer = get(known).await.expect(304);
        assert_eq!((answer.body.as_str(), answer.header("etag")), ("", "\"1\""));
    }
    get("\"0\"").await.expect(200);
}

#[tokio::test]
async fn a_list_leads_to_its_next_page_and_keeps_what_was_asked() {
    let server = Server::start().await;
    let project = server.project().await;
    for index in 0..5 {
        project.deliver_bytes(&format!("d-{index}"), "star", b"{}".to_vec()).await.expect(202);
    }
    project.settled().await;
    let (mut next, mut seen) = (project.path("/deliveries?eventType=star&limit=2"), Vec::new());
    while !next.is_empty() {
        let page = project.client.get(&next).await.expect(200);
        seen.extend(page.json["items"].as_array().unwrap().iter().map(|row| text(&row["deliveryId"])));
        let link = page.header("link");
        assert_eq!(link.is_empty(), page.json["nextCursor"].is_null());
        next =
            link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap_or("").into();
        assert!(next.is_empty() || next.contains("eventType=star&limit=2&cursor="), "{next}");
    }
    assert_eq!(seen, ["d-4", "d-3", "d-2", "d-1", "d-0"]);
}

/// Redis lives by its own clock, which no test moves; `redis.rs` has the tests of its buckets.
const WITHOUT_REDIS: (&str, &str) = ("REDIS_URL", "");

#[tokio::test]
async fn a_principal_beyond_its_limit_is_told_when_to_come_back_and_harms_nobody() {
    let server = Server::start_with(&[("TRACKSIDE_REST_PER_MINUTE", "3"), WITHOUT_REDIS]).await;
    let (busy, other) = (server.tenant("Busy").await.client, server.tenant("Other").await.client);
    for left in ["2", "1", "0"] {
        let answer = busy.get("/api/v1/tenant").await.expect(200);
        assert_eq!((answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")), ("3", left));
        assert_eq!(answer.header("ratelimit-policy"), "\"rest\";q=3;w=60");
        assert!(answer.header("ratelimit").starts_with(&format!("\"rest\";r={left};t=")));
    }
    let refused = busy.get("/api/v1/tenant").await.refused(429, "rate_limited");
    assert_eq!((refused.header("retry-after"), refused.header("x-ratelimit-remaining")), ("20", "0"));
    other.get("/api/v1/tenant").await.expect(200);
    busy.get("/health").await.expect(200);
    server.advance(20);
    busy.get("/api/v1/tenant").await.expect(200);
    busy.get("/api/v1/tenant").await.refused(429, "rate_limited");
}

#[tokio::test]
async fn a_projects_webhooks_are_limited_and_what_is_not_signed_uses_nothing_up() {
    let server = Server::start_with(&[("TRACKSIDE_INGEST_PER_MINUTE", "2"), WITHOUT_REDIS]).await;
    let (busy, other) = (server.project().await, server.project().await);
    for _ in 0..5 {
        let forged = [("x-hub-signature-256", "sha256=00"), ("x-github-delivery", "d")];
        busy.client
            .clone()
            .without_key()
            .post_bytes(&busy.endpoint(), &forged, b"{}".to_vec())
            .await
            .expect(401);
    }
    for id in ["d-1", "d-2"] {
        busy.deliver_bytes(id, "ping", b"{}".to_vec()).await.expect(202);
    }
    let refused = busy.deliver_bytes("d-3", "ping", b"{}".to_vec()).await.refused(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "30");
    other.deliver_bytes("d-1", "ping", b"{}".to_vec()).await.expect(202);
    server.advance(30);
    busy.deliver_bytes("d-3", "ping", b"{}".to_vec()).await.expect(202);
}
