//! Trackside tracks the documents of its own repository.

use std::process::Command;

use serde_json::json;

use crate::support::{
    Server,
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
