//! The rows of revisions, whose contents are compressed.

use std::{collections::HashMap, io};

use entity::artifact_revision::{self, ActiveModel, Column, Entity};
use sea_orm::{
    ActiveValue::Set,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
    prelude::*,
    sea_query::{Alias, ExprTrait as _, Query},
};

use zstd::bulk::Compressor;

use super::super::{ArtifactId, Revision, RevisionId, plan::Known, reread::Reread};
use crate::{
    database::Tx,
    error::{Error, Result},
    projects::ProjectId,
    wire::{Found, Page},
};

/// How hard contents are compressed: as hard as costs no more than the rest of reading them.
const LEVEL: i32 = 3;
/// Everything of a revision but its content.
type Row = (Uuid, String, String, Option<String>, DateTimeUtc, Option<String>, Option<String>, i64);

const COLUMNS: [Column; 8] = [
    Column::Id,
    Column::Path,
    Column::Commit,
    Column::Author,
    Column::CommittedAt,
    Column::Blob,
    Column::Version,
    Column::Bytes,
];

/// What makes contents as they are stored, one after the other: to begin anew for each takes longer than a small one.
pub(in super::super) fn compressor() -> io::Result<Compressor<'static>> {
    Compressor::new(LEVEL)
}

pub(super) async fn insert(tx: &Tx<'_>, project: ProjectId, documents: Vec<Reread>) -> Result<()> {
    let mut rows = Vec::new();
    for Reread { artifact, revision, body, .. } in documents {
        let Some(revision) = revision else { continue };
        rows.push(to_row(tx, project, artifact.id, revision, body)?);
    }
    tx.insert_all(rows).await
}

pub(super) async fn insert_removals(
    tx: &Tx<'_>,
    project: ProjectId,
    gone: Vec<(Known, Revision)>,
) -> Result<()> {
    let rows = gone.into_iter().map(|(known, revision)| to_row(tx, project, known.id, revision, None));
    tx.insert_all(rows.collect::<Result<_>>()?).await
}

/// The newest contents of some artifacts, as far as they were read. They are found by their ids, and whose project they
/// are is looked at behind that: told both, SQLite takes the index of the project and reads all of its revisions.
pub(in super::super) async fn texts(
    tx: &Tx<'_>,
    project: ProjectId,
    ids: Vec<ArtifactId>,
) -> Result<HashMap<ArtifactId, Vec<u8>>> {
    let newer = Alias::new("newer");
    let is_newer = Query::select()
        .expr(Expr::value(1))
        .from_as(Entity, newer.clone())
        .and_where(Expr::col((newer.clone(), Column::TenantId)).eq(tx.tenant().0))
        .and_where(Expr::col((newer.clone(), Column::ArtifactId)).equals((Entity, Column::ArtifactId)))
        .and_where(Expr::col((newer, Column::Id)).gt(Expr::col((Entity, Column::Id))))
        .take();
    let rows: Vec<(Uuid, Uuid, Option<Vec<u8>>)> = tx
        .find::<Entity>()
        .filter(tx.one_of(Column::ArtifactId, ids.into_iter().map(|id| id.0)))
        .filter(Expr::exists(is_newer).not())
        .select_only()
        .columns([Column::ProjectId, Column::ArtifactId, Column::Body])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let rows = rows.into_iter().filter(|(its, ..)| *its == project.0);
    let rows = rows.filter_map(|(_, id, body)| Some((ArtifactId(id), body?)));
    rows.map(|(id, body)| Ok((id, expand(&body)?))).collect()
}

/// A page of an artifact's revisions, newest first.
pub(in super::super) async fn list_revisions(
    tx: &Tx<'_>,
    project: ProjectId,
    artifact: ArtifactId,
    page: &Page<RevisionId>,
) -> Result<Found<Revision>> {
    let mut query = of(tx, project, artifact).order_by_desc(Column::Id);
    if let Some(after) = page.after {
        query = query.filter(Column::Id.lt(after.0));
    }
    let rows: Vec<Row> =
        query.select_only().columns(COLUMNS).limit(page.limit + 1).into_tuple().all(tx.conn()).await?;
    Ok(Found { rows: rows.into_iter().map(to_revision).collect::<Result<_>>()?, left: 0 })
}

/// Which revisions are meant; of several it is the newest.
#[derive(Clone, Debug)]
pub(in super::super) enum Named {
    /// Any of them.
    Any,
    /// Any that has a content.
    Kept,
    /// The one with this id.
    Id(RevisionId),
    /// Those of a commit, whose name may be shortened.
    Commit(String),
    /// Those that state one of these versions, as they are written.
    Versions(Vec<String>),
}

/// The newest revision of those that are meant, and its content.
pub(in super::super) async fn revision(
    tx: &Tx<'_>,
    project: ProjectId,
    artifact: ArtifactId,
    named: Named,
) -> Result<Option<(Revision, Option<Vec<u8>>)>> {
    let query = of(tx, project, artifact).order_by_desc(Column::Id);
    let query = match named {
        Named::Any => query,
        Named::Kept => query.filter(Column::Body.is_not_null()),
        Named::Id(id) => query.filter(Column::Id.eq(id.0)),
        Named::Commit(beginning) => query.filter(Column::Commit.starts_with(beginning)),
        Named::Versions(versions) => query.filter(Column::Version.is_in(versions)),
    };
    let Some(row) = query.one(tx.conn()).await? else { return Ok(None) };
    let body = row.body.as_deref().map(expand).transpose()?;
    let row = (row.id, row.path, row.commit, row.author, row.committed_at, row.blob, row.version, row.bytes);
    Ok(Some((to_revision(row)?, body)))
}

/// Whether a shortened commit is also that of a revision of another commit.
pub(in super::super) async fn is_ambiguous(
    tx: &Tx<'_>,
    project: ProjectId,
    artifact: ArtifactId,
    beginning: &str,
    commit: &str,
) -> Result<bool> {
    let other = of(tx, project, artifact)
        .filter(Column::Commit.starts_with(beginning))
        .filter(Column::Commit.ne(commit))
        .select_only()
        .column(Column::Id);
    Ok(other.into_tuple::<Uuid>().one(tx.conn()).await?.is_some())
}

/// Every version that an artifact has ever stated, as it was written.
pub(in super::super) async fn versions(
    tx: &Tx<'_>,
    project: ProjectId,
    artifact: ArtifactId,
) -> Result<Vec<String>> {
    let stated = of(tx, project, artifact).filter(Column::Version.is_not_null());
    Ok(stated.select_only().column(Column::Version).distinct().into_tuple().all(tx.conn()).await?)
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

fn to_revision((id, path, commit, author, committed_at, blob, version, bytes): Row) -> Result<Revision> {
    Ok(Revision {
        id: RevisionId(id),
        path,
        commit,
        author,
        committed_at,
        blob,
        version,
        bytes: bytes.try_into().map_err(Error::internal)?,
    })
}
