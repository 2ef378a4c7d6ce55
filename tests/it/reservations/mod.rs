//! Reservations: who edits what is known before, and what was really touched afterwards.

mod model;
mod patterns;
mod race;
mod touched;

use serde_json::{Value, json};

use crate::support::{
    Client, Project, Server,
    agent::{Agent, Revision},
    eventually, text,
};

/// Somebody with a key of their own, for REST and for tools.
async fn somebody(server: &Server, project: &Project, name: &str) -> (Client, Agent) {
    let new = trackside::accounts::NewKey { name: name.into(), ..crate::support::any_key() };
    let client = server.client(&server.key(project.tenant.id, new).await);
    let agent = Agent::new(&client, Revision::Newest);
    (client, agent)
}

async fn agent(server: &Server, project: &Project, name: &str) -> Agent {
    somebody(server, project, name).await.1
}

/// What is asked of a tool about some paths of a project.
fn asking(project: &Project, paths: &[&str], more: Value) -> Value {
    let mut asked = json!({"projectId": project.id, "paths": paths});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    asked
}

/// What names a reservation in every later write.
fn named(project: &Project, reserved: &Value) -> Value {
    let (id, fence) = (&reserved["reservationId"], &reserved["fencingToken"]);
    json!({"projectId": project.id, "reservationId": id, "fencingToken": fence})
}

/// The events about reservations: the name, whose, and why.
async fn story(project: &Project) -> Vec<String> {
    let told = |event: &Value| {
        let payload = &event["payload"];
        let reason = payload["reason"].as_str().unwrap_or_default();
        let words = [text(&event["event"]), text(&payload["holderName"]), reason.to_owned()];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let events = project.all("/events").await;
    events.iter().filter(|event| text(&event["event"]).starts_with("paths_")).map(told).collect()
}

#[tokio::test]
async fn what_is_reserved_is_held_until_it_is_given_back() {
    let server = Server::start().await;
    let project = server.project().await;
    let (ada, bob) = (agent(&server, &project, "ada").await, agent(&server, &project, "bob").await);
    let more = json!({"purpose": "sign in", "branch": "feature"});
    let mine = ada.get("reserve_paths", asking(&project, &["src/signin/**"], more)).await;
    assert_eq!((&mine["fencingToken"], &mine["mode"]), (&json!(1), &json!("exclusive")));
    assert_eq!(mine["leaseId"], mine["reservationId"]);
    let look = asking(&project, &["src/signin/mod.rs", "src/main.rs"], json!({}));
    let seen = bob.get("check_paths", look.clone()).await;
    let [held, free] = [&seen["paths"][0], &seen["paths"][1]];
    assert_eq!((&held["state"], &free["state"]), (&json!("held"), &json!("free")));
    let by = &held["by"][0];
    assert_eq!(
        (&by["name"], &by["purpose"], &by["branch"]),
        (&json!("ada"), &json!("sign in"), &json!("feature"))
    );
    assert_eq!(by["expiresAt"], mine["expiresAt"]);
    let own = ada.get("check_paths", look.clone()).await;
    assert_eq!(own["paths"][0]["state"], "free", "one's own are in nobody's way");
    ada.get("release_paths", named(&project, &mine)).await;
    assert_eq!(bob.get("check_paths", look).await["paths"][0]["state"], "free");
    assert_eq!(story(&project).await, ["paths_reserved ada", "paths_released ada released"]);
}

#[tokio::test]
async fn what_overlaps_is_refused_as_a_whole_with_who_holds_it_and_what_to_do() {
    let server = Server::start().await;
    let project = server.project().await;
    let (ada, bob) = (agent(&server, &project, "ada").await, agent(&server, &project, "bob").await);
    ada.get("reserve_paths", asking(&project, &["src/**"], json!({}))).await;
    let refused = bob.refused("reserve_paths", asking(&project, &["docs/a.md", "src/a.rs"], json!({}))).await;
    assert_eq!((&refused["code"], &refused["next"]), (&json!("already_reserved"), &json!("check_paths")));
    let holder = &refused["holder"];
    assert_eq!((&holder["name"], &holder["isCaller"]), (&json!("ada"), &json!(false)));
    assert_eq!(
        (&holder["lastSeenBy"], &refused["overlaps"][0]["path"]),
        (&json!("reservation"), &json!("src/a.rs"))
    );
    assert!(holder["fencingToken"].is_null(), "what would end it is its holder's alone");
    let free = ada.get("check_paths", asking(&project, &["docs/a.md"], json!({}))).await;
    assert_eq!(free["paths"][0]["state"], "free", "all or none");
    let again = ada.refused("reserve_paths", asking(&project, &["/src/a.rs"], json!({}))).await;
    assert_eq!((&again["holder"]["isCaller"], &again["next"]), (&json!(true), &json!("reserve_paths")));
    let shared = json!({"mode": "shared"});
    ada.get("reserve_paths", asking(&project, &["lib/**"], shared.clone())).await;
    let both = bob.get("reserve_paths", asking(&project, &["lib/b.rs"], shared)).await;
    assert_eq!(both["fencingToken"], 3, "what both share is no clash");
    let refused = bob.refused("reserve_paths", asking(&project, &["lib/c.rs"], json!({}))).await;
    assert_eq!(refused["code"], "already_reserved", "what others share nobody has alone");
}

#[tokio::test]
async fn an_overlap_that_is_to_be_told_is_a_conflict_until_one_of_the_two_ends() {
    let server = Server::start().await;
    let project = server.project().await;
    let (ada, bob) = (agent(&server, &project, "ada").await, agent(&server, &project, "bob").await);
    let told = async |agent: &Agent, tool: &str| {
        agent.get(tool, json!({"projectId": project.id})).await["editConflicts"].clone()
    };
    ada.get("reserve_paths", asking(&project, &["src/**"], json!({}))).await;
    assert_eq!(told(&ada, "list_work").await, Value::Null);
    let mine = bob.get("reserve_paths", asking(&project, &["src/a.rs"], json!({"report": true}))).await;
    assert_eq!(mine["overlaps"][0]["name"], "ada");
    let open = project.all("/conflicts").await;
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(
        (&open[0]["kind"], &open[0]["severity"], &open[0]["dependencyPath"]),
        (&json!("reservation_overlap"), &json!("warning"), &json!("src/**"))
    );
    for tool in ["list_work", "get_project_status", "list_conflicts"] {
        let clash = told(&ada, tool).await[0].clone();
        assert_eq!(
            (&clash["kind"], &clash["with"], &clash["conflictId"]),
            (&json!("reservation_overlap"), &json!(["bob"]), &open[0]["id"]),
            "the next answer of any tool tells the other of it: {tool}"
        );
    }
    bob.get("release_paths", named(&project, &mine)).await;
    assert_eq!(project.all("/conflicts").await, Vec::<Value>::new());
    assert!(project.event_names().await.contains(&"conflict_resolved".to_owned()));
    assert_eq!(told(&ada, "list_work").await, Value::Null);
}

#[tokio::test]
async fn a_sign_of_life_keeps_a_reservation_and_silence_ends_it() {
    let server = Server::start().await;
    let project = server.project().await;
    let (ada, bob) = (agent(&server, &project, "ada").await, agent(&server, &project, "bob").await);
    let mine = ada.get("reserve_paths", asking(&project, &["src/**"], json!({"leaseSeconds": 60}))).await;
    server.advance(50);
    let renewed = ada.get("reserve_paths", named(&project, &mine)).await;
    assert_eq!(renewed["expiresAt"], "2026-01-01T06:01:50Z");
    let stolen = bob.refused("reserve_paths", named(&project, &mine)).await;
    assert_eq!((&stolen["code"], &stolen["holder"]["name"]), (&json!("lease_lost"), &json!("ada")));
    server.advance(59);
    let refused = bob.refused("reserve_paths", asking(&project, &["src/a.rs"], json!({}))).await;
    assert_eq!(refused["code"], "already_reserved");
    server.advance(1);
    let theirs = bob.get("reserve_paths", asking(&project, &["src/a.rs"], json!({}))).await;
    assert_eq!(theirs["fencingToken"], 2, "it is free at that moment, swept or not");
    let late = ada.refused("release_paths", named(&project, &mine)).await;
    assert_eq!((&late["code"], &late["next"]), (&json!("lease_lost"), &json!("check_paths")));
    server.advance(5);
    eventually("it is told", async || {
        story(&project).await.contains(&"paths_released ada expired".to_owned())
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_revoked_frees_what_was_reserved_with_it() {
    let server = Server::start().await;
    let project = server.project().await;
    let (ada, bob) = (agent(&server, &project, "ada").await, agent(&server, &project, "bob").await);
    ada.get("reserve_paths", asking(&project, &["src/**"], json!({}))).await;
    let keys = project.client.get("/api/v1/api-keys").await.expect(200).json;
    let key = keys["items"].as_array().unwrap().iter().find(|key| key["name"] == "ada").unwrap().clone();
    project.client.delete(&format!("/api/v1/api-keys/{}", text(&key["id"]))).await.expect(200);
    server.advance(5);
    eventually("it is free", async || {
        story(&project).await.last().is_some_and(|told| told == "paths_released ada revoked")
    })
    .await;
    bob.get("reserve_paths", asking(&project, &["src/a.rs"], json!({}))).await;
}

#[tokio::test]
async fn over_rest_who_manages_the_project_takes_a_reservation_away_and_others_do_not() {
    let server = Server::start().await;
    let project = server.project().await;
    let (ada, _) = somebody(&server, &project, "ada").await;
    let (bob, _) = somebody(&server, &project, "bob").await;
    let path = project.path("/reservations");
    let mine = ada.post(&path, json!({"paths": ["src/**"]})).await.expect(201);
    let location = mine.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(bob.get(&location).await.expect(200).json["holderName"], "ada");
    let check = json!({"paths": ["src/a.rs"]});
    let checked = bob.post(&format!("{path}/check"), check).await.expect(200).json;
    assert_eq!(checked["paths"][0]["by"][0]["holderName"], "ada");
    let renew = json!({"fencingToken": mine.json["fencingToken"], "leaseSeconds": 3600});
    let renewed = ada.post(&format!("{location}/renew"), renew).await.expect(200).json;
    assert_eq!(renewed["expiresAt"], "2026-01-01T07:00:00Z");
    let refused = bob.post(&format!("{location}/release"), json!({})).await;
    assert_eq!(refused.refused(409, "already_reserved").json["holder"]["name"], "ada");
    let mine = project.path(&format!("/reservations?holderId={}", text(&renewed["reservation"]["holderId"])));
    assert_eq!(bob.get(&mine).await.expect(200).json["items"].as_array().unwrap().len(), 1);
    project.client.post(&format!("{location}/release"), json!({"reason": "on holiday"})).await.expect(200);
    bob.get(&location).await.refused(404, "not_found");
    assert_eq!(project.all("/reservations").await, Vec::<Value>::new());
    assert_eq!(story(&project).await.last().unwrap(), "paths_released ada taken_back");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_at_its_place() {
    let server = Server::start().await;
    let project = server.project().await;
    let path = project.path("/reservations");
    let many: Vec<_> = (0..51).map(|n| format!("src/{n}")).collect();
    for (body, pointer) in [
        (json!({"paths": []}), "/paths"),
        (json!({"paths": many}), "/paths"),
        (json!({"paths": ["src/**", "!src/a"]}), "/paths/1"),
        (json!({"paths": ["../x"]}), "/paths/0"),
        (json!({"paths": ["x"], "leaseSeconds": 29}), "/leaseSeconds"),
        (json!({"paths": ["x"], "purpose": "a\nb"}), "/purpose"),
        (json!({"paths": ["x"], "workItemId": "01890000-0000-7000-8000-000000000000"}), "/workItemId"),
    ] {
        let refused = project.client.post(&path, body).await.refused(400, "invalid_request");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer);
    }
    let soft = json!({"config": {"softPaths": ["a//b"]}});
    let refused = project.client.patch(&project.path(""), soft).await.refused(400, "invalid_request");
    assert_eq!(refused.json["errors"][0]["pointer"], "/config/softPaths/0");
}
