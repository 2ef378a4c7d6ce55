//! What is measured runs in processes of its own, in temporary folders, and ends with its handle.

use std::{
    fmt,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use clap::ValueEnum;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Result;

/// What the controls' deliveries are signed with.
pub(crate) const SECRET: &str = "whsec_control";

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The real binary.
    Trackside,
    /// A handler that only verifies.
    Verify,
    /// A handler that verifies and inserts one row per transaction.
    Row,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Trackside, Self::Verify, Self::Row];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trackside => "Trackside",
            Self::Verify => "(a) verify only",
            Self::Row => "(b) one row per transaction",
        })
    }
}

/// How long a sync takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// As long as on this machine.
    AsIs,
    /// Two milliseconds more.
    Slow,
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsIs => "this machine's disk",
            Self::Slow => "every fsync 2 ms slower",
        })
    }
}

/// A running process and where to post.
pub(crate) struct Target {
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) secret: String,
    key: String,
    child: Child,
    folder: TempDir,
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts what is to be measured, with a new database, and waits until it is ready.
pub(crate) async fn start(kind: Kind, disk: Disk) -> Result<Target> {
    let (folder, port) = (TempDir::new()?, free_port()?);
    let mut command = match kind {
        Kind::Trackside => {
            let mut command = Command::new(trackside_binary()?);
            command.args(["serve", "--port", &port.to_string()]);
            command
        }
        Kind::Verify | Kind::Row => {
            let mut command = Command::new(std::env::current_exe()?);
            let name = kind.to_possible_value().ok_or("a kind has a name")?;
            command.args(["control", name.get_name(), &port.to_string()]).arg(folder.path());
            command
        }
    };
    if disk == Disk::Slow {
        command.env("LD_PRELOAD", slow_fsync(folder.path())?);
    }
    command.current_dir(folder.path()).env("RUST_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(Stdio::null()).spawn()?;
    let mut target =
        Target { port, path: "/".into(), secret: SECRET.into(), key: String::new(), child, folder };
    wait_until_ready(port).await?;
    if kind == Kind::Trackside {
        target.set_up().await?;
    }
    Ok(target)
}

impl Target {
    /// Makes a key and a project.
    async fn set_up(&mut self) -> Result<()> {
        let mut key = Command::new(trackside_binary()?);
        let key =
            key.args(["key", "create", "--name", "bench", "--role", "owner"]).current_dir(self.folder.path());
        self.key = String::from_utf8(key.output()?.stdout)?.trim().to_owned();
        let project: Value = reqwest::Client::new()
            .post(format!("http://127.0.0.1:{}/api/v1/projects", self.port))
            .bearer_auth(&self.key)
            .json(&json!({"name": "bench", "repoUrl": "https://github.com/acme/rocket"}))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let text = |field: &str| project[field].as_str().unwrap_or_default().to_owned();
        self.path = format!("/webhooks/github/{}", text("id"));
        self.secret = text("webhookSecret");
        Ok(())
    }

    fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
    }
}

/// From the start of the process to its first good answer, on a database that is there.
pub(crate) async fn start_times(times: usize) -> Result<Vec<Duration>> {
    let folder = TempDir::new()?;
    let mut taken = Vec::new();
    for _ in 0..=times {
        let port = free_port()?;
        let began = Instant::now();
        let mut child = Command::new(trackside_binary()?)
            .args(["serve", "--port", &port.to_string()])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        wait_until_ready(port).await?;
        taken.push(began.elapsed());
        child.kill()?;
        child.wait()?;
    }
    taken.remove(0); // it made the database
    Ok(taken)
}

/// Memory of an idle service, and of one that `streams` subscribers follow; KiB.
pub(crate) async fn idle_memory(streams: usize) -> Result<(u64, u64)> {
    let target = start(Kind::Trackside, Disk::AsIs).await?;
    let idle = target.resident_kib()?;
    let project = target.path.rsplit('/').next().unwrap_or_default();
    let url = format!("http://127.0.0.1:{}/api/v1/projects/{project}/events/stream", target.port);
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build()?;
    let mut open = Vec::new();
    for _ in 0..streams {
        let mut stream = client.get(&url).bearer_auth(&target.key).send().await?.error_for_status()?;
        stream.chunk().await?;
        open.push(stream);
    }
    Ok((idle, target.resident_kib()?))
}

async fn wait_until_ready(port: u16) -> Result<()> {
    let client = reqwest::Client::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let answer = client.get(format!("http://127.0.0.1:{port}/health/ready")).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err("the process did not become ready".into())
}

/// The release binary beside this one.
pub(crate) fn trackside_binary() -> Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name("trackside");
    if !binary.exists() {
        return Err("build the service first: cargo build --release".into());
    }
    Ok(binary)
}

/// Compiles the shim that slows syncs down.
fn slow_fsync(folder: &Path) -> Result<PathBuf> {
    let shim = folder.join("slow_fsync.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/slow_fsync.c");
    let compiled =
        Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&shim).arg(source).status()?;
    if !compiled.success() {
        return Err("slow_fsync.c could not be compiled; is a C compiler there?".into());
    }
    Ok(shim)
}

/// A free port outside the range from which the kernel takes those of outgoing connections.
fn free_port() -> Result<u16> {
    (23_000..32_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| "no port is free".into())
}
