//! The rows of artifacts.

use std::collections::BTreeMap;

use entity::artifact;
use sea_orm::{
    ActiveValue::Set, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, prelude::*,
};

use super::{Artifact, ArtifactFilter, ArtifactId, ArtifactKind};
use crate::{
    database::Tx,
    error::{Error, Result},
    projects::ProjectId,
    wire::{Found, Page},
};

pub(super) async fn by_paths(tx: &Tx<'_>, project: ProjectId, paths: Vec<String>) -> Result<Vec<Artifact>> {
    let mut found = Vec::new();
    for paths in paths.chunks(1000) {
        let rows = tx
            .find::<artifact::Entity>()
            .filter(artifact::Column::ProjectId.eq(project.0))
            .filter(artifact::Column::Path.is_in(paths.iter().map(String::as_str)))
            .all(tx.conn())
            .await?;
        for row in rows {
            found.push(to_artifact(row)?);
        }
    }
    Ok(found)
}

pub(super) async fn find(tx: &Tx<'_>, project: ProjectId, id: Uuid) -> Result<Option<Artifact>> {
    let row = tx
        .find::<artifact::Entity>()
        .filter(artifact::Column::ProjectId.eq(project.0))
        .filter(artifact::Column::Id.eq(id))
        .one(tx.conn())
        .await?;
    row.map(to_artifact).transpose()
}

pub(super) async fn list(
    tx: &Tx<'_>,
    project: ProjectId,
    filter: ArtifactFilter,
    page: &Page<String>,
) -> Result<Found<Artifact>> {
    let query = from(tx, project, filter, page);
    tx.page(query, artifact::Column::Id, page).await?.try_map(to_artifact)
}

fn from(
    tx: &Tx<'_>,
    project: ProjectId,
    ArtifactFilter { kind, removed }: ArtifactFilter,
    page: &Page<String>,
) -> Select<artifact::Entity> {
    let mut query = tx
        .find::<artifact::Entity>()
        .filter(artifact::Column::ProjectId.eq(project.0))
        .order_by_asc(artifact::Column::Path);
    if let Some(after) = &page.after {
        query = query.filter(artifact::Column::Path.gt(after.as_str()));
    }
    if let Some(kind) = kind {
        query = query.filter(artifact::Column::Kind.eq(kind.as_str()));
    }
    if !removed {
        query = query.filter(artifact::Column::RemovedAt.is_null());
    }
    query
}

pub(super) async fn count_by_kind(tx: &Tx<'_>, project: ProjectId) -> Result<BTreeMap<ArtifactKind, u64>> {
    let rows: Vec<(String, i64)> = tx
        .find::<artifact::Entity>()
        .select_only()
        .column(artifact::Column::Kind)
        .column_as(artifact::Column::Id.count(), "count")
        .filter(artifact::Column::ProjectId.eq(project.0))
        .filter(artifact::Column::RemovedAt.is_null())
        .group_by(artifact::Column::Kind)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let mut counts = BTreeMap::new();
    for (kind, count) in rows {
        *counts.entry(to_kind(&kind)).or_default() += u64::try_from(count).map_err(Error::internal)?;
    }
    Ok(counts)
}

pub(super) async fn save(tx: &Tx<'_>, project: ProjectId, artifact: &Artifact, new: bool) -> Result<()> {
    let row = artifact::ActiveModel {
        id: Set(artifact.id.0),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        path: Set(artifact.path.clone()),
        kind: Set(artifact.kind.as_str().to_owned()),
        name: Set(artifact.name.clone()),
        version: Set(artifact.version.clone()),
        dependencies: Set(serde_json::to_value(&artifact.dependencies).map_err(Error::internal)?),
        commit: Set(artifact.commit.clone()),
        author: Set(artifact.author.clone()),
        changed_at: Set(artifact.changed_at),
        removed_at: Set(artifact.removed_at),
    };
    if new {
        artifact::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    } else {
        tx.update::<artifact::Entity>()
            .set(row)
            .filter(artifact::Column::Id.eq(artifact.id.0))
            .exec(tx.conn())
            .await?;
    }
    Ok(())
}

pub(super) async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    tx.delete_some::<artifact::Entity>(artifact::Column::Id, artifact::Column::ProjectId.eq(project.0), limit)
        .await
}

fn to_artifact(row: artifact::Model) -> Result<Artifact> {
    Ok(Artifact {
        id: ArtifactId(row.id),
        path: row.path,
        kind: to_kind(&row.kind),
        name: row.name,
        version: row.version,
        dependencies: serde_json::from_value(row.dependencies).map_err(Error::internal)?,
        commit: row.commit,
        author: row.author,
        changed_at: row.changed_at,
        removed_at: row.removed_at,
    })
}

/// A kind that only a newer version knows is some kind of document still.
fn to_kind(kind: &str) -> ArtifactKind {
    kind.parse().unwrap_or(ArtifactKind::Other)
}
