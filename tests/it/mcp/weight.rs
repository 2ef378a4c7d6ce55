//! The tool server under weight: many agents at once, and one that floods.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use trackside::accounts::{NewKey, Scope};

use crate::support::{
    Client, Server,
    agent::{Agent, Revision},
    any_key, number,
};

/// Agents that stay within their limits, each over so many connections.
const AGENTS: usize = 30;
const CONNECTIONS: usize = 12;
/// What they call, and how often: less than a bucket each. The last two want more than they are given, and refuse.
const TOOLS: [&str; 4] = ["list_projects", "list_changes", "get_artifact", "get_run"];
const CALLS: usize = 45;
/// What one agent calls that does not, over how many connections.
const FLOOD: usize = 4_600;
const FLOODING: usize = 40;

/// A connection that does nothing but call tools, so that the test's own client takes little of the processors.
struct Line {
    address: String,
    stream: BufReader<TcpStream>,
    key: String,
    project: String,
}

impl Line {
    async fn open(client: &Client, project: &str) -> Self {
        let address = client.address("tcp", "").trim_start_matches("tcp://").to_owned();
        let stream = connect(&address).await;
        let key = client.key.clone().unwrap();
        Self { address, stream, key, project: project.to_owned() }
    }

    /// Calls a tool; gives its answer, word for word.
    async fn call(&mut self, tool: &str) -> String {
        let arguments = if tool == "list_projects" { json!({}) } else { json!({"projectId": self.project}) };
        let params = json!({"name": tool, "arguments": arguments});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             mcp-protocol-version: 2025-11-25\r\ncontent-length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        );
        loop {
            self.stream.write_all(request.as_bytes()).await.unwrap();
            match &*self.line().await {
                "HTTP/1.1 200 OK" => break,
                // A machine that is too busy to say whose key it is (P13) has not taken the call: it is sent again.
                status => assert_eq!(status, "HTTP/1.1 503 Service Unavailable"),
            }
            self.stream = connect(&self.address).await;
        }
        while !self.line().await.is_empty() {}
        // The answer comes in chunks, each behind its length; the last one is empty.
        let mut answer = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line().await, 16).unwrap();
            let begin = answer.len();
            answer.resize(begin + length, 0);
            self.stream.read_exact(&mut answer[begin..]).await.unwrap();
            assert_eq!(self.line().await, "");
            if length == 0 {
                return String::from_utf8(answer).unwrap();
            }
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }
}

async fn connect(address: &str) -> BufReader<TcpStream> {
    BufReader::new(TcpStream::connect(address).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_at_once_a_third_of_them_limited_leave_ten_thousand_records() {
    let server = Server::start().await;
    let tenant = server.tenant("acme").await;
    let project = tenant.project("rocket").await;
    let (done, refused, limited): (AtomicUsize, AtomicUsize, AtomicUsize) = Default::default();
    let call = async |line: &mut Line, tool: &str| {
        let answer = line.call(tool).await;
        let code = |code: &str| answer.contains(&format!(r#""code":"{code}""#));
        let (count, is_known) = match answer.contains(r#""isError":false"#) {
            true => (&done, true),
            false if code("rate_limited") => (&limited, true),
            // The tool itself may find the database too busy: that is a call, and recorded.
            false => (&refused, code("invalid_request") || code("unavailable")),
        };
        assert!(is_known, "{tool}: {answer}");
        count.fetch_add(1, Ordering::Relaxed);
        !std::ptr::eq(count, &limited)
    };
    let mut clients = Vec::new();
    for _ in 0..=AGENTS {
        clients.push(server.client(&server.key(tenant.id, any_key()).await));
    }
    let flooder = clients.pop().unwrap();
    let (call, project) = (&call, &project.id);
    let lanes = clients.iter().flat_map(|client| {
        (0..CONNECTIONS).map(move |lane| async move {
            let mut line = Line::open(client, project).await;
            for turn in (lane..TOOLS.len() * CALLS).step_by(CONNECTIONS) {
                assert!(call(&mut line, TOOLS[turn % TOOLS.len()]).await, "it stays within its limits");
            }
        })
    });
    let flood = (0..FLOODING).map(|lane| {
        let flooder = &flooder;
        async move {
            let mut line = Line::open(flooder, project).await;
            for _ in (lane..FLOOD).step_by(FLOODING) {
                call(&mut line, "list_projects").await;
            }
        }
    });
    tokio::join!(join_all(lanes), join_all(flood));

    let [done, refused, limited] = [done, refused, limited].map(|count| count.into_inner() as i64);
    assert_eq!(done + refused + limited, 10_000);
    assert!((2_500..=5_000).contains(&limited), "{limited} were limited");
    let database = server.database().await;
    for (result, told) in [("success", done), ("failure", refused), ("rate_limited", limited)] {
        let recorded = format!("SELECT count(*) FROM mcp_audit_log WHERE result = '{result}'");
        assert_eq!(number(&database, &recorded).await, told, "{result}");
    }
    let verified = trackside::audit::verify(&server.service.app, tenant.id).await.unwrap();
    assert!(verified.findings.is_empty(), "{:#?}", verified.findings);
    assert_eq!(verified.records, 10_000);
}

#[tokio::test]
async fn who_floods_with_made_up_or_forbidden_tools_is_limited_too_and_every_try_is_recorded() {
    let server = Server::start_with(&[("TRACKSIDE_TOOLS_PER_MINUTE", "5")]).await;
    let tenant = server.tenant("acme").await;
    let scopes = Some([Scope::ProjectsRead].into());
    let key = server.key(tenant.id, NewKey { scopes, ..any_key() }).await;
    let agent = Agent::new(&server.client(&key), Revision::Newest);
    let mut calls = 0;
    for (is_made_up, refusal) in [(true, "failure"), (false, "unauthorized")] {
        let mut refused = 0;
        for turn in 0..50 {
            let tool = if is_made_up { format!("made_up_{turn}") } else { "list_runs".to_owned() };
            let answer = agent.send("tools/call", json!({"name": tool, "arguments": {}})).await.json;
            calls += 1;
            if answer["result"]["structuredContent"]["code"] == "rate_limited" {
                break;
            }
            refused += 1;
        }
        // When Redis does not answer in time, the bucket of the process decides.
        assert!((5..=11).contains(&refused), "{refused} before the limit");
        let recorded = |result: &str| format!("/api/v1/tool-calls?result={result}&limit=200");
        let told = tenant.client.get(&recorded(refusal)).await.expect(200).json;
        assert_eq!(told["items"].as_array().unwrap().len(), refused);
    }
    let limited = tenant.client.get("/api/v1/tool-calls?result=rate_limited").await.expect(200).json;
    assert_eq!(limited["items"].as_array().unwrap().len(), 2);
    agent.get("list_projects", json!({})).await;
    let verified = trackside::audit::verify(&server.service.app, tenant.id).await.unwrap();
    assert_eq!((verified.findings.len(), verified.records), (0, calls + 1));
}
