//! `POST /oauth/token`: trades what a client has for an access token (RFC 6749).
//!
//! What is wrong with a request is answered as OAuth's clients expect it, in JSON of their own kind; what is wrong with
//! the service is a problem as everywhere else, so that no client takes an outage for the end of its credential.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::{
    Body, Request, Response, handler,
    http::{StatusCode, header},
    web::Data,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{AccessToken, Resource, grant, issue, words};
use crate::{
    accounts::{Scope, authenticate},
    app::App,
    body,
    error::{Code, Error},
    sender::Sender,
};

/// What a token may be asked for with.
pub(in crate::accounts) const GRANT_TYPES: [&str; 3] =
    ["authorization_code", "refresh_token", "client_credentials"];
/// The only parameter that may be there more than once (RFC 8707, 2).
const RESOURCE: &str = "resource";

/// Answers `POST /oauth/token`.
#[handler]
pub(crate) async fn answer_token_request(
    app: Data<&Arc<App>>,
    request: &Request,
    body: Body,
) -> poem::Result<Response> {
    let answered = async {
        let form = Form::read(request, body).await?;
        if app.config.tokens.life.is_none() {
            let why =
                "this service issues no tokens; send the API key itself as `Authorization: Bearer tsk_…`";
            return Err(OAuthError::refused("unsupported_grant_type", why));
        }
        let (client, sender) = (Client::of(request, &form)?, Sender::of(&app, request));
        match form.required("grant_type")? {
            "client_credentials" => client_credentials(&app, &client, &form).await,
            "authorization_code" => grant::for_code(&app, &client, &form, &sender).await,
            "refresh_token" => grant::for_refresh_token(&app, &client, &form, &sender).await,
            _ => Err(OAuthError::refused(
                "unsupported_grant_type",
                format!("the grant types here are {}", GRANT_TYPES.join(", ")),
            )),
        }
    };
    match answered.await {
        Ok(answer) => Ok(answer.into_response()),
        Err(OAuthError::Failed(error)) => Err(error.into()),
        Err(OAuthError::Refused { error, description }) => {
            tracing::info!(error, why = description, "a token request was refused");
            Ok(refusal(request, error, &description))
        }
    }
}

/// An API key, shown as a client's secret, buys a token that may do what the key may, or less.
async fn client_credentials(app: &App, client: &Client, form: &Form) -> Result<TokenAnswer, OAuthError> {
    let unknown = || {
        let why = "the client_id is the first 16 characters of an API key, and the client_secret the key itself; this \
                   pair is not one, or the key has ended";
        OAuthError::refused("invalid_client", why)
    };
    let secret = client.secret.as_ref().ok_or_else(unknown)?;
    let principal = authenticate(app, secret.expose_secret()).await.map_err(|error| match error.code {
        Code::Unauthenticated => unknown(),
        _ => error.into(),
    })?;
    if client.id != principal.client {
        return Err(unknown());
    }
    app.limits.rest.take(&principal.id).await.1?;
    let scopes = form.scopes(&principal.scopes)?;
    let token = issue(app, &principal, &scopes, &form.resources(app)?).await?;
    Ok(TokenAnswer { token, scopes, refresh_token: None })
}

/// Why no token is given.
#[derive(Debug)]
pub(in crate::accounts) enum OAuthError {
    /// The request is wrong, in one of the words of RFC 6749, 5.2.
    Refused {
        /// That word.
        error: &'static str,
        /// What to do about it.
        description: String,
    },
    /// It is no fault of the request's, or there were too many.
    Failed(Error),
}

impl OAuthError {
    /// The request is wrong.
    pub(in crate::accounts) fn refused(error: &'static str, description: impl Into<String>) -> Self {
        Self::Refused { error, description: description.into() }
    }
}

impl From<Error> for OAuthError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What a client gets.
pub(in crate::accounts) struct TokenAnswer {
    /// The token.
    pub(in crate::accounts) token: AccessToken,
    /// What it may do.
    pub(in crate::accounts) scopes: BTreeSet<Scope>,
    /// What buys the next one, where somebody granted that.
    pub(in crate::accounts) refresh_token: Option<SecretString>,
}

impl TokenAnswer {
    fn into_response(self) -> Response {
        let mut answer = json!({
            "access_token": self.token.text.expose_secret(),
            "token_type": "Bearer",
            "expires_in": self.token.lasts.num_seconds(),
            "scope": words(&self.scopes),
        });
        if let Some(refresh_token) = self.refresh_token {
            answer["refresh_token"] = refresh_token.expose_secret().into();
        }
        respond(StatusCode::OK, &answer)
    }
}

fn refusal(request: &Request, error: &'static str, description: &str) -> Response {
    let is_unknown = error == "invalid_client";
    let status = if is_unknown { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    let mut response = respond(status, &json!({"error": error, "error_description": description}));
    if is_unknown && request.header(header::AUTHORIZATION).is_some() {
        let basic = header::HeaderValue::from_static("Basic realm=\"trackside\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
    }
    response
}

/// Nobody on the way keeps such an answer (RFC 6749, 5.1).
fn respond(status: StatusCode, answer: &serde_json::Value) -> Response {
    Response::builder()
        .status(status)
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .header("pragma", "no-cache")
        .body(answer.to_string())
}

/// Who asks, by what they say.
pub(in crate::accounts) struct Client {
    /// Who they say they are.
    pub(in crate::accounts) id: String,
    /// How they prove it, if they do.
    pub(in crate::accounts) secret: Option<SecretString>,
}

impl Client {
    fn of(request: &Request, form: &Form) -> Result<Self, OAuthError> {
        let invalid = |why: &str| OAuthError::refused("invalid_request", why);
        let Some(basic) = request.header(header::AUTHORIZATION) else {
            let secret = form.get("client_secret").map(|secret| secret.to_owned().into());
            return Ok(Self { id: form.required("client_id")?.to_owned(), secret });
        };
        if form.get("client_secret").is_some() {
            return Err(invalid(
                "the client shows its secret twice; use either Authorization or client_secret",
            ));
        }
        let (id, secret) = basic_pair(basic).ok_or_else(|| {
            invalid("Authorization is not `Basic` with the base64 of client_id:client_secret")
        })?;
        if form.get("client_id").is_some_and(|named| named != id) {
            return Err(invalid("client_id is not the client that Authorization names"));
        }
        Ok(Self { id, secret: Some(secret.into()) })
    }
}

/// The two parts of HTTP Basic, each of which OAuth encodes as a form does (RFC 6749, 2.3.1).
fn basic_pair(value: &str) -> Option<(String, String)> {
    let (kind, encoded) = value.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| kind.eq_ignore_ascii_case("basic"))?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    let value = format!("_={text}").replace('&', "%26");
    form_urlencoded::parse(value.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The parameters of a request. One without a value is one that is not there, and none but `resource` is there twice
/// (RFC 6749, 3.2).
pub(in crate::accounts) struct Form {
    values: BTreeMap<String, String>,
    resources: Vec<String>,
}

impl Form {
    async fn read(request: &Request, body: Body) -> Result<Self, OAuthError> {
        let fields = body::form(body, request.headers()).await;
        Self::of(fields.map_err(|error| OAuthError::refused("invalid_request", error.detail))?)
    }

    fn of(fields: Vec<(String, String)>) -> Result<Self, OAuthError> {
        let mut form = Self { values: BTreeMap::new(), resources: Vec::new() };
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            if name == RESOURCE {
                form.resources.push(value);
            } else if form.values.insert(name, value).is_some() {
                return Err(OAuthError::refused("invalid_request", "a parameter is there more than once"));
            }
        }
        Ok(form)
    }

    /// A parameter, if it is there.
    pub(in crate::accounts) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A parameter that has to be there.
    pub(in crate::accounts) fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::refused("invalid_request", format!("{name} is missing")))
    }

    /// The scopes that are asked for, or all there are to be had.
    pub(in crate::accounts) fn scopes(&self, had: &BTreeSet<Scope>) -> Result<BTreeSet<Scope>, OAuthError> {
        let Some(asked) = self.get("scope") else { return Ok(had.clone()) };
        let words = asked.split(' ').filter(|word| !word.is_empty());
        let scope = |word: &str| word.parse().ok().filter(|scope| had.contains(scope));
        let scopes: Option<BTreeSet<_>> = words.map(scope).collect();
        scopes.filter(|scopes| !scopes.is_empty()).ok_or_else(|| {
            let why = format!("this credential has no more than these scopes: {}", super::words(had));
            OAuthError::refused("invalid_scope", why)
        })
    }

    /// What the token is to be good for, if the request says so.
    pub(in crate::accounts) fn resources(&self, app: &App) -> Result<BTreeSet<Resource>, OAuthError> {
        let service = app.public_url();
        let at = |address: &String| Resource::at(&service, address);
        self.resources.iter().map(at).collect::<Option<_>>().ok_or_else(|| {
            let known: Vec<_> = Resource::ALL.iter().map(|resource| resource.address(&service)).collect();
            OAuthError::refused("invalid_target", format!("a resource here is one of {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_read_as_oauth_writes_it() {
        let pair = |text: &str| basic_pair(&format!("Basic {}", STANDARD.encode(text)));
        assert_eq!(pair("tsk_a:tsk_ab"), Some(("tsk_a".into(), "tsk_ab".into())));
        let encoded = pair("https%3A%2F%2Fexample.org%2Fid:a%26b+c%3D");
        assert_eq!(encoded, Some(("https://example.org/id".into(), "a&b c=".into())));
        assert_eq!(pair("x:a&b=c").map(|(_, secret)| secret), Some("a&b=c".into()));
        assert_eq!(pair("no colon"), None);
        assert_eq!(basic_pair("Bearer eDp5"), None);
        assert_eq!(basic_pair("Basic !"), None);
    }

    #[test]
    fn a_parameter_is_there_once_and_a_resource_as_often_as_it_likes() {
        let fields = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let pairs = [("resource", "a"), ("resource", "b"), ("scope", ""), ("x", "1")];
        let Ok(form) = Form::of(fields(&pairs)) else { panic!("it is a form") };
        assert_eq!(form.resources, ["a", "b"]);
        assert_eq!((form.get("scope"), form.get("x")), (None, Some("1")));
        assert!(Form::of(fields(&[("x", "1"), ("x", "1")])).is_err());
    }
}
