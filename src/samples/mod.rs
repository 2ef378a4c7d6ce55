//! Deliveries as the Git hosts would post them, built in code, for the demo, `trigger`, the tests and the
//! benchmark.
//!
//! A [`Repository`] is a stand-in for one on GitHub, in full; a [`Forge`] for one on any of the five hosts, as
//! far as they have things in common. What happens to it comes back as a [`Sample`], and later samples agree
//! with earlier ones. A [`Story`] strings them together for ever, an [`Episode`] does on any host. All of it is
//! deterministic: times are passed in, ids are counted or hashed, so the same calls give the same bytes. A
//! [`WorkingCopy`] has the documents that they tell of, in a repository that can be read.

mod bitbucket;
mod forge;
mod gitea;
mod github;
mod gitlab;
mod signing;
mod story;
mod working_copy;

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use serde_json::Value;

pub use self::{
    forge::{Forge, Happening, SOURCES, Stage},
    signing::sign,
    story::{Chapter, Episode, Story},
    working_copy::WorkingCopy,
};
use self::{
    github::{MAIN, account, number_of},
    story::FEATURES,
};

const DEVELOPER: &str = "octavia-dev";
const OWNER: &str = "product-owner";
const PLANNER: &str = "planner-bot[bot]";
const RELEASER: &str = "release-manager";
const TESTER: &str = "qa-tester";
/// The agent who writes the code of a [`Story`], by its login.
pub const RUST_DEV: &str = "rust-dev";
/// The one who makes its pages.
pub const WEB_DEV: &str = "web-dev";
/// GitHub lists no more commits than this in one push.
const MAX_COMMITS: usize = 2048;
/// How many pull requests, issues, runs and checks are kept: a story runs for ever, its memory must not.
const REMEMBERED: usize = 64;

/// One delivery as a Git host would post it, before signing.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The host, by its name in webhook addresses, such as `github`.
    pub source: &'static str,
    /// The host's name of the event, as its event header says it.
    pub event: &'static str,
    /// One line for people, such as `push to main: adds docs/prd.md`.
    pub about: String,
    /// The payload.
    pub body: Value,
}

impl Sample {
    /// The request's body: compact JSON, the bytes to sign and to send.
    pub fn bytes(&self) -> Vec<u8> {
        self.body.to_string().into_bytes()
    }
}

/// One commit of a push; [`Commit::default`] has no files and a developer as its author.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// The whole message; its first line is the subject.
    pub message: &'a str,
    /// The author's login; one that ends in `[bot]` is an app.
    pub author: &'a str,
    /// Paths of new files.
    pub added: &'a [&'a str],
    /// Paths of changed files.
    pub modified: &'a [&'a str],
    /// Paths of deleted files.
    pub removed: &'a [&'a str],
}

impl<'a> Commit<'a> {
    /// A commit of files that are new, or of files that were there before.
    pub fn of(new: bool, message: &'a str, author: &'a str, paths: &'a [&'a str]) -> Self {
        let (added, modified): (&[_], &[_]) = if new { (paths, &[]) } else { (&[], paths) };
        Self { message, author, added, modified, removed: &[] }
    }
}

impl Default for Commit<'_> {
    fn default() -> Self {
        Self { message: "Small corrections", author: DEVELOPER, added: &[], modified: &[], removed: &[] }
    }
}

/// One step of a run of a workflow.
#[derive(Debug, Clone, Copy)]
pub struct WorkflowRun<'a> {
    /// The same for all attempts of a run; [`Repository::new_id`] gives one.
    pub id: u64,
    /// The workflow's name, such as `CI`.
    pub name: &'a str,
    /// Counts from 1; a re-run is the next attempt of the same run.
    pub attempt: u32,
    /// `queued`, `in_progress` or `completed`.
    pub status: &'a str,
    /// How it ended, such as `success` or `failure`; only of a completed run.
    pub conclusion: Option<&'a str>,
    /// The branch on whose head it runs.
    pub branch: &'a str,
}

/// A repository on GitHub that things happen to: each call returns the delivery GitHub would send for it and
/// moves the repository on (heads, numbers, times). The same calls with the same times give the same bytes;
/// another time at the start gives other commits and ids.
#[derive(Debug, Clone)]
pub struct Repository {
    full_name: String,
    name: String,
    id: u64,
    owner: Value,
    api: String,
    html: String,
    now: DateTime<Utc>,
    pushed: DateTime<Utc>,
    seed: i64,
    hashes: u64,
    runs: u64,
    last_id: u64,
    last_number: u64,
    /// The branch pushed to last: what a pull request, check or status without a branch of its own is about.
    branch: String,
    branches: BTreeMap<String, Branch>,
    records: VecDeque<Record>,
}

#[derive(Debug, Clone, Default)]
struct Branch {
    name: String,
    head: Value,
    commits: usize,
    files: usize,
}

/// What GitHub knows about one issue, pull request, run or check from its first mention on.
#[derive(Debug, Clone, Default)]
struct Record {
    /// Its kind, its number or id and, of a run's attempt, which one.
    key: (&'static str, u64, u32),
    id: u64,
    run_number: u64,
    created: DateTime<Utc>,
    closed: Option<DateTime<Utc>>,
    merge_commit: Option<Value>,
    branch: Branch,
    base: Value,
}

impl Record {
    fn act(&mut self, action: &str, now: DateTime<Utc>) {
        match action {
            "closed" => self.closed = Some(now),
            "reopened" => self.closed = None,
            _ => {}
        }
    }
}

impl Repository {
    /// A repository such as `acme/rocket`, owned by an organization, with one commit on `main`.
    pub fn new(full_name: &str, now: DateTime<Utc>) -> Self {
        let (owner, name) = full_name.split_once('/').unwrap_or(("acme", full_name));
        let mut repository = Self {
            full_name: format!("{owner}/{name}"),
            name: name.to_owned(),
            id: number_of(full_name) % 1_000_000_000,
            owner: account(owner),
            api: format!("https://api.github.com/repos/{owner}/{name}"),
            html: format!("https://github.com/{owner}/{name}"),
            now,
            pushed: now,
            seed: now.timestamp_millis(),
            hashes: 0,
            runs: 0,
            // GitHub's ids rise with time; so do these, also from one start of the demo to the next.
            last_id: u64::try_from(now.timestamp_millis()).unwrap_or_default(),
            last_number: 0,
            branch: MAIN.to_owned(),
            branches: BTreeMap::new(),
            records: VecDeque::new(),
        };
        repository.owner["type"] = "Organization".into();
        repository.push(MAIN, &[Commit { message: "Begin", added: &["README.md"], ..Commit::default() }]);
        repository
    }

    /// Sets the host's clock for what follows.
    pub fn at(&mut self, now: DateTime<Utc>) {
        self.now = now;
    }

    /// An id that GitHub has not given yet, for a run or a check.
    pub fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The number of the next issue or pull request; the two share one sequence.
    pub fn next_number(&self) -> u64 {
        self.last_number + 1
    }

    /// The branch as it stands; one that nobody pushed to yet stands at the head of `main`.
    fn branch(&self, name: &str) -> Branch {
        let head = || self.branches.get(MAIN).map(|main| main.head.clone()).unwrap_or_default();
        let new = || Branch { name: name.to_owned(), head: head(), ..Branch::default() };
        self.branches.get(name).cloned().unwrap_or_else(new)
    }

    /// Takes out what is known of a thing, or begins it now; [`Repository::keep`] puts it back.
    fn take(&mut self, key: (&'static str, u64, u32), branch: &str) -> Record {
        let known = self.records.iter().position(|record| record.key == key);
        if let Some(record) = known.and_then(|index| self.records.remove(index)) {
            return record;
        }
        match key {
            ("pull" | "issue", number, _) => self.last_number = self.last_number.max(number),
            ("run", _, 0) => self.runs += 1,
            _ => {}
        }
        let (id, branch, base) = (self.new_id(), self.branch(branch), self.branch(MAIN).head["id"].clone());
        Record { key, id, run_number: self.runs, created: self.now, branch, base, ..Record::default() }
    }

    fn keep(&mut self, record: Record) {
        self.records.push_back(record);
        if self.records.len() > REMEMBERED {
            self.records.pop_front();
        }
    }

    /// A push whose compact JSON has about `bytes` bytes: as many commits as fit, with longer messages to
    /// fill the rest. A push of one commit, some 8 KB, is the smallest.
    pub fn push_of_size(&mut self, branch: &str, bytes: usize) -> Sample {
        let mut commits = vec![self.filler(0)];
        let mut left = bytes.saturating_sub(self.weigh(branch, &commits));
        while commits.len() < MAX_COMMITS {
            let commit = self.filler(commits.len());
            let weight = commit.to_string().len() + 1;
            if weight > left {
                break;
            }
            left -= weight;
            commits.push(commit);
        }
        left = bytes.saturating_sub(self.weigh(branch, &commits));
        // The last commit is told twice, as `head_commit` too, and keeps its message unless it is alone.
        let (longer, cost) = if commits.len() == 1 { (1, 2) } else { (commits.len() - 1, 1) };
        for (index, commit) in commits.iter_mut().take(longer).enumerate() {
            let more = prose(index, left / (longer - index) / cost);
            left -= more.len() * cost;
            commit["message"] = format!("{}{more}", commit["message"].as_str().unwrap_or_default()).into();
        }
        self.push_made(branch, commits)
    }

    fn weigh(&self, branch: &str, commits: &[Value]) -> usize {
        self.clone().push_made(branch, commits.to_vec()).bytes().len()
    }

    fn filler(&mut self, index: usize) -> Value {
        let (slug, title, _) = FEATURES[index % FEATURES.len()];
        let (part, prose) = (index + 1, PROSE[index % PROSE.len()]);
        let message = format!("{title}, part {part}\n\n{prose}");
        let (author, path) = ([DEVELOPER, PLANNER, TESTER][index % 3], format!("src/{slug}/part_{part}.rs"));
        let added = [path.as_str()];
        self.commit(&Commit { message: &message, author, added: &added, ..Commit::default() })
    }
}

/// Whole words, at most `bytes` bytes of them, beginning with another sentence for each `index`.
fn prose(index: usize, bytes: usize) -> String {
    let words = PROSE.iter().cycle().skip(index % PROSE.len() + 1).flat_map(|sentence| sentence.split(' '));
    let mut text = String::new();
    for word in words {
        if text.len() + 1 + word.len() > bytes {
            break;
        }
        text.push(' ');
        text.push_str(word);
    }
    text
}

/// What long commit messages are made of.
const PROSE: &[&str] = &[
    "The old path is kept for one release, so that running clients can move at their own pace.",
    "A failed attempt now leaves the state before it untouched, where it used to leave half of the new one.",
    "The acceptance criteria of the story are met; its file links the test that shows each of them.",
    "Tests cover the empty list, the single entry and the page that ends exactly on its limit.",
    "On the staging data the slowest twentieth of the requests went from 240 ms to 31 ms.",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_push_has_its_size_within_a_twentieth() {
        let noon = DateTime::from_timestamp(1_760_000_000, 0).expect("in range");
        for bytes in [8_000, 9_000, 10_000, 64_000, 250_000, 1_000_000, 5_000_000] {
            let got = Repository::new("acme/rocket", noon).push_of_size("main", bytes).bytes().len();
            assert!(got.abs_diff(bytes) * 20 <= bytes, "{got} for {bytes}");
        }
    }
}
