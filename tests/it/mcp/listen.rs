//! Subscriptions: an agent is told that a resource has changed, seldom, and only of what it may read.

use std::{process::Stdio, time::Instant};

use serde_json::{Value, json};
use trackside::{
    accounts::{NewKey, Scope},
    samples::{Commit, Repository, Sample},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    time::timeout,
};

use super::resources::{digest_of, push_artifact};
use crate::support::{
    PATIENCE, Server,
    agent::{Agent, Revision},
    any_key, dawn, eventually,
    process::trackside,
    stream::EventStream,
    text,
};

/// An open subscription.
struct Subscription(EventStream);

impl Subscription {
    /// Subscribes to resources; reads past the acknowledgement and the first notification of each.
    async fn open(agent: &Agent, uris: &[&str]) -> Self {
        let mut subscription = Self::ask(agent, uris).await;
        for _ in uris {
            let told = subscription.next().await.expect("a first notification");
            assert_eq!(told["method"], "notifications/resources/updated", "{told}");
        }
        subscription
    }

    /// Asks for a subscription; reads past the acknowledgement.
    async fn ask(agent: &Agent, uris: &[&str]) -> Self {
        let filter = json!({"resourceSubscriptions": uris, "toolsListChanged": true});
        let request = agent.request("subscriptions/listen", json!({"notifications": filter}));
        let mut subscription = Self(EventStream::answering(request).await);
        let told = subscription.next().await.expect("an acknowledgement");
        assert_eq!(told["method"], "notifications/subscriptions/acknowledged", "{told}");
        let granted = json!({"resourceSubscriptions": uris});
        assert_eq!(told["params"]["notifications"], granted, "lists that never change are left out");
        subscription
    }

    /// The next message; none when the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        let next = async {
            loop {
                let frame = self.0.next_frame().await?;
                if !frame.data.is_null() {
                    return Some(frame.data);
                }
            }
        };
        timeout(PATIENCE, next).await.expect("a message on the stream")
    }

    /// The address that the next notification tells of.
    async fn changed(&mut self) -> String {
        let told = self.next().await.expect("a notification");
        assert_eq!(told["method"], "notifications/resources/updated", "{told}");
        assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1, "{told}");
        text(&told["params"]["uri"])
    }
}

/// A push that changes the document, or something else.
fn push(changes: &'static [&'static str]) -> Sample {
    let commit = Commit { message: "more", modified: changes, ..Commit::default() };
    Repository::new("acme/rocket", dawn() + chrono::TimeDelta::hours(1)).push("main", &[commit])
}

#[tokio::test]
async fn an_agent_is_told_of_the_change_of_what_it_subscribed_to_and_of_nothing_else() {
    let server = Server::start().await;
    let tenant = server.tenant("acme").await;
    let (project, other) = (tenant.project("rocket").await, tenant.project("boat").await);
    let artifact = push_artifact(&project).await;
    let (digest, agent) = (digest_of(&project.id), Agent::new(&project.client, Revision::Newest));
    let mut both = Subscription::open(&agent, &[&digest, &artifact]).await;
    let mut another = Subscription::open(&agent, &[&digest_of(&other.id)]).await;

    project.deliver("2", &push(&["src/main.rs"])).await.expect(202);
    project.settled().await;
    assert_eq!(both.changed().await, digest);
    project.deliver("3", &push(&["docs/prd.md"])).await.expect(202);
    let mut told = [both.changed().await, both.changed().await];
    while !told.contains(&artifact) {
        told = [told[1].clone(), both.changed().await];
    }
    other.deliver("1", &push(&["src/main.rs"])).await.expect(202);
    assert_eq!(another.changed().await, digest_of(&other.id), "the first that it is told");
}

#[tokio::test]
async fn a_burst_of_events_is_few_notifications_and_the_last_event_has_one() {
    let server = Server::start().await;
    let project = server.project().await;
    let artifact = push_artifact(&project).await;
    let agent = Agent::new(&project.client, Revision::Newest);
    let mut subscription = Subscription::open(&agent, &[&artifact, &digest_of(&project.id)]).await;
    let began = Instant::now();
    for number in 2..42 {
        project.deliver(&number.to_string(), &push(&["src/main.rs"])).await.expect(202);
    }
    project.settled().await;
    project.deliver("last", &push(&["docs/prd.md"])).await.expect(202);
    project.settled().await;
    // It has read nothing meanwhile: what was told of is waiting for it, and of the last event it is told.
    let mut notifications = 0;
    while subscription.changed().await != artifact {
        notifications += 1;
    }
    let (events, most) = (project.events().await.len(), 2 + began.elapsed().as_secs());
    assert!(
        events > 80 && notifications <= most,
        "{notifications} of {events} events, and {most} are enough"
    );
}

#[tokio::test]
async fn what_an_agent_may_not_read_ends_the_subscription_with_the_reason() {
    let server = Server::start_with(&[("TRACKSIDE_STREAMS_PER_PRINCIPAL", "1")]).await;
    let project = server.project().await;
    let hidden = server.tenant("theirs").await.project("rocket").await;
    let agent = Agent::new(&project.client, Revision::Newest);
    let own = digest_of(&project.id);
    let refused = async |uris: &[&str]| {
        let mut subscription = Subscription::ask(&agent, uris).await;
        let error = subscription.next().await.expect("an error")["error"].take();
        assert!(subscription.next().await.is_none(), "and no more");
        error
    };
    let theirs = refused(&[&own, &digest_of(&hidden.id)]).await;
    let nobodys = digest_of(&uuid::Uuid::from_u128(1).to_string());
    let none = refused(&[&own, &nobodys]).await;
    assert_eq!(theirs["data"]["code"], "not_found", "{theirs}");
    assert_eq!(theirs.to_string().replace(&hidden.id, ""), none.to_string().replace(&nobodys[20..56], ""));
    let typo = refused(&["trackside://project/digest"]).await;
    assert!(typo.to_string().contains("trackside://project/digest"), "{typo}");

    let open = Subscription::open(&agent, &[&own]).await;
    assert_eq!(refused(&[&own]).await["data"]["code"], "rate_limited", "one stream, and it is open");
    drop(open);
    eventually("the place of a client that went away is free", async || {
        let mut again = Subscription::ask(&agent, &[&own]).await;
        again.next().await.expect("an answer")["error"].is_null()
    })
    .await;
    eventually("nothing is held", async || server.service.app.metrics.streams_open.get() == 0).await;
    let calls = project.client.get("/api/v1/tool-calls").await.expect(200).json["items"].take();
    assert!(calls.as_array().unwrap().iter().all(|call| call["tool"] == "subscriptions/listen"), "{calls}");
}

#[tokio::test]
async fn a_key_subscribes_to_what_it_reaches_and_may_read() {
    let server = Server::start().await;
    let tenant = server.tenant("acme").await;
    let (project, other) = (tenant.project("rocket").await, tenant.project("boat").await);
    let artifact = push_artifact(&project).await;
    let refused = async |new: NewKey, uri: &str| {
        let agent = Agent::new(&server.client(&server.key(tenant.id, new).await), Revision::Newest);
        let told = Subscription::ask(&agent, &[uri]).await.next().await.expect("an answer");
        told["error"]["data"]["code"].clone()
    };
    let bound = || NewKey { projects: Some([project.id.parse().unwrap()].into()), ..any_key() };
    assert_eq!(refused(bound(), &digest_of(&project.id)).await, Value::Null);
    assert_eq!(refused(bound(), &digest_of(&other.id)).await, "not_found");
    let may = |scopes: &[Scope]| NewKey { scopes: Some(scopes.iter().copied().collect()), ..any_key() };
    use Scope::{ArtifactsRead, EventsRead, StatusRead};
    assert_eq!(refused(may(&[EventsRead, StatusRead]), &digest_of(&project.id)).await, Value::Null);
    assert_eq!(refused(may(&[EventsRead, StatusRead]), &artifact).await, "insufficient_scope");
    assert_eq!(refused(may(&[EventsRead, ArtifactsRead]), &artifact).await, Value::Null);
    assert_eq!(refused(may(&[StatusRead]), &digest_of(&project.id)).await, "insufficient_scope");
}

#[tokio::test]
async fn a_subscription_ends_with_its_key() {
    let server = Server::start().await;
    let tenant = server.tenant("acme").await;
    let project = tenant.project("rocket").await;
    let key = server.key(tenant.id, any_key()).await;
    let agent = Agent::new(&server.client(&key), Revision::Newest);
    let mut subscription = Subscription::open(&agent, &[&digest_of(&project.id)]).await;
    let keys = project.client.get("/api/v1/api-keys").await.expect(200).json["items"].take();
    let prefix = &key[..16];
    let id =
        keys.as_array().unwrap().iter().find(|row| row["prefix"] == prefix).expect("the key")["id"].clone();
    project.client.delete(&format!("/api/v1/api-keys/{}", text(&id))).await.expect(200);
    let last = subscription.next().await.expect("a last word");
    assert_eq!(last["error"]["data"]["code"], "unauthenticated", "{last}");
    assert!(subscription.next().await.is_none());
}

#[tokio::test]
async fn a_subscription_ends_gracefully_with_the_service() {
    let server = Server::start().await;
    let project = server.project().await;
    let agent = Agent::new(&project.client, Revision::Newest);
    let mut subscription = Subscription::open(&agent, &[&digest_of(&project.id)]).await;
    server.service.app.shutdown.cancel();
    let last = subscription.next().await.expect("a last word");
    assert_eq!(last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1, "{last}");
    assert!(subscription.next().await.is_none());
}

#[tokio::test]
async fn older_revisions_are_not_promised_what_needs_a_session() {
    let server = Server::start().await;
    let project = server.project().await;
    let (older, newest) =
        (Agent::new(&project.client, Revision::Older), Agent::new(&project.client, Revision::Newest));
    let hello = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "agent", "version": "1"},
    });
    let told = older.send("initialize", hello).await.expect(200).json["result"]["capabilities"].take();
    assert_eq!(told, json!({"prompts": {}, "resources": {}, "tools": {}}));
    let told =
        newest.send("server/discover", json!({})).await.expect(200).json["result"]["capabilities"].take();
    assert_eq!(told, json!({"prompts": {}, "resources": {"subscribe": true}, "tools": {}}));
    let digest = digest_of(&project.id);
    let refused = older.send("resources/subscribe", json!({"uri": digest})).await;
    assert_eq!(refused.json["error"]["code"], -32601, "{}", refused.body);
    let filter = json!({"notifications": {"resourceSubscriptions": [digest]}});
    let refused = older.send("subscriptions/listen", filter).await;
    assert_eq!(refused.json["error"]["code"], -32601, "{}", refused.body);
}

#[tokio::test]
async fn a_process_on_standard_input_and_output_is_told_what_the_service_did() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut command = trackside(std::path::Path::new("."));
    command.arg("mcp").envs(server.place.settings());
    command.env("TRACKSIDE_API_KEY", project.client.key.as_deref().unwrap());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = tokio::process::Command::from(command).kill_on_drop(true).spawn().expect("it starts");
    let (mut input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
    let mut output = BufReader::new(output).lines();
    let mut next = async || -> Value {
        let line = timeout(PATIENCE, output.next_line()).await.expect("in time").unwrap().expect("a line");
        serde_json::from_str(&line).expect("JSON")
    };
    let digest = digest_of(&project.id);
    let filter = json!({"resourceSubscriptions": [digest]});
    for (id, method, more) in
        [(1, "server/discover", json!({})), (2, "subscriptions/listen", json!({"notifications": filter}))]
    {
        let request = Agent::message(id, method, more);
        input.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        let told = next().await;
        match id {
            1 => assert_eq!(told["result"]["capabilities"]["resources"]["subscribe"], true, "{told}"),
            _ => assert_eq!(told["method"], "notifications/subscriptions/acknowledged", "{told}"),
        }
    }
    assert_eq!(next().await["params"]["uri"], digest, "one to begin with");
    project.deliver("1", &push(&["src/main.rs"])).await.expect(202);
    let told = next().await;
    assert_eq!(
        (&told["method"], &told["params"]["uri"]),
        (&json!("notifications/resources/updated"), &json!(digest))
    );
    drop(input);
    assert!(timeout(PATIENCE, process.wait()).await.expect("it ends with its input").unwrap().success());
}

#[tokio::test]
async fn a_subscription_ends_when_a_project_that_it_is_about_is_taken_away() {
    let server = Server::start().await;
    let tenant = server.tenant("acme").await;
    let (lost, kept) = (tenant.project("rocket").await, tenant.project("boat").await);
    let agent = Agent::new(&server.client(&server.key(tenant.id, any_key()).await), Revision::Newest);
    let mut about_lost = Subscription::open(&agent, &[&digest_of(&lost.id)]).await;
    let mut about_kept = Subscription::open(&agent, &[&digest_of(&kept.id)]).await;
    let keys = tenant.client.get("/api/v1/api-keys").await.expect(200).json;
    let path = format!("/api/v1/principals/{}", text(&keys["items"][0]["principalId"]));
    tenant.client.patch(&path, json!({"projectAccess": {&kept.id: "viewer"}})).await.expect(200);
    let last = about_lost.next().await.expect("a last word");
    assert_eq!(last["error"]["data"]["code"], "unauthenticated", "{last}");
    assert!(about_lost.next().await.is_none());
    kept.deliver("1", &push(&["src/main.rs"])).await.expect(202);
    assert_eq!(about_kept.changed().await, digest_of(&kept.id), "what it still reaches goes on");
}
