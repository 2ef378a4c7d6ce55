//! Addresses of what the service depends on.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use url::Url;

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

#[cfg(test)]
mod tests {
    use super::*;

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
