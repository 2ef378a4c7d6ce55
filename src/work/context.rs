//! What to know before beginning: what is told with a claim, at once, so that nobody has to ask for it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    WorkItem, WorkItemId,
    claims::{Granted, Request, Wish},
    items::Comment,
    round::{Decided, Round},
    store,
};
use crate::{
    accounts::PrincipalId,
    artifacts::{self, Artifact, ArtifactId},
    clock::Time,
    conflicts::{self, Conflict},
    database::Tx,
    error::Result,
    gates::keeper::{Keeper, Red},
    projects::Project,
};

/// Comments that are told.
const COMMENTS: usize = 5;
/// Claims of others that are told.
const NEAR: usize = 10;

/// What is told with a claim.
#[derive(Clone, Debug)]
pub struct Pack {
    /// The document that the item is one thing with.
    pub document: Option<Artifact>,
    /// What clashes between that and what it builds on.
    pub conflicts: Vec<Conflict>,
    /// What was said about the item last, by others, oldest first.
    pub comments: Vec<Comment>,
    /// The gates that hold it back from being done, as it is now.
    pub gates: Vec<Red>,
    /// What others hold in the project.
    pub near: Vec<Near>,
}

/// Something that somebody else holds.
#[derive(Clone, Debug)]
pub struct Near {
    /// The item.
    pub item: WorkItemId,
    /// What that is called.
    pub title: String,
    /// Who holds it.
    pub holder: PrincipalId,
    /// The name which that had when it claimed it.
    pub holder_name: String,
    /// The branch on which it works.
    pub branch: Option<String>,
}

/// What a round has read of documents and of what others do.
pub(super) struct Documents {
    documents: HashMap<ArtifactId, Artifact>,
    conflicts: Vec<Conflict>,
    comments: BTreeMap<WorkItemId, Vec<Comment>>,
    keeper: Keeper,
    near: Vec<Near>,
}

/// What a round tells those who asked.
impl Round<'_> {
    /// Reads the documents of the items that were granted, and what else is told with a claim.
    pub(super) async fn documents(
        &self,
        tx: &Tx<'_>,
        requests: &[Arc<Request>],
        decided: &[Result<Decided>],
    ) -> Result<Documents> {
        let mut claimed = Vec::new();
        let mut documents = Vec::new();
        for (request, decided) in requests.iter().zip(decided) {
            let Ok(Decided { item, pins }) = decided else { continue };
            let is_claim = matches!(request.wish, Wish::Claim { .. });
            if is_claim {
                claimed.push(item.id);
            }
            if is_claim || pins.is_some() {
                documents.extend(item.artifact);
            }
        }
        read(tx, &self.project, self.now, claimed, documents).await
    }

    /// What somebody is told of a wish that was granted. A claim pins the sections of the document.
    pub(super) fn granted(&mut self, decided: Decided, request: &Request, documents: &Documents) -> Granted {
        let Decided { mut item, pins } = decided;
        let sections = item.artifact.and_then(|artifact| documents.sections(artifact));
        let (mut changed_sections, mut pack, mut pinned) = (Vec::new(), None, None);
        if let (Some(pins), Some(sections)) = (&pins, &sections) {
            changed_sections = differing(pins, sections);
        }
        match &request.wish {
            Wish::Claim { .. } => {
                pinned = Some(sections);
                pack = Some(documents.pack(&item, request.principal.id, self.now));
            }
            Wish::Update { has_read: true, .. } => pinned = Some(sections),
            Wish::Update { .. } | Wish::Finish { .. } | Wish::Release { .. } => {}
        }
        let lease = |item: &WorkItem| item.claim.lease.as_ref().map(|lease| lease.id);
        if let Some(pins) = pinned {
            if let Some(now) = self.items.get_mut(&item.id).filter(|now| lease(now) == lease(&item)) {
                now.pins.clone_from(&pins);
            }
            item.pins = pins;
        }
        Granted { item, pack, changed_sections }
    }
}

/// Reads what is told of items that are claimed, and the documents of these and others.
async fn read(
    tx: &Tx<'_>,
    project: &Project,
    now: Time,
    claimed: Vec<WorkItemId>,
    documents: Vec<ArtifactId>,
) -> Result<Documents> {
    let keeper = Keeper::of(tx, project, &claimed).await?;
    let project = project.id;
    let (mut conflicts, mut near, mut comments) = (Vec::new(), Vec::new(), BTreeMap::new());
    if !claimed.is_empty() {
        if !documents.is_empty() {
            conflicts = conflicts::open_of(tx, project, &documents).await?;
        }
        let held = store::held(tx, project, NEAR as u64 * 2).await?;
        near = held.into_iter().filter(|item| item.claim.live(now).is_some()).filter_map(Near::of).collect();
        comments = store::newest_comments(tx, project, &claimed).await?;
    }
    let documents = artifacts::present(tx, project, documents).await?;
    Ok(Documents { documents, conflicts, comments, keeper, near })
}

impl Near {
    fn of(item: WorkItem) -> Option<Self> {
        let lease = item.claim.lease?;
        let (holder, holder_name, branch) = (lease.holder.id, lease.holder.name, lease.branch);
        Some(Self { item: item.id, title: item.title, holder, holder_name, branch })
    }
}

impl Documents {
    /// The digests of a document's sections, by anchor.
    pub(super) fn sections(&self, document: ArtifactId) -> Option<BTreeMap<String, String>> {
        self.documents.get(&document).map(digests)
    }

    /// What is told to somebody who claims an item.
    pub(super) fn pack(&self, item: &WorkItem, who: PrincipalId, now: Time) -> Pack {
        let is_of = |conflict: &&Conflict| conflict.artifact.is_some() && conflict.artifact == item.artifact;
        let comments =
            self.comments.get(&item.id).into_iter().flatten().filter(|comment| comment.author != who);
        let mut comments: Vec<_> = comments.take(COMMENTS).cloned().collect();
        comments.sort_by_key(|comment| comment.id);
        let others = self.near.iter().filter(|near| near.holder != who && near.item != item.id);
        Pack {
            document: item.artifact.and_then(|artifact| self.documents.get(&artifact)).cloned(),
            conflicts: self.conflicts.iter().filter(is_of).cloned().collect(),
            comments,
            gates: self.keeper.red(&item.brief(), now),
            near: others.take(NEAR).cloned().collect(),
        }
    }
}

/// The digests of a document's sections, by anchor.
pub(super) fn digests(document: &Artifact) -> BTreeMap<String, String> {
    document.sections.iter().map(|section| (section.anchor.clone(), section.hash.clone())).collect()
}

/// The sections that are not what they were, are new, or are gone.
pub(super) fn differing(then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let changed =
        now.iter().filter(|(anchor, hash)| then.get(*anchor) != Some(hash)).map(|(anchor, _)| anchor);
    let gone = then.keys().filter(|anchor| !now.contains_key(*anchor));
    changed.chain(gone).cloned().collect()
}
