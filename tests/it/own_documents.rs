//! Trackside tracks the documents of its own repository, and those of the story that the demo tells.

use std::process::Command;

use serde_json::json;
use trackside::samples::{Story, WorkingCopy};

use crate::support::{
    Server, dawn,
    repository::{Origin, READS_FILES},
    text,
};

/// What git prints of the repository that this test is in.
fn git(arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["-c", "safe.directory=*"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn the_documents_of_this_repository_are_tracked() {
    let server = Server::start_with(&READS_FILES).await;
    // A checkout may be of a commit alone: its newest one becomes a branch of another repository.
    let origin = Origin::new();
    let ours = format!("file://{}", git(&["rev-parse", "--path-format=absolute", "--git-common-dir"]).trim());
    let head = git(&["rev-parse", "HEAD"]).trim().to_owned();
    origin.git(&["fetch", "--quiet", "--depth=1", &ours, &head]);
    origin.git(&["reset", "--quiet", "--hard", &head]);
    let config = json!({
        "artifactPaths": {"architecture": ["CONTRIBUTING.md", "SECURITY.md"], "other": ["README.md", "CHANGELOG.md", "bench/*.md"]},
    });
    let body = json!({"name": "Trackside", "repoUrl": origin.url(), "config": config});
    let tenant = server.tenant("Us").await;
    let made = tenant.client.post("/api/v1/projects", body).await.expect(201).json;
    let project = tenant.known(&text(&made["id"]));
    let scan = project.scanned().await;
    assert_eq!((&scan["state"], &scan["commit"]), (&json!("succeeded"), &json!(head)), "{scan}");

    let tracked = project.artifacts().await;
    let paths: Vec<_> = tracked.iter().map(|artifact| text(&artifact["path"])).collect();
    let files = git(&[
        "ls-tree",
        "-r",
        "--name-only",
        "HEAD",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "bench/",
    ]);
    let files: Vec<_> = files.lines().filter(|path| path.ends_with(".md")).collect();
    assert_eq!(paths, files);
    for artifact in &tracked {
        let content = git(&["show", &format!("HEAD:{}", text(&artifact["path"]))]);
        let heading = content.lines().find_map(|line| line.strip_prefix("# ")).unwrap();
        assert_eq!(artifact["title"], heading, "{}", artifact["path"]);
    }
}

#[tokio::test]
async fn in_the_demo_two_stories_fall_behind_their_requirements_and_catch_up() {
    let server = Server::start_with(&READS_FILES).await;
    let folder = tempfile::tempdir().unwrap();
    let mut copy = WorkingCopy::open(folder.path()).unwrap();
    let project = server.tenant("Acme").await.project_at(&copy.url()).await;
    assert_eq!(project.scanned().await["state"], "succeeded");
    let mut story = Story::new("acme/rocket", dawn());
    let mut stale = Vec::new();
    for number in 0..Story::ROUND {
        let sample = story.next(dawn());
        copy.follow(&sample).unwrap();
        project.deliver(&number.to_string(), &sample).await.expect(202);
        project.settled().await;
        project.scanned().await;
        let open = project.all("/conflicts").await;
        assert!(open.iter().all(|conflict| conflict["dependencyPath"] == "docs/prd.md"), "{open:?}");
        stale.push(open.len());
    }
    stale.dedup();
    assert_eq!(stale, [0, 2, 0]);
}
