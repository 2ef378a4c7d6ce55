//! The rows of artifacts, of their revisions and of what they build on.

pub(super) mod graph;
pub(super) mod revisions;
pub(super) mod scans;
pub(super) mod search;

use std::collections::BTreeMap;

use entity::{artifact, artifact_dependency};
use sea_orm::{
    ActiveValue::Set,
    EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    prelude::*,
    sea_query::{Asterisk, ExprTrait as _},
};

pub(super) use self::revisions::texts;
use super::{
    Artifact, ArtifactFilter, ArtifactId, ArtifactKind, Dependency, Outline, Revision, Stated, plan::Known,
    reread::Reread,
};
use crate::{
    clock::Time,
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
            .filter(tx.one_of(artifact::Column::Path, paths))
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
        .column_as(Expr::col(Asterisk).count(), "count")
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

/// What is known of every document that was ever found.
pub(super) async fn known(tx: &Tx<'_>, project: ProjectId) -> Result<Vec<Known>> {
    use artifact::Column;
    type Row = (Uuid, String, String, Option<String>, Option<String>, Option<DateTimeUtc>);
    let rows: Vec<Row> = tx
        .find::<artifact::Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .select_only()
        .columns([Column::Id, Column::Path, Column::Kind, Column::Blob, Column::Version, Column::RemovedAt])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let known = |(id, path, kind, blob, version, removed_at): Row| Known {
        id: ArtifactId(id),
        path,
        kind: to_kind(&kind),
        blob,
        version,
        is_removed: removed_at.is_some(),
    };
    Ok(rows.into_iter().map(known).collect())
}

pub(super) async fn stated(tx: &Tx<'_>, project: ProjectId) -> Result<Vec<Stated>> {
    use artifact::Column;
    let rows: Vec<(Uuid, String, Option<String>, Json)> = tx
        .find::<artifact::Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::RemovedAt.is_null())
        .select_only()
        .columns([Column::Id, Column::Path, Column::Version, Column::Dependencies])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let stated = |(id, path, version, dependencies)| {
        let dependencies = serde_json::from_value(dependencies).map_err(Error::internal)?;
        Ok(Stated { id: ArtifactId(id), path, version, dependencies })
    };
    rows.into_iter().map(stated).collect()
}

pub(super) async fn outlines(tx: &Tx<'_>, project: ProjectId) -> Result<Vec<Outline>> {
    use artifact::Column;
    type Row = (Uuid, String, String, Option<String>, Option<Json>);

    let rows: Vec<Row> = tx
        .find::<artifact::Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::RemovedAt.is_null())
        .order_by_asc(Column::Path)
        .select_only()
        .columns([Column::Id, Column::Path, Column::Kind, Column::Version, Column::Gate])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let outline = |(id, path, kind, version, gate): Row| {
        let gate = gate.map(serde_json::from_value).transpose().map_err(Error::internal)?;
        Ok(Outline { id: ArtifactId(id), path, kind: to_kind(&kind), version, gate })
    };
    rows.into_iter().map(outline).collect()
}

/// Writes documents that were read again, with their revisions and what they build on.
pub(super) async fn save_all(tx: &Tx<'_>, project: ProjectId, mut documents: Vec<Reread>) -> Result<()> {
    let rows = documents.iter().map(|reread| to_row(tx, project, &reread.artifact));
    tx.save_all(rows.collect::<Result<_>>()?, &[artifact::Column::Id]).await?;
    let known = documents.iter().filter(|reread| reread.before.is_some());
    let known: Vec<_> = known.map(|reread| reread.artifact.id).collect();
    if !known.is_empty() {
        forget_dependencies(tx, project, known).await?;
    }
    let mut depends = Vec::new();
    for Reread { artifact, .. } in &documents {
        depends.extend(artifact.dependencies.iter().map(|on| depends_on(tx, project, artifact.id, on)));
    }
    tx.insert_all(depends).await?;
    let texts = documents.iter_mut().map(|reread| (reread.artifact.id.0, std::mem::take(&mut reread.words)));
    tx.index_texts(project, texts.collect()).await?;
    revisions::insert(tx, project, documents).await
}

fn depends_on(
    tx: &Tx<'_>,
    project: ProjectId,
    id: ArtifactId,
    on: &Dependency,
) -> artifact_dependency::ActiveModel {
    artifact_dependency::ActiveModel {
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        artifact_id: Set(id.0),
        path: Set(on.path.clone()),
        version: Set(on.version.clone()),
    }
}

async fn forget_dependencies(tx: &Tx<'_>, project: ProjectId, ids: Vec<ArtifactId>) -> Result<()> {
    tx.delete::<artifact_dependency::Entity>()
        .filter(artifact_dependency::Column::ProjectId.eq(project.0))
        .filter(tx.one_of(artifact_dependency::Column::ArtifactId, ids.into_iter().map(|id| id.0)))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Notes that documents are gone; each with the revision that says so.
pub(super) async fn remove_all(
    tx: &Tx<'_>,
    project: ProjectId,
    gone: Vec<(Known, Revision)>,
    now: Time,
) -> Result<()> {
    for some in gone.chunks(500) {
        let ids: Vec<_> = some.iter().map(|(known, _)| known.id).collect();
        tx.update::<artifact::Entity>()
            .col_expr(artifact::Column::RemovedAt, Expr::value(now))
            .col_expr(artifact::Column::ChangedAt, Expr::value(now))
            .filter(artifact::Column::ProjectId.eq(project.0))
            .filter(tx.one_of(artifact::Column::Id, ids.iter().map(|id| id.0)))
            .exec(tx.conn())
            .await?;
        tx.forget_texts(project, ids.iter().map(|id| id.0).collect()).await?;
        forget_dependencies(tx, project, ids).await?;
    }
    revisions::insert_removals(tx, project, gone).await
}

pub(super) async fn save(tx: &Tx<'_>, project: ProjectId, artifact: &Artifact, new: bool) -> Result<()> {
    let row = to_row(tx, project, artifact)?;
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
    use artifact_dependency::Column::{ArtifactId, ProjectId};
    let texts = tx.purge_texts(project, limit).await?;
    let revisions = revisions::purge(tx, project, limit).await?;
    let depends =
        tx.delete_some::<artifact_dependency::Entity>(ArtifactId, ProjectId.eq(project.0), limit).await?;
    let artifacts = tx
        .delete_some::<artifact::Entity>(
            artifact::Column::Id,
            artifact::Column::ProjectId.eq(project.0),
            limit,
        )
        .await?;
    Ok(texts + revisions + depends + artifacts + scans::remove(tx, project).await?)
}

fn to_row(tx: &Tx<'_>, project: ProjectId, artifact: &Artifact) -> Result<artifact::ActiveModel> {
    Ok(artifact::ActiveModel {
        id: Set(artifact.id.0),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        path: Set(artifact.path.clone()),
        kind: Set(artifact.kind.as_str().to_owned()),
        name: Set(artifact.name.clone()),
        version: Set(artifact.version.clone()),
        dependencies: Set(to_json(&artifact.dependencies)?),
        commit: Set(artifact.commit.clone()),
        author: Set(artifact.author.clone()),
        changed_at: Set(artifact.changed_at),
        removed_at: Set(artifact.removed_at),
        title: Set(artifact.title.clone()),
        status: Set(artifact.status.clone()),
        created_by: Set(artifact.created_by.clone()),
        blob: Set(artifact.blob.clone()),
        bytes: Set(artifact.bytes.map(i64::try_from).transpose().map_err(Error::internal)?),
        sections: Set(to_json(&artifact.sections)?),
        gate: Set(artifact.gate.as_ref().map(to_json).transpose()?),
        warnings: Set(to_json(&artifact.warnings)?),
    })
}

fn to_json(value: &impl serde::Serialize) -> Result<Json> {
    serde_json::to_value(value).map_err(Error::internal)
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
        title: row.title,
        status: row.status,
        created_by: row.created_by,
        blob: row.blob,
        bytes: row.bytes.map(u64::try_from).transpose().map_err(Error::internal)?,
        sections: serde_json::from_value(row.sections).map_err(Error::internal)?,
        gate: row.gate.map(serde_json::from_value).transpose().map_err(Error::internal)?,
        warnings: serde_json::from_value(row.warnings).map_err(Error::internal)?,
    })
}

/// A kind that only a newer version knows is some kind of document still.
fn to_kind(kind: &str) -> ArtifactKind {
    kind.parse().unwrap_or(ArtifactKind::Other)
}
