//! Documents that are one thing with a work item, or are to be.

use entity::{artifact, work_item};
use sea_orm::{
    Condition, JoinType, QueryFilter as _, QuerySelect as _,
    prelude::*,
    sea_query::{ExprTrait as _, Func, IntoCondition as _},
};

use super::super::{WorkItemId, documents::Story};
use crate::{
    artifacts::{ArtifactId, ArtifactKind},
    database::Tx,
    error::Result,
    projects::ProjectId,
};

/// What a row tells: the document's id, its title and name, its status, when it was removed, and the item.
type Row = (Uuid, Option<String>, String, Option<String>, Option<DateTimeUtc>, Option<Uuid>);

/// Those of some documents whose items do not say what they say, or that have none; in the order of their paths.
pub(in super::super) async fn differing(
    tx: &Tx<'_>,
    project: ProjectId,
    documents: Vec<ArtifactId>,
) -> Result<Vec<Story>> {
    use artifact::Column;
    let of_project = work_item::Column::ProjectId.eq(project.0);
    let join = artifact::Entity::belongs_to(work_item::Entity)
        .from(Column::Id)
        .to(work_item::Column::ArtifactId)
        .on_condition(move |_, _| of_project.clone().into_condition())
        .into();
    let said = |column: Expr| Func::coalesce([column, Expr::value("")]);
    let stated = Expr::col((artifact::Entity, Column::Status));
    let known = Expr::col((work_item::Entity, work_item::Column::FileStatus));
    let has_none = work_item::Column::Id.is_null();
    let differs = Expr::expr(said(stated)).ne(said(known.clone()));
    let is_there =
        Condition::all().add(Column::RemovedAt.is_null()).add(Condition::any().add(has_none).add(differs));
    let is_gone = Condition::all().add(Column::RemovedAt.is_not_null()).add(known.is_not_null());
    let rows: Vec<Row> = tx
        .find::<artifact::Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::Id.is_in(documents.into_iter().map(|id| id.0)))
        .filter(Column::Kind.eq(ArtifactKind::Story.as_str()))
        .join(JoinType::LeftJoin, join)
        .filter(Condition::any().add(is_there).add(is_gone))
        .select_only()
        .columns([Column::Id, Column::Title, Column::Name, Column::Status, Column::RemovedAt])
        .column(work_item::Column::Id)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let story = |(artifact, title, name, status, removed_at, item): Row| Story {
        artifact: ArtifactId(artifact),
        title: title.unwrap_or(name),
        status: status.filter(|_| removed_at.is_none()),
        is_removed: removed_at.is_some(),
        item: item.map(WorkItemId),
    };
    Ok(rows.into_iter().map(story).collect())
}
