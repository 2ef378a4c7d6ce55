//! The event log: what happened in a project, by position, and the streams that follow it.
//!
//! Operations append events in the transaction of the change that caused them ([`append`]); dashboards and
//! agents read them as a list or follow them as a stream. Positions of a project are 1, 2, 3 … without a gap,
//! in commit order: the head is one narrow row, bumped in the transaction, last.
//!
//! After the commit the [`bus`] is told. Its signals only wake: what a subscriber gets is always read from
//! the log, so a signal that is lost or doubled costs at most a second. A subscriber that comes back with the
//! id of the last event it saw gets every one since, once, in order, or an explicit `reset` when this log
//! cannot serve that position. One that stops reading is cut off and resumes the same way.
//!
//! Two carriers, one way to read: server-sent events carry one project (`stream.rs`), a WebSocket carries many
//! (`socket.rs`). Both live off the same followers, count against the same limit per principal, and end within a
//! second of the key they were opened with. Who only wants to know that something changed has a [`Watch`].

mod api;
pub mod bus;
mod cursor;
mod follow;
mod list;
mod socket;
mod store;
mod stream;
mod tools;
mod watch;
mod wire;

use std::{fmt, str::FromStr};

use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use self::socket::open_socket;
pub use self::{
    api::{EventOut, EventsApi},
    cursor::{OpenStream, Streams},
    follow::Followers,
    list::{EventFilter, EventOrder, list_events},
    tools::ListChanges,
    watch::{Moved, Watch},
};
use crate::{
    accounts::{Principal, PrincipalId},
    app::App,
    clock::Time,
    database::Tx,
    error::{Error, Result},
    projects,
    wire::{ProjectId, Timestamp, id_type, wire_enum},
};

id_type! {
    /// Names one project's log; a log that was made anew has another one.
    LogId
}

wire_enum! {
    /// What an event tells of.
    EventName {
        /// A delivery was accepted.
        DeliveryReceived = "delivery_received",
        /// A delivery could not be processed, for good.
        DeliveryFailed = "delivery_failed",
        /// Commits or a tag were pushed.
        Push = "push",
        /// A pull request was opened, changed, merged or closed.
        PullRequestChanged = "pull_request_changed",
        /// An issue was opened, changed or closed.
        IssueChanged = "issue_changed",
        /// A release was published.
        ReleasePublished = "release_published",
        /// A repository is being read.
        ArtifactScanStarted = "artifact_scan_started",
        /// Some of its documents were read.
        ArtifactScanProgress = "artifact_scan_progress",
        /// All of its documents were read.
        ArtifactScanCompleted = "artifact_scan_completed",
        /// A repository cannot be read.
        ArtifactScanFailed = "artifact_scan_failed",
        /// A tracked document was added or changed.
        ArtifactUpdated = "artifact_updated",
        /// A tracked document was removed.
        ArtifactRemoved = "artifact_removed",
        /// Something was found to clash.
        ConflictDetected = "conflict_detected",
        /// It does not any more, or somebody settled it.
        ConflictResolved = "conflict_resolved",
        /// Something to do was added or changed.
        WorkItemChanged = "work_item_changed",
        /// Somebody took it.
        WorkClaimed = "work_claimed",
        /// Nobody holds it any more.
        WorkReleased = "work_released",
        /// Somebody is editing some files.
        PathsReserved = "paths_reserved",
        /// Nobody keeps them any more.
        PathsReleased = "paths_released",
        /// Somebody is at something else, or at nothing any more.
        AgentStatusChanged = "agent_status_changed",
        /// A run began.
        RunStarted = "run_started",
        /// A run ended.
        RunFinished = "run_finished",
        /// A gate stands otherwise than before.
        GateEvaluated = "gate_evaluated",
        /// A phase is further than before, or less far.
        PhaseProgressChanged = "phase_progress_changed",
        /// The project's name, repository or configuration changed.
        ProjectChanged = "project_changed",
    }
}

/// An event to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// What it tells of.
    pub name: EventName,
    /// What happened.
    pub payload: Value,
}

/// One line of a project's log.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its place in the log.
    pub id: EventId,
    /// What it tells of; a name that a newer version wrote is kept as it is.
    pub name: String,
    /// The project it happened in.
    pub project: ProjectId,
    /// When it was recorded.
    pub timestamp: Time,
    /// What happened.
    pub payload: Value,
}

/// Whether an event tells of what `who` did: of such events these name who did it.
fn is_doing_of(who: PrincipalId, name: &str, payload: &Value) -> bool {
    use EventName::{
        AgentStatusChanged, PathsReleased, PathsReserved, WorkClaimed, WorkItemChanged, WorkReleased,
    };
    [AgentStatusChanged, WorkItemChanged, WorkClaimed, WorkReleased, PathsReserved, PathsReleased]
        .iter()
        .any(|doing| doing.as_str() == name)
        && payload["principalId"] == json!(who.0)
        // Who lost what they had reserved is told of it.
        && (name != PathsReleased.as_str() || payload["reason"] == "released")
}

impl Event {
    /// Whether it tells of nothing but what `who` does themselves, which is no news to them.
    fn is_own(&self, who: PrincipalId) -> bool {
        is_doing_of(who, &self.name, &self.payload)
    }

    /// The event as it goes to whoever follows it.
    fn to_json(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "event": self.name,
            "projectId": self.project.to_string(),
            "timestamp": Timestamp(self.timestamp).to_string(),
            "payload": self.payload,
        })
    }
}

/// A place in a project's log: `{logId}:{position}` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// Which log.
    pub log: LogId,
    /// Position in it, from 1; 0 stands before the first event.
    pub position: i64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.log, self.position)
    }
}

/// Where a reader stands: at an event it has seen, or at a bare position of whatever log there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Behind an event of a certain log.
    After(EventId),
    /// Behind a position; 0 is the beginning.
    At(i64),
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::invalid("an event id looks like `logId:position`; a bare position such as `0` works too")
        };
        let position = |text: &str| match text.parse::<i64>() {
            Ok(position) if position >= 0 && !text.starts_with('+') => Ok(position),
            _ => Err(bad()),
        };
        match text.split_once(':') {
            Some((log, at)) => {
                let log = Uuid::parse_str(log).map_err(|_| bad())?;
                Ok(Self::After(EventId { log: LogId(log), position: position(at)? }))
            }
            None => Ok(Self::At(position(text)?)),
        }
    }
}

/// The newest place in a project's log.
pub type Head = EventId;

impl Position {
    /// The position to read from, if `head`'s log can serve it without a gap.
    fn within(self, head: Head) -> Option<i64> {
        let (log, position) = match self {
            Self::After(id) => (id.log, id.position),
            Self::At(position) => (head.log, position),
        };
        (log == head.log && position <= head.position).then_some(position)
    }
}

/// Gives a new project its log.
///
/// # Errors
/// The database's.
pub async fn create_log(app: &App, tx: &Tx<'_>, project: ProjectId) -> Result<()> {
    store::insert_head(tx, project, LogId(app.ids.uuid())).await
}

/// Appends events that no delivery caused; see [`append`].
///
/// # Errors
/// The database's.
pub async fn tell(app: &App, tx: &Tx<'_>, project: ProjectId, events: Vec<NewEvent>) -> Result<()> {
    append(app, tx, project, events.into_iter().map(|event| (None, event)).collect()).await
}

/// Appends events in the transaction of the change that caused them; the last thing such a transaction does,
/// because every other writer of this project waits for its commit from here on. Beside each event stands the
/// delivery that caused it, if one did.
///
/// # Errors
/// The database's.
pub async fn append(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    events: Vec<(Option<Uuid>, NewEvent)>,
) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let (bus, now) = (app.bus.clone(), app.clock.now());
    let copies = if bus.is_shared() { events.clone() } else { Vec::new() };
    let head = store::insert_events(tx, project, events, now).await?;
    tx.after_commit(move || {
        let event = |(position, (_, new)): (i64, (Option<Uuid>, NewEvent))| Event {
            id: EventId { position, ..head },
            name: new.name.as_str().to_owned(),
            project,
            timestamp: now,
            payload: new.payload,
        };
        let first = head.position + 1 - copies.len() as i64;
        let appended: Vec<_> = (first..).zip(copies).map(event).collect();
        bus.tell(project, head.position, &appended);
    });
    Ok(())
}

/// Where the head of a project's log is.
///
/// # Errors
/// `not_found` for a project that is not this tenant's.
pub async fn head(tx: &Tx<'_>, project: ProjectId) -> Result<Head> {
    store::head(tx, project).await?.ok_or_else(|| Error::not_found("project"))
}

/// The event at the head of a project's log, if there is one yet.
///
/// # Errors
/// The database's.
pub async fn last(tx: &Tx<'_>, project: ProjectId, head: Head) -> Result<Option<Event>> {
    Ok(store::events_after(tx, project, head.log, head.position - 1, 1).await?.pop())
}

/// What a delivery has caused so far, oldest first.
///
/// # Errors
/// The database's.
pub async fn events_of(tx: &Tx<'_>, project: ProjectId, cause: Uuid) -> Result<Vec<Event>> {
    store::events_by_cause(tx, project, cause).await
}

/// Up to `limit` events of a project's log behind `after`, or from the first, and where the log's head is.
///
/// # Errors
/// `not_found` for a project out of reach, `invalid_request` for a position that the log does not have.
pub async fn events_after(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    after: Option<Position>,
    limit: u64,
) -> Result<(Vec<Event>, EventId)> {
    projects::reach(app, principal, project).await?;
    app.database
        .read(principal.tenant, move |tx| {
            Box::pin(async move {
                let head = head(tx, project).await?;
                let behind = after.unwrap_or(Position::At(0)).within(head).ok_or_else(|| {
                    let why =
                        "this log does not have that position; leave it out to read from the first event";
                    Error::invalid_field("/after", why)
                })?;
                Ok((store::events_after(tx, project, head.log, behind, limit).await?, head))
            })
        })
        .await
}

/// Removes up to `limit` events of a deleted project; gives their number.
///
/// # Errors
/// The database's.
pub async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    store::purge(tx, project, limit).await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(log: u128, position: i64) -> EventId {
        EventId { log: LogId(Uuid::from_u128(log)), position }
    }

    proptest! {
        #[test]
        fn an_event_id_is_read_back_as_it_was_written(log: u128, position in 0..i64::MAX) {
            let id = id(log, position);
            prop_assert_eq!(id.to_string().parse::<Position>().expect("our own"), Position::After(id));
        }

        #[test]
        fn whatever_is_sent_as_an_event_id_is_understood_or_refused(text in ".{0,60}") {
            if let Ok(Position::At(position)) = text.parse::<Position>() {
                prop_assert!(position >= 0);
            }
        }

        #[test]
        fn a_position_is_served_only_within_its_own_log_and_up_to_its_head(head in 0..1000i64, at in 0..2000i64) {
            let head = id(1, head);
            prop_assert_eq!(Position::After(id(2, at)).within(head), None);
            prop_assert_eq!(Position::After(id(1, at)).within(head), (at <= head.position).then_some(at));
        }
    }
}
