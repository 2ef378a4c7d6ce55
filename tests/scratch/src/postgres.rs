//! A PostgreSQL server of one's own, which may be stopped and started.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::free_port;

/// A server over a cluster of its own; dropped, it is stopped and gone.
pub struct PostgresServer {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    environment: Vec<(String, OsString)>,
}

impl PostgresServer {
    /// Makes a cluster and starts a server over it, with options such as `fsync=on`.
    ///
    /// # Errors
    /// Programs that are missing or fail.
    pub fn start(options: &[&str]) -> io::Result<Self> {
        Self::start_in(options, |_| Ok(Vec::new()))
    }

    /// The same, in an environment that may refer to the server's folder.
    ///
    /// # Errors
    /// Programs that are missing or fail.
    pub fn start_in(
        options: &[&str],
        environment: impl FnOnce(&Path) -> io::Result<Vec<(String, OsString)>>,
    ) -> io::Result<Self> {
        let folder = TempDir::new()?;
        let environment = environment(folder.path())?;
        hand_over(folder.path())?;
        let made = program("initdb")
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(folder.path().join("data"))
            .stdout(Stdio::null())
            .status()?;
        if !made.success() {
            return Err(io::Error::other("initdb failed"));
        }
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let server = Self { folder, port: free_port()?, options, environment };
        server.resume()?;
        Ok(server)
    }

    /// The address of a database, for a superuser.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops at once, as a power cut would: nobody is told, nothing is tidied up.
    pub fn crash(&self) {
        let _ = self.control().args(["-m", "immediate", "stop"]).status();
    }

    /// Starts again over what is on the disk, and waits until it takes connections.
    ///
    /// # Errors
    /// A server that cannot be started.
    pub fn resume(&self) -> io::Result<()> {
        let sockets = format!("unix_socket_directories={}", self.folder.path().display());
        let always = [&sockets, "listen_addresses=127.0.0.1", "max_connections=200"];
        let options = always.into_iter().chain(self.options.iter().map(String::as_str));
        let options: String = options.map(|option| format!(" -c {option}")).collect();
        let mut start = self.control();
        start.arg("-l").arg(self.folder.path().join("log")).args(["-w", "-t", "30", "-o"]);
        start.arg(format!("-p {}{options}", self.port)).arg("start");
        start.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if start.status()?.success() { Ok(()) } else { Err(io::Error::other("PostgreSQL does not start")) }
    }

    fn control(&self) -> Command {
        let mut control = program("pg_ctl");
        control.arg("-s").arg("-D").arg(self.folder.path().join("data"));
        control.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        control
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.crash();
    }
}

/// One of PostgreSQL's programs, of the newest version there is. Its server refuses to be run by root, so root runs
/// it as the user `postgres`.
pub fn program(name: &str) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest =
        versions.map(|version| version.path()).filter(|path| path.join("bin").exists()).max_by_key(number);
    let program = newest.map_or_else(|| name.into(), |version| version.join("bin").join(name));
    as_postgres(&program)
}

/// Any program, run as PostgreSQL's are.
pub fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

/// Gives a folder to the user that PostgreSQL's programs run as.
///
/// # Errors
/// When it cannot be given away.
pub fn hand_over(folder: &Path) -> io::Result<()> {
    match is_root() {
        true => Command::new("chown").arg("postgres").arg(folder).status().map(|_| ()),
        false => Ok(()),
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
