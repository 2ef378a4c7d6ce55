//! `/mcp`: Streamable HTTP without sessions, so that any instance answers any request.

use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt as _, IntoResponse as _, Request, Response,
    endpoint::TowerCompatExt as _,
    http::{StatusCode, header, uri::Authority},
};
use rmcp::{
    ServerHandler,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};

use super::{server::Server, text};
use crate::{
    accounts::{self, Surface},
    app::App,
    body,
    error::{Code, Error, Result},
    sender::Sender,
};

/// The largest body that is taken, in bytes; the SDK's own bound is the same.
const MOST: usize = 4 * 1024 * 1024;
/// Characters that are told of what the SDK could not read.
const TOLD: usize = 200;

/// The mount: the tools, for whoever comes with a key.
pub fn mount(app: Arc<App>) -> impl Endpoint<Output = Response> + 'static {
    let server = Server::new(Arc::clone(&app));
    mount_handler(app, move || server.clone())
}

/// A mount of any handler, one for each request. A request comes with a key of the API, from a page of ours or an
/// allowed origin, under a name of ours: a page that a browser was led to under another name (DNS rebinding) is
/// refused. The SDK is not told of a shutdown, which would cut answers short: calls end by themselves, and so do
/// subscriptions.
///
/// Open to tests, which mount what the protocol's conformance suite asks for.
#[doc(hidden)]
pub fn mount_handler<H: ServerHandler>(
    app: Arc<App>,
    handler: impl Fn() -> H + Send + Sync + 'static,
) -> impl Endpoint<Output = Response> + 'static {
    let address = app.public_url();
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(Some(app.config.heartbeat))
        .with_allowed_hosts(hosts(&address))
        .with_allowed_origins(app.config.allowed_origins.iter().cloned().chain([address]))
        .enforce_origin_validation();
    let sessions = Arc::new(NeverSessionManager::default());
    StreamableHttpService::new(move || Ok(handler()), sessions, config)
        .compat()
        .around(move |endpoint, request| authenticate(Arc::clone(&app), endpoint, request))
}

/// The names under which a browser on this machine, or whoever knows the public address, reaches the service.
pub(super) fn hosts(public_url: &str) -> Vec<String> {
    let public = url::Url::parse(public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    ["localhost", "127.0.0.1", "[::1]", "::1"].map(str::to_owned).into_iter().chain(public).collect()
}

/// Puts who calls beside a request, and reads its body whole; or refuses it.
///
/// # Errors
/// `unauthenticated`, `payload_too_large`, and `invalid_request` for a body that does not arrive.
pub(super) async fn admit(app: &App, request: &mut Request) -> Result<()> {
    let principal = accounts::authenticate_request(app, request.headers(), Surface::Mcp).await?;
    let sender = Sender::of(app, request);
    request.extensions_mut().insert(sender);
    request.extensions_mut().insert(principal);
    let body = request.take_body();
    let (body, _) = body::read(body, request.headers(), MOST, |_, _| Ok(None::<()>)).await?;
    request.set_body(body);
    Ok(())
}

/// Refuses a request under a name that is none of `hosts`, as the SDK does for what it answers; of pages of other
/// origins the cross-origin rules let none come so far.
///
/// # Errors
/// `foreign_origin`.
pub(super) fn check_host(hosts: &[String], request: &Request) -> Result<()> {
    let bare = |host: &str| host.trim_matches(['[', ']']).to_ascii_lowercase();
    let named = match request.header(header::HOST) {
        Some(host) => host.parse::<Authority>().ok().map(|authority| bare(authority.host())),
        None => request.uri().authority().map(|authority| bare(authority.host())),
    };
    match named {
        Some(named) if hosts.iter().any(|known| bare(known) == named) => Ok(()),
        _ => Err(foreign()),
    }
}

fn foreign() -> Error {
    let why = "the request names a host or an origin that is not this service's; TRACKSIDE_PUBLIC_URL and \
               TRACKSIDE_ALLOWED_ORIGINS say which are";
    Error::new(Code::ForeignOrigin, why)
}

/// Lets a request through to the handler, and gives what that cannot answer in our words its shape.
async fn authenticate<E: Endpoint>(
    app: Arc<App>,
    endpoint: Arc<E>,
    mut request: Request,
) -> poem::Result<Response> {
    admit(&app, &mut request).await?;
    let is_json = request.content_type().is_some_and(|kind| kind.starts_with("application/json"));
    let response = endpoint.call(request).await?.into_response();
    // The SDK calls it so, in plain text, when it cannot read a message.
    if is_json && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        let told = response.into_body().into_string().await.unwrap_or_default();
        let told: String = text::visible(&told).chars().take(TOLD).collect();
        return Err(Error::invalid(format!("the body is not a message of the protocol: {told}")).into());
    }
    if response.status() == StatusCode::FORBIDDEN {
        return Err(foreign().into());
    }
    Ok(response)
}
