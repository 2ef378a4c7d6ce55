//! What a client learns before it asks for anything: where to ask, and for what (RFC 8414).
//!
//! The document is found under the issuer's own address and, by clients that look for it beside `/mcp`, there too.

use std::sync::Arc;

use poem::{
    IntoResponse as _, Response, handler,
    http::header,
    web::{Data, Json},
};
use serde_json::{Value, json};

use super::usual_scopes;
use crate::{accounts::tokens::issuer, app::App};

/// Where the document is.
pub const PATH: &str = "/.well-known/oauth-authorization-server";
/// Where a client looks that takes `/mcp` for the issuer.
pub const PATH_OF_MCP: &str = "/.well-known/oauth-authorization-server/mcp";

/// The document.
#[handler]
pub(crate) fn authorization_server(app: Data<&Arc<App>>) -> Response {
    let document = Json(document(&issuer(&app)));
    document.with_header(header::CACHE_CONTROL, "public, max-age=3600").into_response()
}

/// It names what there is: no authorization endpoint, as long as there is no page on which people agree.
fn document(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth/token"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "scopes_supported": usual_scopes(),
        "service_documentation": format!("{issuer}/docs"),
    })
}
