//! Work items as REST shows them.

use poem_openapi::{Object, types::Any};
use serde_json::Value;

use super::{
    CommentId, Priority, WorkItem, WorkItemId,
    claims::Granted,
    items::{Comment, Detailed},
    lease::{Lease, LeaseId, SignOfLife},
    show,
};
use crate::{
    accounts::PrincipalId,
    artifacts::ArtifactId,
    error::{Error, Result},
    rest::Versioned,
    wire::{Timestamp, example},
};

/// Something to do, and who holds it.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "WorkItem", example)]
pub(super) struct WorkItemOut {
    /// Its id.
    id: WorkItemId,
    /// What is to be done.
    title: String,
    /// The same at length.
    description: Option<String>,
    /// The lane it is in.
    lane: String,
    /// Its place in the lane: what has less stands above it. The numbers themselves mean nothing.
    rank: i64,
    /// How urgent it is.
    priority: Priority,
    /// Which agents it is for; any if null.
    role: Option<String>,
    /// The document that it is one thing with.
    artifact_id: Option<ArtifactId>,
    /// The status that this document states.
    file_status: Option<String>,
    /// How many items that are not done it waits for.
    blockers: u32,
    /// Those and the others; only where one item is shown.
    #[oai(skip_serializing_if_is_none)]
    blocked_by: Option<Vec<BlockerOut>>,
    /// Who holds it; nobody if null.
    claim: Option<LeaseOut>,
    /// How often it was claimed.
    fencing_token: i64,
    /// Grows by one with every change but signs of life.
    version: i64,
    /// Who made it; a document if null.
    creator_id: Option<PrincipalId>,
    /// The name which that had then.
    creator_name: String,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
    /// When it was done.
    finished_at: Option<Timestamp>,
    /// The commit that did it.
    commit: Option<String>,
    /// What was done.
    summary: Option<String>,
}

example!(WorkItemOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "title": "Sign in with a passkey",
    "description": null,
    "lane": "ready",
    "rank": 65536,
    "priority": "high",
    "role": null,
    "artifactId": null,
    "fileStatus": null,
    "blockers": 0,
    "claim": null,
    "fencingToken": 0,
    "version": 1,
    "creatorId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d",
    "creatorName": "planner",
    "createdAt": "2026-11-21T09:00:00Z",
    "updatedAt": "2026-11-21T09:00:00Z",
    "finishedAt": null,
    "commit": null,
    "summary": null
});

/// An item that another one waits for.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Blocker")]
struct BlockerOut {
    /// The item.
    id: WorkItemId,
    /// What that is called.
    title: String,
    /// Whether it is done.
    done: bool,
}

/// Who holds an item.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "WorkClaim")]
struct LeaseOut {
    /// The principal.
    holder_id: PrincipalId,
    /// The name it had when it claimed the item.
    holder_name: String,
    /// Since when.
    claimed_at: Timestamp,
    /// When the claim runs out, without another sign of life.
    expires_at: Timestamp,
    /// The last sign of life.
    last_seen_at: Timestamp,
    /// What that was.
    last_seen_by: SignOfLife,
    /// What the holder is doing, in its words.
    task: Option<String>,
    /// The branch on which it works.
    branch: Option<String>,
}

impl From<Lease> for LeaseOut {
    fn from(lease: Lease) -> Self {
        Self {
            holder_id: lease.holder.id,
            holder_name: lease.holder.name,
            claimed_at: lease.claimed_at.into(),
            expires_at: lease.expires_at.into(),
            last_seen_at: lease.seen_at.into(),
            last_seen_by: lease.seen_by,
            task: lease.task,
            branch: lease.branch,
        }
    }
}

impl WorkItemOut {
    pub(super) fn of(item: WorkItem) -> Self {
        Self {
            id: item.id,
            title: item.title,
            description: item.description,
            lane: item.lane.to_string(),
            rank: item.rank,
            priority: item.priority,
            role: item.role,
            artifact_id: item.artifact,
            file_status: item.file_status,
            blockers: item.blockers,
            blocked_by: None,
            fencing_token: item.claim.fence,
            claim: item.claim.lease.map(LeaseOut::from),
            version: item.version,
            creator_id: item.creator,
            creator_name: item.creator_name,
            created_at: item.created_at.into(),
            updated_at: item.updated_at.into(),
            finished_at: item.finished_at.map(Timestamp),
            commit: item.commit,
            summary: item.summary,
        }
    }

    pub(super) fn versioned(Detailed { item, blocked_by }: Detailed) -> Versioned<Self> {
        let blocked_by = blocked_by.into_iter().map(|(id, title, done)| BlockerOut { id, title, done });
        let version = item.version;
        Versioned { version, body: Self { blocked_by: Some(blocked_by.collect()), ..Self::of(item) } }
    }
}

/// That somebody holds an item, and by which claim.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "HeldWork")]
pub(super) struct HeldOut {
    /// The item.
    work_item_id: WorkItemId,
    /// The claim: every later write names it.
    lease_id: LeaseId,
    /// Its generation: every later write names it.
    fencing_token: i64,
    /// When the claim runs out, without another sign of life.
    expires_at: Timestamp,
    /// The lane the item is in.
    lane: String,
    /// The item's version.
    version: i64,
    /// Sections of the document that have changed since the claim.
    #[oai(default, skip_serializing_if_is_empty)]
    changed_sections: Vec<String>,
}

impl HeldOut {
    pub(super) fn of(granted: &Granted) -> Result<Self> {
        let item = &granted.item;
        let lease = item.claim.lease.as_ref().ok_or_else(|| Error::internal("a claim without a lease"))?;
        Ok(Self {
            work_item_id: item.id,
            lease_id: lease.id,
            fencing_token: item.claim.fence,
            expires_at: lease.expires_at.into(),
            lane: item.lane.to_string(),
            version: item.version,
            changed_sections: granted.changed_sections.clone(),
        })
    }
}

/// The same, with what to know before beginning.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ClaimedWork")]
pub(super) struct ClaimOut {
    /// The claim.
    #[oai(flatten)]
    held: HeldOut,
    /// The item.
    item: WorkItemOut,
    /// Its document with the digests of its sections, open conflicts, the newest comments, and what others hold.
    context: Any<Value>,
}

impl ClaimOut {
    pub(super) fn of(granted: Granted) -> Result<Self> {
        let held = HeldOut::of(&granted)?;
        let context = Any(granted.pack.as_ref().map(show::context).unwrap_or_default());
        Ok(Self { held, item: WorkItemOut::of(granted.item), context })
    }
}

/// What somebody said about an item.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "WorkComment")]
pub(super) struct CommentOut {
    /// Its id.
    id: CommentId,
    /// Who said it.
    author_id: PrincipalId,
    /// The name which that had then.
    author_name: String,
    /// What was said.
    text: String,
    /// When.
    created_at: Timestamp,
}

impl From<Comment> for CommentOut {
    fn from(comment: Comment) -> Self {
        Self {
            id: comment.id,
            author_id: comment.author,
            author_name: comment.author_name,
            text: comment.text,
            created_at: comment.at.into(),
        }
    }
}
