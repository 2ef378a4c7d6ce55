//! The rows of gates.

use entity::gate::{ActiveModel, Column, Entity, Model};
use sea_orm::{
    ActiveValue::Set, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, prelude::*,
};

use super::{Gate, GateConfig, GateFilter, GateId, GateStatus, Outcome, Phase, Ruling, Seen};
use crate::{
    clock::Time,
    database::{DoorTx, Due, PlaceColumns, Tx},
    error::{Error, Result},
    projects::ProjectId,
    wire::{Found, Page},
    work::WorkItemId,
};

/// A project's gates.
fn of(tx: &Tx<'_>, project: ProjectId) -> Select<Entity> {
    tx.find::<Entity>().filter(Column::ProjectId.eq(project.0))
}

async fn gates(tx: &Tx<'_>, query: Select<Entity>) -> Result<Vec<Gate>> {
    query.all(tx.conn()).await?.into_iter().map(to_gate).collect()
}

pub(super) async fn find(tx: &Tx<'_>, project: ProjectId, id: GateId) -> Result<Option<Gate>> {
    let row = of(tx, project).filter(Column::Id.eq(id.0)).one(tx.conn()).await?;
    row.map(to_gate).transpose()
}

/// The gate of a work item that is called so.
pub(super) async fn named(
    tx: &Tx<'_>,
    project: ProjectId,
    item: WorkItemId,
    name: &str,
) -> Result<Option<Gate>> {
    let query = of(tx, project).filter(Column::WorkItemId.eq(item.0)).filter(Column::Name.eq(name));
    query.one(tx.conn()).await?.map(to_gate).transpose()
}

/// A page of a project's gates, oldest first.
pub(super) async fn list(
    tx: &Tx<'_>,
    project: ProjectId,
    GateFilter { phase, status, work_item }: GateFilter,
    page: &Page<GateId>,
) -> Result<Found<Gate>> {
    let mut query = of(tx, project).order_by_asc(Column::Id);
    if let Some(after) = page.after {
        query = query.filter(Column::Id.gt(after.0));
    }
    if let Some(phase) = phase {
        query = query.filter(Column::Phase.eq(phase.as_str()));
    }
    if let Some(status) = status {
        query = query.filter(Column::Status.eq(status.as_str()));
    }
    query = match work_item {
        Some(item) => query.filter(Column::WorkItemId.eq(item.0)),
        None => query.filter(Column::ClosedAt.is_null()),
    };
    tx.page(query, Column::Id, page).await?.try_map(to_gate)
}

/// The gates that are not closed.
pub(super) async fn open(tx: &Tx<'_>, project: ProjectId) -> Result<Vec<Gate>> {
    gates(tx, of(tx, project).filter(Column::ClosedAt.is_null()).order_by_asc(Column::Id)).await
}

/// The closed gates of some work items.
pub(super) async fn closed_of(
    tx: &Tx<'_>,
    project: ProjectId,
    items: impl Iterator<Item = WorkItemId>,
) -> Result<Vec<Gate>> {
    let theirs = tx.one_of(Column::WorkItemId, items.map(|item| item.0));
    gates(tx, of(tx, project).filter(theirs).filter(Column::ClosedAt.is_not_null())).await
}

/// The gates of some work items.
pub(super) async fn of_items(tx: &Tx<'_>, project: ProjectId, items: &[WorkItemId]) -> Result<Vec<Gate>> {
    let theirs = tx.one_of(Column::WorkItemId, items.iter().map(|item| item.0));
    gates(tx, of(tx, project).filter(theirs).order_by_asc(Column::Id)).await
}

/// Whether any work item has a gate.
pub(super) async fn has_items(tx: &Tx<'_>, project: ProjectId) -> Result<bool> {
    let first = of(tx, project).filter(Column::WorkItemId.is_not_null()).select_only().column(Column::Id);
    let first: Option<Uuid> = first.limit(1).into_tuple().one(tx.conn()).await?;
    Ok(first.is_some())
}

/// How each gate stands that is not closed: its phase, its status and its weight.
pub(super) async fn standing(
    tx: &Tx<'_>,
    project: ProjectId,
) -> Result<Vec<(Option<Phase>, GateStatus, u32)>> {
    let rows: Vec<(Option<String>, String, i32)> = of(tx, project)
        .filter(Column::ClosedAt.is_null())
        .select_only()
        .columns([Column::Phase, Column::Status, Column::Weight])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let stands = |(phase, status, weight): (Option<String>, String, i32)| {
        let phase = phase.map(|phase| phase.parse::<Phase>().map_err(Error::internal)).transpose()?;
        let status = status.parse::<GateStatus>().map_err(Error::internal)?;
        Ok((phase, status, u32::try_from(weight).map_err(Error::internal)?))
    };
    rows.into_iter().map(stands).collect()
}

/// Writes gates as they are now, new ones and others.
pub(super) async fn save(tx: &Tx<'_>, project: ProjectId, gates: &[&Gate]) -> Result<()> {
    let rows = gates.iter().map(|gate| to_row(tx, project, gate)).collect::<Result<_>>()?;
    tx.save_all(rows, &[Column::Id]).await
}

pub(super) async fn remove(tx: &Tx<'_>, project: ProjectId, ids: &[GateId]) -> Result<()> {
    tx.delete::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(tx.one_of(Column::Id, ids.iter().map(|id| id.0)))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Removes the gates of a work item.
pub(super) async fn remove_of(tx: &Tx<'_>, project: ProjectId, item: WorkItemId) -> Result<()> {
    tx.delete::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::WorkItemId.eq(item.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    tx.delete_some::<Entity>(Column::Id, Column::ProjectId.eq(project.0), limit).await
}

/// Gates that are due, whoever they belong to.
pub(super) async fn due(tx: &DoorTx<'_>, now: Time, behind: Option<Due>) -> Result<Vec<Due>> {
    let place = PlaceColumns { tenant: Column::TenantId, project: Column::ProjectId, id: Column::Id };
    tx.due(Entity::find(), Column::DueAt, place, now, behind).await
}

fn to_json(ruling: Option<&Ruling>) -> Result<Option<Json>> {
    ruling.map(serde_json::to_value).transpose().map_err(Error::internal)
}

fn to_row(tx: &Tx<'_>, project: ProjectId, gate: &Gate) -> Result<ActiveModel> {
    let seen = match &gate.seen {
        Seen::Unknown => None,
        Seen::Nothing => Some(String::new()),
        Seen::At(path) => Some(path.clone()),
    };
    Ok(ActiveModel {
        id: Set(gate.id.0),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        name: Set(gate.config.name.clone()),
        phase: Set(gate.config.phase.map(|phase| phase.as_str().to_owned())),
        work_item_id: Set(gate.work_item.map(|item| item.0)),
        kind: Set(gate.config.check.as_str().to_owned()),
        weight: Set(i32::try_from(gate.config.weight).map_err(Error::internal)?),
        config: Set(serde_json::to_value(&gate.config).map_err(Error::internal)?),
        is_configured: Set(gate.is_configured),
        seen: Set(seen),
        status: Set(gate.outcome.status.as_str().to_owned()),
        message: Set(gate.outcome.message.clone()),
        evaluated_at: Set(gate.evaluated_at),
        due_at: Set(gate.outcome.due_at),
        decision: Set(to_json(gate.decision.as_ref())?),
        waiver: Set(to_json(gate.waiver.as_ref())?),
        closed_at: Set(gate.closed_at),
        version: Set(gate.version),
    })
}

fn to_gate(row: Model) -> Result<Gate> {
    let ruling =
        |json: Option<Json>| json.map(serde_json::from_value::<Ruling>).transpose().map_err(Error::internal);
    Ok(Gate {
        id: GateId(row.id),
        config: serde_json::from_value::<GateConfig>(row.config).map_err(Error::internal)?,
        work_item: row.work_item_id.map(WorkItemId),
        is_configured: row.is_configured,
        seen: match row.seen {
            None => Seen::Unknown,
            Some(path) if path.is_empty() => Seen::Nothing,
            Some(path) => Seen::At(path),
        },
        decision: ruling(row.decision)?,
        waiver: ruling(row.waiver)?,
        outcome: Outcome {
            status: row.status.parse().map_err(Error::internal)?,
            message: row.message,
            due_at: row.due_at,
        },
        evaluated_at: row.evaluated_at,
        closed_at: row.closed_at,
        version: row.version,
    })
}
