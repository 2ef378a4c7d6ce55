//! The Git hosts, behind one interface.

use std::borrow::Cow;

use poem::http::HeaderMap;
use secrecy::SecretString;

use super::{bitbucket::Bitbucket, change::Change, gitea::Gitea, github::GitHub, gitlab::GitLab};
use crate::{
    clock::Time,
    error::{Error, Result},
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
        /// Bitbucket Cloud.
        Bitbucket = "bitbucket",
        /// Gitea.
        Gitea = "gitea",
        /// Forgejo.
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
            Self::Gitea => &Gitea::GITEA,
            Self::Forgejo => &Gitea::FORGEJO,
        }
    }

    /// What people call it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Bitbucket => "Bitbucket",
            Self::Gitea => "Gitea",
            Self::Forgejo => "Forgejo",
        }
    }
}

/// A delivery as it was posted, before anything of it is believed.
#[derive(Clone, Copy)]
pub(crate) struct Posted<'a> {
    /// Its headers.
    pub(crate) headers: &'a HeaderMap,
    /// The raw body.
    pub(crate) body: &'a [u8],
    /// When it came.
    pub(crate) now: Time,
    /// What the project wants of GitLab, if it said so.
    pub(crate) gitlab: Option<GitLabVerification>,
}

/// What differs from host to host. A delivery is routed by the path it was posted to, never by which headers it
/// carries: some hosts send those of others too.
pub(super) trait Host: Sync {
    /// Checks the signature over the raw body, in constant time, against every secret that is valid now.
    ///
    /// # Errors
    /// `invalid_signature`, with a reason a person can act on.
    fn verify(&self, posted: Posted<'_>, secrets: &[&SecretString]) -> Result<()>;

    /// The host's id of the delivery, which a redelivery repeats.
    ///
    /// # Errors
    /// `invalid_request` when there is none.
    fn delivery_id(&self, headers: &HeaderMap, body: &[u8]) -> Result<String>;

    /// The host's name of the event; empty if it sent none.
    fn event_type(&self, headers: &HeaderMap) -> String;

    /// The JSON inside the body.
    ///
    /// # Errors
    /// `invalid_request` when there is none.
    fn json<'a>(&self, content_type: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        let _ = content_type;
        Ok(Cow::Borrowed(body))
    }

    /// What an event means; nothing, for an event that this version does not know.
    ///
    /// # Errors
    /// `unprocessable` for a known event whose content is not what the host documents.
    fn changes(&self, event_type: &str, json: &[u8]) -> Result<Vec<Change>>;
}

/// The JSON in a form's field `payload`, or the body itself where it is no form.
///
/// # Errors
/// `invalid_request` for a form without that field.
pub(super) fn json_or_form<'a>(content_type: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    if !content_type.starts_with("application/x-www-form-urlencoded") {
        return Ok(Cow::Borrowed(body));
    }
    form_urlencoded::parse(body)
        .find(|(name, _)| name == "payload")
        .map(|(_, json)| Cow::Owned(json.into_owned().into_bytes()))
        .ok_or_else(|| Error::invalid("the form has no field `payload`, in which the host sends its JSON"))
}
