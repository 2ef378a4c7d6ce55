//! What only PostgreSQL can promise. These tests need a server (`TRACKSIDE_TEST_POSTGRES`); without one they pass
//! over themselves, and `./scripts/test` always brings one.

mod outages;
mod plans;
mod rows;

use crate::support::Server;

/// A service over PostgreSQL, if there is a server for it.
async fn server() -> Option<Server> {
    server_with(&[]).await
}

/// The same, with settings.
async fn server_with(settings: &[(&str, &str)]) -> Option<Server> {
    match std::env::var_os("TRACKSIDE_TEST_POSTGRES") {
        Some(_) => Some(Server::start_with(settings).await),
        None => None,
    }
}
