//! The older protocol: five tools by dotted names, for clients that have not moved to MCP.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use trackside::{
    accounts::{NewKey, Role, Scope},
    samples::{Commit, Repository},
};

use crate::{
    support::{
        Answer, Client, Project, Server,
        agent::{Agent, Revision},
        any_key,
        client::answer,
        dawn,
        repository::{Origin, READS_FILES},
        text,
    },
    tokens::token,
};

const TOOLS: [&str; 5] = ["status.get", "conflicts.list", "kanban.moveStory", "gates.list", "runs.list"];
const NOWHERE: &str = "01890000-0000-7000-8000-000000000000";

impl Client {
    async fn invoke(&self, body: Value) -> Answer {
        self.post("/mcp/invoke", body).await
    }

    /// What a call is refused with, in the older words.
    async fn invoke_in_vain(&self, body: Value, status: u16, code: &str) -> Value {
        in_vain(self.invoke(body).await, status, code)
    }
}

impl Project {
    /// A call about this project.
    fn call(&self, tool: &str, args: Value) -> Value {
        json!({"tool": tool, "projectId": self.id, "args": args})
    }

    /// What a tool of the older protocol answers its owner.
    async fn told_of_old(&self, tool: &str, args: Value) -> Value {
        let mut answer = self.client.invoke(self.call(tool, args)).await.expect(200);
        assert_eq!(answer.json["success"], true, "{}", answer.body);
        answer.json["data"].take()
    }

    /// A new item in the backlog.
    async fn item_of_old(&self) -> Value {
        let item = json!({"title": "Sign in", "lane": "backlog"});
        self.client.post(&self.path("/work-items"), item).await.expect(201).json
    }

    /// The same item now.
    async fn item_now(&self, item: &Value) -> Value {
        self.client.get(&self.path(&format!("/work-items/{}", text(&item["id"])))).await.expect(200).json
    }

    /// The records of all calls of the tenant: tool, result, error.
    async fn calls_of_old(&self) -> Vec<(String, String, Value)> {
        let calls = self.client.get("/api/v1/tool-calls?limit=200").await.expect(200).json;
        let calls = calls["items"].as_array().unwrap();
        let row = |call: &Value| (text(&call["tool"]), text(&call["result"]), call["error"].clone());
        calls.iter().rev().map(row).collect()
    }
}

fn in_vain(mut answer: Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.body);
    let error = answer.json["error"].take();
    assert_eq!((&answer.json["success"], &error["code"]), (&json!(false), &json!(code)), "{}", answer.body);
    assert_eq!(error["message"], answer.json["detail"]);
    error
}

#[tokio::test]
async fn status_tells_who_is_at_what() {
    let server = Server::start().await;
    let project = server.project().await;
    let report = json!({"status": "blocked", "task": "US-12"});
    project.client.put(&project.path("/agents/me"), report).await.expect(200);
    let told = project.told_of_old("status.get", json!({})).await;
    let expected = json!({
        "agents": [{
            "agentId": told["agents"][0]["agentId"], "agent": "owner", "role": null, "status": "BLOCKED",
            "taskDescription": "US-12", "artifact": null, "lastUpdated": "2026-01-01T06:00:00Z",
        }],
        "timestamp": "2026-01-01T06:00:00Z",
    });
    assert_eq!(told, expected);
}

#[tokio::test]
async fn conflicts_are_told_with_the_documents_that_they_concern() {
    let server = Server::start().await;
    let project = server.project().await;
    let nothing = project.told_of_old("conflicts.list", json!({})).await;
    assert_eq!((&nothing["conflicts"], &nothing["count"]), (&json!([]), &json!(0)));
    let mut repository = Repository::new("acme/rocket", dawn());
    let commit = Commit { added: &["docs/prd.md"], ..Commit::default() };
    project.deliver("1", &repository.push("main", &[commit])).await.expect(202);
    project.settled().await;
    let id = crate::drift::any_conflict(&server, &project).await;
    let told = project.told_of_old("conflicts.list", json!({})).await;
    let conflict = &told["conflicts"][0];
    assert_eq!((&told["count"], &conflict["id"]), (&json!(1), &json!(id)));
    assert_eq!(conflict["type"], "dependency-broken");
    assert_eq!(conflict["affectedArtifacts"], json!(["docs/prd.md", "docs/gone.md"]));
    let severity = text(&project.all("/conflicts").await[0]["severity"]);
    assert_eq!(conflict["severity"], severity.to_uppercase());
    assert_eq!(
        (&conflict["detectedAt"], &conflict["resolvedAt"]),
        (&json!("2026-01-01T06:00:00Z"), &Value::Null)
    );
    assert!(!text(&conflict["message"]).is_empty());
}

#[tokio::test]
async fn gates_are_told_and_counted() {
    let server = Server::start_with(&READS_FILES).await;
    let prd = "---\nversion: 1.0\n---\n# Requirements\n";
    let fail = "gate: FAIL\nreasons: [too slow]\n";
    let origin = Origin::with(&[("docs/prd.md", prd), ("docs/qa/gates/1.2.yml", fail)]);
    let project = server.project_of(&origin).await;
    let told = project.told_of_old("gates.list", json!({})).await;
    let gates = told["gates"].as_array().unwrap();
    let count = |status: &str| gates.iter().filter(|gate| gate["status"] == status).count();
    assert_eq!((&told["passCount"], &told["failCount"]), (&json!(count("PASSED")), &json!(count("FAILED"))));
    let of_build: Vec<_> = gates.iter().filter(|gate| gate["phase"] == "BUILD").collect();
    assert!(!of_build.is_empty() && of_build.iter().all(|gate| gate["status"] == "PASSED"), "{told}");
    for gate in gates {
        for field in ["id", "phase", "type", "message"] {
            assert!(!text(&gate[field]).is_empty(), "{gate}");
        }
        assert!(["PASSED", "FAILED", "PENDING", "SKIPPED"].contains(&&*text(&gate["status"])), "{gate}");
    }
}

#[tokio::test]
async fn runs_are_told_newest_first_by_agent_and_status() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = NewKey { name: "ada".into(), role: Role::Member, ..any_key() };
    let ada = server.client(&server.key(project.tenant.id, ada).await);
    let begin = async |client: &Client, name: &str| {
        client.post(&project.path("/runs"), json!({"name": name})).await.expect(201).json
    };
    let first = begin(&ada, "implement 1.2").await;
    server.advance(90);
    let end = json!({"status": "failed", "summary": "two tests fail"});
    ada.patch(&project.path(&format!("/runs/{}", text(&first["id"]))), end).await.expect(200);
    let second = begin(&project.client, "review 1.2").await;
    let told = project.told_of_old("runs.list", json!({})).await;
    let expected = json!({"count": 2, "runs": [
        {
            "id": second["id"], "name": "review 1.2", "agent": "owner", "startedAt": "2026-01-01T06:01:30Z",
            "completedAt": null, "durationMs": null, "status": "RUNNING", "error": null,
        },
        {
            "id": first["id"], "name": "implement 1.2", "agent": "ada", "startedAt": "2026-01-01T06:00:00Z",
            "completedAt": "2026-01-01T06:01:30Z", "durationMs": 90_000, "status": "FAILED",
            "error": "two tests fail",
        },
    ]});
    assert_eq!(told, expected);
    for (filters, ids) in [
        (json!({"agent": "Ada"}), vec![&first["id"]]),
        (json!({"agent": first["principal"]["id"]}), vec![&first["id"]]),
        (json!({"agent": "nobody"}), vec![]),
        (json!({"status": "RUNNING"}), vec![&second["id"]]),
        (json!({"status": "FAILED", "agent": "owner"}), vec![]),
        (json!({"limit": 1}), vec![&second["id"]]),
    ] {
        let told = project.told_of_old("runs.list", json!({"filters": filters})).await;
        let found: Vec<_> = told["runs"].as_array().unwrap().iter().map(|run| &run["id"]).collect();
        assert_eq!((&found, &told["count"]), (&ids, &json!(ids.len())), "{filters}");
    }
}

#[tokio::test]
async fn a_story_is_moved_by_the_id_of_its_item_and_only_if_it_is_elsewhere() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item_of_old().await;
    server.advance(60);
    for (lane, shown, version) in
        [("READY", "Ready", 2), ("ready", "Ready", 2), ("review", "review", 3), ("Done", "Done", 4)]
    {
        let told =
            project.told_of_old("kanban.moveStory", json!({"story_id": item["id"], "lane": lane})).await;
        let expected = json!({
            "storyId": item["id"], "workItemId": item["id"], "lane": shown,
            "updatedAt": "2026-01-01T06:01:00Z",
        });
        assert_eq!(told, expected);
        let now = project.item_now(&item).await;
        assert_eq!((&now["lane"], &now["version"]), (&json!(lane.to_lowercase()), &json!(version)));
    }
    let success = ("kanban.moveStory".to_owned(), "success".to_owned(), Value::Null);
    assert_eq!(
        project.calls_of_old().await,
        vec![success; 4],
        "one record each, whether anything changed or not"
    );
    let verified = trackside::audit::verify(&server.service.app, project.tenant.id).await.unwrap();
    assert_eq!((verified.findings.len(), verified.records), (0, 4));
}

#[tokio::test]
async fn a_story_is_moved_by_the_path_or_the_name_of_its_document() {
    let server = Server::start_with(&READS_FILES).await;
    let story = |title: &str| format!("---\nstatus: Draft\n---\n# {title}\n\nAs an astronaut I want this.\n");
    let (login, one, other) = (story("Sign in"), story("One"), story("Other"));
    let origin = Origin::with(&[
        ("docs/stories/1.2.login.md", login.as_str()),
        ("docs/stories/a/same.md", one.as_str()),
        ("docs/stories/b/same.md", other.as_str()),
    ]);
    let project = server.project_of(&origin).await;
    let artifact = project.artifact("docs/stories/1.2.login.md").await;
    for (name, lane) in
        [("docs/stories/1.2.login.md", "Ready"), ("1.2.login.md", "Backlog"), ("1.2.login", "Done")]
    {
        let told = project.told_of_old("kanban.moveStory", json!({"storyId": name, "lane": lane})).await;
        assert_eq!((&told["storyId"], &told["lane"]), (&json!(name), &json!(lane)));
        let now = project.item_now(&json!({"id": told["workItemId"]})).await;
        assert_eq!((&now["artifactId"], text(&now["lane"])), (&artifact["id"], lane.to_lowercase()));
    }
    let several = project.call("kanban.moveStory", json!({"story_id": "same", "lane": "Done"}));
    project.client.invoke_in_vain(several, 400, "INVALID_REQUEST").await;
}

#[tokio::test]
async fn moves_at_the_same_time_all_happen_and_none_is_lost() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item_of_old().await;
    let lanes = ["Ready", "Done", "review", "Done"];
    let moves = lanes.map(|lane| {
        project.client.invoke(project.call("kanban.moveStory", json!({"story_id": item["id"], "lane": lane})))
    });
    let mut moved = 0;
    for answer in join_all(moves).await {
        assert!(matches!(answer.status, 200 | 412), "{}", answer.body);
        moved += usize::from(answer.status == 200);
    }
    assert!(moved >= 1);
    let now = project.item_now(&item).await;
    let events = project.events().await;
    let is_move = |event: &&Value| event["payload"]["change"] == "moved";
    let told: Vec<_> = events.iter().filter(is_move).map(|event| &event["payload"]).collect();
    assert_eq!(now["version"], 1 + told.len(), "each change is told once");
    assert_eq!(now["lane"], told.last().unwrap()["lane"]);
    assert_eq!(project.calls_of_old().await.len(), lanes.len());
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_refused_by_name() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item_of_old().await;
    let story =
        |story: &str, lane: &str| project.call("kanban.moveStory", json!({"story_id": story, "lane": lane}));
    let id = text(&item["id"]);
    for (body, status, code) in [
        (project.call("project.create", json!({})), 404, "TOOL_NOT_FOUND"),
        (project.call("list_runs", json!({})), 404, "TOOL_NOT_FOUND"),
        (json!({"projectId": project.id}), 400, "INVALID_REQUEST"),
        (json!({"tool": "status.get"}), 400, "INVALID_REQUEST"),
        (json!({"tool": "status.get", "projectId": project.id, "args": []}), 400, "INVALID_REQUEST"),
        (json!({"tool": "status.get", "projectId": project.id, "colour": 1}), 400, "INVALID_REQUEST"),
        (project.call("status.get", json!({"colour": 1})), 400, "INVALID_REQUEST"),
        (project.call("status.get", json!({"project_id": NOWHERE})), 400, "INVALID_REQUEST"),
        (project.call("runs.list", json!({"filters": {"status": "novel"}})), 400, "INVALID_REQUEST"),
        (project.call("runs.list", json!({"filters": {"limit": 201}})), 400, "INVALID_REQUEST"),
        (json!([]), 400, "INVALID_REQUEST"),
        (json!({"tool": "status.get", "projectId": NOWHERE}), 404, "PROJECT_NOT_FOUND"),
        (json!({"tool": "status.get", "projectId": "rocket"}), 404, "PROJECT_NOT_FOUND"),
        (story(&id, "Elsewhere"), 400, "INVALID_LANE"),
        (story(NOWHERE, "Done"), 404, "STORY_NOT_FOUND"),
        (story("docs/stories/none.md", "Done"), 404, "STORY_NOT_FOUND"),
        (story("../../etc/passwd", "Done"), 400, "INVALID_PATH"),
        (story("/etc/passwd", "Done"), 400, "INVALID_PATH"),
        (story("docs\\..\\1.md", "Done"), 400, "INVALID_PATH"),
        (story("docs/stories/1\u{0}.md", "Done"), 400, "INVALID_PATH"),
    ] {
        project.client.invoke_in_vain(body, status, code).await;
    }
    let request =
        project.client.request(Method::POST, "/mcp/invoke").header("content-type", "application/json");
    in_vain(answer(request.body("{")).await, 400, "INVALID_REQUEST");
    let request = project.client.request(Method::POST, "/mcp/invoke").body("tool=status.get");
    in_vain(answer(request).await, 415, "UNSUPPORTED_MEDIA_TYPE");
    let large = json!({"tool": "status.get", "x": "x".repeat(5 * 1024 * 1024)});
    project.client.invoke_in_vain(large, 413, "PAYLOAD_TOO_LARGE").await;
    assert_eq!(project.item_now(&item).await["version"], 1, "nothing was moved");
}

#[tokio::test]
async fn the_project_may_be_spelled_and_placed_as_clients_like() {
    let server = Server::start().await;
    let project = server.project().await;
    let id = &project.id;
    for body in [
        json!({"tool": "status.get", "projectId": id}),
        json!({"tool": "status.get", "project_id": id}),
        json!({"tool": "status.get", "args": {"projectId": id}}),
        json!({"tool": "status.get", "args": {"project_id": id}}),
        json!({"tool": "status.get", "args": {"project": id}}),
        json!({"tool": "status.get", "projectId": id, "args": {"project_id": id.to_uppercase()}}),
        json!({"tool": "status.get", "projectId": id, "args": null}),
    ] {
        let told = project.client.invoke(body).await.expect(200).json;
        assert_eq!(told["success"], true);
    }
    assert_eq!(project.all("/tool-calls").await.len(), 7, "each is known to be about the project");
}

#[tokio::test]
async fn who_comes_with_nothing_valid_is_told_why_and_leaves_no_record() {
    let server = Server::start().await;
    let project = server.project().await;
    let late = server.client(&token(&project.client, &[]).await);
    late.invoke(project.call("status.get", json!({}))).await.expect(200);
    server.advance(3601);
    for (client, code) in [
        (server.stranger(), "MISSING_TOKEN"),
        (server.client("hunter2"), "INVALID_TOKEN"),
        (server.client("tsk_0000000000000000000000000000000000"), "INVALID_TOKEN"),
        (server.client("eyJhbGciOiJub25lIn0.e30."), "INVALID_TOKEN"),
        (late, "TOKEN_EXPIRED"),
    ] {
        client.invoke_in_vain(project.call("status.get", json!({})), 401, code).await;
        let refused = client.get("/mcp/tools").await.refused(401, "unauthenticated");
        assert!(
            refused.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer resource_metadata=")
        );
        in_vain(refused, 401, code);
    }
    assert_eq!(project.calls_of_old().await.len(), 1);
}

#[tokio::test]
async fn a_call_without_its_scope_is_told_what_it_lacks() {
    let server = Server::start().await;
    let project = server.project().await;
    let scopes = Some([Scope::RunsRead].into());
    let client = server.client(&server.key(project.tenant.id, NewKey { scopes, ..any_key() }).await);
    let needs = ["status.read", "conflicts.read", "work.write", "gates.read"];
    for (tool, scope) in TOOLS.iter().zip(needs) {
        let told = client.invoke_in_vain(project.call(tool, json!({})), 403, "INSUFFICIENT_SCOPE").await;
        assert_eq!((&told["required"], &told["given"]), (&json!(scope), &json!(["runs.read"])));
    }
    client.invoke(project.call("runs.list", json!({}))).await.expect(200);
    let denied =
        project.calls_of_old().await.into_iter().filter(|(_, result, _)| result == "unauthorized").count();
    assert_eq!(denied, 4);
}

#[tokio::test]
async fn another_project_looks_to_who_is_limited_exactly_like_one_that_never_was() {
    let server = Server::start().await;
    let project = server.project().await;
    let mine = project.tenant.project("Mine").await;
    let foreign = server.tenant("Other").await.project("Hidden").await;
    let projects = Some(vec![mine.id.parse().unwrap()]);
    let limited = server.client(&server.key(project.tenant.id, NewKey { projects, ..any_key() }).await);
    for tool in TOOLS {
        let args =
            if tool == "kanban.moveStory" { json!({"story_id": NOWHERE, "lane": "Done"}) } else { json!({}) };
        let ask = async |id: &str| {
            let body = json!({"tool": tool, "projectId": id, "args": args});
            limited.invoke_in_vain(body, 404, "PROJECT_NOT_FOUND").await
        };
        let none = ask(NOWHERE).await;
        assert_eq!((ask(&project.id).await, ask(&foreign.id).await), (none.clone(), none), "{tool}");
    }
    limited.invoke(mine.call("status.get", json!({}))).await.expect(200);
    assert_eq!(
        project.all("/tool-calls").await.len(),
        0,
        "a project is told nothing of whom it is kept from"
    );
}

#[tokio::test]
async fn every_call_leaves_one_record_whatever_became_of_it() {
    let server = Server::start_with(&[("TRACKSIDE_TOOLS_PER_MINUTE", "3")]).await;
    let project = server.project().await;
    let scopes = Some([Scope::StatusRead, Scope::ConflictsRead].into());
    let client = server.client(&server.key(project.tenant.id, NewKey { scopes, ..any_key() }).await);
    let mut granted = 0;
    let limited = loop {
        let answer = client.invoke(project.call("status.get", json!({}))).await;
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.expect(200).json["success"], true);
        granted += 1;
    };
    assert!(granted >= 3);
    let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(in_vain(limited, 429, "RATE_LIMITED")["retryAfter"], wait);
    client.invoke_in_vain(project.call("runs.list", json!({})), 403, "INSUFFICIENT_SCOPE").await;
    client.invoke_in_vain(project.call("build.start", json!({})), 404, "TOOL_NOT_FOUND").await;
    client.invoke_in_vain(json!([]), 400, "INVALID_REQUEST").await;
    let disagreeing = project.call("conflicts.list", json!({"project": NOWHERE}));
    client.invoke_in_vain(disagreeing, 400, "INVALID_REQUEST").await;
    let calls = project.calls_of_old().await;
    assert_eq!(calls.len(), granted + 5, "{calls:?}");
    let told = |tool: &str, result: &str, error: Value| {
        calls.iter().filter(|call| **call == (tool.to_owned(), result.to_owned(), error.clone())).count()
    };
    assert_eq!(told("status.get", "success", Value::Null), granted);
    assert_eq!(told("status.get", "rate_limited", json!("rate_limited")), 1);
    assert_eq!(told("runs.list", "unauthorized", json!("insufficient_scope")), 1);
    assert_eq!(told("build.start", "failure", json!("not_found")), 1);
    assert_eq!(told("mcp/invoke", "failure", json!("invalid_request")), 1);
    assert_eq!(told("conflicts.list", "failure", json!("invalid_request")), 1);
}

#[tokio::test]
async fn the_tools_are_listed_for_their_own_clients_and_not_for_those_of_mcp() {
    let server = Server::start().await;
    let project = server.project().await;
    let listed = project.client.get("/mcp/tools").await.expect(200).json;
    let tools = listed["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| text(&tool["name"])).collect();
    assert_eq!(names, TOOLS);
    for tool in tools {
        assert!(tool["scope"].is_string() && tool["description"].is_string(), "{tool}");
        let schema = &tool["inputSchema"];
        assert_eq!(schema["properties"]["project_id"], json!({"type": "string"}), "{tool}");
        assert!(schema["required"].as_array().unwrap().contains(&json!("project_id")), "{tool}");
    }
    let agent = Agent::new(&project.client, Revision::Newest);
    let of_mcp = agent.send("tools/list", json!({})).await.expect(200).json;
    for tool in of_mcp["result"]["tools"].as_array().unwrap() {
        assert!(!TOOLS.contains(&&*text(&tool["name"])), "{tool}");
    }
    let unknown = agent.send("tools/call", json!({"name": "status.get", "arguments": {}})).await;
    assert_eq!(unknown.json["error"]["code"], -32602, "{}", unknown.body);
}

#[tokio::test]
async fn health_asks_for_nothing_and_the_rest_for_a_name_and_a_page_of_ours() {
    let server = Server::start().await;
    let project = server.project().await;
    let health = server.stranger().get("/mcp/health").await.expect(200).json;
    assert_eq!(health, json!({"status": "healthy", "version": env!("CARGO_PKG_VERSION")}));
    let ask = || {
        let request = project.client.request(Method::POST, "/mcp/invoke");
        request.json(&project.call("status.get", json!({})))
    };
    answer(ask().header("origin", "https://evil.example")).await.refused(403, "foreign_origin");
    answer(ask().header("host", "rebound.example")).await.refused(403, "foreign_origin");
    answer(ask().header("origin", project.client.address("http", ""))).await.expect(200);
    let list = || project.client.request(Method::GET, "/mcp/tools");
    answer(list().header("host", "rebound.example")).await.refused(403, "foreign_origin");
    // Another method, and another path below.
    project.client.get("/mcp/invoke").await.refused(405, "method_not_allowed");
    project.client.post("/mcp/tools", json!({})).await.refused(405, "method_not_allowed");
    project.client.get("/mcp/nothing").await.refused(404, "not_found");
}
