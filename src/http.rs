//! The route table, and what every request passes through.
//!
//! From outside in: a request id and a log span, errors as problems, what an answer tells beside its body,
//! browsers' cross-origin rules, [`admission`](crate::admission), routes.

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt as _, IntoResponse as _, Request, Response, Route, get, handler,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::Cors,
    post,
    web::Data,
};
use poem_openapi::{ExtraHeader, LicenseObject, OpenApiService, ServerObject};
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{
    accounts::{
        AccountsApi,
        invitation::InvitationsApi,
        keys::KeysApi,
        members::MembersApi,
        oauth::{self, GrantsApi},
        signin::{self, SessionsApi},
        tokens,
    },
    admission::{self, Noted},
    agents::AgentsApi,
    app::App,
    artifacts::{ArtifactContentsApi, ArtifactsApi, SearchApi},
    audit::AuditApi,
    conflicts::ConflictsApi,
    dashboard,
    demo::DemoApi,
    events::{EventsApi, open_socket},
    gates::GatesApi,
    limits::Allowance,
    mcp, openapi,
    operation::OperationApi,
    pages, problem,
    projects::ProjectsApi,
    reservations::ReservationsApi,
    rest::NextPage,
    runs::RunsApi,
    security::SecurityApi,
    sender,
    status::StatusApi,
    webhooks::{IngestApi, WebhooksApi},
    work::WorkApi,
};

/// Every route of the service: what a project has, and what a tenant and the service have.
const TABLE: Table = (
    (
        IngestApi,           // /webhooks/{source}/{projectId}
        ProjectsApi,         // /api/v1/projects
        StatusApi,           // /api/v1/projects/{projectId}/status
        WebhooksApi,         // /api/v1/projects/{projectId}/deliveries
        EventsApi,           // /api/v1/projects/{projectId}/events
        ArtifactsApi,        // /api/v1/projects/{projectId}/artifacts
        ArtifactContentsApi, // /api/v1/projects/{projectId}/artifacts/{artifactId}/…, /artifact-graph
        SearchApi,           // /api/v1/projects/{projectId}/artifacts/search
        ConflictsApi,        // /api/v1/projects/{projectId}/conflicts
        WorkApi,             // /api/v1/projects/{projectId}/work-items
        ReservationsApi,     // /api/v1/projects/{projectId}/reservations
        GatesApi,            // /api/v1/projects/{projectId}/gates, /phase-progress, /sprint-status.yaml
        AgentsApi,           // /api/v1/projects/{projectId}/agents
        RunsApi,             // /api/v1/projects/{projectId}/runs
        AuditApi,            // /api/v1/tool-calls, /api/v1/projects/{projectId}/tool-calls
    ),
    (
        SecurityApi,    // /api/v1/security-events
        AccountsApi,    // /api/v1/tenant, /api/v1/me
        MembersApi,     // /api/v1/principals
        KeysApi,        // /api/v1/api-keys
        InvitationsApi, // /api/v1/invitations
        SessionsApi,    // /api/v1/sessions
        GrantsApi,      // /api/v1/grants
        DemoApi,        // /api/v1/demo-data
        OperationApi,   // /health, /metrics
    ),
);
type Table = (
    (
        IngestApi,
        ProjectsApi,
        StatusApi,
        WebhooksApi,
        EventsApi,
        ArtifactsApi,
        ArtifactContentsApi,
        SearchApi,
        ConflictsApi,
        WorkApi,
        ReservationsApi,
        GatesApi,
        AgentsApi,
        RunsApi,
        AuditApi,
    ),
    (
        SecurityApi,
        AccountsApi,
        MembersApi,
        KeysApi,
        InvitationsApi,
        SessionsApi,
        GrantsApi,
        DemoApi,
        OperationApi,
    ),
);

/// Headers that a page of another origin may send.
const ALLOWED: [&str; 7] = [
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
    "x-request-id",
];
/// Headers that such a page may read.
const EXPOSED: [&str; 10] = [
    "etag",
    "idempotent-replayed",
    "link",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-request-id",
];

/// The whole service as one endpoint.
pub fn endpoint(app: Arc<App>) -> impl Endpoint<Output = Response> + 'static {
    let mcp = mcp::mount(Arc::clone(&app));
    endpoint_with(app, mcp)
}

/// The whole service, with what answers at `/mcp`. Open to tests, which mount other handlers there.
#[doc(hidden)]
pub fn endpoint_with(
    app: Arc<App>,
    mcp: impl Endpoint<Output = Response> + 'static,
) -> impl Endpoint<Output = Response> + 'static {
    let service = service();
    let public_url = app.public_url();
    let mut cors =
        Cors::new().allow_origins(&app.config.allowed_origins).allow_headers(ALLOWED).expose_headers(EXPOSED);
    if app.config.allowed_origins.is_empty() {
        cors = cors.allow_origins_fn(|_| false); // poem takes an empty list for every origin
    }
    let docs = service.swagger_ui();
    Route::new()
        .at("/openapi.json", get(openapi_json))
        .at("/api/v1/events/ws", get(open_socket)) // no OpenAPI: it is described at stream_events
        .at("/mcp", mcp) // no OpenAPI: it has a protocol of its own
        .at("/mcp/health", get(mcp::show_health)) // no OpenAPI here and below: an older protocol, for its clients alone
        .at("/mcp/tools", mcp::mount_list(Arc::clone(&app)))
        .at("/mcp/invoke", mcp::mount_invoke(Arc::clone(&app)))
        .at("/oauth/token", post(tokens::answer_token_request)) // no OpenAPI here and below: OAuth describes it
        .at("/.well-known/jwks.json", get(tokens::show_key_set))
        .at("/api/auth/.well-known/jwks.json", get(tokens::show_key_set))
        .at("/.well-known/oauth-protected-resource", get(tokens::show_api))
        .at("/.well-known/oauth-protected-resource/mcp", get(tokens::show_mcp))
        .at(oauth::metadata::PATH, get(oauth::metadata::authorization_server))
        .at(oauth::metadata::PATH_OF_MCP, get(oauth::metadata::authorization_server))
        // Pages, which people look at.
        .at("/oauth/authorize", get(oauth::show_consent).post(oauth::take_consent))
        .at("/setup", get(signin::show_set_up).post(signin::set_up))
        .at("/join", get(signin::show_join).post(signin::join_tenant))
        .at("/signin", get(signin::show_sign_in).post(signin::sign_in))
        .at("/signin/tenant", post(signin::choose))
        .at("/signin/oidc", get(signin::begin_oidc))
        .at("/signin/oidc/callback", get(signin::end_oidc))
        .at("/signout", post(signin::sign_out))
        .at("/reset", get(signin::show_reset).post(signin::reset_password))
        .at("/account", get(signin::show_account))
        .at("/account/password", post(signin::change_password_of))
        .at("/account/sessions/end", post(signin::end_session))
        .at("/account/grants/end", post(signin::end_grant))
        .at(pages::STYLE_PATH, get(pages::get_style))
        // The dashboard, which is one page at each address of its views; `/` is one too.
        .nest("/projects", get(dashboard::show_page))
        .nest("/connect", get(dashboard::show_page))
        .nest("/settings", get(dashboard::show_page))
        .nest("/assets", get(dashboard::get_asset))
        .nest("/docs", docs)
        .nest("/", service)
        .around({
            let app = Arc::clone(&app);
            move |endpoint, request| admission::admit(Arc::clone(&app), endpoint, request)
        })
        .around({
            let app = Arc::clone(&app);
            move |endpoint, request| dashboard::lead_home(Arc::clone(&app), endpoint, request)
        })
        .around(explain)
        .with(cors)
        .before(move |request| {
            let request = sender::note_page(&public_url, request);
            async move { Ok(request) }
        })
        .data(Arc::clone(&app))
        .around(move |endpoint, request| observe(Arc::clone(&app), endpoint, request))
}

/// What a process answers that only works through jobs: how it is.
pub fn endpoint_of_a_worker(app: Arc<App>) -> impl Endpoint<Output = Response> + 'static {
    Route::new()
        .nest("/", OpenApiService::new(OperationApi, "Trackside", env!("CARGO_PKG_VERSION")))
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
pub fn specification() -> Value {
    openapi::complete(serde_json::from_str(&service().spec()).unwrap_or_default())
}

#[handler]
fn openapi_json(_app: Data<&Arc<App>>) -> poem::web::Json<Value> {
    poem::web::Json(specification())
}

/// Gives a request its id and span, its errors their shape, and counts it.
async fn observe<E: Endpoint>(
    app: Arc<App>,
    endpoint: Arc<E>,
    mut request: Request,
) -> poem::Result<Response> {
    let began = Instant::now();
    let noted = Noted::default();
    request.extensions_mut().insert(noted.clone());
    let asked = Asked::of(&request);
    let id = request_id(&app, &request);
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let shown = request.headers().contains_key(header::AUTHORIZATION);
    let span = tracing::info_span!("request", %method, path, request_id = id);
    let answered = async {
        let mut response = match endpoint.call(request).await {
            Ok(response) => response.into_response(),
            Err(error) => problem::answer(error, &path, &id),
        };
        if response.headers().get(header::WWW_AUTHENTICATE).is_some_and(|asks| asks == "Bearer") {
            set(&mut response, "www-authenticate", tokens::challenge(&app, &path, shown));
        }
        set(&mut response, "x-request-id", id);
        set(&mut response, "x-content-type-options", "nosniff");
        if let Some(allowance) = noted.allowance() {
            tell_allowance(&mut response, allowance);
        }
        if let Some(wait) = noted.wait() {
            set(&mut response, "retry-after", problem::seconds_to_wait(wait).to_string());
        }
        let response = asked.finish(response);
        let (status, took) = (response.status(), began.elapsed());
        app.metrics.answered(method.as_str(), status.as_u16(), took);
        tracing::debug!(status = status.as_u16(), took_ms = took.as_millis(), "answered");
        response
    };
    Ok(answered.instrument(span).await)
}

/// The id of a request, beside it.
#[derive(Clone)]
struct RequestId(String);

/// Gives errors their shape before the cross-origin rules see them, which would make plain text of them.
async fn explain<E: Endpoint>(endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    let path = request.uri().path().to_owned();
    let id = request.extensions().get().cloned().map(|RequestId(id)| id).unwrap_or_default();
    Ok(match endpoint.call(request).await {
        Ok(response) => response.into_response(),
        Err(error) => problem::answer(error, &path, &id),
    })
}

/// The caller's id for the request, if it is one that can be logged as it is, or a new one.
fn request_id(app: &App, request: &Request) -> String {
    let fit = |id: &&str| {
        (1..=100).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    request.header("x-request-id").filter(fit).map_or_else(|| app.ids.uuid().to_string(), str::to_owned)
}

/// What of a request its answer has to be made to fit.
struct Asked {
    uri: Uri,
    if_none_match: Option<String>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let if_none_match = request.header(header::IF_NONE_MATCH).map(str::to_owned);
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        Self { uri: request.uri().clone(), if_none_match: if_none_match.filter(|_| is_read) }
    }

    /// Leads a list to its next page, and spares a client what it has already (RFC 9110, `If-None-Match`).
    fn finish(&self, mut response: Response) -> Response {
        if let Some(NextPage(cursor)) = response.extensions().get::<NextPage>().cloned() {
            set(&mut response, "link", format!("<{}>; rel=\"next\"", self.next_page(&cursor)));
        }
        let etag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let is_known = |known: &str, tag| {
            known
                .split(',')
                .map(|known| known.trim().trim_start_matches("W/"))
                .any(|known| known == tag || known == "*")
        };
        if response.status() == StatusCode::OK
            && let Some((known, tag)) = self.if_none_match.as_deref().zip(etag)
            && is_known(known, tag)
        {
            response.set_status(StatusCode::NOT_MODIFIED);
            response.headers_mut().remove(header::CONTENT_TYPE);
            response.set_body(());
        }
        response
    }

    /// The same request with another cursor.
    fn next_page(&self, cursor: &str) -> String {
        let asked = form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(asked.filter(|(name, _)| name != "cursor"))
            .append_pair("cursor", cursor)
            .finish();
        format!("{}?{query}", self.uri.path())
    }
}

/// What is left of a limit, in the fields of the IETF's draft and in the older ones.
fn tell_allowance(response: &mut Response, allowance: Allowance) {
    let Allowance { policy, per_minute, remaining, full_in } = allowance;
    let full_in = full_in.as_secs_f64().ceil();
    set(response, "ratelimit-policy", format!("\"{policy}\";q={per_minute};w=60"));
    set(response, "ratelimit", format!("\"{policy}\";r={remaining};t={full_in}"));
    set(response, "x-ratelimit-limit", per_minute.to_string());
    set(response, "x-ratelimit-remaining", remaining.to_string());
}

fn set(response: &mut Response, name: &'static str, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
        response.headers_mut().insert(name, value);
    }
}
