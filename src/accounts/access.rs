//! The access of what outlives a request, such as a stream: it ends with the key it was opened with.
//!
//! One task watches each key, however many streams were opened with it. It asks again whenever some key was revoked
//! here, and every second, because it may have been revoked on another instance.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Principal, TRUSTED, Trust, look_up};
use crate::{
    app::App,
    clock::Time,
    error::{Code, Result},
};

/// The keys that open streams rest on, by the hash of each.
#[derive(Clone, Default)]
pub(super) struct Watched(Arc<Mutex<HashMap<[u8; 32], Weak<KeyWatch>>>>);

/// The watch over one key; over once its last access is dropped.
struct KeyWatch {
    ended: CancellationToken,
    _over: DropGuard,
}

/// The access that somebody has for as long as a key is good.
pub struct Access(Arc<KeyWatch>);

impl Access {
    /// The access that `principal` has now.
    pub fn new(app: &Arc<App>, principal: &Principal) -> Self {
        let mut watched = app.accounts.watched.0.lock();
        if let Some(watch) = watched.get(&principal.hash).and_then(Weak::upgrade) {
            return Self(watch);
        }
        watched.retain(|_, watch| watch.strong_count() > 0);
        let (ended, over) = (CancellationToken::new(), CancellationToken::new());
        let watch = Arc::new(KeyWatch { ended: ended.clone(), _over: over.clone().drop_guard() });
        watched.insert(principal.hash, Arc::downgrade(&watch));
        let watching = until_refused(Arc::clone(app), app.accounts.revoked.subscribe(), principal.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = watching => ended.cancel(),
                () = over.cancelled() => {}
            }
        });
        Self(watch)
    }

    /// Returns once the key behind it has expired or was revoked. May be dropped and called again.
    pub async fn ended(&self) {
        self.0.ended.cancelled().await;
    }
}

async fn until_refused(app: Arc<App>, mut revocations: watch::Receiver<u64>, principal: Principal) {
    loop {
        // An outage is no revocation: what is open stays open until the answer is known.
        if is_refused(look_up(&app, principal.hash, Trust::Nothing).await) {
            return;
        }
        tokio::select! {
            _ = revocations.changed() => {}
            () = sleep(TRUSTED) => {}
            () = until(&app, principal.expires_at) => return,
        }
    }
}

fn is_refused<T>(answer: Result<T>) -> bool {
    answer.is_err_and(|error| error.code == Code::Unauthenticated)
}

async fn until(app: &App, time: Option<Time>) {
    match time {
        Some(time) => app.clock.sleep_until(time).await,
        None => std::future::pending().await,
    }
}
