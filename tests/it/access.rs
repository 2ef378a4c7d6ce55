//! P4 and the matrix of access: every route and every tool, for whoever should not be there.
//!
//! Routes are taken from the specification and tools from the list that agents get, so that one that is added is walked
//! too; one whose path or arguments cannot be built here fails, as does a route outside the specification that is not
//! named here.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use trackside::{
    accounts::{NewKey, Role, Scope, signin},
    samples::{Commit, Repository},
};

use crate::{
    support::{
        Answer, Client, Project, Server, Tenant, Visitor,
        agent::{Agent, Revision},
        any_key,
        client::answer,
        dawn, text,
    },
    tokens::token,
};

const NOWHERE: &str = "01890000-0000-7000-8000-000000000000";

/// Routes that ask for no credential, on purpose.
pub(crate) const OPEN: [&str; 6] =
    ["get_api_health", "get_health", "get_liveness", "get_metrics", "get_readiness", "post_webhook"];
/// Routes for which it is enough to be somebody, whatever the scopes are, on purpose.
const UNSCOPED: [&str; 1] = ["get_me"];
/// Routes outside the specification, and whether they refuse who has no credential. Pages lead them to where they sign
/// in, and what publishes or trades credentials is for everybody.
const OTHERS: [(&str, bool); 24] = [
    ("/openapi.json", false),
    ("/api/v1/events/ws", true),
    ("/mcp", true),
    ("/mcp/health", false),
    ("/mcp/tools", true),
    ("/mcp/invoke", true),
    ("/oauth/token", false),
    ("/.well-known/jwks.json", false),
    ("/api/auth/.well-known/jwks.json", false),
    ("/.well-known/oauth-protected-resource", false),
    ("/.well-known/oauth-protected-resource/mcp", false),
    ("/setup", false),
    ("/join", false),
    ("/signin", false),
    ("/signin/tenant", false),
    ("/signin/oidc", false),
    ("/signin/oidc/callback", false),
    ("/signout", false),
    ("/reset", false),
    ("/account", false),
    ("/account/password", false),
    ("/account/sessions/end", false),
    ("/account/grants/end", false),
    ("/oauth/authorize", false),
];

/// A route of the specification.
struct Route {
    id: String,
    method: Method,
    path: String,
    is_open: bool,
}

fn routes() -> Vec<Route> {
    let specification = trackside::http::specification();
    let paths = specification["paths"].as_object().expect("paths").clone();
    let of_path = |(path, methods): (String, Value)| {
        let methods = methods.as_object().expect("methods").clone();
        methods.into_iter().map(move |(method, operation)| Route {
            id: text(&operation["operationId"]),
            method: method.to_uppercase().parse().expect("a method"),
            path: path.clone(),
            is_open: operation["security"].as_array().expect("a list").is_empty(),
        })
    };
    paths.into_iter().flat_map(of_path).collect()
}

fn closed_routes() -> impl Iterator<Item = Route> {
    routes().into_iter().filter(|route| !route.is_open)
}

/// A body that each writing route would accept, by operation.
fn body_for(operation: &str) -> Value {
    match operation {
        "begin_run" => json!({"name": "x"}),
        "create_invitation" => json!({"role": "viewer"}),
        "create_project" => json!({"name": "x", "repoUrl": "https://github.com/a/b"}),
        "create_key" => json!({"name": "x", "role": "viewer"}),
        "set_provider_token" => json!({"token": "ghp_of_nobody"}),
        "update_principal" | "update_project" => json!({"name": "stolen"}),
        "replay_deliveries" => json!({"status": "failed"}),
        "resolve_conflict" => json!({"reason": "known"}),
        "create_work_item" | "update_work_item" => json!({"title": "x"}),
        "update_work" | "finish_work" => json!({"leaseId": NOWHERE, "fencingToken": 1}),
        "create_gate" => json!({"workItemId": NOWHERE, "name": "review", "check": "manual_review"}),
        "submit_gate" => json!({"decision": "passed", "reason": "known"}),
        "add_comment" => json!({"text": "x"}),
        "check_paths" | "reserve_paths" => json!({"paths": ["docs/x.md"]}),
        "renew_paths" => json!({"fencingToken": 1}),
        _ => json!({}),
    }
}

/// The query without which a route cannot be asked, by operation.
fn query_for(operation: &str) -> &'static str {
    match operation {
        "diff_artifact" => "?from=v1",
        "search_artifacts" => "?query=rocket",
        _ => "",
    }
}

/// What the names in paths and arguments stand for.
type Ids = BTreeMap<&'static str, String>;

/// Calls a route with these ids in its path.
async fn call(client: &Client, route: &Route, ids: &Ids, body: Value) -> Answer {
    let mut path =
        ids.iter().fold(route.path.clone(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
    path.push_str(query_for(&route.id));
    assert!(!path.contains('{'), "the matrix knows no id for {path}: add one");
    let request = client.request(route.method.clone(), &path);
    answer(if route.method == Method::GET { request } else { request.json(&body) }).await
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

/// A tenant with one of everything, and the ids of that.
async fn furnished(server: &Server, name: &str) -> (Project, Ids) {
    let project = server.tenant(name).await.project(name).await;
    let mut repository = Repository::new("acme/rocket", dawn());
    let commit = Commit { added: &["docs/prd.md"], ..Default::default() };
    let receipt = project.deliver("d-1", &repository.push("main", &[commit])).await.expect(202).json;
    project.deliver("d-2", &repository.status("ci", "success")).await.expect(202);
    let mut call = crate::audit::call(project.tenant.id, "get_run");
    (call.project, call.actor.name) = (Some(project.id.parse().unwrap()), name.to_owned());
    crate::audit::record(server, call).await;
    let report = json!({"status": "blocked", "task": name});
    project.client.put(&project.path("/agents/me"), report).await.expect(200);
    let item =
        project.client.post(&project.path("/work-items"), json!({"title": name})).await.expect(201).json;
    let gate = json!({"workItemId": item["id"], "name": "review", "check": "manual_review"});
    let gate = project.client.post(&project.path("/gates"), gate).await.expect(201).json;
    let reserve = json!({"paths": ["src/reserved.rs"]});
    let reserved = project.client.post(&project.path("/reservations"), reserve).await.expect(201).json;
    project.settled().await;
    let first = async |list: &str| text(&project.all(list).await[0]["id"]);
    let keys = project.client.get("/api/v1/api-keys").await.expect(200).json;
    let invitation = json!({"role": "viewer"});
    let invitation = project.client.post("/api/v1/invitations", invitation).await.expect(201).json;
    let grant = crate::oauth::any_grant(server, &project.tenant).await;
    let ids = [
        ("project_id", project.id.clone()),
        ("delivery_id", text(&receipt["id"])),
        ("artifact_id", first("/artifacts").await),
        ("conflict_id", crate::drift::any_conflict(server, &project).await),
        ("run_id", first("/runs").await),
        ("work_item_id", first("/work-items").await),
        ("reservation_id", text(&reserved["reservationId"])),
        ("gate_id", text(&gate["id"])),
        ("key_id", text(&keys["items"][0]["id"])),
        ("principal_id", text(&keys["items"][0]["principalId"])),
        ("invitation_id", text(&invitation["id"])),
        ("grant_id", grant.id.to_string()),
        ("session_id", session(server).await),
    ];
    (project, ids.into())
}

/// A session in the first tenant, where nobody has one yet.
async fn session(server: &Server) -> String {
    if signin::prepare(&server.service.app).await.unwrap().is_none() {
        return NOWHERE.to_owned();
    }
    let sessions = Visitor::owner(server).await.open("/api/v1/sessions").await.expect(200).json;
    text(&sessions["items"][0]["id"])
}

fn nowhere(ids: &Ids) -> Ids {
    ids.keys().map(|name| (*name, NOWHERE.to_owned())).collect()
}

/// A server whose tools may be called as often as a test likes.
async fn start() -> Server {
    Server::start_with(&[("TRACKSIDE_TOOLS_PER_MINUTE", "0")]).await
}

/// The tools, each with arguments that it would accept.
async fn tools(client: &Client, ids: &Ids) -> Vec<(String, Value)> {
    let listed = Agent::new(client, Revision::Newest).send("tools/list", json!({})).await.expect(200).json;
    let tools = listed["result"]["tools"].as_array().expect("tools").clone();
    let arguments = |tool: &Value| {
        let mut required = tool["inputSchema"]["required"].as_array().cloned().unwrap_or_default();
        // What these name may be named otherwise, too.
        let also = [("get_artifact", "artifactId"), ("reserve_paths", "paths"), ("submit_gate", "gateId")];
        let also = also.iter().filter(|(name, _)| tool["name"] == *name);
        required.extend(also.map(|(_, argument)| json!(argument)));
        let named = required.iter().map(|name| {
            let id = match text(name).as_str() {
                "paths" => return (text(name), json!(["docs/x.md"])),
                "decision" => return (text(name), json!("passed")),
                "leaseId" => return (text(name), json!(NOWHERE)),
                "fencingToken" => return (text(name), json!(1)),
                "reason" => return (text(name), json!("known")),
                other => ids.iter().find(|(id, _)| id.replace('_', "") == other.to_lowercase()),
            };
            let (_, id) =
                id.unwrap_or_else(|| panic!("the matrix knows no {name} for {}: add one", tool["name"]));
            (text(name), json!(id))
        });
        Value::Object(named.collect())
    };
    tools.iter().map(|tool| (text(&tool["name"]), arguments(tool))).collect()
}

/// What a tool answers that refuses, without what differs from call to call.
async fn refusal(client: &Client, tool: &str, arguments: &Value) -> Value {
    let mut result = Agent::new(client, Revision::Newest).call(tool, arguments.clone()).await;
    assert_eq!(result["isError"], true, "{tool}: {result}");
    result.as_object_mut().unwrap().remove("_meta");
    result
}

/// Those who come with nothing that is valid (any more), each with a name.
async fn strangers(server: &Server, tenant: &Tenant) -> Vec<(&'static str, Client)> {
    let admin = |name: &str| NewKey { name: name.into(), role: Role::Admin, ..any_key() };
    let expires_at = Some(server.clock.now() + TimeDelta::seconds(60));
    let expired = server.key(tenant.id, NewKey { expires_at, ..admin("expired") }).await;
    let revoked = server.key(tenant.id, admin("revoked")).await;
    let deactivated = server.key(tenant.id, admin("deactivated")).await;
    let keys = tenant.client.get("/api/v1/api-keys").await.expect(200).json;
    let key = |name: &str| {
        let key = keys["items"].as_array().unwrap().iter().find(|key| key["name"] == name);
        key.unwrap_or_else(|| panic!("a key {name}")).clone()
    };
    let [of_expired, of_revoked, of_deactivated] =
        [&expired, &revoked, &deactivated].map(|key| server.client(key));
    let bought = async |client: &Client| server.client(&token(client, &[]).await);
    let (late, of_revoked_too) = (bought(&tenant.client).await, bought(&of_revoked).await);
    let of_deactivated_too = bought(&of_deactivated).await;
    for client in [&of_expired, &of_revoked, &of_deactivated, &late, &of_revoked_too, &of_deactivated_too] {
        client.get("/api/v1/projects").await.expect(200);
    }
    tenant.client.delete(&format!("/api/v1/api-keys/{}", text(&key("revoked")["id"]))).await.expect(200);
    let id = text(&key("deactivated")["principalId"]);
    tenant.client.post(&format!("/api/v1/principals/{id}/deactivate"), json!({})).await.expect(200);
    server.advance(3600); // a token's hour, which is longer than the key's minute
    let of_nobody = server.client(&token(&tenant.client, &[]).await.replace('.', ".e30"));
    vec![
        ("no credential", server.stranger()),
        ("garbage", server.client("hunter2")),
        ("something like a key", server.client("tsk_0000000000000000000000000000000000")),
        ("something like a token", server.client("eyJhbGciOiJub25lIn0.e30.")),
        ("an expired key", of_expired),
        ("a revoked key", of_revoked),
        ("a deactivated principal", of_deactivated),
        ("an expired token", late),
        ("a token of a revoked key", of_revoked_too),
        ("a token of a deactivated principal", of_deactivated_too),
        ("a token that was changed", of_nobody),
    ]
}

#[tokio::test]
async fn whoever_comes_with_nothing_valid_is_let_in_nowhere() {
    let server = start().await;
    let (project, ids) = furnished(&server, "Acme").await;
    let open: BTreeSet<_> = routes().into_iter().filter(|route| route.is_open).map(|it| it.id).collect();
    assert_eq!(open, OPEN.map(str::to_owned).into(), "what is open is open on purpose");
    let tools = tools(&project.client, &ids).await;
    for (who, client) in strangers(&server, &project.tenant).await {
        for route in closed_routes() {
            let refused = call(&client, &route, &ids, body_for(&route.id)).await;
            assert_eq!(
                (refused.status, &refused.json["code"]),
                (401, &json!("unauthenticated")),
                "{} with {who}",
                route.id
            );
        }
        for (tool, arguments) in &tools {
            let params = json!({"name": tool, "arguments": arguments});
            let refused = Agent::new(&client, Revision::Newest).send("tools/call", params).await;
            assert_eq!(refused.status, 401, "{tool} with {who}");
        }
        for (path, _) in OTHERS.iter().filter(|(_, is_closed)| *is_closed) {
            client.get(path).await.refused(401, "unauthenticated");
        }
    }
    // A token for another part of the service is worth nothing in this one.
    let address = project.client.address("http", "");
    let made_for = async |part: &str| {
        server.client(&token(&project.client, &[("resource", &format!("{address}{part}"))]).await)
    };
    let (for_tools, for_routes) = (made_for("/mcp").await, made_for("/api/v1").await);
    for route in closed_routes() {
        let refused = call(&for_tools, &route, &ids, body_for(&route.id)).await;
        assert_eq!(refused.status, 401, "{} with a token for the tools", route.id);
    }
    for (tool, arguments) in &tools {
        let params = json!({"name": tool, "arguments": arguments});
        let refused = Agent::new(&for_routes, Revision::Newest).send("tools/call", params.clone()).await;
        assert_eq!(refused.status, 401, "{tool} with a token for the routes");
        Agent::new(&for_tools, Revision::Newest).send("tools/call", params).await.expect(200);
    }
    for_tools.get("/api/v1/events/ws").await.refused(401, "unauthenticated");
    for_routes.get("/api/v1/projects").await.expect(200);
    let shown = project.client.get(&project.path("")).await.expect(200).json;
    assert_eq!(shown["name"], "Acme", "nothing was changed");
}

#[tokio::test]
async fn another_tenants_things_look_exactly_like_things_that_never_were() {
    let server = start().await;
    let (victim, theirs) = furnished(&server, "Victim").await;
    let (intruder, _) = furnished(&server, "Intruder").await;
    let with_token = server.client(&token(&intruder.client, &[]).await);
    let intruders = [&intruder.client, &with_token];
    let mut walked = 0;
    for route in closed_routes().filter(|route| route.path.contains('{')) {
        for intruder in intruders {
            let foreign = call(intruder, &route, &theirs, body_for(&route.id)).await;
            let missing = call(intruder, &route, &nowhere(&theirs), body_for(&route.id)).await;
            assert_eq!(foreign.status, 404, "{}: {}", route.id, foreign.body);
            assert_eq!(seen(&foreign), seen(&missing), "{}", route.id);
        }
        walked += 1;
    }
    assert!(walked >= 20, "the walk found its routes");
    let (foreign, missing) =
        (tools(&victim.client, &theirs).await, tools(&victim.client, &nowhere(&theirs)).await);
    for ((tool, foreign), (_, missing)) in foreign.iter().zip(&missing) {
        if foreign.as_object().is_some_and(|arguments| !arguments.is_empty()) {
            for intruder in intruders {
                let foreign = refusal(intruder, tool, foreign).await;
                assert_eq!(foreign["structuredContent"]["code"], "not_found", "{tool}");
                assert_eq!(foreign, refusal(intruder, tool, missing).await, "{tool}");
            }
        }
    }
    let shown = victim.client.get(&victim.path("")).await.expect(200).json;
    assert_eq!(shown["name"], "Victim", "nothing was changed");
}

#[tokio::test]
async fn another_project_looks_to_who_is_limited_exactly_like_one_that_never_was() {
    let server = start().await;
    let (project, ids) = furnished(&server, "Acme").await;
    let mine = project.tenant.project("Mine").await;
    let projects = Some(vec![mine.id.parse().unwrap()]);
    let limited = NewKey { role: Role::Admin, projects, ..any_key() };
    let limited = server.client(&server.key(project.tenant.id, limited).await);
    let mut no_project = ids.clone();
    no_project.insert("project_id", NOWHERE.to_owned());
    for route in closed_routes().filter(|route| route.path.contains("{project_id}")) {
        let other = call(&limited, &route, &ids, body_for(&route.id)).await;
        assert_eq!(other.status, 404, "{}: {}", route.id, other.body);
        let missing = call(&limited, &route, &no_project, body_for(&route.id)).await;
        assert_eq!(seen(&other), seen(&missing), "{}", route.id);
    }
    let (other, missing) = (tools(&limited, &ids).await, tools(&limited, &no_project).await);
    for ((tool, other), (_, missing)) in other.iter().zip(&missing) {
        if other.get("projectId").is_some() {
            let other = refusal(&limited, tool, other).await;
            assert_eq!(other["structuredContent"]["code"], "not_found", "{tool}");
            assert_eq!(other, refusal(&limited, tool, missing).await, "{tool}");
        }
    }
    // A thing of one project is not found under another one either.
    let lists = [
        ("deliveries", "delivery_id"),
        ("artifacts", "artifact_id"),
        ("conflicts", "conflict_id"),
        ("runs", "run_id"),
        ("work-items", "work_item_id"),
        ("reservations", "reservation_id"),
        ("gates", "gate_id"),
    ];
    for (list, name) in lists {
        let id = &ids[name];
        mine.client.get(&mine.path(&format!("/{list}/{id}"))).await.refused(404, "not_found");
        project.client.get(&project.path(&format!("/{list}/{id}"))).await.expect(200);
    }
}

/// The one scope that is enough, for a key and for a token.
fn of_key_and_token(what: &str, enough: &[Scope]) -> Scope {
    match enough {
        [of_key, of_token] if of_key == of_token => *of_key,
        _ => panic!("{what} is open to {enough:?}"),
    }
}

#[tokio::test]
async fn each_route_and_tool_needs_one_scope_which_alone_is_enough() {
    let server = start().await;
    let (project, ids) = furnished(&server, "Acme").await;
    let mut clients = Vec::new();
    for scope in Scope::ALL {
        let only = NewKey { role: Role::Owner, scopes: Some([*scope].into()), ..any_key() };
        clients.push((*scope, server.client(&server.key(project.tenant.id, only).await)));
        // A token may have less than its key.
        clients.push((*scope, server.client(&token(&project.client, &[("scope", scope.as_str())]).await)));
    }
    let viewer = NewKey { name: "viewer".into(), role: Role::Admin, ..any_key() };
    let viewer = server.client(&server.key(project.tenant.id, viewer).await);
    let keys = project.client.get("/api/v1/api-keys").await.expect(200).json;
    let path = format!("/api/v1/principals/{}", text(&keys["items"][0]["principalId"]));
    let access = json!({"projectAccess": {&project.id: "viewer"}});
    project.client.patch(&path, access).await.expect(200);

    let mut needs = BTreeMap::new();
    for route in closed_routes() {
        let mut enough = Vec::new();
        for (scope, client) in &clients {
            // A body that no route takes: what lets the caller through says so, and does nothing.
            let told = call(client, &route, &nowhere(&ids), json!([])).await;
            match (told.status, told.json["code"].as_str()) {
                (403, Some("insufficient_scope")) => {}
                (401 | 403, _) => panic!("{} with {scope}: {}", route.id, told.body),
                _ => enough.push(*scope),
            }
        }
        if UNSCOPED.contains(&&*route.id) {
            assert_eq!(enough.len(), clients.len(), "{} needs a scope", route.id);
            continue;
        }
        let scope = of_key_and_token(&route.id, &enough);
        if scope.is_write() && route.path.contains("{project_id}") {
            let told = call(&viewer, &route, &ids, body_for(&route.id)).await;
            assert_eq!(
                (told.status, &told.json["code"]),
                (403, &json!("insufficient_scope")),
                "{} as a viewer",
                route.id
            );
        }
        needs.insert(format!("{} {}", route.path, route.method), scope);
    }
    for (tool, arguments) in tools(&project.client, &ids).await {
        let mut enough = Vec::new();
        for (scope, client) in &clients {
            let told = Agent::new(client, Revision::Newest).call(&tool, arguments.clone()).await;
            if told["structuredContent"]["code"] != "insufficient_scope" {
                // Repositories are not read here, and nobody has claimed anything: that is no matter of scopes.
                let others = ["conflict", "nothing_ready", "lease_lost", "already_reserved"];
                let is_let_in = told["isError"] == false
                    || others.iter().any(|code| told["structuredContent"]["code"] == *code);
                assert!(is_let_in, "{tool} with {scope}: {told}");
                enough.push(*scope);
            }
        }
        let scope = of_key_and_token(&tool, &enough);
        needs.insert(tool, scope);
    }
    let lines: Vec<_> = needs.iter().map(|(what, scope)| format!("{what}: {scope}")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn lists_hold_only_what_belongs_to_the_caller() {
    let server = start().await;
    let (_victim, theirs) = furnished(&server, "Victim").await;
    let (intruder, _) = furnished(&server, "Intruder").await;
    let is_list = |route: &Route| route.method == Method::GET && !route.path.contains('{');
    for route in closed_routes().filter(is_list) {
        let answer = call(&intruder.client, &route, &Ids::new(), Value::Null).await.expect(200);
        for id in theirs.values() {
            assert!(!answer.body.contains(id), "{} shows another tenant's {id}", route.id);
        }
        assert!(!answer.body.contains("Victim"), "{}", route.id);
    }
}

#[test]
fn the_matrix_knows_every_route_outside_the_specification() {
    let source = include_str!("../../src/http.rs");
    let named = source.split(".at(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let named: BTreeSet<_> = named.collect();
    assert_eq!(named, OTHERS.map(|(path, _)| path).into(), "add it to the matrix");
}
