//! The route table, and what every request passes through.
//!
//! From outside in: a request id and a log span, browsers' cross-origin rules, errors as problems, routes.

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt as _, IntoResponse as _, Request, Response, Route, get, handler,
    http::{HeaderValue, header},
    middleware::Cors,
    web::Data,
};
use poem_openapi::{ExtraHeader, LicenseObject, OpenApiService, ServerObject};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{
    accounts::AccountsApi,
    app::App,
    artifacts::ArtifactsApi,
    events::{EventsApi, open_socket},
    operation::OperationApi,
    problem,
    projects::ProjectsApi,
    runs::RunsApi,
    webhooks::{IngestApi, WebhooksApi},
};

/// Every route of the service.
const TABLE: Table = (
    IngestApi,    // /webhooks/{source}/{projectId}
    ProjectsApi,  // /api/v1/projects
    WebhooksApi,  // /api/v1/projects/{projectId}/deliveries
    EventsApi,    // /api/v1/projects/{projectId}/events
    ArtifactsApi, // /api/v1/projects/{projectId}/artifacts
    RunsApi,      // /api/v1/projects/{projectId}/runs
    AccountsApi,  // /api/v1/tenant, principals, api-keys
    OperationApi, // /health, /metrics
);
type Table =
    (IngestApi, ProjectsApi, WebhooksApi, EventsApi, ArtifactsApi, RunsApi, AccountsApi, OperationApi);

/// The whole service as one endpoint.
pub fn endpoint(app: Arc<App>) -> impl Endpoint<Output = Response> + 'static {
    let service = service();
    let mut cors = Cors::new()
        .allow_origins(&app.config.allowed_origins)
        .allow_headers(["authorization", "content-type", "last-event-id", "idempotency-key", "if-match"])
        .expose_headers(["location", "retry-after", "x-request-id"]);
    if app.config.allowed_origins.is_empty() {
        cors = cors.allow_origins_fn(|_| false); // poem takes an empty list for every origin
    }
    let docs = service.swagger_ui();
    Route::new()
        .at("/openapi.json", get(openapi_json))
        .at("/api/v1/events/ws", get(open_socket)) // no OpenAPI: it is described at stream_events
        .nest("/docs", docs)
        .nest("/", service)
        .with(cors)
        .before(|request| async move { Ok(without_own_origin(request)) })
        .data(Arc::clone(&app))
        .around(move |endpoint, request| observe(Arc::clone(&app), endpoint, request))
}

fn service() -> OpenApiService<Table, ()> {
    OpenApiService::new(TABLE, "Trackside", env!("CARGO_PKG_VERSION"))
        .description(
            "Project tracking for teams in which people and AI agents work side by side. Git hosts post signed webhooks; people and agents read what they mean and follow it live. Errors are \
             `application/problem+json`; lists answer `{items, nextCursor}`; times are RFC 3339 in UTC.",
        )
        .license(LicenseObject::new("Apache-2.0").url("https://www.apache.org/licenses/LICENSE-2.0"))
        .server(ServerObject::new("/").description("This service."))
        .extra_response_header::<String, _>(
            ExtraHeader::new("X-Request-Id").description("The id under which the service's log has this request."),
        )
}

/// The OpenAPI specification, as it is served and committed.
///
/// What poem-openapi leaves unsaid is said here: that open routes need no credential, and that an optional
/// property may be null, which is how this service writes what is not known.
pub fn specification() -> Value {
    let mut specification: Value = serde_json::from_str(&service().spec()).unwrap_or_default();
    let paths = specification["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut()) {
        if operation.get("security").is_none() {
            operation["security"] = json!([]);
        }
    }
    let schemas = specification["components"]["schemas"].as_object_mut();
    for schema in schemas.into_iter().flat_map(|schemas| schemas.values_mut()) {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for (name, property) in properties.into_iter().flatten() {
            // In OpenAPI 3.0 only a property with a type of its own can be marked so.
            if !required.contains(&json!(name)) && property.get("type").is_some() {
                property["nullable"] = json!(true);
            }
        }
        if let Some(example) = schema.get_mut("example").and_then(Value::as_object_mut) {
            example.retain(|_, value| !value.is_null());
        }
    }
    specification
}

/// Browsers name their origin in the service's own pages too, on every POST and WebSocket. The cross-origin rules
/// are not about those.
fn without_own_origin(mut request: Request) -> Request {
    let origin = request.header(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    if origin.is_some_and(|(_, host)| request.header(header::HOST) == Some(host)) {
        request.headers_mut().remove(header::ORIGIN);
    }
    request
}

#[handler]
fn openapi_json(_app: Data<&Arc<App>>) -> poem::web::Json<Value> {
    poem::web::Json(specification())
}

/// Gives a request its id and span, its errors their shape, and counts it.
async fn observe<E: Endpoint>(app: Arc<App>, endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    let began = Instant::now();
    let id = request_id(&app, &request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", %method, path, request_id = id);
    let answered = async {
        let mut response = match endpoint.call(request).await {
            Ok(response) => response.into_response(),
            Err(error) => problem::answer(error, &path, &id),
        };
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-request-id", id);
        }
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let (status, took) = (response.status(), began.elapsed());
        app.metrics.answered(method.as_str(), status.as_u16(), took);
        tracing::debug!(status = status.as_u16(), took_ms = took.as_millis(), "answered");
        response
    };
    Ok(answered.instrument(span).await)
}

/// The caller's id for the request, if it is one that can be logged as it is, or a new one.
fn request_id(app: &App, request: &Request) -> String {
    let fit = |id: &&str| {
        (1..=100).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    request.header("x-request-id").filter(fit).map_or_else(|| app.ids.uuid().to_string(), str::to_owned)
}
