//! Two workers on the SDKs that others have, who come into each other's way and to red gates: both are told so with
//! their next answers, mend it, and finish.

use serde_json::{Value, json};
use trackside::samples::{Commit, Repository, Sample};

use crate::{
    support::{
        Project, Server, dawn,
        programs::{node, python},
        sentences::told,
        text,
        worker::Worker,
    },
    work::{held, with},
};

#[tokio::test]
async fn two_workers_see_what_they_violate_and_which_gate_is_red_in_their_next_answers_mend_it_and_finish() {
    let server = Server::start().await;
    let project = server.project().await;
    let gates = json!([
        {"name": "tests", "lane": "review", "check": "tests_passing"},
        {"name": "second look", "lane": "review", "check": "manual_review"},
    ]);
    project.asks_for(gates).await;
    project.item("Renew sessions", "ready").await;
    project.item("Write the guide", "ready").await;
    let (first, second) =
        (project.member(&server, "python-agent").await, project.member(&server, "typescript-agent").await);
    let mut holder = Worker::led(python("worker_agent.py"), &first, &project);
    let mut stray = Worker::led(node("worker_agent.mjs"), &second, &project);
    let mut host = Host::new(&project);

    let sessions = holder.get("claim_work", json!({"branch": "sessions"})).await;
    let ours = json!({"paths": ["src/auth/**"], "workItemId": sessions["workItemId"], "branch": "sessions"});
    holder.get("reserve_paths", ours).await;
    let guide = stray.get("claim_work", json!({"branch": "guide"})).await;

    let files = ["docs/guide.md", "src/auth/token.rs"];
    let strayed = host.push("guide", "typescript-agent", "Explain tokens where they are made", &files).await;
    let mut conflicts = Vec::new();
    for (worker, other) in [(&mut holder, "typescript-agent"), (&mut stray, "python-agent")] {
        let warned = worker.get("list_work", json!({"mine": true})).await["editConflicts"].take();
        let [warning] = &warned.as_array().expect("it is told")[..] else { panic!("of one: {warned}") };
        assert_eq!(
            (&warning["kind"], &warning["severity"], &warning["with"]),
            (&json!("reservation_violated"), &json!("critical"), &json!([other]))
        );
        conflicts.push(warning["conflictId"].clone());
    }
    assert_eq!(conflicts[0], conflicts[1], "it is one");

    host.ci("failure").await;
    let finish = with(held(&guide, &project), json!({"commit": strayed}));
    let refused = stray.refused("finish_work", finish.clone()).await;
    assert_eq!((&refused["code"], &refused["next"]), (&json!("gate_failed"), &json!("finish_work")));
    assert_eq!(refused["editConflicts"][0]["conflictId"], conflicts[0], "a refusal tells it, too");
    assert_eq!(stand(&refused), ["tests failed", "second look pending"]);
    stray.get("finish_work", with(finish, json!({"lane": "review"}))).await;
    let status = holder.get("get_project_status", json!({})).await;
    assert_eq!(status["gates"], json!({"failed": 1, "pending": 1}));
    let of_guide = json!({"workItemId": guide["workItemId"]});
    let review = with(of_guide.clone(), json!({"name": "second look"}));
    let no = json!({"decision": "failed", "reason": "Leave src/auth to me."});
    holder.get("submit_gate", with(review.clone(), no)).await;
    for worker in [&mut holder, &mut stray] {
        let red = worker.get("list_gates", with(of_guide.clone(), json!({"status": "failed"}))).await;
        assert_eq!(stand(&red), ["tests failed", "second look failed"]);
        assert!(text(&red["gates"][1]["message"]).contains("Leave src/auth to me."), "{red}");
    }

    let guide = stray.get("claim_work", with(of_guide, json!({"branch": "guide"}))).await;
    let mended = host.push("guide", "typescript-agent", "Leave src/auth alone", &files[1..]).await;
    host.ci("success").await;
    let settled = json!({"conflictId": conflicts[0], "reason": "My last commit takes it back."});
    stray.get("resolve_conflict", settled).await;
    for worker in [&mut holder, &mut stray] {
        assert_eq!(worker.get("list_work", json!({})).await["editConflicts"], Value::Null);
    }
    let finish = with(held(&guide, &project), json!({"commit": mended}));
    assert_eq!(stand(&stray.refused("finish_work", finish.clone()).await), ["second look failed"]);
    let yes = json!({"decision": "passed", "reason": "It is about the guide alone now."});
    holder.get("submit_gate", with(review, yes)).await;
    assert_eq!(stray.get("finish_work", finish).await["lane"], "done");

    let renewed =
        host.push("sessions", "python-agent", "Renew sessions in time", &["src/auth/session.rs"]).await;
    host.ci("success").await;
    let finish = with(held(&sessions, &project), json!({"commit": renewed}));
    assert_eq!(stand(&holder.refused("finish_work", finish.clone()).await), ["second look pending"]);
    let review = json!({"workItemId": sessions["workItemId"], "name": "second look", "decision": "passed"});
    let review = with(review, json!({"reason": "It keeps me signed in."}));
    assert_eq!(holder.refused("submit_gate", review.clone()).await["code"], "conflict", "it is their own");
    stray.get("submit_gate", review).await;
    assert_eq!(holder.get("finish_work", finish).await["lane"], "done");
    holder.gets_through().await;
    stray.gets_through().await;

    for open in ["/conflicts", "/reservations", "/gates?status=failed", "/gates?status=pending"] {
        assert_eq!(project.all(open).await, Vec::<Value>::new(), "nothing is left: {open}");
    }
    let items = project.all("/work-items").await;
    assert!(items.iter().all(|item| item["lane"] == "done" && item["claim"].is_null()), "{items:?}");
    assert_eq!(
        told(&project).await,
        [
            r#""Renew sessions" is to be done: ready"#,
            r#""Write the guide" is to be done: ready"#,
            r#"python-agent claimed "Renew sessions" (1)"#,
            r#"python-agent reserved src/auth/** (1)"#,
            r#"typescript-agent claimed "Write the guide" (1)"#,
            r#"typescript-agent pushed to guide: Explain tokens where they are made"#,
            r#"typescript-agent pushed src/auth/token.rs to guide, which python-agent has reserved (src/auth/**)"#,
            r#"CI on guide: failed"#,
            &format!(r#"typescript-agent handed "Write the guide" to review with {strayed} (1)"#),
            r#""tests" of "Write the guide" is failed: 1 run of this commit failed: CI"#,
            r#""second look" of "Write the guide" is failed: refused by python-agent: Leave src/auth to me."#,
            r#"typescript-agent claimed "Write the guide" (2)"#,
            r#"typescript-agent pushed to guide: Leave src/auth alone"#,
            r#"CI on guide: success"#,
            r#"typescript-agent settled it: My last commit takes it back."#,
            r#""second look" of "Write the guide" is passed: passed by python-agent: It is about the guide alone now."#,
            &format!(r#"typescript-agent finished "Write the guide" with {mended} (2)"#),
            r#""tests" of "Write the guide" is passed: 1 run of this commit ended well"#,
            r#"python-agent pushed to sessions: Renew sessions in time"#,
            r#"CI on sessions: success"#,
            r#""second look" of "Renew sessions" is passed: passed by typescript-agent: It keeps me signed in."#,
            &format!(r#"python-agent finished "Renew sessions" with {renewed} (1)"#),
            r#"python-agent needs src/auth/** no longer: finished (1)"#,
        ]
    );
}

/// How the gates stand that an answer tells of.
fn stand(answer: &Value) -> Vec<String> {
    let gates = answer["gates"].as_array().unwrap_or_else(|| panic!("it tells of none: {answer}"));
    gates.iter().map(|gate| format!("{} {}", text(&gate["name"]), text(&gate["status"]))).collect()
}

/// Where the team's repository is, and what it tells of that.
struct Host<'a> {
    project: &'a Project,
    repository: Repository,
    sent: u32,
}

impl<'a> Host<'a> {
    fn new(project: &'a Project) -> Self {
        Self { project, repository: Repository::new("acme/rocket", dawn()), sent: 0 }
    }

    /// Somebody pushes a commit; gives its name.
    async fn push(&mut self, branch: &str, author: &str, message: &str, files: &[&str]) -> String {
        let commit = Commit { message, author, modified: files, ..Commit::default() };
        let push = self.repository.push(branch, &[commit]);
        self.send(&push).await;
        text(&push.body["after"])[..8].to_owned()
    }

    /// CI ends on what was pushed last.
    async fn ci(&mut self, state: &str) {
        let status = self.repository.status("CI", state);
        self.send(&status).await;
    }

    async fn send(&mut self, sample: &Sample) {
        self.sent += 1;
        self.project.deliver(&format!("d-{}", self.sent), sample).await.expect(202);
        self.project.settled().await;
    }
}
