//! Settings of repositories: which are read, and how much of them.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use url::Url;

use super::{AllowedHost, Reader};

/// How repositories are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitSettings {
    /// `TRACKSIDE_SCANS`: whether they are read at all.
    pub scans: bool,
    /// `TRACKSIDE_GIT_ALLOW`.
    pub allow: GitAllow,
    /// `TRACKSIDE_GIT_SECONDS`.
    pub patience: Duration,
    /// `TRACKSIDE_GIT_MAX_MB`, in bytes.
    pub max_bytes: u64,
    /// `TRACKSIDE_GITHUB_API_URL`, without a trailing slash.
    pub github_api: Url,
}

impl GitSettings {
    /// Where GitHub's API is, which may be asked wherever that is, because the operator named it.
    pub fn github_host(&self) -> Option<AllowedHost> {
        AllowedHost::of(&self.github_api)
    }
}

/// What may be fetched beyond public https.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitAllow {
    schemes: BTreeSet<&'static str>,
    /// Hosts that may be private, and speak plain http.
    pub hosts: Vec<AllowedHost>,
}

/// Schemes that have to be allowed.
const SCHEMES: [&str; 4] = ["file", "git", "http", "ssh"];

impl GitAllow {
    /// Folders of this machine, and nothing else.
    pub fn files() -> Self {
        Self { schemes: BTreeSet::from(["file"]), hosts: Vec::new() }
    }

    /// Whether the operator allows a scheme that is not https.
    pub fn has(&self, scheme: &str) -> bool {
        self.schemes.contains(scheme)
    }
}

impl FromStr for GitAllow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut allow = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "https") {
            match SCHEMES.iter().find(|scheme| **scheme == part) {
                Some(scheme) => {
                    allow.schemes.insert(scheme);
                }
                None => allow
                    .hosts
                    .push(part.parse().map_err(|why| format!("{why}, or schemes: {}", SCHEMES.join(", ")))?),
            }
        }
        Ok(allow)
    }
}

impl Reader<'_> {
    /// How repositories are read.
    pub(super) fn git(&mut self) -> GitSettings {
        GitSettings {
            scans: self.parse("TRACKSIDE_SCANS", "true or false"),
            allow: self.parse_or("TRACKSIDE_GIT_ALLOW", |text| text.parse()),
            patience: self.seconds("TRACKSIDE_GIT_SECONDS", 1..=3_600),
            max_bytes: self.parse_or("TRACKSIDE_GIT_MAX_MB", |text| match text.parse::<u64>() {
                Ok(megabytes) if (1..=1_000_000).contains(&megabytes) => Ok(megabytes << 20),
                _ => Err("use whole megabytes between 1 and 1000000".into()),
            }),
            github_api: self.parse_or("TRACKSIDE_GITHUB_API_URL", |text| match Url::parse(text) {
                Ok(url)
                    if url.has_host()
                        && matches!(url.scheme(), "http" | "https")
                        && url.query().is_none() =>
                {
                    Ok(url)
                }
                _ => Err("use the address of an API, such as https://github.example.org/api/v3".into()),
            }),
        }
    }
}
