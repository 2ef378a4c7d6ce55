//! The conformance suite of the protocol's own project, for the newest revision and the one before.
//!
//! It calls tools, prompts and resources by names of its own, so it meets a [`Fixture`] that has them, on our accept
//! loop, behind our admission, Origin check, authentication and mount; and it meets the service itself, where what
//! needs those names fails. `tests/clients/conformance.toml` says what must pass, and what may fail and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use poem::{
    Endpoint, EndpointExt as _, Request, Response,
    http::{HeaderValue, header},
};
use serde::Deserialize;
use serde_json::json;
use trackside::{http, mcp, server};

use super::fixture::Fixture;
use crate::support::{Client, Server, process::free_port, programs};

const NEWEST: &str = "2026-07-28";
const BEFORE: &str = "2025-11-25";

#[tokio::test]
async fn the_mount_conforms_to_the_newest_revision() {
    let server = Server::start().await;
    run(serve(&server, fixture(&server)).await, "fixture", NEWEST).await.conforms();
}

#[tokio::test]
async fn the_mount_conforms_to_the_revision_before() {
    let server = Server::start().await;
    run(serve(&server, fixture(&server)).await, "fixture", BEFORE).await.conforms();
}

#[tokio::test]
async fn the_service_conforms_to_both_where_it_has_what_the_suite_calls() {
    // The suite asks the same again and again, and the clock stands still.
    let server = Server::start_with(&[("TRACKSIDE_TOOLS_PER_MINUTE", "60000")]).await;
    let address = serve(&server, service(&server)).await;
    for revision in [NEWEST, BEFORE] {
        run(address, "service", revision).await.conforms();
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_conforms_to_nothing() {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], free_port()));
    for revision in [NEWEST, BEFORE] {
        let run = run(nowhere, "fixture", revision).await;
        assert!(
            run.checks.values().flatten().any(|check| check.status == "SUCCESS"),
            "some checks pass all alone"
        );
        let why = run.complaints().join("\n");
        assert!(why.contains("tools-list:") && why.contains("ended with Some(1)"), "{why}");
    }
    let mut run = run(nowhere, "fixture", NEWEST).await;
    run.checks.clear();
    run.code = Some(0);
    assert!(run.complaints().contains(&"server-stateless was not tried".to_owned()));
}

#[tokio::test]
async fn the_fixture_stands_behind_the_same_door_as_the_service() {
    let server = Server::start().await;
    let without_key = listen(&server, fixture(&server)).await;
    let client = Client::new(format!("http://{without_key}"), None);
    client.post("/mcp", json!({})).await.refused(401, "unauthenticated");
}

/// The service with the suite's names at `/mcp`.
fn fixture(server: &Server) -> impl Endpoint<Output = Response> + 'static {
    let (app, fixture) = (Arc::clone(&server.service.app), Fixture::new());
    let mount = mcp::mount_handler(Arc::clone(&app), move || fixture.clone());
    http::endpoint_with(app, mount)
}

/// The service as it is.
fn service(server: &Server) -> impl Endpoint<Output = Response> + 'static {
    http::endpoint(Arc::clone(&server.service.app))
}

/// The suite has no credentials to send: they are added in front of the service.
async fn serve(server: &Server, endpoint: impl Endpoint<Output = Response> + 'static) -> SocketAddr {
    let key = server.tenant("suite").await.client.key.unwrap();
    let bearer = HeaderValue::from_str(&format!("Bearer {key}")).unwrap();
    let endpoint = endpoint.before(move |mut request: Request| {
        request.headers_mut().insert(header::AUTHORIZATION, bearer.clone());
        async move { Ok(request) }
    });
    listen(server, endpoint).await
}

/// Takes connections as the service does.
pub(super) async fn listen(
    server: &Server,
    endpoint: impl Endpoint<Output = Response> + 'static,
) -> SocketAddr {
    let listener = server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let stop = server.service.app.shutdown.clone();
    tokio::spawn(server::serve(listener, endpoint, 100, stop, Duration::ZERO));
    address
}

/// What the suite has to find.
#[derive(Deserialize)]
struct Expected {
    required: Vec<Required>,
    not_applicable: Vec<NotApplicable>,
}

#[derive(Deserialize)]
struct Required {
    handler: String,
    revision: String,
    names: BTreeSet<String>,
}

#[derive(Deserialize)]
struct NotApplicable {
    handlers: Vec<String>,
    revision: String,
    names: Vec<String>,
    reason: String,
}

/// What became of one check.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    id: String,
    status: String,
    error_message: Option<String>,
}

/// What the suite found, by scenario, beside what was expected.
struct Run {
    required: BTreeSet<String>,
    not_applicable: BTreeSet<String>,
    checks: BTreeMap<String, Vec<Check>>,
    code: Option<i32>,
}

/// Runs what a revision requires, and what the suite has beyond that.
async fn run(address: SocketAddr, handler: &str, revision: &str) -> Run {
    let expected: Expected =
        toml::from_str(&fs::read_to_string(programs::file("conformance.toml")).unwrap()).unwrap();
    let required =
        expected.required.into_iter().filter(|row| row.handler == handler && row.revision == revision);
    let excused = expected.not_applicable.into_iter().filter(|row| {
        assert!(!row.reason.is_empty(), "{:?} has no reason", row.names);
        row.handlers.iter().any(|named| named == handler) && row.revision == revision
    });
    let not_applicable: BTreeSet<_> = excused.flat_map(|row| row.names).collect();

    let folder = tempfile::tempdir().unwrap();
    let failures = folder.path().join("expected-failures.yml");
    let listed: String = not_applicable.iter().map(|name| format!("  - {name}\n")).collect();
    fs::write(&failures, format!("server:\n{listed}")).unwrap();
    let out = folder.path().join("out");
    let status = programs::node("node_modules/@modelcontextprotocol/conformance/dist/index.js")
        .args(["server", "--url", &format!("http://{address}/mcp"), "--requirements", revision])
        .arg("--expected-failures")
        .arg(&failures)
        .arg("--output-dir")
        .arg(&out)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .await
        .unwrap();
    let checks = fs::read_dir(&out).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        // server-{scenario}-{time}, and the time is as long as `-2026-01-01T00-00-00-000Z`.
        let name = path.file_name().unwrap().to_str().unwrap().strip_prefix("server-").unwrap();
        // A scenario that broke down leaves no checks.
        let checks = fs::read(path.join("checks.json")).map(|text| serde_json::from_slice(&text).unwrap());
        (name[..name.len() - 25].to_owned(), checks.unwrap_or_default())
    });
    Run {
        required: required.flat_map(|row| row.names).collect(),
        not_applicable,
        checks: checks.collect(),
        code: status.code(),
    }
}

impl Run {
    #[track_caller]
    fn conforms(&self) {
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    /// Everything that is not as it was expected.
    fn complaints(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut excused = BTreeSet::new();
        for (scenario, checks) in &self.checks {
            if checks.is_empty() {
                wrong.push(format!("{scenario} broke down"));
            }
            for check in checks.iter().filter(|check| ["FAILURE", "WARNING"].contains(&&*check.status)) {
                let name = format!("{scenario}:{}", check.id);
                match [scenario, &name].into_iter().find(|name| self.not_applicable.contains(*name)) {
                    Some(listed) => drop(excused.insert(listed.clone())),
                    None => {
                        wrong.push(format!("{name}: {}", check.error_message.as_deref().unwrap_or_default()))
                    }
                }
            }
        }
        let stale = self.not_applicable.difference(&excused);
        wrong.extend(stale.map(|name| format!("{name} passes, and is listed as not applicable")));
        for name in &self.required {
            match self.checks.get(name) {
                None => wrong.push(format!("{name} was not tried")),
                Some(checks) if !checks.iter().any(Check::found_something_right) => {
                    wrong.push(format!("{name} found nothing right"));
                }
                Some(_) => {}
            }
        }
        if self.code != Some(0) {
            wrong.push(format!("the suite ended with {:?}", self.code));
        }
        wrong
    }
}

impl Check {
    /// That no message was malformed is true of no messages as well.
    fn found_something_right(&self) -> bool {
        self.status == "SUCCESS" && self.id != "wire-schema-valid"
    }
}
