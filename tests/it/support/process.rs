//! The real binary as a process of its own: started, killed, stopped, watched.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
};

pub(crate) use scratch::signal;

use super::{Client, Project, Tenant, eventually, text};

/// A command of the binary, with no setting of the machine's in its way.
pub(crate) fn trackside(folder: &Path) -> Command {
    under(&[], folder)
}

/// The same, run by another program such as strace.
fn under(wrapper: &[&str], folder: &Path) -> Command {
    let binary = env!("CARGO_BIN_EXE_trackside");
    let mut words = wrapper.iter().copied().chain([binary]);
    let mut command = Command::new(words.next().expect("the binary at least"));
    command.args(words).current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
    command
}

/// What a command prints, and how it ends.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    trackside(folder).args(arguments).output().expect("the binary runs")
}

/// What a command that works prints on standard output.
#[track_caller]
pub(crate) fn output(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// What a command that does not work says about it; it answers nothing.
#[track_caller]
pub(crate) fn refused(folder: &Path, arguments: &[&str]) -> String {
    let refused = run(folder, arguments);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && refused.stdout.is_empty(), "{arguments:?}: {words}");
    words
}

/// What a served process says, in its folder.
pub(crate) const LOG: &str = "serve.log";

/// A served process.
pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
}

impl Process {
    /// Starts `serve` and waits until it is ready.
    pub(crate) async fn serve(folder: &Path, port: u16, settings: &[(&str, &str)], wrapper: &[&str]) -> Self {
        let mut command = under(wrapper, folder);
        command.arg("serve").env("PORT", port.to_string()).envs(settings.iter().copied());
        let log = std::fs::File::create(folder.join(LOG)).expect("a file");
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("the binary starts");
        let process = Self { child, port };
        let ready = reqwest::Client::builder().no_proxy().build().expect("a client");
        let url = format!("http://127.0.0.1:{port}/health/ready");
        eventually("the process is ready", async || {
            ready.get(&url).send().await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        process
    }

    pub(crate) fn client(&self, key: Option<&str>) -> Client {
        Client::new(format!("http://127.0.0.1:{}", self.port), key.map(Into::into))
    }

    /// A new project of the first tenant's owner; the settings in `folder` lead to the same database.
    pub(crate) async fn project(&self, folder: &Path) -> Project {
        let key = output(folder, &["key", "create", "--name", "me", "--role", "owner"]);
        let client = self.client(Some(&key));
        let tenant = client.get("/api/v1/tenant").await.expect(200).json;
        Tenant { id: text(&tenant["id"]).parse().unwrap(), client }.project("Rocket").await
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// kill -9: no chance to tidy up.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// SIGTERM, to the service itself rather than to a program that runs it.
    pub(crate) fn terminate(&self) {
        signal(self.children().next().unwrap_or(self.child.id()), "TERM");
    }

    /// What the process has started: the service, when another program such as strace runs it.
    fn children(&self) -> impl Iterator<Item = u32> {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        children.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>().into_iter()
    }

    /// Waits for the end; the exit code, unless a signal ended it.
    pub(crate) async fn ended(mut self) -> Option<i32> {
        tokio::task::spawn_blocking(move || self.child.wait().expect("it ended").code()).await.expect("waits")
    }
}

/// No process outlives its test.
impl Drop for Process {
    fn drop(&mut self) {
        self.children().for_each(|child| signal(child, "KILL"));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free now and outside the range from which the kernel takes ports for outgoing connections.
pub(crate) fn free_port() -> u16 {
    scratch::free_port().expect("a free port")
}
