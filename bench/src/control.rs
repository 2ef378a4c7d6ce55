//! The controls: what the service is measured beside, on the same accept loop.
//!
//! `verify` only checks the signature: nobody who verifies can be faster. `row` does what a plain handler would:
//! it checks the signature and inserts the delivery in a transaction of its own, as durably as the service.

use std::{path::Path, sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use poem::{
    Endpoint, Request, Response,
    http::{HeaderMap, Method, StatusCode},
};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr, Statement,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use sha2::Sha256;
use tokio_util::sync::CancellationToken;
use trackside::server;

use crate::{
    Result,
    child::{Kind, SECRET},
};

/// The service's own.
const BUSY: Duration = Duration::from_secs(5);
const CHECKPOINT_PAGES: &str = "16000";
const MAX_BODY: usize = 32 << 20;

const SCHEMA: &str = "
    CREATE TABLE project (id INTEGER PRIMARY KEY);
    INSERT INTO project VALUES (1);
    CREATE TABLE delivery (
        id INTEGER PRIMARY KEY,
        project_id INTEGER NOT NULL REFERENCES project (id),
        delivery_id TEXT NOT NULL,
        event_type TEXT NOT NULL,
        headers TEXT NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (project_id, delivery_id)
    );";
/// Without a transaction around it, which would only add statements: either database commits it by itself.
const INSERT: &str =
    "INSERT INTO delivery (project_id, delivery_id, event_type, headers, body) VALUES (1, $1, $2, $3, $4)";
/// Connections to PostgreSQL.
const POOL: u32 = 16;

/// Serves a control until the process is ended.
pub(crate) async fn serve(kind: Kind, port: u16, folder: &Path) -> Result<()> {
    let database = match kind {
        Kind::Row => Some(match std::env::var("DATABASE_URL") {
            Ok(url) => connect(url).await?,
            Err(_) => open(folder).await?,
        }),
        _ => None,
    };
    let listener = server::bind(([127, 0, 0, 1], port).into())?;
    let control = Control { database: Arc::new(database) };
    server::serve(listener, control, 10_000, CancellationToken::new(), Duration::ZERO).await;
    Ok(())
}

struct Control {
    database: Arc<Option<DatabaseConnection>>,
}

impl Endpoint for Control {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::GET {
            return Ok(Response::builder().body("ready"));
        }
        let body = body.into_bytes_limit(MAX_BODY).await?;
        if !is_signed(header(&parts.headers, "x-hub-signature-256"), &body) {
            return Ok(StatusCode::UNAUTHORIZED.into());
        }
        if let Some(database) = self.database.as_ref() {
            insert(database, &parts.headers, body.into()).await.map_err(poem::error::InternalServerError)?;
        }
        let answer = Response::builder().status(StatusCode::ACCEPTED).content_type("application/json");
        Ok(answer.body(r#"{"status":"accepted"}"#))
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn is_signed(signature: &str, body: &[u8]) -> bool {
    let Ok(hmac) = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) else { return false };
    let sent: Vec<u8> = signature
        .trim_start_matches("sha256=")
        .as_bytes()
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    hmac.chain_update(body).verify_slice(&sent).is_ok()
}

async fn insert(
    database: &DatabaseConnection,
    headers: &HeaderMap,
    body: Vec<u8>,
) -> std::result::Result<(), DbErr> {
    let kept: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default())).collect();
    let values = [
        header(headers, "x-github-delivery").into(),
        header(headers, "x-github-event").into(),
        serde_json::json!(kept).to_string().into(),
        body.into(),
    ];
    let insert = Statement::from_sql_and_values(database.get_database_backend(), INSERT, values);
    database.execute_raw(insert).await.map(|_| ())
}

/// A pool, as a plain handler over PostgreSQL would have; the schema is there.
async fn connect(url: String) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).max_connections(POOL).min_connections(POOL).test_before_acquire(false);
    Ok(Database::connect(options).await?)
}

/// One connection that writes, set up as the service's.
async fn open(folder: &Path) -> Result<DatabaseConnection> {
    let file = folder.join("control.db");
    let mut options = ConnectOptions::new("sqlite://");
    options.sqlx_logging(false).max_connections(1).test_before_acquire(false).map_sqlx_sqlite_opts(
        move |options| {
            options
                .filename(&file)
                .create_if_missing(true)
                .busy_timeout(BUSY)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        },
    );
    let database = Database::connect(options).await?;
    database.execute_unprepared(SCHEMA).await?;
    Ok(database)
}
