//! What a client learns without a credential: the keys that verify tokens, where to get one (RFC 9728), and what a
//! refusal tells it to do.

use std::sync::Arc;

use poem::{
    IntoResponse as _, Response, handler,
    http::header,
    web::{Data, Json},
};
use serde_json::{Value, json};

use super::{Resource, issuer, keyring, words};
use crate::{accounts::scope::usual_scopes, app::App, error::Result};

/// Answers `GET /.well-known/jwks.json`: the keys that verify our tokens (RFC 7517).
#[handler]
pub(crate) async fn show_key_set(app: Data<&Arc<App>>) -> Result<Response> {
    let keys = keyring::keyring(&app, None).await?.published();
    Ok(public(json!({"keys": keys})))
}

/// Answers `GET /.well-known/oauth-protected-resource`: the whole service as a resource.
#[handler]
pub(crate) fn show_api(app: Data<&Arc<App>>) -> Response {
    public(describe(&app, Resource::Service))
}

/// Answers `GET /.well-known/oauth-protected-resource/mcp`: the tools as a resource.
#[handler]
pub(crate) fn show_mcp(app: Data<&Arc<App>>) -> Response {
    public(describe(&app, Resource::Mcp))
}

fn describe(app: &App, resource: Resource) -> Value {
    json!({
        "resource": resource.address(&app.public_url()),
        "authorization_servers": authorization_servers(app),
        "scopes_supported": usual_scopes().iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "bearer_methods_supported": ["header"],
        "resource_name": "Trackside",
        "resource_documentation": format!("{}/docs", app.public_url()),
    })
}

/// Who issues tokens that are good here: the issuer that the operator names, or else this service; nobody where tokens
/// are turned off.
fn authorization_servers(app: &App) -> Vec<String> {
    let tokens = &app.config.tokens;
    match &tokens.outside {
        Some(outside) => vec![outside.issuer.as_str().to_owned()],
        None => tokens.life.iter().map(|_| issuer(app)).collect(),
    }
}

/// What `WWW-Authenticate` tells whoever is refused at `path` (RFC 6750, RFC 9728): where to learn how to get in, and
/// whether what was `shown` was of no use.
pub(crate) fn challenge(app: &App, path: &str, shown: bool) -> String {
    let is_mcp = path == "/mcp" || path.starts_with("/mcp/");
    let place = format!("{}/.well-known/oauth-protected-resource", app.public_url());
    let mut challenge = match is_mcp {
        true => format!("Bearer resource_metadata=\"{place}/mcp\", scope=\"{}\"", words(&usual_scopes())),
        false => format!("Bearer resource_metadata=\"{place}\""),
    };
    if shown {
        challenge.push_str(", error=\"invalid_token\", error_description=\"the credential is not valid\"");
    }
    challenge
}

fn public(document: Value) -> Response {
    let kept = format!("public, max-age={}", keyring::PUBLISHED_SECONDS);
    Json(document).with_header(header::CACHE_CONTROL, kept).into_response()
}
