//! The rows of runs.

use entity::run;
use sea_orm::{
    ActiveValue::Set, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, prelude::*,
};

use super::{AgentRun, Ended, Marks, Run, RunFilter, RunId, RunKind, RunState, RunStatus, Runner, Spent};
use crate::{
    accounts::PrincipalId,
    clock::{Time, oldest_id_of},
    database::{DoorTx, Due, PlaceColumns, Tx},
    error::{Error, Result},
    projects::ProjectId,
    webhooks::Source,
    wire::{Found, Page},
};

/// The source of what agents run.
const AGENT: &str = "agent";

/// What a source is called in a row.
fn source_of(source: Option<Source>) -> &'static str {
    source.map_or(AGENT, Source::as_str)
}

pub(super) async fn by_external_id(
    tx: &Tx<'_>,
    project: ProjectId,
    source: Option<Source>,
    external_id: &str,
) -> Result<Option<Run>> {
    let row = tx
        .find::<run::Entity>()
        .filter(run::Column::ProjectId.eq(project.0))
        .filter(run::Column::Source.eq(source_of(source)))
        .filter(run::Column::ExternalId.eq(external_id))
        .one(tx.conn())
        .await?;
    row.map(to_run).transpose()
}

pub(super) async fn find(tx: &Tx<'_>, project: ProjectId, id: RunId) -> Result<Option<Run>> {
    by_id(tx, project, id).one(tx.conn()).await?.map(to_run).transpose()
}

/// The same, and nobody else changes it until the transaction ends.
pub(super) async fn find_to_change(tx: &Tx<'_>, project: ProjectId, id: RunId) -> Result<Option<Run>> {
    by_id(tx, project, id).lock_exclusive().one(tx.conn()).await?.map(to_run).transpose()
}

fn by_id(tx: &Tx<'_>, project: ProjectId, id: RunId) -> Select<run::Entity> {
    tx.find::<run::Entity>().filter(run::Column::ProjectId.eq(project.0)).filter(run::Column::Id.eq(id.0))
}

/// Runs whose deadline has passed, whoever they belong to.
pub(super) async fn due(tx: &DoorTx<'_>, now: Time, behind: Option<Due>) -> Result<Vec<Due>> {
    use run::Column;
    let place = PlaceColumns { tenant: Column::TenantId, project: Column::ProjectId, id: Column::Id };
    tx.due(run::Entity::find(), Column::DeadlineAt, place, now, behind).await
}

/// Those of some runs whose deadline has passed still, in the order of their ids; nobody else changes them until the
/// transaction ends.
pub(super) async fn still_due(tx: &Tx<'_>, project: ProjectId, ids: &[RunId], now: Time) -> Result<Vec<Run>> {
    let due = tx
        .find::<run::Entity>()
        .filter(run::Column::ProjectId.eq(project.0))
        .filter(run::Column::Id.is_in(ids.iter().map(|id| id.0)))
        .filter(run::Column::DeadlineAt.lte(now))
        .order_by_asc(run::Column::Id)
        .lock_exclusive();
    due.all(tx.conn()).await?.into_iter().map(to_run).collect()
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

pub(super) async fn ended(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<Vec<Ended>> {
    use run::Column;
    type Row = (String, String, Option<String>, Option<String>, Time);
    let (success, agent) = (RunStatus::Success.as_str(), RunKind::Agent.as_str());
    let mut rows: Vec<Row> = tx
        .find::<run::Entity>()
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::Status.is_in([success, RunStatus::Failed.as_str()]))
        .filter(Column::Kind.ne(agent))
        .order_by_desc(Column::Id)
        .limit(limit)
        .select_only()
        .columns([Column::Name, Column::Status, Column::Commit, Column::Branch, Column::StatedAt])
        .into_tuple()
        .all(tx.conn())
        .await?;
    // One that is run once more keeps its id.
    rows.sort_by_key(|(.., stated_at)| std::cmp::Reverse(*stated_at));
    let ended = |(name, status, commit, branch, _): Row| Ended {
        name,
        is_success: status == success,
        commit,
        branch,
    };
    Ok(rows.into_iter().map(ended).collect())
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
    if let Some(kind) = filter.kind {
        query = query.filter(run::Column::Kind.eq(kind.as_str()));
    }
    if let Some(commit) = &filter.commit {
        query = query.filter(run::Column::Commit.eq(commit.as_str()));
    }
    if let Some(branch) = &filter.branch {
        query = query.filter(run::Column::Branch.eq(branch.as_str()));
    }
    if let Some(by) = filter.by {
        query = query.filter(run::Column::PrincipalId.eq(by.0));
    }
    // A run gets its id when it is heard of first, so the list's own index does.
    if let Some(since) = filter.since {
        query = query.filter(run::Column::Id.gte(oldest_id_of(since)));
    }
    if let Some(until) = filter.until {
        query = query.filter(run::Column::Id.lt(oldest_id_of(until)));
    }
    query
}

pub(super) async fn save(tx: &Tx<'_>, project: ProjectId, run: &Run, new: bool) -> Result<()> {
    let Run { state, agent, deadline_at, marks, .. } = run.clone();
    let marks = (!marks.is_empty()).then(|| serde_json::to_value(&marks)).transpose();
    let spent = agent.as_ref().map(|agent| agent.spent).unwrap_or_default();
    let row = run::ActiveModel {
        id: Set(run.id.0),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        source: Set(source_of(state.source).to_owned()),
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
        duration_ms: Set(state.duration_ms),
        marks: Set(marks.map_err(Error::internal)?),
        deadline_at: Set(deadline_at),
        deadline_seconds: Set(agent.as_ref().map(|agent| agent.deadline_seconds)),
        principal_id: Set(agent.as_ref().map(|agent| agent.by.id.0)),
        principal_name: Set(agent.as_ref().map(|agent| agent.by.name.clone())),
        work_item_id: Set(agent.as_ref().and_then(|agent| agent.work_item)),
        summary: Set(agent.and_then(|agent| agent.summary)),
        cost_micro_usd: Set(spent.cost_micro_usd),
        input_tokens: Set(spent.input_tokens),
        output_tokens: Set(spent.output_tokens),
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
    let source = match &*row.source {
        AGENT => None,
        source => Some(source.parse().map_err(Error::internal)?),
    };
    let agent = row.principal_id.map(|id| AgentRun {
        by: Runner { id: PrincipalId(id), name: row.principal_name.unwrap_or_default() },
        work_item: row.work_item_id,
        deadline_seconds: row.deadline_seconds.unwrap_or_default(),
        summary: row.summary,
        spent: Spent {
            cost_micro_usd: row.cost_micro_usd,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
        },
    });
    let marks = row.marks.map(serde_json::from_value::<Marks>).transpose();
    let state = RunState {
        source,
        external_id: row.external_id,
        kind: row.kind.parse().map_err(Error::internal)?,
        name: row.name,
        status: row.status.parse().map_err(Error::internal)?,
        commit: row.commit,
        branch: row.branch,
        url: row.url,
        made_at: None,
        started_at: row.started_at,
        finished_at: row.finished_at,
        duration_ms: row.duration_ms,
        revision: row.revision,
        stated_at: row.stated_at,
    };
    let marks = marks.map_err(Error::internal)?.unwrap_or_default();
    Ok(Run { id: RunId(row.id), state, agent, deadline_at: row.deadline_at, marks })
}
