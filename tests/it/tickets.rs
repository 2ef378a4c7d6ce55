//! Tickets for clients that cannot send headers, and how many streams somebody may have open.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use trackside::{
    accounts::{NewKey, Scope},
    samples::Repository,
};

use crate::support::{
    Client, EventStream, Project, Server, Socket, any_key, client::answer, dawn, eventually, number, text,
};

async fn ticket(client: &Client) -> String {
    text(&client.post("/api/v1/stream-tickets", json!({})).await.expect(201).json["ticket"])
}

fn stream_path(project: &Project, ticket: &str) -> String {
    project.path(&format!("/events/stream?after=0&ticket={ticket}"))
}

/// What a socket that was not opened was answered.
async fn refusal(client: &Client, query: &str) -> (u16, Value) {
    let response = Socket::try_open(client, query).await.err().expect("a refusal");
    (response.status().as_u16(), serde_json::from_slice(response.body().as_deref().unwrap()).unwrap())
}

#[tokio::test]
async fn a_ticket_opens_streams_and_sockets_and_nothing_else() {
    let server = Server::start().await;
    let project = server.project().await;
    project.deliver("d-1", &Repository::new("acme/rocket", dawn()).ping()).await.expect(202);
    let made = project.client.post("/api/v1/stream-tickets", json!({})).await.expect(201);
    assert_eq!(made.json["expiresAt"], "2026-01-01T06:00:30Z");
    assert_eq!(made.headers["cache-control"], "no-store");
    let ticket = text(&made.json["ticket"]);
    let nobody = server.stranger();
    let mut stream = EventStream::open(&nobody, &stream_path(&project, &ticket), None).await;
    assert_eq!(stream.next().await.unwrap().position(), 1);
    let mut socket = Socket::try_open(&nobody, &format!("?ticket={ticket}")).await.unwrap();
    socket.subscribe(&project, Some("0")).await;
    socket.control("subscribed").await;
    assert_eq!(socket.position(&project).await, 1);
    for path in
        [project.path(""), project.path("/events"), "/api/v1/projects".into(), "/api/v1/tenant".into()]
    {
        nobody.get(&format!("{path}?ticket={ticket}")).await.refused(401, "unauthenticated");
        let bearer = nobody.request(Method::GET, &path).bearer_auth(&ticket);
        answer(bearer).await.refused(401, "unauthenticated");
    }
    let more = nobody.request(Method::POST, &format!("/api/v1/stream-tickets?ticket={ticket}"));
    answer(more).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_ticket_has_to_be_used_in_time_and_then_stays_good_for_reconnects_to_any_instance() {
    let server = Server::start().await;
    let project = server.project().await;
    let (used, late) = (ticket(&project.client).await, ticket(&project.client).await);
    let nobody = server.stranger();
    server.advance(29);
    drop(EventStream::open(&nobody, &stream_path(&project, &used), None).await);
    server.advance(1);
    let refused = nobody.get(&stream_path(&project, &late)).await.refused(401, "unauthenticated");
    assert!(text(&refused.json["detail"]).contains("POST /api/v1/stream-tickets"), "it says what to do");
    assert!(!refused.body.contains(&late), "and does not repeat it");
    assert_eq!(refusal(&nobody, &format!("?ticket={late}")).await.0, 401);
    server.advance(86_400);
    drop(EventStream::open(&nobody, &stream_path(&project, &used), None).await);
    Socket::try_open(&nobody, &format!("?ticket={used}")).await.unwrap();
    let server = server.restart().await;
    let project = server.again(&project);
    drop(EventStream::open(&server.stranger(), &stream_path(&project, &used), None).await);
    let elsewhere = server.another(&[]).await;
    drop(EventStream::open(&elsewhere.stranger(), &stream_path(&project, &used), None).await);
    elsewhere.stranger().get(&stream_path(&project, &late)).await.refused(401, "unauthenticated");
    // A month later it is forgotten, and its client makes a new one.
    server.advance(31 * 86_400);
    let database = server.database().await;
    eventually("what is old is forgotten", async || {
        number(&database, "SELECT count(*) FROM stream_ticket").await == 0
    })
    .await;
    let server = server.restart().await;
    let project = server.again(&project);
    server.stranger().get(&stream_path(&project, &used)).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_ticket_never_does_more_than_its_key_and_ends_with_it() {
    let server = Server::start().await;
    let project = server.project().await;
    let other = project.tenant.project("Other").await;
    let made = json!({"name": "page", "role": "viewer", "projectIds": [project.id]});
    let made = project.client.post("/api/v1/api-keys", made).await.expect(201).json;
    let ticket = ticket(&server.client(&text(&made["key"]))).await;
    let nobody = server.stranger();
    let mut stream = EventStream::open(&nobody, &stream_path(&project, &ticket), None).await.greeted().await;
    nobody.get(&stream_path(&other, &ticket)).await.refused(404, "not_found");
    let mut socket = Socket::try_open(&nobody, &format!("?ticket={ticket}")).await.unwrap();
    socket.subscribe(&other, Some("0")).await;
    assert_eq!(socket.control("error").await["code"], "not_found");
    project.client.delete(&format!("/api/v1/api-keys/{}", text(&made["id"]))).await.expect(200);
    assert!(stream.next().await.is_none(), "the stream ends");
    socket.control("error").await;
    assert_eq!(socket.ended().await, Some(1008));
    nobody.get(&stream_path(&project, &ticket)).await.refused(401, "unauthenticated");
    assert_eq!(refusal(&nobody, &format!("?ticket={ticket}")).await.1["code"], "unauthenticated");
    let blind = NewKey { scopes: Some([Scope::StatusRead].into()), ..any_key() };
    let blind = server.client(&server.key(project.tenant.id, blind).await);
    blind.post("/api/v1/stream-tickets", json!({})).await.refused(403, "insufficient_scope");
    assert_eq!(refusal(&blind, "").await.1["code"], "insufficient_scope");
}

#[tokio::test]
async fn a_ticket_that_was_bought_with_a_token_ends_with_the_token_though_its_key_goes_on() {
    let server = Server::start().await;
    let project = server.project().await;
    let bearer = server.client(&crate::tokens::token(&project.client, &[]).await);
    let (of_token, of_key) = (ticket(&bearer).await, ticket(&project.client).await);
    let nobody = server.stranger();
    let open = async |ticket: &str| EventStream::open(&nobody, &stream_path(&project, ticket), None).await;
    let mut stream = open(&of_token).await.greeted().await;
    drop(open(&of_key).await);
    let mut socket = Socket::try_open(&nobody, &format!("?ticket={of_token}")).await.unwrap();
    server.advance(3599);
    drop(open(&of_token).await.greeted().await);
    server.advance(1);
    assert!(stream.next().await.is_none(), "the stream ends");
    assert_eq!(socket.ended().await, Some(1008));
    let refused = nobody.get(&stream_path(&project, &of_token)).await.refused(401, "unauthenticated");
    assert!(text(&refused.json["detail"]).contains("POST /api/v1/stream-tickets"), "it says what to do");
    assert_eq!(refusal(&nobody, &format!("?ticket={of_token}")).await.0, 401);
    drop(open(&of_key).await.greeted().await);
}

/// What is logged, kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_ticket_is_in_no_log_whatever_becomes_of_it() {
    let kept = Kept::default();
    let writer = kept.clone();
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    let log = log.with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(log); // for this thread, on which all of this test runs
    let server = Server::start().await;
    let project = server.project().await;
    let ticket = ticket(&project.client).await;
    let nobody = server.stranger();
    EventStream::open(&nobody, &stream_path(&project, &ticket), None).await.greeted().await;
    Socket::try_open(&nobody, &format!("?ticket={ticket}")).await.unwrap();
    nobody.get(&format!("/api/v1/projects?ticket={ticket}")).await.refused(401, "unauthenticated");
    nobody.get(&format!("/nowhere?ticket={ticket}")).await.refused(404, "not_found");
    nobody.get(&format!("{}x", stream_path(&project, &ticket))).await.refused(401, "unauthenticated");
    server.service.stop().await;
    let kept = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert!(kept.contains("/events/stream"), "requests are logged: {kept}");
    // The parts that this test's own clients log are not the service's.
    let ours = kept.lines().filter(|line| !line.contains("tungstenite::"));
    assert!(!ours.clone().any(|line| line.contains(&ticket[4..])), "{}", ours.collect::<String>());
}

#[tokio::test]
async fn a_ticket_that_was_changed_or_made_up_is_refused() {
    let server = Server::start().await;
    let project = server.project().await;
    let ticket = ticket(&project.client).await;
    let elsewhere = Server::start().await;
    let foreign = self::ticket(&elsewhere.project().await.client).await;
    let key = project.client.key.clone().unwrap();
    let mut forged =
        vec![String::new(), "tst_".into(), ticket[4..].into(), format!("{ticket}A"), foreign, key];
    for at in [4, 20, 60, 100] {
        let other = if ticket.as_bytes()[at] == b'A' { "B" } else { "A" };
        forged.push(format!("{}{other}{}", &ticket[..at], &ticket[at + 1..]));
    }
    for forged in forged {
        let path = stream_path(&project, &forged);
        server.stranger().get(&path).await.refused(401, "unauthenticated");
    }
    EventStream::open(&server.stranger(), &stream_path(&project, &ticket), None).await;
}

#[tokio::test]
async fn a_principal_has_so_many_streams_open_and_no_more_and_nobody_else_notices() {
    let server = Server::start_with(&[("TRACKSIDE_STREAMS_PER_PRINCIPAL", "2")]).await;
    let project = server.project().await;
    let stream = project.follow(None).await.greeted().await;
    let ticket = ticket(&project.client).await;
    let _socket = Socket::try_open(&server.stranger(), &format!("?ticket={ticket}")).await.unwrap();
    let path = project.path("/events/stream");
    project.client.get(&path).await.refused(429, "rate_limited");
    server.stranger().get(&stream_path(&project, &ticket)).await.refused(429, "rate_limited");
    assert_eq!(refusal(&project.client, "").await.0, 429);
    let other = server.key(project.tenant.id, any_key()).await;
    Socket::open(&server.client(&other)).await;
    drop(stream);
    eventually("there is room again", async || Socket::try_open(&project.client, "").await.is_ok()).await;
}
