//! What people and agents come with, and whose it is. Whatever it is, its principal is looked up with it, at most a second
//! old: that bounds how long a revocation, a new role or a deactivation takes to be noticed, on every instance.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    ApiKey, Credential, Principal, access,
    issuer::Issuers,
    signin, store, ticket,
    tokens::{Keyring, Members},
    uses::Used,
};
use crate::{
    app::App,
    database::{Door, DoorTx},
    error::{Code, Error, Result},
    recent::Recent,
};

/// For how long a credential is trusted without asking the database: the bound on noticing a revocation.
pub(super) const TRUSTED: Duration = Duration::from_secs(1);

/// The principals behind recently used credentials, and the signal that some credential was revoked.
#[derive(Clone)]
pub struct Accounts {
    recent: Recent<Shown, Arc<Principal>>,
    pub(super) used: Used,
    pub(super) revoked: watch::Sender<u64>,
    pub(super) watched: access::Watched,
    pub(super) tickets: ticket::UsedTickets,
    pub(super) keyring: Recent<(), Arc<Keyring>>,
    pub(super) issuers: Issuers,
    pub(super) members: Recent<[u8; 32], Members>,
    pub(super) sign_in: signin::SignIn,
}

impl Accounts {
    /// With nothing remembered.
    pub fn new() -> Self {
        Self {
            recent: Recent::new(TRUSTED),
            used: Used::default(),
            revoked: watch::channel(0).0,
            watched: access::Watched::default(),
            tickets: ticket::UsedTickets::new(),
            keyring: Recent::new(TRUSTED),
            issuers: Issuers::default(),
            members: Recent::new(TRUSTED),
            sign_in: signin::SignIn::new(),
        }
    }

    /// Forgets what is remembered, because it may have changed.
    pub fn forget(&self) {
        self.recent.forget_all();
        self.members.forget_all();
        self.revoked.send_modify(|epoch| *epoch += 1);
    }
}

impl Default for Accounts {
    fn default() -> Self {
        Self::new()
    }
}

/// How a credential is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shown {
    /// A key, by the SHA-256 of its text.
    Key([u8; 32]),
    /// A session, by the SHA-256 of what its cookie holds.
    Session([u8; 32]),
    /// What a ticket, a token or a stream rests on.
    Behind(Credential),
}

impl Shown {
    async fn find(self, tx: &DoorTx<'_>) -> Result<Option<Principal>> {
        match self {
            Self::Key(hash) => store::principal_by_key(tx, hash).await,
            Self::Session(hash) => store::principal_by_session(tx, hash).await,
            Self::Behind(credential) => store::principal_by_credential(tx, credential).await,
        }
    }

    fn door(self) -> Door {
        match self {
            Self::Key(_) => Door::KeyByHash,
            Self::Session(_) | Self::Behind(_) => Door::Credentials,
        }
    }

    fn refused(self) -> Error {
        let why = match self {
            Self::Key(_) | Self::Behind(Credential::Key(_)) => "this API key is unknown, expired or revoked",
            Self::Session(_) | Self::Behind(Credential::Session(_)) => {
                "you are not signed in any more; sign in again"
            }
            Self::Behind(Credential::Member(_)) => "you do not belong to this organisation any more",
            Self::Behind(Credential::Grant(_)) => {
                "this client may not act for you any more; sign in with it again"
            }
        };
        Error::new(Code::Unauthenticated, why)
    }
}

/// Whether what was known a moment ago will do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Recent,
    Nothing,
}

/// Who a key stands for.
///
/// # Errors
/// `unauthenticated` for a text that is no key, and for a key that is unknown, expired or revoked, or whose principal was
/// deactivated.
pub async fn authenticate(app: &App, text: &str) -> Result<Arc<Principal>> {
    let key = ApiKey::parse(text).ok_or_else(|| {
        Error::new(
            Code::Unauthenticated,
            "this is not an API key: one begins with `tsk_` and has 37 characters",
        )
    })?;
    look_up(app, Shown::Key(key.hash()), Trust::Recent).await
}

/// Who a session stands for, by the hash of its secret.
///
/// # Errors
/// `unauthenticated` for one that is unknown or over.
pub(super) async fn authenticate_session(app: &App, hash: [u8; 32]) -> Result<Arc<Principal>> {
    look_up(app, Shown::Session(hash), Trust::Recent).await
}

/// Who stands behind a credential that was good when something was made of it, if it still is.
///
/// # Errors
/// `unauthenticated` when it is not.
pub(super) async fn still(app: &App, credential: Credential, trust: Trust) -> Result<Arc<Principal>> {
    look_up(app, Shown::Behind(credential), trust).await
}

/// Those of some credentials that nobody can come with any more: revoked, expired, or of somebody who was deactivated.
///
/// # Errors
/// The database's.
pub async fn over(app: &App, credentials: Vec<Credential>) -> Result<Vec<Credential>> {
    let now = app.clock.now();
    app.database
        .read_through(Door::Credentials, move |tx| {
            Box::pin(async move {
                let mut over = Vec::new();
                for credential in credentials {
                    let principal = store::principal_by_credential(tx, credential).await?;
                    let is_good =
                        principal.is_some_and(|principal| principal.expires_at.is_none_or(|at| now < at));
                    if !is_good {
                        over.push(credential);
                    }
                }
                Ok(over)
            })
        })
        .await
}

async fn look_up(app: &App, shown: Shown, trust: Trust) -> Result<Arc<Principal>> {
    let now = app.clock.now();
    let read = || {
        let database = app.database.clone();
        async move {
            let found = database.read_through(shown.door(), move |tx| Box::pin(shown.find(tx)));
            found.await?.map(Arc::new).ok_or_else(|| shown.refused())
        }
    };
    let principal = app.accounts.recent.get(shown, |_| trust == Trust::Recent, read).await?;
    if principal.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(shown.refused());
    }
    app.accounts.used.note(&principal);
    Ok(principal)
}
