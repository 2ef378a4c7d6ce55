//! What a database says, as an [`Error`]: its words are kept for the log, never shown.

use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr};

use crate::error::Error;

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if is_passing(&error) {
            return Self::unavailable("the database is busy; try again", Duration::from_secs(1))
                .because(error);
        }
        Self::internal(error)
    }
}

/// Whether the same statement may succeed in a moment: no connection was free, or another process holds the lock.
fn is_passing(error: &DbErr) -> bool {
    let text = match error {
        DbErr::ConnectionAcquire(_) => return true,
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => error.to_string(),
        _ => return false,
    };
    text.contains("database is locked") || text.contains("database is busy")
}
