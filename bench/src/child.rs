//! What is measured runs in a process of its own, in a temporary folder, and ends with its handle.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use scratch::free_port;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Result,
    disk::Disk,
    output, peers,
    postgres::{BATCH, Postgres},
};

/// What deliveries to the controls and the peers are signed with.
pub(crate) const SECRET: &str = "whsec_control";

/// The master key of services that share a server.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The real binary
    Trackside,
    /// Another build of it
    Beside,
    /// The real binary, which leaves the work to others
    Web,
    /// A handler that only verifies
    Verify,
    /// A handler that verifies and inserts one row per transaction
    Row,
    /// pgbench, which inserts one row per transaction
    Pgbench,
    /// pgbench, which gathers rows
    Batch,
    /// Debian's `webhook`
    Webhook,
    /// Octokit's library on Node.js
    Octokit,
}

impl Kind {
    /// Whether it is the service, rather than a control or a peer.
    pub(crate) fn is_service(self) -> bool {
        matches!(self, Self::Trackside | Self::Beside | Self::Web)
    }

    /// Whether it works through what it stored.
    pub(crate) fn works(self) -> bool {
        matches!(self, Self::Trackside | Self::Beside)
    }

    /// Whether it stores what it takes.
    pub(crate) fn stores(self) -> bool {
        !matches!(self, Self::Verify | Self::Webhook | Self::Octokit)
    }

    /// Whether it is pgbench, which is no process that listens.
    pub(crate) fn is_pgbench(self) -> bool {
        matches!(self, Self::Pgbench | Self::Batch)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trackside => f.write_str("Trackside"),
            Self::Beside => f.write_str("another build"),
            Self::Web => f.write_str("Trackside, role `web`"),
            Self::Verify => f.write_str("verify only"),
            Self::Row => f.write_str("a handler, one row per commit"),
            Self::Pgbench => f.write_str("pgbench, one row per commit"),
            Self::Batch => write!(f, "pgbench, {BATCH} rows per commit"),
            Self::Webhook => f.write_str("`webhook`"),
            Self::Octokit => f.write_str("`@octokit/webhooks`"),
        }
    }
}

/// What is measured, and its binary.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    binary: PathBuf,
}

impl Contender {
    pub(crate) fn new(kind: Kind, binary: &Path) -> Self {
        let file = binary.file_name().unwrap_or_default().display();
        let name = if kind == Kind::Beside { format!("{kind}, `{file}`") } else { kind.to_string() };
        Self { kind, name, binary: binary.to_owned() }
    }
}

/// A running process and where to post.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) secret: String,
    pub(crate) key: String,
    place: Place,
    database: Option<String>,
    running: Option<Running>,
    folder: TempDir,
}

/// Where deliveries of a project are posted, and what they are signed with.
pub(crate) struct Endpoint {
    pub(crate) path: String,
    pub(crate) secret: String,
}

impl Endpoint {
    /// The project's id.
    pub(crate) fn project(&self) -> &str {
        id_in(&self.path)
    }
}

/// The project's id in the path to which its deliveries are posted.
fn id_in(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Where what is measured keeps its data.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) disk: Disk,
    /// None for files in the process's own folder.
    pub(crate) postgres: Option<Arc<Postgres>>,
    /// The address of what instances share.
    pub(crate) redis: Option<String>,
    /// Whether repositories are read, which are folders of this machine then.
    pub(crate) scans: bool,
}

/// Starts what is to be measured, with a new database, and waits until it is ready.
pub(crate) async fn start(contender: &Contender, place: &Place) -> Result<Target> {
    let Contender { kind, binary, .. } = contender;
    let (kind, place, folder, port) = (*kind, place.clone(), TempDir::new()?, free_port()?);
    let (path, secret, key) = ("/".into(), SECRET.into(), String::new());
    let mut target = Target { kind, port, path, secret, key, place, database: None, running: None, folder };
    if let (Some(postgres), true) = (&target.place.postgres, kind.stores()) {
        target.database = Some(postgres.database(kind).await?);
    }
    if kind.is_pgbench() {
        return Ok(target);
    }
    let mut command = target.command(binary);
    target.tell(&mut command)?;
    if target.place.postgres.is_none() {
        command.envs(target.place.disk.environment(target.folder.path())?);
    }
    target.running = Some(spawn(&mut command, target.folder.path())?);
    match kind {
        Kind::Webhook => wait_until_answered(port, "/").await?,
        _ => wait_until_ready(port).await?,
    }
    if kind.is_service() {
        target.set_up(binary).await?;
    }
    Ok(target)
}

impl Target {
    /// A command that finds this target's database.
    fn command(&self, binary: &Path) -> Command {
        let mut command = Command::new(binary);
        command.envs(
            self.database
                .iter()
                .flat_map(|url| [("DATABASE_URL", url.as_str()), ("TRACKSIDE_MASTER_KEY", KEY)]),
        );
        command.envs(self.place.redis.iter().map(|url| ("REDIS_URL", url)));
        command.env("TRACKSIDE_SCANS", self.place.scans.to_string());
        command.env("TRACKSIDE_GIT_ALLOW", "file").env("TRACKSIDE_GIT_SECONDS", "600");
        command
    }

    /// Tells the command what to be, and where to listen.
    fn tell(&mut self, command: &mut Command) -> Result<()> {
        let port = self.port.to_string();
        match self.kind {
            Kind::Webhook => {
                let hooks = self.folder.path().join("hooks.json");
                std::fs::write(&hooks, hook().to_string())?;
                HOOK.clone_into(&mut self.path);
                command.args(["-ip", "127.0.0.1", "-port", &port, "-hooks"]).arg(hooks);
            }
            Kind::Octokit => {
                command.arg(peers::file("octokit.mjs")).arg(port).env("WEBHOOK_SECRET", SECRET);
            }
            kind if kind.is_service() => {
                command.args(["serve", "--port", &port]);
                if kind == Kind::Web {
                    command.env("TRACKSIDE_ROLE", "web");
                }
            }
            kind => {
                let name = kind.to_possible_value().ok_or("a control has a name")?;
                command.args(["control", name.get_name(), &port]).arg(self.folder.path());
            }
        }
        Ok(())
    }

    /// Another instance over the same database, which only answers.
    pub(crate) async fn beside(&self, binary: &Path) -> Result<Self> {
        let (folder, port) = (TempDir::new()?, free_port()?);
        let mut command = self.command(binary);
        command.args(["serve", "--role", "web", "--port", &port.to_string()]);
        let running = Some(spawn(&mut command, folder.path())?);
        wait_until_ready(port).await?;
        let (path, secret, key) = (self.path.clone(), self.secret.clone(), self.key.clone());
        let (place, database) = (self.place.clone(), self.database.clone());
        Ok(Self { kind: self.kind, port, path, secret, key, place, database, running, folder })
    }

    /// Makes a key and a project.
    async fn set_up(&mut self, binary: &Path) -> Result<()> {
        let mut key = self.command(binary);
        key.args(["key", "create", "--name", "bench", "--role", "owner", "--tenant", "default"])
            .current_dir(self.folder.path());
        self.key = String::from_utf8(key.output()?.stdout)?.trim().to_owned();
        let project = self.new_project().await?;
        (self.path, self.secret) = (project.path, project.secret);
        Ok(())
    }

    /// The id of the project that it was started with.
    pub(crate) fn project(&self) -> &str {
        id_in(&self.path)
    }

    /// Where deliveries are posted to the project that it was started with.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint { path: self.path.clone(), secret: self.secret.clone() }
    }

    /// Makes another project.
    pub(crate) async fn new_project(&self) -> Result<Endpoint> {
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
        Ok(Endpoint { path: format!("/webhooks/github/{}", text("id")), secret: text("webhookSecret") })
    }

    /// The address of the database with the deliveries, if any are stored.
    pub(crate) fn database(&self) -> Option<String> {
        let file = |name: &str| format!("sqlite://{}?mode=ro", self.folder.path().join(name).display());
        match self.kind {
            kind if !kind.stores() => None,
            _ if self.database.is_some() => self.database.clone(),
            Kind::Row => Some(file("control.db")),
            _ => Some(file("data/trackside.db")),
        }
    }

    /// Syncs so far, where they are counted.
    pub(crate) fn syncs(&self) -> Result<Option<u64>> {
        let folder = self.place.postgres.as_ref().map_or(self.folder.path(), |postgres| postgres.folder());
        self.place.disk.syncs(folder)
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.running.as_ref().map_or_else(std::process::id, |running| running.0.id())
    }

    /// Processor time so far; `webhook`'s with that of the commands that it ran and that have ended.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        let fields = stat.rsplit_once(") ").ok_or("/proc/…/stat has another form")?.1;
        // Ticks in user and in kernel mode, its own and its children's; Linux tells every program that there are 100 in
        // a second.
        let ticks = fields.split(' ').skip(11).take(if self.kind == Kind::Webhook { 4 } else { 2 });
        let ticks = ticks.map(str::parse::<u64>).sum::<std::result::Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Memory in use, KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
    }
}

/// A process; it ends with its handle.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process in a folder, without a word.
pub(crate) fn spawn(command: &mut Command, folder: &Path) -> Result<Running> {
    // What is measured is how much it can take, not how much it lets one project have.
    command.env("TRACKSIDE_INGEST_PER_MINUTE", "0").env("TRACKSIDE_REST_PER_MINUTE", "0");
    command.env("TRACKSIDE_STREAMS_PER_PRINCIPAL", "0");
    // Tools have their bucket, as they would, too large to be emptied.
    command.env("TRACKSIDE_TOOLS_PER_MINUTE", "6000000");
    command.current_dir(folder).env("RUST_LOG", "warn").stdin(Stdio::null());
    Ok(Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
}

/// Where `webhook` takes deliveries.
const HOOK: &str = "/hooks/push";

/// A hook as `webhook` is used: it runs a command for each delivery whose signature is right.
fn hook() -> Value {
    let signature = json!({"source": "header", "name": "X-Hub-Signature-256"});
    let rule = json!({"type": "payload-hmac-sha256", "secret": SECRET, "parameter": signature});
    json!([{
        "id": "push",
        "execute-command": "/bin/true",
        "success-http-response-code": 202,
        "response-message": "accepted",
        "trigger-rule": {"match": rule},
    }])
}

/// Returns once the process on a port says that it is ready.
pub(crate) async fn wait_until_ready(port: u16) -> Result<()> {
    wait_until_answered(port, "/health/ready").await
}

/// Returns once the process on a port answers a `GET` well.
async fn wait_until_answered(port: u16, path: &str) -> Result<()> {
    let client = reqwest::Client::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let answer = client.get(format!("http://127.0.0.1:{port}{path}")).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err("the process did not become ready within 20 s".into())
}

/// The commit whose sources were measured, and whether they were changed since.
pub(crate) fn commit() -> Result<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let commit = output("git", &["-C", root, "rev-parse", "--short", "HEAD"])?;
    let sources = ["src", "entity", "migration", "Cargo.toml", "Cargo.lock"];
    let changed = output("git", &[&["-C", root, "status", "--porcelain", "--"][..], &sources].concat())?;
    Ok(if changed.is_empty() { commit } else { format!("{commit} with uncommitted changes") })
}
