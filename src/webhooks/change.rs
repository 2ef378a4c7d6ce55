//! What deliveries mean to the domain, whichever host sent them.
//!
//! What the log says of a thing has the same fields for every host; what a host does not tell is null.

use serde::Serialize;
use serde_json::{Value, json};

use super::text::{Text, fit};
use crate::{
    artifacts::Touch,
    clock::Time,
    events::{EventName, NewEvent},
    runs::RunState,
};

/// One thing that a delivery tells of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Commits or a tag were pushed.
    Push(Push),
    /// A pipeline moved.
    Run(RunState),
    /// A pull or merge request was opened, changed, merged or closed.
    PullRequest(PullRequestLog),
    /// Something to be logged that changes no state of ours.
    Note(EventName, Value),
}

impl Change {
    /// The same with names that can be looked up.
    pub(super) fn with_fitting_names(mut self) -> Self {
        let fit_any = |name: &mut Option<String>| name.iter_mut().for_each(fit);
        match &mut self {
            Self::Push(Push { by, touches, log, .. }) => {
                by.iter_mut().for_each(fit);
                fit_any(&mut log.branch);
                fit_any(&mut log.tag);
                log.after.iter_mut().for_each(Text::fit);
                touches.iter_mut().flat_map(|touch| [&mut touch.path, &mut touch.commit]).for_each(fit);
            }
            Self::Run(run) => {
                fit(&mut run.external_id);
                fit_any(&mut run.branch);
                fit_any(&mut run.commit);
            }
            Self::PullRequest(log) => log.branch.fit(),
            Self::Note(..) => {}
        }
        self
    }
}

/// A push to a branch or tag.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Push {
    /// The repository's default branch.
    pub(super) default_branch: Option<String>,
    /// What the host calls those who made it: whoever pushed, and the newest commit's author, by logins and names.
    pub(super) by: Vec<String>,
    /// What it did to each path, as its commits leave it.
    pub(super) touches: Vec<Touch>,
    /// When it happened, by the host's clock, if the host said.
    pub(super) pushed_at: Option<Time>,
    /// What the log says of it.
    pub(super) log: PushLog,
}

impl Push {
    pub(super) fn event(&self) -> NewEvent {
        NewEvent { name: EventName::Push, payload: json!(self.log) }
    }

    /// Whether its documents count, given the branch that the project names.
    pub(super) fn is_tracked(&self, configured: Option<&str>) -> bool {
        let tracked = configured.or(self.default_branch.as_deref());
        self.log.branch.is_some() && self.log.branch.as_deref() == tracked
    }
}

/// What the log says of a push.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct PushLog {
    /// The branch, if it was one; its documents count when it is the tracked one.
    pub(super) branch: Option<String>,
    /// The tag, if it was one.
    pub(super) tag: Option<String>,
    pub(super) before: Option<Text>,
    pub(super) after: Option<Text>,
    pub(super) created: bool,
    pub(super) deleted: bool,
    pub(super) forced: Option<bool>,
    /// How many commits were pushed.
    pub(super) commits: Option<u64>,
    /// The newest commit's first line.
    pub(super) message: String,
    pub(super) author: Option<Text>,
    /// How many files the listed commits touch.
    pub(super) files: Option<usize>,
    pub(super) url: String,
}

/// What the log says of a pull or merge request.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PullRequestLog {
    /// In the host's own word.
    pub(super) action: Text,
    pub(super) number: Option<u64>,
    pub(super) title: Text,
    /// `open`, `closed` or `merged`.
    pub(super) state: Text,
    pub(super) draft: bool,
    pub(super) author: Option<Text>,
    pub(super) sender: Option<Text>,
    pub(super) branch: Text,
    pub(super) base: Text,
    pub(super) commit: Text,
    pub(super) updated_at: Option<Text>,
    pub(super) url: Text,
}

impl From<PullRequestLog> for Change {
    fn from(log: PullRequestLog) -> Self {
        Self::PullRequest(log)
    }
}

impl PullRequestLog {
    pub(super) fn event(&self) -> NewEvent {
        NewEvent { name: EventName::PullRequestChanged, payload: json!(self) }
    }
}

/// What the log says of an issue.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IssueLog {
    /// In the host's own word.
    pub(super) action: Text,
    pub(super) number: Option<u64>,
    pub(super) title: Option<Text>,
    /// `open` or `closed`.
    pub(super) state: Option<Text>,
    pub(super) author: Option<Text>,
    pub(super) sender: Option<Text>,
    pub(super) updated_at: Option<Text>,
    pub(super) url: Option<Text>,
}

impl From<IssueLog> for Change {
    fn from(log: IssueLog) -> Self {
        Self::Note(EventName::IssueChanged, json!(log))
    }
}

/// What the log says of a release that was published.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReleaseLog {
    pub(super) tag: Text,
    pub(super) name: Option<Text>,
    pub(super) prerelease: bool,
    pub(super) author: Option<Text>,
    pub(super) published_at: Option<Text>,
    pub(super) url: Text,
}

impl From<ReleaseLog> for Change {
    fn from(log: ReleaseLog) -> Self {
        Self::Note(EventName::ReleasePublished, json!(log))
    }
}
