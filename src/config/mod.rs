//! Settings: environment, file and flags in, one typed and checked [`Config`] out.
//!
//! Flags win over the environment, the environment over `trackside.toml`, the file over the defaults in
//! [`SETTINGS`]. A secret may also come from a file that `NAME_FILE` names. All settings are read together,
//! so that one start tells everything that is wrong.

mod address;
mod git;
mod people;
mod settings;
mod sources;
mod tokens;

use std::{
    fmt,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use chrono::TimeDelta;
use ipnet::IpNet;
use secrecy::SecretString;
use tokio_rustls::rustls::pki_types::CertificateDer;

pub use self::{
    address::{AllowedHost, DatabaseUrl, IssuerUrl, SecretUrl, from_here},
    git::{GitAllow, GitSettings},
    people::OidcSettings,
    settings::{DEFAULT_LOG, SETTINGS, Setting},
    sources::Sources,
    tokens::{LegacySettings, OutsideSettings, TokenSettings},
};

/// Everything the service needs to know, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `HOST` and `PORT`.
    pub listen: SocketAddr,
    /// `TRACKSIDE_PUBLIC_URL` without a trailing slash; none means that it follows from the address in use.
    pub public_url: Option<String>,
    /// `TRACKSIDE_ROLE`.
    pub role: Role,
    /// `DATABASE_URL`.
    pub database: DatabaseUrl,
    /// `TRACKSIDE_DB_POOL_MIN` and `TRACKSIDE_DB_POOL_MAX`: connections to PostgreSQL.
    pub pool: RangeInclusive<u32>,
    /// `REDIS_URL`.
    pub redis: Option<SecretUrl>,
    /// `TRACKSIDE_DATA_DIR`, or the folder that follows from the database.
    pub data_dir: PathBuf,
    /// `TRACKSIDE_AUTO_MIGRATE`.
    pub auto_migrate: bool,
    /// `TRACKSIDE_MASTER_KEY`, if it was given rather than left to the key file.
    pub master_key: Option<SecretString>,
    /// How access tokens are made and accepted.
    pub tokens: TokenSettings,
    /// `TRACKSIDE_ALLOWED_ORIGINS`.
    pub allowed_origins: Vec<String>,
    /// `TRACKSIDE_FETCH_ALLOW`.
    pub fetch_allow: Vec<AllowedHost>,
    /// The certificate authorities in `TRACKSIDE_CA_FILE`.
    pub authorities: Vec<CertificateDer<'static>>,
    /// How repositories are read.
    pub git: GitSettings,
    /// `TRACKSIDE_TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<IpNet>,
    /// `TRACKSIDE_ADMIN_EMAIL` and `TRACKSIDE_ADMIN_PASSWORD`.
    pub admin: Option<(String, SecretString)>,
    /// Where people may sign in besides.
    pub oidc: Option<OidcSettings>,
    /// `TRACKSIDE_MAX_CONNECTIONS`.
    pub max_connections: usize,
    /// `TRACKSIDE_REST_PER_MINUTE`.
    pub rest_per_minute: u32,
    /// `TRACKSIDE_TOOLS_PER_MINUTE`.
    pub tools_per_minute: u32,
    /// `TRACKSIDE_SIGN_INS_PER_MINUTE`.
    pub sign_ins_per_minute: u32,
    /// `TRACKSIDE_INGEST_PER_MINUTE`.
    pub ingest_per_minute: u32,
    /// `TRACKSIDE_JOB_LEASE_SECONDS`.
    pub job_lease: Duration,
    /// `TRACKSIDE_PAYLOAD_RETENTION_DAYS`.
    pub payload_retention: TimeDelta,
    /// `TRACKSIDE_AUDIT_RETENTION_DAYS`.
    pub audit_retention: TimeDelta,
    /// `TRACKSIDE_SECURITY_EVENT_DAYS`.
    pub security_retention: TimeDelta,
    /// `TRACKSIDE_RUN_DEADLINE_HOURS`.
    pub run_deadline: TimeDelta,
    /// `TRACKSIDE_HEARTBEAT_SECONDS`.
    pub heartbeat: Duration,
    /// `TRACKSIDE_STREAMS_PER_PRINCIPAL`; 0 means no limit.
    pub streams_per_principal: usize,
    /// `TRACKSIDE_SHUTDOWN_SECONDS`.
    pub shutdown: Duration,
    /// `LOG_FORMAT`.
    pub log_format: LogFormat,
    /// `RUST_LOG`.
    pub log_filter: String,
}

/// Which parts of the service this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    All,
    /// Requests and streams; others work through the jobs.
    Web,
    /// Jobs, and the routes of operation.
    Worker,
}

impl Role {
    /// Whether it answers Git hosts, agents and dashboards.
    pub fn serves(self) -> bool {
        self != Self::Worker
    }

    /// Whether it works through jobs.
    pub fn works(self) -> bool {
        self != Self::Web
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people at a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is wrong with the settings, all of it.
#[derive(Debug, PartialEq, Eq)]
pub struct BadSettings(pub Vec<String>);

impl fmt::Display for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these settings need attention:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for BadSettings {}

impl Config {
    /// Reads and checks every setting.
    ///
    /// # Errors
    /// Everything that is wrong, each with what to do.
    pub fn load(sources: &Sources) -> Result<Self, BadSettings> {
        let mut reader = Reader::new(sources);
        let host = reader.parse_or("HOST", address);
        let port: u16 = reader.parse("PORT", "a port between 0 and 65535");
        let database: DatabaseUrl = reader.parse_or("DATABASE_URL", |text| text.parse());
        let config = Self {
            listen: SocketAddr::new(host, port),
            public_url: reader.public_url(),
            role: reader.parse_or("TRACKSIDE_ROLE", |text| match text {
                "all" => Ok(Role::All),
                "web" => Ok(Role::Web),
                "worker" => Ok(Role::Worker),
                _ => Err("use all, web or worker".into()),
            }),
            data_dir: match reader.text("TRACKSIDE_DATA_DIR") {
                folder if folder.is_empty() => database.folder().to_owned(),
                folder => folder.into(),
            },
            database,
            pool: reader.pool(),
            redis: reader.parse_or("REDIS_URL", |text| match text {
                "" => Ok(None),
                _ => SecretUrl::parse(text, &["redis", "rediss"], "such as redis://host:6379").map(Some),
            }),
            auto_migrate: reader.parse("TRACKSIDE_AUTO_MIGRATE", "true or false"),
            master_key: Some(reader.text("TRACKSIDE_MASTER_KEY"))
                .filter(|key| !key.is_empty())
                .map(Into::into),
            tokens: reader.tokens(),
            allowed_origins: reader
                .text("TRACKSIDE_ALLOWED_ORIGINS")
                .split(',')
                .map(|origin| origin.trim().trim_end_matches('/').to_owned())
                .filter(|origin| !origin.is_empty())
                .collect(),
            fetch_allow: reader.parse_or("TRACKSIDE_FETCH_ALLOW", AllowedHost::list),
            authorities: reader.parse_or("TRACKSIDE_CA_FILE", address::authorities),
            git: reader.git(),
            trusted_proxies: reader.parse_or("TRACKSIDE_TRUSTED_PROXIES", address::networks),
            admin: reader.admin(),
            oidc: reader.oidc(),
            max_connections: reader.parse("TRACKSIDE_MAX_CONNECTIONS", "a number of connections"),
            rest_per_minute: reader
                .parse("TRACKSIDE_REST_PER_MINUTE", "a number of requests, 0 for no limit"),
            tools_per_minute: reader.parse("TRACKSIDE_TOOLS_PER_MINUTE", "a number of calls, 0 for no limit"),
            sign_ins_per_minute: reader
                .parse("TRACKSIDE_SIGN_INS_PER_MINUTE", "a number of attempts, 0 for no limit"),
            ingest_per_minute: reader
                .parse("TRACKSIDE_INGEST_PER_MINUTE", "a number of webhooks, 0 for no limit"),
            job_lease: reader.seconds("TRACKSIDE_JOB_LEASE_SECONDS", 1..=60),
            payload_retention: reader.days("TRACKSIDE_PAYLOAD_RETENTION_DAYS", 90),
            audit_retention: reader.days("TRACKSIDE_AUDIT_RETENTION_DAYS", 3_650),
            security_retention: reader.days("TRACKSIDE_SECURITY_EVENT_DAYS", 3_650),
            run_deadline: reader.hours("TRACKSIDE_RUN_DEADLINE_HOURS", 720),
            heartbeat: reader.seconds("TRACKSIDE_HEARTBEAT_SECONDS", 1..=300),
            streams_per_principal: reader
                .parse("TRACKSIDE_STREAMS_PER_PRINCIPAL", "a number of streams, or 0"),
            shutdown: reader.seconds("TRACKSIDE_SHUTDOWN_SECONDS", 1..=300),
            log_format: reader.parse_or("LOG_FORMAT", |text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("use text or json".into()),
            }),
            log_filter: reader.parse_or("RUST_LOG", |text| {
                match tracing_subscriber::EnvFilter::try_new(text) {
                    Ok(_) => Ok(text.to_owned()),
                    Err(error) => Err(format!("{error}; an example: info,trackside=debug")),
                }
            }),
        };
        reader.refuse("NATS_URL", "this version has no signal stream; leave it unset");
        if reader.problems.is_empty() { Ok(config) } else { Err(BadSettings(reader.problems)) }
    }
}

/// Looks settings up and remembers what was wrong.
struct Reader<'a> {
    sources: &'a Sources,
    file: toml::Table,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(sources: &'a Sources) -> Self {
        let mut problems = Vec::new();
        let mut file = toml::Table::new();
        if let Some((path, text)) = &sources.file {
            match text.parse::<toml::Table>() {
                Ok(table) => file = table,
                Err(error) => problems.push(format!("{} is not valid TOML: {error}", path.display())),
            }
            let known: Vec<_> = SETTINGS.iter().map(|setting| file_key(setting.name)).collect();
            for key in file.keys().filter(|key| !known.contains(key)) {
                problems.push(format!(
                    "{}: `{key}` is not a setting; known are {}",
                    path.display(),
                    known.join(", ")
                ));
            }
        }
        Self { sources, file, problems }
    }

    /// The strongest value of a setting, and where it came from.
    fn find(&mut self, name: &'static str) -> Option<(String, String)> {
        if let Some(value) = self.sources.flags.get(name) {
            return Some((value.clone(), format!("--{}", file_key(name).replace('_', "-"))));
        }
        if let Some(value) = self.sources.environment.get(name) {
            return Some((value.clone(), name.to_owned()));
        }
        let from_file = format!("{name}_FILE");
        if is_secret(name)
            && let Some(path) = self.sources.environment.get(&from_file)
        {
            return match std::fs::read_to_string(path) {
                Ok(text) => Some((text.trim().to_owned(), from_file)),
                Err(error) => {
                    self.problems.push(format!("{from_file}: {path} cannot be read: {error}"));
                    None
                }
            };
        }
        let value = self.file.get(&file_key(name))?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some((text, format!("{} in trackside.toml", file_key(name))))
    }

    fn text(&mut self, name: &'static str) -> String {
        self.find(name).map_or_else(|| default_of(name).to_owned(), |(value, _)| value)
    }

    /// Parses a setting; when that fails, notes why and goes on with the default.
    fn parse_or<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        if let Some((value, place)) = self.find(name) {
            match parse(value.trim()) {
                Ok(value) => return value,
                Err(why) if is_secret(name) => self.problems.push(format!("{place}: {why}")),
                Err(why) => self.problems.push(format!("{place} is `{value}`: {why}")),
            }
        }
        parse(default_of(name)).unwrap_or_else(|why| unreachable!("the default of {name} is valid: {why}"))
    }

    fn parse<T: FromStr>(&mut self, name: &'static str, expected: &str) -> T {
        self.parse_or(name, |text| text.parse().map_err(|_| format!("use {expected}")))
    }

    fn seconds(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Duration {
        self.parse_or(name, |text| match text.parse() {
            Ok(seconds) if range.contains(&seconds) => Ok(Duration::from_secs(seconds)),
            _ => Err(format!("use whole seconds between {} and {}", range.start(), range.end())),
        })
    }

    fn hours(&mut self, name: &'static str, most: i64) -> TimeDelta {
        self.parse_or(name, |text| match text.parse() {
            Ok(hours) if (1..=most).contains(&hours) => Ok(TimeDelta::hours(hours)),
            _ => Err(format!("use whole hours between 1 and {most}")),
        })
    }

    fn days(&mut self, name: &'static str, most: i64) -> TimeDelta {
        self.parse_or(name, |text| match text.parse() {
            Ok(days) if (1..=most).contains(&days) => Ok(TimeDelta::days(days)),
            _ => Err(format!("use whole days between 1 and {most}")),
        })
    }

    fn public_url(&mut self) -> Option<String> {
        self.parse_or("TRACKSIDE_PUBLIC_URL", |text| match text.trim_end_matches('/') {
            "" => Ok(None),
            url => match url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) {
                Some(host) if host.contains(['/', '?', '#']) => {
                    Err("leave the path out: the service answers at the root of its host".into())
                }
                Some(_) => Ok(Some(url.to_owned())),
                None => Err("use an address that begins with https:// or http://".into()),
            },
        })
    }

    fn pool(&mut self) -> RangeInclusive<u32> {
        let min: u32 = self.parse("TRACKSIDE_DB_POOL_MIN", "a number of connections");
        let max: u32 = self.parse("TRACKSIDE_DB_POOL_MAX", "a number of connections");
        if max < 2 || min > max {
            self.problems.push(format!(
                "TRACKSIDE_DB_POOL_MIN is {min} and TRACKSIDE_DB_POOL_MAX {max}: the larger must be at least 2, and \
                 the smaller not above it"
            ));
        }
        min..=max
    }

    /// Refuses a setting that would otherwise be ignored in silence.
    fn refuse(&mut self, name: &'static str, why: &str) {
        if self.sources.environment.get(name).is_some_and(|value| !value.is_empty()) {
            self.problems.push(format!("{name} is set: {why}"));
        }
    }
}

/// An address, or the first of what a name such as `localhost` stands for.
fn address(text: &str) -> Result<IpAddr, String> {
    if let Ok(address) = text.trim_matches(['[', ']']).parse() {
        return Ok(address);
    }
    let known: Vec<_> = (text, 0).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    let first = known.iter().find(|address| address.is_ipv4()).or(known.first());
    first
        .map(SocketAddr::ip)
        .ok_or_else(|| "use an address such as 127.0.0.1 or 0.0.0.0, or localhost".into())
}

fn default_of(name: &str) -> &'static str {
    SETTINGS.iter().find(|setting| setting.name == name).map_or("", |setting| setting.default)
}

fn is_secret(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name && setting.secret)
}

/// The name of a setting in `trackside.toml`.
fn file_key(name: &str) -> String {
    name.strip_prefix("TRACKSIDE_").unwrap_or(name).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Sources {
        let environment = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Sources { environment, ..Sources::default() }
    }

    #[test]
    fn nothing_configured_is_a_complete_configuration() {
        let config = Config::load(&Sources::default()).expect("defaults are valid");
        assert_eq!(config.listen, "127.0.0.1:8080".parse().expect("valid"));
        assert_eq!(config.database, DatabaseUrl::Sqlite("data/trackside.db".into()));
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file =
            Some(("trackside.toml".into(), "port = 1\nhost = \"0.0.0.0\"\nlog_format = \"json\"".into()));
        let mut sources = Sources { file, ..environment(&[("PORT", "2"), ("HOST", "127.0.0.2")]) };
        sources.flags.insert("PORT", "3".into());
        let config = Config::load(&sources).expect("valid");
        assert_eq!(config.listen, "127.0.0.2:3".parse().expect("valid"));
        assert_eq!(config.log_format, LogFormat::Json);
    }

    #[test]
    fn one_start_tells_everything_that_is_wrong() {
        let mut sources = environment(&[
            ("PORT", "eighty"),
            ("DATABASE_URL", "mysql://x"),
            ("TRACKSIDE_JOB_LEASE_SECONDS", "0"),
            ("REDIS_URL", "http://x"),
            ("TRACKSIDE_MASTER_KEY_FILE", "/nowhere/at/all"),
        ]);
        sources.file = Some(("trackside.toml".into(), "prot = 1".into()));
        let BadSettings(problems) = Config::load(&sources).expect_err("six problems");
        assert_eq!(problems.len(), 6, "{problems:#?}");
    }

    #[test]
    fn a_host_may_be_a_name_that_this_machine_knows() {
        let host = |name| Config::load(&environment(&[("HOST", name)])).map(|config| config.listen.ip());
        assert!(host("localhost").expect("every machine knows it").is_loopback());
        assert!(host("::").expect("an address").is_unspecified());
        assert!(host("no host has this name").is_err());
    }

    #[test]
    fn a_mistyped_variable_is_told_with_the_nearest_name() {
        let sources =
            environment(&[("TRACKSIDE_PUBLIC_ULR", "x"), ("TRACKSIDE_MASTER_KEY_FILE", "x"), ("HOME", "x")]);
        let unknown = sources.unknown();
        assert!(
            matches!(&*unknown, [only] if only.ends_with("did you mean TRACKSIDE_PUBLIC_URL?")),
            "{unknown:?}"
        );
    }
}
