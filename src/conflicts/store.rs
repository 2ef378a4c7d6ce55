//! The rows of conflicts.

use std::collections::{BTreeMap, BTreeSet};

use entity::conflict::{self, Column, Entity};
use sea_orm::{ActiveValue::Set, QueryFilter as _, QueryOrder as _, QuerySelect as _, prelude::*};

use super::{
    Conflict, ConflictFilter, ConflictId, ConflictKind, ConflictState, Drifting, Resolution, Resolver,
    Severity, drift::Cause,
};
use crate::{
    accounts::PrincipalId,
    artifacts::ArtifactId,
    clock::Time,
    database::Tx,
    error::{Error, Result},
    projects::ProjectId,
    wire::{Found, Page},
};

/// Rows of one statement.
const ROWS: usize = 500;

pub(super) async fn find(tx: &Tx<'_>, project: ProjectId, id: ConflictId) -> Result<Option<Conflict>> {
    let row = tx
        .find::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::Id.eq(id.0))
        .one(tx.conn())
        .await?;
    row.map(to_conflict).transpose()
}

pub(super) async fn list(
    tx: &Tx<'_>,
    project: ProjectId,
    filter: ConflictFilter,
    page: &Page<ConflictId>,
) -> Result<Found<Conflict>> {
    tx.page(from(tx, project, filter, page), Column::Id, page).await?.try_map(to_conflict)
}

fn from(
    tx: &Tx<'_>,
    project: ProjectId,
    ConflictFilter { state, kind, severity, artifact }: ConflictFilter,
    page: &Page<ConflictId>,
) -> Select<Entity> {
    let mut query = tx.find::<Entity>().filter(Column::ProjectId.eq(project.0)).order_by_desc(Column::Id);
    if let Some(after) = page.after {
        query = query.filter(Column::Id.lt(after.0));
    }
    query = match state {
        ConflictState::Open => query.filter(Column::ResolvedAt.is_null()),
        ConflictState::Resolved => query.filter(Column::ResolvedAt.is_not_null()),
        ConflictState::All => query,
    };
    if let Some(kind) = kind {
        query = query.filter(Column::Kind.eq(kind.as_str()));
    }
    if let Some(severity) = severity {
        query = query.filter(Column::Severity.eq(severity.as_str()));
    }
    if let Some(artifact) = artifact {
        query = query.filter(Column::ArtifactId.eq(artifact.0));
    }
    query
}

/// How many conflicts of each severity are open.
pub(super) async fn count_open(tx: &Tx<'_>, project: ProjectId) -> Result<BTreeMap<Severity, u64>> {
    let rows: Vec<(String, i64)> = tx
        .find::<Entity>()
        .select_only()
        .column(Column::Severity)
        .column_as(Column::Id.count(), "count")
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::ResolvedAt.is_null())
        .group_by(Column::Severity)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let count = |(severity, count): (String, i64)| {
        let severity = severity.parse().map_err(Error::internal)?;
        Ok((severity, u64::try_from(count).map_err(Error::internal)?))
    };
    rows.into_iter().map(count).collect()
}

/// The open conflicts of some kinds, each with its cause.
pub(super) async fn open(
    tx: &Tx<'_>,
    project: ProjectId,
    kinds: &[ConflictKind],
) -> Result<Vec<(Cause, Conflict)>> {
    let rows = tx
        .find::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::ResolvedAt.is_null())
        .filter(Column::Kind.is_in(kinds.iter().map(|kind| kind.as_str())))
        .all(tx.conn())
        .await?;
    rows.into_iter().map(|row| Ok((Cause(row.cause.clone()), to_conflict(row)?))).collect()
}

/// The newest open conflicts of some kinds, up to `limit`.
pub(super) async fn newest_open(
    tx: &Tx<'_>,
    project: ProjectId,
    kinds: &[ConflictKind],
    limit: u64,
) -> Result<Vec<Conflict>> {
    let rows = tx
        .find::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::ResolvedAt.is_null())
        .filter(Column::Kind.is_in(kinds.iter().map(|kind| kind.as_str())))
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(tx.conn())
        .await?;
    rows.into_iter().map(to_conflict).collect()
}

/// All that some causes have made, open and resolved.
pub(super) async fn of_causes(
    tx: &Tx<'_>,
    project: ProjectId,
    causes: impl Iterator<Item = &Cause>,
) -> Result<Vec<(Cause, Conflict)>> {
    let rows = tx
        .find::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(tx.one_of(Column::Cause, causes.map(|cause| cause.0.clone())))
        .all(tx.conn())
        .await?;
    rows.into_iter().map(|row| Ok((Cause(row.cause.clone()), to_conflict(row)?))).collect()
}

/// The same in short.
pub(super) async fn drifting(
    tx: &Tx<'_>,
    project: ProjectId,
    kinds: [ConflictKind; 2],
) -> Result<Vec<Drifting>> {
    let rows: Vec<(String, String, Option<Uuid>)> = tx
        .find::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::ResolvedAt.is_null())
        .filter(Column::Kind.is_in(kinds.map(ConflictKind::as_str)))
        .select_only()
        .columns([Column::Kind, Column::Severity, Column::ArtifactId])
        .into_tuple()
        .all(tx.conn())
        .await?;
    let drifting = |(kind, severity, artifact): (String, String, Option<Uuid>)| {
        let kind = kind.parse::<ConflictKind>().map_err(Error::internal)?;
        let severity = severity.parse::<Severity>().map_err(Error::internal)?;
        Ok(Drifting { kind, severity, artifact: artifact.map(ArtifactId) })
    };
    rows.into_iter().map(drifting).collect()
}

/// The open conflicts of some documents.
pub(super) async fn open_of(
    tx: &Tx<'_>,
    project: ProjectId,
    documents: &[ArtifactId],
) -> Result<Vec<Conflict>> {
    let rows = tx
        .find::<Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::ResolvedAt.is_null())
        .filter(tx.one_of(Column::ArtifactId, documents.iter().map(|document| document.0)))
        .all(tx.conn())
        .await?;
    rows.into_iter().map(to_conflict).collect()
}

/// The causes that somebody has settled, and that are not told again.
pub(super) async fn settled(tx: &Tx<'_>, project: ProjectId) -> Result<BTreeSet<Cause>> {
    let causes: Vec<String> = tx
        .find::<Entity>()
        .select_only()
        .column(Column::Cause)
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::ResolvedBy.is_not_null())
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(causes.into_iter().map(Cause).collect())
}

/// Writes conflicts as they are now, new ones and others.
pub(super) async fn save(tx: &Tx<'_>, project: ProjectId, conflicts: &[(Cause, Conflict)]) -> Result<()> {
    let rows = conflicts.iter().map(|(cause, conflict)| to_row(tx, project, cause, conflict));
    tx.save_all(rows.collect::<Result<_>>()?, &[Column::Id]).await
}

/// Resolves conflicts, all for the same reason.
pub(super) async fn resolve(
    tx: &Tx<'_>,
    project: ProjectId,
    ids: &[ConflictId],
    resolution: &Resolution,
) -> Result<()> {
    let by = resolution.by.as_ref();
    for some in ids.chunks(ROWS) {
        tx.update::<Entity>()
            .col_expr(Column::ResolvedAt, Expr::value(resolution.at))
            .col_expr(Column::ResolvedBy, Expr::value(by.map(|by| by.id.0)))
            .col_expr(Column::ResolverName, Expr::value(by.map(|by| by.name.clone())))
            .col_expr(Column::Resolution, Expr::value(resolution.why.as_str()))
            .filter(Column::ProjectId.eq(project.0))
            .filter(Column::Id.is_in(some.iter().map(|id| id.0)))
            .exec(tx.conn())
            .await?;
    }
    Ok(())
}

pub(super) async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    tx.delete_some::<Entity>(Column::Id, Column::ProjectId.eq(project.0), limit).await
}

fn to_row(
    tx: &Tx<'_>,
    project: ProjectId,
    cause: &Cause,
    conflict: &Conflict,
) -> Result<conflict::ActiveModel> {
    let resolution = conflict.resolution.as_ref();
    let by = resolution.and_then(|resolution| resolution.by.as_ref());
    Ok(conflict::ActiveModel {
        id: Set(conflict.id.0),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        kind: Set(conflict.kind.as_str().to_owned()),
        severity: Set(conflict.severity.as_str().to_owned()),
        artifact_id: Set(conflict.artifact.map(|artifact| artifact.0)),
        path: Set(conflict.details.dependency_path.clone()),
        details: Set(serde_json::to_value(&conflict.details).map_err(Error::internal)?),
        cause: Set(cause.0.clone()),
        detected_at: Set(conflict.detected_at),
        resolved_at: Set(resolution.map(|resolution| resolution.at)),
        resolved_by: Set(by.map(|by| by.id.0)),
        resolver_name: Set(by.map(|by| by.name.clone())),
        resolution: Set(resolution.map(|resolution| resolution.why.clone())),
    })
}

fn to_conflict(row: conflict::Model) -> Result<Conflict> {
    let by = row
        .resolved_by
        .map(|id| Resolver { id: PrincipalId(id), name: row.resolver_name.unwrap_or_default() });
    let resolved = |at: Time| Resolution { at, by, why: row.resolution.unwrap_or_default() };
    Ok(Conflict {
        id: ConflictId(row.id),
        kind: row.kind.parse().map_err(Error::internal)?,
        severity: row.severity.parse().map_err(Error::internal)?,
        artifact: row.artifact_id.map(ArtifactId),
        details: serde_json::from_value(row.details).map_err(Error::internal)?,
        detected_at: row.detected_at,
        resolution: row.resolved_at.map(resolved),
    })
}
