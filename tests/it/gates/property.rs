//! Looking at what a change concerns gives what looking at everything would.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use trackside::samples::{Commit, Repository, WorkflowRun};

use crate::support::{Project, Server, dawn, text};

#[derive(Clone, Debug)]
enum Step {
    Push(usize, bool),
    Run(usize, bool),
    Move(usize, usize),
    Review(usize),
    Decide(usize, usize),
    Ask(usize),
    Wait,
}

const PATHS: [&str; 6] =
    ["docs/prd.md", "docs/architecture.md", "docs/stories/1.md", "docs/qa/a.md", "src/main.rs", "Dockerfile"];
const LANES: [&str; 5] = ["backlog", "ready", "doing", "review", "done"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..PATHS.len(), any::<bool>()).prop_map(|(path, removed)| Step::Push(path, removed)),
        (0..2_usize, any::<bool>()).prop_map(|(name, is_good)| Step::Run(name, is_good)),
        (0..3_usize, 0..LANES.len()).prop_map(|(item, lane)| Step::Move(item, lane)),
        (0..3_usize).prop_map(Step::Review),
        (0..12_usize, 0..3_usize).prop_map(|(gate, verdict)| Step::Decide(gate, verdict)),
        (0..3_usize).prop_map(Step::Ask),
        Just(Step::Wait),
    ];
    prop::collection::vec(step, 1..12)
}

/// A project whose log is written by steps.
struct Story {
    server: Server,
    project: Project,
    repository: Repository,
    items: Vec<Value>,
    count: u64,
}

impl Story {
    async fn begin() -> Self {
        let server = Server::start().await;
        let project = server.project().await;
        let mut items = Vec::new();
        for number in 0..3 {
            items.push(project.item(&format!("Item {number}"), "doing").await);
        }
        Self { server, project, repository: Repository::new("acme/rocket", dawn()), items, count: 0 }
    }

    async fn take(&mut self, step: &Step) {
        self.count += 1;
        let (project, delivery) = (&self.project, self.count.to_string());
        match *step {
            Step::Push(path, removed) => {
                let paths = [PATHS[path]];
                let commit = match removed {
                    true => Commit { removed: &paths, ..Commit::default() },
                    false => Commit { added: &paths, ..Commit::default() },
                };
                project.deliver(&delivery, &self.repository.push("main", &[commit])).await.expect(202);
            }
            Step::Run(name, is_good) => {
                let conclusion = Some(if is_good { "success" } else { "failure" });
                let name = ["unit", "lint"][name];
                let run = WorkflowRun {
                    id: self.count,
                    name,
                    attempt: 1,
                    status: "completed",
                    conclusion,
                    branch: "main",
                };
                project.deliver(&delivery, &self.repository.workflow_run(&run)).await.expect(202);
            }
            // What gates hold back is refused, and that is all right.
            Step::Move(item, lane) => {
                let lane = json!({"lane": LANES[lane]});
                let moved = project.client.patch(&project.item_path(&self.items[item]), lane).await;
                assert!([200, 409].contains(&moved.status), "{}", moved.body);
            }
            Step::Review(item) => {
                let name = format!("review {}", self.count);
                let gate =
                    json!({"workItemId": self.items[item]["id"], "name": name, "check": "manual_review"});
                let made = project.client.post(&project.path("/gates"), gate).await;
                assert!([201, 409].contains(&made.status), "{}", made.body);
            }
            Step::Decide(gate, verdict) => {
                let gates = project.gates().await;
                let gate = &gates[gate % gates.len()];
                let mut decision =
                    json!({"decision": (["passed", "failed", "waived"][verdict]), "reason": "so"});
                if verdict == 2 {
                    decision["until"] =
                        json!((self.server.clock.now() + chrono::TimeDelta::seconds(90)).to_rfc3339());
                }
                let decided = project.client.post(&project.decision_path(gate), decision).await;
                assert!([200, 400, 409].contains(&decided.status), "{}", decided.body);
            }
            Step::Ask(which) => {
                let review = json!({"name": "look", "lane": "review", "check": "manual_review"});
                let tests =
                    json!({"name": "tests", "phase": "build", "check": "tests_passing", "runName": "unit"});
                let prd = json!({"name": "prd", "phase": "build", "check": "artifact_exists", "kind": "prd"});
                let code =
                    json!({"name": "code", "phase": "map", "check": "code_exists", "paths": ["src/**"]});
                let asked = [json!([review, tests, prd]), json!([tests, code]), json!([prd, code, review])];
                project.asks_for(asked[which].clone()).await;
            }
            Step::Wait => self.server.advance(60),
        }
        project.settled().await;
    }

    /// Gates as they are told, without when.
    async fn gates(&self) -> Vec<Value> {
        let mut gates = self.project.gates().await;
        for gate in &mut gates {
            gate.as_object_mut()
                .unwrap()
                .retain(|field, _| !["evaluatedAt", "version"].contains(&field.as_str()));
        }
        gates
    }
}

#[test]
fn gates_that_were_looked_at_with_each_change_are_as_gates_that_are_looked_at_all_at_once() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(async {
            let mut story = Story::begin().await;
            for step in &steps {
                story.take(step).await;
            }
            // What time alone has changed is swept, here or by whoever looks after it.
            let evaluate = story.project.path("/gates/evaluate");
            if steps.iter().any(|step| matches!(step, Step::Wait)) {
                story.project.client.post(&evaluate, json!({})).await.expect(200);
            }
            let before = (story.gates().await, story.project.shares().await);
            let told = story.project.client.post(&evaluate, json!({})).await.expect(200).json;
            assert_eq!(told["changed"], 0, "{steps:?}");
            assert_eq!((story.gates().await, story.project.shares().await), before, "{steps:?}");
            // The log tells the same: the last turn of each gate is how it stands.
            let turns = story.project.told("gate_evaluated").await;
            for gate in &before.0 {
                let last = turns.iter().rfind(|turn| turn["gateId"] == gate["id"]);
                let last = last.map_or_else(|| "pending".to_owned(), |turn| text(&turn["to"]));
                assert_eq!(text(&gate["status"]), last, "{gate}");
            }
        });
        Ok(())
    });
    outcome.unwrap();
}
