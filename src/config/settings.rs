//! The settings, as operators meet them.

/// One setting as operators meet it.
pub struct Setting {
    /// Environment variable. In `trackside.toml` it is the same name in lower case without `TRACKSIDE_`.
    pub name: &'static str,
    /// What holds when it is not set, as text.
    pub default: &'static str,
    /// What it does, with its unit.
    pub about: &'static str,
    /// Whether `NAME_FILE` may name a file that holds the value.
    pub secret: bool,
}

const fn setting(name: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { name, default, about, secret: false }
}

const fn secret(name: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { name, default, about, secret: true }
}

/// What is logged unless somebody asks for more.
pub const DEFAULT_LOG: &str = "info,fred=off,sea_orm_migration=warn,sqlx=warn";

/// Every setting there is. `.env.example` lists the same, and a test compares the two.
pub const SETTINGS: &[Setting] = &[
    setting("HOST", "127.0.0.1", "Address to listen on."),
    setting("PORT", "8080", "Port to listen on."),
    setting(
        "TRACKSIDE_PUBLIC_URL",
        "",
        "Where clients reach the service, such as https://trackside.example.org; empty means http://HOST:PORT.",
    ),
    setting(
        "TRACKSIDE_ROLE",
        "all",
        "Which parts of the service this process is: all, web (requests and streams) or worker (jobs).",
    ),
    secret(
        "DATABASE_URL",
        "sqlite://data/trackside.db",
        "The database: a SQLite file, which is made with its folder if it is missing, or PostgreSQL 15 or newer as \
         postgres://USER:PASSWORD@HOST/NAME.",
    ),
    setting("TRACKSIDE_DB_POOL_MIN", "2", "Connections to PostgreSQL that are kept open."),
    setting("TRACKSIDE_DB_POOL_MAX", "10", "Connections to PostgreSQL that are open at most."),
    setting("TRACKSIDE_AUTO_MIGRATE", "true", "Whether `serve` brings the schema up to date at start."),
    secret(
        "REDIS_URL",
        "",
        "Redis 7 or Valkey, as redis://HOST:6379 or, with TLS, rediss://HOST:6379, which several instances share; \
         empty means none.",
    ),
    setting(
        "TRACKSIDE_DATA_DIR",
        "",
        "Folder for what is kept beside the database, such as the key file; empty means the folder of the SQLite \
         file, or `data`.",
    ),
    secret(
        "TRACKSIDE_MASTER_KEY",
        "",
        "32 bytes in base64 that seal webhook secrets, the same for all instances; empty means the file `master.key` \
         in the data folder, made at first start.",
    ),
    setting(
        "TRACKSIDE_TOKEN_SECONDS",
        "3600",
        "Seconds that an access token lasts, at most 86400; 0 means that there are none.",
    ),
    secret(
        "TRACKSIDE_JWT_PRIVATE_KEY",
        "",
        "Private key of P-256 in PEM that signs access tokens; further ones behind it are published too. Empty means \
         that the service makes its own and rotates them.",
    ),
    secret(
        "TRACKSIDE_LEGACY_HS256_SECRET",
        "",
        "Secret, of at least 32 characters, with which an older issuer signed tokens that are accepted meanwhile; empty \
         means none.",
    ),
    setting(
        "TRACKSIDE_LEGACY_HS256_UNTIL",
        "",
        "Until when those are accepted: a day such as 2030-01-31, or a time with its zone.",
    ),
    setting(
        "TRACKSIDE_OAUTH_ISSUER",
        "",
        "An issuer elsewhere whose access tokens are accepted, such as https://idp.example.org, just as its tokens name it; \
         empty means none.",
    ),
    setting(
        "TRACKSIDE_OAUTH_AUDIENCE",
        "",
        "Whom its tokens have to be for; empty means the address of the service, of its API or of its tools, by which they \
         are shown.",
    ),
    setting(
        "TRACKSIDE_ALLOWED_ORIGINS",
        "",
        "Comma-separated web origins that may call the API from a browser.",
    ),
    setting(
        "TRACKSIDE_FETCH_ALLOW",
        "",
        "Comma-separated hosts, such as idp.internal or idp.internal:8443, that may be fetched from though they are not \
         on the public internet, by http too; other fetches go to public addresses alone, by https.",
    ),
    setting(
        "TRACKSIDE_CA_FILE",
        "",
        "PEM file of certificate authorities that fetches trust beside those of this machine.",
    ),
    setting(
        "TRACKSIDE_SCANS",
        "true",
        "Whether the repositories of projects are read; false means that documents are known by their pushes alone.",
    ),
    setting(
        "TRACKSIDE_GIT_ALLOW",
        "",
        "Comma-separated schemes (file, git, http, ssh) and hosts, such as git.internal, that repositories may be read \
         from beyond public https; a host that is named may be private and speak plain http, and ssh and git need both.",
    ),
    setting("TRACKSIDE_GIT_SECONDS", "120", "Seconds that one fetch from a repository may take."),
    setting(
        "TRACKSIDE_GIT_MAX_MB",
        "1024",
        "MiB of one repository that are kept in the data folder at most.",
    ),
    setting(
        "TRACKSIDE_GITHUB_API_URL",
        "https://api.github.com",
        "Where GitHub is asked which deliveries it could not make; on your own GitHub Enterprise Server, \
         https://HOST/api/v3.",
    ),
    setting(
        "TRACKSIDE_TRUSTED_PROXIES",
        "",
        "Comma-separated addresses or networks, such as 10.0.0.0/8, of the proxies in front, which are believed who \
         asked them (X-Forwarded-For).",
    ),
    setting(
        "TRACKSIDE_ADMIN_EMAIL",
        "",
        "The e-mail address of the owner that `serve` makes while the installation has none, with \
         TRACKSIDE_ADMIN_PASSWORD; empty means that it prints a set-up link.",
    ),
    secret(
        "TRACKSIDE_ADMIN_PASSWORD",
        "",
        "The password of that owner, at least 12 characters; of no use once there is an owner.",
    ),
    setting(
        "TRACKSIDE_OIDC_ISSUER",
        "",
        "Where people may sign in by OpenID Connect, such as https://idp.example.org, just as the provider names itself; \
         with TRACKSIDE_OIDC_CLIENT_ID and TRACKSIDE_OIDC_CLIENT_SECRET. Empty means nowhere.",
    ),
    setting("TRACKSIDE_OIDC_CLIENT_ID", "", "Who this service is to that provider."),
    secret("TRACKSIDE_OIDC_CLIENT_SECRET", "", "The secret by which it shows that."),
    setting("TRACKSIDE_OIDC_NAME", "single sign-on", "What the sign-in page calls that provider."),
    setting("TRACKSIDE_MAX_CONNECTIONS", "20000", "Connections held open at most; more wait in the backlog."),
    setting(
        "TRACKSIDE_REST_PER_MINUTE",
        "600",
        "Requests to the REST API per minute and principal; 0 for no limit.",
    ),
    setting(
        "TRACKSIDE_TOOLS_PER_MINUTE",
        "60",
        "Calls of one MCP tool per minute and client; 0 for no limit.",
    ),
    setting(
        "TRACKSIDE_SIGN_INS_PER_MINUTE",
        "5",
        "Attempts to sign in per minute, from one address to one account; six times as many from one address to any; \
         0 for no limit.",
    ),
    setting("TRACKSIDE_INGEST_PER_MINUTE", "60000", "Webhooks per minute and project; 0 for no limit."),
    setting(
        "TRACKSIDE_JOB_LEASE_SECONDS",
        "30",
        "Seconds after which the job of a killed worker is taken up.",
    ),
    setting(
        "TRACKSIDE_PAYLOAD_RETENTION_DAYS",
        "30",
        "Days that the bodies of webhooks are kept, 1 to 90; ids are kept for 90.",
    ),
    setting("TRACKSIDE_AUDIT_RETENTION_DAYS", "90", "Days that records of tool calls are kept, 1 to 3650."),
    setting("TRACKSIDE_SECURITY_EVENT_DAYS", "400", "Days that security events are kept, 1 to 3650."),
    setting(
        "TRACKSIDE_RUN_DEADLINE_HOURS",
        "24",
        "Hours after which a CI run of which its Git host tells nothing more is closed as lost, 1 to 720.",
    ),
    setting("TRACKSIDE_HEARTBEAT_SECONDS", "15", "Seconds between heartbeats on a quiet event stream."),
    setting(
        "TRACKSIDE_STREAMS_PER_PRINCIPAL",
        "100",
        "Event streams and sockets that one principal may have open at once; 0 means no limit.",
    ),
    setting(
        "TRACKSIDE_SHUTDOWN_SECONDS",
        "25",
        "Seconds that requests in flight have to finish at shutdown.",
    ),
    setting("LOG_FORMAT", "text", "text for people, json for collectors."),
    setting("RUST_LOG", DEFAULT_LOG, "What is logged, as in the tracing crate: info, trackside=debug, …"),
];
