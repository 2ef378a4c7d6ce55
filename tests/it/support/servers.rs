//! Servers that the service depends on, as processes that a test starts, stops, kills and starts again.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{
    PATIENCE, eventually,
    process::{free_port, signal},
};

/// A Redis server of a test's own, which forgets everything when it ends.
pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    options: Vec<String>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with options of the server.
    pub(crate) async fn start_with(options: &[&str]) -> Self {
        let (folder, port) = (TempDir::new().expect("a folder"), free_port());
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let child = Self::spawn(&folder, port, &options);
        let server = Self { child, port, options, folder };
        server.answers().await;
        server
    }

    fn spawn(folder: &TempDir, port: u16, options: &[String]) -> Child {
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.args(options).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().expect("redis-server is installed")
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Starts it again on the same port, with nothing in it.
    pub(crate) async fn start_again(&mut self) {
        self.child = Self::spawn(&self.folder, self.port, &self.options);
        self.answers().await;
    }

    /// Connections stay, and nothing is answered any more.
    pub(crate) fn hang(&self) {
        signal(self.child.id(), "STOP");
    }

    /// It goes on where it hung.
    pub(crate) fn go_on(&self) {
        signal(self.child.id(), "CONT");
    }

    /// What it answers to a command, line by line.
    pub(crate) fn answer(&self, command: &[&str]) -> Vec<String> {
        let output = self.client(command).output().expect("redis-cli is installed");
        let lines = String::from_utf8(output.stdout).expect("text");
        lines.lines().map(str::to_owned).collect()
    }

    /// An outside client that hears a channel: its messages.
    pub(crate) async fn subscribe(&self, channel: &str) -> Messages {
        let mut command = self.client(&["SUBSCRIBE", channel]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("redis-cli is installed");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let (heard, mut messages) = mpsc::unbounded_channel();
        // Three lines for each thing that is heard: its kind, the channel, and the message.
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| heard.send(line)));
        let confirmation = messages.recv().await.expect("a confirmation");
        assert_eq!(confirmation, "subscribe");
        for _ in ["channel", "count"] {
            messages.recv().await.expect("the rest of it");
        }
        Messages { child, messages }
    }

    fn client(&self, command: &[&str]) -> Command {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &self.port.to_string()]).args(command).stdin(Stdio::null());
        client
    }

    async fn answers(&self) {
        let is_answer = |line: &str| line == "PONG" || line.starts_with("NOAUTH");
        eventually("Redis answers", async || self.answer(&["PING"]).iter().any(|line| is_answer(line))).await;
    }
}

/// No server outlives its test, not even one that hangs.
impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an outside client hears on a channel.
pub(crate) struct Messages {
    child: Child,
    messages: mpsc::UnboundedReceiver<String>,
}

impl Messages {
    /// The next message.
    pub(crate) async fn next(&mut self) -> String {
        let mut line = async || self.messages.recv().await.expect("a line");
        let message = async {
            assert_eq!(line().await, "message");
            line().await;
            line().await
        };
        tokio::time::timeout(PATIENCE, message).await.expect("a message")
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
