//! Deliveries over REST: where people look at what Git hosts posted. Where those post is in `ingest.rs`.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde::Deserialize;

use super::{
    Delivery, DeliveryFilter, DeliveryStatus, DeliverySummary, RejectedDeliveryId, Source, WebhookEventId,
    rejected::{self, RejectedDelivery},
};
use crate::{
    accounts::{Caller, scope},
    app::App,
    error::Result,
    events::EventOut,
    projects::ProjectId,
    rest::{Input, Listed, Tag},
    wire::{Page, Timestamp, example},
};

/// Where people look.
pub struct WebhooksApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Deliveries")]
impl WebhooksApi {
    /// List deliveries
    ///
    /// What the Git host has posted to a project, newest first, and what became of it.
    #[oai(path = "/projects/:project_id/deliveries", method = "get", operation_id = "list_deliveries")]
    async fn list_deliveries(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::DeliveriesRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// Only those that became this.
        status: Query<Option<DeliveryStatus>>,
        /// Only those of this event, by the host's name, such as `push`.
        #[oai(name = "eventType")]
        event_type: Query<Option<String>>,
        /// Only those received at this time or later, such as `2026-11-21T09:00:00Z`.
        from: Query<Option<Timestamp>>,
        /// Only those received before this time.
        until: Query<Option<Timestamp>>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<DeliveryOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let filter = DeliveryFilter {
            status: status.0,
            event_type: event_type.0,
            from: from.0.map(|from| from.0),
            until: until.0.map(|until| until.0),
        };
        let rows =
            super::list_deliveries(&app, &caller.principal, project_id.0, filter, page.clone()).await?;
        Ok(Listed(page.cut(rows, |row| row.id, DeliveryOut::from)))
    }

    /// List refused deliveries
    ///
    /// The newest 100 that were refused, and why, newest first. Their bodies are not kept.
    #[oai(
        path = "/projects/:project_id/deliveries/rejected",
        method = "get",
        operation_id = "list_rejected_deliveries"
    )]
    async fn list_rejected_deliveries(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::DeliveriesRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<RejectedOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let rows =
            rejected::list_rejected_deliveries(&app, &caller.principal, project_id.0, page.clone()).await?;
        Ok(Listed(page.cut(rows, |row| row.id, RejectedOut::from)))
    }

    /// Replay deliveries
    ///
    /// Processes again, from the bytes that came, every delivery that fits: with a status (`failed`), of an event, of
    /// a range of time. What they have already caused is not caused twice, so that it can be repeated; what is
    /// pending is left alone.
    #[oai(
        path = "/projects/:project_id/deliveries/replay",
        method = "post",
        operation_id = "replay_deliveries"
    )]
    async fn replay_deliveries(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::DeliveriesWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        body: Input<ReplayIn>,
    ) -> Result<ReplaysResponse> {
        let ReplayIn { status, event_type, from, until } = body.0;
        let (from, until) = (from.map(|from| from.0), until.map(|until| until.0));
        let filter = DeliveryFilter { status, event_type, from, until };
        let replayed = super::replay_deliveries(app.0, &caller.principal, project_id.0, filter).await?;
        Ok(ReplaysResponse::Enqueued(Json(ReplayedOut { enqueued: replayed.enqueued, gone: replayed.gone })))
    }

    /// Show a delivery
    ///
    /// Everything that came, without credentials, and the events that it caused.
    #[oai(
        path = "/projects/:project_id/deliveries/:delivery_id",
        method = "get",
        operation_id = "get_delivery"
    )]
    async fn get_delivery(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::DeliveriesRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The delivery, by its `id`.
        delivery_id: Path<WebhookEventId>,
    ) -> Result<Json<DeliveryDetailOut>> {
        let (summary, delivery, events) =
            super::get_delivery(&app, &caller.principal, project_id.0, delivery_id.0).await?;
        let Delivery { headers, body, .. } = delivery;
        Ok(Json(DeliveryDetailOut {
            delivery: summary.into(),
            headers: headers.into_iter().map(|(name, value)| HeaderOut { name, value }).collect(),
            body: body.map(|body| String::from_utf8_lossy(&body).into_owned()),
            events: events.into_iter().map(EventOut::from).collect(),
        }))
    }

    /// Replay a delivery
    ///
    /// Processes it again from the bytes that came; what it has already caused is not caused twice. The answer
    /// shows it pending.
    #[oai(
        path = "/projects/:project_id/deliveries/:delivery_id/replay",
        method = "post",
        operation_id = "replay_delivery"
    )]
    async fn replay_delivery(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::DeliveriesWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The delivery, by its `id`.
        delivery_id: Path<WebhookEventId>,
    ) -> Result<ReplayResponse> {
        let summary = super::replay_delivery(app.0, &caller.principal, project_id.0, delivery_id.0).await?;
        Ok(ReplayResponse::Enqueued(Json(summary.into())))
    }
}

#[derive(ApiResponse)]
enum ReplayResponse {
    /// The delivery will be processed again.
    #[oai(status = 202)]
    Enqueued(Json<DeliveryOut>),
}

#[derive(ApiResponse)]
enum ReplaysResponse {
    /// They will be processed again.
    #[oai(status = 202)]
    Enqueued(Json<ReplayedOut>),
}

/// Which deliveries to replay; at least one of these.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename_all = "camelCase", deny_unknown_fields, rename = "Replay", example)]
struct ReplayIn {
    /// `failed` or `processed`.
    status: Option<DeliveryStatus>,
    /// Only those of this event, by the host's name.
    event_type: Option<String>,
    /// Only those received at this time or later.
    from: Option<Timestamp>,
    /// Only those received before this time.
    until: Option<Timestamp>,
}

example!(ReplayIn, {"status": "failed", "from": "2026-11-20T00:00:00Z", "until": "2026-11-21T00:00:00Z"});

/// What becomes of a replay.
#[derive(Object)]
#[oai(rename = "Replayed")]
struct ReplayedOut {
    /// Deliveries that will be processed again.
    enqueued: u64,
    /// Deliveries whose bodies are not kept any longer.
    gone: u64,
}

/// A delivery that was refused.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "RejectedDelivery", example)]
struct RejectedOut {
    /// Its id.
    id: RejectedDeliveryId,
    /// The Git host, by the path it was posted to.
    source: Source,
    /// The host's id of it, if it said one.
    delivery_id: Option<String>,
    /// The host's name of the event; may be empty.
    event_type: String,
    /// Who sent it, by its own words.
    user_agent: Option<String>,
    /// Bytes of the body, as far as it was announced.
    body_bytes: Option<i64>,
    /// Why, as the code that its sender was answered.
    code: String,
    /// Why, and what to do.
    reason: String,
    /// When it was received.
    received_at: Timestamp,
}

example!(RejectedOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "source": "github",
    "deliveryId": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    "eventType": "push",
    "userAgent": "GitHub-Hookshot/044aadd",
    "bodyBytes": 7656,
    "code": "invalid_signature",
    "reason": "the signature fits the secret that expired at 2026-11-20T09:00:00Z: give the webhook the present one",
    "receivedAt": "2026-11-21T09:00:00Z"
});

impl From<RejectedDelivery> for RejectedOut {
    fn from(rejected: RejectedDelivery) -> Self {
        Self {
            id: rejected.id,
            source: rejected.source,
            delivery_id: rejected.delivery_id,
            event_type: rejected.event_type,
            user_agent: rejected.user_agent,
            body_bytes: rejected.body_bytes,
            code: rejected.code,
            reason: rejected.reason,
            received_at: rejected.received_at.into(),
        }
    }
}

/// A delivery and what became of it.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Delivery", example)]
struct DeliveryOut {
    /// Our id.
    id: WebhookEventId,
    /// The Git host.
    source: Source,
    /// The host's id.
    delivery_id: String,
    /// The host's name of the event; may be empty.
    event_type: String,
    /// What became of it.
    status: DeliveryStatus,
    /// When it was received.
    received_at: Timestamp,
    /// Bytes of the raw body.
    body_bytes: i64,
    /// How often it was tried since it was last enqueued; 0 once it is processed.
    attempts: i32,
    /// Why the newest try failed.
    last_error: Option<String>,
}

example!(DeliveryOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "source": "github",
    "deliveryId": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    "eventType": "push",
    "status": "processed",
    "receivedAt": "2026-11-21T09:00:00Z",
    "bodyBytes": 7656,
    "attempts": 0
});

impl From<DeliverySummary> for DeliveryOut {
    fn from(summary: DeliverySummary) -> Self {
        Self {
            id: summary.id,
            source: summary.source,
            delivery_id: summary.delivery_id,
            event_type: summary.event_type,
            status: summary.status,
            received_at: summary.received_at.into(),
            body_bytes: summary.body_bytes,
            attempts: summary.attempts,
            last_error: summary.last_error,
        }
    }
}

/// A delivery with everything that came.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "DeliveryDetail")]
struct DeliveryDetailOut {
    /// The delivery and what became of it.
    #[oai(flatten)]
    delivery: DeliveryOut,
    /// Its headers in the order they came, without credentials; none once the body was removed by age.
    headers: Vec<HeaderOut>,
    /// Its raw body; bytes that are not UTF-8 are shown as U+FFFD, and kept as they came. Null once it was removed by
    /// age.
    body: Option<String>,
    /// The events that it caused, oldest first.
    events: Vec<EventOut>,
}

/// One header of a delivery.
#[derive(Object)]
#[oai(rename = "Header")]
struct HeaderOut {
    /// Its name in lower case.
    name: String,
    /// Its value.
    value: String,
}
