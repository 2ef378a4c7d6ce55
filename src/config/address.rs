//! Addresses of what the service depends on, and of what it may ask.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use ipnet::IpNet;
use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use url::{Host, Url};

use super::Config;

/// Where this machine reaches what listens on an address of its own.
pub fn from_here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let here = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        address.set_ip(here);
    }
    address
}

impl Config {
    /// Where clients reach a service that listens there, without a trailing slash. Of one that takes every address of its
    /// machine and was not told, only this machine knows where that is.
    pub fn public_url_at(&self, address: SocketAddr) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{}", from_here(address)))
    }
}

/// Where the data lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(SecretUrl),
}

impl DatabaseUrl {
    /// The folder for what is kept beside the database, unless a setting names another.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::Sqlite(path) => {
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
            }
            Self::Postgres(_) => Path::new("data"),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        if url.starts_with("postgres") {
            let example = "such as postgres://user:password@host:5432/trackside";
            return SecretUrl::parse(url, &["postgres", "postgresql"], example).map(Self::Postgres);
        }
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
        let path = path.map(|path| path.split('?').next().unwrap_or_default());
        match path {
            Some("" | ":memory:") => {
                Err("a database in memory would lose what it acknowledged; name a file".into())
            }
            Some(path) => Ok(Self::Sqlite(path.into())),
            None => Err("not a database address; use sqlite://PATH, such as sqlite://data/trackside.db, or \
                         postgres://USER:PASSWORD@HOST/NAME"
                .into()),
        }
    }
}

/// An address that may hold a password: it is shown without.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// An address of one of some schemes.
    pub(super) fn parse(text: &str, schemes: &[&str], example: &str) -> Result<Self, String> {
        match Url::parse(text) {
            Ok(url) if schemes.contains(&url.scheme()) => Ok(Self(text.to_owned())),
            _ => Err(format!("not an address that can be understood; use one {example}")),
        }
    }

    /// All of it, for whoever connects.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(&self.0) {
            Ok(url) => write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or("localhost"))
                .and_then(|()| url.port().map_or(Ok(()), |port| write!(f, ":{port}")))
                .and_then(|()| f.write_str(url.path())),
            Err(_) => f.write_str("an address"),
        }
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A host, and maybe one port of it, that may be fetched from wherever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: Host,
    port: Option<u16>,
}

impl AllowedHost {
    /// Whether it allows a port of a host.
    pub fn is<S: PartialEq<String>>(&self, host: &Host<S>, port: u16) -> bool {
        *host == self.host && self.port.is_none_or(|allowed| allowed == port)
    }

    /// The host and port of an address.
    pub(super) fn of(url: &Url) -> Option<Self> {
        Some(Self { host: url.host()?.to_owned(), port: url.port_or_known_default() })
    }

    /// Reads a comma-separated list of them.
    pub(super) fn list(text: &str) -> Result<Vec<Self>, String> {
        text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::parse).collect()
    }
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a host; use names such as git.internal or git.internal:8443");
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| bad())?))
            }
            _ => (text, None),
        };
        Ok(Self { host: Host::parse(host).map_err(|_| bad())?, port })
    }
}

/// The address by which an issuer of tokens is known, to the letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerUrl {
    text: String,
    host: AllowedHost,
}

impl IssuerUrl {
    /// As its tokens name it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its host, which may be fetched from because the operator named it.
    pub fn host(&self) -> &AllowedHost {
        &self.host
    }

    /// Reads one; none without a text.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let bad = || {
            "use the https address of an issuer, such as https://idp.example.org, just as it names itself in its \
             metadata, without a user, query or fragment; http only for one on this machine"
                .to_owned()
        };
        let url = Url::parse(text).map_err(|_| bad())?;
        let is_here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let is_bare = url.username().is_empty() && url.password().is_none() && !text.contains(['?', '#']);
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here);
        match url.host() {
            Some(host) if is_bare && is_safe => {
                let host = AllowedHost { host: host.to_owned(), port: url.port_or_known_default() };
                Ok(Some(Self { text: text.to_owned(), host }))
            }
            _ => Err(bad()),
        }
    }
}

/// The certificate authorities in a PEM file; none without a name.
pub(super) fn authorities(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| format!("the file cannot be read as PEM: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|error| format!("a certificate in it is not valid: {error}"))?;
    }
    if certificates.is_empty() {
        return Err("the file has no certificate in it; name one with BEGIN CERTIFICATE".into());
    }
    Ok(certificates)
}

/// Networks, or single addresses.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |part: &str| {
        let address = || part.parse::<IpAddr>().map(IpNet::from);
        part.parse::<IpNet>().or_else(|_| address())
    };
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            network(part).map_err(|_| "use addresses or networks such as 127.0.0.1, 10.0.0.0/8".into())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_allowed_with_all_its_ports_or_with_one() {
        let allowed = AllowedHost::list("git.internal, [::1]:8443,Localhost:80").expect("valid");
        let is = |host: &str, port| {
            let host: Host = Host::parse(host).expect("a host");
            let host = match &host {
                Host::Domain(name) => Host::Domain(name.as_str()),
                Host::Ipv4(address) => Host::Ipv4(*address),
                Host::Ipv6(address) => Host::Ipv6(*address),
            };
            allowed.iter().any(|allowed| allowed.is(&host, port))
        };
        assert!(is("git.internal", 1) && is("GIT.internal", 443) && is("[::1]", 8443) && is("localhost", 80));
        assert!(!is("internal", 1) && !is("[::1]", 443) && !is("localhost", 443) && !is("127.0.0.1", 80));
        assert!(AllowedHost::list("https://x").is_err() && AllowedHost::list("x:y").is_err());
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let url: DatabaseUrl =
            "postgres://me:hunter2@db.internal:5433/track?sslmode=require".parse().expect("valid");
        assert_eq!(url.to_string(), "postgres://db.internal:5433/track");
        assert!(!format!("{url:?}").contains("hunter2"));
    }

    #[test]
    fn a_database_in_memory_is_refused_because_it_would_lose_what_it_acknowledged() {
        assert!("sqlite::memory:".parse::<DatabaseUrl>().is_err());
    }

    #[test]
    fn a_wrong_address_is_refused_without_repeating_its_password() {
        let refused = "postgresq://me:hunter2@db/track".parse::<DatabaseUrl>().expect_err("a typo");
        assert!(!refused.contains("hunter2"));
    }
}
