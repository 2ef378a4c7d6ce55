//! Workers: programs that really run, each on an SDK that others have (`tests/clients/worker_agent.*`).
//!
//! One works by itself and says what it claimed, or is led: it does what it is told, tool by tool, and says what it was
//! answered.

use std::{os::unix::process::ExitStatusExt as _, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{Client, PATIENCE, Project, process::signal};

/// A worker: a program of others' that really runs.
pub(crate) struct Worker {
    child: Child,
    /// What it is led by; none if it works by itself.
    hears: Option<ChildStdin>,
    said: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Has a program work on a project with the key of a client.
    pub(crate) fn start(mut program: Command, client: &Client, project: &Project) -> Self {
        program.env("TRACKSIDE_MCP_URL", client.address("http", "/mcp"));
        program.env("TRACKSIDE_API_KEY", client.key.as_deref().unwrap());
        program.env("TRACKSIDE_PROJECT_ID", &project.id).stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { hears: child.stdin.take(), child, said }
    }

    /// The same for one that does what it is told.
    pub(crate) fn led(mut program: Command, client: &Client, project: &Project) -> Self {
        program.env("IS_LED", "yes").stdin(Stdio::piped());
        Self::start(program, client, project)
    }

    /// The next thing that it says.
    pub(crate) async fn says(&mut self) -> Value {
        let line = timeout(PATIENCE, self.said.next_line()).await.expect("it says something").unwrap();
        serde_json::from_str(&line.expect("it goes on; else its complaint is above")).unwrap()
    }

    /// Has it call a tool; gives what that answers, if it does what it was asked.
    pub(crate) async fn get(&mut self, tool: &str, arguments: Value) -> Value {
        let (is_done, answer) = self.call(tool, arguments).await;
        assert!(is_done, "{tool}: {answer}");
        answer
    }

    /// Has it call a tool; gives with what that refuses.
    pub(crate) async fn refused(&mut self, tool: &str, arguments: Value) -> Value {
        let (is_done, answer) = self.call(tool, arguments).await;
        assert!(!is_done, "{tool}: {answer}");
        answer
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> (bool, Value) {
        let line = format!("{}\n", json!([tool, arguments]));
        let hears = self.hears.as_mut().expect("it is led");
        hears.write_all(line.as_bytes()).await.expect("it listens; else its complaint is above");
        let mut said = self.says().await;
        (said["isDone"] == true, said["answer"].take())
    }

    /// kill -9: it says nothing more, and gives nothing back.
    pub(crate) async fn dies(mut self) {
        signal(self.child.id().expect("it runs"), "KILL");
        let end = timeout(PATIENCE, self.child.wait()).await.expect("it dies").unwrap();
        assert_eq!(end.signal(), Some(9), "it died of that: {end}");
    }

    /// It has nothing else to say, and ends by itself, once nobody leads it any more.
    pub(crate) async fn gets_through(mut self) {
        drop(self.hears.take());
        let line = timeout(PATIENCE, self.said.next_line()).await.expect("it ends").unwrap();
        assert_eq!(line, None);
        assert!(timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap().success());
    }
}
