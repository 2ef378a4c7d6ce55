//! The rows of runs.

use entity::run;
use sea_orm::{
    ActiveValue::Set, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, prelude::*,
};

use super::{Run, RunFilter, RunId, RunState};
use crate::{
    database::Tx,
    error::{Error, Result},
    projects::ProjectId,
    webhooks::Source,
    wire::{Found, Page},
};

pub(super) async fn by_external_id(
    tx: &Tx<'_>,
    project: ProjectId,
    source: Source,
    external_id: &str,
) -> Result<Option<Run>> {
    let row = tx
        .find::<run::Entity>()
        .filter(run::Column::ProjectId.eq(project.0))
        .filter(run::Column::Source.eq(source.as_str()))
        .filter(run::Column::ExternalId.eq(external_id))
        .one(tx.conn())
        .await?;
    row.map(to_run).transpose()
}

pub(super) async fn find(tx: &Tx<'_>, project: ProjectId, id: Uuid) -> Result<Option<Run>> {
    let row = tx
        .find::<run::Entity>()
        .filter(run::Column::ProjectId.eq(project.0))
        .filter(run::Column::Id.eq(id))
        .one(tx.conn())
        .await?;
    row.map(to_run).transpose()
}

pub(super) async fn list(
    tx: &Tx<'_>,
    project: ProjectId,
    filter: &RunFilter,
    page: &Page<RunId>,
) -> Result<Found<Run>> {
    let query = from(tx, project, filter, page);
    tx.page(query, run::Column::Id, page).await?.try_map(to_run)
}

pub(super) async fn newest(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<Vec<Run>> {
    let query = tx.find::<run::Entity>().filter(run::Column::ProjectId.eq(project.0));
    let query = query.order_by_desc(run::Column::Id).limit(limit);
    query.all(tx.conn()).await?.into_iter().map(to_run).collect()
}

fn from(tx: &Tx<'_>, project: ProjectId, filter: &RunFilter, page: &Page<RunId>) -> Select<run::Entity> {
    let mut query =
        tx.find::<run::Entity>().filter(run::Column::ProjectId.eq(project.0)).order_by_desc(run::Column::Id);
    if let Some(after) = page.after {
        query = query.filter(run::Column::Id.lt(after.0));
    }
    if let Some(status) = filter.status {
        query = query.filter(run::Column::Status.eq(status.as_str()));
    }
    if let Some(commit) = &filter.commit {
        query = query.filter(run::Column::Commit.eq(commit.as_str()));
    }
    query
}

pub(super) async fn save(tx: &Tx<'_>, project: ProjectId, run: &Run, new: bool) -> Result<()> {
    let state = run.state.clone();
    let row = run::ActiveModel {
        id: Set(run.id.0),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        source: Set(state.source.as_str().to_owned()),
        external_id: Set(state.external_id),
        kind: Set(state.kind.as_str().to_owned()),
        name: Set(state.name),
        status: Set(state.status.as_str().to_owned()),
        commit: Set(state.commit),
        branch: Set(state.branch),
        url: Set(state.url),
        started_at: Set(state.started_at),
        finished_at: Set(state.finished_at),
        revision: Set(state.revision),
        stated_at: Set(state.stated_at),
    };
    if new {
        run::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    } else {
        tx.update::<run::Entity>().set(row).filter(run::Column::Id.eq(run.id.0)).exec(tx.conn()).await?;
    }
    Ok(())
}

pub(super) async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    tx.delete_some::<run::Entity>(run::Column::Id, run::Column::ProjectId.eq(project.0), limit).await
}

fn to_run(row: run::Model) -> Result<Run> {
    let state = RunState {
        source: row.source.parse().map_err(Error::internal)?,
        external_id: row.external_id,
        kind: row.kind.parse().map_err(Error::internal)?,
        name: row.name,
        status: row.status.parse().map_err(Error::internal)?,
        commit: row.commit,
        branch: row.branch,
        url: row.url,
        started_at: row.started_at,
        finished_at: row.finished_at,
        revision: row.revision,
        stated_at: row.stated_at,
    };
    Ok(Run { id: RunId(row.id), state })
}
