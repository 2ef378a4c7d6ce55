//! What artifacts build on, as rows: some at a time, always through an index.

use entity::{artifact, artifact_dependency};
use sea_orm::{QueryFilter as _, QueryOrder as _, QuerySelect as _, prelude::*};

use super::{
    super::{
        ArtifactId,
        graph::{Link, Node},
    },
    to_kind,
};
use crate::{database::Tx, error::Result, projects::ProjectId};

/// Ids or paths in one statement.
const SOME: usize = 500;

type NodeRow = (Uuid, String, String, Option<String>, Option<DateTimeUtc>);
type LinkRow = (Uuid, String, Option<String>);

/// The artifacts at some paths, removed ones too.
pub(in super::super) async fn at_paths(
    tx: &Tx<'_>,
    project: ProjectId,
    paths: &[String],
) -> Result<Vec<Node>> {
    let mut found = Vec::new();
    for paths in paths.chunks(SOME) {
        let at = artifact::Column::Path.is_in(paths.iter().map(String::as_str));
        found.extend(nodes(tx, nodes_of(tx, project).filter(at)).await?);
    }
    Ok(found)
}

/// Some artifacts, without those that were removed.
pub(in super::super) async fn present(
    tx: &Tx<'_>,
    project: ProjectId,
    ids: &[ArtifactId],
) -> Result<Vec<Node>> {
    let mut found = Vec::new();
    for ids in ids.chunks(SOME) {
        let some = artifact::Column::Id.is_in(ids.iter().map(|id| id.0));
        let here = artifact::Column::RemovedAt.is_null();
        found.extend(nodes(tx, nodes_of(tx, project).filter(some).filter(here)).await?);
    }
    Ok(found)
}

/// The first artifacts by path, without those that were removed.
pub(in super::super) async fn first(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<Vec<Node>> {
    let here = nodes_of(tx, project).filter(artifact::Column::RemovedAt.is_null());
    nodes(tx, here.order_by_asc(artifact::Column::Path).limit(limit)).await
}

/// What some artifacts build on, up to a number.
pub(in super::super) async fn links_from(
    tx: &Tx<'_>,
    project: ProjectId,
    ids: &[ArtifactId],
    limit: u64,
) -> Result<Vec<Link>> {
    use artifact_dependency::Column;
    let mut found = Vec::new();
    for ids in ids.chunks(SOME) {
        let query = links_of(tx, project).filter(Column::ArtifactId.is_in(ids.iter().map(|id| id.0)));
        let query = query.order_by_asc(Column::ArtifactId).order_by_asc(Column::Path);
        found.extend(links(tx, query.limit(limit.saturating_sub(found.len() as u64))).await?);
    }
    Ok(found)
}

/// What builds on some paths, up to a number.
pub(in super::super) async fn links_to(
    tx: &Tx<'_>,
    project: ProjectId,
    paths: &[String],
    limit: u64,
) -> Result<Vec<Link>> {
    use artifact_dependency::Column;
    let mut found = Vec::new();
    for paths in paths.chunks(SOME) {
        let query = links_of(tx, project).filter(Column::Path.is_in(paths.iter().map(String::as_str)));
        let query = query.order_by_asc(Column::Path).order_by_asc(Column::ArtifactId);
        found.extend(links(tx, query.limit(limit.saturating_sub(found.len() as u64))).await?);
    }
    Ok(found)
}

/// The first of all by path, up to a number.
pub(in super::super) async fn first_links(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<Vec<Link>> {
    use artifact_dependency::Column;
    let query = links_of(tx, project).order_by_asc(Column::Path).order_by_asc(Column::ArtifactId);
    links(tx, query.limit(limit)).await
}

fn nodes_of(tx: &Tx<'_>, project: ProjectId) -> Select<artifact::Entity> {
    tx.find::<artifact::Entity>().filter(artifact::Column::ProjectId.eq(project.0))
}

fn links_of(tx: &Tx<'_>, project: ProjectId) -> Select<artifact_dependency::Entity> {
    tx.find::<artifact_dependency::Entity>().filter(artifact_dependency::Column::ProjectId.eq(project.0))
}

async fn nodes(tx: &Tx<'_>, query: Select<artifact::Entity>) -> Result<Vec<Node>> {
    use artifact::Column;
    let columns = [Column::Id, Column::Path, Column::Kind, Column::Version, Column::RemovedAt];
    let rows: Vec<NodeRow> = query.select_only().columns(columns).into_tuple().all(tx.conn()).await?;
    let node = |(id, path, kind, version, removed_at): NodeRow| Node {
        id: Some(ArtifactId(id)),
        path,
        kind: Some(to_kind(&kind)),
        version,
        missing: removed_at.is_some(),
    };
    Ok(rows.into_iter().map(node).collect())
}

async fn links(tx: &Tx<'_>, query: Select<artifact_dependency::Entity>) -> Result<Vec<Link>> {
    use artifact_dependency::Column;
    let columns = [Column::ArtifactId, Column::Path, Column::Version];
    let rows: Vec<LinkRow> = query.select_only().columns(columns).into_tuple().all(tx.conn()).await?;
    Ok(rows.into_iter().map(|(id, path, version)| Link { from: ArtifactId(id), path, version }).collect())
}
