//! Two workers on the SDKs that others have, and one project: what one leaves behind when it dies, the other does, and
//! whoever reads the log afterwards knows what happened.
//!
//! The sentences here are made of events alone, without a look at anything else.

use std::{os::unix::process::ExitStatusExt as _, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{held, with};
use crate::support::{
    Client, PATIENCE, Project, Server,
    agent::{Agent, Revision},
    eventually,
    process::signal,
    programs::{node, python},
    text,
};

#[tokio::test]
async fn one_of_two_workers_dies_half_way_the_other_takes_over_and_the_log_tells_it_readably() {
    let server = Server::start().await;
    let project = server.project().await;
    project.item("Sign in", "ready").await;
    let high = json!({"title": "Choose a database", "lane": "ready", "priority": "high"});
    let database = project.item_with(high).await;
    let blocked = json!({"title": "Write the schema", "lane": "ready", "priority": "high"});
    project.item_with(with(blocked, json!({"blockedBy": [database["id"]]}))).await;
    project.item_with(json!({"title": "Fix the leak", "lane": "ready", "priority": "urgent"})).await;
    project.item("Sign out", "ready").await;
    project.item_with(json!({"title": "Write the guide", "lane": "ready", "priority": "low"})).await;

    let (first, second) =
        (project.member(&server, "python-agent").await, project.member(&server, "typescript-agent").await);
    let mut program = python("worker_agent.py");
    program.env("STOP_AFTER_CLAIMS", "2");
    let mut worker = Worker::start(program, &first, &project);
    assert_eq!(worker.claimed().await["item"]["title"], "Fix the leak");
    let lost = worker.claimed().await;
    assert_eq!((&lost["workItemId"], &lost["fencingToken"]), (&database["id"], &json!(1)));
    let half_way = r#"python-agent works on "Choose a database": reading what there is (1)"#;
    eventually("it is half-way", async || told(&project).await.last().unwrap() == half_way).await;
    worker.dies().await;
    assert_eq!(project.work_item(&database).await["claim"]["holderName"], "python-agent");

    server.advance(30);
    eventually("nobody holds it", async || project.work_item(&database).await["claim"].is_null()).await;
    let silent = ["python-agent is at work", "python-agent fell silent"];
    eventually("its silence is told", async || attendance(&project).await == silent).await;

    let mut worker = Worker::start(node("worker_agent.mjs"), &second, &project);
    let taken_over = worker.claimed().await;
    assert_eq!((&taken_over["workItemId"], &taken_over["fencingToken"]), (&database["id"], &json!(2)));
    for title in ["Write the schema", "Sign in", "Sign out", "Write the guide"] {
        let claim = worker.claimed().await;
        assert_eq!((&claim["item"]["title"], &claim["fencingToken"]), (&json!(title), &json!(1)));
    }
    worker.gets_through().await;
    let items = project.all("/work-items").await;
    assert_eq!(items.len(), 6);
    assert!(items.iter().all(|item| item["lane"] == "done" && item["claim"].is_null()), "{items:?}");
    let everybody = [&silent[..], &["typescript-agent is at work"]].concat();
    eventually("the other one is seen", async || attendance(&project).await == everybody).await;

    let late = with(held(&lost, &project), json!({"commit": "0000000", "summary": "I chose another one."}));
    let late = Agent::new(&first, Revision::Newest).refused("finish_work", late).await;
    assert_eq!(late["code"], "lease_lost", "{late}");
    assert_eq!(project.work_item(&database).await["commit"], "8934614", "what came too late changed nothing");
    assert_eq!(
        told(&project).await,
        [
            r#""Sign in" is to be done: ready"#,
            r#""Choose a database" is to be done: ready, high"#,
            r#""Write the schema" is to be done: ready, high, after 1 other"#,
            r#""Fix the leak" is to be done: ready, urgent"#,
            r#""Sign out" is to be done: ready"#,
            r#""Write the guide" is to be done: ready, low"#,
            r#"python-agent claimed "Fix the leak" (1)"#,
            r#"python-agent works on "Fix the leak": reading what there is (1)"#,
            r#"python-agent finished "Fix the leak" with f3cdb2c (1)"#,
            r#"python-agent claimed "Choose a database" (1)"#,
            r#"python-agent works on "Choose a database": reading what there is (1)"#,
            r#"python-agent lost "Choose a database" (1): expired, last seen by update at 2026-01-01T06:00:00Z"#,
            r#"typescript-agent claimed "Choose a database" (2)"#,
            r#"typescript-agent works on "Choose a database": writing it and its tests (2)"#,
            r#"typescript-agent finished "Choose a database" with 8934614 (2)"#,
            r#""Write the schema" waits for nothing any more"#,
            r#"typescript-agent claimed "Write the schema" (1)"#,
            r#"typescript-agent works on "Write the schema": writing it and its tests (1)"#,
            r#"typescript-agent finished "Write the schema" with 1ee2fa4 (1)"#,
            r#"typescript-agent claimed "Sign in" (1)"#,
            r#"typescript-agent works on "Sign in": writing it and its tests (1)"#,
            r#"typescript-agent finished "Sign in" with ada2e9e (1)"#,
            r#"typescript-agent claimed "Sign out" (1)"#,
            r#"typescript-agent works on "Sign out": writing it and its tests (1)"#,
            r#"typescript-agent finished "Sign out" with dc1649a (1)"#,
            r#"typescript-agent claimed "Write the guide" (1)"#,
            r#"typescript-agent works on "Write the guide": writing it and its tests (1)"#,
            r#"typescript-agent finished "Write the guide" with 729b9a2 (1)"#,
        ]
    );
}

/// A worker: a program of others' that really runs.
struct Worker {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Has a program work on a project with the key of a client.
    fn start(mut program: Command, client: &Client, project: &Project) -> Self {
        program.env("TRACKSIDE_MCP_URL", client.address("http", "/mcp"));
        program.env("TRACKSIDE_API_KEY", client.key.as_deref().unwrap());
        program.env("TRACKSIDE_PROJECT_ID", &project.id).stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    /// What it was told with the next claim that it made.
    async fn claimed(&mut self) -> Value {
        let line = timeout(PATIENCE, self.said.next_line()).await.expect("it says something").unwrap();
        serde_json::from_str(&line.expect("it goes on; else its complaint is above")).unwrap()
    }

    /// kill -9: it says nothing more, and gives nothing back.
    async fn dies(mut self) {
        signal(self.child.id().expect("it runs"), "KILL");
        let end = timeout(PATIENCE, self.child.wait()).await.expect("it dies").unwrap();
        assert_eq!(end.signal(), Some(9), "it died of that: {end}");
    }

    /// It has claimed nothing else, and has ended by itself.
    async fn gets_through(mut self) {
        let line = timeout(PATIENCE, self.said.next_line()).await.expect("it ends").unwrap();
        assert_eq!(line, None);
        assert!(timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap().success());
    }
}

/// The log as sentences, but for who is at work: that is told beside the work, at no fixed place in between.
async fn told(project: &Project) -> Vec<String> {
    let events = project.all("/events").await;
    events.iter().filter(|event| event["event"] != "agent_status_changed").map(sentence).collect()
}

/// Who came and went, as sentences.
async fn attendance(project: &Project) -> Vec<String> {
    let events = project.all("/events").await;
    let came_or_went = |event: &&Value| {
        event["event"] == "agent_status_changed" && event["payload"]["from"] != event["payload"]["to"]
    };
    let sentence = |event: &Value| {
        let [name, to, evidence] = ["name", "to", "evidence"].map(|field| text(&event["payload"][field]));
        match (&*to, &*evidence) {
            ("running", _) => format!("{name} is at work"),
            ("idle", "silence") => format!("{name} fell silent"),
            _ => format!("{name} is {to} by {evidence}"),
        }
    };
    events.iter().filter(came_or_went).map(sentence).collect()
}

/// An event of the work as a sentence, from what the event itself says.
fn sentence(event: &Value) -> String {
    let payload = &event["payload"];
    let said = |field: &str| {
        payload[field].as_str().unwrap_or_else(|| panic!("it does not say its {field}: {event}"))
    };
    let (name, title, fence) = (text(&event["event"]), said("title"), &payload["fencingToken"]);
    match (&*name, payload["change"].as_str(), payload["reason"].as_str()) {
        ("work_item_changed", Some("created"), _) => {
            let urgency = match said("priority") {
                "normal" => String::new(),
                other => format!(", {other}"),
            };
            let after = match payload["blockers"].as_u64() {
                Some(0) => String::new(),
                Some(1) => ", after 1 other".to_owned(),
                _ => format!(", after {} others", payload["blockers"]),
            };
            format!("{title:?} is to be done: {}{urgency}{after}", said("lane"))
        }
        ("work_item_changed", Some("unblocked"), _) => format!("{title:?} waits for nothing any more"),
        ("work_item_changed", Some("worked_on"), _) => {
            format!("{} works on {title:?}: {} ({fence})", said("holderName"), said("task"))
        }
        ("work_claimed", ..) => format!("{} claimed {title:?} ({fence})", said("holderName")),
        ("work_released", _, Some("finished")) => {
            format!("{} finished {title:?} with {} ({fence})", said("holderName"), said("commit"))
        }
        ("work_released", _, Some(reason)) => {
            let (holder, by, at) = (said("holderName"), said("lastSeenBy"), said("lastSeenAt"));
            format!("{holder} lost {title:?} ({fence}): {reason}, last seen by {by} at {at}")
        }
        _ => format!("{name} {payload}"),
    }
}
