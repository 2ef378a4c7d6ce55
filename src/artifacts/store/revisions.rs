//! The rows of revisions, whose contents are compressed.

use std::collections::HashMap;

use entity::artifact_revision::{self, ActiveModel, Column, Entity};
use sea_orm::{ActiveValue::Set, EntityTrait as _, QueryFilter as _, QueryOrder as _, prelude::*};

use super::super::{ArtifactId, Revision, plan::Known, reread::Reread};
use crate::{
    database::Tx,
    error::{Error, Result},
    projects::ProjectId,
};

/// How hard contents are compressed; they are read by people, one at a time.
const LEVEL: i32 = 9;
/// Rows of one statement.
const ROWS: usize = 500;

pub(super) async fn insert(tx: &Tx<'_>, project: ProjectId, documents: Vec<Reread>) -> Result<()> {
    let mut rows = Vec::new();
    for Reread { artifact, revision, body, .. } in documents {
        let Some(revision) = revision else { continue };
        let body =
            body.map(|body| zstd::bulk::compress(&body, LEVEL)).transpose().map_err(Error::internal)?;
        rows.push(to_row(tx, project, artifact.id, revision, body)?);
    }
    insert_rows(tx, rows).await
}

pub(super) async fn insert_removals(
    tx: &Tx<'_>,
    project: ProjectId,
    gone: Vec<(Known, Revision)>,
) -> Result<()> {
    let rows = gone.into_iter().map(|(known, revision)| to_row(tx, project, known.id, revision, None));
    insert_rows(tx, rows.collect::<Result<_>>()?).await
}

async fn insert_rows(tx: &Tx<'_>, rows: Vec<ActiveModel>) -> Result<()> {
    for rows in rows.chunks(ROWS) {
        Entity::insert_many(rows.to_vec()).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

/// The newest contents of some artifacts.
pub(in super::super) async fn bodies(
    tx: &Tx<'_>,
    project: ProjectId,
    artifacts: Vec<Uuid>,
) -> Result<HashMap<ArtifactId, Vec<u8>>> {
    let mut bodies = HashMap::new();
    for artifact in artifacts {
        let newest = of(tx, project, ArtifactId(artifact)).order_by_desc(Column::Id).one(tx.conn()).await?;
        if let Some(body) = newest.and_then(|row| row.body) {
            bodies.insert(ArtifactId(artifact), expand(&body)?);
        }
    }
    Ok(bodies)
}

pub(super) async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    tx.delete_some::<Entity>(Column::Id, Column::ProjectId.eq(project.0), limit).await
}

fn of(tx: &Tx<'_>, project: ProjectId, artifact: ArtifactId) -> Select<Entity> {
    tx.find::<Entity>().filter(Column::ProjectId.eq(project.0)).filter(Column::ArtifactId.eq(artifact.0))
}

fn expand(body: &[u8]) -> Result<Vec<u8>> {
    zstd::stream::decode_all(body).map_err(Error::internal)
}

fn to_row(
    tx: &Tx<'_>,
    project: ProjectId,
    artifact: ArtifactId,
    revision: Revision,
    body: Option<Vec<u8>>,
) -> Result<ActiveModel> {
    Ok(artifact_revision::ActiveModel {
        id: Set(revision.id.0),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        artifact_id: Set(artifact.0),
        path: Set(revision.path),
        commit: Set(revision.commit),
        author: Set(revision.author),
        committed_at: Set(revision.committed_at),
        blob: Set(revision.blob),
        version: Set(revision.version),
        bytes: Set(revision.bytes.try_into().map_err(Error::internal)?),
        body: Set(body),
    })
}
