//! Runs of agents: begun, kept alive and ended by whoever runs them.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use trackside::{
    accounts::{NewKey, Role, Scope},
    samples::Repository,
};

use super::{agent, are, begin, path_of, status, told, work};
use crate::support::{
    Server,
    agent::{Agent, Revision},
    any_key,
    client::answer,
    dawn, text,
};

const COMMIT: &str = "1f2e3d4c5b6a79880796a5b4c3d2e1f001122334";
const ITEM: &str = "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c";

#[tokio::test]
async fn an_agent_begins_a_run_shows_that_it_is_alive_and_ends_it() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    let new = json!({
        "name": "implement 1.2", "branch": "refs/heads/story/1.2", "commit": COMMIT.to_uppercase(),
        "workItemId": ITEM, "deadlineSeconds": 120,
    });
    let begun = ada.post(&project.path("/runs"), new).await.expect(201);
    let run = begun.json.clone();
    let path = path_of(&project, &run);
    assert_eq!(begun.headers["location"], path.as_str());
    let by = run["principal"].clone();
    let mut expected = json!({
        "id": run["id"], "kind": "agent", "name": "implement 1.2", "status": "running", "commit": COMMIT,
        "branch": "story/1.2", "startedAt": "2026-01-01T06:00:00Z", "deadlineAt": "2026-01-01T06:02:00Z",
        "principal": {"id": by["id"], "name": "ada"}, "workItemId": ITEM,
    });
    let known = |run: &Value| {
        let mut run = run.clone();
        run.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        run
    };
    assert_eq!(known(&run), expected);

    server.advance(90);
    let alive = ada.patch(&path, json!({})).await.expect(200).json;
    expected["deadlineAt"] = json!("2026-01-01T06:03:30Z");
    assert_eq!(known(&alive), expected, "a sign of life puts the deadline off, and changes nothing else");
    let so_far = json!({"status": "running", "costMicroUsd": 100, "inputTokens": 0});
    ada.patch(&path, so_far).await.expect(200);
    server.advance(30);
    let end = json!({"status": "success", "summary": "all green", "costMicroUsd": 41_000, "outputTokens": 7});
    let ended = ada.patch(&path, end).await.expect(200).json;
    let used = json!({"costMicroUsd": 41_000, "inputTokens": 0, "outputTokens": 7, "summary": "all green"});
    expected.as_object_mut().unwrap().remove("deadlineAt");
    expected.as_object_mut().unwrap().extend(used.as_object().unwrap().clone());
    expected["status"] = json!("success");
    expected["finishedAt"] = json!("2026-01-01T06:02:00Z");
    expected["durationMs"] = json!(120_000);
    assert_eq!(known(&ended), expected);
    assert_eq!(ada.get(&path).await.expect(200).json, ended);

    let mut events = project.events().await;
    events.retain(|event| event["event"] != "agent_status_changed");
    let [began, finished] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&began["event"], &finished["event"]), (&json!("run_started"), &json!("run_finished")));
    let expected = json!({
        "id": run["id"], "runId": run["id"], "kind": "agent", "name": "implement 1.2", "status": "success",
        "commit": COMMIT, "branch": "story/1.2", "url": null, "durationMs": 120_000,
        "principal": {"id": by["id"], "name": "ada"}, "workItemId": ITEM, "summary": "all green",
        "costMicroUsd": 41_000, "inputTokens": 0, "outputTokens": 7,
    });
    assert_eq!(finished["payload"], expected);
    assert_eq!(
        (&began["payload"]["status"], &began["payload"]["durationMs"]),
        (&json!("running"), &Value::Null)
    );
}

#[tokio::test]
async fn runs_of_agents_are_listed_beside_those_of_ci_and_told_apart() {
    let server = Server::start().await;
    let project = server.project().await;
    let (ada, bob) = (agent(&server, &project, "ada").await, agent(&server, &project, "bob").await);
    project.deliver("d-1", &Repository::new("acme/rocket", dawn()).status("ci", "success")).await.expect(202);
    project.settled().await;
    let hers = begin(&ada, &project, json!({"name": "hers", "branch": "story/1.2", "commit": COMMIT})).await;
    let his = begin(&bob, &project, json!({"name": "his"})).await;
    let ids = async |query: &str| {
        let rows = project.all(&format!("/runs?{query}")).await;
        rows.iter().map(|row| text(&row["name"])).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, ["his", "hers", "ci"]);
    assert_eq!(ids("kind=agent").await, ["his", "hers"]);
    assert_eq!(ids("kind=Status").await, ["ci"]);
    assert_eq!(ids("branch=story/1.2").await, ["hers"]);
    assert_eq!(ids(&format!("commit={COMMIT}")).await, ["hers"]);
    assert_eq!(ids(&format!("principalId={}", text(&his["principal"]["id"]))).await, ["his"]);
    assert_eq!(ids("kind=agent&status=running&branch=main").await, [""; 0]);

    let tools = Agent::new(&ada, Revision::Newest);
    let asked = json!({"projectId": project.id, "kind": "agent", "principalId": hers["principal"]["id"]});
    let rows = tools.get("list_runs", asked).await;
    let row = json!({"runId": hers["id"], "name": "hers", "status": "running", "branch": "story/1.2"});
    assert_eq!(rows["runs"], json!([row]), "rows stay small");
    let fields = ["principal", "costMicroUsd", "deadlineAt"];
    let asked = json!({"projectId": project.id, "branch": "story/1.2", "fields": fields});
    let row = json!({"principal": hers["principal"], "costMicroUsd": null, "deadlineAt": hers["deadlineAt"]});
    assert_eq!(tools.get("list_runs", asked).await["runs"], json!([row]));
    let shown = tools.get("get_run", json!({"projectId": project.id, "runId": his["id"]})).await;
    assert_eq!((&shown["run"]["kind"], &shown["run"]["principal"]), (&json!("agent"), &his["principal"]));
}

#[tokio::test]
async fn runs_are_narrowed_to_those_that_were_heard_of_within_a_span_of_time() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    for name in ["first", "second", "third"] {
        begin(&ada, &project, json!({"name": name})).await;
        server.advance(60);
    }
    let names = async |query: &str| {
        let rows = project.all(&format!("/runs?{query}")).await;
        rows.iter().map(|row| text(&row["name"])).collect::<Vec<_>>()
    };
    assert_eq!(names("since=2026-01-01T06:01:00Z").await, ["third", "second"]);
    assert_eq!(names("until=2026-01-01T06:01:00Z").await, ["first"]);
    assert_eq!(names("since=2026-01-01T06:00:30Z&until=2026-01-01T06:01:30Z").await, ["second"]);
    assert_eq!(names("since=2026-01-01T06:02:00Z&until=2026-01-01T06:02:00Z").await, [""; 0]);
    project.client.get(&project.path("/runs?since=yesterday")).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn an_ended_run_stays_as_it_is() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    for (end, others) in [
        ("success", ["failed", "cancelled", "running"]),
        ("failed", ["success", "cancelled", "running"]),
        ("cancelled", ["success", "failed", "running"]),
    ] {
        let run = begin(&ada, &project, work()).await;
        let path = path_of(&project, &run);
        let told = json!({"status": end, "costMicroUsd": 5});
        let ended = ada.patch(&path, told.clone()).await.expect(200).json;
        server.advance(60);
        assert_eq!(ada.patch(&path, told).await.expect(200).json, ended, "told again, answered alike");
        let more = json!({"status": end, "costMicroUsd": 6, "summary": "more"});
        assert_eq!(ada.patch(&path, more).await.expect(200).json, ended, "and nothing is changed");
        for other in others.map(|other| json!({"status": other})).into_iter().chain([json!({})]) {
            let refused = ada.patch(&path, other).await;
            assert!(text(&refused.json["detail"]).contains(&format!("ended as `{end}`")), "{refused:?}");
            refused.refused(409, "conflict");
        }
        assert_eq!(ada.get(&path).await.json, ended);
    }
    let expected =
        ["success", "failed", "cancelled"].map(|end| [("run_started", "running"), ("run_finished", end)]);
    assert_eq!(told(&project).await, are(expected.as_flattened()), "each end is told once");
}

#[tokio::test]
async fn many_ends_at_once_are_one_end() {
    let server = Server::start().await;
    let project = server.project().await;
    let there = server.another(&[]).await;
    let (ada, elsewhere) = (agent(&server, &project, "ada").await, there.again(&project).client);
    let run = begin(&ada, &project, work()).await;
    let path = path_of(&project, &run);
    let ends = ["success", "failed", "cancelled", "running"].into_iter().cycle().take(16).enumerate();
    let tell = |(index, end): (usize, &'static str)| {
        let (client, path) = (if index % 2 == 0 { &ada } else { &elsewhere }, &path);
        async move { (end, client.patch(path, json!({"status": end})).await.status) }
    };
    let answers = join_all(ends.map(tell)).await;
    let end = status(&project, &run).await;
    assert_ne!(end, "running");
    for (told, answer) in answers.into_iter().filter(|(told, _)| *told != "running") {
        assert_eq!(answer, if told == end { 200 } else { 409 }, "{told} of a run that ended as {end}");
    }
    assert_eq!(told(&project).await, are(&[("run_started", "running"), ("run_finished", &end)]));
    there.service.stop().await;
}

#[tokio::test]
async fn a_run_belongs_to_who_began_it_and_a_hosts_to_its_host() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    let run = begin(&ada, &project, work()).await;
    let path = path_of(&project, &run);
    let bob = agent(&server, &project, "bob").await;
    let refused = bob.patch(&path, json!({"status": "failed"})).await;
    assert!(text(&refused.json["detail"]).contains("this run is ada's"), "{refused:?}");
    refused.refused(403, "insufficient_scope");
    for role in [Role::Member, Role::Viewer] {
        let scopes = Some([Scope::RunsRead].into());
        let reader = server.key(project.tenant.id, NewKey { role, scopes, ..any_key() }).await;
        let reader = server.client(&reader);
        reader.patch(&path, json!({})).await.refused(403, "insufficient_scope");
        reader.post(&project.path("/runs"), work()).await.refused(403, "insufficient_scope");
    }
    assert_eq!(status(&project, &run).await, "running");
    let admin = NewKey { role: Role::Admin, ..any_key() };
    let admin = server.client(&server.key(project.tenant.id, admin).await);
    let ended = admin.patch(&path, json!({"status": "cancelled"})).await.expect(200).json;
    assert_eq!(ended["principal"]["name"], "ada", "it stays hers");

    project.deliver("d-1", &Repository::new("acme/rocket", dawn()).status("ci", "pending")).await.expect(202);
    project.settled().await;
    let of_ci = project.all("/runs?kind=status").await.remove(0);
    let refused = admin.patch(&path_of(&project, &of_ci), json!({"status": "success"})).await;
    assert!(text(&refused.json["detail"]).contains("this run is github's"), "{refused:?}");
    refused.refused(409, "conflict");
    let other = project.tenant.project("Other").await;
    ada.patch(&path_of(&other, &run), json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_its_name() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    let long = "x".repeat(300);
    for (body, pointer) in [
        (json!({}), None),
        (json!({"name": " "}), Some("/name")),
        (json!({"name": long}), Some("/name")),
        (json!({"name": "x", "branch": "a b"}), Some("/branch")),
        (json!({"name": "x", "branch": long}), Some("/branch")),
        (json!({"name": "x", "commit": "main"}), Some("/commit")),
        (json!({"name": "x", "workItemId": "7"}), Some("/workItemId")),
        (json!({"name": "x", "deadlineSeconds": 29}), Some("/deadlineSeconds")),
        (json!({"name": "x", "deadlineSeconds": 86_401}), Some("/deadlineSeconds")),
        (json!({"name": "x", "deadlineSeconds": i64::MIN}), Some("/deadlineSeconds")),
        (json!({"name": "x", "deadlineSeconds": 60.5}), Some("/deadlineSeconds")),
        (json!({"name": "x", "status": "success"}), Some("/status")),
    ] {
        let refused = ada.post(&project.path("/runs"), body.clone()).await;
        assert_eq!(refused.json["errors"][0]["pointer"].as_str(), pointer, "{body}");
        refused.refused(400, "invalid_request");
    }
    assert!(project.all("/runs").await.is_empty() && told(&project).await.is_empty());

    let run = begin(&ada, &project, work()).await;
    let path = path_of(&project, &run);
    for (body, pointer) in [
        (json!({"status": "queued"}), "/status"),
        (json!({"status": "lost"}), "/status"),
        (json!({"status": "done"}), "/status"),
        (json!({"summary": ""}), "/summary"),
        (json!({"summary": "x".repeat(2_001)}), "/summary"),
        (json!({"costMicroUsd": -1}), "/costMicroUsd"),
        (json!({"costMicroUsd": 0.5}), "/costMicroUsd"),
        (json!({"inputTokens": 1_000_000_000_001_i64}), "/inputTokens"),
        (json!({"outputTokens": u64::MAX}), "/outputTokens"),
        (json!({"name": "another"}), "/name"),
    ] {
        let refused = ada.patch(&path, body.clone()).await;
        assert_eq!(refused.json["errors"][0]["pointer"], pointer, "{body}");
        refused.refused(400, "invalid_request");
    }
    let totals = json!({"costMicroUsd": 50, "inputTokens": 1_000_000_000_000_i64, "outputTokens": 3});
    let known = ada.patch(&path, totals).await.expect(200).json;
    for total in ["costMicroUsd", "inputTokens", "outputTokens"] {
        let refused = ada.patch(&path, json!({"status": "success", total: 2})).await;
        assert!(text(&refused.json["detail"]).contains("only grows"), "{refused:?}");
        refused.refused(409, "conflict");
    }
    assert_eq!(ada.get(&path).await.json, known, "what is refused changes nothing");
}

#[tokio::test]
async fn a_run_that_is_begun_again_with_the_same_key_is_begun_once() {
    let server = Server::start().await;
    let project = server.project().await;
    let ada = agent(&server, &project, "ada").await;
    let keyed = |method, path: &str, body: Value| {
        ada.request(method, path).header("idempotency-key", format!("k-{path}")).json(&body)
    };
    let path = project.path("/runs");
    let first = answer(keyed(Method::POST, &path, work())).await.expect(201);
    let again = answer(keyed(Method::POST, &path, work())).await.expect(201);
    assert_eq!((&first.json, &first.headers["location"]), (&again.json, &again.headers["location"]));
    let path = path_of(&project, &first.json);
    let totals = || keyed(Method::PATCH, &path, json!({"costMicroUsd": 5}));
    let alive = answer(totals()).await.expect(200).json;
    ada.patch(&path, json!({"costMicroUsd": 9})).await.expect(200);
    assert_eq!(answer(totals()).await.expect(200).json, alive, "not refused as a total that shrinks");
    assert_eq!(project.all("/runs").await.len(), 1);
    assert_eq!(told(&project).await, are(&[("run_started", "running")]));
}
