//! Checks: from what is known of a project to how each gate stands. No database, no clock: the same facts at the same
//! moment give the same outcome, however often and in whatever order they are looked at.
//!
//! What is not there yet is `pending`, what is there and wrong is `failed`, what makes no sense for a work item, such as
//! the dependencies of one without a document, is `skipped`. A waiver that is in force stands above all of that.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta};

use super::{CheckKind, Gate, GateStatus, Outcome, Phase, Seen, Verdict};
use crate::{
    artifacts::{ArtifactKind, Decision, Outline, document::Version},
    clock::Time,
    conflicts::{ConflictKind, Drifting, Severity},
    runs::Ended,
    wire::Timestamp,
    work::{Brief, WorkItemId},
};

/// What things are named in a message before it only counts them.
const NAMED: usize = 3;
/// The branches that are taken for the tracked one where a project names none.
const USUAL: [&str; 2] = ["main", "master"];

/// What a kind of change may make a difference to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The documents of the repository.
    Documents,
    /// Files that are no documents.
    Files,
    /// Conflicts between documents.
    Conflicts,
    /// Runs of CI.
    Runs,
    /// Work items.
    Work,
}

/// What has changed, so far as it may make a difference to gates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// What it was about.
    pub(super) topics: BTreeSet<Topic>,
    /// Work items whose gates are looked at whatever they look at.
    pub(super) items: BTreeSet<WorkItemId>,
    /// Whether all gates are looked at.
    pub(super) is_everything: bool,
}

impl Changed {
    /// Nothing: what is new or due is looked at alone.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// These things.
    pub fn of(topics: &[Topic]) -> Self {
        Self { topics: topics.iter().copied().collect(), ..Self::default() }
    }

    /// Everything, for all that is known.
    pub fn everything() -> Self {
        Self { topics: Topic::ALL.into_iter().collect(), is_everything: true, ..Self::default() }
    }
}

impl Topic {
    /// Every topic.
    const ALL: [Self; 5] = [Self::Documents, Self::Files, Self::Conflicts, Self::Runs, Self::Work];
}

impl CheckKind {
    /// What it looks at, beside the work item whose gate it is.
    pub(super) fn looks_at(self) -> &'static [Topic] {
        match self {
            Self::ArtifactExists | Self::VersionValid | Self::QaFile => &[Topic::Documents],
            Self::DependenciesResolved => &[Topic::Documents, Topic::Conflicts],
            Self::TestsPassing => &[Topic::Runs],
            Self::CodeExists => &[Topic::Files],
            Self::ManualReview => &[],
        }
    }
}

/// What is known of a project, as far as the gates ask that are evaluated.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The documents that are there.
    pub(super) documents: Vec<Outline>,
    /// The open conflicts between documents.
    pub(super) drift: Vec<Drifting>,
    /// Runs of CI that ended well or badly, newest first.
    pub(super) runs: Vec<Ended>,
    /// The branch that counts, if the project names one.
    pub(super) branch: Option<String>,
}

fn outcome(status: GateStatus, message: impl Into<String>) -> Outcome {
    Outcome { status, message: message.into(), due_at: None }
}

/// How a gate stands at a moment; `item` is the work item whose gate it is.
pub(super) fn evaluate(facts: &Facts, gate: &Gate, item: Option<&Brief>, now: Time) -> Outcome {
    if let Some(waiver) = gate.waiver_at(now) {
        let until = waiver.until.map(|until| format!(" until {}", Timestamp(until))).unwrap_or_default();
        let message = format!("waived by {}{until}: {}", waiver.name, waiver.reason);
        return Outcome { status: GateStatus::Waived, message, due_at: waiver.until };
    }
    match gate.config.check {
        CheckKind::ArtifactExists => artifact_exists(facts, gate),
        CheckKind::VersionValid => version_valid(facts, gate),
        CheckKind::DependenciesResolved => dependencies_resolved(facts, item),
        CheckKind::TestsPassing => tests_passing(facts, gate, item),
        CheckKind::CodeExists => code_exists(gate),
        CheckKind::ManualReview => manual_review(gate),
        CheckKind::QaFile => qa_file(facts, gate, item, now),
    }
}

/// The documents that a gate means.
fn meant<'f>(facts: &'f Facts, gate: &Gate) -> Vec<&'f Outline> {
    let patterns = gate.config.patterns();
    let is_meant = |document: &&Outline| {
        gate.config.kind.is_none_or(|kind| kind == document.kind)
            && (gate.config.paths.is_empty() || patterns.is_match(&document.path))
    };
    facts.documents.iter().filter(is_meant).collect()
}

fn artifact_exists(facts: &Facts, gate: &Gate) -> Outcome {
    let (found, least) = (meant(facts, gate), gate.config.least());
    match &found[..] {
        [] => outcome(GateStatus::Pending, "there is no such document yet"),
        [only] if least == 1 => outcome(GateStatus::Passed, format!("there is {}", only.path)),
        found if found.len() >= least => {
            outcome(GateStatus::Passed, format!("there are {} such documents", found.len()))
        }
        found => outcome(GateStatus::Pending, format!("there are {} of {least} such documents", found.len())),
    }
}

fn version_valid(facts: &Facts, gate: &Gate) -> Outcome {
    let found = meant(facts, gate);
    let stated = || found.iter().filter_map(|document| Some((&document.path, document.version.as_deref()?)));
    if let Some((path, version)) = stated().find(|(_, version)| Version::parse(version).is_ordered()) {
        return outcome(GateStatus::Passed, format!("{path} is at {version}"));
    }
    match stated().next() {
        Some((path, version)) => outcome(
            GateStatus::Failed,
            format!(
                "{path} says that it is at `{version}`, which comes before or after nothing; use a number such as 1.2"
            ),
        ),
        None if found.is_empty() => outcome(GateStatus::Pending, "there is no such document yet"),
        None => outcome(GateStatus::Pending, format!("{} states no version yet", found[0].path)),
    }
}

fn dependencies_resolved(facts: &Facts, item: Option<&Brief>) -> Outcome {
    let about = match item.map(|item| item.artifact) {
        Some(None) => return outcome(GateStatus::Skipped, "this is no document, so it builds on none"),
        Some(artifact) => artifact,
        None if facts.documents.is_empty() => {
            return outcome(GateStatus::Pending, "no document is known yet");
        }
        None => None,
    };
    let is_bad = |drift: &&Drifting| match drift.kind {
        ConflictKind::DependencyBroken => true,
        ConflictKind::VersionMismatch => drift.severity != Severity::Info,
        _ => false,
    };
    let is_meant = |drift: &&Drifting| about.is_none() || drift.artifact == about;
    match facts.drift.iter().filter(is_bad).filter(is_meant).count() {
        0 => outcome(GateStatus::Passed, "what is built on is there, in the version that is meant"),
        open => outcome(
            GateStatus::Failed,
            format!("{open} open conflicts that are more than good to know: list_conflicts"),
        ),
    }
}

fn tests_passing(facts: &Facts, gate: &Gate, item: Option<&Brief>) -> Outcome {
    let commit = match item.map(|item| item.commit.as_deref()) {
        Some(None) => {
            let why = "no commit is known that does it; finish_work tells one, with a lane before done too";
            return outcome(GateStatus::Pending, why);
        }
        Some(commit) => commit,
        None => None,
    };
    let is_there = |run: &&Ended| match (commit, &facts.branch) {
        (Some(commit), _) => run.commit.as_deref().is_some_and(|known| is_same_commit(known, commit)),
        (None, Some(branch)) => run.branch.as_ref() == Some(branch),
        (None, None) => run.branch.as_deref().is_some_and(|branch| USUAL.contains(&branch)),
    };
    let is_named = |run: &&Ended| gate.config.run_name.as_ref().is_none_or(|name| *name == run.name);
    let mut newest = BTreeMap::new();
    for run in facts.runs.iter().filter(is_there).filter(is_named) {
        newest.entry(&run.name).or_insert(run.is_success);
    }
    let failed: Vec<_> =
        newest.iter().filter(|(_, is_success)| !**is_success).map(|(name, _)| name.as_str()).collect();
    let place = if commit.is_some() { "this commit" } else { "the tracked branch" };
    let runs = |count: usize| if count == 1 { "1 run".to_owned() } else { format!("{count} runs") };
    match (newest.len(), failed.len()) {
        (0, _) => outcome(GateStatus::Pending, format!("no such run of {place} has ended yet")),
        (all, 0) => outcome(GateStatus::Passed, format!("{} of {place} ended well", runs(all))),
        (_, bad) => {
            let named = failed[..bad.min(NAMED)].join(", ");
            outcome(GateStatus::Failed, format!("{} of {place} failed: {named}", runs(bad)))
        }
    }
}

/// Whether two names are of one commit, of which either may be short.
fn is_same_commit(one: &str, other: &str) -> bool {
    let length = one.len().min(other.len());
    length >= 7
        && one
            .get(..length)
            .zip(other.get(..length))
            .is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
}

fn code_exists(gate: &Gate) -> Outcome {
    match &gate.seen {
        Seen::Unknown => outcome(GateStatus::Pending, "no push and no scan has told of such a file"),
        Seen::Nothing => outcome(GateStatus::Pending, "the newest scan of the repository found no such file"),
        Seen::At(path) => outcome(GateStatus::Passed, format!("there is {path}")),
    }
}

fn manual_review(gate: &Gate) -> Outcome {
    match &gate.decision {
        None => outcome(GateStatus::Pending, "this waits for somebody to decide: submit_gate"),
        Some(decision) => {
            let (status, what) = match decision.verdict {
                Verdict::Failed => (GateStatus::Failed, "refused"),
                Verdict::Passed | Verdict::Waived => (GateStatus::Passed, "passed"),
            };
            outcome(status, format!("{what} by {}: {}", decision.name, decision.reason))
        }
    }
}

/// What quality assurance has decided in files: of several the worst counts.
fn qa_file(facts: &Facts, gate: &Gate, item: Option<&Brief>, now: Time) -> Outcome {
    let story = match item.map(|item| item.artifact) {
        Some(None) => {
            return outcome(GateStatus::Skipped, "this is no document, so no file decides about it");
        }
        Some(Some(artifact)) => match facts.documents.iter().find(|document| document.id == artifact) {
            None => return outcome(GateStatus::Pending, "its document is gone"),
            document => document,
        },
        None => None,
    };
    let mut found = meant(facts, gate);
    found.retain(|document| {
        gate.config.kind.is_some() || document.kind == ArtifactKind::Qa || !gate.config.paths.is_empty()
    });
    found.retain(|document| story.is_none_or(|story| is_about(stem(&document.path), stem(&story.path))));
    let decided = found.into_iter().filter_map(|document| decided(document, now));
    let decided: Vec<_> = decided.collect();
    let due_at = decided.iter().filter_map(|one| one.due_at).min();
    // Worse ones come first.
    let rank = |status: GateStatus| match status {
        GateStatus::Failed => 0,
        GateStatus::Pending | GateStatus::Skipped => 1,
        GateStatus::Waived => 2,
        GateStatus::Passed => 3,
    };
    match decided.into_iter().min_by_key(|one| rank(one.status)) {
        Some(worst) => Outcome { due_at, ..worst },
        None => outcome(GateStatus::Pending, "there is no file yet in which quality assurance has decided"),
    }
}

/// What a file decides at a moment.
fn decided(document: &Outline, now: Time) -> Option<Outcome> {
    let decision = document.gate.as_ref()?;
    let until = decision.expires.as_deref().and_then(moment);
    let is_over = until.is_some_and(|until| until <= now);
    let is_waived =
        decision.waiver.as_ref().map_or(decision.decision == Decision::Waived, |waiver| waiver.active);
    let status = match decision.decision {
        Decision::Pass | Decision::Concerns if is_over => GateStatus::Pending,
        Decision::Pass | Decision::Concerns => GateStatus::Passed,
        Decision::Fail | Decision::Waived if is_waived && !is_over => GateStatus::Waived,
        Decision::Fail | Decision::Waived => GateStatus::Failed,
    };
    let who = decision.reviewer.as_deref().unwrap_or("nobody by name");
    let waiver = decision.waiver.as_ref().filter(|_| status == GateStatus::Waived);
    let why = waiver.and_then(|waiver| waiver.reason.as_ref()).or(decision.reasons.first());
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let over = if is_over { ", which is over" } else { "" };
    let held =
        decision.expires.as_ref().map(|expires| format!(", until {expires}{over}")).unwrap_or_default();
    let message = format!("{} says {} by {who}{held}{why}", document.path, decision.decision);
    Some(Outcome { status, message, due_at: until.filter(|_| !is_over) })
}

/// The moment at which a decision ends: a date is good for all of its day, in UTC.
fn moment(text: &str) -> Option<Time> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc() + TimeDelta::days(1));
    }
    Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
}

fn stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// Whether a file of quality assurance is about a story: both have the same number, as `1.3-sign-in.yml` and `1.3.md` do,
/// or it begins with the name of a story without one.
fn is_about(file: &str, story: &str) -> bool {
    match (number(file), number(story)) {
        (Some(file), Some(story)) => file == story,
        (_, None) => file.starts_with(story),
        (None, Some(_)) => false,
    }
}

/// The number with which the name of a story begins: `1.3-sign-in` and `1-3-sign-in` have 1 and 3.
pub(super) fn number(stem: &str) -> Option<Vec<u64>> {
    let parts = stem.split(['.', '-', '_']).map_while(|part| part.parse().ok());
    let parts: Vec<u64> = parts.take(3).collect();
    (!parts.is_empty()).then_some(parts)
}

/// How far the phases of a project are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How far each is, in percent, in their order.
    pub phases: [(Phase, u32); 4],
    /// The first that is not complete; none if all are.
    pub current: Option<Phase>,
}

impl Progress {
    /// How far the current phase is, in percent.
    pub fn percentage(&self) -> Option<u32> {
        self.phases.iter().find(|(phase, _)| Some(*phase) == self.current).map(|(_, share)| *share)
    }
}

/// How far phases are, from their gates: the share of those that are passed or waived, by weight, among those that are
/// not skipped.
pub(super) fn progress(gates: impl IntoIterator<Item = (Phase, GateStatus, u32)>) -> Progress {
    let mut sums: BTreeMap<Phase, (u32, u32)> = BTreeMap::new();
    let mut open = BTreeSet::new();
    for (phase, status, weight) in gates {
        if status == GateStatus::Skipped {
            continue;
        }
        let (done, all) = sums.entry(phase).or_default();
        *all += weight;
        match status.is_green() {
            true => *done += weight,
            false => {
                open.insert(phase);
            }
        }
    }
    let share = |phase: Phase| match sums.get(&phase) {
        Some((_, 0)) if open.contains(&phase) => 0, // nothing in it counts, and something is open still
        None | Some((_, 0)) => 100,
        Some((done, all)) => done * 100 / all,
    };
    let phases = [Phase::Build, Phase::Map, Phase::Analyze, Phase::Deploy].map(|phase| (phase, share(phase)));
    let current = phases.iter().find(|(_, share)| *share < 100).map(|(phase, _)| *phase);
    Progress { phases, current }
}

#[cfg(test)]
mod tests;
