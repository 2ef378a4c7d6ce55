//! The log's rows: `event` and `event_head`.

use std::collections::HashMap;

use entity::{event, event_head};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    Condition, EntityTrait as _, Order, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    prelude::*,
};

use super::{Event, EventFilter, EventId, EventOrder, Head, LogId, NewEvent, list::Range};
use crate::{
    clock::Time,
    database::{DoorTx, Tx},
    error::{Error, Result},
    wire::ProjectId,
};

pub(super) async fn insert_head(tx: &Tx<'_>, project: ProjectId, log: LogId) -> Result<()> {
    let row = event_head::ActiveModel {
        project_id: Set(project.0),
        tenant_id: Set(tx.tenant().0),
        log_id: Set(log.0),
        position: Set(0),
    };
    event_head::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub(super) async fn head(tx: &Tx<'_>, project: ProjectId) -> Result<Option<Head>> {
    let row = tx
        .find::<event_head::Entity>()
        .filter(event_head::Column::ProjectId.eq(project.0))
        .one(tx.conn())
        .await?;
    Ok(row.map(|row| Head { log: LogId(row.log_id), position: row.position }))
}

/// The heads of many logs, whoever they belong to.
pub(super) async fn positions(tx: &DoorTx<'_>, projects: &[ProjectId]) -> Result<HashMap<ProjectId, i64>> {
    let rows: Vec<(Uuid, i64)> = event_head::Entity::find()
        .select_only()
        .columns([event_head::Column::ProjectId, event_head::Column::Position])
        .filter(tx.one_of(event_head::Column::ProjectId, projects.iter().map(|project| project.0)))
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(|(project, position)| (ProjectId(project), position)).collect())
}

/// Appends events; gives the head that the log has then.
pub(super) async fn insert_events(
    tx: &Tx<'_>,
    project: ProjectId,
    events: Vec<(Option<Uuid>, NewEvent)>,
    now: Time,
) -> Result<Head> {
    let rows = events.into_iter().map(|(cause, new)| event::ActiveModel {
        project_id: Set(project.0),
        position: NotSet,
        tenant_id: Set(tx.tenant().0),
        name: Set(new.name.as_str().to_owned()),
        cause_id: Set(cause),
        payload: Set(new.payload),
        created_at: Set(now),
    });
    use event_head::Column::{Position, ProjectId};
    let head = (Position, ProjectId, project.0);
    let head =
        tx.insert_numbered::<_, event_head::Entity>(rows.collect(), event::Column::Position, head).await?;
    let head = head.ok_or_else(|| Error::not_found("project"))?;
    Ok(Head { log: LogId(head.log_id), position: head.position })
}

/// Up to `limit` events behind a position, oldest first.
pub(super) async fn events_after(
    tx: &Tx<'_>,
    project: ProjectId,
    log: LogId,
    position: i64,
    limit: u64,
) -> Result<Vec<Event>> {
    let rows = tx
        .find::<event::Entity>()
        .filter(event::Column::ProjectId.eq(project.0))
        .filter(event::Column::Position.gt(position))
        .order_by_asc(event::Column::Position)
        .limit(limit)
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(|row| to_event(row, log)).collect())
}

/// Up to `limit` events of a range that are meant, the way that they are to be read.
pub(super) async fn events_between(
    tx: &Tx<'_>,
    project: ProjectId,
    log: LogId,
    range: Range,
    filter: &EventFilter,
    limit: u64,
) -> Result<Vec<Event>> {
    use event::Column;
    let names = filter.names.iter().map(|name| name.as_str());
    let of_name = (!filter.names.is_empty()).then(|| Column::Name.is_in(names));
    let order = match filter.order {
        EventOrder::Asc => Order::Asc,
        EventOrder::Desc => Order::Desc,
    };
    let rows = tx
        .find::<event::Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::Position.gt(range.after))
        .filter(Column::Position.lt(range.before))
        .filter(Condition::all().add_option(of_name))
        .order_by(Column::Position, order)
        .limit(limit)
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(|row| to_event(row, log)).collect())
}

pub(super) async fn events_by_cause(tx: &Tx<'_>, project: ProjectId, cause: Uuid) -> Result<Vec<Event>> {
    let head = head(tx, project).await?.ok_or_else(|| Error::not_found("project"))?;
    let rows = tx
        .find::<event::Entity>()
        .filter(event::Column::ProjectId.eq(project.0))
        .filter(event::Column::CauseId.eq(cause))
        .order_by_asc(event::Column::Position)
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(|row| to_event(row, head.log)).collect())
}

pub(super) async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    tx.delete_some::<event::Entity>(event::Column::Position, event::Column::ProjectId.eq(project.0), limit)
        .await
}

fn to_event(row: event::Model, log: LogId) -> Event {
    Event {
        id: EventId { log, position: row.position },
        name: row.name,
        project: ProjectId(row.project_id),
        timestamp: row.created_at,
        payload: row.payload,
    }
}
