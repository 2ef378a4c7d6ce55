//! What deliveries mean to the domain, whichever host sent them.

use serde_json::Value;

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
    /// Something to be logged that changes no state of ours.
    Note(EventName, Value),
}

/// A push to a branch or tag.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Push {
    /// The branch, if it was one; its documents count when it is the tracked one.
    pub(super) branch: Option<String>,
    /// The repository's default branch.
    pub(super) default_branch: Option<String>,
    /// What it did to each path, as its commits leave it.
    pub(super) touches: Vec<Touch>,
    /// When it happened, by the host's clock, if the host said.
    pub(super) pushed_at: Option<Time>,
    /// What the log says of it.
    pub(super) payload: Value,
}

impl Push {
    pub(super) fn event(&self) -> NewEvent {
        NewEvent { name: EventName::Push, payload: self.payload.clone() }
    }

    /// Whether its documents count, given the branch that the project names.
    pub(super) fn is_tracked(&self, configured: Option<&str>) -> bool {
        let tracked = configured.or(self.default_branch.as_deref());
        self.branch.is_some() && self.branch.as_deref() == tracked
    }
}
