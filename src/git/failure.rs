//! Why a repository could not be fetched, in words for whoever named it.

use std::fmt;

use crate::wire::wire_enum;

wire_enum! {
    /// Why a repository cannot be read.
    Failure {
        /// The address leads where this service does not go.
        NotAllowed = "not_allowed",
        /// Nobody answers there.
        Unreachable = "unreachable",
        /// It wants a token, or another one.
        Unauthorized = "unauthorized",
        /// There is no repository, or the token does not reach it.
        NotFound = "not_found",
        /// The repository has no such branch, or no commit at all.
        NoBranch = "no_branch",
        /// It is larger than this service takes.
        TooLarge = "too_large",
        /// It took too long.
        TimedOut = "timed_out",
        /// Another process of this service reads it at this moment.
        Busy = "busy",
        /// What answers there is no Git host, or breaks off.
        Broken = "broken",
        /// This service cannot run Git.
        NoGit = "no_git",
    }
}

/// A failure and its story. What is displayed may be shown to whoever named the address.
#[derive(Clone, Debug)]
pub struct GitError {
    /// Which kind of failure it is.
    pub failure: Failure,
    /// What happened, and what to do.
    pub detail: String,
}

pub(super) type Fetched<T> = Result<T, GitError>;

impl GitError {
    pub(super) fn new(failure: Failure, detail: impl Into<String>) -> Self {
        Self { failure, detail: detail.into() }
    }

    /// For `map_err`: this machine is in the way, which is for the log and the operator.
    pub(super) fn here<E: fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| {
            tracing::error!(%error, "{what}");
            Self::new(Failure::NoGit, format!("{what}; whoever operates this service finds more in its log"))
        }
    }

    pub(super) fn no_branch() -> Self {
        let why = "nothing at that address has the branch: check `repoUrl` and `config.branch`, or push a first commit";
        Self::new(Failure::NoBranch, why)
    }

    /// What git's own words mean. They come from the other side in part, so they are not shown.
    pub(super) fn told(words: &str, limit: Option<&'static str>) -> Self {
        if let Some(why) = limit {
            return Self::new(Failure::NotAllowed, why);
        }
        let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        if says(&[
            "error: 401",
            "error: 403",
            "Authentication failed",
            "could not read Username",
            "Permission denied",
        ]) {
            let why = "the host does not let this service in: give the project a token that may read the repository";
            return Self::new(Failure::Unauthorized, why);
        }
        if says(&["couldn't find remote ref", "Could not find remote branch"]) {
            return Self::no_branch();
        }
        if says(&["error: 404", "not found", "does not appear to be a git repository", "not valid"]) {
            let why =
                "there is no repository at that address, or it is private: check `repoUrl`, or give a token";
            return Self::new(Failure::NotFound, why);
        }
        if says(&["error: 429", "error: 5", "timed out", "Operation too slow"]) {
            return Self::new(Failure::Unreachable, "the host is too busy or too slow at the moment");
        }
        if says(&[
            "Could not resolve",
            "Failed to connect",
            "Couldn't connect",
            "SOCKS",
            "Connection refused",
        ]) {
            return Self::new(Failure::Unreachable, "the host cannot be reached from here");
        }
        if says(&["certificate", "SSL", "TLS", "gnutls"]) {
            let why = "the host's certificate is not one that is trusted here (TRACKSIDE_CA_FILE names more authorities)";
            return Self::new(Failure::Unreachable, why);
        }
        Self::new(Failure::Broken, "the host does not answer as a Git host does, or broke off")
    }
}

impl fmt::Display for GitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for GitError {}
