//! Git: what is fetched from repositories that somebody else named.
//!
//! The `git` program does it, in processes of its own: it speaks every protocol and every host's dialect of them, asks
//! for a part of a repository, and can be ended by force. A library in its place (gix) cannot leave out the files that
//! nobody reads when it fetches, would add a hundred crates to each build, and starts `git` itself for all but http.
//!
//! A project has one bare [`Repository`] in the data folder: a cache, which is made anew whenever it is missing or
//! broken, never holds a checked-out file, and goes when nobody has used it for a day. Nothing of a repository is
//! run, no setting of this machine's is read, and no submodule or link is followed.
//!
//! Where to is decided twice. [`Git::remote`] takes https, and what else the operator allows (`TRACKSIDE_GIT_ALLOW`);
//! and every connection that git makes, redirects and all, goes through the [`relay`], which resolves the name itself
//! and dials public addresses alone, or hosts that the operator named.

mod cache;
mod command;
mod failure;
mod relay;
mod remote;
mod repository;

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use tokio::{sync::OnceCell, task::spawn_blocking};
use tokio_rustls::rustls::pki_types::CertificateDer;
use uuid::Uuid;

use self::{failure::Fetched, relay::Relay};
pub use self::{
    failure::{Failure, GitError},
    remote::{Credential, Remote},
    repository::{Changes, Commit, Content, Contents, Entry, Repository},
};
use crate::{
    clock::{Ids, Time},
    config::{Config, GitAllow},
};

/// What `git` says which version it is, if there is one.
pub async fn installed() -> Option<String> {
    let output = tokio::process::Command::new(&*command::GIT).arg("--version").output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What fetches repositories.
pub struct Git {
    folder: PathBuf,
    allow: GitAllow,
    patience: Duration,
    max_bytes: u64,
    authorities: Vec<CertificateDer<'static>>,
    ids: Ids,
    relay: OnceCell<Relay>,
}

impl Git {
    /// With what the settings allow.
    pub fn new(config: &Config, ids: Ids) -> Self {
        Self {
            folder: config.data_dir.join("git"),
            allow: config.git.allow.clone(),
            patience: config.git.patience,
            max_bytes: config.git.max_bytes,
            authorities: config.authorities.clone(),
            ids,
            relay: OnceCell::new(),
        }
    }

    /// Where an address of a project leads.
    ///
    /// # Errors
    /// `not_allowed` for one that is not read here, with what to do.
    pub fn remote(&self, address: &str, credential: Option<Credential>) -> Fetched<Remote> {
        Remote::parse(address, &self.allow, credential)
    }

    /// The cache of a project, for one reader at a time.
    ///
    /// # Errors
    /// `no_git` when it cannot be made, `busy` while somebody else reads it.
    pub async fn open(&self, project: Uuid, remote: Remote) -> Fetched<Repository<'_>> {
        Repository::open(self, project, remote).await
    }

    /// Removes the caches that nobody has used for a day.
    pub async fn sweep(&self, now: Time) {
        let (folder, now) = (self.folder.clone(), SystemTime::from(now));
        match spawn_blocking(move || cache::sweep(&folder, now)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "caches of repositories could not be removed; the next hour tries again")
            }
            Err(error) => tracing::error!(%error, "caches of repositories could not be removed"),
        }
    }
}
