//! Evidence, and how it leads from one status to the next.
//!
//! Evidence arrives late, out of order and from several instances. What it says counts if nothing newer is known; it is
//! remembered among the activities whenever it comes. Of two pieces from the same instant a tool call is the weaker one:
//! who says that they are blocked may have called a tool just then.

use super::{AgentStatus, EvidenceKind, IDLE_AFTER, WorkItem, task_line};
use crate::{accounts::PrincipalId, artifacts::ArtifactId, clock::Time, wire::wire_enum};

/// Characters of what an activity was.
const WHAT: usize = 200;

wire_enum! {
    /// How something ended that somebody did.
    ActivityOutcome {
        /// It began.
        Started = "started",
        /// It ended well.
        Success = "success",
        /// It ended badly, or was refused.
        Failure = "failure",
        /// It ended without a result.
        Cancelled = "cancelled",
    }
}

/// What somebody did, once or several times in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// What kind of thing it was.
    pub kind: EvidenceKind,
    /// The tool, the run, or what was said.
    pub what: String,
    /// How it ended, for what has an outcome.
    pub outcome: Option<ActivityOutcome>,
    /// How often in a row.
    pub times: u64,
    /// The branch, of pushes and runs.
    pub branch: Option<String>,
    /// The commit, of pushes and runs.
    pub commit: Option<String>,
    /// When it was done first.
    pub first_at: Time,
    /// When it was done last.
    pub last_at: Time,
}

impl Activity {
    /// Something that was done once.
    pub fn once(kind: EvidenceKind, what: &str, at: Time) -> Self {
        let what = task_line(what).unwrap_or_default().chars().take(WHAT).collect();
        let (branch, commit) = (None, None);
        Self { kind, what, outcome: None, times: 1, branch, commit, first_at: at, last_at: at }
    }

    /// Whether the other one is the same again.
    pub(super) fn is_again(&self, other: &Self) -> bool {
        let what = |it: &Self| (it.kind, it.outcome, it.commit.clone(), it.branch.clone());
        self.what == other.what && what(self) == what(other)
    }

    /// Counts the same again.
    pub(super) fn add(&mut self, other: &Self) {
        self.times = self.times.saturating_add(other.times);
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
    }
}

/// A sign of life of somebody in a project, and what it says of them. What it does not say stays as it is.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// What kind of sign it is.
    pub kind: EvidenceKind,
    /// When it was given, by our clock.
    pub at: Time,
    /// How they are at work by it.
    pub status: Option<AgentStatus>,
    /// What they are at.
    pub task: Option<Option<String>>,
    /// The document that it is about.
    pub artifact: Option<Option<ArtifactId>>,
    /// The work item that it is about.
    pub work_item: Option<Option<WorkItem>>,
    /// What they did, oldest first.
    pub activities: Vec<Activity>,
}

impl Evidence {
    /// Evidence by which somebody is at work as `status` says, and what they did.
    pub fn new(kind: EvidenceKind, at: Time, status: Option<AgentStatus>, what: &str) -> Self {
        let activities = vec![Activity::once(kind, what, at)];
        Self { kind, at, status, task: None, artifact: None, work_item: None, activities }
    }

    /// Says also what they are at: text of anybody, of which one visible line is kept. None takes it away.
    #[must_use]
    pub fn with_task(mut self, task: Option<&str>) -> Self {
        self.task = Some(task.and_then(task_line));
        self
    }

    /// Says also which document that is about; none takes it away.
    #[must_use]
    pub fn with_artifact(mut self, artifact: Option<ArtifactId>) -> Self {
        self.artifact = Some(artifact);
        self
    }

    /// Says also which work item that is about; none takes it away.
    #[must_use]
    pub fn with_work_item(mut self, work_item: Option<WorkItem>) -> Self {
        self.work_item = Some(work_item);
        self
    }
}

/// What is known of what somebody is at in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Who.
    pub principal: PrincipalId,
    /// How they are at work.
    pub status: AgentStatus,
    /// Since when.
    pub since: Time,
    /// What they are at, in one line.
    pub task: Option<String>,
    /// The document that it is about.
    pub artifact: Option<ArtifactId>,
    /// The work item that it is about.
    pub work_item: Option<WorkItem>,
    /// When the newest evidence is from.
    pub seen_at: Time,
    /// What that was.
    pub seen_by: EvidenceKind,
}

impl Presence {
    /// What is known of somebody before their first evidence.
    pub(super) fn unknown(principal: PrincipalId, first: &Evidence) -> Self {
        Self {
            principal,
            status: AgentStatus::Idle,
            since: first.at,
            task: None,
            artifact: None,
            work_item: None,
            seen_at: first.at,
            seen_by: first.kind,
        }
    }

    /// What is known with one more piece of evidence. One that is so old that they would be idle again by it tells when
    /// they were seen, but makes nobody running.
    pub(super) fn after(&self, evidence: &Evidence, now: Time) -> Self {
        let is_weaker = evidence.kind == EvidenceKind::ToolCall && self.seen_by != EvidenceKind::ToolCall;
        if evidence.at < self.seen_at || (evidence.at == self.seen_at && is_weaker) {
            return self.clone();
        }
        let is_over =
            |status: &AgentStatus| *status == AgentStatus::Running && now - evidence.at >= IDLE_AFTER;
        let status = evidence.status.filter(|status| !is_over(status)).unwrap_or(self.status);
        Self {
            principal: self.principal,
            status,
            since: if status == self.status { self.since } else { evidence.at.max(self.since) },
            task: evidence.task.clone().unwrap_or_else(|| self.task.clone()),
            artifact: evidence.artifact.unwrap_or(self.artifact),
            work_item: evidence.work_item.unwrap_or(self.work_item),
            seen_at: evidence.at,
            seen_by: evidence.kind,
        }
    }

    /// What is known once there was no evidence for so long.
    pub(super) fn when_silent(&self) -> Self {
        Self { status: AgentStatus::Idle, since: self.seen_at + IDLE_AFTER, ..self.clone() }
    }

    /// Whether others see no difference but in when there was evidence.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        (self.status, &self.task, self.artifact, self.work_item)
            == (other.status, &other.task, other.artifact, other.work_item)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn at(second: i64) -> Time {
        Time::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    fn evidence(kind: EvidenceKind, second: i64, status: AgentStatus) -> Evidence {
        Evidence::new(kind, at(second), Some(status), "x")
    }

    fn any_evidence() -> impl Strategy<Value = Evidence> {
        let kind = proptest::sample::select(EvidenceKind::ALL);
        let status = proptest::option::of(proptest::sample::select(AgentStatus::ALL));
        (kind, 0..100_i64, status)
            .prop_map(|(kind, second, status)| Evidence::new(kind, at(second), status, "x"))
    }

    fn known_by(evidence: &[Evidence]) -> Presence {
        let unknown = Presence::unknown(PrincipalId(Uuid::nil()), &evidence[0]);
        evidence.iter().fold(unknown, |known, evidence| known.after(evidence, at(100)))
    }

    #[test]
    fn a_tool_call_from_the_instant_of_a_report_does_not_overrule_it() {
        let report = evidence(EvidenceKind::Report, 95, AgentStatus::Blocked);
        let call = |second| evidence(EvidenceKind::ToolCall, second, AgentStatus::Running);
        for order in [[report.clone(), call(95)], [call(95), report.clone()]] {
            assert_eq!(known_by(&order).status, AgentStatus::Blocked);
        }
        assert_eq!(known_by(&[report, call(96)]).status, AgentStatus::Running);
    }

    #[test]
    fn evidence_that_comes_too_late_makes_nobody_running() {
        let call = |second| evidence(EvidenceKind::ToolCall, second, AgentStatus::Running);
        assert_eq!(known_by(&[call(70)]).status, AgentStatus::Idle);
        assert_eq!(known_by(&[call(71)]).status, AgentStatus::Running);
        assert_eq!(known_by(&[call(70)]).seen_at, at(70));
        assert_eq!(
            known_by(&[evidence(EvidenceKind::Run, 5, AgentStatus::Error)]).status,
            AgentStatus::Error
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_in_whatever_order_the_newest_is_what_was_seen(
            evidence in proptest::collection::vec(any_evidence(), 1..20),
        ) {
            let known = known_by(&evidence);
            let newest = evidence.iter().map(|evidence| evidence.at).max();
            prop_assert_eq!(Some(known.seen_at), newest);
            prop_assert!(known.since <= known.seen_at);
        }

        #[test]
        fn an_older_piece_changes_nothing(
            evidence in proptest::collection::vec(any_evidence(), 1..20),
            late in any_evidence(),
        ) {
            let known = known_by(&evidence);
            if late.at < known.seen_at {
                prop_assert_eq!(known.after(&late, at(100)), known);
            }
        }
    }
}
