//! Phases: how far each is, by what the repository and CI say.

use serde_json::{Value, json};
use trackside::samples::{Commit, Repository, WorkflowRun};

use super::server;
use crate::support::{Server, dawn, repository::Origin, text};

#[tokio::test]
async fn a_new_project_has_the_gates_of_the_method_and_none_of_them_says_anything_yet() {
    let server = Server::start().await;
    let project = server.project().await;
    let gates = project.gates().await;
    let phases: Vec<_> = gates.iter().map(|gate| text(&gate["phase"])).collect();
    assert_eq!(phases, ["build", "build", "map", "map", "analyze", "analyze", "analyze", "deploy", "deploy"]);
    assert!(gates.iter().all(|gate| gate["status"] == "pending"), "{gates:?}");
    assert_eq!(project.shares().await, (vec![0, 0, 0, 0], json!("build")));
    assert_eq!(project.all("/events").await, Vec::<Value>::new(), "which is no news");
}

#[tokio::test]
async fn a_repository_that_grows_takes_a_project_from_phase_to_phase_and_the_log_tells_it() {
    let server = server().await;
    let origin = Origin::with(&[("docs/prd.md", "# Rocket\n\nIt flies.\n")]);
    let project = server.project_of(&origin).await;
    assert_eq!(project.shares().await, (vec![50, 0, 33, 0], json!("build")));
    project.push(&origin, "docs/prd.md", "---\nversion: 1.0\n---\n# Rocket\n\nIt flies.\n").await;
    assert_eq!(project.shares().await, (vec![100, 0, 33, 0], json!("map")));
    assert_eq!(
        project.turns().await,
        ["prd pending passed", "dependencies pending passed", "prd version pending passed"]
    );
    let told = project.told("phase_progress_changed").await;
    let last = told.last().unwrap();
    assert_eq!((&last["fromPhase"], &last["currentPhase"]), (&json!("build"), &json!("map")));
    assert_eq!(last["phases"][0], json!({"phase": "build", "percentage": 100, "from": 50}));

    for number in 1..=3 {
        origin.write(&format!("docs/stories/{number}.md"), format!("# Story {number}\n"));
    }
    origin.write("docs/architecture.md", "# Architecture\n");
    origin.write("src/main.rs", "fn main() {}\n");
    origin.commit_all("Stories and code");
    project.scan_now().await;
    assert_eq!(project.shares().await, (vec![100, 100, 66, 0], json!("analyze")));
    assert_eq!(project.gate("code").await["message"], "there is src/main.rs");

    origin.git(&["rm", "--quiet", "-r", "src"]);
    origin.write("docs/qa/plan.md", "# Plan\n");
    origin.write("Dockerfile", "FROM scratch\n");
    origin.commit_all("Deploy it");
    project.scan_now().await;
    assert_eq!(project.shares().await, (vec![100, 100, 33, 100], json!("analyze")));
    assert_eq!(project.stands("code").await, "pending", "the scan has looked");
}

#[tokio::test]
async fn a_conflict_that_matters_fails_what_builds_on_it_until_it_is_settled() {
    let server = server().await;
    let story = "---\ndependencies: [docs/prd.md@v1]\n---\n# Sign in\n";
    let origin =
        Origin::with(&[("docs/prd.md", "---\nversion: v3\n---\n# Rocket\n"), ("docs/stories/1.md", story)]);
    let project = server.project_of(&origin).await;
    assert_eq!(project.stands("dependencies").await, "failed");
    let conflict = project.all("/conflicts").await.remove(0);
    let path = project.path(&format!("/conflicts/{}/resolve", text(&conflict["id"])));
    project.client.post(&path, json!({"reason": "It needs the moon alone."})).await.expect(200);
    assert_eq!(project.stands("dependencies").await, "passed");
    let names: Vec<_> = project.all("/events").await.iter().map(|event| text(&event["event"])).collect();
    let at = |name: &str| names.iter().rposition(|told| told == name).unwrap();
    assert!(
        at("conflict_resolved") < at("gate_evaluated"),
        "first the change, then what it turns: {names:?}"
    );
    assert!(at("gate_evaluated") < at("phase_progress_changed"), "{names:?}");
}

#[tokio::test]
async fn tests_pass_when_the_newest_run_of_each_name_on_the_tracked_branch_does() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = Repository::new("acme/rocket", dawn());
    let push = repository.push("main", &[Commit { added: &["README.md"], ..Commit::default() }]);
    project.deliver("p", &push).await.expect(202);
    let mut deliver = async |id: u64, name: &str, conclusion: &str| {
        let conclusion = Some(conclusion);
        let run = WorkflowRun { id, name, attempt: 1, status: "completed", conclusion, branch: "main" };
        project.settled().await;
        project.deliver(&format!("run-{id}"), &repository.workflow_run(&run)).await.expect(202);
        project.settled().await;
        server.advance(1);
    };
    deliver(1, "unit", "success").await;
    assert_eq!(project.stands("tests").await, "passed");
    deliver(2, "lint", "failure").await;
    let failed = project.gate("tests").await;
    assert_eq!(
        (&failed["status"], &failed["message"]),
        (&json!("failed"), &json!("1 run of the tracked branch failed: lint"))
    );
    deliver(3, "lint", "success").await;
    assert_eq!(project.stands("tests").await, "passed");
    assert_eq!(project.turns().await, ["tests pending passed", "tests passed failed", "tests failed passed"]);
}

#[tokio::test]
async fn where_nobody_reads_a_repository_pushes_tell_which_files_there_are() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut repository = Repository::new("acme/rocket", dawn());
    let added = Commit { added: &["src/main.rs", "Dockerfile"], ..Commit::default() };
    project.deliver("1", &repository.push("main", &[added])).await.expect(202);
    project.settled().await;
    assert_eq!(
        (project.stands("code").await, project.stands("deployment configuration").await),
        ("passed".to_owned(), "passed".to_owned())
    );
    let gone = Commit { removed: &["src/main.rs"], ..Commit::default() };
    project.deliver("2", &repository.push("main", &[gone])).await.expect(202);
    project.settled().await;
    assert_eq!(project.stands("code").await, "pending");
}

#[tokio::test]
async fn quality_assurance_decides_in_a_file_until_its_decision_ends() {
    let server = server().await;
    let origin =
        Origin::with(&[("docs/qa/gates/1.1-a.yml", "gate: WAIVED\nexpires: 2026-01-01T07:00:00Z\n")]);
    let project = server.project_of(&origin).await;
    project.asks_for(json!([{"name": "qa", "phase": "deploy", "check": "qa_file"}])).await;
    assert_eq!(project.stands("qa").await, "waived");
    server.advance(3_600);
    crate::support::eventually("the decision is over", async || project.stands("qa").await == "failed").await;
    project.push(&origin, "docs/qa/gates/1.1-a.yml", "gate: PASS\nreviewer: Quinn\n").await;
    assert_eq!(project.stands("qa").await, "passed");
    assert_eq!(project.shares().await, (vec![100; 4], Value::Null), "all that is asked for holds");
}
