//! When keys, sessions and grants were last used, give or take a minute.
//!
//! A use is remembered in memory, out of the way of the request, and written with all others of its tenant, once a minute
//! and at the end of the service. What a killed process has not written is noted at the next use.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::TimeDelta;
use parking_lot::Mutex;

use super::{Credential, Principal, store};
use crate::{app::App, database::TenantId, error::chain};

/// How often uses are written.
const PACE: TimeDelta = TimeDelta::minutes(1);
/// Credentials in one transaction.
const BATCH: usize = 500;

/// What was used and has not been written yet.
#[derive(Clone, Default)]
pub(super) struct Used(Arc<Mutex<HashMap<TenantId, HashSet<Credential>>>>);

impl Used {
    /// Remembers a use.
    pub(super) fn note(&self, principal: &Principal) {
        self.0.lock().entry(principal.tenant).or_default().insert(principal.credential);
    }
}

/// Writes what is used once a minute, until the service stops.
pub async fn keep_uses(app: Arc<App>) {
    loop {
        let next = app.clock.now() + PACE;
        tokio::select! {
            () = app.clock.sleep_until(next) => write_uses(&app).await,
            () = app.shutdown.cancelled() => return,
        }
    }
}

/// Writes what was used since the last time.
pub async fn write_uses(app: &App) {
    let used = std::mem::take(&mut *app.accounts.used.0.lock());
    let (database, now) = (app.database.in_background(), app.clock.now());
    for (tenant, used) in used {
        let used: Vec<_> = used.into_iter().collect();
        for some in used.chunks(BATCH).map(<[_]>::to_vec) {
            let written = database
                .write(tenant, move |tx| Box::pin(async move { store::note_uses(tx, &some, now).await }));
            if let Err(error) = written.await {
                tracing::warn!(error = %chain(&error), "when keys were last used could not be noted");
            }
        }
    }
}
