//! A Redis server of one's own, which may be killed, hang, and be started again; what it knew is gone then.

use std::{
    io::{self, BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{net::TcpStream, sync::mpsc, time};

use crate::{free_port, signal};

/// How long something that should happen is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server; dropped, it is gone.
pub struct RedisServer {
    child: Child,
    port: u16,
    options: Vec<String>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server, with options such as `--requirepass` and its value, and waits until it takes connections.
    ///
    /// # Errors
    /// A program that is missing or does not listen.
    pub async fn start(options: &[&str]) -> io::Result<Self> {
        let (folder, port) = (TempDir::new()?, free_port()?);
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let server = Self { child: spawn(&folder, port, &options)?, port, options, folder };
        server.listens().await?;
        Ok(server)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on the same port, with nothing in it.
    ///
    /// # Errors
    /// A server that does not listen.
    pub async fn start_again(&mut self) -> io::Result<()> {
        self.child = spawn(&self.folder, self.port, &self.options)?;
        self.listens().await
    }

    /// Connections stay, and nothing is answered any more.
    pub fn hang(&self) {
        signal(self.child.id(), "STOP");
    }

    /// It goes on where it hung.
    pub fn go_on(&self) {
        signal(self.child.id(), "CONT");
    }

    /// What it answers to a command, line by line.
    ///
    /// # Panics
    /// When redis-cli is missing, or what it says is no text.
    pub fn answer(&self, command: &[&str]) -> Vec<String> {
        let output = self.client(command).output().expect("redis-cli is installed");
        let lines = String::from_utf8(output.stdout).expect("text");
        lines.lines().map(str::to_owned).collect()
    }

    /// An outside client that hears a channel.
    ///
    /// # Panics
    /// When redis-cli is missing, or the channel is refused.
    pub async fn subscribe(&self, channel: &str) -> Messages {
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

    async fn listens(&self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = TcpStream::connect(("127.0.0.1", self.port)).await {
            if Instant::now() > deadline {
                return Err(error);
            }
            time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }
}

/// Not even one that hangs is left over.
impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(folder: &TempDir, port: u16, options: &[String]) -> io::Result<Child> {
    let mut server = Command::new("redis-server");
    server.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    server.args(options).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).spawn()
}

/// What an outside client hears on a channel.
pub struct Messages {
    child: Child,
    messages: mpsc::UnboundedReceiver<String>,
}

impl Messages {
    /// The next message.
    ///
    /// # Panics
    /// When none comes.
    pub async fn next(&mut self) -> String {
        let mut line = async || self.messages.recv().await.expect("a line");
        let message = async {
            assert_eq!(line().await, "message");
            line().await;
            line().await
        };
        time::timeout(PATIENCE, message).await.expect("a message")
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
