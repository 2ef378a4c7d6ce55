//! The dashboard's host: it serves the page that is built from `web/` and embedded in the binary.
//!
//! The page is a client like any other: all it knows it asks of the public API. What is served here is files. Those
//! under `/assets/` are named by their content and kept for good; the page itself is asked for anew each time, and is
//! the same at every address that its views have, so that a link into the middle of it works. These addresses are a
//! short list in the route table, and everything else stays the API's, errors included.
//!
//! Whoever is not signed in is led to the sign-in first, and from there to where they were going. A binary that was
//! built without Node.js has no page: it says so at these addresses and when it starts, and does everything else.

mod file;

use std::sync::Arc;

use maud::html;
use poem::{
    Endpoint, IntoResponse as _, Request, Response, handler,
    http::{HeaderValue, Method, header},
    web::Data,
};

use self::file::EmbeddedFile;
use crate::{
    accounts::signin,
    app::App,
    error::{Error, Result},
    pages::{Page, shown},
};

/// The page itself.
const INDEX: &str = "index.html";
/// Its own scripts, styles and pictures, and the API of its own origin, WebSocket included; nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// What a binary without the page says of it.
pub const HOW_TO_GET_IT: &str = "this binary was built without the dashboard's page: install Node.js 20.19 or newer \
                                 and build Trackside again to get it; everything else is here";

/// Whether the page is in this binary.
pub fn is_embedded() -> bool {
    EmbeddedFile::find(INDEX).is_some()
}

/// The address alone is the dashboard's first view: a route for it would be behind what is nested there.
pub async fn lead_home<E>(app: Arc<App>, endpoint: Arc<E>, request: Request) -> poem::Result<Response>
where
    E: Endpoint + 'static,
{
    let is_home = request.uri().path() == "/" && matches!(*request.method(), Method::GET | Method::HEAD);
    if is_home {
        return Ok(page(&app, &request).await);
    }
    Ok(endpoint.call(request).await?.into_response())
}

/// `GET` of a view: the page, which finds out by itself which one is meant.
#[handler]
pub(crate) async fn show_page(app: Data<&Arc<App>>, request: &Request) -> Response {
    page(&app, request).await
}

async fn page(app: &App, request: &Request) -> Response {
    shown(page_or_way_in(app, request).await)
}

async fn page_or_way_in(app: &App, request: &Request) -> Result<Response> {
    if let Some(elsewhere) = signin::way_in(app, request).await? {
        return Ok(elsewhere);
    }
    let Some(index) = EmbeddedFile::find(INDEX) else { return Ok(without_page()) };
    let mut response = index.answer(request, "no-cache");
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// What stands where the page would be.
fn without_page() -> Response {
    let body = html! {
        p { "The dashboard needs Node.js when Trackside is built, and this binary was built without it." }
        p { "Install Node.js 20.19 or newer, build Trackside again, and start it: the page will be here." }
        p { "Everything else works: " a href="/docs" { "the API" } ", the tools at " code { "/mcp" } " and "
            a href="/account" { "your account" } "." }
    };
    Page::new("There is no dashboard in this binary", body).into_response()
}

/// `GET /assets/…`: a file whose name changes with its content.
#[handler]
pub(crate) fn get_asset(request: &Request) -> Result<Response> {
    let file = EmbeddedFile::find(request.original_uri().path().trim_start_matches('/'));
    let file = file.ok_or_else(|| Error::not_found("file"))?;
    Ok(file.answer(request, "public, max-age=31536000, immutable"))
}
