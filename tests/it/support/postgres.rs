//! A PostgreSQL server of a test's own, which it may stop and start.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{
    eventually,
    process::{free_port, signal},
};

/// A server over a cluster of its own.
pub(crate) struct PostgresServer {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    running: Option<Child>,
}

impl PostgresServer {
    /// Makes a cluster and starts a server over it, with options such as `fsync=on`.
    pub(crate) async fn start(options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        hand_over(folder.path());
        let made = program("initdb")
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { folder, port: free_port(), options, running: None };
        server.resume().await;
        server
    }

    /// The address of a database, which a superuser may use.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops at once, as a power cut would: nobody is told, nothing is tidied up.
    pub(crate) async fn crash(&mut self) {
        let mut child = self.running.take().expect("it runs");
        signal(child.id(), "QUIT");
        tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    }

    /// Starts again over what is on the disk, and waits until it answers.
    pub(crate) async fn resume(&mut self) {
        let mut command = program("postgres");
        command.arg("-D").arg(self.folder.path().join("data")).args(["-p", &self.port.to_string()]);
        let sockets = format!("unix_socket_directories={}", self.folder.path().display());
        for option in [&sockets, "listen_addresses=127.0.0.1", "shared_buffers=32MB", "max_connections=60"] {
            command.args(["-c", option]);
        }
        self.options.iter().for_each(|option| {
            command.args(["-c", option]);
        });
        self.running = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let url = self.url("postgres");
        eventually("PostgreSQL answers", async || sea_orm::Database::connect(&url).await.is_ok()).await;
    }
}

/// No server outlives its test.
impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            signal(child.id(), "QUIT");
            let _ = child.wait();
        }
    }
}

/// One of PostgreSQL's programs. Its server refuses to be run by root, so root runs it as the user `postgres`.
pub(crate) fn program(name: &str) -> Command {
    let newest = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest =
        newest.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).max();
    let program = newest.unwrap_or_else(|| name.into());
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

/// Gives a folder to the user that PostgreSQL's programs run as.
pub(crate) fn hand_over(folder: &Path) {
    if is_root() {
        assert!(Command::new("chown").arg("postgres").arg(folder).status().unwrap().success());
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
