//! Demo data: sample projects in which agents are at work, loaded into a service that runs.

use serde_json::{Value, json};
use trackside::accounts::{NewKey, Role, Scope};

use crate::support::{Client, Project, Server, Tenant, any_key, eventually, text};

const PATH: &str = "/api/v1/demo-data";

/// A server that reads repositories, though no folders of its machine but its own samples.
async fn server() -> Server {
    Server::start_with(&[("TRACKSIDE_SCANS", "true")]).await
}

/// Loads demo data that are played once; gives the first project.
async fn loaded(tenant: &Tenant) -> Project {
    let made = tenant.client.post(PATH, json!({"seconds": 0})).await.expect(202).json;
    assert_eq!(made["projects"][0]["name"], "Rocket");
    Project {
        id: text(&made["projects"][0]["id"]),
        secret: String::new(),
        tenant: tenant.clone(),
        client: tenant.client.clone(),
    }
}

impl Project {
    /// Waits until the log tells of something.
    async fn comes_to(&self, what: &str, is_it: impl Fn(&Value) -> bool) {
        eventually(what, async || self.all("/events").await.iter().any(&is_it)).await;
    }

    /// Waits until the log tells of an event of this name, with this in its payload.
    async fn tells(&self, name: &str, field: &str, value: &str) {
        let what = format!("{name}, {field} {value}");
        self.comes_to(&what, |event| event["event"] == name && event["payload"][field] == value).await;
    }
}

async fn projects(client: &Client) -> usize {
    client.get("/api/v1/projects").await.expect(200).json["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn demo_data_show_what_agents_do_and_what_comes_in_their_way() {
    let server = server().await;
    let tenant = server.tenant("Acme").await;
    let project = loaded(&tenant).await;
    project.tells("conflict_detected", "kind", "version_mismatch").await;
    project.comes_to("documents fit again", |event| event["event"] == "conflict_resolved").await;
    project.tells("work_claimed", "holderName", "rust-dev").await;
    project.tells("paths_reserved", "holderName", "web-dev").await;
    project.tells("conflict_detected", "kind", "reservation_overlap").await;
    project.tells("conflict_detected", "kind", "reservation_violated").await;
    project.tells("work_released", "reason", "finished").await;
    project.comes_to("the release", |event| event["event"] == "release_published").await;
    let resolved = project.all("/conflicts?resolved=resolved").await;
    assert!(resolved.iter().any(|conflict| conflict["kind"] == "reservation_violated"), "{resolved:?}");
    let gates = project.told("gate_evaluated").await;
    let reviewed = |gate: &&Value| gate["name"] == "review" && gate["to"] == "passed";
    assert_eq!(gates.iter().filter(reviewed).count(), 2, "{gates:?}");
    let calls = project.all("/tool-calls").await;
    for result in ["success", "failure", "unauthorized", "rate_limited"] {
        assert!(calls.iter().any(|call| call["result"] == result), "{result}");
    }
    let items = project.all("/work-items").await;
    for lane in ["backlog", "ready", "done"] {
        assert!(items.iter().any(|item| item["lane"] == lane), "{lane}: {items:?}");
    }
    assert!(!project.all("/deliveries/rejected").await.is_empty(), "somebody did not know the secret");
    eventually("the agents' keys have ended", async || {
        let keys = tenant.client.get("/api/v1/api-keys").await.expect(200).json;
        let keys = keys["items"].as_array().unwrap().clone();
        keys.iter().filter(|key| !key["revokedAt"].is_null()).count() == 3
    })
    .await;
}

#[tokio::test]
async fn demo_data_are_loaded_once_by_who_may_make_projects_and_seen_by_nobody_else() {
    let server = server().await;
    let (tenant, other) = (server.tenant("Acme").await, server.tenant("Other").await);
    let member = server.key(tenant.id, NewKey { role: Role::Member, ..any_key() }).await;
    server.client(&member).post(PATH, json!({})).await.refused(403, "insufficient_scope");
    let mine = tenant.project("Mine").await;
    let limited = NewKey {
        role: Role::Admin,
        scopes: Some([Scope::ProjectsWrite].into()),
        projects: Some(vec![mine.id.parse().unwrap()]),
        ..any_key()
    };
    let limited = server.key(tenant.id, limited).await;
    server.client(&limited).post(PATH, json!({})).await.refused(403, "insufficient_scope");
    tenant.client.post(PATH, json!({"seconds": 3_601})).await.refused(400, "invalid_request");
    assert_eq!(projects(&tenant.client).await, 1);
    let project = loaded(&tenant).await;
    tenant.client.post(PATH, json!({})).await.refused(409, "conflict");
    assert_eq!((projects(&tenant.client).await, projects(&other.client).await), (3, 0));
    other.client.get(&project.path("")).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_sample_project_that_is_deleted_takes_its_repository_along() {
    let server = server().await;
    let tenant = server.tenant("Acme").await;
    let project = loaded(&tenant).await;
    let folder = server.service.app.git.sample(project.id.parse().unwrap());
    assert!(folder.is_dir());
    project.comes_to("documents are read", |event| event["event"] == "artifact_updated").await;
    tenant.client.delete(&project.path("")).await.expect(204);
    eventually("the repository is gone", async || !folder.exists()).await;
}
