//! Two workers on the SDKs that others have, and one project: what one leaves behind when it dies, the other does, and
//! whoever reads the log afterwards knows what happened.

use serde_json::json;

use super::{held, with};
use crate::support::{
    Server,
    agent::{Agent, Revision},
    eventually,
    programs::{node, python},
    sentences::{attendance, told},
    worker::Worker,
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
    assert_eq!(worker.says().await["item"]["title"], "Fix the leak");
    let lost = worker.says().await;
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
    let taken_over = worker.says().await;
    assert_eq!((&taken_over["workItemId"], &taken_over["fencingToken"]), (&database["id"], &json!(2)));
    for title in ["Write the schema", "Sign in", "Sign out", "Write the guide"] {
        let claim = worker.says().await;
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
