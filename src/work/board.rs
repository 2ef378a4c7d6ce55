//! The board: where items are, and what keeps them from being begun. What is done here happens in the transaction of a
//! change, while nobody else changes the project.

use std::collections::{BTreeMap, BTreeSet};

use super::{WorkItem, WorkItemId, lanes::Lane, store};
use crate::{
    artifacts::{self, ArtifactId},
    clock::Time,
    database::Tx,
    error::{Code, Error, Result},
    events::NewEvent,
    projects::{Project, ProjectId},
    prose::parse_line,
};

/// Characters of the name of a role.
const ROLE: usize = 64;
/// Items that one may wait for.
const BLOCKERS: usize = 50;
/// What lies between the places of two items, so that others fit between them.
pub(super) const GAP: i64 = 1 << 20;

/// The name of a role, which is compared in lower case.
pub(super) fn parse_role(role: &str) -> Result<String> {
    Ok(parse_line("/role", role, ROLE)?.to_lowercase())
}

/// Gives an item its place in its lane: before another one, or at the end.
pub(super) async fn place(
    tx: &Tx<'_>,
    project: &Project,
    item: &mut WorkItem,
    before: Option<WorkItemId>,
) -> Result<()> {
    let id = project.id;
    if item.lane.is_limited(&project.config) {
        let others =
            store::in_lane(tx, id, &item.lane).await?.iter().filter(|other| other.id != item.id).count();
        item.lane.check_room(&project.config, others as u64)?;
    }
    let Some(before) = before else {
        let ends = store::ends(tx, id, [&item.lane]).await?;
        item.rank = ends.into_iter().flatten().next().map_or(0, |(_, last)| last + GAP);
        return Ok(());
    };
    let other = store::by_ids(tx, id, vec![before]).await?.pop();
    let Some(mut other) = other.filter(|other| other.lane == item.lane && other.id != item.id) else {
        let why = format!(
            "there is no such item in the lane {}; leave it out to put the item at its end",
            item.lane
        );
        return Err(Error::invalid_field("/beforeId", why));
    };
    let mut previous = store::rank_before(tx, id, &item.lane, other.rank).await?;
    if previous.is_some_and(|previous| other.rank - previous < 2) {
        spread(tx, id, &item.lane).await?;
        other = store::find(tx, id, before).await?;
        previous = store::rank_before(tx, id, &item.lane, other.rank).await?;
    }
    item.rank = previous.map_or(other.rank - GAP, |previous| previous + (other.rank - previous) / 2);
    Ok(())
}

/// Makes room between the items of a lane.
async fn spread(tx: &Tx<'_>, project: ProjectId, lane: &Lane) -> Result<()> {
    let mut items = store::in_lane(tx, project, lane).await?;
    for (item, rank) in items.iter_mut().zip((0..).step_by(GAP as usize)) {
        item.rank = rank;
    }
    store::save(tx, project, &items).await
}

/// Makes an item one thing with a document, or with none.
pub(super) async fn link(
    tx: &Tx<'_>,
    project: ProjectId,
    item: &mut WorkItem,
    artifact: Option<ArtifactId>,
) -> Result<()> {
    if artifact == item.artifact {
        return Ok(());
    }
    (item.artifact, item.file_status) = (artifact, None);
    let Some(artifact) = artifact else { return Ok(()) };
    let Some(document) = artifacts::present(tx, project, vec![artifact]).await?.remove(&artifact) else {
        return Err(Error::invalid_field(
            "/artifactId",
            "the project has no such document; list its artifacts",
        ));
    };
    let others = store::by_artifacts(tx, project, std::iter::once(artifact)).await?;
    if let Some(other) = others.into_iter().find(|other| other.id != item.id) {
        let why = format!("the work item {} ({}) is one thing with {}", other.title, other.id, document.path);
        return Err(Error::new(Code::Conflict, why));
    }
    item.file_status = document.status;
    Ok(())
}

/// Has an item wait for others.
pub(super) async fn wait_for(
    tx: &Tx<'_>,
    project: ProjectId,
    item: &mut WorkItem,
    blocked_by: Vec<WorkItemId>,
) -> Result<()> {
    let blockers: BTreeSet<_> = blocked_by.into_iter().collect();
    let refused = |why: String| Err(Error::invalid_field("/blockedBy", why));
    if blockers.len() > BLOCKERS {
        return refused(format!("an item waits for {BLOCKERS} others at most"));
    }
    let known = store::by_ids(tx, project, blockers.iter().copied().collect()).await?;
    if let Some(unknown) = blockers.iter().find(|id| known.iter().all(|known| known.id != **id)) {
        return refused(format!("the project has no item {unknown}"));
    }
    if !blockers.is_empty() {
        let mut blocks = store::blocks(tx, project).await?;
        blocks.insert(item.id, blockers.clone());
        if let Some(other) = blockers.iter().find(|blocker| waits(&blocks, **blocker, item.id)) {
            return refused(format!(
                "the item {other} waits for this one already, so neither could ever be begun"
            ));
        }
    }
    store::replace_blockers(tx, project, item.id, &blockers).await?;
    item.blockers =
        u32::try_from(known.iter().filter(|other| !other.lane.is_done()).count()).unwrap_or(u32::MAX);
    Ok(())
}

/// Whether one item waits for another, or for one that does, and so on.
fn waits(blocks: &BTreeMap<WorkItemId, BTreeSet<WorkItemId>>, item: WorkItemId, other: WorkItemId) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![item]);
    while let Some(item) = next.pop() {
        if item == other {
            return true;
        }
        if seen.insert(item) {
            next.extend(blocks.get(&item).into_iter().flatten());
        }
    }
    false
}

/// Counts anew what some items wait for; gives those for which that makes a difference.
pub(super) async fn recount(
    tx: &Tx<'_>,
    project: ProjectId,
    ids: Vec<WorkItemId>,
    now: Time,
    events: &mut Vec<NewEvent>,
) -> Result<Vec<WorkItem>> {
    let mut counts: BTreeMap<_, u32> = BTreeMap::new();
    for (item, _, _, is_done) in store::blockers(tx, project, &ids).await? {
        *counts.entry(item).or_default() += u32::from(!is_done);
    }
    let mut changed = Vec::new();
    for mut item in store::by_ids(tx, project, ids).await? {
        let count = counts.get(&item.id).copied().unwrap_or_default();
        if count != item.blockers {
            let was_blocked = item.blockers > 0;
            item.blockers = count;
            item.touch(now);
            if was_blocked != (count > 0) {
                events.push(item.changed(if count > 0 { "blocked" } else { "unblocked" }));
            }
            changed.push(item);
        }
    }
    Ok(changed)
}
