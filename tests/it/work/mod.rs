//! Work: one holder at a time, whatever happens, and everybody knows who.

mod board;
mod history;
mod pair;
mod race;
mod signs;
mod stories;

use serde_json::{Value, json};

use crate::support::{
    Project, Server,
    agent::{Agent, Revision},
    eventually, text,
};

impl Project {
    /// A new item in a lane.
    pub(crate) async fn item(&self, title: &str, lane: &str) -> Value {
        self.item_with(json!({"title": title, "lane": lane})).await
    }

    async fn item_with(&self, body: Value) -> Value {
        self.client.post(&self.path("/work-items"), body).await.expect(201).json
    }

    pub(crate) async fn work_item(&self, item: &Value) -> Value {
        self.client.get(&self.item_path(item)).await.expect(200).json
    }

    pub(crate) fn item_path(&self, item: &Value) -> String {
        self.path(&format!("/work-items/{}", text(&item["id"])))
    }

    /// An agent of its own, with a key for this project.
    pub(crate) async fn worker(&self, server: &Server, name: &str) -> Agent {
        Agent::new(&self.member(server, name).await, Revision::Newest)
    }

    pub(crate) async fn member(&self, server: &Server, name: &str) -> crate::support::Client {
        let new = trackside::accounts::NewKey {
            name: name.into(),
            role: trackside::accounts::Role::Member,
            scopes: None,
            projects: None,
            expires_at: None,
        };
        server.client(&server.key(self.tenant.id, new).await)
    }

    /// The events of some names: the name, what it was about and how, in the words of the log.
    async fn story(&self) -> Vec<String> {
        let told = |event: &Value| {
            let payload = &event["payload"];
            let detail =
                ["change", "reason"].iter().find_map(|field| payload[*field].as_str()).unwrap_or_default();
            let who = payload["holderName"].as_str().unwrap_or_default();
            let words = [text(&event["event"]), text(&payload["title"]), who.to_owned(), detail.to_owned()];
            words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        };
        let events = self.all("/events").await;
        events.iter().filter(|event| text(&event["event"]).starts_with("work_")).map(told).collect()
    }
}

/// What names a claim in every later write.
pub(crate) fn held(claim: &Value, project: &Project) -> Value {
    json!({
        "projectId": project.id,
        "workItemId": claim["workItemId"],
        "leaseId": claim["leaseId"],
        "fencingToken": claim["fencingToken"],
    })
}

/// The same with more.
pub(crate) fn with(mut held: Value, more: Value) -> Value {
    held.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    held
}

#[tokio::test]
async fn an_item_goes_from_ready_to_done_and_the_log_tells_it() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "ready").await;
    let ada = project.worker(&server, "ada").await;
    let claim = ada.get("claim_work", json!({"projectId": project.id, "branch": "feature/sign-in"})).await;
    assert_eq!(claim["workItemId"], item["id"]);
    assert_eq!((&claim["fencingToken"], &claim["lane"]), (&json!(1), &json!("doing")));
    assert_eq!(claim["item"]["title"], "Sign in");
    let update = with(held(&claim, &project), json!({"task": "writing tests"}));
    ada.get("update_work", update).await;
    let seen = project.work_item(&item).await;
    assert_eq!(
        (&seen["claim"]["holderName"], &seen["claim"]["task"]),
        (&json!("ada"), &json!("writing tests"))
    );
    let finish = with(held(&claim, &project), json!({"commit": "4B825DC", "summary": "It is possible now."}));
    let done = ada.get("finish_work", finish).await;
    assert_eq!((&done["lane"], &done["commit"]), (&json!("done"), &json!("4b825dc")));
    assert_eq!(
        project.story().await,
        [
            "work_item_changed Sign in created",
            "work_claimed Sign in ada",
            "work_item_changed Sign in ada worked_on",
            "work_released Sign in ada finished",
        ]
    );
}

#[tokio::test]
async fn whoever_comes_second_is_told_who_was_first_and_what_to_do() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "ready").await;
    let (ada, bob) = (project.worker(&server, "ada").await, project.worker(&server, "bob").await);
    let asked = json!({"projectId": project.id, "workItemId": item["id"]});
    let claim = ada.get("claim_work", asked.clone()).await;
    let refused = bob.refused("claim_work", asked.clone()).await;
    assert_eq!((&refused["code"], &refused["next"]), (&json!("already_claimed"), &json!("claim_work")));
    let holder = &refused["holder"];
    assert_eq!(
        (&holder["name"], &holder["isCaller"], &holder["fencingToken"], &holder["expiresAt"]),
        (&json!("ada"), &json!(false), &json!(1), &claim["expiresAt"])
    );
    let again = ada.refused("claim_work", asked).await;
    assert_eq!((&again["holder"]["isCaller"], &again["next"]), (&json!(true), &json!("update_work")));
    let stolen = bob.refused("update_work", held(&claim, &project)).await;
    assert_eq!(stolen["code"], "lease_lost", "a claim is of use to its holder alone");
    let nothing = bob.refused("claim_work", json!({"projectId": project.id})).await;
    assert_eq!((&nothing["code"], &nothing["next"]), (&json!("nothing_ready"), &json!("list_work")));
}

#[tokio::test]
async fn a_claim_without_a_sign_of_life_runs_out_and_its_holder_writes_nothing_more() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "ready").await;
    let (ada, bob) = (project.worker(&server, "ada").await, project.worker(&server, "bob").await);
    let asked = json!({"projectId": project.id, "leaseSeconds": 60});
    let first = ada.get("claim_work", asked.clone()).await;
    server.advance(50);
    ada.get("update_work", held(&first, &project)).await;
    server.advance(50);
    assert_eq!(project.work_item(&item).await["claim"]["holderName"], "ada", "it was heard of");
    server.advance(10);
    eventually("the claim is ended", async || project.work_item(&item).await["claim"].is_null()).await;
    assert_eq!(project.work_item(&item).await["lane"], "ready");
    let late = ada.refused("finish_work", held(&first, &project)).await;
    assert_eq!(
        (&late["code"], &late["holder"], &late["next"]),
        (&json!("lease_lost"), &Value::Null, &json!("claim_work"))
    );
    let second = bob.get("claim_work", asked).await;
    assert_eq!(second["fencingToken"], 2);
    let late = ada.refused("update_work", held(&first, &project)).await;
    assert_eq!((&late["code"], &late["holder"]["name"]), (&json!("lease_lost"), &json!("bob")));
    bob.get("finish_work", held(&second, &project)).await;
    assert_eq!(
        project.story().await,
        [
            "work_item_changed Sign in created",
            "work_claimed Sign in ada",
            "work_released Sign in ada expired",
            "work_claimed Sign in bob",
            "work_released Sign in bob finished",
        ]
    );
}

#[tokio::test]
async fn a_claim_that_has_run_out_is_over_though_nobody_has_swept_it() {
    let server = Server::start_with(&[("TRACKSIDE_ROLE", "web")]).await;
    let project = server.project().await;
    project.item("Sign in", "ready").await;
    let (ada, bob) = (project.worker(&server, "ada").await, project.worker(&server, "bob").await);
    let first = ada.get("claim_work", json!({"projectId": project.id, "leaseSeconds": 30})).await;
    server.advance(30);
    assert_eq!(ada.refused("update_work", held(&first, &project)).await["code"], "lease_lost");
    let asked = json!({"projectId": project.id, "workItemId": first["workItemId"]});
    assert_eq!(bob.get("claim_work", asked).await["fencingToken"], 2);
    let told = project.story().await;
    assert_eq!(told[2..], ["work_released Sign in ada expired", "work_claimed Sign in bob"]);
}

#[tokio::test]
async fn what_is_given_back_is_ready_again_and_only_who_manages_the_project_takes_it_away() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "ready").await;
    let (ada, bob) = (project.worker(&server, "ada").await, project.member(&server, "bob").await);
    let claim = ada.get("claim_work", json!({"projectId": project.id})).await;
    let freed = ada.get("release_work", with(held(&claim, &project), json!({"reason": "no access"}))).await;
    assert_eq!(freed["lane"], "ready");
    ada.get("claim_work", json!({"projectId": project.id})).await;
    let release = project.path(&format!("/work-items/{}/release", text(&item["id"])));
    let refused = bob.post(&release, json!({})).await.expect(409).json;
    assert_eq!((&refused["code"], &refused["holder"]["name"]), (&json!("already_claimed"), &json!("ada")));
    let path = project.path(&format!("/work-items/{}", text(&item["id"])));
    let moved = bob.patch(&path, json!({"lane": "done"}));
    assert_eq!(moved.await.expect(409).json["code"], "already_claimed");
    project.client.post(&release, json!({"reason": "on holiday"})).await.expect(200);
    let told = project.story().await;
    assert_eq!(told.last().unwrap(), "work_released Sign in ada taken_back");
}

#[tokio::test]
async fn what_an_agent_did_itself_is_no_news_to_it_but_what_it_lost_is() {
    let server = Server::start().await;
    let project = server.project().await;
    let item = project.item("Sign in", "ready").await;
    let (ada, bob) = (project.worker(&server, "ada").await, project.worker(&server, "bob").await);
    let status = ada.get("get_project_status", json!({"projectId": project.id})).await;
    let news = async |agent: &Agent| {
        let since = json!({"projectId": project.id, "after": status["nextAfter"]});
        let told = agent.get("list_changes", since).await;
        let changes = told["changes"].as_array().unwrap().clone();
        let work =
            changes.iter().map(|change| text(&change["event"])).filter(|name| name.starts_with("work_"));
        work.collect::<Vec<_>>()
    };
    let claim = ada.get("claim_work", json!({"projectId": project.id})).await;
    ada.get("update_work", with(held(&claim, &project), json!({"task": "writing the tests"}))).await;
    assert_eq!(news(&ada).await, Vec::<String>::new());
    assert_eq!(news(&bob).await, ["work_claimed", "work_item_changed"]);
    let release = project.path(&format!("/work-items/{}/release", text(&item["id"])));
    project.client.post(&release, json!({})).await.expect(200);
    assert_eq!(news(&ada).await, ["work_released"], "it was taken away");
}

#[tokio::test]
async fn a_story_that_changes_under_its_holder_is_told_with_the_next_answer_of_any_tool() {
    use crate::support::repository::{Origin, READS_FILES};
    let server = Server::start_with(&READS_FILES).await;
    let origin =
        Origin::with(&[("docs/stories/1.md", "# Sign in\n\n## Tasks\n\nOne.\n\n## Notes\n\nNone.\n")]);
    let project = server.project_of(&origin).await;
    let item = project.all("/work-items").await.remove(0);
    project.client.patch(&project.item_path(&item), json!({"lane": "ready"})).await.expect(200);
    let ada = project.worker(&server, "ada").await;
    // Who asked just before the claim is known to hold nothing, and is not taken to hold nothing afterwards.
    let status = async |agent: &Agent| {
        agent.get("get_project_status", json!({"projectId": project.id})).await["warning"].clone()
    };
    assert_eq!(status(&ada).await, Value::Null);
    let claim = ada.get("claim_work", json!({"projectId": project.id})).await;
    assert_eq!(claim["context"]["document"]["path"], "docs/stories/1.md");
    assert_eq!(status(&ada).await, Value::Null);
    origin.commit(
        "Change",
        &[("docs/stories/1.md", "# Sign in\n\n## Tasks\n\nOne.\n\nTwo.\n\n## Notes\n\nNone.\n")],
    );
    project.scan_now().await;
    let told = status(&ada).await;
    assert_eq!((&told["workItemId"], &told["sections"]), (&claim["workItemId"], &json!(["tasks"])));
    assert_eq!(status(&project.worker(&server, "bob").await).await, Value::Null, "who holds nothing");
    let told = ada.get("update_work", held(&claim, &project)).await;
    assert_eq!(told["warning"]["sections"], json!(["tasks"]));
    let told = ada.get("update_work", with(held(&claim, &project), json!({"hasRead": true}))).await;
    assert_eq!(told["warning"]["sections"], json!(["tasks"]), "until it says that it has read them");
    assert_eq!(ada.get("update_work", held(&claim, &project)).await["warning"], Value::Null);
    assert_eq!(status(&ada).await, Value::Null);

    origin.commit("Once more", &[("docs/stories/1.md", "# Sign in\n\n## Tasks\n\nThree.\n")]);
    project.scan_now().await;
    let told = ada.get("finish_work", held(&claim, &project)).await;
    assert_eq!(
        told["warning"]["sections"],
        json!(["tasks", "notes"]),
        "what was built on is not what is there"
    );
    assert_eq!(status(&ada).await, Value::Null, "it is not theirs any more");
}
