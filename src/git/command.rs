//! One run of the `git` program: what it is told, how long it may take, and what it says.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    future::pending,
    io,
    path::{Path, PathBuf},
    pin::pin,
    process::Stdio,
    sync::LazyLock,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    time::timeout,
};

use super::{
    Remote,
    failure::{Failure, Fetched, GitError},
    relay::Pass,
};

/// What git says of a failure beyond this is not read.
const WORDS: u64 = 64 * 1024;
/// How long processes that were killed may take to be gone.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a run of git printed or, if it failed, what it said of that.
pub(super) type Said = Result<Vec<u8>, String>;

/// Where git is. With its whole path it is started without a copy of our page tables, which a search of the environment
/// that we give it would take.
pub(super) static GIT: LazyLock<PathBuf> = LazyLock::new(|| {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join("git")).find(|path| path.is_file());
    found.unwrap_or_else(|| PathBuf::from("git"))
});

/// A run of git in a repository, before it begins.
pub(super) struct Run {
    command: Command,
    settings: Vec<(String, String)>,
}

/// One that has begun. All processes that it started are killed when this is dropped.
pub(super) struct Running(pub(super) Child);

impl Run {
    /// In the repository at `folder`; `home` is the folder with git's settings.
    pub(super) fn new(home: &Path, folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(&*GIT);
        let kept: BTreeMap<_, _> = std::env::vars_os().filter(|(name, _)| is_kept(name)).collect();
        command
            .env_clear()
            .envs(kept)
            .env("LC_ALL", "C")
            .env("HOME", home)
            .env("GIT_DIR", folder)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", home.join("settings"))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .args(arguments)
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command, settings: Vec::new() }
    }

    /// In whatever repository a folder of this machine belongs to.
    pub(super) fn within(home: &Path, folder: &Path, arguments: &[&str]) -> Self {
        let mut run = Self::new(home, folder, arguments);
        run.command.env_remove("GIT_DIR").current_dir(folder);
        run
    }

    fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.settings.push((name.into(), value.into()));
    }

    /// Lets it speak to a remote, over the relay if that is by HTTP.
    pub(super) fn speaking_to(mut self, remote: &Remote, pass: Option<&Pass>) -> Self {
        self.command.env("GIT_ALLOW_PROTOCOL", remote.protocol);
        self.set("remote.origin.url", &remote.url);
        self.set("protocol.version", "2");
        self.set("gc.autoDetach", "false");
        self.set("maintenance.autoDetach", "false");
        // A host that falls silent; whatever else takes its time has the time of a whole fetch.
        self.set("http.lowSpeedLimit", "1");
        self.set("http.lowSpeedTime", "30");
        if let Some(pass) = pass {
            self.set("http.proxy", pass.proxy());
        }
        if remote.protocol == "ssh" {
            // The keys and the known hosts of whoever operates this service, who has allowed it.
            self.command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=10");
            self.command.envs(std::env::var_os("HOME").map(|home| ("HOME", home)));
        }
        if let Some(credential) = &remote.credential {
            // For this address alone: git asks nobody here on behalf of a host that it was redirected to.
            let helper = format!("credential.{}.helper", remote.url);
            self.set(helper, r#"!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$GIT_USER" "$GIT_TOKEN"; }; f"#);
            self.set("credential.useHttpPath", "false");
            self.command
                .env("GIT_USER", &credential.username)
                .env("GIT_TOKEN", credential.token.expose_secret());
        }
        self
    }

    /// Trusts the certificate authorities in a file.
    pub(super) fn trusting(mut self, authorities: Option<&Path>) -> Self {
        if let Some(path) = authorities {
            self.set("http.sslCAInfo", path.to_string_lossy());
        }
        self
    }

    /// Lets it read what `start`'s caller writes.
    pub(super) fn reading(mut self) -> Self {
        self.command.stdin(Stdio::piped());
        self
    }

    pub(super) fn start(mut self) -> Fetched<Running> {
        // Beside the command line, which everybody on this machine can read.
        self.command.env("GIT_CONFIG_COUNT", self.settings.len().to_string());
        for (number, (name, value)) in self.settings.iter().enumerate() {
            self.command.env(format!("GIT_CONFIG_KEY_{number}"), name);
            self.command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        let started = self.command.spawn();
        started.map(Running).map_err(|error| {
            tracing::error!(%error, "git cannot be started");
            GitError::new(Failure::NoGit, "this service finds no `git` to read repositories with; install it")
        })
    }

    /// Gives what it prints, once it has ended well; otherwise what it says of its failure.
    pub(super) async fn output(self) -> Fetched<Said> {
        self.output_unless(&[], pending()).await
    }

    /// The same, given what it is to read and ended by force when `enough` says why: none of its processes is left then
    /// to write anything.
    pub(super) async fn output_unless(
        self,
        input: &[u8],
        enough: impl Future<Output = GitError>,
    ) -> Fetched<Said> {
        let run = if input.is_empty() { self } else { self.reading() };
        let mut running = run.start()?;
        let group = running.group();
        let mut finish = pin!(running.finish(input));
        let ended = tokio::select! {
            ended = &mut finish => ended,
            why = enough => {
                kill(group);
                let _ = timeout(FAREWELL, finish).await; // all of them hold the pipe that it reads to its end
                return Err(why);
            }
        };
        ended.map_err(GitError::here("a run of git could not be followed"))
    }
}

impl Running {
    /// The process group of all that it started; none once it has ended.
    fn group(&self) -> Option<Pid> {
        self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    async fn finish(&mut self, input: &[u8]) -> io::Result<Said> {
        let (mut printed, mut words) = (Vec::new(), Vec::new());
        let (stdin, stdout, stderr) = (self.0.stdin.take(), self.0.stdout.take(), self.0.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                stdin.write_all(input).await?;
            }
            Ok(())
        };
        let read = async {
            if let Some(mut stdout) = stdout {
                stdout.read_to_end(&mut printed).await?;
            }
            Ok::<_, io::Error>(())
        };
        let hear = async {
            if let Some(mut stderr) = stderr {
                (&mut stderr).take(WORDS).read_to_end(&mut words).await?;
                tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
            }
            Ok::<_, io::Error>(())
        };
        let (written, read, heard): (io::Result<()>, _, _) = tokio::join!(write, read, hear);
        let status = self.0.wait().await?;
        if !status.success() {
            return Ok(Err(String::from_utf8_lossy(&words).into_owned()));
        }
        written.and(read).and(heard)?;
        Ok(Ok(printed))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        kill(self.group());
    }
}

fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Where programs are, and where temporary files go: all that git has of this process's environment.
fn is_kept(name: &OsStr) -> bool {
    ["PATH", "TMPDIR", "SSH_AUTH_SOCK"].iter().any(|kept| name == *kept)
}
