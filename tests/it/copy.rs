//! Moving to another database: from a SQLite file to whatever engine the tests run on, and back to a file.

use std::{collections::BTreeSet, fs, path::Path, process::Output};

use scratch::Scratch;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use tempfile::TempDir;
use trackside::audit::Entry;
use trackside::samples::{Commit, Repository, WorkflowRun};

use crate::audit;
use crate::support::{
    Client, Project, Server,
    client::answer,
    dawn, eventually, number,
    process::{output, run},
    text,
};

/// Addresses that do not change with the port, so that answers can be compared.
const PUBLIC: (&str, &str) = ("TRACKSIDE_PUBLIC_URL", "https://trackside.example.org");

/// A SQLite installation in a folder of its own.
struct Old {
    folder: TempDir,
}

impl Old {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.folder.path().join("old.db").display())
    }

    fn data(&self) -> String {
        self.folder.path().display().to_string()
    }

    async fn start(&self) -> Server {
        let (url, data) = (self.url(), self.data());
        Server::start_with(&[PUBLIC, ("DATABASE_URL", &url), ("TRACKSIDE_DATA_DIR", &data)]).await
    }

    /// Copies it into the database that the settings in `folder` lead to.
    fn copy_to(&self, folder: &Path) -> Output {
        run(folder, &["--json", "copy", "--from", &self.url()])
    }

    fn is_refused(&self, folder: &Path, why: &str) {
        let refused = self.copy_to(folder);
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!((refused.status.code(), words.contains(why)), (Some(1), true), "{words}");
    }

    fn bring_key(&self, folder: &Path) {
        fs::copy(self.folder.path().join("master.key"), folder.join("master.key")).unwrap();
    }
}

/// A project with something in every list, and more of some than fits on a page of the copy.
async fn furnish(server: &Server, name: &str) -> Project {
    let project = server.tenant(name).await.project(name).await;
    let mut repository = Repository::new("acme/rocket", dawn());
    project.deliver("old", &repository.ping()).await.expect(202);
    project.settled().await;
    let commit = Commit { added: &["docs/prd.md", "docs/stories/1.1.a.md"], ..Default::default() };
    project.deliver("push", &repository.push("main", &[commit])).await.expect(202);
    let removed = Commit { removed: &["docs/stories/1.1.a.md"], ..Default::default() };
    project.deliver("removed", &repository.push("main", &[removed])).await.expect(202);
    for index in 0..300 {
        let status = repository.status(&format!("ci/{index}"), "success");
        project.deliver(&format!("status-{index}"), &status).await.expect(202);
    }
    let (status, conclusion) = ("completed", Some("failure"));
    let run = WorkflowRun { id: 7, name: "CI", attempt: 1, status, conclusion, branch: "main" };
    project.deliver("run", &repository.workflow_run(&run)).await.expect(202);
    project.deliver_bytes("failed", "push", b"null".to_vec()).await.expect(202);
    let forger = Project { secret: "whsec_another".to_owned(), ..project.clone() };
    forger.deliver_bytes("forged", "push", b"{}".to_vec()).await.expect(401);
    eventually("the refusal is noted", async || !project.all("/deliveries/rejected").await.is_empty()).await;
    for about in [Some(project.id.parse().unwrap()), None] {
        let call = Entry { project: about, ..audit::call(project.tenant.id, "get_run") };
        audit::record(server, call.clone()).await;
        audit::record_with_change(server, call).await;
    }
    for name in ["ended", "under way"] {
        let begun =
            json!({"name": name, "branch": "story/1.2", "workItemId": project.id, "deadlineSeconds": 86_400});
        let begun = project.client.post(&project.path("/runs"), begun).await.expect(201).json;
        let told = json!({"summary": name, "costMicroUsd": 5, "inputTokens": 6, "outputTokens": 7});
        let path = project.path(&format!("/runs/{}", text(&begun["id"])));
        project.client.patch(&path, told).await.expect(200);
        if name == "ended" {
            project.client.patch(&path, json!({"status": "failed"})).await.expect(200);
        }
    }
    let viewer = json!({"name": "viewer", "role": "viewer", "projectIds": [project.id]});
    project.client.post("/api/v1/api-keys", viewer).await.expect(201);
    project.settled().await;
    project
}

/// The answer to a write that may have been made before.
async fn create_once(client: &Client) -> String {
    let body = json!({"name": "Once", "repoUrl": "https://github.com/acme/once"});
    let request = client.request(reqwest::Method::POST, "/api/v1/projects");
    answer(request.header("idempotency-key", "once").json(&body)).await.expect(201).body
}

/// Everything that a project's lists answer, byte for byte.
async fn answers(project: &Project) -> Vec<String> {
    let lists = [
        "",
        "/tool-calls",
        "/deliveries",
        "/deliveries/rejected",
        "/events",
        "/artifacts?removed=true",
        "/runs",
    ];
    let mut paths = vec!["/api/v1/projects".to_owned(), "/api/v1/api-keys".to_owned()];
    paths.extend(lists.map(|list| project.path(list)));
    for list in ["/deliveries?status=failed", "/deliveries"] {
        let deliveries = project.all(list).await;
        let some = deliveries.first().into_iter().chain(deliveries.last());
        paths.extend(some.map(|delivery| project.path(&format!("/deliveries/{}", text(&delivery["id"])))));
    }
    let mut answers = Vec::new();
    for path in paths {
        answers.push(project.client.get(&path).await.expect(200).body);
    }
    for list in ["/deliveries", "/events", "/runs"] {
        answers.extend(project.all(list).await.iter().map(Value::to_string));
    }
    answers
}

#[tokio::test]
async fn a_service_goes_on_in_another_database_as_if_nothing_had_happened() {
    let old = Old::new();
    let server = old.start().await;
    let old_body = furnish(&server, "Early").await;
    server.advance(31 * 24 * 3600);
    let first_id = text(&old_body.all("/deliveries").await.last().unwrap()["id"]);
    let first = old_body.path(&format!("/deliveries/{first_id}"));
    eventually("the old bodies are removed", async || {
        old_body.client.get(&first).await.expect(200).json["body"].is_null()
    })
    .await;
    eventually("the run that nobody told of any more is lost", async || {
        old_body.all("/runs?status=lost").await.len() == 1
    })
    .await;
    let projects = [furnish(&server, "Acme").await, furnish(&server, "Globex").await, old_body];
    let rotate = projects[0].path("/webhook-secret/rotate");
    projects[0].client.post(&rotate, json!({"overlapSeconds": 7200})).await.expect(200);
    let once = create_once(&projects[0].client).await;
    trackside::accounts::write_uses(&server.service.app).await; // so that the end of the service changes nothing
    let mut expected = Vec::new();
    for project in &projects {
        expected.push(answers(project).await);
    }
    let (clock, place) = (server.clock, server.place);
    server.service.stop().await;

    let copied = old.copy_to(place.path());
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let told: Value = serde_json::from_slice(&copied.stdout).unwrap();
    assert_eq!(told["hasMasterKey"], false, "it is in the folder of the old one");
    old.bring_key(place.path());
    let server = Server::start_in(place, clock, &[PUBLIC]).await;
    for (project, expected) in projects.iter().zip(&expected) {
        let project = server.again(project);
        assert_eq!(&answers(&project).await, expected, "every list, byte for byte");
        let events = project.all("/events").await;
        let seen = text(&events[events.len() - 3]["id"]);
        let mut stream = project.follow(Some(&seen)).await;
        for event in &events[events.len() - 2..] {
            assert_eq!(&stream.next().await.unwrap().data, event, "a stream goes on where it was");
        }
        let again = project.deliver("push", &Repository::new("acme/rocket", dawn()).ping()).await.expect(202);
        assert_eq!(
            again.json["status"], "duplicate",
            "repetitions are still known, and signed by the old secret"
        );
        let new = project.deliver("new", &Repository::new("acme/rocket", dawn()).ping()).await.expect(202);
        assert_eq!(new.json["status"], "accepted");
        assert_eq!(stream.next().await.unwrap().data["event"], "delivery_received");
        let failed = json!({"status": "failed"});
        let replayed =
            project.client.post(&project.path("/deliveries/replay"), failed).await.expect(202).json;
        let bodies_are_gone = project.id == projects[2].id;
        assert_eq!((&replayed["enqueued"] == 1, &replayed["gone"] == 1), (!bodies_are_gone, bodies_are_gone));
        project.settled().await;
    }
    for project in &projects {
        audit::record_with_change(&server, audit::call(project.tenant.id, "get_run")).await;
        let verified = trackside::audit::verify(&server.service.app, project.tenant.id).await.unwrap();
        assert_eq!((verified.findings.len(), verified.records), (0, 5), "chains are copied, and go on");
    }
    let first = server.again(&projects[0]);
    assert_eq!(create_once(&first.client).await, once, "an answer that was kept is opened and given again");
    let now = answers(&first).await;

    // And back into a file.
    let back = Scratch::new();
    let (clock, place) = (server.clock, server.place);
    server.service.stop().await;
    let url = format!("sqlite://{}", back.path().join("back.db").display());
    output(back.path(), &["copy", "--from", &place.database_url(), "--database-url", &url]);
    old.bring_key(back.path());
    let data = back.path().display().to_string();
    let settings = [PUBLIC, ("DATABASE_URL", url.as_str()), ("TRACKSIDE_DATA_DIR", &data)];
    let server = Server::start_in(place, clock, &settings).await;
    assert_eq!(answers(&server.again(&first)).await, now);
}

#[tokio::test]
async fn every_table_is_copied() {
    let old = Old::new();
    let server = old.start().await;
    server.project().await;
    let place = server.place;
    server.service.stop().await;
    let told: Value = serde_json::from_slice(&old.copy_to(place.path()).stdout).unwrap();
    let copied =
        told["tables"].as_array().unwrap().iter().map(|it| text(&it["table"])).collect::<BTreeSet<_>>();
    let database = place.database().await;
    let tables = if place.is_postgres() {
        "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
         AND name NOT LIKE 'artifact_words%'"
    };
    let rows = database
        .query_all_raw(Statement::from_string(database.get_database_backend(), tables))
        .await
        .unwrap();
    let mut known: BTreeSet<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    assert!(known.remove("seaql_migrations"));
    assert_eq!(copied, known);
    for table in told["tables"].as_array().unwrap() {
        let there = number(&database, &format!("SELECT count(*) FROM {}", text(&table["table"]))).await;
        assert_eq!(json!(there), table["rows"], "{table}");
    }
}

#[tokio::test]
async fn a_copy_that_would_lose_or_overwrite_something_is_refused() {
    let (old, folder) = (Old::new(), Scratch::new());
    let at = folder.path();
    old.is_refused(at, "there is no file");
    let server = old.start().await;
    server.project().await;
    old.is_refused(at, "stop the service first");
    server.service.stop().await;
    assert!(run(at, &["copy", "--from", &old.url(), "--database-url", &old.url()]).status.code() == Some(1));
    output(at, &["migrate", "down", "--yes", "--database-url", &old.url()]);
    old.is_refused(at, "trackside migrate up --database-url sqlite://");
    output(at, &["migrate", "up", "--database-url", &old.url()]);
    assert!(old.copy_to(at).status.success());
    old.is_refused(at, "needs an empty database");
    let wrong = run(at, &["copy", "--from", "postgresq://me:hunter2@db/track"]);
    let words = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(words.contains("--from") && !words.contains("hunter2"), "{words}");
}

#[tokio::test]
async fn a_database_whose_copy_was_interrupted_is_not_started_on() {
    let (old, folder) = (Old::new(), Scratch::new());
    let server = old.start().await;
    server.project().await;
    server.service.stop().await;
    assert!(old.copy_to(folder.path()).status.success());
    old.bring_key(folder.path());
    output(folder.path(), &["tenant", "list"]);
    // The last row that is copied.
    folder.database().await.execute_unprepared("DELETE FROM instance").await.unwrap();
    let refused = run(folder.path(), &["tenant", "list"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("was not finished"));
    old.is_refused(folder.path(), "needs an empty database");
}
