//! Ingest over HTTP: where Git hosts post.

use std::sync::Arc;

use bytes::Bytes;
use poem::{Body, Request, RequestBody, http::HeaderMap, web::Data};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi,
    param::Path,
    payload::Json,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{Receipt, ReceiptStatus, WebhookEventId, receive};
use crate::{admission::Noted, app::App, body, error::Result, rest::Tag, wire::example};

/// The largest body that is taken: GitHub sends up to 25 MB, and its form encoding inflates that.
const MAX_BODY: usize = 32 * 1024 * 1024;

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
        request: &Request,
        /// The Git host: `github`, `gitlab`, `bitbucket`, `gitea` or `forgejo`.
        source: Path<String>,
        /// The project.
        project_id: Path<String>,
        body: RawBody,
    ) -> Result<ReceiptResponse> {
        let (source, endpoint) = receive::endpoint(&app, &source, &project_id).await?;
        let (headers, noted) = (request.headers(), Noted::of(request));
        let outcome = match body.read(&app, headers).await {
            Ok((body, _held)) => receive::receive(&app, source, &endpoint, headers, body, &noted).await,
            Err(error) => Err(error),
        };
        receive::note(&app, source, &endpoint, headers, &outcome);
        let (delivery_id, receipt) = outcome?;
        let id = match receipt {
            Receipt::Accepted(id) => Some(id),
            Receipt::Duplicate => None,
        };
        Ok(ReceiptResponse::Stored(Json(ReceiptOut { delivery_id, status: receipt.status(), id })))
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
        body::read(self.0, headers, MAX_BODY, |before, more| app.inbox.hold(before, more)).await
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
