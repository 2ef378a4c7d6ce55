//! Repositories are read: what documents say of themselves, through every kind of push.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    Project, Server,
    repository::{Origin, READS_FILES},
    text,
};

const PRD: &str =
    "---\nversion: 1.0\nstatus: approved\n---\n# Rocket\n\nIt flies.\n\n## Goals\n\nThe moon.\n";
const STORY: &str = "---\nversion: 1\ndependencies:\n  - docs/prd.md@v1\n---\n# Sign in\n";

async fn server() -> Server {
    Server::start_with(&READS_FILES).await
}

/// Everything that a scan finds out about a project's documents, but for when and by whom.
async fn contents(project: &Project) -> Vec<Value> {
    let mut artifacts = project.artifacts().await;
    for artifact in &mut artifacts {
        for field in ["id", "commit", "author", "changedAt"] {
            artifact.as_object_mut().unwrap().remove(field);
        }
    }
    artifacts
}

/// The names of events, without what gates make of the others.
fn names(events: &[Value]) -> Vec<&str> {
    let names = events.iter().map(|event| event["event"].as_str().unwrap());
    names.filter(|name| !["gate_evaluated", "phase_progress_changed"].contains(name)).collect()
}

#[tokio::test]
async fn a_new_project_has_its_documents_read() {
    let server = server().await;
    let origin = Origin::with(&[
        ("docs/prd.md", PRD),
        ("docs/stories/1.1.md", STORY),
        ("src/main.rs", "fn main() {}"),
    ]);
    let project = server.project_of(&origin).await;

    let prd = project.artifact("docs/prd.md").await;
    assert_eq!(
        (&prd["kind"], &prd["version"], &prd["title"]),
        (&json!("prd"), &json!("1.0"), &json!("Rocket"))
    );
    assert_eq!((&prd["status"], &prd["author"]), (&json!("approved"), &json!("Octavia")));
    assert_eq!(prd["commit"], origin.head());
    let sections: Vec<_> =
        prd["sections"].as_array().unwrap().iter().map(|section| &section["anchor"]).collect();
    assert_eq!(sections, ["rocket", "goals"]);
    let story = project.artifact("docs/stories/1.1.md").await;
    assert_eq!(story["dependencies"], json!([{"path": "docs/prd.md", "version": "v1"}]));
    assert_eq!(project.artifacts().await.len(), 2, "source code is no artifact");

    let scan = project.scan().await;
    assert_eq!((&scan["state"], &scan["commit"]), (&json!("succeeded"), &json!(origin.head())));
    assert!(scan["succeededAt"].is_string() && scan["failure"].is_null());
    let events = project.all("/events").await;
    assert_eq!(
        names(&events),
        [
            "artifact_scan_started",
            "artifact_updated",
            "artifact_updated",
            "work_item_changed",
            "artifact_scan_completed"
        ],
        "a story is also something to do"
    );
    assert_eq!(events[1]["payload"]["change"], "added");
    assert_eq!(events[4]["payload"]["added"], 2);
}

#[tokio::test]
async fn a_push_has_only_what_it_changed_read_again() {
    let server = server().await;
    let origin = Origin::with(&[("docs/prd.md", PRD), ("docs/stories/1.1.md", STORY)]);
    let project = server.project_of(&origin).await;
    let story = project.artifact("docs/stories/1.1.md").await;
    let head = origin
        .commit("Aim higher", &[("docs/prd.md", &PRD.replace("1.0", "2.0")), ("docs/qa/1.1.md", "# QA")]);
    project.pushed(&origin).await;

    let prd = project.artifact("docs/prd.md").await;
    assert_eq!((&prd["version"], &prd["commit"]), (&json!("2.0"), &json!(head)));
    assert_eq!(project.artifact("docs/stories/1.1.md").await, story, "nobody touched it");
    let events = project.events().await;
    let updates: Vec<_> =
        events.iter().filter(|event| event["event"] == "artifact_updated").skip(2).collect();
    let told: Vec<_> =
        updates.iter().map(|event| (&event["payload"]["path"], &event["payload"]["change"])).collect();
    assert_eq!(
        told,
        [(&json!("docs/prd.md"), &json!("changed")), (&json!("docs/qa/1.1.md"), &json!("added"))]
    );
    assert_eq!(
        (&updates[0]["payload"]["previousVersion"], &updates[0]["payload"]["version"]),
        (&json!("1.0"), &json!("2.0"))
    );
}

#[tokio::test]
async fn several_commits_in_a_push_each_have_their_author() {
    let server = server().await;
    let origin = Origin::with(&[("docs/prd.md", PRD), ("docs/architecture.md", "# Parts")]);
    let project = server.project_of(&origin).await;
    origin.write("docs/prd.md", "# By Ada");
    origin.git(&["-c", "user.name=Ada\u{1}", "commit", "--quiet", "--all", "-m", "One"]);
    let first = origin.head();
    let second = origin.commit("Two", &[("docs/architecture.md", "# By Octavia")]);
    project.pushed(&origin).await;
    let by = async |path| {
        let artifact = project.artifact(path).await;
        (text(&artifact["author"]), text(&artifact["commit"]))
    };
    assert_eq!(by("docs/prd.md").await, ("Ada".to_owned(), first));
    assert_eq!(by("docs/architecture.md").await, ("Octavia".to_owned(), second));
}

#[tokio::test]
async fn a_renamed_document_stays_itself() {
    let server = server().await;
    let origin = Origin::with(&[
        ("docs/stories/1.1.md", STORY),
        ("docs/stories/1.2.md", "# Two\n\nSome\nlines\nto\nknow\n"),
    ]);
    let project = server.project_of(&origin).await;
    let (one, two) =
        (project.artifact("docs/stories/1.1.md").await, project.artifact("docs/stories/1.2.md").await);
    origin.git(&["mv", "docs/stories/1.1.md", "docs/stories/2.1.md"]);
    origin.git(&["mv", "docs/stories/1.2.md", "docs/stories/2.2.md"]);
    origin.commit("Renumber", &[("docs/stories/2.2.md", "# Two, changed\n\nSome\nlines\nto\nknow\n")]);
    project.pushed(&origin).await;

    assert_eq!(project.artifact("docs/stories/2.1.md").await["id"], one["id"]);
    assert_eq!(project.artifact("docs/stories/2.2.md").await["id"], two["id"], "half of it is the same");
    assert_eq!(project.all("/artifacts?removed=true").await.len(), 2);
    let events = project.events().await;
    let last = events.iter().rfind(|event| event["event"] == "artifact_updated").unwrap();
    assert_eq!(
        (&last["payload"]["change"], &last["payload"]["previousPath"]),
        (&json!("renamed"), &json!("docs/stories/1.2.md"))
    );
}

#[tokio::test]
async fn a_document_that_is_removed_is_remembered_and_comes_back_as_itself() {
    let server = server().await;
    let origin = Origin::with(&[("docs/prd.md", PRD), ("docs/stories/1.1.md", STORY)]);
    let project = server.project_of(&origin).await;
    let before = project.artifact("docs/prd.md").await;
    origin.git(&["rm", "--quiet", "docs/prd.md"]);
    origin.commit_all("Forget");
    project.pushed(&origin).await;
    assert!(project.artifact("docs/prd.md").await["removedAt"].is_string());
    assert_eq!(project.artifacts().await.len(), 1);
    origin.commit("Remember", &[("docs/prd.md", PRD)]);
    project.pushed(&origin).await;
    let after = project.artifact("docs/prd.md").await;
    assert_eq!((&after["id"], &after["removedAt"]), (&before["id"], &Value::Null));
    let events = project.event_names().await;
    assert_eq!(events.iter().filter(|name| *name == "artifact_removed").count(), 1);
}

#[tokio::test]
async fn history_may_be_rewritten_merged_and_moved_to_another_branch() {
    let server = server().await;
    let origin = Origin::with(&[("docs/prd.md", PRD)]);
    let project = server.project_of(&origin).await;
    origin.commit("Wrong", &[("docs/prd.md", "---\nversion: 9\n---\n")]);
    project.pushed(&origin).await;
    origin.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    origin.commit("Right", &[("docs/prd.md", "---\nversion: 3\n---\n")]);
    project.pushed(&origin).await;
    assert_eq!(project.artifact("docs/prd.md").await["version"], "3");

    origin.git(&["checkout", "--quiet", "-b", "side", "HEAD~1"]);
    origin.commit("Beside", &[("docs/stories/1.1.md", STORY)]);
    origin.git(&["checkout", "--quiet", "main"]);
    origin.git(&["merge", "--quiet", "--no-edit", "side"]);
    project.pushed(&origin).await;
    assert_eq!(project.artifact("docs/stories/1.1.md").await["version"], "1");

    origin.git(&["checkout", "--quiet", "--orphan", "other"]);
    origin.git(&["rm", "-r", "--quiet", "--force", "."]);
    origin.commit("Anew", &[("docs/architecture.md", "# Anew")]);
    project.client.patch(&project.path(""), json!({"config": {"branch": "other"}})).await.expect(200);
    project.scanned().await;
    let paths: Vec<_> = project.artifacts().await.iter().map(|artifact| text(&artifact["path"])).collect();
    assert_eq!(paths, ["docs/architecture.md"]);
}

#[tokio::test]
async fn other_patterns_have_everything_read_again() {
    let server = server().await;
    let origin = Origin::with(&[("docs/prd.md", PRD), ("specs/login.md", "# Log in")]);
    let project = server.project_of(&origin).await;
    let config = json!({"config": {"artifactPaths": {"story": ["specs/**"], "other": ["docs/*"]}}});
    project.client.patch(&project.path(""), config).await.expect(200);
    project.scanned().await;
    assert_eq!(project.artifact("docs/prd.md").await["kind"], "other");
    assert_eq!(project.artifact("specs/login.md").await["title"], "Log in");
}

#[tokio::test]
async fn what_is_wrong_with_a_document_is_a_warning_on_it() {
    let server = server().await;
    let origin = Origin::with(&[
        ("docs/prd.md", "---\nversion: [1\n---\n# Still here\n"),
        ("docs/stories/1.1.md", "---\r\nversion: v1\r\n---\r\n# Windows\r\n"),
        (
            "docs/qa/gates/1.1.yml",
            "gate: CONCERNS\nreviewer: Quinn\nstatus_reason: Too slow\nexpires: 2026-12-31\n",
        ),
    ]);
    origin.write("docs/stories/1.2.md", b"# Caf\xe9\n");
    let big = std::fs::File::create(origin.path().join("docs/stories/9.9.md")).unwrap();
    big.set_len(3 << 20).unwrap();
    origin.commit_all("Strange things");
    let project = server.project_of(&origin).await;
    let prd = project.artifact("docs/prd.md").await;
    assert_eq!(prd["title"], "Still here");
    assert!(text(&prd["warnings"][0]).contains("line"), "{prd}");
    let windows = project.artifact("docs/stories/1.1.md").await;
    assert_eq!((&windows["version"], &windows["warnings"]), (&json!("v1"), &json!([])));
    let gate = &project.artifact("docs/qa/gates/1.1.yml").await["gate"];
    assert_eq!(
        (&gate["decision"], &gate["reasons"], &gate["expires"]),
        (&json!("concerns"), &json!(["Too slow"]), &json!("2026-12-31"))
    );
    assert!(text(&project.artifact("docs/stories/1.2.md").await["warnings"][0]).contains("UTF-8"));
    assert!(text(&project.artifact("docs/stories/9.9.md").await["warnings"][0]).contains("1048576"));
    let events = project.all("/events").await;
    let completed = events.iter().rfind(|event| event["event"] == "artifact_scan_completed").unwrap();
    assert_eq!(completed["payload"]["withWarnings"], 3);
}

#[tokio::test]
async fn ten_thousand_files_and_a_huge_one_beside_them_keep_nobody_from_the_documents() {
    let server = server().await;
    let origin = Origin::with(&[("docs/prd.md", PRD)]);
    for number in 0..10_000 {
        origin.write(&format!("src/{}/{number}.rs", number % 100), format!("// {number}\n"));
    }
    for number in 0..120 {
        origin.write(&format!("docs/stories/{number}.md"), format!("# Story {number}\n"));
    }
    let huge = std::fs::File::create(origin.path().join("huge.bin")).unwrap();
    huge.set_len(100 << 20).unwrap();
    origin.commit_all("Everything");
    let project = server.project_of(&origin).await;
    assert_eq!(project.artifacts().await.len(), 121);
    let events = project.all("/events").await;
    let progress = events.iter().filter(|event| event["event"] == "artifact_scan_progress");
    let done: Vec<_> =
        progress.map(|event| (&event["payload"]["done"], &event["payload"]["total"])).collect();
    assert_eq!(done, [(&json!(100), &json!(121)), (&json!(121), &json!(121))]);
}

/// What a team does to its repository between two pushes.
#[derive(Clone, Debug)]
enum Edit {
    Write(usize, usize),
    Remove(usize),
    Rename(usize, usize),
    Branch,
    Rewrite,
    Push,
}

const PATHS: [&str; 6] = [
    "docs/prd.md",
    "docs/prd/epic.md",
    "docs/stories/1.1.md",
    "docs/stories/1.2.md",
    "docs/qa/gates/1.1.yml",
    "src/main.rs",
];

fn edit() -> impl Strategy<Value = Edit> {
    let path = 0..PATHS.len();
    prop_oneof![
        4 => (path.clone(), 0..5_usize).prop_map(|(path, version)| Edit::Write(path, version)),
        2 => path.clone().prop_map(Edit::Remove),
        2 => (path.clone(), path).prop_map(|(from, to)| Edit::Rename(from, to)),
        1 => Just(Edit::Branch),
        1 => Just(Edit::Rewrite),
        3 => Just(Edit::Push),
    ]
}

fn apply(origin: &Origin, edit: &Edit) {
    let at = |path: usize| origin.path().join(PATHS[path]);
    match edit {
        Edit::Write(path, version) => {
            let text = match *version {
                0 => "---\nversion: [\n---\n# Broken\n".to_owned(),
                1 => "gate: PASS\nreviewer: Quinn\n".to_owned(),
                version => {
                    format!(
                        "---\nversion: {version}\ndependencies: [docs/prd.md@v{version}]\n---\n# {path}\n\ntext\n"
                    )
                }
            };
            origin.write(PATHS[*path], text);
        }
        Edit::Remove(path) => {
            let _ = std::fs::remove_file(at(*path));
        }
        Edit::Rename(from, to) => {
            std::fs::create_dir_all(at(*to).parent().unwrap()).unwrap();
            let _ = std::fs::rename(at(*from), at(*to));
        }
        Edit::Branch => {
            origin.git(&["checkout", "--quiet", "-B", "side"]);
            origin.commit("Beside", &[("docs/stories/side.md", "# Side")]);
            origin.git(&["checkout", "--quiet", "main"]);
            origin.git(&["merge", "--quiet", "--no-edit", "--strategy-option=theirs", "side"]);
        }
        Edit::Rewrite => {
            origin.git(&["commit", "--quiet", "--amend", "--allow-empty", "-m", "Rewritten"]);
        }
        Edit::Push => {}
    }
}

/// A scan after any pushes finds what a scan of a project that never saw one of them finds.
#[test]
fn what_is_known_after_many_pushes_is_what_a_new_project_finds() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(server());
    let config =
        ProptestConfig { cases: 6, max_shrink_iters: 40, failure_persistence: None, ..Default::default() };
    proptest!(config, |(edits in proptest::collection::vec(edit(), 5..25))| {
        runtime.block_on(async {
            let origin = Origin::with(&[("README.md", "# Rocket")]);
            let project = server.project_of(&origin).await;
            for edit in &edits {
                apply(&origin, edit);
                if matches!(edit, Edit::Push) {
                    origin.commit_all("Push");
                    project.pushed(&origin).await;
                }
            }
            origin.commit_all("Push");
            project.pushed(&origin).await;
            let fresh = server.project_of(&origin).await;
            prop_assert_eq!(contents(&project).await, contents(&fresh).await);
            prop_assert_eq!(&project.scan().await["commit"], &fresh.scan().await["commit"]);
            Ok(())
        })?;
    });
}
