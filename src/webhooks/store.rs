//! The rows of deliveries. What became of one is read from its job.

use std::collections::{HashMap, HashSet};

use entity::{job, rejected_delivery, webhook_event};
use sea_orm::{
    ActiveValue::Set, EntityTrait as _, FromQueryResult, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    QueryTrait as _, prelude::*, sea_query::ExprTrait as _,
};

use super::{
    Delivery, DeliveryFilter, DeliveryStatus, DeliverySummary, LastDelivery, RejectedDeliveryId, Source,
    WebhookEventId, codec, rejected::RejectedDelivery, worker::PROCESS_DELIVERY,
};
use crate::{
    clock::Time,
    database::{Batch, DoorTx, TenantId, Tx},
    error::{Error, Result},
    jobs::JobState,
    projects::ProjectId,
    wire::Page,
};

/// A delivery as it is written.
#[derive(Clone)]
pub(super) struct Row(webhook_event::ActiveModel);

impl Row {
    /// Does the work of writing that needs no database: a request does its own, nobody else waits for it.
    pub(super) fn new(delivery: Delivery) -> Result<Self> {
        let stored = codec::encode(&delivery.headers, delivery.body()?)?;
        Ok(Self(webhook_event::ActiveModel {
            id: Set(delivery.id.0),
            tenant_id: Set(delivery.tenant.0),
            project_id: Set(delivery.project.0),
            source: Set(delivery.source.as_str().to_owned()),
            delivery_id: Set(delivery.delivery_id),
            event_type: Set(delivery.event_type),
            headers: Set(None),
            codec: Set(codec::ZSTD_2),
            body: Set(stored),
            body_bytes: Set(delivery.body_bytes),
            received_at: Set(delivery.received_at),
        }))
    }
}

/// Inserts deliveries, and for each that was not there before the job that processes it; gives the ids of those.
pub(super) async fn insert(batch: Batch<'_>, rows: Vec<Row>, job: job::ActiveModel) -> Result<HashSet<Uuid>> {
    let once =
        [webhook_event::Column::ProjectId, webhook_event::Column::Source, webhook_event::Column::DeliveryId];
    let mut rows: Vec<_> = rows.into_iter().map(|Row(row)| row).collect();
    // In one order for all, so that no two batches with the same deliveries wait for each other.
    rows.sort_by(|a, b| key(a).cmp(&key(b)));
    batch.insert_new_with(rows, webhook_event::Column::Id, &once, job, job::Column::Id).await
}

/// What tells a delivery from others.
fn key(row: &webhook_event::ActiveModel) -> (&Uuid, &str, &str) {
    (row.project_id.as_ref(), row.source.as_ref(), row.delivery_id.as_ref())
}

pub(super) async fn find(tx: &Tx<'_>, project: ProjectId, id: WebhookEventId) -> Result<Option<Delivery>> {
    let row = tx
        .find::<webhook_event::Entity>()
        .filter(webhook_event::Column::ProjectId.eq(project.0))
        .filter(webhook_event::Column::Id.eq(id.0))
        .one(tx.conn())
        .await?;
    row.map(to_delivery).transpose()
}

/// Deliveries by their ids; one that cannot be read is an error of its own.
pub(super) async fn find_all(tx: &Tx<'_>, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Result<Delivery>>> {
    let rows = tx
        .find::<webhook_event::Entity>()
        .filter(tx.one_of(webhook_event::Column::Id, ids))
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, to_delivery(row))).collect())
}

/// Which of some deliveries were accepted.
pub(super) async fn known(
    tx: &Tx<'_>,
    project: ProjectId,
    source: Source,
    deliveries: Vec<String>,
) -> Result<HashSet<String>> {
    let mut known = HashSet::new();
    for some in deliveries.chunks(1000) {
        let found: Vec<String> = tx
            .find::<webhook_event::Entity>()
            .select_only()
            .column(webhook_event::Column::DeliveryId)
            .filter(webhook_event::Column::ProjectId.eq(project.0))
            .filter(webhook_event::Column::Source.eq(source.as_str()))
            .filter(webhook_event::Column::DeliveryId.is_in(some.iter().map(String::as_str)))
            .into_tuple()
            .all(tx.conn())
            .await?;
        known.extend(found);
    }
    Ok(known)
}

/// A delivery's row without what is large.
#[derive(FromQueryResult)]
struct SummaryRow {
    id: Uuid,
    source: String,
    delivery_id: String,
    event_type: String,
    body_bytes: i64,
    received_at: Time,
}

pub(super) async fn list(
    tx: &Tx<'_>,
    project: ProjectId,
    filter: &DeliveryFilter,
    page: &Page<WebhookEventId>,
) -> Result<Vec<DeliverySummary>> {
    let mut query = tx
        .find::<webhook_event::Entity>()
        .select_only()
        .columns([
            webhook_event::Column::Id,
            webhook_event::Column::Source,
            webhook_event::Column::DeliveryId,
            webhook_event::Column::EventType,
            webhook_event::Column::BodyBytes,
            webhook_event::Column::ReceivedAt,
        ])
        .filter(webhook_event::Column::ProjectId.eq(project.0))
        .order_by_desc(webhook_event::Column::Id)
        .limit(page.limit + 1);
    if let Some(after) = page.after {
        query = query.filter(webhook_event::Column::Id.lt(after.0));
    }
    let query = narrow(tx, query, filter);
    let rows = query.into_model::<SummaryRow>().all(tx.conn()).await?;
    let mut jobs = jobs_of(tx, rows.iter().map(|row| row.id)).await?;
    rows.into_iter()
        .map(|row| {
            let job = jobs.remove(&row.id);
            to_summary(row, job)
        })
        .collect()
}

/// The newest delivery, with the state of its job, in one statement.
pub(super) async fn last(tx: &Tx<'_>, project: ProjectId) -> Result<Option<LastDelivery>> {
    use webhook_event::Column;
    type Row = (Uuid, String, String, Time, Option<String>);
    let own =
        Expr::col((job::Entity, job::Column::Id)).equals((webhook_event::Entity, webhook_event::Column::Id));
    let state = tx.find::<job::Entity>().filter(own).select_only().column(job::Column::State).into_query();
    let row: Option<Row> = tx
        .find::<webhook_event::Entity>()
        .select_only()
        .columns([Column::Id, Column::Source, Column::EventType, Column::ReceivedAt])
        .expr_as(Expr::SubQuery(None, Box::new(state.into())), "state")
        .filter(Column::ProjectId.eq(project.0))
        .order_by_desc(Column::Id)
        .limit(1)
        .into_tuple()
        .one(tx.conn())
        .await?;
    let Some((id, source, event_type, received_at, state)) = row else { return Ok(None) };
    Ok(Some(LastDelivery {
        id: WebhookEventId(id),
        source: to_source(&source)?,
        event_type,
        status: to_status(state.as_deref()),
        received_at,
    }))
}

pub(super) async fn count(tx: &Tx<'_>, project: ProjectId, status: DeliveryStatus, most: u64) -> Result<u64> {
    let query = tx.find::<webhook_event::Entity>().filter(webhook_event::Column::ProjectId.eq(project.0));
    let filter = DeliveryFilter { status: Some(status), ..DeliveryFilter::default() };
    tx.count_some(narrow(tx, query, &filter), webhook_event::Column::Id, 0, most).await
}

/// A query narrowed to the deliveries that are meant.
fn narrow(
    tx: &Tx<'_>,
    mut query: Select<webhook_event::Entity>,
    filter: &DeliveryFilter,
) -> Select<webhook_event::Entity> {
    if let Some(event_type) = &filter.event_type {
        query = query.filter(webhook_event::Column::EventType.eq(event_type.as_str()));
    }
    if let Some(status) = filter.status {
        let left = |state: JobState| {
            let jobs = jobs_in(tx, state).select_only().column(job::Column::Id);
            webhook_event::Column::Id.in_subquery(jobs.into_query())
        };
        query = query.filter(match status {
            DeliveryStatus::Pending => left(JobState::Ready),
            DeliveryStatus::Failed => left(JobState::Failed),
            DeliveryStatus::Processed => its_job(tx.find::<job::Entity>()).not(),
        });
    }
    if let Some(from) = filter.from {
        query = query.filter(webhook_event::Column::ReceivedAt.gte(from));
    }
    if let Some(until) = filter.until {
        query = query.filter(webhook_event::Column::ReceivedAt.lt(until));
    }
    query
}

/// What is left to do for deliveries.
fn jobs_in(tx: &Tx<'_>, state: JobState) -> Select<job::Entity> {
    tx.find::<job::Entity>()
        .filter(job::Column::Kind.eq(PROCESS_DELIVERY))
        .filter(job::Column::State.eq(state.as_str()))
}

/// Whether the job of the delivery at hand is among some.
fn its_job(jobs: Select<job::Entity>) -> Expr {
    let own =
        Expr::col((job::Entity, job::Column::Id)).equals((webhook_event::Entity, webhook_event::Column::Id));
    Expr::exists(jobs.filter(own).select_only().column(job::Column::Id).into_query())
}

/// Up to `limit` deliveries behind `after` that are meant and have been processed or failed, oldest first; beside
/// each whether its body is kept.
pub(super) async fn replayable(
    tx: &Tx<'_>,
    project: ProjectId,
    filter: &DeliveryFilter,
    after: Option<WebhookEventId>,
    limit: u64,
) -> Result<Vec<(WebhookEventId, bool)>> {
    let mut query = tx
        .find::<webhook_event::Entity>()
        .select_only()
        .columns([webhook_event::Column::Id, webhook_event::Column::Codec])
        .filter(webhook_event::Column::ProjectId.eq(project.0))
        .filter(its_job(jobs_in(tx, JobState::Ready)).not())
        .order_by_asc(webhook_event::Column::Id)
        .limit(limit);
    if let Some(after) = after {
        query = query.filter(webhook_event::Column::Id.gt(after.0));
    }
    let rows: Vec<(Uuid, i16)> = narrow(tx, query, filter).into_tuple().all(tx.conn()).await?;
    Ok(rows.into_iter().map(|(id, codec)| (WebhookEventId(id), codec != codec::REMOVED)).collect())
}

/// Removes up to `limit` bodies between two ids, whoever they belong to; gives the last id that was looked at.
pub(super) async fn remove_bodies(
    tx: &DoorTx<'_>,
    after: Uuid,
    before: Uuid,
    limit: u64,
) -> Result<Option<Uuid>> {
    let ids = ids_between(tx, after, before, limit).await?;
    webhook_event::Entity::update_many()
        .col_expr(webhook_event::Column::Codec, Expr::value(codec::REMOVED))
        .col_expr(webhook_event::Column::Body, Expr::value(Vec::<u8>::new()))
        .filter(webhook_event::Column::Id.is_in(ids.iter().copied()))
        .filter(webhook_event::Column::Codec.ne(codec::REMOVED))
        .exec(tx.conn())
        .await?;
    Ok(ids.last().copied())
}

/// Removes up to `limit` deliveries from before an id, and what was left to do for them; gives their number.
pub(super) async fn remove_old(tx: &DoorTx<'_>, before: Uuid, limit: u64) -> Result<u64> {
    let ids = ids_between(tx, Uuid::nil(), before, limit).await?;
    let jobs = job::Entity::delete_many().filter(job::Column::Kind.eq(PROCESS_DELIVERY));
    jobs.filter(job::Column::Id.is_in(ids.iter().copied())).exec(tx.conn()).await?;
    let rows = webhook_event::Entity::delete_many().filter(webhook_event::Column::Id.is_in(ids));
    Ok(rows.exec(tx.conn()).await?.rows_affected)
}

async fn ids_between(tx: &DoorTx<'_>, after: Uuid, before: Uuid, limit: u64) -> Result<Vec<Uuid>> {
    let ids = webhook_event::Entity::find()
        .select_only()
        .column(webhook_event::Column::Id)
        .filter(webhook_event::Column::Id.gt(after))
        .filter(webhook_event::Column::Id.lt(before))
        .order_by_asc(webhook_event::Column::Id)
        .limit(limit);
    Ok(ids.into_tuple().all(tx.conn()).await?)
}

/// Notes refused deliveries of a project, which keeps its newest `most`.
pub(super) async fn insert_rejected(
    tx: &Tx<'_>,
    project: ProjectId,
    rejected: Vec<RejectedDelivery>,
    most: u64,
) -> Result<()> {
    let newest = rejected.len().saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
    let rows = rejected.into_iter().skip(newest).map(|rejected| rejected_delivery::ActiveModel {
        id: Set(rejected.id.0),
        tenant_id: Set(tx.tenant().0),
        project_id: Set(project.0),
        source: Set(rejected.source.as_str().to_owned()),
        delivery_id: Set(rejected.delivery_id),
        event_type: Set(rejected.event_type),
        user_agent: Set(rejected.user_agent),
        body_bytes: Set(rejected.body_bytes),
        code: Set(rejected.code),
        reason: Set(rejected.reason),
        received_at: Set(rejected.received_at),
    });
    rejected_delivery::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    let kept = of_project(tx, project).select_only().column(rejected_delivery::Column::Id).limit(most);
    let kept: Vec<Uuid> = kept.into_tuple().all(tx.conn()).await?;
    if let Some(oldest) = kept.last() {
        tx.delete::<rejected_delivery::Entity>()
            .filter(rejected_delivery::Column::ProjectId.eq(project.0))
            .filter(rejected_delivery::Column::Id.lt(*oldest))
            .exec(tx.conn())
            .await?;
    }
    Ok(())
}

pub(super) async fn list_rejected(
    tx: &Tx<'_>,
    project: ProjectId,
    page: &Page<RejectedDeliveryId>,
) -> Result<Vec<RejectedDelivery>> {
    let mut query = of_project(tx, project).limit(page.limit + 1);
    if let Some(after) = page.after {
        query = query.filter(rejected_delivery::Column::Id.lt(after.0));
    }
    let rows = query.all(tx.conn()).await?;
    let rejected = rows.into_iter().map(|row| {
        Ok(RejectedDelivery {
            id: RejectedDeliveryId(row.id),
            source: to_source(&row.source)?,
            delivery_id: row.delivery_id,
            event_type: row.event_type,
            user_agent: row.user_agent,
            body_bytes: row.body_bytes,
            code: row.code,
            reason: row.reason,
            received_at: row.received_at,
        })
    });
    rejected.collect()
}

/// A project's refused deliveries, newest first.
fn of_project(tx: &Tx<'_>, project: ProjectId) -> Select<rejected_delivery::Entity> {
    tx.find::<rejected_delivery::Entity>()
        .filter(rejected_delivery::Column::ProjectId.eq(project.0))
        .order_by_desc(rejected_delivery::Column::Id)
}

pub(super) async fn summary(tx: &Tx<'_>, delivery: &Delivery) -> Result<DeliverySummary> {
    let job = jobs_of(tx, [delivery.id.0]).await?.remove(&delivery.id.0);
    let row = SummaryRow {
        id: delivery.id.0,
        source: delivery.source.as_str().to_owned(),
        delivery_id: delivery.delivery_id.clone(),
        event_type: delivery.event_type.clone(),
        body_bytes: delivery.body_bytes,
        received_at: delivery.received_at,
    };
    to_summary(row, job)
}

async fn jobs_of(tx: &Tx<'_>, ids: impl IntoIterator<Item = Uuid>) -> Result<HashMap<Uuid, job::Model>> {
    let jobs = tx.find::<job::Entity>().filter(job::Column::Id.is_in(ids)).all(tx.conn()).await?;
    Ok(jobs.into_iter().map(|job| (job.id, job)).collect())
}

/// What the state of its job says of a delivery: one without a job has been processed.
fn to_status(job: Option<&str>) -> DeliveryStatus {
    match job {
        None => DeliveryStatus::Processed,
        Some(state) if state == JobState::Failed.as_str() => DeliveryStatus::Failed,
        Some(_) => DeliveryStatus::Pending,
    }
}

fn to_summary(row: SummaryRow, job: Option<job::Model>) -> Result<DeliverySummary> {
    let status = to_status(job.as_ref().map(|job| job.state.as_str()));
    Ok(DeliverySummary {
        id: WebhookEventId(row.id),
        source: to_source(&row.source)?,
        delivery_id: row.delivery_id,
        event_type: row.event_type,
        body_bytes: row.body_bytes,
        received_at: row.received_at,
        status,
        attempts: job.as_ref().map_or(0, |job| job.attempt),
        last_error: job.and_then(|job| job.last_error),
    })
}

pub(super) async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    let of_project = || webhook_event::Column::ProjectId.eq(project.0);
    let some = tx
        .find::<webhook_event::Entity>()
        .filter(of_project())
        .select_only()
        .column(webhook_event::Column::Id);
    let some = some.order_by_asc(webhook_event::Column::Id).limit(limit);
    let ids: Vec<Uuid> = some.into_tuple().all(tx.conn()).await?;
    tx.delete::<job::Entity>().filter(job::Column::Id.is_in(ids.clone())).exec(tx.conn()).await?;
    let deleted = tx
        .delete::<webhook_event::Entity>()
        .filter(webhook_event::Column::Id.is_in(ids))
        .exec(tx.conn())
        .await?;
    let of_project = rejected_delivery::Column::ProjectId.eq(project.0);
    let rejected =
        tx.delete_some::<rejected_delivery::Entity>(rejected_delivery::Column::Id, of_project, limit).await?;
    Ok(deleted.rows_affected + rejected)
}

fn to_delivery(row: webhook_event::Model) -> Result<Delivery> {
    let (headers, body) = match row.codec {
        codec::REMOVED => (None, None),
        codec => codec::decode(codec, row.body).map(|(headers, body)| (headers, Some(body)))?,
    };
    // Who stored the body alone put the headers into a column of their own.
    let headers = match (headers, row.headers) {
        (Some(headers), _) => headers,
        (None, Some(column)) => serde_json::from_value(column).map_err(Error::internal)?,
        (None, None) => Vec::new(),
    };
    Ok(Delivery {
        id: WebhookEventId(row.id),
        tenant: TenantId(row.tenant_id),
        project: ProjectId(row.project_id),
        source: to_source(&row.source)?,
        delivery_id: row.delivery_id,
        event_type: row.event_type,
        headers,
        body,
        body_bytes: row.body_bytes,
        received_at: row.received_at,
    })
}

fn to_source(text: &str) -> Result<Source> {
    text.parse().map_err(Error::internal)
}
