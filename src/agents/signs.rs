//! Signs of life that tool calls give: kept in memory, and written now and then.
//!
//! A call costs a lock and a few words. What waits is due at once if it makes somebody running, as far as this process
//! knows, else [`PACE`] after what was written last; what another instance changed meanwhile is noticed at the next
//! write. Calls that wait are summed up: of each tool how often, when first and when last, well and badly.

use std::{collections::HashMap, sync::Arc};

use chrono::TimeDelta;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Activity, ActivityOutcome, AgentStatus, Evidence, EvidenceKind, IDLE_AFTER, Presence, WorkItem};
use crate::{
    accounts::{Principal, PrincipalId},
    app::App,
    artifacts::ArtifactId,
    clock::Time,
    database::TenantId,
    projects::ProjectId,
};

/// The shortest time between two writes that only say that somebody is running still.
pub(super) const PACE: TimeDelta = TimeDelta::seconds(10);

/// Whose signs they are, and where.
pub(super) type Whose = (TenantId, ProjectId, PrincipalId);

/// The signs of life that this process has seen. A clone is another handle to the same.
#[derive(Clone, Default)]
pub struct Signs(Arc<Inner>);

#[derive(Default)]
struct Inner {
    lives: Mutex<HashMap<Whose, Life>>,
    /// Told when something is to be written at once.
    due: Notify,
}

/// What this process knows of somebody in a project.
#[derive(Default)]
struct Life {
    /// How they stood when that was written last, and by evidence from when.
    known: Option<(AgentStatus, Time)>,
    /// What was seen since.
    waiting: Option<Waiting>,
    /// Whether something is being written.
    is_written: bool,
}

/// Calls that have not been written, oldest first.
#[derive(Default)]
struct Waiting {
    last: Time,
    calls: Vec<Activity>,
    /// What they are at since; none if nothing was said of that.
    task: Option<Task>,
}

/// What somebody is at, by what they hold. Nothing is a task, too.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// In one line, which anybody may have written.
    pub line: Option<String>,
    /// The document that it is about.
    pub artifact: Option<ArtifactId>,
    /// The work item.
    pub work_item: Option<WorkItem>,
}

impl Waiting {
    fn add(&mut self, call: &Activity) {
        self.last = self.last.max(call.last_at);
        match self.calls.iter_mut().find(|known| known.is_again(call)) {
            Some(known) => known.add(call),
            None => self.calls.push(call.clone()),
        }
    }

    fn into_evidence(self) -> Evidence {
        let evidence = Evidence {
            kind: if self.task.is_some() { EvidenceKind::Claim } else { EvidenceKind::ToolCall },
            at: self.last,
            status: Some(AgentStatus::Running),
            task: None,
            artifact: None,
            work_item: None,
            activities: self.calls,
        };
        match self.task {
            Some(Task { line, artifact, work_item }) => {
                evidence.with_task(line.as_deref()).with_artifact(artifact).with_work_item(work_item)
            }
            None => evidence,
        }
    }
}

impl Life {
    fn is_due(&self, now: Time) -> bool {
        let is_running =
            |(status, at): (AgentStatus, Time)| status == AgentStatus::Running && now - at < PACE;
        self.waiting.is_some() && !self.is_written && !self.known.is_some_and(is_running)
    }
}

/// Notes that somebody called a tool for a project. This never waits for anything.
pub fn seen(app: &App, principal: &Principal, project: ProjectId, tool: &str, outcome: ActivityOutcome) {
    let now = app.clock.now();
    let whose = (principal.tenant, project, principal.id);
    let call = Activity { outcome: Some(outcome), ..Activity::once(EvidenceKind::ToolCall, tool, now) };
    app.signs.note(whose, &call, now);
}

/// Notes that somebody claimed something, goes on with it, or has it no more. This never waits for anything.
pub fn is_at(app: &App, principal: &Principal, project: ProjectId, did: &str, task: Task) {
    let now = app.clock.now();
    let whose = (principal.tenant, project, principal.id);
    app.signs.note_task(whose, &Activity::once(EvidenceKind::Claim, did, now), task, now);
}

impl Signs {
    fn note_task(&self, whose: Whose, did: &Activity, task: Task, now: Time) {
        let mut lives = self.0.lives.lock();
        let life = lives.entry(whose).or_default();
        let waiting = life.waiting.get_or_insert_default();
        waiting.add(did);
        waiting.task = Some(task);
        // What they are at is news, even of somebody who is running already.
        life.known = None;
        if life.is_due(now) {
            self.0.due.notify_one();
        }
    }

    fn note(&self, whose: Whose, call: &Activity, now: Time) {
        let mut lives = self.0.lives.lock();
        let life = lives.entry(whose).or_default();
        life.waiting.get_or_insert_default().add(call);
        if life.is_due(now) {
            self.0.due.notify_one();
        }
    }

    /// Returns once something may have to be written at once.
    pub(super) async fn wait(&self) {
        self.0.due.notified().await;
    }

    /// Takes what is due at a time, or all that waits without one. What became of it is told by [`Signs::written`], or by
    /// [`Signs::keep`] if it could not be written; until then nothing more of the same agent is taken.
    pub(super) fn take(&self, now: Option<Time>) -> Vec<(Whose, Evidence)> {
        let is_due = |life: &Life| match now {
            Some(now) => life.is_due(now),
            None => life.waiting.is_some(),
        };
        let mut lives = self.0.lives.lock();
        let due = lives.iter_mut().filter(|(_, life)| is_due(life));
        due.filter_map(|(whose, life)| {
            life.is_written = true;
            Some((*whose, life.waiting.take()?.into_evidence()))
        })
        .collect()
    }

    /// Knows how somebody stands, as that was just written.
    pub(super) fn learn(&self, whose: Whose, presence: &Presence) {
        let mut lives = self.0.lives.lock();
        let life = lives.entry(whose).or_default();
        life.known = Some((presence.status, presence.seen_at));
    }

    /// Knows that what was taken is written, or that there is nobody whom it could be written of.
    pub(super) fn written(&self, whose: Whose, presence: Option<&Presence>) {
        match presence {
            Some(presence) => {
                self.learn(whose, presence);
                if let Some(life) = self.0.lives.lock().get_mut(&whose) {
                    life.is_written = false;
                    // It may be due already, which nobody was told of while this was written.
                    if life.waiting.is_some() {
                        self.0.due.notify_one();
                    }
                }
            }
            None => drop(self.0.lives.lock().remove(&whose)),
        }
    }

    /// Takes back what could not be written, until the next time.
    pub(super) fn keep(&self, whose: Whose, evidence: &Evidence) {
        let mut lives = self.0.lives.lock();
        let life = lives.entry(whose).or_default();
        life.is_written = false;
        let newer = std::mem::take(&mut life.waiting).unwrap_or_default();
        let mut all = Waiting::default();
        evidence.activities.iter().chain(&newer.calls).for_each(|call| all.add(call));
        let older = evidence.task.clone().map(|line| Task {
            line,
            artifact: evidence.artifact.flatten(),
            work_item: evidence.work_item.flatten(),
        });
        all.task = newer.task.or(older);
        life.waiting = Some(all);
    }

    /// Forgets those of whom nothing waits and who would be idle by now.
    pub(super) fn forget(&self, now: Time) {
        let is_over = |(_, at): (AgentStatus, Time)| now - at >= IDLE_AFTER;
        let is_needed =
            |life: &Life| life.is_written || life.waiting.is_some() || !life.known.is_none_or(is_over);
        self.0.lives.lock().retain(|_, life| is_needed(life));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const WHOSE: Whose =
        (TenantId(Uuid::nil()), ProjectId(Uuid::from_u128(1)), PrincipalId(Uuid::from_u128(2)));

    fn at(second: i64) -> Time {
        Time::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    fn call(signs: &Signs, tool: &str, second: i64) {
        let call = Activity {
            outcome: Some(ActivityOutcome::Success),
            ..Activity::once(EvidenceKind::ToolCall, tool, at(second))
        };
        signs.note(WHOSE, &call, at(second));
    }

    fn running(signs: &Signs, evidence: &Evidence) {
        let unknown = Presence::unknown(WHOSE.2, evidence);
        signs.written(WHOSE, Some(&unknown.after(evidence, evidence.at)));
    }

    fn taken(signs: &Signs, second: i64) -> Vec<(String, u64)> {
        let taken = signs.take(Some(at(second)));
        taken.iter().for_each(|(_, evidence)| running(signs, evidence));
        let calls = taken.into_iter().flat_map(|(_, evidence)| evidence.activities);
        calls.map(|call| (call.what, call.times)).collect()
    }

    #[test]
    fn the_first_call_is_due_at_once_and_later_ones_together() {
        let signs = Signs::default();
        call(&signs, "get_run", 0);
        assert_eq!(taken(&signs, 0), [("get_run".to_owned(), 1)]);
        for second in 1..9 {
            call(&signs, if second % 2 == 0 { "get_run" } else { "list_runs" }, second);
            assert_eq!(taken(&signs, second), []);
        }
        assert_eq!(taken(&signs, 10), [("list_runs".to_owned(), 4), ("get_run".to_owned(), 4)]);
        assert_eq!(taken(&signs, 30), []);
        signs.forget(at(38));
        assert!(signs.0.lives.lock().is_empty());
    }

    #[test]
    fn what_is_being_written_is_not_taken_twice_and_comes_back_if_it_could_not_be() {
        let signs = Signs::default();
        call(&signs, "get_run", 0);
        let (_, evidence) = signs.take(Some(at(0))).pop().expect("due");
        call(&signs, "get_run", 1);
        assert_eq!(taken(&signs, 1), []);
        signs.keep(WHOSE, &evidence);
        assert_eq!(taken(&signs, 1), [("get_run".to_owned(), 2)]);
    }

    #[test]
    fn who_is_known_to_be_blocked_is_running_again_with_the_next_call() {
        let signs = Signs::default();
        call(&signs, "get_run", 0);
        taken(&signs, 0);
        let report = Evidence::new(EvidenceKind::Report, at(1), Some(AgentStatus::Blocked), "blocked");
        signs.learn(WHOSE, &Presence::unknown(WHOSE.2, &report).after(&report, at(1)));
        call(&signs, "get_run", 2);
        assert_eq!(taken(&signs, 2).len(), 1);
    }
}
