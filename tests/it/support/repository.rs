//! Git repositories as teams have them, made with `git` itself in a folder of their own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Answer, Project, Server, Tenant, eventually, text};

/// What lets a server read the repositories of this file.
pub(crate) const READS_FILES: [(&str, &str); 2] =
    [("TRACKSIDE_SCANS", "true"), ("TRACKSIDE_GIT_ALLOW", "file")];

/// A repository with a work tree, to whose `main` branch a team pushes.
pub(crate) struct Origin {
    folder: TempDir,
}

impl Origin {
    /// One without a commit.
    pub(crate) fn new() -> Self {
        let origin = Self { folder: tempfile::tempdir().unwrap() };
        origin.git(&["init", "--quiet", "--initial-branch=main"]);
        origin
    }

    /// One with a commit of some files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let origin = Self::new();
        origin.commit("Begin", files);
        origin
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    /// Runs git in the work tree; gives what it prints.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args([
                "-c",
                "user.name=Octavia",
                "-c",
                "user.email=octavia@example.org",
                "-c",
                "core.autocrlf=false",
            ])
            .args(["-c", "protocol.file.allow=always"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Writes a file into the work tree.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Commits some files as they are to be; gives the commit's name.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (path, content) in files {
            self.write(path, content);
        }
        self.commit_all(message)
    }

    /// Commits the work tree as it is; gives the commit's name.
    pub(crate) fn commit_all(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }
}

impl Tenant {
    /// A project that is there, to be asked and not to be posted to.
    pub(crate) fn known(&self, id: &str) -> Project {
        Project {
            id: id.to_owned(),
            secret: String::new(),
            tenant: self.clone(),
            client: self.client.clone(),
        }
    }

    /// A new project whose repository is somewhere, read once.
    pub(crate) async fn project_at(&self, repo_url: &str) -> Project {
        let body = json!({"name": "Rocket", "repoUrl": repo_url});
        let made = self.client.post("/api/v1/projects", body).await.expect(201).json;
        Project {
            id: text(&made["id"]),
            secret: text(&made["webhookSecret"]),
            tenant: self.clone(),
            client: self.client.clone(),
        }
    }
}

impl Server {
    /// A new tenant with a new project, whose repository was read.
    pub(crate) async fn project_of(&self, origin: &Origin) -> Project {
        let project = self.tenant("Acme").await.project_at(&origin.url()).await;
        project.scanned().await;
        project
    }
}

impl Project {
    /// Waits until no scan is wanted or under way; gives the newest.
    pub(crate) async fn scanned(&self) -> Value {
        eventually("the repository is read", async || {
            ["succeeded", "failed"].contains(&self.scan().await["state"].as_str().unwrap_or_default())
        })
        .await;
        self.scan().await
    }

    /// Tells of a push of the repository's newest commit, as a Git host would, and waits until it was read.
    pub(crate) async fn pushed(&self, origin: &Origin) {
        let (head, branch) = (origin.head(), origin.git(&["branch", "--show-current"]));
        let push = json!({
            "ref": format!("refs/heads/{branch}"),
            "after": head,
            "repository": {"default_branch": "main"},
            "commits": [],
        });
        static PUSHES: AtomicUsize = AtomicUsize::new(0);
        let delivery = format!("{head}-{}", PUSHES.fetch_add(1, Relaxed));
        self.deliver_bytes(&delivery, "push", push.to_string().into_bytes()).await.expect(202);
        self.settled().await;
        self.scanned().await;
    }

    /// How the newest scan stands.
    pub(crate) async fn scan(&self) -> Value {
        self.client.get(&self.path("/scan")).await.expect(200).json
    }

    /// Has the repository read now, and waits for it.
    pub(crate) async fn scan_now(&self) -> Value {
        let asked: Answer = self.client.post(&self.path("/scan"), json!({})).await;
        asked.expect(202);
        self.scanned().await
    }

    /// Every artifact that is there, by path.
    pub(crate) async fn artifacts(&self) -> Vec<Value> {
        self.all("/artifacts").await
    }

    /// An artifact by its path, removed or not; null if there is none.
    pub(crate) async fn artifact(&self, path: &str) -> Value {
        let all = self.all("/artifacts?removed=true").await;
        all.into_iter().find(|artifact| artifact["path"] == path).unwrap_or_default()
    }
}
