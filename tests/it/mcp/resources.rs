//! Resources: what tools show, under an address, and by no other rules than the tools'.

use serde_json::{Value, json};
use trackside::{
    accounts::{NewKey, Scope},
    samples::{Commit, Repository},
};

use crate::support::{
    Project, Server,
    agent::{Agent, Revision},
    any_key, dawn, text,
};

/// How a project's digest is addressed.
pub(super) fn digest_of(project: &str) -> String {
    format!("trackside://project/{project}/digest")
}

/// Reads a resource; gives the answer of the protocol.
async fn read(agent: &Agent, uri: &str) -> Value {
    agent.send("resources/read", json!({"uri": uri})).await.expect(200).json
}

/// What a resource says.
async fn shown(agent: &Agent, uri: &str) -> Value {
    let answer = read(agent, uri).await;
    let content = &answer["result"]["contents"][0];
    assert_eq!(
        (&content["uri"], &content["mimeType"]),
        (&json!(uri), &json!("application/json")),
        "{answer}"
    );
    serde_json::from_str(&text(&content["text"])).expect("JSON")
}

/// Pushes a document to a project; gives its address as a resource.
pub(super) async fn push_artifact(project: &Project) -> String {
    let mut repository = Repository::new("acme/rocket", dawn());
    let commit = Commit { message: "docs: the PRD", added: &["docs/prd.md"], ..Commit::default() };
    project.deliver("1", &repository.push("main", &[commit])).await.expect(202);
    project.settled().await;
    let artifact = project.all("/artifacts").await.remove(0);
    format!("trackside://project/{}/artifact/{}", project.id, text(&artifact["id"]))
}

#[tokio::test]
async fn an_agent_finds_and_reads_the_digest_and_the_artifacts_of_its_project() {
    let server = Server::start().await;
    let project = server.project().await;
    let artifact = push_artifact(&project).await;
    for revision in [Revision::Older, Revision::Newest] {
        let agent = Agent::new(&project.client, revision);
        let listed = agent.send("resources/list", json!({})).await.expect(200).json["result"].take();
        assert_eq!(listed["resources"][0]["uri"], digest_of(&project.id), "{revision:?}: {listed}");
        assert_eq!(listed["cacheScope"], "private");
        let templates = agent.send("resources/templates/list", json!({})).await.expect(200);
        let templates = templates.json["result"]["resourceTemplates"].as_array().unwrap().clone();
        let templates: Vec<_> = templates.iter().map(|one| text(&one["uriTemplate"])).collect();
        assert_eq!(
            templates,
            [
                "trackside://project/{projectId}/digest",
                "trackside://project/{projectId}/artifact/{artifactId}"
            ]
        );
        let digest = shown(&agent, &digest_of(&project.id)).await;
        assert_eq!(digest["project"]["projectId"], project.id, "{digest}");
        assert!(digest["freshAsOf"].is_string());
        let shown = shown(&agent, &artifact).await;
        assert_eq!(shown["artifact"]["path"], "docs/prd.md");
        let id = artifact.rsplit_once('/').unwrap().1;
        let whole = json!({"projectId": project.id, "artifactId": id, "text": true});
        let tool = agent.get("get_artifact", whole).await;
        assert_eq!(shown["artifact"], tool["artifact"], "as the tool shows it, with its text");
        let read = read(&agent, &artifact).await;
        assert_eq!(read["result"]["cacheScope"], "private");
    }
}

#[tokio::test]
async fn the_list_of_resources_comes_in_pages() {
    let server = Server::start().await;
    let tenant = server.tenant("acme").await;
    for number in 0..51 {
        tenant.project(&format!("rocket-{number}")).await;
    }
    let agent = Agent::new(&tenant.client, Revision::Newest);
    let first = agent.send("resources/list", json!({})).await.expect(200).json["result"].take();
    assert_eq!(first["resources"].as_array().unwrap().len(), 50);
    let next = json!({"cursor": first["nextCursor"]});
    let second = agent.send("resources/list", next).await.expect(200).json["result"].take();
    assert_eq!(second["resources"].as_array().unwrap().len(), 1);
    assert!(second["nextCursor"].is_null());
    let made_up = agent.send("resources/list", json!({"cursor": "x"})).await.expect(200);
    assert_eq!(made_up.json["error"]["code"], -32602, "{}", made_up.body);
}

#[tokio::test]
async fn what_another_tenant_has_and_what_nobody_has_are_refused_alike() {
    let server = Server::start().await;
    let (ours, theirs) = (server.tenant("ours").await, server.tenant("theirs").await);
    let (own, hidden) = (ours.project("rocket").await, theirs.project("rocket").await);
    let artifact = push_artifact(&hidden).await;
    let artifact = artifact.rsplit_once('/').unwrap().1;
    let nobody = uuid::Uuid::from_u128(1);
    for (revision, code) in [(Revision::Older, -32002), (Revision::Newest, -32602)] {
        let agent = Agent::new(&ours.client, revision);
        let mut told = Vec::new();
        for uri in [
            digest_of(&hidden.id),
            digest_of(&nobody.to_string()),
            format!("trackside://project/{}/artifact/{artifact}", hidden.id),
            format!("trackside://project/{}/artifact/{artifact}", own.id),
            format!("trackside://project/{}/artifact/{nobody}", own.id),
            "file:///etc/passwd".to_owned(),
        ] {
            let mut error = read(&agent, &uri).await["error"].take();
            let named = error["data"]["uri"].take();
            assert_eq!((&error["code"], named), (&json!(code), json!(uri)), "{error}");
            told.push(error);
        }
        told.dedup();
        assert_eq!(told.len(), 1, "{told:?}");
        let listed = agent.send("resources/list", json!({})).await.expect(200);
        assert!(!listed.body.contains(&hidden.id), "{}", listed.body);
    }
}

#[tokio::test]
async fn resources_are_no_door_around_scopes_limits_and_the_record() {
    let server = Server::start().await;
    let tenant = server.tenant("acme").await;
    let project = tenant.project("rocket").await;
    let artifact = push_artifact(&project).await;
    let digest = digest_of(&project.id);
    let reader = async |scope| {
        let key = server.key(tenant.id, NewKey { scopes: Some([scope].into()), ..any_key() }).await;
        Agent::new(&server.client(&key), Revision::Newest)
    };
    let (of_status, of_artifacts) = (reader(Scope::StatusRead).await, reader(Scope::ArtifactsRead).await);
    shown(&of_status, &digest).await;
    shown(&of_artifacts, &artifact).await;
    for (agent, uri) in [(&of_status, &artifact), (&of_artifacts, &digest)] {
        assert_eq!(read(agent, uri).await["error"]["data"]["code"], "insufficient_scope");
    }
    let listed = of_status.send("resources/list", json!({})).await.expect(200);
    assert_eq!(listed.json["error"]["data"]["code"], "insufficient_scope", "{}", listed.body);
    read(&of_status, "trackside://nothing").await;
    let limited = loop {
        let answer = of_status.send("resources/read", json!({"uri": digest})).await.expect(200);
        if !answer.json["error"].is_null() {
            break answer;
        }
    };
    assert_eq!(limited.json["error"]["data"]["code"], "rate_limited", "{}", limited.body);
    assert!(limited.json["error"]["data"]["retryAfterMs"].as_u64().unwrap() <= 1_000, "{}", limited.body);
    assert_eq!(limited.headers["retry-after"], "1");

    let calls = project.client.get("/api/v1/tool-calls?limit=200").await.expect(200).json["items"].take();
    let seen = |tool: &str, result: &str, error: Option<&str>| {
        let is_meant =
            |call: &&Value| call["tool"] == tool && call["result"] == result && call["error"] == json!(error);
        calls.as_array().unwrap().iter().filter(is_meant).count()
    };
    assert!(seen("resources/read", "success", None) >= 60, "{calls}");
    assert_eq!(seen("resources/read", "unauthorized", Some("insufficient_scope")), 2);
    assert_eq!(seen("resources/list", "unauthorized", Some("insufficient_scope")), 1);
    assert_eq!(seen("resources/read", "failure", Some("not_found")), 1);
    assert_eq!(seen("resources/read", "rate_limited", Some("rate_limited")), 1);
    let of_project = calls.as_array().unwrap().iter().find(|call| call["result"] == "success").unwrap();
    assert_eq!(of_project["projectId"], project.id);
}

#[tokio::test]
async fn asking_for_what_does_not_exist_is_limited_too() {
    let server = Server::start().await;
    let tenant = server.tenant("acme").await;
    for method in ["resources/read", "prompts/get", "tools/call"] {
        let agent = Agent::new(&server.client(&server.key(tenant.id, any_key()).await), Revision::Newest);
        let mut asked = 0;
        loop {
            asked += 1;
            let name = format!("nothing/{asked}");
            let answer = agent.send(method, json!({"name": name, "uri": name})).await.expect(200);
            let refused = [&answer.json["error"]["data"], &answer.json["result"]["structuredContent"]];
            let code = refused.iter().find_map(|refused| refused["code"].as_str()).unwrap_or_default();
            if code == "rate_limited" {
                break;
            }
            assert!(code == "not_found" || code == "invalid_request", "{method}: {}", answer.body);
        }
        assert!(asked > 60, "{method} was limited after {asked}");
    }
}
