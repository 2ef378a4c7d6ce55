//! `trigger` and `tail`, which speak to a running service from outside.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, ChildStdout, Stdio},
};

use scratch::Scratch;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    eventually,
    process::{Process, free_port, output, run, signal, trackside},
    text,
};

const REPOSITORY: &str = "https://github.com/acme/rocket";

/// A served installation with one project.
struct Place {
    folder: Scratch,
    process: Process,
    port: String,
    project: Value,
    key: String,
}

impl Place {
    async fn new() -> Self {
        let folder = Scratch::new();
        let process = Process::serve(folder.path(), free_port(), &[], &[]).await;
        let (at, port) = (folder.path(), process.port.to_string());
        let made = output(at, &["--json", "project", "create", "--name", "Rocket", "--repo-url", REPOSITORY]);
        let project = serde_json::from_str(&made).unwrap();
        let key = output(at, &["key", "create", "--name", "tail", "--role", "viewer"]);
        Self { folder, process, port, project, key }
    }

    fn trigger(&self, arguments: &[&str]) -> Value {
        let all = [&["--json", "--port", &self.port, "trigger"], arguments].concat();
        serde_json::from_str(&output(self.folder.path(), &all)).unwrap()
    }

    fn tail(&self, arguments: &[&str]) -> Tail {
        let mut child = trackside(self.folder.path())
            .args(["--json", "--port", &self.port, "tail", "Rocket"])
            .args(arguments)
            .env("TRACKSIDE_API_KEY", &self.key)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let events = BufReader::new(child.stdout.take().unwrap());
        let words = BufReader::new(child.stderr.take().unwrap());
        Tail { child, events, words }
    }
}

/// A running `tail`.
struct Tail {
    child: Child,
    events: BufReader<ChildStdout>,
    words: BufReader<ChildStderr>,
}

impl Tail {
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.events.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Reads on to an event of this name.
    fn until(&mut self, name: &str) -> Value {
        loop {
            let event = self.next();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Reads what it says about the connection, up to these words.
    fn says(&mut self, words: &str) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert!(self.words.read_line(&mut line).unwrap() > 0, "it ended without saying: {words}");
        }
    }

    fn interrupt(mut self) -> Option<i32> {
        signal(self.child.id(), "INT");
        self.child.wait().unwrap().code()
    }
}

/// No process outlives its test.
impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_triggered_delivery_is_one_as_the_host_would_send_it() {
    let place = Place::new().await;
    let told = place.trigger(&["github", "push", "--path", "docs/prd.md", "--path", "docs/architecture.md"]);
    assert_eq!((&told["status"], &told["outcome"]), (&202.into(), &"accepted".into()));
    let again = place.trigger(&["github", "push", "--delivery-id", &text(&told["deliveryId"])]);
    assert_eq!(again["outcome"], "duplicate");
    for event in ["tag", "pr", "issues", "release", "pipeline-failed", "pipeline-passed"] {
        assert_eq!(place.trigger(&["github", event])["outcome"], "accepted");
    }
    let client = place.process.client(Some(&place.key));
    let id = text(&place.project["id"]);
    crate::support::eventually("two documents and two runs are known", async || {
        let count = async |list: &str| {
            let list = client.get(&format!("/api/v1/projects/{id}/{list}")).await.expect(200).json;
            list["items"].as_array().unwrap().len()
        };
        count("artifacts").await == 2 && count("runs").await == 2
    })
    .await;
}

#[tokio::test]
async fn a_secret_that_is_given_needs_no_database_and_a_wrong_one_is_refused() {
    let place = Place::new().await;
    let elsewhere = TempDir::new().unwrap();
    let id = text(&place.project["id"]);
    let url = format!("http://127.0.0.1:{}", place.port);
    let post = |secret: &str| {
        trackside(elsewhere.path())
            .args(["trigger", "github", "issue", "--project", &id, "--url", &url])
            .env("TRACKSIDE_WEBHOOK_SECRET", secret)
            .output()
            .unwrap()
    };
    let told = post(&text(&place.project["webhookSecret"]));
    assert!(String::from_utf8_lossy(&told.stdout).contains("202 accepted"));
    let refused = post("another");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(words.contains("401") && words.contains("the signature does not match"), "{words}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "no installation was made");
}

#[test]
fn trigger_says_what_it_needs() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let words = |arguments: &[&str], code| {
        let told = run(at, arguments);
        assert_eq!(told.status.code(), Some(code), "{arguments:?}");
        String::from_utf8_lossy(&told.stderr).into_owned()
    };
    assert!(words(&["trigger", "github", "push"], 1).contains("there is no installation"));
    assert_eq!(std::fs::read_dir(at).unwrap().count(), 0, "asking made nothing");
    output(at, &["project", "create", "--name", "A", "--repo-url", REPOSITORY]);
    let port = free_port().to_string();
    assert!(words(&["--port", &port, "trigger", "github", "push"], 1).contains("nothing answers at"));
    let b = output(at, &["--json", "project", "create", "--name", "B", "--repo-url", REPOSITORY]);
    let b = text(&serde_json::from_str::<Value>(&b).unwrap()["id"]);
    let unclear = words(&["trigger", "github", "push"], 1);
    assert!(unclear.contains("--project") && unclear.contains(&format!("{b}  B")), "{unclear}");
    assert!(words(&["trigger", "bitbucket", "release", "--project", "B"], 1).contains("no releases"));
    assert!(words(&["trigger", "sourceforge", "push"], 2).contains("gitlab"));
    let tls = ["trigger", "github", "push", "--project", "B", "--url", "https://example.org"];
    assert!(words(&tls, 1).contains("plain http only"));
}

#[tokio::test]
async fn tail_misses_nothing_across_a_restart_and_ends_well() {
    let Place { folder, process, port, project, key } = Place::new().await;
    let at = Place { folder, process, port, project, key };
    at.trigger(&["github", "push"]);
    let mut tail = at.tail(&["--after", "0"]);
    let first = tail.until("artifact_updated");
    assert_eq!(first["payload"]["path"], "docs/prd.md");
    let Place { folder, process, port, project, key } = at;
    let number = process.port;
    process.kill();
    tail.says("trying again in");
    let process = Process::serve(folder.path(), number, &[], &[]).await;
    let at = Place { folder, process, port, project, key };
    at.trigger(&["github", "issue"]);
    let mut events = vec![tail.next()];
    while events.last().unwrap()["event"] != "issue_changed" {
        events.push(tail.next());
    }
    let position = |event: &Value| -> i64 { text(&event["id"]).rsplit_once(':').unwrap().1.parse().unwrap() };
    let positions: Vec<_> = events.iter().map(position).collect();
    let expected: Vec<_> = (position(&first) + 1..).take(positions.len()).collect();
    assert_eq!(positions, expected, "each once, in order, from where it had stopped");
    assert_eq!(tail.interrupt(), Some(0));
}

#[tokio::test]
async fn tail_says_plainly_when_the_log_cannot_be_taken_up() {
    let place = Place::new().await;
    let mut tail = place.tail(&["--after", "999"]);
    assert!(text(&tail.until("reset")["reason"]).contains("present state"));
    assert_eq!(tail.interrupt(), Some(0));
}

#[tokio::test]
async fn tail_ends_with_advice_where_waiting_would_not_help() {
    let place = Place::new().await;
    let (at, port) = (place.folder.path(), place.port.as_str());
    let blind =
        output(at, &["key", "create", "--name", "x", "--role", "viewer", "--scopes", "projects.read"]);
    let unknown = "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c";
    let cases: [(&[&str], &str); 4] = [
        (&["tail"], "TRACKSIDE_API_KEY"),
        (&["tail", "--key", "tsk_wrong"], "check --key"),
        (&["tail", "--key", &blind], "events.read"),
        (&["tail", unknown, "--key", &place.key], "trackside project list"),
    ];
    for (arguments, advice) in cases {
        let told = run(at, &[&["--port", port], arguments].concat());
        let words = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!(told.status.code(), Some(1), "{arguments:?}");
        assert!(words.contains(advice), "{words}");
    }
}

#[test]
fn a_reader_who_leaves_early_is_no_error() {
    let folder = TempDir::new().unwrap();
    let mut child = trackside(folder.path())
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut words = String::new();
    child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert!(child.wait().unwrap().success() && words.is_empty(), "{words}");
}

#[tokio::test]
async fn what_each_host_sends_is_taken_listed_and_replayed_and_what_is_refused_says_why() {
    let place = Place::new().await;
    for source in ["github", "gitlab", "bitbucket", "gitea", "forgejo"] {
        for event in ["push", "pull-request", "pipeline-failed"] {
            assert_eq!(place.trigger(&[source, event])["outcome"], "accepted", "{source} {event}");
        }
    }
    let at = place.folder.path();
    let listed = |status: &str| -> Vec<Value> {
        serde_json::from_str(&output(at, &["--json", "delivery", "list", "--status", status])).unwrap()
    };
    eventually("all of them are processed", async || listed("processed").len() == 15).await;
    assert!(listed("failed").is_empty() && listed("pending").is_empty());
    let id = text(&place.project["id"]);
    let forged =
        ["--port", &place.port, "trigger", "gitea", "push", "--secret", "whsec_Zm9yZ2Vk", "--project", &id];
    assert_eq!(run(at, &forged).status.code(), Some(1));
    eventually("the refusal is noted", async || {
        output(at, &["delivery", "rejected"]).contains("the signature does not match")
    })
    .await;
    let replayed = output(at, &["--json", "delivery", "replay", "--event", "push"]);
    assert_eq!(
        serde_json::from_str::<Value>(&replayed).unwrap()["enqueued"],
        3,
        "of GitHub, Gitea and Forgejo"
    );
    let everything = run(at, &["delivery", "replay"]);
    assert_eq!(everything.status.code(), Some(1), "which ones must be said");
    let newest = text(&listed("processed")[0]["id"]);
    assert!(output(at, &["delivery", "replay", &newest]).contains("1 will be processed again"));
}
