//! Tool calls, beside servers that do nothing but echo: the SDK that the service is built on, on the same accept loop;
//! FastMCP; and the TypeScript SDK.
//!
//! `bench tools` measures all of them in turn, round after round, and writes `bench/TOOLS.md`. A call of the service is
//! authenticated, limited (by a bucket that is too large to be emptied), and recorded on disk before its answer; when a
//! round has ended there must be as many records as calls.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anstream::println;
use clap::Args;
use poem::{Endpoint, EndpointExt as _, IntoResponse as _, Response, endpoint::TowerCompatExt as _};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock},
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use scratch::free_port;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use trackside::server;

use crate::{
    Result,
    after::{connect, number},
    calls::{Call, Revision},
    child::{self, Contender, Kind, Place, Target},
    disk::Disk,
    load::Measured,
    postgres::Postgres,
    report::{self, Figures},
};

/// Connections that call.
const CONNECTIONS: usize = 16;
/// What the echoes are asked.
const ECHO: &str = "echo";

/// What to measure.
#[derive(Args)]
pub(crate) struct Tools {
    /// The tool of the service that is called
    #[arg(long, default_value = "get_project_status")]
    tool: String,
    /// A Python that has `fastmcp`; without it FastMCP is left out
    #[arg(long)]
    python: Option<PathBuf>,
    /// A folder `node_modules` with `@modelcontextprotocol/server`, `@modelcontextprotocol/node` and `zod`; without it
    /// the TypeScript SDK is left out
    #[arg(long)]
    node_modules: Option<PathBuf>,
}

/// Who is measured.
enum Peer {
    Trackside(PathBuf),
    Rmcp,
    FastMcp(PathBuf),
    TypeScript(PathBuf),
}

impl Peer {
    fn name(&self) -> &'static str {
        match self {
            Self::Trackside(_) => "Trackside",
            Self::Rmcp => "(b) rmcp, an echo",
            Self::FastMcp(_) => "(c) FastMCP, an echo",
            Self::TypeScript(_) => "(d) TypeScript SDK, an echo",
        }
    }

    /// Starts it; returns when it is ready.
    async fn start(&self, tools: &Tools, place: &Place) -> Result<Answering> {
        let (port, folder) = (free_port()?, TempDir::new()?);
        let mut command = match self {
            Self::Trackside(binary) => {
                let target = child::start(&Contender::new(Kind::Trackside, binary), place).await?;
                let (port, key, tool) = (target.port, target.key.clone(), tools.tool.clone());
                let project = target.path.rsplit('/').next().unwrap_or_default();
                let arguments = match &*tool {
                    "list_projects" => json!({}),
                    _ => json!({"projectId": project}),
                };
                return Ok(Answering { port, key, tool, arguments, process: Process::Service(target) });
            }
            Self::Rmcp => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("echo");
                command
            }
            Self::FastMcp(python) => {
                let mut command = Command::new(python);
                command.arg(script("echo.py"));
                command
            }
            Self::TypeScript(modules) => {
                // Modules are looked for beside the script.
                std::fs::copy(script("echo.mjs"), folder.path().join("echo.mjs"))?;
                std::os::unix::fs::symlink(modules, folder.path().join("node_modules"))?;
                let mut command = Command::new("node");
                command.arg("echo.mjs");
                command
            }
        };
        let running = child::spawn(command.arg(port.to_string()), folder.path())?;
        let process = Process::Echo { _running: running, _folder: folder };
        let arguments = json!({"text": "hello"});
        let answering = Answering { port, key: String::new(), tool: ECHO.to_owned(), arguments, process };
        child::wait_until_ready(port).await?;
        Ok(answering)
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

/// Somebody who answers calls; ends with its handle.
struct Answering {
    port: u16,
    key: String,
    tool: String,
    arguments: Value,
    process: Process,
}

enum Process {
    Service(Target),
    /// In a folder that goes with it.
    Echo {
        _running: child::Running,
        _folder: TempDir,
    },
}

impl Answering {
    fn call(&self, revision: Revision) -> Call {
        Call::new(self.port, &self.key, &self.tool, self.arguments.clone(), revision)
    }

    /// Sees that each call of the service has its record.
    async fn check(&self, calls: u64) -> Result<()> {
        let Process::Service(target) = &self.process else { return Ok(()) };
        let database = connect(&target.database().ok_or("there is no database")?).await?;
        let records = number(&database, "SELECT count(*) FROM mcp_audit_log").await?;
        database.close().await?;
        match u64::try_from(records)? == calls {
            true => Ok(()),
            false => Err(format!("{calls} calls left {records} records").into()),
        }
    }
}

/// What was measured of one peer under one revision.
#[derive(Default)]
struct Row {
    rate: Figures,
    p50: Figures,
    p99: Figures,
    /// At half the rate.
    half: Option<(Figures, Figures)>,
    /// Why there is nothing.
    refused: Option<String>,
}

impl Row {
    /// Measures; gives how many calls that were.
    async fn measure(
        &mut self,
        running: &Answering,
        revision: Revision,
        time: Duration,
        counts: bool,
    ) -> Result<u64> {
        let (call, is_service) = (running.call(revision), matches!(running.process, Process::Service(_)));
        if let Err(error) = call.once().await {
            if is_service {
                return Err(error);
            }
            self.refused = Some(error.to_string());
            return Ok(0);
        }
        let peak = call.run(CONNECTIONS, None, time).await?;
        let mut calls = 1 + peak.acknowledged;
        println!("    {}: {}", revision.name(), brief(&peak));
        if counts {
            self.rate.push(peak.rate);
            self.p50.push(milliseconds(peak.p50));
            self.p99.push(milliseconds(peak.p99));
        }
        if is_service {
            let half = call.run(CONNECTIONS, Some(peak.rate / 2.0), time).await?;
            calls += half.acknowledged;
            println!("    {}, at half of that: {}", revision.name(), brief(&half));
            if counts {
                let (p50, p99) = self.half.get_or_insert_default();
                p50.push(milliseconds(half.p50));
                p99.push(milliseconds(half.p99));
            }
        }
        Ok(calls)
    }
}

fn brief(Measured { rate, p50, p99, .. }: &Measured) -> String {
    format!("{rate:.0}/s, p50 {p50:.2?}, p99 {p99:.2?}")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Measures all, and gives the report.
pub(crate) async fn measure(tools: &Tools, rounds: usize, time: Duration) -> Result<String> {
    let postgres = Postgres::start(Disk::AsIs)?;
    postgres.season().await?;
    let place = Place { disk: Disk::AsIs, postgres: Some(Arc::new(postgres)), redis: None, scans: false };
    let mut peers = vec![Peer::Trackside(child::build()?), Peer::Rmcp];
    match &tools.python {
        Some(python) => peers.push(Peer::FastMcp(std::path::absolute(python)?)),
        None => println!("FastMCP is left out: give --python a Python that has `fastmcp`"),
    }
    match &tools.node_modules {
        Some(modules) => peers.push(Peer::TypeScript(std::path::absolute(modules)?)),
        None => println!("the TypeScript SDK is left out: give --node-modules a folder that has it"),
    }
    let mut all: Vec<_> =
        peers.into_iter().map(|peer| (peer, Revision::ALL.map(|_| Row::default()))).collect();
    for round in 0..=rounds {
        for (peer, rows) in &mut all {
            println!("  {} {}", if round == 0 { "warm-up" } else { "round" }, peer.name());
            let running = peer.start(tools, &place).await?;
            let mut calls = 0;
            for (revision, row) in Revision::ALL.into_iter().zip(rows) {
                calls += row.measure(&running, revision, time, round > 0).await?;
            }
            running.check(calls).await?;
        }
    }
    text(tools, &all)
}

fn text(tools: &Tools, all: &[(Peer, [Row; 2])]) -> Result<String> {
    let mut text = report::head("Tool calls", "cargo run --release -p bench -- tools")?;
    write!(
        text,
        "\
## What is measured

`tools/call` of `{}` over {CONNECTIONS} connections, each of which calls again as soon as it is answered. A call of \
Trackside's is authenticated, takes a token of a bucket that is too large to be emptied, and is on disk as a record \
(PostgreSQL, `fsync` and `synchronous_commit` on, with segments of WAL to use again, as a server that has run for a \
while has) before its answer; there were as many records as calls. The others \
answer what they are asked and do nothing else: (b) is the SDK that Trackside is built on, behind the same accept \
loop. Load generator, servers and database share the machine and take turns; rounds are interleaved.
",
        tools.tool
    )?;
    for (at, revision) in Revision::ALL.into_iter().enumerate() {
        let ours = &all[0].1[at];
        write!(
            text,
            "\n## Revision {}\n\n| | calls per second | p50 | p99 | Trackside beside it |\n|---|---|---|---|---|\n",
            revision.name()
        )?;
        for (peer, rows) in all {
            let (name, row) = (peer.name(), &rows[at]);
            if row.refused.is_some() {
                writeln!(text, "| {name} | does not answer this revision | | | |")?;
                continue;
            }
            let (p50, p99) = (row.p50.show(2, " ms"), row.p99.show(2, " ms"));
            let beside = match peer {
                Peer::Trackside(_) => String::new(),
                _ => format!("{}×", ours.rate.over(&row.rate).show(2, "")),
            };
            writeln!(text, "| {name} | {} | {p50} | {p99} | {beside} |", row.rate.show(0, ""))?;
        }
        if let Some((p50, p99)) = &ours.half {
            let (p50, p99) = (p50.show(2, " ms"), p99.show(2, " ms"));
            writeln!(text, "| Trackside, at half that rate | | {p50} | {p99} | |")?;
        }
    }
    for (peer, rows) in all {
        if let Some(why) = rows.iter().find_map(|row| row.refused.as_ref()) {
            println!("{}: {why}", peer.name());
        }
    }
    Ok(text)
}

/// Serves (b) until the process is ended.
pub(crate) async fn serve_echo(port: u16) -> Result<()> {
    let config =
        StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let service = StreamableHttpService::new(|| Ok(Echo), Arc::new(NeverSessionManager::default()), config);
    let mount = service.compat().around(|mount, request| async move {
        match request.uri().path() {
            "/mcp" => Ok(mount.call(request).await?.into_response()),
            _ => Ok(Response::builder().body("ready")),
        }
    });
    let listener = server::bind(([127, 0, 0, 1], port).into())?;
    server::serve(listener, mount, 10_000, CancellationToken::new(), Duration::ZERO).await;
    Ok(())
}

#[derive(Clone)]
struct Echo;

impl ServerHandler for Echo {
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let text = arguments.get("text").and_then(Value::as_str).unwrap_or_default();
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}
