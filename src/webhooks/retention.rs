//! Retention: bodies go after a while, ids later.
//!
//! A body is kept for `TRACKSIDE_PAYLOAD_RETENTION_DAYS`. After that its delivery is still listed and its
//! repetition still known as one, until 90 days have passed. Ids of deliveries begin with their time, so that what
//! is old is the beginning of the table.

use chrono::TimeDelta;
use uuid::Uuid;

use super::store;
use crate::{app::App, clock::oldest_id_of, database::Door, error::Result};

/// For how long ids are kept.
const IDS: TimeDelta = TimeDelta::days(90);
/// Rows changed in one transaction.
const BATCH: u64 = 500;

/// Remembers how far bodies are removed, so that each is looked at once per process.
#[derive(Default)]
pub struct Retention {
    removed_to: Uuid,
}

impl Retention {
    /// Removes what has come of age, until the service stops.
    ///
    /// # Errors
    /// The database's; what is left goes the next time.
    pub async fn enforce(&mut self, app: &App) -> Result<()> {
        let now = app.clock.now();
        let (bodies_to, ids_to) = (oldest_id_of(now - app.config.payload_retention), oldest_id_of(now - IDS));
        let database = app.database.in_background();
        while !app.shutdown.is_cancelled() {
            let after = self.removed_to;
            let last = database
                .write_through(Door::Retention, move |tx| {
                    Box::pin(store::remove_bodies(tx, after, bodies_to, BATCH))
                })
                .await?;
            match last {
                Some(last) => self.removed_to = last,
                None => break,
            }
        }
        app.clear_out(move |tx| Box::pin(store::remove_old(tx, ids_to, BATCH))).await
    }
}
