//! Projects: made, listed, changed, deleted, and their secrets kept.

use serde_json::json;
use trackside::accounts::{NewKey, Role};
use trackside::samples::Repository;

use crate::support::{Server, any_key, dawn, eventually, number, text};

#[tokio::test]
async fn a_new_project_answers_its_secret_once_and_its_webhook_addresses_always() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let body = json!({"name": " Rocket ", "repoUrl": "https://github.com/acme/rocket"});
    let made = acme.client.post("/api/v1/projects", body).await.expect(201);
    let project = &made.json;
    assert_eq!(made.headers["location"], format!("/api/v1/projects/{}", text(&project["id"])));
    assert_eq!(project["name"], "Rocket");
    assert!(text(&project["webhookSecret"]).starts_with("whsec_"));
    let url = format!("http://{}/webhooks/github/{}", server.service.address, text(&project["id"]));
    assert_eq!(project["webhookUrls"]["github"], url);
    let shown = acme.client.get(&format!("/api/v1/projects/{}", text(&project["id"]))).await.expect(200);
    assert!(shown.json.get("webhookSecret").is_none());
    assert_eq!(shown.json["webhookUrls"]["github"], url);
}

#[tokio::test]
async fn a_project_that_makes_no_sense_is_refused_by_the_field_that_is_wrong() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let good = "https://github.com/acme/rocket";
    let cases = [
        (json!({"name": "", "repoUrl": good}), "/name"),
        (json!({"name": "x".repeat(201), "repoUrl": good}), "/name"),
        (json!({"name": "a\nb", "repoUrl": good}), "/name"),
        (json!({"name": "x", "repoUrl": "rocket"}), "/repoUrl"),
        (json!({"name": "x", "repoUrl": "https://me:pass@github.com/a/b"}), "/repoUrl"),
        (
            json!({"name": "x", "repoUrl": good, "config": {"artifactPaths": {"prd": ["["]}}}),
            "/config/artifactPaths/prd",
        ),
        (json!({"name": "x", "repoUrl": good, "config": {"branch": ""}}), "/config/branch"),
        (json!({"name": [], "repoUrl": good}), "/name"),
    ];
    for (body, pointer) in cases {
        let refused =
            acme.client.post("/api/v1/projects", body.clone()).await.refused(400, "invalid_request");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{body}");
    }
    let unknown = json!({"name": "x", "repoUrl": good, "colour": "red"});
    let refused = acme.client.post("/api/v1/projects", unknown).await.refused(400, "invalid_request");
    assert_eq!(refused.json["errors"][0]["pointer"], "/colour");
    for body in [json!({}), json!([]), json!({"name": "x"})] {
        acme.client.post("/api/v1/projects", body).await.refused(400, "invalid_request");
    }
    let text = [("content-type", "text/plain")];
    acme.client
        .post_bytes("/api/v1/projects", &text, b"name".to_vec())
        .await
        .refused(415, "unsupported_media_type");
    let json = [("content-type", "application/json")];
    acme.client.post_bytes("/api/v1/projects", &json, b"{".to_vec()).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_change_keeps_what_it_leaves_out_and_tells_the_log() {
    let server = Server::start().await;
    let project = server.project().await;
    server.advance(5);
    let changed = project.client.patch(&project.path(""), json!({"name": "Comet"})).await.expect(200).json;
    assert_eq!((&changed["name"], &changed["version"]), (&json!("Comet"), &json!(2)));
    assert_eq!(changed["repoUrl"], "https://github.com/acme/rocket");
    assert_ne!(changed["updatedAt"], changed["createdAt"]);
    assert_eq!(project.event_names().await, ["project_changed"]);
    assert_eq!(project.client.get(&project.path("")).await.expect(200).json, changed);
}

#[tokio::test]
async fn projects_are_listed_oldest_first_and_page_by_page() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    for index in 0..5 {
        acme.project(&format!("P{index}")).await;
        server.advance(1);
    }
    let first = acme.client.get("/api/v1/projects?limit=3").await.expect(200).json;
    let next = format!("/api/v1/projects?limit=3&cursor={}", text(&first["nextCursor"]));
    let second = acme.client.get(&next).await.expect(200).json;
    let both = [&first, &second].map(|page| page["items"].as_array().unwrap().clone()).concat();
    let names: Vec<_> = both.iter().map(|project| text(&project["name"])).collect();
    assert_eq!(names, ["P0", "P1", "P2", "P3", "P4"]);
    assert!(second["nextCursor"].is_null());
}

#[tokio::test]
async fn a_deleted_project_is_gone_at_once_and_its_rows_soon() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let (gone, kept) = (acme.project("Gone").await, acme.project("Kept").await);
    let mut repository = Repository::new("acme/rocket", dawn());
    for project in [&gone, &kept] {
        for index in 0..30 {
            project.deliver(&format!("d-{index}"), &repository.status("ci", "success")).await.expect(202);
        }
        project.settled().await;
    }
    gone.client.delete(&gone.path("")).await.expect(204);
    gone.client.get(&gone.path("")).await.refused(404, "not_found");
    gone.client.get(&gone.path("/events")).await.refused(404, "not_found");
    gone.client.delete(&gone.path("")).await.refused(404, "not_found");
    gone.deliver("d-late", &repository.ping()).await.refused(404, "not_found");
    assert_eq!(acme.client.get("/api/v1/projects").await.json["items"].as_array().unwrap().len(), 1);
    let database = server.database().await;
    for table in ["webhook_event", "event", "run", "project_secret", "event_head"] {
        let sql = format!("SELECT count(DISTINCT project_id) FROM {table}");
        eventually(table, async || number(&database, &sql).await == 1).await;
    }
    eventually("the job is done", async || number(&database, "SELECT count(*) FROM job").await == 0).await;
    assert_eq!(number(&database, "SELECT count(*) FROM project").await, 1);
    assert_eq!(kept.all("/deliveries").await.len(), 30);
}

#[tokio::test]
async fn secrets_are_nowhere_in_the_database_as_text() {
    let server = Server::start().await;
    let project = server.project().await;
    let key = server.key(project.tenant.id, NewKey { role: Role::Admin, ..any_key() }).await;
    server.service.stop().await;
    for file in std::fs::read_dir(server.place.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for secret in [&project.secret, &key] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}
