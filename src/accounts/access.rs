//! The access of what outlives a request, such as a stream: it ends with the credential it was opened with, and with what
//! of it the stream relies on: scopes, and projects.
//!
//! One task watches each credential, however many streams were opened with it. It asks again whenever somebody's access
//! changed here, and every second, because it may have changed on another instance.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Credential, Principal, Scope,
    credential::{TRUSTED, Trust, still},
};
use crate::{
    app::App,
    clock::{Clock, Time},
    error::Code,
    wire::ProjectId,
};

/// The credentials that open streams rest on.
#[derive(Clone, Default)]
pub(super) struct Watched(Arc<Mutex<HashMap<Credential, Weak<Watch>>>>);

/// The watch over one credential; over once its last access is dropped.
struct Watch {
    /// What the credential gives, as it was last read; closed once it gives nothing any more.
    newest: watch::Receiver<Arc<Principal>>,
    _over: DropGuard,
}

/// The access that somebody has for as long as a credential is good, and what was made of it, such as a token, too, and
/// gives what it is relied on for.
pub struct Access {
    watch: Arc<Watch>,
    clock: Clock,
    expires_at: Option<Time>,
    scopes: BTreeSet<Scope>,
    /// None means all that the principal reached, which was all of the tenant.
    projects: Option<Vec<ProjectId>>,
}

impl Access {
    /// The access that `principal` has now, by which something relies on these scopes and projects; no list of projects
    /// means whatever it reaches now.
    pub fn new(
        app: &Arc<App>,
        principal: &Principal,
        scopes: impl IntoIterator<Item = Scope>,
        projects: Option<Vec<ProjectId>>,
    ) -> Self {
        Self {
            watch: watch_over(app, principal),
            clock: app.clock.clone(),
            expires_at: principal.expires_at,
            scopes: scopes.into_iter().collect(),
            projects: projects.or_else(|| principal.project_ids()),
        }
    }

    /// Returns once it has expired, the credential behind it has or was revoked, or it does not give any more what it is
    /// relied on for. May be dropped and called again.
    pub async fn ended(&self) {
        tokio::select! {
            () = self.lost() => {}
            () = until(&self.clock, self.expires_at) => {}
        }
    }

    async fn lost(&self) {
        let mut newest = self.watch.newest.clone();
        // What was read before this access began may be older than it, and tells nothing of it.
        while newest.changed().await.is_ok() {
            if !self.is_given_by(&newest.borrow_and_update()) {
                return;
            }
        }
    }

    fn is_given_by(&self, principal: &Principal) -> bool {
        self.scopes.is_subset(&principal.scopes)
            && match &self.projects {
                Some(projects) => projects.iter().all(|project| principal.reaches(*project)),
                None => principal.projects.is_none(),
            }
    }
}

fn watch_over(app: &Arc<App>, principal: &Principal) -> Arc<Watch> {
    let mut watched = app.accounts.watched.0.lock();
    if let Some(watch) = watched.get(&principal.credential).and_then(Weak::upgrade) {
        return watch;
    }
    watched.retain(|_, watch| watch.strong_count() > 0);
    let (telling, newest) = watch::channel(Arc::new(principal.clone()));
    let over = CancellationToken::new();
    let watch = Arc::new(Watch { newest, _over: over.clone().drop_guard() });
    watched.insert(principal.credential, Arc::downgrade(&watch));
    let watching =
        until_refused(Arc::clone(app), app.accounts.revoked.subscribe(), principal.credential, telling);
    tokio::spawn(over.run_until_cancelled_owned(watching));
    watch
}

/// Tells what a credential gives, over and over, until it gives nothing.
async fn until_refused(
    app: Arc<App>,
    mut revocations: watch::Receiver<u64>,
    credential: Credential,
    telling: watch::Sender<Arc<Principal>>,
) {
    loop {
        match still(&app, credential, Trust::Nothing).await {
            Ok(principal) => {
                telling.send_replace(principal);
            }
            Err(error) if error.code == Code::Unauthenticated => return,
            Err(_) => {} // An outage is no revocation: what is open stays open until the answer is known.
        }
        tokio::select! {
            _ = revocations.changed() => {}
            () = sleep(TRUSTED) => {}
        }
    }
}

async fn until(clock: &Clock, time: Option<Time>) {
    match time {
        Some(time) => clock.sleep_until(time).await,
        None => std::future::pending().await,
    }
}
