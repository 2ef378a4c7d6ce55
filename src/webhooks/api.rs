//! Webhooks over HTTP: where Git hosts post, and where people look at what they posted.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use poem::{Body, Request, RequestBody, http::HeaderMap, http::header, web::Data};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Delivery, DeliveryFilter, DeliveryStatus, DeliverySummary, Receipt, ReceiptStatus, Source,
    WebhookEventId, receive,
};
use crate::{
    accounts::{Caller, scope},
    app::App,
    error::{Code, Error, Result},
    events::EventOut,
    projects::ProjectId,
    rest::Tag,
    wire::{List, Page, Timestamp, example},
};

/// The largest body that is taken: GitHub sends up to 25 MB, and its form encoding inflates that.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// What is read of a larger body, so that its sender sees the answer rather than a reset connection.
const DRAIN: usize = 2 * MAX_BODY;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where Git hosts post.
pub struct IngestApi;

#[OpenApi(tag = "Tag::Webhooks")]
impl IngestApi {
    /// Post a webhook
    ///
    /// For Git hosts. The delivery's signature is checked over the raw body, then it is stored; 202 means that it
    /// is on disk. A repetition is answered 202 as well, with the status `duplicate`. The body is what the host
    /// sends, at most 32 MiB.
    #[oai(path = "/webhooks/:source/:project_id", method = "post", operation_id = "post_webhook")]
    async fn post_webhook(
        &self,
        app: Data<&Arc<App>>,
        headers: &HeaderMap,
        /// The Git host: `github`, `gitlab`, `bitbucket`, `gitea` or `forgejo`.
        source: Path<String>,
        /// The project.
        project_id: Path<String>,
        body: RawBody,
    ) -> Result<ReceiptResponse> {
        let (source, endpoint) = receive::endpoint(&app, &source, &project_id).await?;
        let outcome = match body.read(&app, headers).await {
            Ok((body, _held)) => receive::receive(&app, source, &endpoint, headers, body).await,
            Err(error) => Err(error),
        };
        app.metrics.ingested(
            source.as_str(),
            match &outcome {
                Ok((_, Receipt::Accepted(_))) => ReceiptStatus::Accepted.as_str(),
                Ok((_, Receipt::Duplicate)) => ReceiptStatus::Duplicate.as_str(),
                Err(error) => error.code.as_str(),
            },
        );
        let (delivery_id, receipt) = outcome?;
        let (status, id) = match receipt {
            Receipt::Accepted(id) => (ReceiptStatus::Accepted, Some(id)),
            Receipt::Duplicate => (ReceiptStatus::Duplicate, None),
        };
        Ok(ReceiptResponse::Stored(Json(ReceiptOut { delivery_id, status, id })))
    }
}

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
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<List<DeliveryOut>>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let filter = DeliveryFilter { status: status.0, event_type: event_type.0 };
        let rows =
            super::list_deliveries(&app, &caller.principal, project_id.0, filter, page.clone()).await?;
        Ok(Json(page.cut(rows, |row| row.id, DeliveryOut::from)))
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
            body: String::from_utf8_lossy(&body).into_owned(),
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

/// A body that has not been read yet.
struct RawBody(Body);

impl<'a> ApiExtractor<'a> for RawBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let media = |content_type| MetaMediaType {
            content_type,
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("object"))),
        };
        Some(MetaRequest {
            description: Some(
                "What the Git host sends; the form encoding of GitHub, Gitea and Forgejo is understood too.",
            ),
            content: vec![media("application/json"), media("application/x-www-form-urlencoded")],
            required: true,
        })
    }

    async fn from_request(
        _: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(body.take()?))
    }
}

impl RawBody {
    /// Reads the body, holding memory of the budget for as long as the second value lives.
    async fn read(self, app: &App, headers: &HeaderMap) -> Result<(Bytes, Vec<OwnedSemaphorePermit>)> {
        let read = async {
            let length = headers
                .get(header::CONTENT_LENGTH)
                .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
            let mut frames = self.0.into_bytes_stream();
            let mut body = BytesMut::with_capacity(length.unwrap_or(0).min(64 * 1024));
            let (mut held, mut drained) = (Vec::new(), 0);
            while let Some(frame) = frames.next().await {
                let frame =
                    frame.map_err(|error| Error::invalid("the body did not arrive whole").because(error))?;
                if length.unwrap_or(0) > MAX_BODY || drained > 0 || body.len() + frame.len() > MAX_BODY {
                    drained += frame.len();
                    body = BytesMut::new();
                    held.clear();
                    if drained > DRAIN {
                        break;
                    }
                    continue;
                }
                held.extend(app.inbox.hold(body.len(), frame.len())?);
                body.extend_from_slice(&frame);
            }
            if drained > 0 || length.unwrap_or(0) > MAX_BODY {
                let why = format!("the body is larger than {} MiB", MAX_BODY / 1024 / 1024);
                return Err(Error::new(Code::PayloadTooLarge, why));
            }
            Ok((body.freeze(), held))
        };
        let late =
            |_| Error::invalid(format!("the body did not arrive within {} seconds", PATIENCE.as_secs()));
        tokio::time::timeout(PATIENCE, read).await.map_err(late)?
    }
}

/// The answer to a Git host: short, because hosts keep it.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "Receipt", example)]
struct ReceiptOut {
    /// The host's id of the delivery.
    delivery_id: String,
    /// What became of it.
    status: ReceiptStatus,
    /// Our id of the delivery, if it is new.
    id: Option<WebhookEventId>,
}

example!(ReceiptOut, {"deliveryId": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "status": "accepted", "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c"});

#[derive(ApiResponse)]
enum ReceiptResponse {
    /// The delivery is on disk.
    #[oai(status = 202)]
    Stored(Json<ReceiptOut>),
}

#[derive(ApiResponse)]
enum ReplayResponse {
    /// The delivery will be processed again.
    #[oai(status = 202)]
    Enqueued(Json<DeliveryOut>),
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
    /// Its headers in the order they came, without credentials.
    headers: Vec<HeaderOut>,
    /// Its raw body; bytes that are not UTF-8 are shown as U+FFFD, and kept as they came.
    body: String,
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
