//! The access of what outlives a request, such as a stream: it ends with the credential it was opened with.
//!
//! One task watches each credential, however many streams were opened with it. It asks again whenever some credential
//! was revoked here, and every second, because it may have been revoked on another instance.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Credential, Principal,
    credential::{TRUSTED, Trust, still},
};
use crate::{
    app::App,
    clock::{Clock, Time},
    error::{Code, Result},
};

/// The credentials that open streams rest on.
#[derive(Clone, Default)]
pub(super) struct Watched(Arc<Mutex<HashMap<Credential, Weak<Watch>>>>);

/// The watch over one credential; over once its last access is dropped.
struct Watch {
    ended: CancellationToken,
    _over: DropGuard,
}

/// The access that somebody has for as long as a credential is good, and what was made of it, such as a token, too.
pub struct Access {
    watch: Arc<Watch>,
    clock: Clock,
    expires_at: Option<Time>,
}

impl Access {
    /// The access that `principal` has now.
    pub fn new(app: &Arc<App>, principal: &Principal) -> Self {
        let access = |watch| Self { watch, clock: app.clock.clone(), expires_at: principal.expires_at };
        let mut watched = app.accounts.watched.0.lock();
        if let Some(watch) = watched.get(&principal.credential).and_then(Weak::upgrade) {
            return access(watch);
        }
        watched.retain(|_, watch| watch.strong_count() > 0);
        let (ended, over) = (CancellationToken::new(), CancellationToken::new());
        let watch = Arc::new(Watch { ended: ended.clone(), _over: over.clone().drop_guard() });
        watched.insert(principal.credential, Arc::downgrade(&watch));
        let watching = until_refused(Arc::clone(app), app.accounts.revoked.subscribe(), principal.credential);
        tokio::spawn(async move {
            tokio::select! {
                () = watching => ended.cancel(),
                () = over.cancelled() => {}
            }
        });
        access(watch)
    }

    /// Returns once it has expired, or the credential behind it has or was revoked. May be dropped and called again.
    pub async fn ended(&self) {
        tokio::select! {
            () = self.watch.ended.cancelled() => {}
            () = until(&self.clock, self.expires_at) => {}
        }
    }
}

async fn until_refused(app: Arc<App>, mut revocations: watch::Receiver<u64>, credential: Credential) {
    loop {
        // An outage is no revocation: what is open stays open until the answer is known.
        if is_refused(still(&app, credential, Trust::Nothing).await) {
            return;
        }
        tokio::select! {
            _ = revocations.changed() => {}
            () = sleep(TRUSTED) => {}
        }
    }
}

fn is_refused<T>(answer: Result<T>) -> bool {
    answer.is_err_and(|error| error.code == Code::Unauthenticated)
}

async fn until(clock: &Clock, time: Option<Time>) {
    match time {
        Some(time) => clock.sleep_until(time).await,
        None => std::future::pending().await,
    }
}
