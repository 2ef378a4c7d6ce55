//! What was said about items.

use std::collections::BTreeMap;

use entity::work_comment::{ActiveModel, Column, Entity, Model};
use sea_orm::{
    ActiveValue::Set, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, prelude::*,
};

use super::super::{CommentId, WorkItemId, items::Comment};
use crate::{
    accounts::PrincipalId,
    database::Tx,
    error::Result,
    projects::ProjectId,
    wire::{Found, Page},
};

/// Comments that are looked at, of all items that are asked about.
const NEWEST: u64 = 500;

fn of(tx: &Tx<'_>, project: ProjectId, item: WorkItemId) -> Select<Entity> {
    tx.find::<Entity>().filter(Column::ProjectId.eq(project.0)).filter(Column::WorkItemId.eq(item.0))
}

/// A page of an item's comments, newest first.
pub(in super::super) async fn comments(
    tx: &Tx<'_>,
    project: ProjectId,
    item: WorkItemId,
    page: &Page<CommentId>,
) -> Result<Found<Comment>> {
    let mut query = of(tx, project, item).order_by_desc(Column::Id);
    if let Some(after) = page.after {
        query = query.filter(Column::Id.lt(after.0));
    }
    tx.page(query, Column::Id, page).await?.try_map(|row| Ok(to_comment(row)))
}

/// The newest comments of some items, newest first.
pub(in super::super) async fn newest_comments(
    tx: &Tx<'_>,
    project: ProjectId,
    items: &[WorkItemId],
) -> Result<BTreeMap<WorkItemId, Vec<Comment>>> {
    let rows = tx
        .find::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(tx.one_of(Column::WorkItemId, items.iter().map(|item| item.0)))
        .order_by_desc(Column::Id)
        .limit(NEWEST)
        .all(tx.conn())
        .await?;
    let mut comments: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        comments.entry(WorkItemId(row.work_item_id)).or_default().push(to_comment(row));
    }
    Ok(comments)
}

pub(in super::super) async fn insert_comment(
    tx: &Tx<'_>,
    project: ProjectId,
    item: WorkItemId,
    comment: Comment,
) -> Result<()> {
    let row = ActiveModel {
        id: Set(comment.id.0),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        work_item_id: Set(item.0),
        author_id: Set(comment.author.0),
        author_name: Set(comment.author_name),
        body: Set(comment.text),
        created_at: Set(comment.at),
    };
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub(super) async fn remove(tx: &Tx<'_>, project: ProjectId, item: WorkItemId) -> Result<()> {
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

fn to_comment(row: Model) -> Comment {
    Comment {
        id: CommentId(row.id),
        author: PrincipalId(row.author_id),
        author_name: row.author_name,
        text: row.body,
        at: row.created_at,
    }
}
