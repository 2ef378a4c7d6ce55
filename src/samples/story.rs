//! Stories: deliveries that belong together, for ever, round after round.

use chrono::{DateTime, Utc};

use super::{
    Commit, DEVELOPER, Forge, Happening, OWNER, PLANNER, RUST_DEV, Repository, Sample, Stage, TESTER,
    WEB_DEV, WorkflowRun, github::MAIN,
};

/// What the rounds of the story build: a short name, a title and what goes wrong with it.
pub(super) const FEATURES: &[(&str, &str, &str)] = &[
    ("search", "Search across projects", "Search misses umlauts"),
    ("sign-in", "Sign-in with a passkey", "Sign-in loops without cookies"),
    ("export", "Export of a project", "Export quotes line breaks wrongly"),
];

/// The branch on which the pages of all rounds are made.
const PAGES: &str = "web/next";

/// Where a story is: what it told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chapter {
    /// The round, from 1 on.
    pub round: usize,
    /// The step of the round, from 0 on.
    pub step: usize,
    /// The short name of what is built.
    pub slug: &'static str,
    /// The same in words.
    pub title: &'static str,
    /// What goes wrong with it.
    pub bug: &'static str,
}

/// The demo's story: a product is planned, built, checked and released, round after round, each round with
/// new commits, numbers and versions.
#[derive(Debug, Clone)]
pub struct Story {
    repository: Repository,
    told: usize,
    issue: u64,
    pull: u64,
    run: u64,
}

impl Story {
    /// Samples in one round.
    pub const ROUND: usize = 24;

    /// The story of a repository such as `acme/rocket`, from its beginning.
    pub fn new(full_name: &str, now: DateTime<Utc>) -> Self {
        Self { repository: Repository::new(full_name, now), told: 0, issue: 0, pull: 0, run: 0 }
    }

    /// Where it is, once something was told.
    pub fn chapter(&self) -> Chapter {
        let told = self.told.saturating_sub(1);
        let (round, step) = (told / Self::ROUND + 1, told % Self::ROUND);
        let (slug, title, bug) = FEATURES[(round - 1) % FEATURES.len()];
        Chapter { round, step, slug, title, bug }
    }

    /// What happens next, at `now`.
    pub fn next(&mut self, now: DateTime<Utc>) -> Sample {
        self.told += 1;
        let Chapter { round, step, slug, title, bug } = self.chapter();
        let (branch, tag) = (format!("feature/{round}-{slug}"), format!("v0.{round}.0"));
        let (code, page) =
            (&*format!("src/{slug}/round_{round}.rs"), &*format!("web/{slug}/page_{round}.ts"));
        self.repository.at(now);
        match step {
            // Only the first round can add a document; the others rewrite it.
            0 => self.require(round == 1, &format!("docs: PRD version {}.0, {title}", 2 * round - 1)),
            1 => self.design(round, slug),
            2 => self.require(false, &format!("docs: PRD version {}.0, a smaller first step", 2 * round)),
            3 => self.catch_up(round),
            4 => {
                self.issue = self.repository.next_number();
                self.repository.issue("opened", self.issue, bug)
            }
            5 => self.code(&branch, true, &format!("{title}: first version"), code),
            6 => {
                self.pull = self.repository.next_number();
                self.repository.pull_request("opened", self.pull, title, false)
            }
            7 | 13 => {
                self.run = self.repository.new_id();
                self.run(&branch, "queued", None)
            }
            8 | 14 => self.run(&branch, "in_progress", None),
            9 => self.run(&branch, "completed", Some("failure")),
            10 => self.reach_over(title, page, code),
            11 => self.code(&branch, false, &format!("Fix: {bug}\n\nFixes #{}", self.issue), code),
            12 => self.repository.pull_request("synchronize", self.pull, title, false),
            15 => self.run(&branch, "completed", Some("success")),
            16 => {
                let id = self.repository.new_id();
                self.repository.check_run(id, "clippy", "completed", Some("success"))
            }
            17 => self.repository.status("ci/preview", "success"),
            18 => self.code(MAIN, true, &format!("{title} (#{})", self.pull), code),
            19 => self.repository.pull_request("closed", self.pull, title, true),
            20 => self.show(round, title, page),
            21 => self.repository.issue("closed", self.issue, bug),
            22 => self.repository.push_tag(&tag),
            _ => self.repository.release(&tag),
        }
    }

    fn require(&mut self, new: bool, message: &str) -> Sample {
        self.repository.push(MAIN, &[Commit::of(new, message, OWNER, &["docs/prd.md"])])
    }

    fn code(&mut self, branch: &str, new: bool, message: &str, path: &str) -> Sample {
        self.repository.push(branch, &[Commit::of(new, message, RUST_DEV, &[path])])
    }

    /// Whoever makes the page changes what somebody else is working on, too.
    fn reach_over(&mut self, title: &str, page: &str, code: &str) -> Sample {
        let (message, added, modified) = (format!("{title}: a page for it"), [page], [code]);
        let commit = Commit { modified: &modified, ..Commit::of(true, &message, WEB_DEV, &added) };
        self.repository.push(PAGES, &[commit])
    }

    /// The page is there, and it is written down what was tested.
    fn show(&mut self, round: usize, title: &str, page: &str) -> Sample {
        let message = format!("docs: what was tested of {title}");
        let tested = Commit::of(round == 1, &message, TESTER, &["docs/qa/assessment.md", "Dockerfile"]);
        let message = format!("{title}: the page");
        self.repository.push(MAIN, &[tested, Commit::of(true, &message, WEB_DEV, &[page])])
    }

    /// The stories of a round are written against the requirements of the time; those of the round before are done.
    fn design(&mut self, round: usize, slug: &str) -> Sample {
        let message = format!("docs: where {slug} lives");
        let architecture = Commit::of(round == 1, &message, DEVELOPER, &["docs/architecture.md"]);
        let message = format!("docs: stories {round}.1 and {round}.2");
        let (added, done) = (stories(round), stories(round - 1));
        let (added, done) = (added.each_ref().map(String::as_str), done.each_ref().map(String::as_str));
        let removed: &[&str] = if round > 1 { &done } else { &[] };
        let stories = Commit { removed, ..Commit::of(true, &message, PLANNER, &added) };
        self.repository.push(MAIN, &[architecture, stories])
    }

    /// What was written against the requirements of before follows them.
    fn catch_up(&mut self, round: usize) -> Sample {
        let message = format!("docs: stories {round}.1 and {round}.2 follow the PRD");
        let stories = stories(round);
        let paths = stories.each_ref().map(String::as_str);
        self.repository.push(MAIN, &[Commit::of(false, &message, PLANNER, &paths)])
    }

    fn run(&mut self, branch: &str, status: &str, conclusion: Option<&str>) -> Sample {
        let run = WorkflowRun { id: self.run, name: "CI", attempt: 1, status, conclusion, branch };
        self.repository.workflow_run(&run)
    }
}

/// The documents of a round's stories.
fn stories(round: usize) -> [String; 2] {
    let (slug, ..) = FEATURES[round.saturating_sub(1) % FEATURES.len()];
    ["1.{slug}-when-all-is-well", "2.{slug}-when-it-fails"]
        .map(|name| format!("docs/stories/{round}.{}.md", name.replace("{slug}", slug)))
}

/// A shorter story that every host can tell: a document, an issue, a change that fails its checks, is mended,
/// merged and released. What a host has no event for is left out.
#[derive(Debug, Clone)]
pub struct Episode {
    forge: Forge,
    told: usize,
    issue: u64,
    pull: u64,
    run: u64,
}

impl Episode {
    /// Steps in one round; a host may leave some out.
    pub const ROUND: usize = 12;

    /// The story of a repository on one of [`SOURCES`](super::SOURCES); none for another host.
    pub fn new(source: &str, full_name: &str, now: DateTime<Utc>) -> Option<Self> {
        Some(Self { forge: Forge::new(source, full_name, now)?, told: 0, issue: 0, pull: 0, run: 0 })
    }

    /// What happens next, at `now`.
    pub fn next(&mut self, now: DateTime<Utc>) -> Sample {
        self.forge.at(now);
        loop {
            if let Some(sample) = self.step() {
                return sample;
            }
        }
    }

    fn step(&mut self) -> Option<Sample> {
        let (round, step) = (self.told / Self::ROUND + 1, self.told % Self::ROUND);
        let (slug, title, bug) = FEATURES[round % FEATURES.len()];
        let (branch, tag) = (format!("feature/{round}-{slug}"), format!("v0.{round}.0"));
        let code = [&*format!("src/{slug}/round_{round}.rs")];
        self.told += 1;
        match step {
            0 => {
                let message = format!("docs: PRD version {round}.0, {title}");
                let commits =
                    [Commit::of(round == 1, &message, OWNER, &["docs/prd.md", "docs/architecture.md"])];
                self.forge.tell(&Happening::Push { branch: MAIN, commits: &commits })
            }
            1 => {
                self.issue = self.forge.next_number();
                self.forge.tell(&Happening::Issue { stage: Stage::Opened, number: self.issue, title: bug })
            }
            2 | 5 => {
                let message =
                    if step == 2 { format!("{title}: first version") } else { format!("Fix: {bug}") };
                let commits = [Commit::of(step == 2, &message, DEVELOPER, &code)];
                self.forge.tell(&Happening::Push { branch: &branch, commits: &commits })
            }
            3 | 8 => {
                let stage = if step == 3 { Stage::Opened } else { Stage::Done };
                if stage == Stage::Opened {
                    self.pull = self.forge.next_number();
                }
                let number = self.pull;
                self.forge.tell(&Happening::PullRequest { stage, number, title, branch: &branch })
            }
            4 | 6 => {
                self.run = self.forge.new_id();
                let passed = step == 6;
                self.forge.tell(&Happening::Pipeline { id: self.run, name: "CI", branch: &branch, passed })
            }
            7 => {
                let message = format!("{title}, all of it");
                let commits = [Commit::of(true, &message, DEVELOPER, &code)];
                self.forge.tell(&Happening::Push { branch: MAIN, commits: &commits })
            }
            9 => self.forge.tell(&Happening::Issue { stage: Stage::Done, number: self.issue, title: bug }),
            10 => self.forge.tell(&Happening::Tag { name: &tag }),
            _ => self.forge.tell(&Happening::Release { tag: &tag }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_760_000_000, 0).expect("in range")
    }

    fn told(samples: usize, start: DateTime<Utc>) -> Vec<Sample> {
        let mut story = Story::new("acme/rocket", start);
        (0..samples).map(|_| story.next(start)).collect()
    }

    #[test]
    fn the_same_times_give_the_same_bytes_and_another_start_gives_other_commits() {
        let bytes = |start| told(2 * Story::ROUND, start).iter().map(Sample::bytes).collect::<Vec<_>>();
        assert_eq!(bytes(noon()), bytes(noon()));
        let head = |start| told(1, start)[0].body["after"].clone();
        assert_ne!(head(noon()), head(noon() + chrono::TimeDelta::seconds(1)));
    }

    #[test]
    fn the_story_repeats_with_new_commits_and_rising_numbers() {
        let samples = told(3 * Story::ROUND, noon());
        let commits = samples.iter().filter_map(|sample| sample.body["commits"].as_array()).flatten();
        let commits: Vec<_> = commits.map(|commit| commit["id"].as_str().expect("an id")).collect();
        assert_eq!(commits.iter().collect::<std::collections::BTreeSet<_>>().len(), commits.len());
        for (first, second) in samples.iter().zip(&samples[Story::ROUND..]) {
            assert_eq!((first.event, &first.body["action"]), (second.event, &second.body["action"]));
            for path in ["/number", "/issue/number", "/workflow_run/id", "/check_run/id"] {
                let number = |sample: &Sample| sample.body.pointer(path).and_then(Value::as_u64);
                assert!(number(first).is_none() || number(first) < number(second), "{path}");
            }
        }
    }

    #[test]
    fn a_push_begins_where_the_one_before_it_ended() {
        let mut heads = BTreeMap::new();
        for Sample { event, about, body, .. } in told(2 * Story::ROUND, noon()) {
            let before = heads.insert(body["ref"].to_string(), body["after"].clone());
            assert!(event != "push" || before.is_none_or(|before| before == body["before"]), "{about}");
        }
    }

    #[test]
    fn a_push_weighs_what_pushes_on_github_weigh() {
        for sample in told(Story::ROUND, noon()).iter().filter(|sample| sample.event == "push") {
            let bytes = sample.bytes().len();
            assert!((5_000..10_000).contains(&bytes), "{}: {bytes}", sample.about);
        }
    }

    fn episode(source: &str) -> Vec<Sample> {
        let mut episode = Episode::new(source, "acme/lander", noon()).expect("a known host");
        (0..2 * Episode::ROUND).map(|_| episode.next(noon())).collect()
    }

    #[test]
    fn every_host_tells_the_episode_in_its_own_events_and_the_same_each_time() {
        for (source, expected) in [
            ("github", vec!["issues", "pull_request", "push", "release", "workflow_run"]),
            (
                "gitlab",
                vec![
                    "Issue Hook",
                    "Merge Request Hook",
                    "Pipeline Hook",
                    "Push Hook",
                    "Release Hook",
                    "Tag Push Hook",
                ],
            ),
            (
                "bitbucket",
                vec![
                    "issue:created",
                    "issue:updated",
                    "pullrequest:created",
                    "pullrequest:fulfilled",
                    "repo:commit_status_updated",
                    "repo:push",
                ],
            ),
            ("gitea", vec!["issues", "pull_request", "push", "release", "workflow_run"]),
            (
                "forgejo",
                vec!["action_run_failure", "action_run_success", "issues", "pull_request", "push", "release"],
            ),
        ] {
            let samples = episode(source);
            let events: std::collections::BTreeSet<_> = samples.iter().map(|sample| sample.event).collect();
            assert_eq!(Vec::from_iter(events), expected, "{source}");
            assert!(samples.iter().all(|sample| sample.source == source && !sample.about.is_empty()));
            let bytes = |samples: Vec<Sample>| samples.iter().map(Sample::bytes).collect::<Vec<_>>();
            assert_eq!(bytes(samples), bytes(episode(source)), "{source}");
        }
        assert!(Episode::new("sourceforge", "acme/lander", noon()).is_none());
    }

    #[test]
    fn on_every_host_a_push_begins_where_the_one_before_it_ended() {
        for source in super::super::SOURCES {
            let mut heads = BTreeMap::new();
            for Sample { about, body, .. } in episode(source) {
                // Bitbucket has a list of changes where the others have one.
                let at =
                    |path: &str| body.pointer(path).filter(|value| !value.is_null()).map(Value::to_string);
                let name = at("/ref").or_else(|| at("/push/changes/0/new/name"));
                let before = at("/before").or_else(|| at("/push/changes/0/old/target/hash"));
                let after = at("/after").or_else(|| at("/push/changes/0/new/target/hash"));
                let (Some(name), Some(after)) = (name, after) else { continue };
                if let Some(known) = heads.insert(name, after) {
                    assert_eq!(Some(known), before, "{source}: {about}");
                }
            }
            assert!(heads.len() > 2, "{source}");
        }
    }
}
