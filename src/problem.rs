//! Errors as `application/problem+json` (RFC 9457), the only shape in which this service answers an error.
//!
//! Operations fail with an [`Error`]; routing and parsing fail with poem's own errors. Both become a
//! problem here, at the boundary, where a failure of ours is also logged, once, under the request id.

use std::time::Duration;

use poem::{
    Response,
    error::{CorsError, ResponseError},
    http::{StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON as _, Type as _},
};

use crate::{
    error::{Code, Error, chain},
    wire::example,
};

/// The media type of every error.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Why a request failed.
#[derive(Object)]
#[oai(rename = "Problem", example)]
struct ProblemOut {
    /// Names the kind of problem; the same as `code`, as a URI.
    #[oai(rename = "type")]
    kind: String,
    /// What kind of problem it is, for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What went wrong and what to do.
    detail: String,
    /// The path that was asked for.
    instance: String,
    /// The kind of problem, for programs; its meaning never changes.
    code: String,
    /// The id under which the service's log has this request.
    #[oai(rename = "requestId")]
    request_id: String,
    /// The parts of the request that are wrong.
    #[oai(default, skip_serializing_if_is_empty)]
    errors: Vec<FieldOut>,
}

example!(ProblemOut, {
    "type": "urn:trackside:problem:not_found",
    "title": "Not found",
    "status": 404,
    "detail": "there is no such project, or this credential does not reach it",
    "instance": "/api/v1/projects/01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "code": "not_found",
    "requestId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d"
});

/// One part of a request that is wrong.
#[derive(Object)]
#[oai(rename = "ProblemField")]
struct FieldOut {
    /// JSON pointer to the part.
    pointer: String,
    /// What is wrong with it.
    detail: String,
}

/// The HTTP status of a code.
pub const fn status(code: Code) -> StatusCode {
    match code {
        Code::InvalidRequest => StatusCode::BAD_REQUEST,
        Code::Unauthenticated | Code::InvalidSignature => StatusCode::UNAUTHORIZED,
        Code::InsufficientScope | Code::ForeignOrigin => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::Conflict
        | Code::AlreadyClaimed
        | Code::AlreadyReserved
        | Code::LeaseLost
        | Code::Blocked
        | Code::LaneFull
        | Code::GateFailed => StatusCode::CONFLICT,
        Code::NothingReady => StatusCode::NOT_FOUND,
        Code::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Code::Gone => StatusCode::GONE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Answers a request that failed. `instance` is its path, `request_id` what the log knows it by.
pub fn answer(error: poem::Error, instance: &str, request_id: &str) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }
    let error = match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => translate(&error),
    };
    log(&error);
    render(&error, instance, request_id)
}

/// Logs why a request is not answered as it was meant, once, at the boundary.
pub fn log(error: &Error) {
    if matches!(error.code, Code::Internal | Code::Unavailable) {
        tracing::error!(error = %chain(error), "a request failed");
    } else {
        tracing::info!(code = error.code.as_str(), why = %error, "a request was refused");
    }
}

fn render(error: &Error, instance: &str, request_id: &str) -> Response {
    let status = status(error.code);
    let fields = error.fields.iter();
    let problem = ProblemOut {
        kind: format!("urn:trackside:problem:{}", error.code.as_str()),
        title: error.code.title().to_owned(),
        status: status.as_u16(),
        detail: error.to_string(),
        instance: instance.to_owned(),
        code: error.code.as_str().to_owned(),
        request_id: request_id.to_owned(),
        errors: fields
            .map(|field| FieldOut { pointer: field.pointer.clone(), detail: field.detail.clone() })
            .collect(),
    };
    let mut response = Response::builder().status(status).content_type(CONTENT_TYPE);
    if let Some(after) = error.retry_after {
        response = response.header(header::RETRY_AFTER, seconds_to_wait(after));
    }
    if error.code == Code::Unauthenticated {
        response = response.header(header::WWW_AUTHENTICATE, "Bearer");
    }
    let mut body = problem.to_json().unwrap_or_default();
    for (name, fact) in &error.facts {
        body[*name] = fact.clone(); // RFC 9457: members of its own beside those that all problems have
    }
    response.body(body.to_string())
}

/// A time to wait as `Retry-After` has it: whole seconds.
pub fn seconds_to_wait(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil().max(1.0) as u64
}

/// What poem says of a request that it could not route or parse, in our terms.
fn translate(error: &poem::Error) -> Error {
    let text = error.to_string();
    if error.is::<CorsError>() {
        return Error::new(Code::ForeignOrigin, text);
    }
    match error.status() {
        StatusCode::NOT_FOUND => {
            Error::new(Code::NotFound, "there is nothing at this path; /docs lists what there is")
        }
        StatusCode::METHOD_NOT_ALLOWED => Error::new(
            Code::MethodNotAllowed,
            "this path does not take this method; /docs lists what it takes",
        ),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Error::new(Code::UnsupportedMediaType, "send JSON, with `Content-Type: application/json`")
        }
        StatusCode::PAYLOAD_TOO_LARGE => Error::new(Code::PayloadTooLarge, text),
        status if status.is_client_error() => Error::invalid(text),
        _ => Error::internal(text),
    }
}

impl ResponseError for Error {
    fn status(&self) -> StatusCode {
        status(self.code)
    }
}

impl ApiResponse for Error {
    fn meta() -> MetaResponses {
        let described = [
            (400, "The request is not valid."),
            (401, "The credential or signature is missing or not valid."),
            (403, "The credential does not allow this."),
            (404, "It does not exist, as far as the caller may know."),
            (409, "It clashes with the present state."),
            (410, "It is not kept any longer."),
            (412, "It has changed since the version that `If-Match` names."),
            (413, "The body is too large."),
            (415, "The content type is not supported."),
            (422, "The content cannot be acted on, or the `Idempotency-Key` was used for another request."),
            (429, "More requests than the limit allows."),
            (500, "Something went wrong on our side."),
            (503, "The service cannot take this right now."),
        ];
        let response = |(status, description)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType { content_type: CONTENT_TYPE, schema: ProblemOut::schema_ref() }],
            headers: if matches!(status, 429 | 503) { vec![retry_after()] } else { Vec::new() },
        };
        MetaResponses { responses: described.into_iter().map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        ProblemOut::register(registry);
    }
}

fn retry_after() -> MetaHeader {
    MetaHeader {
        name: "Retry-After".to_owned(),
        description: Some("Seconds after which the same request may succeed.".to_owned()),
        required: true,
        deprecated: false,
        schema: u64::schema_ref(),
    }
}
