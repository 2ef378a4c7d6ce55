//! Clients of others, each as its users have it, against a server that really runs.
//!
//! Each lists the tools, finds its project, reads what changed there, and makes a mistake, over the newest revision
//! and an older one where it speaks both.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use poem::{EndpointExt as _, Request};
use rmcp::{
    ClientLifecycleMode, ClientServiceExt as _,
    model::{CallToolRequestParams, ClientConfig, ProtocolVersion},
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;
use trackside::{
    http,
    samples::{Commit, Repository},
};

use super::conformance::listen;
use crate::support::{
    Project, Server, dawn,
    programs::{node, python},
    text,
};

const NEWEST: &str = "2026-07-28";
const OLDER: &str = "2025-11-25";

#[tokio::test]
async fn the_inspector_works() {
    let place = Place::new().await;
    for (era, revision) in [("modern", NEWEST), ("legacy", OLDER)] {
        // It does not tell over which revision it came: the door that it comes through does.
        let heard = Arc::new(Mutex::new(BTreeSet::new()));
        let door = http::endpoint(Arc::clone(&place.server.service.app)).before({
            let heard = Arc::clone(&heard);
            move |request: Request| {
                heard.lock().unwrap().extend(request.header("mcp-protocol-version").map(str::to_owned));
                async move { Ok(request) }
            }
        });
        let address = listen(&place.server, door).await;
        inspect(&place, &format!("http://{address}/mcp"), era).await.went_well(&place);
        assert_eq!(*heard.lock().unwrap(), BTreeSet::from([revision.to_owned()]));
    }
}

#[tokio::test]
async fn the_python_client_works() {
    let place = Place::new().await;
    place.receives(python("python_mcp.py"), "modern").await.speaks(NEWEST).went_well(&place);
    place.receives(python("python_mcp.py"), "legacy").await.speaks(OLDER).went_well(&place);
}

#[tokio::test]
async fn fastmcp_works() {
    let place = Place::new().await;
    place.receives(python("fastmcp_client.py"), "modern").await.speaks(NEWEST).went_well(&place);
    place.receives(python("fastmcp_client.py"), "legacy").await.speaks(OLDER).went_well(&place);
}

#[tokio::test]
async fn the_typescript_client_works() {
    let place = Place::new().await;
    place.receives(node("typescript_client.mjs"), "modern").await.speaks(NEWEST).went_well(&place);
    place.receives(node("typescript_client.mjs"), "legacy").await.speaks(OLDER).went_well(&place);
}

#[tokio::test]
async fn the_older_typescript_sdk_works() {
    let place = Place::new().await;
    place.receives(node("typescript_sdk.mjs"), "legacy").await.speaks(OLDER).went_well(&place);
}

#[tokio::test]
async fn the_rust_client_works_over_every_revision() {
    let place = Place::new().await;
    for revision in ProtocolVersion::KNOWN_VERSIONS {
        let lifecycle = match *revision < ProtocolVersion::V_2026_07_28 {
            true => ClientLifecycleMode::Initialize,
            false => ClientLifecycleMode::Discover { preferred_versions: vec![revision.clone()] },
        };
        let config = StreamableHttpClientTransportConfig::with_uri(place.url()).auth_header(place.key());
        let transport = StreamableHttpClientTransport::from_config(config);
        let visitor = ClientConfig::default().with_protocol_version(revision.clone());
        let client = visitor.serve_with_lifecycle(transport, lifecycle).await.unwrap();
        let tools = client.list_all_tools().await.unwrap().into_iter().map(|tool| tool.name.into_owned());
        let mut visit = Visit { revision: None, tools: tools.collect(), results: Vec::new() };
        for (name, arguments) in place.calls() {
            let arguments = arguments.as_object().unwrap().clone();
            let result = client.call_tool(CallToolRequestParams::new(name).with_arguments(arguments)).await;
            visit.results.push(json!(result.unwrap()));
        }
        visit.revision = client.peer_info().map(|server| server.protocol_version.to_string());
        visit.speaks(revision.as_str()).went_well(&place);
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_starts_the_binary_gets_the_same_tools() {
    let place = Place::new().await;
    for (program, era) in [
        (node("typescript_client.mjs"), "modern"),
        (python("python_mcp.py"), "modern"),
        (python("python_mcp.py"), "legacy"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings: serde_json::Map<_, _> =
            place.server.place.settings().into_iter().map(|(name, value)| (name, json!(value))).collect();
        settings.insert("TRACKSIDE_API_KEY".into(), json!(place.key()));
        let visit = json!({
            "command": [env!("CARGO_BIN_EXE_trackside"), "mcp"],
            "folder": folder.path(),
            "env": settings,
            "era": era,
            "calls": place.calls(),
        });
        let revision = if era == "modern" { NEWEST } else { OLDER };
        ask(program, &visit).await.speaks(revision).went_well(&place);
    }
}

/// Where a client comes to: its project, beside one of somebody else.
struct Place {
    server: Server,
    project: Project,
}

impl Place {
    async fn new() -> Self {
        let server = Server::start().await;
        server.tenant("Others").await.project("Hidden").await;
        let project = server.project().await;
        let commit = Commit { message: "docs: the PRD", added: &["docs/prd.md"], ..Commit::default() };
        let push = Repository::new("acme/rocket", dawn()).push("main", &[commit]);
        project.deliver("1", &push).await.expect(202);
        project.settled().await;
        Self { server, project }
    }

    fn url(&self) -> String {
        self.project.client.address("http", "/mcp")
    }

    fn key(&self) -> &str {
        self.project.client.key.as_deref().unwrap()
    }

    /// What is called: what is there, what happened, and a mistake.
    fn calls(&self) -> [(&'static str, Value); 3] {
        [
            ("list_projects", json!({})),
            ("list_changes", json!({"projectId": self.project.id})),
            ("list_changes", json!({"projectId": "rocket"})),
        ]
    }

    /// Lets a program make its visit.
    async fn receives(&self, program: Command, era: &str) -> Visit {
        let visit = json!({"url": self.url(), "key": self.key(), "era": era, "calls": self.calls()});
        ask(program, &visit).await
    }
}

/// Gives a program a visit to make.
async fn ask(mut program: Command, visit: &Value) -> Visit {
    serde_json::from_value(output(program.arg(visit.to_string())).await).unwrap()
}

/// What a program that works prints.
async fn output(program: &mut Command) -> Value {
    let output = program.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The Inspector does one thing at a time.
async fn inspect(place: &Place, url: &str, era: &str) -> Visit {
    let call = async |words: &[&str]| {
        let header = format!("Authorization: Bearer {}", place.key());
        let home = tempfile::tempdir().unwrap();
        let mut inspector =
            node("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js");
        inspector.env("HOME", home.path()).args(["--cli", url, "--transport", "http"]);
        inspector.args(["--header", &header, "--protocol-era", era, "--format", "json"]).args(words);
        output(&mut inspector).await["result"].take()
    };
    let listed = call(&["--method", "tools/list"]).await;
    let tools = listed["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
    let tools = tools.iter().map(|tool| text(&tool["name"])).collect();
    let mut results = Vec::new();
    for (name, arguments) in place.calls() {
        let pairs = arguments.as_object().unwrap().iter();
        let pairs: Vec<_> =
            pairs.map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
        let mut words = vec!["--method", "tools/call", "--tool-name", name];
        for pair in &pairs {
            words.extend(["--tool-arg", pair]);
        }
        results.push(call(&words).await);
    }
    Visit { revision: None, tools, results }
}

/// What came of a visit.
#[derive(Deserialize)]
struct Visit {
    revision: Option<String>,
    tools: Vec<String>,
    results: Vec<Value>,
}

impl Visit {
    #[track_caller]
    fn speaks(self, revision: &str) -> Self {
        assert_eq!(self.revision.as_deref(), Some(revision));
        self
    }

    #[track_caller]
    fn went_well(&self, place: &Place) {
        for tool in ["list_projects", "list_changes", "get_artifact"] {
            assert!(self.tools.iter().any(|listed| listed == tool), "{tool} in {:?}", self.tools);
        }
        let [found, changes, mistake] = &self.results[..] else { panic!("{:?}", self.results) };
        let told = |result: &Value| {
            let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
            assert_eq!(text, result["structuredContent"], "either alone is enough");
            text
        };
        let projects = told(found)["projects"].take();
        assert_eq!(projects.as_array().unwrap().len(), 1, "{projects}");
        assert_eq!(projects[0]["projectId"], place.project.id);
        assert!(told(changes)["changes"].to_string().contains("docs: the PRD"), "{changes}");
        assert_eq!((&found["isError"], &changes["isError"]), (&json!(false), &json!(false)));
        assert_eq!((&mistake["isError"], &told(mistake)["code"]), (&json!(true), &json!("invalid_request")));
    }
}
