//! What can go wrong, in terms of the domain. Nothing here knows HTTP or MCP.
//!
//! Architecture invariant: [`Error`]'s `Display` is safe to show to any client or model. What a client must
//! not see (a database's words, a path, a secret) lives in `source()` and is logged once, at the boundary.

use std::{borrow::Cow, fmt, time::Duration};

use serde_json::Value;

/// The closed set of reasons. Clients branch on these, so a name never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request is not one the service understands.
    InvalidRequest,
    /// There is no credential, or not a valid one.
    Unauthenticated,
    /// A webhook's signature is missing or wrong.
    InvalidSignature,
    /// The credential does not allow this.
    InsufficientScope,
    /// It does not exist, as far as the caller may know.
    NotFound,
    /// A page of an origin that is not allowed asked for it.
    ForeignOrigin,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// It clashes with the present state.
    Conflict,
    /// Somebody holds it.
    AlreadyClaimed,
    /// Somebody is editing some of these files.
    AlreadyReserved,
    /// The caller does not hold it, or not any more.
    LeaseLost,
    /// There is nothing that could be begun.
    NothingReady,
    /// It waits for something else to be done.
    Blocked,
    /// The lane holds as many items as it may.
    LaneFull,
    /// Something has to hold before, and does not.
    GateFailed,
    /// The body is larger than the limit.
    PayloadTooLarge,
    /// The content type is not one the path takes.
    UnsupportedMediaType,
    /// It has changed since the client looked.
    PreconditionFailed,
    /// It was there, and is not kept any longer.
    Gone,
    /// More was asked for than the limit allows.
    RateLimited,
    /// The request is understood, and its content cannot be acted on.
    Unprocessable,
    /// The service is at its limits or shutting down; the same request may succeed soon.
    Unavailable,
    /// A defect of the service.
    Internal,
}

impl Code {
    /// Every code, for documentation and tests.
    pub const ALL: [Self; 23] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::InvalidSignature,
        Self::InsufficientScope,
        Self::ForeignOrigin,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::AlreadyClaimed,
        Self::AlreadyReserved,
        Self::LeaseLost,
        Self::NothingReady,
        Self::Blocked,
        Self::LaneFull,
        Self::GateFailed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::PreconditionFailed,
        Self::Gone,
        Self::RateLimited,
        Self::Unprocessable,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::InvalidSignature => "invalid_signature",
            Self::InsufficientScope => "insufficient_scope",
            Self::ForeignOrigin => "foreign_origin",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::AlreadyClaimed => "already_claimed",
            Self::AlreadyReserved => "already_reserved",
            Self::LeaseLost => "lease_lost",
            Self::NothingReady => "nothing_ready",
            Self::Blocked => "blocked",
            Self::LaneFull => "lane_full",
            Self::GateFailed => "gate_failed",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::PreconditionFailed => "precondition_failed",
            Self::Gone => "gone",
            Self::RateLimited => "rate_limited",
            Self::Unprocessable => "unprocessable",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// A short title for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request is not valid",
            Self::Unauthenticated => "A valid credential is needed",
            Self::InvalidSignature => "The webhook's signature is not valid",
            Self::InsufficientScope => "The credential does not allow this",
            Self::ForeignOrigin => "Pages of this origin are not allowed here",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "The method is not allowed here",
            Self::Conflict => "This clashes with the present state",
            Self::AlreadyClaimed => "Somebody holds it",
            Self::AlreadyReserved => "Somebody is editing some of these files",
            Self::LeaseLost => "The claim does not hold it",
            Self::NothingReady => "Nothing is ready to be begun",
            Self::Blocked => "It waits for something else",
            Self::LaneFull => "The lane is full",
            Self::GateFailed => "A gate is not passed",
            Self::PayloadTooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The content type is not supported here",
            Self::PreconditionFailed => "It has changed meanwhile",
            Self::Gone => "It is not kept any longer",
            Self::RateLimited => "Too many requests",
            Self::Unprocessable => "The content cannot be acted on",
            Self::Unavailable => "The service cannot take this right now",
            Self::Internal => "Something went wrong on our side",
        }
    }
}

/// What is said of a thing that is not there to whoever came with a credential.
pub const OUT_OF_REACH: &str = ", or this credential does not reach it";

/// One part of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the part, such as `/repoUrl`.
    pub pointer: String,
    /// What is wrong with it and what would be right.
    pub detail: String,
}

/// An error with public text and, apart from it, its internal cause.
#[derive(Debug)]
pub struct Error {
    /// Why, as one of the closed set.
    pub code: Code,
    /// Why, in words that a client or a model can act on.
    pub detail: Cow<'static, str>,
    /// The parts of the request that are wrong.
    pub fields: Vec<FieldError>,
    /// When the same request may succeed.
    pub retry_after: Option<Duration>,
    /// What else a program may want to know, such as who holds a thing, by name.
    pub facts: Vec<(&'static str, Value)>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a public explanation.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after: None,
            facts: Vec::new(),
            source: None,
        }
    }

    /// The request is wrong in general.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// One field of the request is wrong.
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        Self {
            fields: vec![FieldError { pointer: pointer.clone(), detail: detail.clone() }],
            ..Self::new(Code::InvalidRequest, format!("{pointer}: {detail}"))
        }
    }

    /// There is no such thing, or none that the caller may know of.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no such {what}{OUT_OF_REACH}"))
    }

    /// A defect: the cause is logged, the client sees none of it.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::new(
                Code::Internal,
                "the request failed for a reason that is ours; the log has it under the request id",
            )
        }
    }

    /// The caller asks for more than it may have at once: the same request may succeed after `retry_after`.
    pub fn rate_limited(detail: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Code::RateLimited, detail) }
    }

    /// Too much at once, or shutting down: the same request may succeed after `retry_after`.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Code::Unavailable, detail) }
    }

    /// What is wrong, without the fields' names: for who knows them by other names.
    pub fn field_details(&self) -> String {
        match &*self.fields {
            [] => self.detail.to_string(),
            fields => fields.iter().map(|field| &*field.detail).collect::<Vec<_>>().join("; "),
        }
    }

    /// Adds what a program may want to know.
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: impl Into<Value>) -> Self {
        self.facts.push((name, fact.into()));
        self
    }

    /// Keeps the internal cause beside the public text.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// An error and all its causes on one line, for the log and the terminal; never for a client.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
