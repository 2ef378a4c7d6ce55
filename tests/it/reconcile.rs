//! What GitHub could not deliver is asked for, against a GitHub of this test's own.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use poem::{
    EndpointExt as _, IntoResponse as _, Request, Response, Route, Server as Host, get, handler,
    http::StatusCode,
    listener::{Acceptor as _, Listener as _, TcpListener},
    post,
    web::{Data, Json, Path, Query},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{Project, Server, dawn, eventually, text};

const TOKEN: &str = "ghp_that_may_read_webhooks";

/// A try to deliver something, as GitHub remembers it.
#[derive(Clone)]
struct Try {
    id: u64,
    guid: String,
    at: DateTime<Utc>,
}

/// What GitHub knows of one repository's webhook.
#[derive(Default)]
struct Known {
    hook_url: String,
    /// Newest first.
    tries: Vec<Try>,
    /// What deliveries bring.
    bodies: BTreeMap<String, Vec<u8>>,
    /// The tries that were asked for again.
    again: Vec<u64>,
    /// Where it is delivered to; nothing comes of it while that is not known.
    to: Option<Project>,
}

struct GitHub {
    port: u16,
    known: Arc<Mutex<Known>>,
    serving: JoinHandle<()>,
}

impl GitHub {
    async fn start() -> Self {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let port = acceptor.local_addr()[0].as_socket_addr().unwrap().port();
        let known = Arc::<Mutex<Known>>::default();
        let routes = Route::new()
            .at("/api/v3/repos/acme/rocket/hooks", get(hooks))
            .at("/api/v3/repos/acme/rocket/hooks/7/deliveries", get(deliveries))
            .at("/api/v3/repos/acme/rocket/hooks/7/deliveries/:id/attempts", post(attempt))
            .data(Arc::clone(&known));
        let serving =
            tokio::spawn(async move { Host::new_with_acceptor(acceptor).run(routes).await.unwrap() });
        Self { port, known, serving }
    }

    /// A project on this GitHub, at a server that asks it.
    async fn project(&self) -> (Server, Project) {
        let api = format!("http://127.0.0.1:{}/api/v3", self.port);
        let server =
            Server::start_with(&[("TRACKSIDE_SCANS", "true"), ("TRACKSIDE_GITHUB_API_URL", &api)]).await;
        let url = format!("http://127.0.0.1:{}/acme/rocket.git", self.port);
        let project = server.tenant("Acme").await.project_at(&url).await;
        project.scanned().await;
        let shown = project.client.get(&project.path("")).await.expect(200).json;
        self.known.lock().hook_url = text(&shown["webhookUrls"]["github"]);
        (server, project)
    }

    /// Something happens of which GitHub can tell nobody.
    fn misses(&self, guid: &str, at: DateTime<Utc>) {
        let mut known = self.known.lock();
        let id = 100 + known.tries.len() as u64;
        known.tries.insert(0, Try { id, guid: guid.to_owned(), at });
        known.bodies.insert(guid.to_owned(), json!({"zen": guid}).to_string().into_bytes());
    }

    fn again(&self) -> Vec<u64> {
        self.known.lock().again.clone()
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn is_let_in(request: &Request) -> bool {
    request.header("authorization") == Some(&format!("Bearer {TOKEN}"))
}

#[handler]
fn hooks(request: &Request, known: Data<&Arc<Mutex<Known>>>) -> Response {
    if !is_let_in(request) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let other = json!({"id": 6, "config": {"url": "https://elsewhere.example.org/hook"}});
    Json(json!([other, {"id": 7, "config": {"url": known.lock().hook_url}}])).into_response()
}

/// Pages of two, so that there are several.
#[handler]
fn deliveries(
    request: &Request,
    query: Query<BTreeMap<String, String>>,
    known: Data<&Arc<Mutex<Known>>>,
) -> Response {
    if !is_let_in(request) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let from: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let known = known.lock();
    let page: Vec<_> = known.tries.iter().skip(from).take(2).collect();
    let page = page.iter().map(|one| {
        json!({"id": one.id, "guid": one.guid, "delivered_at": one.at, "redelivery": false, "status": "failed to connect",
               "status_code": 0, "event": "ping", "action": null})
    });
    let answer = Json(page.collect::<Value>()).into_response();
    if from + 2 >= known.tries.len() {
        return answer;
    }
    let host = request.header("host").unwrap();
    let next = format!("http://{host}{}?per_page=100&cursor={}", request.uri().path(), from + 2);
    answer.with_header("link", format!("<{next}>; rel=\"next\"")).into_response()
}

#[handler]
async fn attempt(request: &Request, Path(id): Path<u64>, known: Data<&Arc<Mutex<Known>>>) -> Response {
    if !is_let_in(request) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let (guid, body, to) = {
        let mut known = known.lock();
        known.again.push(id);
        let guid = known.tries.iter().find(|one| one.id == id).unwrap().guid.clone();
        let id = 1000 + known.tries.len() as u64;
        known.tries.insert(0, Try { id, guid: guid.clone(), at: dawn() });
        (guid.clone(), known.bodies[&guid].clone(), known.to.clone())
    };
    if let Some(to) = to {
        tokio::spawn(async move { to.deliver_bytes(&guid, "ping", body).await.expect(202) });
    }
    StatusCode::ACCEPTED.into_response()
}

#[tokio::test]
async fn what_was_missed_in_the_last_three_days_comes_after_all() {
    let host = GitHub::start().await;
    let (server, project) = host.project().await;
    project.deliver_bytes("seen", "ping", b"{}".to_vec()).await.expect(202);
    host.misses("too-old", dawn() - TimeDelta::hours(73));
    host.misses("one", dawn() - TimeDelta::hours(71));
    host.misses("seen", dawn() - TimeDelta::hours(2));
    host.misses("two", dawn() - TimeDelta::hours(1));
    host.known.lock().to = Some(project.clone());
    project.client.put(&project.path("/provider-token"), json!({"token": TOKEN})).await.expect(204);

    let looked = project.scanned().await;
    assert_eq!(looked["reconciliation"]["redelivered"], 2, "{looked}");
    eventually("they are here", async || project.all("/deliveries").await.len() == 3).await;
    assert_eq!(host.again(), [101, 103], "the older one first");
    // Nothing is missing any more, and nothing is asked for.
    server.advance(3601);
    eventually("it looks again", async || project.scanned().await["reconciliation"]["redelivered"] == 0)
        .await;
    assert_eq!(host.again().len(), 2);
}

#[tokio::test]
async fn what_never_arrives_is_not_asked_for_for_ever() {
    let host = GitHub::start().await;
    let (_server, project) = host.project().await;
    host.misses("lost", dawn());
    project.client.put(&project.path("/provider-token"), json!({"token": TOKEN})).await.expect(204);
    for _ in 0..6 {
        project.scan_now().await;
    }
    assert_eq!(host.again().len(), 3, "GitHub's own try was the first of four");
}

#[tokio::test]
async fn a_host_that_cannot_be_asked_says_why_and_keeps_nobody_from_reading() {
    let host = GitHub::start().await;
    let (_server, project) = host.project().await;
    project.client.put(&project.path("/provider-token"), json!({"token": "ghp_other"})).await.expect(204);
    let scan = project.scanned().await;
    let why = text(&scan["reconciliation"]["failure"]);
    assert!(why.contains("webhooks") && !why.contains("ghp_"), "{why}");
    host.known.lock().hook_url = "https://elsewhere.example.org/".to_owned();
    project.client.put(&project.path("/provider-token"), json!({"token": TOKEN})).await.expect(204);
    let scan = project.scanned().await;
    assert!(text(&scan["reconciliation"]["failure"]).contains("no webhook to"), "{scan}");
}
