//! The Git hosts, behind one interface.

use std::borrow::Cow;

use poem::http::HeaderMap;
use secrecy::SecretString;

use super::{change::Change, github::GitHub};
use crate::{
    error::{Code, Error, Result},
    wire::wire_enum,
};

wire_enum! {
    /// A Git host.
    Source {
        /// github.com and GitHub Enterprise.
        GitHub = "github",
    }
}

impl Source {
    /// How this host signs, names and shapes its deliveries.
    pub(super) fn host(self) -> &'static dyn Host {
        match self {
            Self::GitHub => &GitHub,
        }
    }
}

/// What differs from host to host. A delivery is routed by the path it was posted to, never by which headers it
/// carries: some hosts send those of others too.
pub(super) trait Host: Sync {
    /// Checks the signature over the raw body, in constant time, against every secret that is valid now.
    ///
    /// # Errors
    /// `invalid_signature`, with a reason a person can act on.
    fn verify(&self, headers: &HeaderMap, body: &[u8], secrets: &[&SecretString]) -> Result<()>;

    /// The host's id of the delivery, which a redelivery repeats.
    ///
    /// # Errors
    /// `invalid_request` when there is none.
    fn delivery_id(&self, headers: &HeaderMap) -> Result<String>;

    /// The host's name of the event; empty if it sent none.
    fn event_type(&self, headers: &HeaderMap) -> String;

    /// The JSON inside the body.
    ///
    /// # Errors
    /// `invalid_request` when there is none.
    fn json<'a>(&self, content_type: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>>;

    /// What an event means; nothing, for an event that this version does not know.
    ///
    /// # Errors
    /// `unprocessable` for a known event whose content is not what the host documents.
    fn changes(&self, event_type: &str, json: &[u8]) -> Result<Vec<Change>>;
}

/// A header that must be there once, as text.
///
/// # Errors
/// `code`, saying what is wrong.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str, code: Code) -> Result<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) if !value.is_empty() => Ok(value),
        (None | Some(Ok("")), _) => Err(Error::new(code, format!("the header {name} is missing or empty"))),
        (_, Some(_)) => Err(Error::new(code, format!("the header {name} is there more than once"))),
        _ => Err(Error::new(code, format!("the header {name} is not readable text"))),
    }
}
