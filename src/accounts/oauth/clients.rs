//! Clients that sign people in, and how they say who they are.
//!
//! A client's id is the address of its metadata document (OAuth Client ID Metadata Documents): whoever controls that
//! address is the client. The document is fetched when somebody comes with the id, by the service's guarded client, and
//! kept for as long as its host says, five minutes at least and a day at most. A document that is missing or wrong is
//! not kept. Where documents cannot be fetched, or for a client that has none, whoever operates the service registers
//! the document: it is never fetched then.
//!
//! No client has a secret: what it shows is that it began what it ends (RFC 7636). A document with a secret in it, or of
//! a client that wants to prove itself by one, is refused.

use chrono::TimeDelta;
use hyper::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{BATCH, grants, redirect::RedirectUri, store};
use crate::{
    accounts::{list_tenants, parse_name},
    app::App,
    clock::Time,
    database::Door,
    error::{Code, Error, Result, chain},
    security::{self, Actor, SecurityAction, SecurityEvent},
    wire::is_visible,
};

/// The largest document that is taken, in bytes.
const MAX_BYTES: usize = 8 * 1024;
/// For how long a document is kept at least and at most.
const KEPT: (TimeDelta, TimeDelta) = (TimeDelta::minutes(5), TimeDelta::hours(24));
/// The longest id.
const MAX_ID: usize = 512;
/// Redirect addresses of one client.
const MAX_REDIRECTS: usize = 50;

/// A client that signs people in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address of its document, or the name it was registered by.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// Where it may have a browser sent back to.
    pub redirect_uris: Vec<RedirectUri>,
    /// Whether whoever operates the service registered it.
    pub is_registered: bool,
}

impl Client {
    /// The host that vouches for it: that of its document's address. A registered client may have none.
    pub fn host(&self) -> Option<String> {
        Url::parse(&self.id).ok()?.host_str().map(str::to_owned)
    }

    /// A redirect address, if the client may ask for it.
    ///
    /// # Errors
    /// `invalid_request` for one that is none, or is not among those of its document.
    pub fn redirect(&self, asked: &str) -> Result<RedirectUri> {
        let asked = RedirectUri::parse(asked)?;
        if self.redirect_uris.iter().any(|registered| registered.covers(&asked)) {
            return Ok(asked);
        }
        Err(Error::invalid(format!(
            "the client {} did not register the redirect_uri {}",
            self.id,
            asked.as_str()
        )))
    }
}

/// A client's document as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) client_id: String,
    pub(super) document: Value,
    pub(super) registered: bool,
    pub(super) fetched_at: Time,
    pub(super) fresh_until: Time,
}

impl Kept {
    fn client(&self) -> Result<Client> {
        read(&self.client_id, self.document.clone(), self.registered)
    }
}

/// The client that an id names.
///
/// # Errors
/// `invalid_request` for an id that names none, with what is wrong with its address or document.
pub async fn resolve(app: &App, client_id: &str) -> Result<Client> {
    let (id, now) = (client_id.to_owned(), app.clock.now());
    let kept = app
        .database
        .read_through(Door::OauthClients, |tx| Box::pin(async move { store::client(tx, &id).await }))
        .await?;
    match kept {
        Some(kept) if kept.registered || kept.fresh_until > now => kept.client(),
        _ => fetch(app, client_id).await,
    }
}

/// Fetches a client's document and keeps it, if it is good.
async fn fetch(app: &App, client_id: &str) -> Result<Client> {
    let url = parse_id(client_id)?;
    let bad = |why: String| Error::invalid(format!("client_id: the client's document at {client_id}: {why}"));
    let answer = app.fetch.get(&url, MAX_BYTES).await.map_err(|error| {
        tracing::info!(client_id, error = %chain(&error), "a client's document could not be fetched");
        bad(error.to_string())
    })?;
    if answer.status() != StatusCode::OK {
        return Err(bad(format!("its host answered {}", answer.status().as_u16())));
    }
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_json(header(header::CONTENT_TYPE)) {
        return Err(bad("its host says that it is not JSON".to_owned()));
    }
    let document: Value =
        serde_json::from_slice(answer.body()).map_err(|error| bad(format!("it is not JSON: {error}")))?;
    let client = read(client_id, document.clone(), false)?;
    let now = app.clock.now();
    let kept = Kept {
        client_id: client_id.to_owned(),
        document,
        registered: false,
        fetched_at: now,
        fresh_until: now + freshness(header(header::CACHE_CONTROL)),
    };
    keep(app, kept).await?;
    Ok(client)
}

async fn keep(app: &App, kept: Kept) -> Result<()> {
    let row = app.ids.uuid();
    app.database
        .write_through(Door::OauthClients, move |tx| Box::pin(store::keep_client(tx, row, kept)))
        .await
}

/// The address that an id is. Ids are compared as they are written, so there is one way to write each.
fn parse_id(client_id: &str) -> Result<Url> {
    let bad = |why: &str| Error::invalid(format!("client_id: {why}"));
    let not_known =
        "no such client is registered here, and it is not the https address of a client's document";
    let url = Url::parse(client_id).map_err(|_| bad(not_known))?;
    if url.scheme() != "https" {
        return Err(bad(not_known));
    }
    if client_id.len() > MAX_ID {
        return Err(bad("the address of a client's document has at most 512 characters"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(bad("the address of a client's document names no user and has no fragment"));
    }
    if url.path() == "/" || url.as_str() != client_id {
        return Err(bad(
            "the address of a client's document has a path, and is written in its plain form: lower-case host, no \
             default port, no dot segments",
        ));
    }
    Ok(url)
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json"
        || kind.strip_prefix("application/").is_some_and(|kind| kind.ends_with("+json"))
}

/// For how long a document is kept, by its `Cache-Control`.
fn freshness(cache_control: &str) -> TimeDelta {
    let seconds = cache_control
        .split(',')
        .filter_map(|directive| directive.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("max-age"))
        .and_then(|(_, seconds)| seconds.trim_matches('"').parse::<u32>().ok());
    TimeDelta::seconds(seconds.unwrap_or_default().into()).clamp(KEPT.0, KEPT.1)
}

/// What is read of a document (RFC 7591, 2); the rest is not needed.
#[derive(Deserialize)]
struct Document {
    client_id: String,
    client_name: String,
    redirect_uris: Vec<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    client_secret: Option<Value>,
    client_secret_expires_at: Option<Value>,
    jwks: Option<Value>,
}

/// The client that a document tells of.
fn read(client_id: &str, document: Value, is_registered: bool) -> Result<Client> {
    let bad = |why: &str| Error::invalid(format!("client_id: the client's document of {client_id}: {why}"));
    let document: Document = serde_json::from_value(document).map_err(|error| bad(&error.to_string()))?;
    if document.client_id != client_id {
        return Err(bad("it is one of another client_id; the two must be the same to the letter"));
    }
    let secrets = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let keys = document.jwks.as_ref().and_then(|jwks| jwks["keys"].as_array());
    let has_private_key =
        keys.into_iter().flatten().any(|key| secrets.iter().any(|name| !key[*name].is_null()));
    if document.client_secret.is_some() || document.client_secret_expires_at.is_some() || has_private_key {
        return Err(bad("there is a secret in it"));
    }
    if document.token_endpoint_auth_method.is_some_and(|method| method != "none") {
        return Err(bad("its token_endpoint_auth_method is not `none`, the only one that is known here"));
    }
    if document.grant_types.is_some_and(|types| !types.iter().any(|kind| kind == "authorization_code")) {
        return Err(bad("its grant_types do not have `authorization_code`"));
    }
    if document.response_types.is_some_and(|types| !types.iter().any(|kind| kind == "code")) {
        return Err(bad("its response_types do not have `code`"));
    }
    if !(1..=MAX_REDIRECTS).contains(&document.redirect_uris.len()) {
        return Err(bad("it has none of its redirect_uris, or more than 50"));
    }
    let redirect_uris = document.redirect_uris.iter().map(|uri| RedirectUri::parse(uri));
    let name = parse_name("/client_name", &document.client_name).map_err(|error| bad(&error.detail))?;
    // Nothing but the name's own letters where somebody decides whom to trust, not even the joiners in names of people.
    if !name.chars().all(is_visible) {
        return Err(bad("its client_name has characters that cannot be seen"));
    }
    Ok(Client {
        id: client_id.to_owned(),
        name,
        redirect_uris: redirect_uris.collect::<Result<_>>().map_err(|error| bad(&error.detail))?,
        is_registered,
    })
}

/// Registers a client by its document, or anew by another one; for the command line.
///
/// # Errors
/// `invalid_request` for a document that is not one of a client that can sign people in here.
pub async fn register(app: &App, document: Value) -> Result<Client> {
    let id = document["client_id"].as_str().unwrap_or_default().to_owned();
    if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid("the document has no client_id of 1 to 512 visible ASCII characters"));
    }
    let client = read(&id, document.clone(), true)?;
    let now = app.clock.now();
    keep(app, Kept { client_id: id, document, registered: true, fetched_at: now, fresh_until: now }).await?;
    note(app, SecurityAction::ClientRegistered, &json!({"clientId": client.id, "clientName": client.name}))
        .await;
    Ok(client)
}

/// The clients that were registered, and those whose documents are kept for now, by their ids; for the command line.
///
/// # Errors
/// The database's.
pub async fn list(app: &App) -> Result<Vec<Client>> {
    let kept = app.database.read_through(Door::OauthClients, |tx| Box::pin(store::clients(tx))).await?;
    kept.iter().map(Kept::client).collect()
}

/// Removes a client that was registered, and ends what people let it do, in every tenant; for the command line. What was
/// interrupted is seen through by doing it again: grants of a client that is not registered any more are ended too.
///
/// # Errors
/// `not_found` for one that was not registered, and that nobody lets do anything.
pub async fn remove(app: &App, client_id: &str) -> Result<()> {
    let id = client_id.to_owned();
    let mut is_news = app
        .database
        .write_through(Door::OauthClients, |tx| Box::pin(async move { store::remove_client(tx, &id).await }))
        .await?;
    for tenant in list_tenants(app).await? {
        is_news |= grants::end_all_of(app, tenant.id, client_id).await?;
    }
    if !is_news {
        let why = format!("no client `{client_id}` is registered; see: trackside client list");
        return Err(Error::new(Code::NotFound, why));
    }
    note(app, SecurityAction::ClientRemoved, &json!({"clientId": client_id})).await;
    Ok(())
}

/// Notes what the operator did to a client, which may sign people in to every tenant.
async fn note(app: &App, action: SecurityAction, details: &Value) {
    let event = || SecurityEvent::new(app, Actor::system(), action).with(details.clone());
    security::note_everywhere(&app.database, event).await;
}

/// Forgets documents that would be fetched anew.
pub(super) async fn forget_stale(app: &App) -> Result<()> {
    let now = app.clock.now();
    let database = app.database.in_background();
    let forget = async || {
        database
            .write_through(Door::OauthClients, move |tx| Box::pin(store::forget_clients(tx, now, BATCH)))
            .await
    };
    while !app.shutdown.is_cancelled() && forget().await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "https://client.example.org/oauth.json";

    #[test]
    fn an_id_is_an_address_in_its_one_plain_form() {
        for good in [ID, "https://client.example.org:8443/a/b?v=1", "https://xn--pp-uia.example.org/x"] {
            parse_id(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in [
            "",
            "cli",
            "http://client.example.org/oauth.json",
            "https://client.example.org",
            "https://client.example.org/",
            "https://client.example.org:443/oauth.json",
            "https://Client.example.org/oauth.json",
            "https://client.example.org/a/../oauth.json",
            "https://client.example.org/a/%2e%2e/oauth.json",
            "https://client.example.org/./oauth.json",
            "https://client.example.org/oauth.json#x",
            "https://client.example.org/oauth.json#",
            "https://me@client.example.org/oauth.json",
            "https://me:pw@client.example.org/oauth.json",
            "https://@client.example.org/oauth.json",
            "https:\\\\client.example.org\\oauth.json",
            "https://client.example.org/oauth\n.json",
            " https://client.example.org/oauth.json",
            "https:client.example.org/oauth.json",
            "https://2130706433/oauth.json",
            "https://0177.0.0.1/oauth.json",
            "HTTPS://client.example.org/oauth.json",
        ] {
            assert!(parse_id(bad).is_err(), "{bad}");
        }
        assert!(parse_id(&format!("https://client.example.org/{}", "x".repeat(MAX_ID))).is_err());
    }

    fn document() -> Value {
        json!({"client_id": ID, "client_name": "Claude Code", "redirect_uris": ["http://localhost/callback"]})
    }

    #[test]
    fn a_document_tells_of_a_client_without_secrets() {
        let with = |name: &str, value: Value| {
            let mut document = document();
            document[name] = value;
            document
        };
        for good in [
            document(),
            with("token_endpoint_auth_method", json!("none")),
            with("grant_types", json!(["authorization_code", "refresh_token"])),
            with("response_types", json!(["code"])),
            with("jwks", json!({"keys": [{"kty": "EC", "x": "x", "y": "y"}]})),
            with("logo_uri", json!("https://client.example.org/logo.png")),
        ] {
            let client = read(ID, good.clone(), false).unwrap_or_else(|error| panic!("{good}: {error}"));
            assert_eq!(client.name, "Claude Code");
        }
        for bad in [
            json!([]),
            json!("x"),
            with("client_id", json!("https://client.example.org/OAUTH.json")),
            with("client_id", json!("https://client.example.org/oauth.json?")),
            with("client_id", json!(null)),
            with("client_name", json!("")),
            with("client_name", json!("a\u{7}b")),
            with("client_name", json!("Trackside\u{202e}elosnoc")),
            with("client_name", json!("Track\u{ad}side")),
            with("client_name", json!("\u{3164}")),
            with("client_name", json!("Trackside\u{e0041}")),
            with("client_name", json!(7)),
            with("redirect_uris", json!([])),
            with("redirect_uris", json!("http://localhost/callback")),
            with("redirect_uris", json!(["http://localhost/callback", "javascript:alert(1)"])),
            with("redirect_uris", json!(vec!["http://localhost/callback"; 51])),
            with("client_secret", json!("hunter2")),
            with("client_secret_expires_at", json!(0)),
            with("jwks", json!({"keys": [{"kty": "EC", "x": "x", "y": "y", "d": "d"}]})),
            with("token_endpoint_auth_method", json!("client_secret_post")),
            with("token_endpoint_auth_method", json!("private_key_jwt")),
            with("grant_types", json!(["implicit"])),
            with("response_types", json!(["token"])),
        ] {
            assert!(read(ID, bad.clone(), false).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_document_is_kept_for_as_long_as_its_host_says_within_bounds() {
        for (header, minutes) in [
            ("", 5),
            ("no-store", 5),
            ("max-age=0", 5),
            ("public, max-age=3600", 60),
            ("Max-Age=\"3600\"", 60),
            ("max-age=99999999", 24 * 60),
            ("max-age=-1", 5),
            ("max-age=1e9", 5),
        ] {
            assert_eq!(freshness(header), TimeDelta::minutes(minutes), "{header}");
        }
    }

    #[test]
    fn a_document_is_json_by_its_type() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/oauth-client+json"] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["", "text/html", "text/json", "application/jsonp", "json", "text/x+json"] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
