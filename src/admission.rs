//! What every request of the API passes before its route: who sends it, is it within their limit, was it done
//! before.
//!
//! A request without a valid credential goes on to its route, which refuses it with the reason. What is left of a
//! limit is [`Noted`] on the request, so that the answer can tell it, whatever the answer is.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use poem::{
    Body, Endpoint, IntoResponse, Request, Response,
    error::ReadBodyError,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
};
use tracing::Instrument as _;

use crate::{
    accounts::{self, Principal},
    app::App,
    error::{Code, Error, Result, chain},
    idempotency::{self, Answer, Claim, Fingerprint, Turn},
    limits::Allowance,
};

/// Where the API is; other paths are for everybody.
const API: &str = "/api/v1/";
/// The header that names a write.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The largest body that can be remembered.
const MAX_BYTES: usize = 1024 * 1024;
/// Headers that are part of an answer, rather than of how it is delivered.
const KEPT: [HeaderName; 4] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG, header::LINK];

/// What a request learns on its way that its answer is to tell.
#[derive(Clone, Default)]
pub struct Noted(Arc<OnceLock<(Allowance, Option<Duration>)>>);

impl Noted {
    /// The note that goes with a request.
    pub fn of(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Notes what a limit said, and hands its verdict on.
    ///
    /// # Errors
    /// The limit's.
    pub fn limit(&self, (allowance, verdict): (Option<Allowance>, Result<()>)) -> Result<()> {
        if let Some(allowance) = allowance {
            let wait = verdict.as_ref().err().and_then(|error| error.retry_after);
            let _ = self.0.set((allowance, wait));
        }
        verdict
    }

    /// What is left of the limit that the request came under, if it did.
    pub fn allowance(&self) -> Option<Allowance> {
        self.0.get().map(|(allowance, _)| *allowance)
    }

    /// How long to wait before the same is asked again, if the limit refused it.
    pub fn wait(&self) -> Option<Duration> {
        self.0.get().and_then(|(_, wait)| *wait)
    }
}

/// Lets a request through to its route, or answers it.
pub async fn admit<E>(app: Arc<App>, endpoint: Arc<E>, mut request: Request) -> poem::Result<Response>
where
    E: Endpoint + 'static,
{
    if !request.uri().path().starts_with(API) {
        return Ok(endpoint.call(request).await?.into_response());
    }
    let Ok(principal) = accounts::authenticate_caller(&app, &request).await else {
        return Ok(endpoint.call(request).await?.into_response());
    };
    Noted::of(&request).limit(app.limits.rest.take(&principal.id).await)?;
    request.extensions_mut().insert(principal.clone());
    let is_write = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    match request.headers().get(IDEMPOTENCY_KEY).cloned() {
        Some(key) if is_write => Box::pin(once(app, endpoint, request, principal, key)).await, // large, and rare
        _ => Ok(endpoint.call(request).await?.into_response()),
    }
}

/// Does a write once per key. It is carried to its end even if the client goes away meanwhile: the answer is there
/// when it comes back.
async fn once<E: Endpoint + 'static>(
    app: Arc<App>,
    endpoint: Arc<E>,
    request: Request,
    principal: Arc<Principal>,
    key: HeaderValue,
) -> poem::Result<Response> {
    let (parts, body) = request.into_parts();
    let body = body.into_bytes_limit(MAX_BYTES).await.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => Error::new(Code::PayloadTooLarge, "the body is larger than 1 MiB"),
        error => Error::invalid("the body did not arrive whole").because(error),
    })?;
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let fingerprint = Fingerprint::new(parts.method.as_str(), path, &body);
    let key = key.to_str().unwrap_or_default();
    let claim = match idempotency::claim(&app, &principal, key, fingerprint).await? {
        Turn::Again(answer) => return Ok(replay(answer)),
        Turn::First(claim) => claim,
    };
    let request = Request::from_parts(parts, Body::from_bytes(body));
    let done = tokio::spawn(
        async move {
            let answered = endpoint.call(request).await.map(IntoResponse::into_response);
            match answered {
                Ok(response) if response.status().is_success() => keep(claim, response).await,
                refused => {
                    if let Err(error) = claim.release().await {
                        tracing::warn!(error = %chain(&error), "an idempotency key could not be freed");
                    }
                    refused
                }
            }
        }
        .in_current_span(),
    );
    done.await.map_err(Error::internal)?
}

/// Keeps an answer, and gives it.
async fn keep(claim: Claim, response: Response) -> poem::Result<Response> {
    let (parts, body) = response.into_parts();
    let body = body.into_string().await.map_err(Error::internal)?;
    let header = |name: &HeaderName| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    let headers = KEPT.iter().filter_map(header).collect();
    let answer = Answer { status: parts.status.as_u16(), headers, body };
    if let Err(error) = claim.keep(&answer).await {
        // It was done, and the client is told so; should it ask again, it learns that nobody knows.
        tracing::error!(error = %chain(&error), "the answer of a write could not be kept");
    }
    Ok(Response::from_parts(parts, Body::from(answer.body)))
}

fn replay(answer: Answer) -> Response {
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK))
        .header(REPLAYED, "true");
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(answer.body)
}
