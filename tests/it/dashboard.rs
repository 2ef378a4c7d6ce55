//! The dashboard in Chromium, as people use it: the real binary, led by scripts on playwright-core under
//! `tests/clients/dashboard`.
//!
//! Where there is no Node.js the binary is built without the page; `scripts/test` installs it, so these tests ask for it.

use std::{fs, path::Path, process::Stdio, time::Duration};

use scratch::Scratch;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::timeout,
};

use crate::support::{
    Client, PATIENCE, eventually,
    process::{LOG, Process, free_port, output},
    programs::node,
    text,
    visitor::{EMAIL, PASSWORD},
};

/// A whole script, on a busy machine.
const LONG: Duration = Duration::from_secs(240);
/// The owner that a service makes when it starts.
const OWNER: [(&str, &str); 2] = [("TRACKSIDE_ADMIN_EMAIL", EMAIL), ("TRACKSIDE_ADMIN_PASSWORD", PASSWORD)];

/// A script that visits a service.
fn visit(script: &str, process: &Process, settings: &[(&str, &str)]) -> Command {
    let mut command = node(&format!("dashboard/{script}.mjs"));
    command.env("TRACKSIDE_URL", format!("http://127.0.0.1:{}", process.port));
    command.envs(settings.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Does a whole script.
async fn goes_well(mut visit: Command) {
    let ended = timeout(LONG, visit.output()).await.expect("it ends").unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn owner(process: &Process, folder: &Path) -> Client {
    process.client(Some(&output(folder, &["key", "create", "--name", "me", "--role", "owner"])))
}

#[tokio::test]
async fn somebodys_first_hour_from_the_link_that_is_printed_to_a_card_that_two_windows_see() {
    let folder = Scratch::new();
    let process = Process::serve(folder.path(), free_port(), &[], &[]).await;
    let link = async || {
        let log = fs::read_to_string(folder.path().join(LOG)).unwrap();
        let (_, code) = log.split_once("/setup?code=")?;
        let code = code.split_whitespace().next()?;
        Some(format!("http://127.0.0.1:{}/setup?code={code}", process.port))
    };
    eventually("it prints the link", async || link().await.is_some()).await;
    let link = link().await.unwrap();
    goes_well(visit("first_hour", &process, &[("SETUP_LINK", &link)])).await;
}

#[tokio::test]
async fn the_page_catches_up_by_itself_with_a_service_that_was_killed_and_started_again() {
    let (folder, port) = (Scratch::new(), free_port());
    let process = Process::serve(folder.path(), port, &OWNER, &[]).await;
    let project = process.project(folder.path()).await;
    let item = json!({"title": "Written down before the service died", "lane": "ready"});
    project.client.post(&project.path("/work-items"), item).await.expect(201);
    let title = "Written down after the service had died";
    let settings = [("PROJECT_ID", &*project.id), ("EMAIL", EMAIL), ("PASSWORD", PASSWORD), ("TITLE", title)];
    let mut page = visit("restart", &process, &settings);
    page.stderr(Stdio::inherit());
    let mut page = page.spawn().unwrap();
    let mut said = BufReader::new(page.stdout.take().unwrap()).lines();
    let ready = timeout(PATIENCE * 2, said.next_line()).await.expect("it says something").unwrap();
    assert_eq!(ready.as_deref(), Some("ready"));
    process.kill();
    let _process = Process::serve(folder.path(), port, &OWNER, &[]).await;
    let item = json!({"title": title, "lane": "ready"});
    project.client.post(&project.path("/work-items"), item).await.expect(201);
    let ended = timeout(LONG, page.wait()).await.expect("it sees that").unwrap();
    assert!(ended.success());
}

#[tokio::test]
async fn every_view_of_sample_data_is_open_to_everybody_in_both_themes_and_on_a_telephone() {
    let folder = Scratch::new();
    let reads = [OWNER[0], OWNER[1], ("TRACKSIDE_SCANS", "true")];
    let process = Process::serve(folder.path(), free_port(), &reads, &[]).await;
    let client = owner(&process, folder.path());
    let made = client.post("/api/v1/demo-data", json!({"seconds": 0})).await.expect(202).json;
    let project = text(&made["projects"][0]["id"]);
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard");
    let pictures = pictures.to_str().unwrap();
    let settings =
        [("PROJECT_ID", &*project), ("EMAIL", EMAIL), ("PASSWORD", PASSWORD), ("PICTURES", pictures)];
    goes_well(visit("views", &process, &settings)).await;
}
