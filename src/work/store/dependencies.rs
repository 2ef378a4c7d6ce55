//! What items wait for.

use std::collections::{BTreeMap, BTreeSet};

use entity::{
    work_dependency::{ActiveModel, Column, Entity},
    work_item,
};
use sea_orm::{ActiveValue::Set, QueryFilter as _, QuerySelect as _, prelude::*};

use super::super::{WorkItemId, lanes::Lane};
use crate::{database::Tx, error::Result, projects::ProjectId};

/// Which items wait for which, in all of a project: who waits, and for what.
pub(in super::super) async fn blocks(
    tx: &Tx<'_>,
    project: ProjectId,
) -> Result<BTreeMap<WorkItemId, BTreeSet<WorkItemId>>> {
    let rows: Vec<(Uuid, Uuid)> = tx
        .find::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .select_only()
        .columns([Column::WorkItemId, Column::BlockerId])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let mut blocks: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (item, blocker) in rows {
        blocks.entry(WorkItemId(item)).or_default().insert(WorkItemId(blocker));
    }
    Ok(blocks)
}

/// What some items wait for: who waits, for which item, what that is called, and whether it is done.
pub(in super::super) async fn blockers(
    tx: &Tx<'_>,
    project: ProjectId,
    items: &[WorkItemId],
) -> Result<Vec<(WorkItemId, WorkItemId, String, bool)>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Uuid, Uuid)> = tx
        .find::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(tx.one_of(Column::WorkItemId, items.iter().map(|item| item.0)))
        .select_only()
        .columns([Column::WorkItemId, Column::BlockerId])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let others: Vec<(Uuid, String, String)> = tx
        .find::<work_item::Entity>()
        .filter(work_item::Column::ProjectId.eq(project.0))
        .filter(tx.one_of(work_item::Column::Id, rows.iter().map(|(_, blocker)| *blocker)))
        .select_only()
        .columns([work_item::Column::Id, work_item::Column::Title, work_item::Column::Lane])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let others: BTreeMap<_, _> = others.into_iter().map(|(id, title, lane)| (id, (title, lane))).collect();
    let told = |(item, blocker): (Uuid, Uuid)| {
        let (title, lane) = others.get(&blocker)?;
        let is_done = lane == Lane::done().as_str();
        Some((WorkItemId(item), WorkItemId(blocker), title.clone(), is_done))
    };
    Ok(rows.into_iter().filter_map(told).collect())
}

/// Those that wait for one of some items.
pub(in super::super) async fn waiting_for(
    tx: &Tx<'_>,
    project: ProjectId,
    blockers: &[WorkItemId],
) -> Result<Vec<WorkItemId>> {
    let waiting: Vec<Uuid> = tx
        .find::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(tx.one_of(Column::BlockerId, blockers.iter().map(|item| item.0)))
        .select_only()
        .column(Column::WorkItemId)
        .distinct()
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(waiting.into_iter().map(WorkItemId).collect())
}

/// Has an item wait for these alone.
pub(in super::super) async fn replace_blockers(
    tx: &Tx<'_>,
    project: ProjectId,
    item: WorkItemId,
    blockers: &BTreeSet<WorkItemId>,
) -> Result<()> {
    tx.delete::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::WorkItemId.eq(item.0))
        .exec(tx.conn())
        .await?;
    let row = |blocker: &WorkItemId| ActiveModel {
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        work_item_id: Set(item.0),
        blocker_id: Set(blocker.0),
    };
    tx.insert_all(blockers.iter().map(row).collect()).await
}

/// Removes what an item waits for, and who waits for it.
pub(super) async fn remove(tx: &Tx<'_>, project: ProjectId, item: WorkItemId) -> Result<()> {
    for column in [Column::WorkItemId, Column::BlockerId] {
        tx.delete::<Entity>()
            .filter(Column::ProjectId.eq(project.0))
            .filter(column.eq(item.0))
            .exec(tx.conn())
            .await?;
    }
    Ok(())
}

pub(super) async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    tx.delete_some::<Entity>(Column::WorkItemId, Column::ProjectId.eq(project.0), limit).await
}
