//! What agents run: begun, kept alive and ended by the agent itself.
//!
//! Every change is a sign of life and puts the deadline off. Totals of cost and tokens only grow, so that a change that
//! comes late is noticed rather than believed. An ended run stays as it is: the same end once more is answered alike,
//! because whoever did not hear the answer asks again; anything else is refused with how it ended.

use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;

use super::{AgentRun, Marks, Run, RunId, RunKind, RunState, RunStatus, Runner, record, store};
use crate::{
    accounts::{Principal, Role, parse_name},
    agents::{ActivityOutcome, seen},
    app::App,
    clock::Time,
    error::{Code, Error, Result},
    gates,
    projects::{self, ProjectId},
    prose::parse_text,
    wire::{Timestamp, is_visible},
};

/// Seconds that a run is waited for after a sign of life, if the agent does not say.
const DEADLINE: i64 = 3_600;
/// Characters of a branch's name and of a summary.
const BRANCH: usize = 250;
const SUMMARY: usize = 2_000;
/// The largest total: a million dollars, or as many millions of tokens.
const MOST: i64 = 1_000_000_000_000;

/// A run that an agent begins.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The name people see.
    pub name: String,
    /// The branch it works on.
    pub branch: Option<String>,
    /// The commit it starts from.
    pub commit: Option<String>,
    /// The work item that it is for.
    pub work_item: Option<Uuid>,
    /// How many seconds it is to be waited for after each sign of life.
    pub deadline_seconds: Option<i64>,
}

/// What an agent tells of its run; what is left out stays.
#[derive(Clone, Debug, Default)]
pub struct RunPatch {
    /// How it stands now.
    pub status: Option<RunStatus>,
    /// What there is to say of it.
    pub summary: Option<String>,
    /// What it has used so far.
    pub spent: Spent,
}

/// What a run has used so far, as its agent counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Millionths of a US dollar.
    pub cost_micro_usd: Option<i64>,
    /// Tokens that models have read.
    pub input_tokens: Option<i64>,
    /// Tokens that models have written.
    pub output_tokens: Option<i64>,
}

impl Spent {
    fn each(&self) -> [(&'static str, Option<i64>); 3] {
        [
            ("costMicroUsd", self.cost_micro_usd),
            ("inputTokens", self.input_tokens),
            ("outputTokens", self.output_tokens),
        ]
    }

    fn check(&self) -> Result<()> {
        for (name, total) in self.each() {
            if total.is_some_and(|total| !(0..=MOST).contains(&total)) {
                let why = format!("use a whole number between 0 and {MOST}: the total of the run so far");
                return Err(Error::invalid_field(format!("/{name}"), why));
            }
        }
        Ok(())
    }

    /// The totals after `more` was told.
    fn grown(&self, more: &Self) -> Result<Self> {
        for ((name, known), (_, told)) in self.each().into_iter().zip(more.each()) {
            if let (Some(known), Some(told)) = (known, told)
                && told < known
            {
                let why = format!(
                    "`{name}` is at {known} already and {told} is less: send the total of the run so far, which only \
                     grows"
                );
                return Err(Error::new(Code::Conflict, why));
            }
        }
        Ok(Self {
            cost_micro_usd: more.cost_micro_usd.or(self.cost_micro_usd),
            input_tokens: more.input_tokens.or(self.input_tokens),
            output_tokens: more.output_tokens.or(self.output_tokens),
        })
    }
}

/// Begins a run of the caller's.
///
/// # Errors
/// `invalid_request` for what does not make sense, `not_found` for a project out of reach.
pub async fn begin_run(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    new: NewRun,
) -> Result<Run> {
    projects::reach(app, principal, project).await?;
    let by = Runner { id: principal.id, name: principal.name.clone() };
    let run = new.parse(RunId(app.ids.uuid()), by, app.clock.now())?;
    let context = Arc::clone(app);
    app.database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                projects::hold(tx, project).await?;
                let events = record(&context, tx, project, None, &run, run.state.stated_at).await?;
                gates::tell(&context, tx, project, events).await?;
                Ok(run)
            })
        })
        .await
}

impl NewRun {
    fn parse(self, id: RunId, by: Runner, now: Time) -> Result<Run> {
        let deadline_seconds = self.deadline_seconds.unwrap_or(DEADLINE);
        if !(30..=86_400).contains(&deadline_seconds) {
            let why = "use whole seconds between 30 and 86400, in which a sign of life comes for certain";
            return Err(Error::invalid_field("/deadlineSeconds", why));
        }
        let state = RunState {
            source: None,
            external_id: id.to_string(),
            kind: RunKind::Agent,
            name: parse_name("/name", &self.name)?,
            status: RunStatus::Running,
            commit: self.commit.as_deref().map(parse_commit).transpose()?,
            branch: self.branch.as_deref().map(parse_branch).transpose()?,
            url: None,
            made_at: None,
            started_at: Some(now),
            finished_at: None,
            duration_ms: None,
            revision: 0,
            stated_at: now,
        };
        let (work_item, spent) = (self.work_item, Spent::default());
        let agent = AgentRun { by, work_item, deadline_seconds, summary: None, spent };
        let deadline_at = Some(now + TimeDelta::seconds(deadline_seconds));
        Ok(Run { id, state, agent: Some(agent), deadline_at, marks: Marks::default() })
    }
}

/// Takes in what an agent tells of its run: that it is alive, how far it is, or that it has ended.
///
/// # Errors
/// `invalid_request` for what does not make sense, `not_found` for a project or run out of reach, `insufficient_scope` for
/// somebody else's run, `conflict` for one of a Git host, for one that has ended otherwise, and for totals that shrink.
pub async fn update_run(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    id: RunId,
    patch: RunPatch,
) -> Result<Run> {
    projects::reach(app, principal, project).await?;
    let patch = patch.parse()?;
    let (context, caller) = (Arc::clone(app), principal.clone());
    let ends = patch.status.is_some_and(RunStatus::is_final);
    let run = app
        .database
        .write(principal.tenant, move |tx| {
            Box::pin(async move {
                projects::hold(tx, project).await?;
                let known = store::find_to_change(tx, project, id).await?;
                let known = known.ok_or_else(|| Error::not_found("run"))?;
                let now = context.clock.now();
                let Some(run) = known.told(&caller, patch, now)? else { return Ok(known) };
                let events = record(&context, tx, project, Some(known.state.status), &run, now).await?;
                gates::tell(&context, tx, project, events).await?;
                Ok(run)
            })
        })
        .await?;
    if !ends {
        seen(app, principal, project, "update_run", ActivityOutcome::Success);
    }
    Ok(run)
}

impl RunPatch {
    fn parse(self) -> Result<Self> {
        if matches!(self.status, Some(RunStatus::Queued | RunStatus::Lost)) {
            let why = "use `running` as a sign of life, or `success`, `failed` or `cancelled` as the end";
            return Err(Error::invalid_field("/status", why));
        }
        self.spent.check()?;
        Ok(Self { summary: self.summary.as_deref().map(parse_summary).transpose()?, ..self })
    }
}

impl Run {
    /// The run after `by` has told something of it; none if that was told before.
    fn told(&self, by: &Principal, patch: RunPatch, now: Time) -> Result<Option<Self>> {
        let Some(agent) = &self.agent else {
            let host = self.state.source.map_or("its Git host", |source| source.as_str());
            let why = format!(
                "this run is {host}'s, and only what {host} tells of it changes it; begin one of your own"
            );
            return Err(Error::new(Code::Conflict, why));
        };
        if agent.by.id != by.id && !matches!(by.role, Role::Owner | Role::Admin) {
            let why = format!(
                "this run is {}'s ({}), and only they and admins may change it; begin one of your own",
                agent.by.name, agent.by.id
            );
            return Err(Error::new(Code::InsufficientScope, why));
        }
        if self.state.status.is_final() {
            return if patch.status == Some(self.state.status) { Ok(None) } else { Err(self.is_over()) };
        }
        let mut run = self.clone();
        let status = patch.status.unwrap_or(RunStatus::Running);
        let deadline_at = now + TimeDelta::seconds(agent.deadline_seconds);
        let agent = AgentRun {
            summary: patch.summary.or_else(|| agent.summary.clone()),
            spent: agent.spent.grown(&patch.spent)?,
            ..agent.clone()
        };
        run.agent = Some(agent);
        run.deadline_at = (!status.is_final()).then_some(deadline_at);
        run.state.finished_at = status.is_final().then_some(now);
        (run.state.status, run.state.stated_at) = (status, now);
        run.state.revision += 1;
        Ok(Some(run))
    }

    fn is_over(&self) -> Error {
        let RunState { status, finished_at, stated_at, .. } = self.state;
        let how = match finished_at {
            Some(at) => format!("this run ended as `{status}` at {}", Timestamp(at)),
            None => format!(
                "this run was closed as `{status}`, because nothing was heard of it within its deadline after {}",
                Timestamp(stated_at)
            ),
        };
        Error::new(Code::Conflict, format!("{how}, and stays so; begin another one for further work"))
    }
}

/// A hash, or the beginning of one.
fn parse_commit(text: &str) -> Result<String> {
    let commit = text.trim().to_ascii_lowercase();
    if !(7..=64).contains(&commit.len()) || !commit.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let why = "use the hash of a commit: 7 to 64 hexadecimal digits";
        return Err(Error::invalid_field("/commit", why));
    }
    Ok(commit)
}

fn parse_branch(text: &str) -> Result<String> {
    let branch = text.trim();
    let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    let is_fit = |letter: char| is_visible(letter) && !letter.is_whitespace();
    if branch.is_empty() || branch.chars().count() > BRANCH || !branch.chars().all(is_fit) {
        let why = format!("a branch has a name of 1 to {BRANCH} characters without spaces, such as `main`");
        return Err(Error::invalid_field("/branch", why));
    }
    Ok(branch.to_owned())
}

fn parse_summary(text: &str) -> Result<String> {
    parse_text("/summary", text, SUMMARY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_only_grow_and_what_is_left_out_stays() {
        let known = Spent { cost_micro_usd: Some(5), input_tokens: None, output_tokens: Some(7) };
        let more = Spent { cost_micro_usd: Some(5), input_tokens: Some(0), output_tokens: None };
        let grown = Spent { cost_micro_usd: Some(5), input_tokens: Some(0), output_tokens: Some(7) };
        assert_eq!(known.grown(&more).ok(), Some(grown));
        let less = Spent { output_tokens: Some(6), ..Spent::default() };
        assert_eq!(known.grown(&less).expect_err("refused").code, Code::Conflict);
        for bad in [-1, MOST + 1, i64::MIN, i64::MAX] {
            let error = Spent { input_tokens: Some(bad), ..Spent::default() }.check().expect_err("refused");
            assert_eq!(error.fields[0].pointer, "/inputTokens");
        }
        assert!(Spent { cost_micro_usd: Some(MOST), ..Spent::default() }.check().is_ok());
    }

    #[test]
    fn branches_commits_and_summaries_are_what_they_say() {
        assert_eq!(parse_branch(" refs/heads/feature/ü ").ok().as_deref(), Some("feature/ü"));
        for bad in ["", "refs/heads/", "a b", "a\0b", "a\u{202e}b", &"x".repeat(251)] {
            assert!(parse_branch(bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse_commit("ABCDEF0").ok().as_deref(), Some("abcdef0"));
        for bad in ["", "abcdef", "main", "abcdefg", &"a".repeat(65)] {
            assert!(parse_commit(bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse_summary(" two\r\nlines ").ok().as_deref(), Some("two\nlines"));
        for bad in ["", " ", "a\u{202e}b", &"x".repeat(2001)] {
            assert!(parse_summary(bad).is_err(), "{bad:?}");
        }
    }
}
