//! The Git hosts, behind one interface.

use std::borrow::Cow;

use poem::http::{HeaderMap, header};
use secrecy::SecretString;

use super::{
    bitbucket::Bitbucket,
    change::Change,
    gitea::{FORGEJO, GITEA},
    github::GitHub,
    gitlab::GitLab,
    signature::single,
};
use crate::{
    clock::Time,
    error::{Code, Error, Result},
    projects::GitLabVerification,
    wire::wire_enum,
};

wire_enum! {
    /// A Git host.
    Source {
        /// github.com and GitHub Enterprise.
        GitHub = "github",
        /// gitlab.com and GitLab of one's own.
        GitLab = "gitlab",
        /// bitbucket.org.
        Bitbucket = "bitbucket",
        /// Gitea.
        Gitea = "gitea",
        /// Forgejo, and with it codeberg.org.
        Forgejo = "forgejo",
    }
}

impl Source {
    /// How this host signs, names and shapes its deliveries.
    pub(super) fn host(self) -> &'static dyn Host {
        match self {
            Self::GitHub => &GitHub,
            Self::GitLab => &GitLab,
            Self::Bitbucket => &Bitbucket,
            Self::Gitea => &GITEA,
            Self::Forgejo => &FORGEJO,
        }
    }
}

/// A delivery as it was posted, before anything of it is believed.
pub(super) struct Posted<'a> {
    /// All its headers.
    pub(super) headers: &'a HeaderMap,
    /// The raw body.
    pub(super) body: &'a [u8],
}

impl<'a> Posted<'a> {
    /// What the body says it is; empty if it does not say.
    pub(super) fn content_type(&self) -> &'a str {
        let value = self.headers.get(header::CONTENT_TYPE);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What a delivery is verified against.
pub(super) struct Trust<'a> {
    /// The project's secrets that are valid now.
    pub(super) secrets: Vec<&'a SecretString>,
    /// The present.
    pub(super) now: Time,
    /// Which of GitLab's two ways the project insists on, if it does.
    pub(super) gitlab: Option<GitLabVerification>,
}

/// What differs from host to host. A delivery is routed by the path it was posted to, never by which headers it
/// carries: some hosts send those of others too.
pub(super) trait Host: Sync {
    /// Checks the signature over the raw body, in constant time, against every secret that is valid now.
    ///
    /// # Errors
    /// `invalid_signature`, with a reason a person can act on.
    fn verify(&self, posted: &Posted<'_>, trust: &Trust<'_>) -> Result<()>;

    /// The host's id of the delivery, which a redelivery repeats.
    ///
    /// # Errors
    /// `invalid_request` when there is none.
    fn delivery_id(&self, posted: &Posted<'_>) -> Result<String>;

    /// The host's name of the event; empty if it sent none.
    fn event_type(&self, headers: &HeaderMap) -> String;

    /// The JSON inside the body.
    ///
    /// # Errors
    /// `invalid_request` when there is none.
    fn json<'a>(&self, _content_type: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        Ok(Cow::Borrowed(body))
    }

    /// What an event means; nothing, for an event that this version does not know.
    ///
    /// # Errors
    /// `unprocessable` for a known event whose content is not what the host documents.
    fn changes(&self, event_type: &str, json: &[u8]) -> Result<Vec<Change>>;
}

/// The id of a delivery in a header.
///
/// # Errors
/// `invalid_request` when it is missing or too long to be one.
pub(super) fn id_in(headers: &HeaderMap, name: &str) -> Result<String> {
    let id = single(headers, name, Code::InvalidRequest)?;
    if id.len() > 200 {
        return Err(Error::invalid(format!("the header {name} is longer than 200 characters")));
    }
    Ok(id.to_owned())
}

/// The name of an event in a header. It has been seen empty; that is no reason to lose a delivery.
pub(super) fn event_in(headers: &HeaderMap, name: &str) -> String {
    let event = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    event.chars().take(200).collect()
}

/// The JSON of a body that may be a form with the JSON in its field `payload`.
///
/// # Errors
/// `invalid_request` for a form without that field.
pub(super) fn json_or_form<'a>(host: &str, content_type: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    if !content_type.starts_with("application/x-www-form-urlencoded") {
        return Ok(Cow::Borrowed(body));
    }
    form_urlencoded::parse(body)
        .find(|(name, _)| name == "payload")
        .map(|(_, json)| Cow::Owned(json.into_owned().into_bytes()))
        .ok_or_else(|| {
            Error::invalid(format!("the form has no field `payload`, in which {host} sends its JSON"))
        })
}
