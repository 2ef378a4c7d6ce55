//! The controls: what the service is measured beside, on the same accept loop.
//!
//! `verify` only checks the signature: nobody who verifies can be faster. `row` does what a plain handler would:
//! it checks the signature and inserts the delivery in a transaction of its own, as durably as the service.

use std::{path::Path, sync::Arc};

use hmac::{Hmac, KeyInit as _, Mac as _};
use poem::{Endpoint, Request, Response, http::StatusCode};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, Statement,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use sha2::Sha256;
use tokio_util::sync::CancellationToken;
use trackside::server;

use crate::{
    Result,
    child::{Kind, SECRET},
};

/// Serves a control until the process is ended.
pub(crate) async fn serve(kind: Kind, port: u16, folder: &Path) -> Result<()> {
    let database = match kind {
        Kind::Row => Some(open(folder).await?),
        _ => None,
    };
    let listener = server::bind(([127, 0, 0, 1], port).into())?;
    let never = CancellationToken::new();
    server::serve(
        listener,
        Control { database: Arc::new(database) },
        10_000,
        never,
        std::time::Duration::ZERO,
    )
    .await;
    Ok(())
}

struct Control {
    database: Arc<Option<DatabaseConnection>>,
}

impl Endpoint for Control {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (parts, body) = request.into_parts();
        if parts.method == poem::http::Method::GET {
            return Ok(Response::builder().body("ready"));
        }
        let body = body.into_bytes_limit(32 << 20).await?;
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_signed(header("x-hub-signature-256"), &body) {
            return Ok(StatusCode::UNAUTHORIZED.into());
        }
        if let Some(database) = self.database.as_ref() {
            let headers: Vec<_> = parts
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
                .collect();
            let values = [
                header("x-github-delivery").into(),
                header("x-github-event").into(),
                serde_json::json!(headers).to_string().into(),
                body.to_vec().into(),
            ];
            let insert = "INSERT INTO delivery (delivery_id, event, headers, body) VALUES (?, ?, ?, ?)";
            let insert = Statement::from_sql_and_values(database.get_database_backend(), insert, values);
            database.execute_raw(insert).await.map_err(poem::error::InternalServerError)?;
        }
        Ok(Response::builder()
            .status(StatusCode::ACCEPTED)
            .content_type("application/json")
            .body(r#"{"status":"accepted"}"#))
    }
}

fn is_signed(header: &str, body: &[u8]) -> bool {
    let Ok(hmac) = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) else { return false };
    let sent: Vec<u8> = header
        .trim_start_matches("sha256=")
        .as_bytes()
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    hmac.chain_update(body).verify_slice(&sent).is_ok()
}

/// The same durability as the service's: WAL, a full sync at each commit.
async fn open(folder: &Path) -> Result<DatabaseConnection> {
    let file = folder.join("control.db");
    let mut options = ConnectOptions::new("sqlite://");
    options.sqlx_logging(false).max_connections(1).test_before_acquire(false).map_sqlx_sqlite_opts(
        move |options| {
            options
                .filename(&file)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .pragma("wal_autocheckpoint", "16000")
        },
    );
    let database = Database::connect(options).await?;
    database
        .execute_unprepared(
            "CREATE TABLE delivery (id INTEGER PRIMARY KEY, delivery_id TEXT NOT NULL UNIQUE, event TEXT NOT NULL, \
             headers TEXT NOT NULL, body BLOB NOT NULL)",
        )
        .await?;
    Ok(database)
}
