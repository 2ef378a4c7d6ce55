//! Servers at rest: Trackside, and what else waits for webhooks, subscribers or calls of tools.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use scratch::free_port;
use tempfile::TempDir;

use crate::{Result, child::wait_until_ready, peers};

/// nginx's module for subscribers, where Debian puts it.
const NCHAN: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";
/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a server that answers is left alone before its memory is looked at.
const SETTLED: Duration = Duration::from_millis(500);

/// A server, by its program.
pub(super) enum Server {
    Trackside(PathBuf),
    Nchan(PathBuf),
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
        let nginx = peers::program("nginx").filter(|_| Path::new(NCHAN).is_file());
        let node = peers::program("node").filter(|_| peers::node_modules().is_some());
        let found = [
            ("nginx with nchan", nginx.map(Self::Nchan)),
            ("`webhook`", peers::program("webhook").map(Self::Webhook)),
            ("FastMCP", peers::python().map(Self::FastMcp)),
            ("the TypeScript SDK", node.map(Self::TypeScript)),
        ];
        let (mut all, mut missing) = (vec![Self::Trackside(trackside.to_owned())], Vec::new());
        for (name, server) in found {
            match server {
                Some(server) => all.push(server),
                None => missing.push(format!("{name} is not installed: run bench/peers/set-up")),
            }
        }
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
            Self::Nchan(program) => Some(bytes(program)? + bytes(Path::new(NCHAN))?),
            Self::FastMcp(_) | Self::TypeScript(_) => None,
        })
    }

    /// Starts it in a folder that it may have been started in before, looks at it, and ends it.
    pub(super) async fn look(&self, folder: &TempDir) -> Result<AtRest> {
        let port = free_port()?;
        let mut command = self.command(folder.path(), port)?;
        command.current_dir(folder.path()).env("RUST_LOG", "warn");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let process = Process(command.spawn()?);
        match self {
            Self::Trackside(_) => wait_until_ready(port).await?,
            _ => wait_for_answer(port).await.map_err(|why| format!("{}: {why}", self.name()))?,
        }
        let start = began.elapsed();
        tokio::time::sleep(SETTLED).await;
        Ok(AtRest { start, kib: process.kib()? })
    }

    fn command(&self, folder: &Path, port: u16) -> Result<Command> {
        let port = port.to_string();
        Ok(match self {
            Self::Trackside(program) => {
                let mut command = Command::new(program);
                command.args(["serve", "--port", &port]);
                command
            }
            Self::Nchan(program) => {
                std::fs::write(folder.join("nginx.conf"), nginx(&port))?;
                let mut command = Command::new(program);
                command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder);
                command
            }
            Self::Webhook(program) => {
                std::fs::write(
                    folder.join("hooks.json"),
                    r#"[{"id": "push", "execute-command": "/bin/true"}]"#,
                )?;
                let mut command = Command::new(program);
                command.args(["-hooks", "hooks.json", "-ip", "127.0.0.1", "-port", &port]);
                command
            }
            Self::FastMcp(program) => {
                let mut command = Command::new(program);
                command.arg(peers::file("echo.py")).arg(port);
                command
            }
            Self::TypeScript(program) => {
                let mut command = Command::new(program);
                command.arg(peers::file("echo.mjs")).arg(port);
                command
            }
        })
    }
}

/// What makes nginx one worker that publishes to subscribers, in its own folder.
fn nginx(port: &str) -> String {
    format!(
        "load_module {NCHAN};
        daemon off;
        worker_processes 1;
        pid nginx.pid;
        events {{ worker_connections 1024; }}
        http {{
            access_log off;
            client_body_temp_path body;
            proxy_temp_path proxy;
            fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi;
            scgi_temp_path scgi;
            server {{
                listen 127.0.0.1:{port};
                location / {{ return 200; }}
                location ~ ^/publish/(.+)$ {{ nchan_publisher; nchan_channel_id $1; }}
                location ~ ^/follow/(.+)$ {{ nchan_subscriber eventsource; nchan_channel_id $1; }}
            }}
        }}
        "
    )
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

/// A process that is asked to end with its handle, so that it ends those that it started.
struct Process(Child);

impl Process {
    /// Memory of it and of those that it started: what each has of its own, and its share of what several have.
    fn kib(&self) -> Result<u64> {
        let (mut left, mut kib) = (vec![self.0.id()], 0);
        while let Some(id) = left.pop() {
            let memory = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
            let share = memory.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
            kib += share.split_whitespace().next().ok_or("no number")?.parse::<u64>()?;
            let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
            left.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        Ok(kib)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}
