//! The words of documents, and what is shown of those that were found.
//!
//! Documents are read by their ids, and whose project they are is looked at behind that: told both, SQLite takes the
//! index of the project and reads all of its documents.

use std::collections::HashMap;

use entity::artifact;
use sea_orm::{QueryFilter as _, QueryOrder as _, QuerySelect as _, prelude::*};

use super::{super::search::terms, Artifact, ArtifactId, revisions::texts, to_artifact};
use crate::{database::Tx, error::Result, projects::ProjectId};

/// Documents that are indexed together.
const BATCH: u64 = 50;

/// Makes documents be found by what they say now; each with its text, if that is known.
pub(super) async fn index<'a>(
    tx: &Tx<'_>,
    project: ProjectId,
    documents: impl Iterator<Item = (&'a Artifact, Option<&'a [u8]>)>,
) -> Result<()> {
    let texts = documents.map(|(artifact, body)| (artifact.id.0, terms(artifact, body))).collect();
    tx.index_texts(project, texts).await
}

/// Makes a document be found after a push of which nobody read a word: by its path, if it is new, and else by what it
/// said before.
pub(in super::super) async fn follow_push(
    tx: &Tx<'_>,
    project: ProjectId,
    before: Option<&Artifact>,
    after: &Artifact,
) -> Result<()> {
    let was_there = before.is_some_and(|before| before.removed_at.is_none());
    match (was_there, after.removed_at) {
        (_, Some(_)) => tx.forget_texts(project, vec![after.id.0]).await,
        (true, None) if before.is_some_and(|before| before.kind == after.kind) => Ok(()),
        (_, None) => {
            let text = texts(tx, project, vec![after.id]).await?.remove(&after.id);
            index(tx, project, [(after, text.as_deref())].into_iter()).await
        }
    }
}

/// Those of some documents that are there.
pub(in super::super) async fn present(
    tx: &Tx<'_>,
    project: ProjectId,
    ids: Vec<ArtifactId>,
) -> Result<HashMap<ArtifactId, Artifact>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = tx
        .find::<artifact::Entity>()
        .filter(tx.one_of(artifact::Column::Id, ids.into_iter().map(|id| id.0)))
        .filter(artifact::Column::RemovedAt.is_null())
        .all(tx.conn())
        .await?;
    let rows = rows.into_iter().filter(|row| row.project_id == project.0);
    rows.map(|row| Ok((ArtifactId(row.id), to_artifact(row)?))).collect()
}

/// Indexes the next documents of the tenant, of any project, behind the one that is given; gives their number and the
/// last of them, and nothing when there are no more.
pub(in super::super) async fn index_some(tx: &Tx<'_>, after: Option<Uuid>) -> Result<Option<(u64, Uuid)>> {
    let mut query = tx
        .find::<artifact::Entity>()
        .filter(artifact::Column::RemovedAt.is_null())
        .order_by_asc(artifact::Column::Id)
        .limit(BATCH);
    if let Some(after) = after {
        query = query.filter(artifact::Column::Id.gt(after));
    }
    let rows = query.all(tx.conn()).await?;
    let Some(last) = rows.last().map(|row| row.id) else { return Ok(None) };
    let count = rows.len() as u64;
    let mut projects: HashMap<Uuid, Vec<Artifact>> = HashMap::new();
    for row in rows {
        projects.entry(row.project_id).or_default().push(to_artifact(row)?);
    }
    for (project, artifacts) in projects {
        let project = ProjectId(project);
        let bodies = texts(tx, project, artifacts.iter().map(|artifact| artifact.id).collect()).await?;
        let documents = artifacts.iter().map(|it| (it, bodies.get(&it.id).map(Vec::as_slice)));
        index(tx, project, documents).await?;
    }
    Ok(Some((count, last)))
}
