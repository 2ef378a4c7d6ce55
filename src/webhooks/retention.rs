//! Retention: bodies go after a while, ids later.
//!
//! A body is kept for `TRACKSIDE_PAYLOAD_RETENTION_DAYS`. After that its delivery is still listed and its
//! repetition still known as one, until 90 days have passed. Ids of deliveries begin with their time, so that what
//! is old is the beginning of the table.

use chrono::TimeDelta;
use uuid::Uuid;

use super::store;
use crate::{
    app::App,
    clock::{Time, oldest_id_of},
    database::Door,
    error::Result,
};

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
        let (bodies_to, ids_to) = (now - app.config.payload_retention, now - IDS);
        let database = app.database.in_background();
        while !app.shutdown.is_cancelled() {
            let (after, before) = (self.removed_to, oldest_id_of(bodies_to));
            let last = database
                .write_through(Door::Retention, move |tx| {
                    Box::pin(store::remove_bodies(tx, after, before, BATCH))
                })
                .await?;
            match last {
                Some(last) => self.removed_to = last,
                None => break,
            }
        }
        self.remove_ids(app, ids_to).await
    }

    async fn remove_ids(&self, app: &App, before: Time) -> Result<()> {
        let (database, before) = (app.database.in_background(), oldest_id_of(before));
        let remove = || {
            database.write_through(Door::Retention, move |tx| Box::pin(store::remove_old(tx, before, BATCH)))
        };
        while !app.shutdown.is_cancelled() && remove().await? > 0 {}
        Ok(())
    }
}
