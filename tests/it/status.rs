//! How a project stands, in one answer.

use serde_json::{Value, json};
use trackside::samples::{Commit, Repository, WorkflowRun};

use crate::support::{
    Project, Server,
    agent::{Agent, Revision},
    dawn, eventually, text,
};

async fn status(project: &Project) -> Value {
    project.client.get(&project.path("/status")).await.expect(200).json
}

fn run<'a>(id: u64, name: &'a str, conclusion: Option<&'a str>) -> WorkflowRun<'a> {
    let status = if conclusion.is_some() { "completed" } else { "in_progress" };
    WorkflowRun { id, name, attempt: 1, status, conclusion, branch: "main" }
}

#[tokio::test]
async fn a_status_counts_what_the_lists_list_and_names_what_is_broken() {
    let server = Server::start().await;
    let project = server.project().await;
    let new = status(&project).await;
    assert_eq!(
        (&new["artifacts"], &new["failing"], &new["lastChange"]),
        (&json!({}), &json!([]), &Value::Null)
    );
    assert_eq!(new["lastDelivery"], Value::Null);

    let mut repository = Repository::new("acme/rocket", dawn());
    let paths = ["docs/prd.md", "docs/stories/1.md", "docs/stories/2.md", "src/main.rs"];
    let commit = Commit { added: &paths, ..Commit::default() };
    let gone = Commit { removed: &["docs/stories/2.md"], ..Commit::default() };
    let runs = [
        run(1, "unit", Some("failure")),
        run(2, "lint", Some("failure")),
        run(3, "lint", Some("success")),
        run(4, "unit", Some("cancelled")),
        run(5, "unit", None),
    ];
    project.deliver("a", &repository.push("main", &[commit])).await.expect(202);
    project.settled().await;
    project.deliver("b", &repository.push("main", &[gone])).await.expect(202);
    for (index, run) in runs.iter().enumerate() {
        project.settled().await;
        project.deliver(&format!("run-{index}"), &repository.workflow_run(run)).await.expect(202);
    }
    project.settled().await;

    let now = status(&project).await;
    assert_eq!(now["artifacts"], json!({"prd": 1, "story": 1}));
    let named =
        |runs: &Value| runs.as_array().unwrap().iter().map(|run| text(&run["name"])).collect::<Vec<_>>();
    assert_eq!(named(&now["failing"]), ["unit"], "lint passes again, and a cancelled run says nothing");
    assert_eq!(named(&now["running"]), ["unit"]);
    assert_eq!(now["deliveries"], json!({"pending": 0, "failed": 0}));
    let delivery = &project.all("/deliveries").await[0];
    let fields = ["id", "source", "eventType", "status", "receivedAt"];
    let last: Value = fields.map(|field| (field.to_owned(), delivery[field].clone())).into_iter().collect();
    assert_eq!((&now["lastDelivery"], &last["eventType"]), (&last, &json!("workflow_run")));
    let last = project.events().await.pop().unwrap();
    assert_eq!((&now["lastEventId"], &now["lastChange"]["event"]), (&last["id"], &last["event"]));

    let agent = Agent::new(&project.client, Revision::Newest);
    let told = agent.get("get_project_status", json!({"projectId": project.id})).await;
    assert_eq!((&told["artifacts"], &told["failingCount"]), (&now["artifacts"], &json!(1)));
    assert_eq!(told["failing"][0]["runId"], now["failing"][0]["id"]);
    let news = json!({"projectId": project.id, "after": told["nextAfter"]});
    assert_eq!(agent.get("list_changes", news).await["changes"], json!([]));
}

#[tokio::test]
async fn a_status_costs_an_agent_less_than_600_tokens_however_much_is_broken() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = Repository::new("acme/rocket", dawn());
    for id in 0..30 {
        let name = format!("integration tests of part {id} {}", "on every machine we have ".repeat(100));
        let run = repository.workflow_run(&run(id, &name, (id % 2 == 0).then_some("failure")));
        project.deliver(&id.to_string(), &run).await.expect(202);
    }
    project.settled().await;
    let agent = Agent::new(&project.client, Revision::Newest);
    let told = agent.get("get_project_status", json!({"projectId": project.id})).await;
    assert_eq!((&told["failingCount"], &told["runningCount"]), (&json!(15), &json!(15)));
    let tokens = tiktoken_rs::o200k_base_singleton().encode_ordinary(&told.to_string()).len();
    assert!(tokens < 600, "{tokens} tokens: {told}");
}

#[tokio::test]
async fn a_change_shows_at_once_where_it_was_made_and_a_second_later_elsewhere() {
    let here = Server::start().await;
    let project = here.project().await;
    let there = here.another(&[]).await;
    let elsewhere = there.again(&project);
    for number in 1..=3 {
        assert_eq!(status(&elsewhere).await["name"], status(&project).await["name"]);
        let name = format!("Rocket {number}");
        project.client.patch(&project.path(""), json!({"name": name})).await.expect(200);
        assert_eq!(status(&project).await["name"], json!(name));
        eventually("the other instance tells it too", async || {
            status(&elsewhere).await["name"] == json!(name)
        })
        .await;
    }
    there.service.stop().await;
}

#[tokio::test]
async fn a_status_counts_exactly_what_the_log_tells_up_to_its_head() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = Repository::new("acme/rocket", dawn());
    let pushes: Vec<_> = (0..40)
        .map(|number| {
            let path = format!("docs/stories/{number}.md");
            repository.push("main", &[Commit { added: &[&path], ..Commit::default() }])
        })
        .collect();
    let deliver = async {
        for (number, push) in pushes.iter().enumerate() {
            project.deliver(&number.to_string(), push).await.expect(202);
        }
        project.settled().await;
    };
    let mut seen = Vec::new();
    let watch = async {
        loop {
            seen.push(status(&project).await);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = deliver => {}, () = watch => {} }
    let events = project.events().await;
    for status in seen {
        let known =
            events.iter().position(|event| event["id"] == status["lastEventId"]).map_or(0, |at| at + 1);
        let told = events[..known].iter().filter(|event| event["event"] == "artifact_updated").count();
        let counted = status["artifacts"]["story"].as_u64().unwrap_or(0) as usize;
        assert_eq!(counted, told, "documents counted, and told of up to {}", status["lastEventId"]);
    }
}

#[tokio::test]
async fn a_deleted_project_has_no_status() {
    let server = Server::start().await;
    let project = server.project().await;
    status(&project).await;
    project.client.delete(&project.path("")).await.expect(204);
    project.client.get(&project.path("/status")).await.refused(404, "not_found");
}
