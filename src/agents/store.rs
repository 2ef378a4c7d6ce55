//! The rows of agents and of what they did.

use std::collections::BTreeMap;

use entity::{agent, agent_activity};
use sea_orm::{
    ActiveValue::Set,
    Condition, EntityTrait as _, Order, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    prelude::*,
    sea_query::{ExprTrait as _, LockBehavior, LockType, OnConflict, Query},
};

use super::{ACTIVITIES, Activity, AgentStatus, Evidence, EvidenceKind, Presence, Span};
use crate::{
    accounts::PrincipalId,
    artifacts::ArtifactId,
    clock::{Ids, Time},
    database::{DoorTx, TenantId, Tx},
    error::{Error, Result},
    projects::ProjectId,
    wire::{Found, Page},
};

/// How many more activities are there than are shown, before they go.
const SLACK: u64 = 20;

pub(super) async fn find(tx: &Tx<'_>, project: ProjectId, id: PrincipalId) -> Result<Option<Presence>> {
    let row = of(tx, project, id).one(tx.conn()).await?;
    row.map(to_presence).transpose()
}

fn of(tx: &Tx<'_>, project: ProjectId, id: PrincipalId) -> Select<agent::Entity> {
    tx.find::<agent::Entity>()
        .filter(agent::Column::ProjectId.eq(project.0))
        .filter(agent::Column::PrincipalId.eq(id.0))
}

pub(super) async fn list(
    tx: &Tx<'_>,
    project: ProjectId,
    status: Option<AgentStatus>,
    page: &Page<PrincipalId>,
) -> Result<Found<Presence>> {
    let mut query = tx
        .find::<agent::Entity>()
        .filter(agent::Column::ProjectId.eq(project.0))
        .order_by_asc(agent::Column::PrincipalId);
    if let Some(after) = page.after {
        query = query.filter(agent::Column::PrincipalId.gt(after.0));
    }
    if let Some(status) = status {
        query = query.filter(agent::Column::Status.eq(status.as_str()));
    }
    tx.page(query, agent::Column::PrincipalId, page).await?.try_map(to_presence)
}

/// How many agents stand how.
pub(super) async fn count_by_status(tx: &Tx<'_>, project: ProjectId) -> Result<BTreeMap<AgentStatus, u64>> {
    let rows: Vec<(String, i64)> = tx
        .find::<agent::Entity>()
        .select_only()
        .column(agent::Column::Status)
        .column_as(agent::Column::PrincipalId.count(), "count")
        .filter(agent::Column::ProjectId.eq(project.0))
        .group_by(agent::Column::Status)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let count = |(status, count): (String, i64)| {
        let status = status.parse().map_err(Error::internal)?;
        Ok((status, u64::try_from(count).map_err(Error::internal)?))
    };
    rows.into_iter().map(count).collect()
}

/// What is known of some, whom nobody else changes until the transaction ends. They are held in their order, so that two
/// who hold several of a project do not wait for each other.
pub(super) async fn hold_known(
    tx: &Tx<'_>,
    project: ProjectId,
    who: impl IntoIterator<Item = PrincipalId>,
) -> Result<BTreeMap<PrincipalId, Presence>> {
    let rows = tx
        .find::<agent::Entity>()
        .filter(agent::Column::ProjectId.eq(project.0))
        .filter(tx.one_of(agent::Column::PrincipalId, who.into_iter().map(|id| id.0)))
        .order_by_asc(agent::Column::PrincipalId)
        .lock_exclusive();
    let rows = rows.all(tx.conn()).await?;
    rows.into_iter().map(|row| Ok((PrincipalId(row.principal_id), to_presence(row)?))).collect()
}

/// The same of some of whom nothing may be known: then what `unknown` says.
pub(super) async fn hold(
    tx: &Tx<'_>,
    project: ProjectId,
    mut unknown: BTreeMap<PrincipalId, Presence>,
) -> Result<BTreeMap<PrincipalId, Presence>> {
    let mut held = hold_known(tx, project, unknown.keys().copied()).await?;
    unknown.retain(|id, _| !held.contains_key(id));
    if !unknown.is_empty() {
        let both = [agent::Column::ProjectId, agent::Column::PrincipalId];
        agent::Entity::insert_many(unknown.values().map(|presence| to_row(tx, project, presence)))
            .on_conflict(OnConflict::columns(both).do_nothing().to_owned())
            .exec_without_returning(tx.conn())
            .await?;
        held.extend(hold_known(tx, project, unknown.keys().copied()).await?);
        for (id, presence) in unknown {
            held.entry(id).or_insert(presence);
        }
    }
    Ok(held)
}

/// Writes what is known of some who are held.
pub(super) async fn save<'p>(
    tx: &Tx<'_>,
    project: ProjectId,
    presences: impl IntoIterator<Item = &'p Presence>,
) -> Result<()> {
    let rows = presences.into_iter().map(|presence| to_row(tx, project, presence));
    tx.save_all(rows.collect(), &[agent::Column::ProjectId, agent::Column::PrincipalId]).await
}

/// The projects in which somebody gave evidence, in their order.
pub(super) async fn projects_of(tx: &Tx<'_>, id: PrincipalId) -> Result<Vec<ProjectId>> {
    let projects: Vec<Uuid> = tx
        .find::<agent::Entity>()
        .select_only()
        .column(agent::Column::ProjectId)
        .filter(agent::Column::PrincipalId.eq(id.0))
        .order_by_asc(agent::Column::ProjectId)
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(projects.into_iter().map(ProjectId).collect())
}

/// Removes what is known of somebody, but for what they did; gives what that was.
pub(super) async fn remove(tx: &Tx<'_>, project: ProjectId, id: PrincipalId) -> Result<Option<Presence>> {
    let Some(row) = of(tx, project, id).lock_exclusive().one(tx.conn()).await? else { return Ok(None) };
    tx.delete::<agent::Entity>()
        .filter(agent::Column::ProjectId.eq(project.0))
        .filter(agent::Column::PrincipalId.eq(id.0))
        .exec(tx.conn())
        .await?;
    to_presence(row).map(Some)
}

/// Up to `limit` projects in which somebody who is running gave no sign of life since before `until`.
pub(super) async fn places_of_silent(
    tx: &DoorTx<'_>,
    until: Time,
    limit: u64,
) -> Result<Vec<(TenantId, ProjectId)>> {
    let places: Vec<(Uuid, Uuid)> = agent::Entity::find()
        .select_only()
        .distinct()
        .columns([agent::Column::TenantId, agent::Column::ProjectId])
        .filter(agent::Column::Status.eq(AgentStatus::Running.as_str()))
        .filter(agent::Column::SeenAt.lte(until))
        .limit(limit)
        .into_tuple()
        .all(tx.conn())
        .await?;
    Ok(places.into_iter().map(|(tenant, project)| (TenantId(tenant), ProjectId(project))).collect())
}

/// Up to `limit` of them in one project, but for those that somebody else holds.
pub(super) async fn hold_silent(
    tx: &Tx<'_>,
    project: ProjectId,
    until: Time,
    limit: u64,
) -> Result<Vec<Presence>> {
    let rows = tx
        .find::<agent::Entity>()
        .filter(agent::Column::ProjectId.eq(project.0))
        .filter(agent::Column::Status.eq(AgentStatus::Running.as_str()))
        .filter(agent::Column::SeenAt.lte(until))
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx.conn())
        .await?;
    rows.into_iter().map(to_presence).collect()
}

/// What somebody did last, newest first, as far as it reaches into a span of time. No more is kept of them than a few rows.
pub(super) async fn activities(
    tx: &Tx<'_>,
    project: ProjectId,
    id: PrincipalId,
    Span { since, until }: Span,
) -> Result<Vec<Activity>> {
    use agent_activity::Column;
    let within = Condition::all()
        .add_option(since.map(|since| Column::LastAt.gte(since)))
        .add_option(until.map(|until| Column::FirstAt.lt(until)));
    let rows = newest(tx, project, id).filter(within).limit(ACTIVITIES).all(tx.conn()).await?;
    rows.into_iter().map(to_activity).collect()
}

fn newest(tx: &Tx<'_>, project: ProjectId, id: PrincipalId) -> Select<agent_activity::Entity> {
    tx.find::<agent_activity::Entity>()
        .filter(agent_activity::Column::ProjectId.eq(project.0))
        .filter(agent_activity::Column::PrincipalId.eq(id.0))
        .order_by_desc(agent_activity::Column::Id)
}

/// What is remembered of somebody: the newest activity, and, if there are many more than [`ACTIVITIES`], the oldest of
/// those that stay.
type Remembered = (Uuid, Option<Uuid>, Option<Uuid>, Option<Uuid>);

/// Adds what some who are held did, oldest first: the same as the last thing again is counted there. What is older than
/// the newest [`ACTIVITIES`] goes now and then.
pub(super) async fn add_activities(
    tx: &Tx<'_>,
    ids: &Ids,
    project: ProjectId,
    new: &BTreeMap<PrincipalId, Evidence>,
) -> Result<()> {
    use agent_activity::Column;
    let mut query = tx
        .find::<agent::Entity>()
        .filter(agent::Column::ProjectId.eq(project.0))
        .filter(tx.one_of(agent::Column::PrincipalId, new.keys().map(|id| id.0)))
        .select_only()
        .column(agent::Column::PrincipalId);
    for (name, place) in [("newest", 0), ("oldest", ACTIVITIES - 1), ("beyond", ACTIVITIES + SLACK)] {
        query = query.expr_as(at_place(place), name);
    }
    let remembered: Vec<Remembered> = query.into_tuple().all(tx.conn()).await?;
    let last = remembered.iter().filter_map(|(_, newest, ..)| *newest);
    let last = tx.find::<agent_activity::Entity>().filter(tx.one_of(Column::Id, last)).all(tx.conn()).await?;
    let mut last: BTreeMap<_, _> = last.into_iter().map(|row| (PrincipalId(row.principal_id), row)).collect();
    let mut rows = Vec::new();
    for (id, evidence) in new {
        let mut activities = evidence.activities.iter().peekable();
        if let Some(row) = last.remove(id) {
            let (row_id, mut last) = (row.id, to_activity(row)?);
            if let Some(again) = activities.next_if(|first| first.is_again(&last)) {
                last.add(again);
                rows.push(to_activity_row(tx, row_id, project, *id, &last));
            }
        }
        rows.extend(activities.map(|activity| to_activity_row(tx, ids.uuid(), project, *id, activity)));
    }
    tx.save_all(rows, &[Column::Id]).await?;
    for (id, _, oldest, beyond) in remembered {
        let Some((oldest, _)) = oldest.zip(beyond) else { continue };
        tx.delete::<agent_activity::Entity>()
            .filter(Column::ProjectId.eq(project.0))
            .filter(Column::PrincipalId.eq(id))
            .filter(Column::Id.lt(oldest))
            .exec(tx.conn())
            .await?;
    }
    Ok(())
}

/// Of the agent of a row, the activity at a place, the newest being at 0.
fn at_place(place: u64) -> Expr {
    use agent_activity::Column;
    let activity = |column| Expr::col((agent_activity::Entity, column));
    let query = Query::select()
        .column(Column::Id)
        .from(agent_activity::Entity)
        .and_where(activity(Column::ProjectId).equals((agent::Entity, agent::Column::ProjectId)))
        .and_where(activity(Column::PrincipalId).equals((agent::Entity, agent::Column::PrincipalId)))
        .order_by(Column::Id, Order::Desc)
        .offset(place)
        .limit(1)
        .to_owned();
    Expr::SubQuery(None, Box::new(query.into()))
}

/// Those whose push of a commit is remembered, or who pushed to a branch last.
pub(super) async fn pushers(
    tx: &Tx<'_>,
    project: ProjectId,
    commit: Option<&str>,
    branch: Option<&str>,
) -> Result<Vec<PrincipalId>> {
    use agent_activity::Column;
    let pushes = tx
        .find::<agent_activity::Entity>()
        .select_only()
        .column(Column::PrincipalId)
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::Kind.eq(EvidenceKind::Push.as_str()))
        .order_by_desc(Column::Id);
    let pushes = match (commit, branch) {
        (Some(commit), _) => pushes.filter(Column::Commit.eq(commit)).limit(ACTIVITIES),
        (None, Some(branch)) => pushes.filter(Column::Branch.eq(branch)).limit(1),
        (None, None) => return Ok(Vec::new()),
    };
    let mut pushers: Vec<Uuid> = pushes.into_tuple().all(tx.conn()).await?;
    pushers.sort_unstable();
    pushers.dedup();
    Ok(pushers.into_iter().map(PrincipalId).collect())
}

pub(super) async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    use agent_activity::Column;
    let activities =
        tx.delete_some::<agent_activity::Entity>(Column::Id, Column::ProjectId.eq(project.0), limit).await?;
    let agents = tx
        .delete_some::<agent::Entity>(
            agent::Column::PrincipalId,
            agent::Column::ProjectId.eq(project.0),
            limit,
        )
        .await?;
    Ok(activities + agents)
}

fn to_row(tx: &Tx<'_>, project: ProjectId, presence: &Presence) -> agent::ActiveModel {
    agent::ActiveModel {
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        principal_id: Set(presence.principal.0),
        status: Set(presence.status.as_str().to_owned()),
        since: Set(presence.since),
        task: Set(presence.task.clone()),
        artifact_id: Set(presence.artifact.map(|artifact| artifact.0)),
        work_item_id: Set(presence.work_item),
        seen_at: Set(presence.seen_at),
        seen_by: Set(presence.seen_by.as_str().to_owned()),
    }
}

fn to_presence(row: agent::Model) -> Result<Presence> {
    Ok(Presence {
        principal: PrincipalId(row.principal_id),
        status: row.status.parse().map_err(Error::internal)?,
        since: row.since,
        task: row.task,
        artifact: row.artifact_id.map(ArtifactId),
        work_item: row.work_item_id,
        seen_at: row.seen_at,
        seen_by: row.seen_by.parse().map_err(Error::internal)?,
    })
}

fn to_activity_row(
    tx: &Tx<'_>,
    row: Uuid,
    project: ProjectId,
    id: PrincipalId,
    activity: &Activity,
) -> agent_activity::ActiveModel {
    agent_activity::ActiveModel {
        id: Set(row),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        principal_id: Set(id.0),
        kind: Set(activity.kind.as_str().to_owned()),
        what: Set(activity.what.clone()),
        outcome: Set(activity.outcome.map(|outcome| outcome.as_str().to_owned())),
        times: Set(i64::try_from(activity.times).unwrap_or(i64::MAX)),
        branch: Set(activity.branch.clone()),
        commit: Set(activity.commit.clone()),
        first_at: Set(activity.first_at),
        last_at: Set(activity.last_at),
    }
}

fn to_activity(row: agent_activity::Model) -> Result<Activity> {
    Ok(Activity {
        kind: row.kind.parse().map_err(Error::internal)?,
        what: row.what,
        outcome: row.outcome.map(|outcome| outcome.parse()).transpose().map_err(Error::internal)?,
        times: u64::try_from(row.times).map_err(Error::internal)?,
        branch: row.branch,
        commit: row.commit,
        first_at: row.first_at,
        last_at: row.last_at,
    })
}
