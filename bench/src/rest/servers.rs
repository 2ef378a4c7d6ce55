//! Servers at rest: Trackside, and what else waits for webhooks, subscribers or calls of tools.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use scratch::free_port;
use tempfile::TempDir;

use crate::{Result, child::wait_until_ready, nchan::Nginx, peers, tree::Tree};

/// Connections that nginx may have, as its own configuration says.
const CONNECTIONS: u64 = 1_024;
/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a server that answers is left alone before its memory is looked at.
const SETTLED: Duration = Duration::from_millis(500);

/// A server, by its program.
pub(super) enum Server {
    Trackside(PathBuf),
    Nchan(Nginx),
    Webhook(PathBuf),
    FastMcp(PathBuf),
    TypeScript(PathBuf),
}

/// How a server was when it had started.
pub(super) struct AtRest {
    /// From the start of its process to its first answer.
    pub(super) start: Duration,
    /// Memory of all its processes, KiB; what they share counts once.
    pub(super) kib: u64,
}

impl Server {
    /// Trackside and those that are installed; and which are not, each with how to get it.
    pub(super) fn all(trackside: &Path) -> (Vec<Self>, Vec<String>) {
        let (others, missing) = peers::sorted_out([
            ("nginx with nchan", Nginx::find(CONNECTIONS).map(Self::Nchan)),
            ("`webhook`", peers::program("webhook").map(Self::Webhook)),
            ("FastMCP", peers::python().map(Self::FastMcp)),
            ("the TypeScript SDK", peers::node().map(Self::TypeScript)),
        ]);
        let mut all = vec![Self::Trackside(trackside.to_owned())];
        all.extend(others);
        (all, missing)
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Trackside(_) => "Trackside",
            Self::Nchan(_) => "nginx with nchan",
            Self::Webhook(_) => "webhook",
            Self::FastMcp(_) => "FastMCP, an echo",
            Self::TypeScript(_) => "TypeScript SDK, an echo",
        }
    }

    /// Bytes of what is shipped, where that is a program and not a language with its libraries.
    pub(super) fn bytes(&self) -> Result<Option<u64>> {
        let bytes = |program: &Path| -> Result<u64> { Ok(std::fs::metadata(program)?.len()) };
        Ok(match self {
            Self::Trackside(program) | Self::Webhook(program) => Some(bytes(program)?),
            Self::Nchan(nginx) => Some(nginx.bytes()?),
            Self::FastMcp(_) | Self::TypeScript(_) => None,
        })
    }

    /// Starts it in a folder that it may have been started in before, looks at it, and ends it.
    pub(super) async fn look(&self, folder: &TempDir) -> Result<AtRest> {
        let port = free_port()?;
        let mut command = self.command(folder.path(), port)?;
        command.current_dir(folder.path()).env("RUST_LOG", "warn");
        let began = Instant::now();
        let tree = Tree::start(&mut command)?;
        match self {
            Self::Trackside(_) => wait_until_ready(port).await?,
            _ => wait_for_answer(port).await.map_err(|why| format!("{}: {why}", self.name()))?,
        }
        let start = began.elapsed();
        tokio::time::sleep(SETTLED).await;
        Ok(AtRest { start, kib: tree.memory_kib()? })
    }

    fn command(&self, folder: &Path, port: u16) -> Result<Command> {
        let text = port.to_string();
        Ok(match self {
            Self::Trackside(program) => {
                let mut command = Command::new(program);
                command.args(["serve", "--port", &text]);
                command
            }
            Self::Nchan(nginx) => nginx.command(folder, port)?,
            Self::Webhook(program) => {
                std::fs::write(
                    folder.join("hooks.json"),
                    r#"[{"id": "push", "execute-command": "/bin/true"}]"#,
                )?;
                let mut command = Command::new(program);
                command.args(["-hooks", "hooks.json", "-ip", "127.0.0.1", "-port", &text]);
                command
            }
            Self::FastMcp(program) => {
                let mut command = Command::new(program);
                command.arg(peers::file("echo.py")).arg(text);
                command
            }
            Self::TypeScript(program) => {
                let mut command = Command::new(program);
                command.arg(peers::file("echo.mjs")).arg(text);
                command
            }
        })
    }
}

/// Returns once the process on a port answers, whatever it says.
async fn wait_for_answer(port: u16) -> Result<()> {
    let (client, began) = (reqwest::Client::new(), Instant::now());
    while began.elapsed() < PATIENCE {
        if client.get(format!("http://127.0.0.1:{port}/health/ready")).send().await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err("there was no answer within 20 s".into())
}
