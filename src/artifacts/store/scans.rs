//! The rows of scans.

use entity::repository_scan;
use sea_orm::{
    ActiveValue::Set,
    EntityTrait as _, QueryFilter as _,
    prelude::*,
    sea_query::{ExprTrait as _, OnConflict},
};

use super::super::scan::{Reconciliation, Scan, ScanState};
use crate::{
    clock::Time,
    database::Tx,
    error::{Error, Result},
    projects::ProjectId,
};

pub(in super::super) async fn find(tx: &Tx<'_>, project: ProjectId) -> Result<Option<Scan>> {
    let row = tx
        .find::<repository_scan::Entity>()
        .filter(repository_scan::Column::ProjectId.eq(project.0))
        .one(tx.conn())
        .await?;
    row.map(to_scan).transpose()
}

/// Notes that a scan is wanted.
pub(in super::super) async fn request(
    tx: &Tx<'_>,
    project: ProjectId,
    now: Time,
    is_asked_for: bool,
) -> Result<()> {
    use repository_scan::Column;
    let row = repository_scan::ActiveModel {
        project_id: Set(project.0),
        tenant_id: Set(tx.tenant().0),
        state: Set(ScanState::Waiting.as_str().to_owned()),
        requests: Set(1),
        is_asked_for: Set(is_asked_for),
        requested_at: Set(now),
        done: Set(0),
        total: Set(0),
        failures: Set(0),
        redelivered: Set(0),
        ..Default::default()
    };
    let mut again = OnConflict::column(Column::ProjectId);
    let is = |column| Expr::col((repository_scan::Entity, column));
    let runs = is(Column::State).eq(ScanState::Running.as_str());
    let state = Expr::case(runs, ScanState::Running.as_str()).finally(ScanState::Waiting.as_str());
    again
        .update_column(Column::RequestedAt)
        .value(Column::Requests, is(Column::Requests).add(1))
        .value(Column::State, state);
    if is_asked_for {
        again.update_column(Column::IsAskedFor);
    }
    repository_scan::Entity::insert(row).on_conflict(again).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Writes how a scan goes; what others ask meanwhile is left as it is, unless the scan has answered it.
pub(in super::super) async fn save(tx: &Tx<'_>, project: ProjectId, scan: &Scan) -> Result<()> {
    let row = repository_scan::ActiveModel {
        state: Set(scan.state.as_str().to_owned()),
        started_at: Set(scan.started_at),
        finished_at: Set(scan.finished_at),
        succeeded_at: Set(scan.succeeded_at),
        commit: Set(scan.commit.clone()),
        read_as: Set(scan.read_as.clone()),
        done: Set(count(scan.done)?),
        total: Set(count(scan.total)?),
        failure: Set(scan.failure.as_ref().map(|(failure, _)| failure.as_str().to_owned())),
        failure_detail: Set(scan.failure.as_ref().map(|(_, detail)| detail.clone())),
        failures: Set(scan.failures.into()),
        reconciled_at: Set(scan.reconciliation.as_ref().map(|asked| asked.at)),
        redelivered: Set(count(scan.reconciliation.as_ref().map_or(0, |asked| asked.redelivered))?),
        reconcile_failure: Set(scan.reconciliation.as_ref().and_then(|asked| asked.failure.clone())),
        ..Default::default()
    };
    let mine = repository_scan::Column::ProjectId.eq(project.0);
    tx.update::<repository_scan::Entity>().set(row).filter(mine.clone()).exec(tx.conn()).await?;
    if scan.finished_at.is_some() {
        tx.update::<repository_scan::Entity>()
            .col_expr(repository_scan::Column::IsAskedFor, Expr::value(false))
            .filter(mine)
            .filter(repository_scan::Column::Requests.eq(scan.requests))
            .exec(tx.conn())
            .await?;
    }
    Ok(())
}

/// Notes that the next scan is to come at once.
pub(in super::super) async fn wait(tx: &Tx<'_>, project: ProjectId) -> Result<()> {
    tx.update::<repository_scan::Entity>()
        .col_expr(repository_scan::Column::State, Expr::value(ScanState::Waiting.as_str()))
        .filter(repository_scan::Column::ProjectId.eq(project.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

pub(in super::super) async fn remove(tx: &Tx<'_>, project: ProjectId) -> Result<u64> {
    let removed =
        tx.delete::<repository_scan::Entity>().filter(repository_scan::Column::ProjectId.eq(project.0));
    Ok(removed.exec(tx.conn()).await?.rows_affected)
}

fn count(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(Error::internal)
}

fn to_scan(row: repository_scan::Model) -> Result<Scan> {
    let state: ScanState = row.state.parse().map_err(|_| Error::internal("an unknown state of a scan"))?;
    let failure = match (row.failure, row.failure_detail) {
        // One that only a newer version knows is some failure still.
        (Some(failure), Some(detail)) => {
            Some((failure.parse().unwrap_or(crate::git::Failure::Broken), detail))
        }
        _ => None,
    };
    let redelivered = row.redelivered.try_into().map_err(Error::internal)?;
    let reconciliation =
        row.reconciled_at.map(|at| Reconciliation { at, redelivered, failure: row.reconcile_failure });
    Ok(Scan {
        state,
        requested_at: Some(row.requested_at),
        started_at: row.started_at,
        finished_at: row.finished_at,
        succeeded_at: row.succeeded_at,
        commit: row.commit,
        done: row.done.try_into().map_err(Error::internal)?,
        total: row.total.try_into().map_err(Error::internal)?,
        failure,
        failures: row.failures.try_into().map_err(Error::internal)?,
        reconciliation,
        read_as: row.read_as,
        requests: row.requests,
        is_asked_for: row.is_asked_for,
    })
}
