//! Where a repository lives, and whether this service goes there.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::failure::{Failure, Fetched, GitError};
use crate::config::GitAllow;

/// Schemes that have to be allowed.
const SCHEMES: [&str; 4] = ["file", "git", "http", "ssh"];

/// A repository that may be fetched.
#[derive(Clone, Debug)]
pub struct Remote {
    /// As git is told it.
    pub(super) url: String,
    /// The only protocol that git may speak there, redirected or not.
    pub(super) protocol: &'static str,
    /// What it signs in with.
    pub(super) credential: Option<Credential>,
}

/// A token for a Git host.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The user's name; many hosts take any beside a token.
    pub username: String,
    /// The token.
    pub token: SecretString,
}

impl Remote {
    /// The repository at an address of a project.
    pub(super) fn parse(address: &str, allow: &GitAllow, credential: Option<Credential>) -> Fetched<Self> {
        let Some(url) = to_url(address) else {
            return Err(GitError::new(
                Failure::NotAllowed,
                "`repoUrl` is not an address that Git understands",
            ));
        };
        let is_named = url.host().is_some_and(|host| {
            let port = url.port_or_known_default().or(default_port(url.scheme())).unwrap_or_default();
            allow.hosts.iter().any(|allowed| allowed.is(&host, port))
        });
        let scheme = SCHEMES.iter().find(|scheme| **scheme == url.scheme()).copied();
        let is_allowed = match scheme {
            None => url.scheme() == "https",
            Some("http") => is_named || allow.has("http"),
            Some("file") => allow.has("file"),
            // Git connects by itself here, past every check of addresses: the operator has to name the host as well.
            Some(scheme) => is_named && allow.has(scheme),
        };
        if !is_allowed {
            let why = match scheme {
                None => "`repoUrl` is not an address that Git understands".to_owned(),
                Some("file") => {
                    "folders of this machine are not read; use https, or TRACKSIDE_GIT_ALLOW=file".to_owned()
                }
                Some(scheme) => format!(
                    "repositories are read by https; whoever operates this service may allow {scheme} and the host with \
                     TRACKSIDE_GIT_ALLOW"
                ),
            };
            return Err(GitError::new(Failure::NotAllowed, why));
        }
        let protocol = scheme.unwrap_or("https");
        let is_http = matches!(protocol, "http" | "https");
        Ok(Self { url: url.into(), protocol, credential: credential.filter(|_| is_http) })
    }

    /// Whether git speaks HTTP there, and so goes through the relay.
    pub(super) fn is_http(&self) -> bool {
        matches!(self.protocol, "http" | "https")
    }

    /// Where it is, if it is on this machine.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        let url = Url::parse(&self.url).ok().filter(|_| self.protocol == "file")?;
        url.to_file_path().ok()
    }
}

/// An address as a URL, `git@host:path` too.
fn to_url(address: &str) -> Option<Url> {
    if let Ok(url) = Url::parse(address)
        && (url.has_host() || url.scheme() == "file")
    {
        return Some(url);
    }
    let (host, path) = address.split_once(':')?;
    Url::parse(&format!("ssh://{host}/{}", path.trim_start_matches('/'))).ok()
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "ssh" => Some(22),
        "git" => Some(9418),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(address: &str, allow: &str) -> bool {
        Remote::parse(address, &allow.parse().expect("valid"), None).is_ok()
    }

    #[test]
    fn without_a_word_of_the_operator_only_https_is_read() {
        assert!(taken("https://github.com/acme/rocket", ""));
        for address in [
            "http://github.com/acme/rocket",
            "file:///srv/rocket",
            "git@github.com:acme/rocket.git",
            "ssh://git@github.com/acme/rocket",
            "git://github.com/acme/rocket",
            "ext::sh -c whoami",
            "/srv/rocket",
            "--upload-pack=whoami",
        ] {
            assert!(!taken(address, ""), "{address}");
        }
    }

    #[test]
    fn schemes_and_hosts_are_allowed_one_by_one() {
        assert!(taken("file:///srv/rocket", "file"));
        assert!(taken("http://git.internal/rocket", "git.internal") && taken("http://x.org/rocket", "http"));
        assert!(!taken("http://x.org/rocket", "git.internal,file") && !taken("git@x.org:rocket", "ssh"));
        assert!(
            taken("git@git.internal:rocket", "ssh,git.internal")
                && !taken("git@git.internal:rocket", "git.internal")
        );
        assert!(taken("ssh://git.internal/rocket", "ssh,git.internal:22"));
        assert!("https://x".parse::<GitAllow>().is_err());
    }
}
