//! The rows of work items, of what they wait for, and of what was said about them.

mod comments;
mod dependencies;
mod rows;

use std::collections::BTreeMap;

use entity::work_item::{Column, Entity};
use sea_orm::{
    Condition, EntityTrait as _, Order, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
    prelude::*,
    sea_query::{Asterisk, ExprTrait as _, Query},
};

use self::rows::{to_item, to_row};
pub(super) use self::{
    comments::{comments, insert_comment, newest_comments},
    dependencies::{blockers, blocks, replace_blockers, waiting_for},
};
use super::{Brief, WorkItem, WorkItemFilter, WorkItemId, heard::Heard, lanes::Lane};
use crate::{
    accounts::{Credential, PrincipalId},
    artifacts::ArtifactId,
    clock::Time,
    database::{DoorTx, Due, Place, PlaceColumns, Tx},
    error::{Error, Result},
    projects::ProjectId,
    wire::{Found, Page},
};

/// A project's items.
fn of(tx: &Tx<'_>, project: ProjectId) -> Select<Entity> {
    tx.find::<Entity>().filter(Column::ProjectId.eq(project.0))
}

async fn items(tx: &Tx<'_>, query: Select<Entity>) -> Result<Vec<WorkItem>> {
    query.all(tx.conn()).await?.into_iter().map(to_item).collect()
}

pub(super) async fn find(tx: &Tx<'_>, project: ProjectId, id: WorkItemId) -> Result<WorkItem> {
    let row = of(tx, project).filter(Column::Id.eq(id.0)).one(tx.conn()).await?;
    row.map(to_item).transpose()?.ok_or_else(|| Error::not_found("work item"))
}

/// The items of a project in short, oldest first.
pub(super) async fn briefs(tx: &Tx<'_>, project: ProjectId, all: bool) -> Result<Vec<Brief>> {
    type Row = (Uuid, String, String, Option<Uuid>, Option<String>, Option<Uuid>);
    let open = (!all).then(|| Column::Lane.ne(Lane::done().as_str()));
    let rows: Vec<Row> = of(tx, project)
        .filter(Condition::all().add_option(open))
        .order_by_asc(Column::Id)
        .select_only()
        .columns([
            Column::Id,
            Column::Title,
            Column::Lane,
            Column::ArtifactId,
            Column::Commit,
            Column::WorkerId,
        ])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let brief = |(id, title, lane, artifact, commit, worker): Row| {
        Ok(Brief {
            id: WorkItemId(id),
            title,
            lane: lane.parse::<Lane>().map_err(Error::internal)?,
            artifact: artifact.map(ArtifactId),
            commit,
            worker: worker.map(PrincipalId),
        })
    };
    rows.into_iter().map(brief).collect()
}

pub(super) async fn by_ids(tx: &Tx<'_>, project: ProjectId, ids: Vec<WorkItemId>) -> Result<Vec<WorkItem>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    items(tx, of(tx, project).filter(tx.one_of(Column::Id, ids.into_iter().map(|id| id.0)))).await
}

/// The items that are one thing with some documents.
pub(super) async fn by_artifacts(
    tx: &Tx<'_>,
    project: ProjectId,
    artifacts: impl Iterator<Item = ArtifactId>,
) -> Result<Vec<WorkItem>> {
    items(tx, of(tx, project).filter(tx.one_of(Column::ArtifactId, artifacts.map(|artifact| artifact.0))))
        .await
}

/// A page of a project's items, oldest first.
pub(super) async fn list(
    tx: &Tx<'_>,
    project: ProjectId,
    WorkItemFilter { lane, holder, artifact, ready }: WorkItemFilter,
    page: &Page<WorkItemId>,
) -> Result<Found<WorkItem>> {
    let mut query = of(tx, project).order_by_asc(Column::Id);
    if let Some(after) = page.after {
        query = query.filter(Column::Id.gt(after.0));
    }
    if let Some(lane) = lane {
        query = query.filter(Column::Lane.eq(lane.as_str()));
    }
    if let Some(holder) = holder {
        query = query.filter(Column::LeaseId.is_not_null()).filter(Column::HolderId.eq(holder.0));
    }
    if let Some(artifact) = artifact {
        query = query.filter(Column::ArtifactId.eq(artifact.0));
    }
    if let Some(roles) = ready {
        query = query.filter(is_ready(&roles));
    }
    tx.page(query, Column::Id, page).await?.try_map(to_item)
}

/// What may be begun by somebody with one of some roles.
fn is_ready(roles: &[String]) -> Condition {
    let for_them = Condition::any().add(Column::Role.is_null()).add(Column::Role.is_in(roles));
    Condition::all()
        .add(Column::Lane.eq(Lane::ready().as_str()))
        .add(Column::LeaseId.is_null())
        .add(Column::Blockers.eq(0))
        .add(for_them)
}

/// The first of what may be begun by somebody with one of some roles: by urgency, then by place.
pub(super) async fn next_ready(
    tx: &Tx<'_>,
    project: ProjectId,
    roles: &[String],
    limit: u64,
) -> Result<Vec<WorkItem>> {
    let query = of(tx, project)
        .filter(is_ready(roles))
        .order_by_asc(Column::Urgency)
        .order_by_asc(Column::Rank)
        .order_by_asc(Column::Id);
    items(tx, query.limit(limit)).await
}

/// The items that somebody holds, those claimed last first, up to `limit`.
pub(super) async fn held(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<Vec<WorkItem>> {
    let held = of(tx, project).filter(Column::LeaseId.is_not_null());
    items(tx, held.order_by_desc(Column::ClaimedAt).order_by_asc(Column::Id).limit(limit)).await
}

/// The items that somebody holds.
pub(super) async fn held_by(tx: &Tx<'_>, project: ProjectId, who: PrincipalId) -> Result<Vec<WorkItem>> {
    let held = of(tx, project).filter(Column::LeaseId.is_not_null()).filter(Column::HolderId.eq(who.0));
    items(tx, held.order_by_asc(Column::Id)).await
}

/// The items that are held on the branches, or by the principals, that were heard of.
pub(super) async fn held_on(tx: &Tx<'_>, project: ProjectId, heard: &[Heard<'_>]) -> Result<Vec<WorkItem>> {
    let theirs = Heard::about(heard, tx, (Column::HolderId, Column::Branch));
    items(tx, of(tx, project).filter(Column::LeaseId.is_not_null()).filter(theirs)).await
}

/// The places of some lanes: that of the first item and of the last of each, where there are any.
pub(super) async fn ends(
    tx: &Tx<'_>,
    project: ProjectId,
    lanes: impl IntoIterator<Item = &Lane>,
) -> Result<Vec<Option<(i64, i64)>>> {
    let end = |lane: &Lane, order: Order| {
        let query = of(tx, project).filter(Column::Lane.eq(lane.as_str()));
        let query = query.order_by(Column::Rank, order.clone()).order_by(Column::Id, order);
        let end = query.select_only().column(Column::Rank).limit(1).into_query();
        Expr::SubQuery(None, Box::new(end.into()))
    };
    let ends = lanes.into_iter().flat_map(|lane| [end(lane, Order::Asc), end(lane, Order::Desc)]);
    let ends: Vec<_> = ends.collect();
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let lanes = ends.len() / 2;
    let mut query = Query::select();
    for (name, end) in ends.into_iter().enumerate() {
        query.expr_as(end, name.to_string());
    }
    let row = tx.conn().query_one(&query).await?.ok_or_else(|| Error::internal("a lane has no ends"))?;
    let end = |at: usize| Ok::<Option<i64>, Error>(row.try_get_by_index(at)?);
    (0..lanes).map(|lane| Ok(end(2 * lane)?.zip(end(2 * lane + 1)?))).collect()
}

/// The place of the item that comes before a place in a lane, if one does.
pub(super) async fn rank_before(
    tx: &Tx<'_>,
    project: ProjectId,
    lane: &Lane,
    rank: i64,
) -> Result<Option<i64>> {
    let query = of(tx, project).filter(Column::Lane.eq(lane.as_str())).filter(Column::Rank.lt(rank));
    let query =
        query.order_by_desc(Column::Rank).order_by_desc(Column::Id).select_only().column(Column::Rank);
    Ok(query.limit(1).into_tuple().one(tx.conn()).await?)
}

/// All items of a lane, in their order.
pub(super) async fn in_lane(tx: &Tx<'_>, project: ProjectId, lane: &Lane) -> Result<Vec<WorkItem>> {
    let query = of(tx, project).filter(Column::Lane.eq(lane.as_str()));
    items(tx, query.order_by_asc(Column::Rank).order_by_asc(Column::Id)).await
}

/// How many items a lane has, beside some.
pub(super) async fn count_in(tx: &Tx<'_>, project: ProjectId, lane: &Lane) -> Result<u64> {
    Ok(of(tx, project).filter(Column::Lane.eq(lane.as_str())).count(tx.conn()).await?)
}

pub(super) async fn count_by_lane(tx: &Tx<'_>, project: ProjectId) -> Result<BTreeMap<String, u64>> {
    let rows: Vec<(String, i64)> = of(tx, project)
        .select_only()
        .column(Column::Lane)
        .column_as(Expr::col(Asterisk).count(), "count")
        .group_by(Column::Lane)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let count = |(lane, count): (String, i64)| Ok((lane, u64::try_from(count).map_err(Error::internal)?));
    rows.into_iter().map(count).collect()
}

/// Writes items as they are now, new ones and others.
pub(super) async fn save(tx: &Tx<'_>, project: ProjectId, items: &[WorkItem]) -> Result<()> {
    let rows = items.iter().map(|item| to_row(tx, project, item)).collect::<Result<_>>()?;
    tx.save_all(rows, &[Column::Id]).await
}

pub(super) async fn delete(tx: &Tx<'_>, project: ProjectId, id: WorkItemId) -> Result<()> {
    dependencies::remove(tx, project, id).await?;
    comments::remove(tx, project, id).await?;
    tx.delete::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::Id.eq(id.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    let others = dependencies::purge(tx, project, limit).await? + comments::purge(tx, project, limit).await?;
    Ok(others + tx.delete_some::<Entity>(Column::Id, Column::ProjectId.eq(project.0), limit).await?)
}

/// Where claims are.
const PLACE: PlaceColumns<Column> =
    PlaceColumns { tenant: Column::TenantId, project: Column::ProjectId, id: Column::Id };

/// Items that are claimed, whoever they belong to.
fn claimed() -> Select<Entity> {
    Entity::find().filter(Column::LeaseId.is_not_null())
}

/// Claims that have run out.
pub(super) async fn expired(tx: &DoorTx<'_>, now: Time, behind: Option<Due>) -> Result<Vec<Due>> {
    tx.due(claimed(), Column::ExpiresAt, PLACE, now, behind).await
}

/// What holders came with, behind one of them in their order.
pub(super) async fn credentials(tx: &DoorTx<'_>, behind: Option<Credential>) -> Result<Vec<Credential>> {
    let behind = behind.map(|behind| behind.to_string());
    let texts = tx.texts(claimed(), Column::Credential, behind).await?;
    texts.iter().map(|text| text.parse().map_err(Error::internal)).collect()
}

/// The claims of those who came with something.
pub(super) async fn held_with(tx: &DoorTx<'_>, credentials: &[Credential]) -> Result<Vec<Place>> {
    let theirs = Column::Credential.is_in(credentials.iter().map(Credential::to_string));
    tx.places(claimed().filter(theirs), PLACE).await
}
