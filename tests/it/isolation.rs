//! P4: no route shows one tenant another's existence.
//!
//! The routes are taken from the specification, so that one that is added is walked too.

use serde_json::{Value, json};
use trackside::{accounts::signin, samples::Repository};

use crate::support::{Answer, Client, Project, Server, Visitor, dawn, text};

/// A body that each writing route would accept, by operation.
fn body_for(operation: &str) -> Value {
    match operation {
        "create_project" => json!({"name": "x", "repoUrl": "https://github.com/a/b"}),
        "create_key" => json!({"name": "x", "role": "viewer"}),
        "update_project" => json!({"name": "stolen"}),
        "replay_deliveries" => json!({"status": "failed"}),
        _ => json!({}),
    }
}

struct Operation {
    id: String,
    method: reqwest::Method,
    path: String,
    is_open: bool,
}

fn operations() -> Vec<Operation> {
    let specification = trackside::http::specification();
    let paths = specification["paths"].as_object().expect("paths").clone();
    let of_path = |(path, methods): (String, Value)| {
        let methods = methods.as_object().expect("methods").clone();
        methods.into_iter().map(move |(method, operation)| Operation {
            id: text(&operation["operationId"]),
            method: method.to_uppercase().parse().expect("a method"),
            path: path.clone(),
            is_open: operation["security"].as_array().expect("a list").is_empty(),
        })
    };
    paths.into_iter().flat_map(of_path).collect()
}

/// Calls an operation with these ids in its path.
async fn call(client: &Client, operation: &Operation, ids: &[(&str, &str)]) -> Answer {
    let path =
        ids.iter().fold(operation.path.clone(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
    assert!(!path.contains('{'), "the walk knows no id for {path}: add one");
    let request = client.request(operation.method.clone(), &path);
    let request = if operation.method == reqwest::Method::GET {
        request
    } else {
        request.json(&body_for(&operation.id))
    };
    crate::support::client::answer(request).await
}

/// What of an answer a stranger could tell two things apart by.
fn seen(answer: &Answer) -> (u16, Value) {
    let mut json = answer.json.clone();
    if let Some(problem) = json.as_object_mut() {
        problem.remove("instance");
        problem.remove("requestId");
    }
    (answer.status, json)
}

async fn furnished(server: &Server, name: &str) -> (Project, Vec<(&'static str, String)>) {
    let project = server.tenant(name).await.project(name).await;
    let mut repository = Repository::new("acme/rocket", dawn());
    let commit = trackside::samples::Commit { added: &["docs/prd.md"], ..Default::default() };
    let receipt = project.deliver("d-1", &repository.push("main", &[commit])).await.expect(202).json;
    project.deliver("d-2", &repository.status("ci", "success")).await.expect(202);
    let mut call = crate::audit::call(project.tenant.id, "get_run");
    (call.project, call.actor.name) = (Some(project.id.parse().unwrap()), name.to_owned());
    crate::audit::record(server, call).await;
    project.settled().await;
    let first = async |list: &str| text(&project.all(list).await[0]["id"]);
    let keys = project.client.get("/api/v1/api-keys").await.expect(200).json;
    let grant = crate::oauth::any_grant(server, &project.tenant).await;
    let ids = vec![
        ("project_id", project.id.clone()),
        ("delivery_id", text(&receipt["id"])),
        ("artifact_id", first("/artifacts").await),
        ("run_id", first("/runs").await),
        ("key_id", text(&keys["items"][0]["id"])),
        ("grant_id", grant.id.to_string()),
        ("session_id", session(server).await),
    ];
    (project, ids)
}

/// A session in the first tenant, where nobody has one yet.
async fn session(server: &Server) -> String {
    if signin::prepare(&server.service.app).await.unwrap().is_none() {
        return NOWHERE.to_owned();
    }
    let sessions = Visitor::owner(server).await.open("/api/v1/sessions").await.expect(200).json;
    text(&sessions["items"][0]["id"])
}

fn borrowed<'a>(ids: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    ids.iter().map(|(name, id)| (*name, id.as_str())).collect()
}

const NOWHERE: &str = "01890000-0000-7000-8000-000000000000";

#[tokio::test]
async fn another_tenants_things_look_exactly_like_things_that_never_were() {
    let server = Server::start().await;
    let (victim, theirs) = furnished(&server, "Victim").await;
    let (intruder, _) = furnished(&server, "Intruder").await;
    let nowhere: Vec<_> = theirs.iter().map(|(name, _)| (*name, NOWHERE)).collect();
    let mut walked = 0;
    for operation in operations() {
        if operation.is_open || !operation.path.contains('{') {
            continue;
        }
        let foreign = call(&intruder.client, &operation, &borrowed(&theirs)).await;
        let missing = call(&intruder.client, &operation, &nowhere).await;
        assert_eq!(foreign.status, 404, "{}: {}", operation.id, foreign.body);
        assert_eq!(seen(&foreign), seen(&missing), "{}", operation.id);
        walked += 1;
    }
    assert!(walked >= 10, "the walk found its routes");
    assert_eq!(
        victim.client.get(&victim.path("")).await.expect(200).json["name"],
        "Victim",
        "nothing was changed"
    );
}

#[tokio::test]
async fn a_thing_of_another_project_of_the_same_tenant_is_not_found_under_this_one() {
    let server = Server::start().await;
    let (first, ids) = furnished(&server, "Acme").await;
    let second = first.tenant.project("Second").await;
    for (list, name) in [("deliveries", "delivery_id"), ("artifacts", "artifact_id"), ("runs", "run_id")] {
        let id = &ids.iter().find(|(known, _)| *known == name).expect("an id").1;
        second.client.get(&second.path(&format!("/{list}/{id}"))).await.refused(404, "not_found");
        first.client.get(&first.path(&format!("/{list}/{id}"))).await.expect(200);
    }
}

#[tokio::test]
async fn lists_hold_only_what_belongs_to_the_caller() {
    let server = Server::start().await;
    let (victim, theirs) = furnished(&server, "Victim").await;
    let (intruder, _) = furnished(&server, "Intruder").await;
    for operation in operations() {
        if operation.is_open || operation.method != reqwest::Method::GET || operation.path.contains('{') {
            continue;
        }
        let answer = call(&intruder.client, &operation, &[]).await.expect(200);
        for (_, id) in &theirs {
            assert!(!answer.body.contains(id), "{} shows another tenant's {id}", operation.id);
        }
        assert!(!answer.body.contains("Victim"), "{}", operation.id);
    }
    drop(victim);
}

#[tokio::test]
async fn every_route_that_is_not_open_refuses_a_caller_without_a_key() {
    let server = Server::start().await;
    let (_, ids) = furnished(&server, "Acme").await;
    let open: Vec<_> =
        operations().into_iter().filter(|operation| operation.is_open).map(|it| it.id).collect();
    let expected =
        ["get_api_health", "get_health", "get_liveness", "get_metrics", "get_readiness", "post_webhook"];
    assert_eq!(sorted(open), expected, "what is open is open on purpose");
    for operation in operations().iter().filter(|operation| !operation.is_open) {
        call(&server.stranger(), operation, &borrowed(&ids)).await.refused(401, "unauthenticated");
    }
}

fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort();
    words
}
