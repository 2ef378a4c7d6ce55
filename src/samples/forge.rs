//! What the five Git hosts have in common: things happen to a repository, and the host tells them.
//!
//! A [`Happening`] is what a person would say; each host's file writes it down as that host does. GitHub's part
//! is played by a [`Repository`], the others' by a [`Remote`], which keeps what later deliveries must agree with.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Commit, REMEMBERED, Repository, Sample, WorkflowRun, bitbucket, gitea,
    github::{MAIN, NO_COMMIT, number_of},
    gitlab,
};

/// The hosts there are samples of, by their names in webhook addresses.
pub const SOURCES: [&str; 5] = ["github", "gitlab", "bitbucket", "gitea", "forgejo"];

/// How far an issue or a pull request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It was opened.
    Opened,
    /// The issue was closed, the pull request merged.
    Done,
}

/// Something that happens to a repository, in words that fit every host.
#[derive(Debug, Clone, Copy)]
pub enum Happening<'a> {
    /// Commits are pushed to a branch; a new branch starts at the head of `main`.
    Push {
        /// The branch.
        branch: &'a str,
        /// What is pushed, oldest first.
        commits: &'a [Commit<'a>],
    },
    /// A tag is put on the head of `main`.
    Tag {
        /// Its name.
        name: &'a str,
    },
    /// A pull request into `main`; GitLab calls it a merge request. Push what a merge puts on `main` first.
    PullRequest {
        /// How far it is.
        stage: Stage,
        /// Its number; [`Forge::next_number`] gives one.
        number: u64,
        /// Its title.
        title: &'a str,
        /// The branch that is to be merged.
        branch: &'a str,
    },
    /// An issue.
    Issue {
        /// How far it is.
        stage: Stage,
        /// Its number; [`Forge::next_number`] gives one.
        number: u64,
        /// Its title.
        title: &'a str,
    },
    /// A release is published for a tag. Bitbucket has none.
    Release {
        /// The tag.
        tag: &'a str,
    },
    /// A pipeline, build or workflow run has ended on the head of a branch.
    Pipeline {
        /// [`Forge::new_id`] gives one.
        id: u64,
        /// Its name, such as `CI`.
        name: &'a str,
        /// The branch.
        branch: &'a str,
        /// Whether it passed.
        passed: bool,
    },
}

/// A repository on one of the hosts.
#[derive(Debug, Clone)]
pub struct Forge(Kind);

#[derive(Debug, Clone)]
enum Kind {
    GitHub(Box<Repository>),
    Other(Remote),
}

impl Forge {
    /// A repository such as `acme/rocket` on one of [`SOURCES`], with one commit on `main`; none for another host.
    pub fn new(source: &str, full_name: &str, now: DateTime<Utc>) -> Option<Self> {
        let source = *SOURCES.iter().find(|known| **known == source)?;
        Some(Self(match source {
            "github" => Kind::GitHub(Box::new(Repository::new(full_name, now))),
            _ => Kind::Other(Remote::new(source, full_name, now)),
        }))
    }

    /// Sets the host's clock for what follows.
    pub fn at(&mut self, now: DateTime<Utc>) {
        match &mut self.0 {
            Kind::GitHub(repository) => repository.at(now),
            Kind::Other(remote) => remote.now = now,
        }
    }

    /// An id for a pipeline that the host has not given yet.
    pub fn new_id(&mut self) -> u64 {
        match &mut self.0 {
            Kind::GitHub(repository) => repository.new_id(),
            Kind::Other(remote) => remote.new_id(),
        }
    }

    /// The number of the next issue or pull request.
    pub fn next_number(&self) -> u64 {
        match &self.0 {
            Kind::GitHub(repository) => repository.next_number(),
            Kind::Other(remote) => remote.last_number + 1,
        }
    }

    /// The delivery by which the host tells of it; none for what the host has no event for.
    pub fn tell(&mut self, happening: &Happening<'_>) -> Option<Sample> {
        let remote = match &mut self.0 {
            Kind::GitHub(repository) => return Some(tell_of_github(repository, happening)),
            Kind::Other(remote) => remote,
        };
        let (event, body) = match remote.source {
            "gitlab" => gitlab::write(remote, happening),
            "bitbucket" => bitbucket::write(remote, happening)?,
            _ => gitea::write(remote, happening),
        };
        Some(Sample { source: remote.source, event, about: describe(remote.source, happening), body })
    }
}

fn tell_of_github(repository: &mut Repository, happening: &Happening<'_>) -> Sample {
    let action = |stage| if stage == Stage::Opened { "opened" } else { "closed" };
    match *happening {
        Happening::Push { branch, commits } => repository.push(branch, commits),
        Happening::Tag { name } => repository.push_tag(name),
        Happening::PullRequest { stage, number, title, .. } => {
            repository.pull_request(action(stage), number, title, stage == Stage::Done)
        }
        Happening::Issue { stage, number, title } => repository.issue(action(stage), number, title),
        Happening::Release { tag } => repository.release(tag),
        Happening::Pipeline { id, name, branch, passed } => {
            let conclusion = Some(if passed { "success" } else { "failure" });
            repository.workflow_run(&WorkflowRun {
                id,
                name,
                attempt: 1,
                status: "completed",
                conclusion,
                branch,
            })
        }
    }
}

/// One line for people, in the host's own words.
fn describe(source: &str, happening: &Happening<'_>) -> String {
    match *happening {
        Happening::Push { branch, commits } => {
            let mut words = Vec::new();
            for verb in ["adds", "changes", "removes"] {
                let paths = commits.iter().flat_map(|commit| match verb {
                    "adds" => commit.added,
                    "changes" => commit.modified,
                    _ => commit.removed,
                });
                let paths: Vec<&str> = paths.copied().collect();
                match paths.len() {
                    0 => {}
                    1..=3 => words.push(format!("{verb} {}", paths.join(", "))),
                    many => words.push(format!("{verb} {many} files")),
                }
            }
            let words = if words.is_empty() { "no files".to_owned() } else { words.join("; ") };
            format!("push to {branch}: {words}")
        }
        Happening::Tag { name } => format!("push of tag {name}"),
        Happening::PullRequest { stage, number, title, .. } => {
            let (noun, mark) =
                if source == "gitlab" { ("merge request", '!') } else { ("pull request", '#') };
            let verb = if stage == Stage::Opened { "opened" } else { "merged" };
            format!("{noun} {mark}{number} {verb}: {title}")
        }
        Happening::Issue { stage, number, title } => {
            format!("issue #{number} {}: {title}", if stage == Stage::Opened { "opened" } else { "closed" })
        }
        Happening::Release { tag } => format!("release {tag} published"),
        Happening::Pipeline { name, branch, passed, .. } => {
            let noun = match source {
                "gitlab" => "pipeline",
                "bitbucket" => "build",
                _ => "workflow",
            };
            format!("{noun} {name} on {branch}: {}", if passed { "passed" } else { "failed" })
        }
    }
}

/// A commit that is there.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) id: String,
    pub(super) message: String,
    pub(super) author: String,
    pub(super) at: DateTime<Utc>,
    pub(super) added: Vec<String>,
    pub(super) modified: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Made {
    /// The first line of its message.
    pub(super) fn title(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// A push that has been made.
pub(super) struct Pushed {
    /// The head before; zeros for a new branch.
    pub(super) before: String,
    pub(super) after: String,
    pub(super) commits: Vec<Made>,
}

/// A repository on a host other than GitHub, as far as its deliveries have to agree with each other.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) source: &'static str,
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) full_name: String,
    pub(super) id: u64,
    pub(super) now: DateTime<Utc>,
    seed: i64,
    hashes: u64,
    last_id: u64,
    last_number: u64,
    heads: BTreeMap<String, Made>,
    /// When issues and pull requests were opened, by number.
    opened: BTreeMap<u64, DateTime<Utc>>,
}

impl Remote {
    fn new(source: &'static str, full_name: &str, now: DateTime<Utc>) -> Self {
        let (owner, name) = full_name.split_once('/').unwrap_or(("acme", full_name));
        let mut remote = Self {
            source,
            owner: owner.to_owned(),
            name: name.to_owned(),
            full_name: format!("{owner}/{name}"),
            id: number_of(full_name) % 1_000_000,
            now,
            seed: now.timestamp_millis(),
            hashes: 0,
            last_id: u64::try_from(now.timestamp_millis()).unwrap_or_default(),
            last_number: 0,
            heads: BTreeMap::new(),
            opened: BTreeMap::new(),
        };
        remote.push(MAIN, &[Commit { message: "Begin", added: &["README.md"], ..Commit::default() }]);
        remote
    }

    pub(super) fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// A commit id that was not there yet.
    pub(super) fn hash(&mut self) -> String {
        self.hashes += 1;
        let digest =
            Sha256::digest(format!("{} {} {} {}", self.source, self.full_name, self.seed, self.hashes));
        hex::encode(&digest[..20])
    }

    /// The head of a branch; one that nobody pushed to yet stands at the head of `main`.
    pub(super) fn head(&self, branch: &str) -> &Made {
        self.heads.get(branch).unwrap_or_else(|| &self.heads[MAIN])
    }

    pub(super) fn push(&mut self, branch: &str, commits: &[Commit<'_>]) -> Pushed {
        let before = self.heads.get(branch).map_or_else(|| NO_COMMIT.to_owned(), |head| head.id.clone());
        let texts = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        let commits: Vec<Made> = commits
            .iter()
            .map(|commit| Made {
                id: self.hash(),
                message: commit.message.to_owned(),
                author: commit.author.to_owned(),
                at: self.now,
                added: texts(commit.added),
                modified: texts(commit.modified),
                removed: texts(commit.removed),
            })
            .collect();
        if let Some(head) = commits.last() {
            self.heads.insert(branch.to_owned(), head.clone());
        }
        // A story runs for ever, its memory must not.
        if self.heads.len() > REMEMBERED
            && let Some(old) = self.heads.keys().find(|name| *name != MAIN && *name != branch).cloned()
        {
            self.heads.remove(&old);
        }
        Pushed { before, after: self.head(branch).id.clone(), commits }
    }

    /// Merges a branch, which is gone afterwards. The merge commit is the head of `main`: what a merge puts
    /// there is pushed first, as hosts do.
    pub(super) fn merge(&mut self, branch: &str) -> Made {
        if branch != MAIN {
            self.heads.remove(branch);
        }
        self.head(MAIN).clone()
    }

    /// When an issue or pull request was opened: now, at its first mention.
    pub(super) fn opened(&mut self, number: u64) -> DateTime<Utc> {
        self.last_number = self.last_number.max(number);
        let opened = *self.opened.entry(number).or_insert(self.now);
        if self.opened.len() > REMEMBERED {
            self.opened.pop_first();
        }
        opened
    }
}

/// What a host sends: its name of the event, and the payload.
pub(super) type Written = (&'static str, Value);
