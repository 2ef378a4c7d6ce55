//! Work: what there is to do, who does it, and that nobody else does it too.
//!
//! An item is in a lane of its project's board ([`lanes`]), waits for others if it has to, and is one thing with a
//! document if that is a story ([`documents`]). People move items as they like ([`items`]). Whoever works on one claims
//! it ([`claims`]): a [`lease`] holds it for one principal at a time, for as long as that is seen to be alive, here or by
//! what it pushes ([`heard`]). What is claimed, held or given back at the same moment shares a transaction.
//!
//! Every change tells the project's log, with the generation of the claim that it is about, so that what comes late is
//! known to be late.

mod api;
mod board;
pub mod claims;
mod context;
pub mod documents;
pub mod heard;
pub mod items;
pub mod lanes;
pub mod lease;
pub mod notice;
mod out;
pub mod revoked;
mod round;
mod show;
mod store;
mod tools;
pub mod worker;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use self::{
    api::WorkApi,
    claims::Claims,
    items::{NewWorkItem, WorkItemFilter, WorkItemPatch},
    tools::{ClaimWork, FinishWork, ListWork, ReleaseWork, UpdateWork},
};
use self::{
    lanes::Lane,
    lease::{Claim, Ended, Lease, Reason},
};
use crate::{
    accounts::{Principal, PrincipalId},
    artifacts::ArtifactId,
    clock::Time,
    database::Tx,
    error::Result,
    events::{EventName, NewEvent},
    projects::{ProjectConfig, ProjectId},
    wire::{Timestamp, id_type, wire_enum},
};

id_type! {
    /// Names a work item; later ones have greater names.
    WorkItemId
}

id_type! {
    /// Names a comment; later ones have greater names.
    CommentId
}

wire_enum! {
    /// How urgent an item is; the first comes first.
    Priority {
        /// Before everything else.
        Urgent = "urgent",
        /// Before most.
        High = "high",
        /// As most.
        Normal = "normal",
        /// When there is nothing else.
        Low = "low",
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkItem {
    /// Its id.
    pub id: WorkItemId,
    /// What is to be done, on one line.
    pub title: String,
    /// The same at length.
    pub description: Option<String>,
    /// The lane it is in.
    pub lane: Lane,
    /// Its place in the lane: smaller ones come first.
    rank: i64,
    /// How urgent it is.
    pub priority: Priority,
    /// Which agents it is for, by the name of their role; none means any.
    pub role: Option<String>,
    /// The document that it is one thing with.
    pub artifact: Option<ArtifactId>,
    /// The status that this document states.
    pub file_status: Option<String>,
    /// How many items that are not done it waits for.
    pub blockers: u32,
    /// Grows by one with every change but signs of life.
    pub version: i64,
    /// Who made it; none if a document did.
    pub creator: Option<PrincipalId>,
    /// The name which that had then.
    pub creator_name: String,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// When it was done, if it is.
    pub finished_at: Option<Time>,
    /// The commit that did it, if somebody said so.
    pub commit: Option<String>,
    /// What was done, in the words of who did it.
    pub summary: Option<String>,
    /// Who holds it, if anybody does.
    pub claim: Claim,
    /// Who claimed it last, whether that claim has ended or not.
    pub worker: Option<PrincipalId>,
    /// The digests of the document's sections at the time of the claim, by anchor.
    pins: Option<BTreeMap<String, String>>,
}

impl WorkItem {
    /// One that nobody has claimed or linked to anything yet, and whose place in its lane is not known yet.
    fn new(id: WorkItemId, title: String, lane: Lane, creator_name: &str, now: Time) -> Self {
        Self {
            id,
            title,
            description: None,
            rank: 0,
            priority: Priority::Normal,
            role: None,
            artifact: None,
            file_status: None,
            blockers: 0,
            version: 1,
            creator: None,
            creator_name: creator_name.to_owned(),
            created_at: now,
            updated_at: now,
            finished_at: lane.is_done().then_some(now),
            lane,
            commit: None,
            summary: None,
            claim: Claim::none(),
            worker: None,
            pins: None,
        }
    }

    /// What gates look at of it.
    pub(crate) fn brief(&self) -> Brief {
        Brief {
            id: self.id,
            title: self.title.clone(),
            lane: self.lane.clone(),
            artifact: self.artifact,
            commit: self.commit.clone(),
            worker: self.worker,
        }
    }

    /// Puts it into a lane, at a place in it.
    fn move_to(&mut self, lane: Lane, rank: i64, now: Time) {
        if lane.is_done() != self.lane.is_done() {
            self.finished_at = lane.is_done().then_some(now);
        }
        (self.lane, self.rank) = (lane, rank);
    }

    /// Where it goes when somebody stops working on it before they finished it: back, unless its document says that it is
    /// further.
    fn given_back(&self, config: &ProjectConfig) -> Lane {
        let stated = self.file_status.as_deref().and_then(|status| Lane::of_status(status, config));
        let is_further = |lane: &Lane| lane.is_done() || lane.as_str() == "review";
        stated.filter(is_further).unwrap_or_else(|| self.lane.given_back())
    }

    /// Notes that it was changed.
    fn touch(&mut self, now: Time) {
        self.version += 1;
        self.updated_at = now;
    }

    /// What every event about it says.
    fn told(&self) -> Value {
        json!({
            "workItemId": self.id.0,
            "title": self.title,
            "lane": self.lane,
            "priority": self.priority,
            "role": self.role,
            "artifactId": self.artifact.map(|artifact| artifact.0),
            "version": self.version,
            "fencingToken": self.claim.fence,
        })
    }

    /// That somebody made or changed it.
    fn changed_by(&self, change: &str, who: &Principal) -> NewEvent {
        let mut event = self.changed(change);
        event.payload["principalId"] = json!(who.id.0);
        event.payload["principalName"] = who.name.clone().into();
        event
    }

    /// That it was made or changed: `change` says how, in a word.
    fn changed(&self, change: &str) -> NewEvent {
        let mut payload = self.told();
        payload["change"] = change.into();
        payload["blockers"] = self.blockers.into();
        NewEvent { name: EventName::WorkItemChanged, payload }
    }

    /// That somebody holds it now.
    fn claimed(&self, lease: &Lease, from: &Lane) -> NewEvent {
        let mut payload = self.told();
        payload["principalId"] = json!(lease.holder.id.0);
        payload["fromLane"] = json!(from);
        payload["holderId"] = json!(lease.holder.id.0);
        payload["holderName"] = lease.holder.name.clone().into();
        payload["branch"] = lease.branch.clone().into();
        payload["expiresAt"] = Timestamp(lease.expires_at).to_string().into();
        NewEvent { name: EventName::WorkClaimed, payload }
    }

    /// That somebody holds it no longer.
    fn released(&self, Ended { lease, fence, reason }: &Ended, note: Option<&str>) -> NewEvent {
        let mut payload = self.told();
        payload["fencingToken"] = (*fence).into();
        payload["reason"] = json!(reason);
        if matches!(reason, Reason::Finished | Reason::Released) {
            payload["principalId"] = json!(lease.holder.id.0);
        }
        payload["holderId"] = json!(lease.holder.id.0);
        payload["holderName"] = lease.holder.name.clone().into();
        payload["lastSeenAt"] = Timestamp(lease.seen_at).to_string().into();
        payload["lastSeenBy"] = json!(lease.seen_by);
        payload["commit"] = self.commit.clone().filter(|_| *reason == Reason::Finished).into();
        payload["note"] = note.into();
        NewEvent { name: EventName::WorkReleased, payload }
    }
}

/// An item in short: what gates look at.
#[derive(Clone, Debug)]
pub struct Brief {
    /// The item.
    pub id: WorkItemId,
    /// What is to be done, on one line.
    pub title: String,
    /// The lane it is in.
    pub lane: Lane,
    /// The document that it is one thing with.
    pub artifact: Option<ArtifactId>,
    /// The commit that did it, if somebody said so.
    pub commit: Option<String>,
    /// Who claimed it last.
    pub worker: Option<PrincipalId>,
}

/// The items of a project in short, oldest first: all of them, or those that are not done.
///
/// # Errors
/// The database's.
pub async fn briefs(tx: &Tx<'_>, project: ProjectId, all: bool) -> Result<Vec<Brief>> {
    store::briefs(tx, project, all).await
}

/// Some items in short.
///
/// # Errors
/// The database's.
pub async fn briefs_of(tx: &Tx<'_>, project: ProjectId, ids: Vec<WorkItemId>) -> Result<Vec<Brief>> {
    Ok(store::by_ids(tx, project, ids).await?.iter().map(WorkItem::brief).collect())
}

/// An item in short.
///
/// # Errors
/// `not_found`.
pub async fn brief(tx: &Tx<'_>, project: ProjectId, id: WorkItemId) -> Result<Brief> {
    Ok(store::find(tx, project, id).await?.brief())
}

/// How many items each lane has; lanes without any are left out.
///
/// # Errors
/// The database's.
pub async fn count_by_lane(tx: &Tx<'_>, project: ProjectId) -> Result<BTreeMap<String, u64>> {
    store::count_by_lane(tx, project).await
}

/// Removes up to `limit` rows of a deleted project; gives their number.
///
/// # Errors
/// The database's.
pub async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    store::purge(tx, project, limit).await
}
