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

use super::consent;
use crate::{
    accounts::{
        scope::usual_scopes,
        tokens::{GRANT_TYPES, issuer},
    },
    app::App,
};

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

fn document(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}{}", consent::PATH),
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
        "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": GRANT_TYPES,
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_modes_supported": ["query"],
        "response_types_supported": ["code"],
        "token_endpoint": format!("{issuer}/oauth/token"),
        "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        "scopes_supported": usual_scopes(),
        "service_documentation": format!("{issuer}/docs"),
    })
}
