//! What a database says, as an [`Error`]: its words are kept for the log, never shown.

use std::time::Duration;

use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, postgres::PgDatabaseError},
};

use crate::error::Error;

/// Classes and codes of PostgreSQL's errors that pass: connections, resources, intervention by an operator, waiting
/// for a lock for too long, deadlocks, and failures of its machine.
const PASSING: [&str; 7] = ["08", "40", "53", "55P03", "57P", "58", "25P03"];

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if is_passing(&error) {
            return Self::unavailable("the database is busy; try again", Duration::from_secs(1))
                .because(error);
        }
        Self::internal(error)
    }
}

/// Whether the same statement may succeed in a moment: no connection was free, the server is restarting, or somebody
/// else holds what it needs.
fn is_passing(error: &DbErr) -> bool {
    let error = match error {
        DbErr::ConnectionAcquire(_) => return true,
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => error,
        _ => return false,
    };
    match &**error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => PASSING.iter().any(|class| error.code().starts_with(class)),
            None => ["database is locked", "database is busy"].iter().any(|it| error.message().contains(it)),
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::BeginFailed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}
