//! Gates of work items: who reviews, who waives, and what keeps an item from being done.

use serde_json::{Value, json};

use super::server;
use crate::{
    support::{
        Server,
        agent::{Agent, Revision},
        eventually,
        repository::Origin,
        text,
    },
    work::{held, with},
};

#[tokio::test]
async fn an_item_is_not_done_before_somebody_else_has_passed_its_review() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "ready").await;
    let gate = project.reviewed(&item, "review").await;
    assert_eq!((&gate["status"], &gate["isConfigured"]), (&json!("pending"), &json!(false)));
    let (ada, bob) = (project.worker(&server, "ada").await, project.worker(&server, "bob").await);
    let claim = ada.get("claim_work", json!({"projectId": project.id})).await;
    assert_eq!(claim["context"]["gates"][0]["gateId"], gate["id"], "that is said at once");
    let refused = ada.refused("finish_work", held(&claim, &project)).await;
    assert_eq!((&refused["code"], &refused["next"]), (&json!("gate_failed"), &json!("list_gates")));
    assert_eq!(
        (&refused["gates"][0]["gateId"], &refused["gates"][0]["status"]),
        (&gate["id"], &json!("pending"))
    );
    assert!(text(&refused["detail"]).contains("`review` is not passed yet"), "{refused}");
    assert_eq!(project.work_item(&item).await["claim"]["holderName"], "ada", "nothing was written");

    let finish = with(held(&claim, &project), json!({"lane": "review", "commit": "4b825dc"}));
    ada.get("finish_work", finish).await;
    let decide = json!({"projectId": project.id, "gateId": gate["id"], "decision": "passed", "reason": "I did it well."});
    let own = ada.refused("submit_gate", decide.clone()).await;
    assert_eq!(own["code"], "conflict", "who did the work does not review it, also when the claim is over");
    let moved = project.client.patch(&project.item_path(&item), json!({"lane": "done"})).await;
    moved.refused(409, "gate_failed");
    let passed = bob.get("submit_gate", with(decide, json!({"reason": "I tried it."}))).await;
    assert_eq!(passed["gate"]["status"], "passed");
    project.client.patch(&project.item_path(&item), json!({"lane": "done"})).await.expect(200);
    assert_eq!(project.turns().await, ["review pending passed"]);
    let turn = project.told("gate_evaluated").await.remove(0);
    assert_eq!((&turn["by"]["name"], &turn["workItemId"]), (&json!("bob"), &item["id"]));
}

#[tokio::test]
async fn a_review_that_fails_holds_the_item_and_the_next_one_lets_it_go() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "doing").await;
    let bob = project.worker(&server, "bob").await;
    let named = json!({"projectId": project.id, "workItemId": item["id"], "name": "design"});
    let failed = with(named.clone(), json!({"decision": "failed", "reason": "The button is hidden."}));
    let gate = bob.get("submit_gate", failed).await["gate"].clone();
    assert_eq!((&gate["status"], &gate["check"]), (&json!("failed"), &json!("manual_review")), "it was made");
    let done = project.client.patch(&project.item_path(&item), json!({"lane": "done"})).await;
    let refused = done.refused(409, "gate_failed").json;
    assert!(text(&refused["detail"]).contains("The button is hidden."), "{refused}");
    bob.get("submit_gate", with(named, json!({"decision": "passed", "reason": "It is there."}))).await;
    project.client.patch(&project.item_path(&item), json!({"lane": "done"})).await.expect(200);
    let late = json!({"decision": "failed", "reason": "Late."});
    let path = project.path(&format!("/gates/{}/decision", text(&gate["gateId"])));
    project.client.post(&path, late).await.refused(409, "conflict");
}

#[tokio::test]
async fn a_waiver_lets_pass_until_it_ends_and_only_who_manages_the_project_gives_one() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "doing").await;
    let gate = project.reviewed(&item, "review").await;
    let waiver =
        json!({"decision": "waived", "reason": "The demo is today.", "until": "2026-01-01T07:00:00Z"});
    let bob = project.member(&server, "bob").await;
    bob.post(&project.decision_path(&gate), waiver.clone()).await.refused(403, "insufficient_scope");
    let past = json!({"decision": "waived", "reason": "x", "until": "2026-01-01T05:00:00Z"});
    let refused =
        project.client.post(&project.decision_path(&gate), past).await.refused(400, "invalid_request");
    assert_eq!(refused.json["errors"][0]["pointer"], "/until");
    let waived = project.client.post(&project.decision_path(&gate), waiver).await.expect(200).json;
    assert_eq!((&waived["status"], &waived["waiver"]["name"]), (&json!("waived"), &json!("owner")));
    server.advance(3_599);
    assert_eq!(project.stands("review").await, "waived");
    server.advance(3); // looks are 2 s apart
    eventually("the waiver is over", async || project.stands("review").await == "pending").await;
    assert_eq!(project.turns().await, ["review pending waived", "review waived pending"]);
    let done = project.client.patch(&project.item_path(&item), json!({"lane": "done"})).await;
    done.refused(409, "gate_failed");
    let gate =
        project.client.get(&project.path(&format!("/gates/{}", text(&gate["id"])))).await.expect(200).json;
    assert_eq!(gate["waiver"]["until"], "2026-01-01T07:00:00Z", "that there was one stays known");
}

#[tokio::test]
async fn a_gate_that_is_found_is_nobodys_to_pass_but_can_be_waived() {
    let server = Server::start().await;
    let project = server.project().await;
    let prd = project.gate("prd").await;
    let path = project.decision_path(&prd);
    let refused = project.client.post(&path, json!({"decision": "passed", "reason": "Believe me."})).await;
    let refused = refused.refused(400, "invalid_request");
    assert_eq!(refused.json["errors"][0]["pointer"], "/decision");
    project
        .client
        .post(&path, json!({"decision": "waived", "reason": "It is a small tool."}))
        .await
        .expect(200);
    assert_eq!(project.shares().await, (vec![50, 0, 0, 0], json!("build")));
}

#[tokio::test]
async fn what_a_lane_asks_every_item_has_from_there_on() {
    let server = Server::start().await;
    let project = server.project().await;
    project.asks_for(json!([{"name": "second look", "lane": "review", "check": "manual_review"}])).await;
    let item = project.item("Sign in", "ready").await;
    let path = project.path(&format!("/gates?workItemId={}", text(&item["id"])));
    let has = async || project.client.get(&path).await.expect(200).json["items"].as_array().unwrap().len();
    assert_eq!(has().await, 0, "it is not there yet");
    let ada = project.worker(&server, "ada").await;
    let claim = ada.get("claim_work", json!({"projectId": project.id})).await;
    let refused = ada.refused("finish_work", held(&claim, &project)).await;
    assert_eq!(refused["code"], "gate_failed", "no lane is gone round");
    ada.get("finish_work", with(held(&claim, &project), json!({"lane": "review"}))).await;
    assert_eq!(has().await, 1);
    let straight = json!({"title": "Sign out", "lane": "done"});
    project.client.post(&project.path("/work-items"), straight).await.refused(409, "gate_failed");
    project.asks_for(json!([])).await;
    assert_eq!(has().await, 0, "nobody asks for it any more");
    project.client.patch(&project.item_path(&item), json!({"lane": "done"})).await.expect(200);
}

#[tokio::test]
async fn the_tests_of_an_item_are_those_of_the_commit_that_finished_it() {
    use trackside::samples::{Commit, Repository};
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "ready").await;
    let gate = json!({"workItemId": item["id"], "name": "its tests", "check": "tests_passing"});
    project.client.post(&project.path("/gates"), gate).await.expect(201);
    let mut repository = Repository::new("acme/rocket", crate::support::dawn());
    let push = repository.push("main", &[Commit { added: &["README.md"], ..Commit::default() }]);
    project.deliver("p", &push).await.expect(202);
    project.deliver("s", &repository.status("ci", "success")).await.expect(202);
    project.settled().await;
    let commit = text(&project.all("/runs").await[0]["commit"]);
    let ada = project.worker(&server, "ada").await;
    let claim = ada.get("claim_work", json!({"projectId": project.id})).await;
    assert_eq!(ada.refused("finish_work", held(&claim, &project)).await["code"], "gate_failed");
    let of_another = with(held(&claim, &project), json!({"commit": "0123456789abcdef"}));
    assert_eq!(ada.refused("finish_work", of_another).await["code"], "gate_failed");
    let done = ada.get("finish_work", with(held(&claim, &project), json!({"commit": commit[..8]}))).await;
    assert_eq!(done["lane"], "done");
}

#[tokio::test]
async fn a_story_whose_file_says_done_waits_in_review_while_a_gate_is_red() {
    let server = server().await;
    let story = |status: &str| format!("---\nstatus: {status}\n---\n# Sign in\n");
    let origin = Origin::with(&[("docs/stories/1.md", &story("Approved"))]);
    let project = server.project_of(&origin).await;
    let item = project.all("/work-items").await.remove(0);
    project.reviewed(&item, "review").await;
    project.push(&origin, "docs/stories/1.md", &story("Done")).await;
    let kept = project.work_item(&item).await;
    assert_eq!((&kept["lane"], &kept["fileStatus"]), (&json!("review"), &json!("Done")));
    let told = project.told("work_item_changed").await;
    let told = told.iter().find(|told| told["change"] == "kept_back").expect("it says so");
    assert_eq!(told["gates"][0]["name"], "review");
}

#[tokio::test]
async fn a_decision_and_the_record_of_its_call_are_one() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "doing").await;
    let gate = project.reviewed(&item, "review").await;
    let database = server.database().await;
    let bob = Agent::new(&project.member(&server, "bob").await, Revision::Newest);
    let decide =
        json!({"projectId": project.id, "gateId": gate["id"], "decision": "passed", "reason": "Seen."});
    crate::support::sabotage::refuse_inserts_when(
        &database,
        "mcp_audit_log",
        "NEW.tool = 'submit_gate' AND NEW.result = 'success'",
        "on purpose",
    )
    .await;
    bob.call("submit_gate", decide.clone()).await;
    assert_eq!(project.stands("review").await, "pending");
    crate::support::sabotage::mend(&database, "mcp_audit_log").await;
    bob.get("submit_gate", decide).await;
    assert_eq!(project.stands("review").await, "passed");
    let calls = project.all("/tool-calls?tool=submit_gate&result=success").await;
    assert_eq!(calls.len(), 1);
}

#[tokio::test]
async fn agents_see_gates_in_a_few_words_and_how_far_the_phases_are() {
    let server = Server::start().await;
    let project = server.project().await;
    let agent = project.worker(&server, "ada").await;
    let told = agent.get("list_gates", json!({"projectId": project.id, "phase": "build"})).await;
    assert_eq!((&told["currentPhase"], &told["phases"]["build"]), (&json!("build"), &json!(0)));
    assert_eq!((&told["passCount"], &told["failCount"]), (&json!(0), &json!(0)));
    let rows = told["gates"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| text(&row["name"])).collect::<Vec<_>>(), ["prd", "prd version"]);
    assert!(rows[0]["check"].is_null() && rows[0]["message"].is_string());
    let status = agent.get("get_project_status", json!({"projectId": project.id})).await;
    assert_eq!(status["gates"], json!({"pending": 9, "phase": "build", "percentage": 0}));
}

#[tokio::test]
async fn a_deleted_item_takes_its_gates_along() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "doing").await;
    project.reviewed(&item, "review").await;
    let twice = json!({"workItemId": item["id"], "name": "review", "check": "manual_review"});
    project.client.post(&project.path("/gates"), twice).await.refused(409, "conflict");
    project.client.delete(&project.item_path(&item)).await.expect(204);
    let left: Vec<Value> =
        project.gates().await.into_iter().filter(|gate| !gate["workItemId"].is_null()).collect();
    assert_eq!(left, Vec::<Value>::new());
}
