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
use url::Url;
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
    /// Where sample repositories are, each named like its project.
    samples: PathBuf,
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
            samples: config.data_dir.join("demo"),
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
    pub fn remote(&self, project: Uuid, address: &str, credential: Option<Credential>) -> Fetched<Remote> {
        match self.is_sample(project, address) {
            true => Remote::parse(address, &GitAllow::files(), None),
            false => Remote::parse(address, &self.allow, credential),
        }
    }

    /// Where the sample repository of a project is, if it has one.
    pub fn sample(&self, project: Uuid) -> PathBuf {
        self.samples.join(project.to_string())
    }

    /// Whether an address is that of the sample repository of this very project: a folder that the service made and
    /// filled itself, so it is read though others of this machine are not. The address has to be the folder's own, letter
    /// by letter, and the folder no link, so that nothing else is ever reached this way.
    fn is_sample(&self, project: Uuid, address: &str) -> bool {
        let Ok(samples) = self.samples.canonicalize() else { return false };
        let own = samples.join(project.to_string());
        let named = Url::parse(address).ok().filter(|url| url.scheme() == "file");
        named.and_then(|url| url.to_file_path().ok()).is_some_and(|named| named == own)
            && own.symlink_metadata().is_ok_and(|found| found.is_dir())
    }

    /// Removes the sample repository of a project, if it has one. Whoever commits to it at this moment is waited for.
    pub async fn remove_sample(&self, project: Uuid) {
        for is_last in [false, false, false, false, true] {
            let folder = self.sample(project);
            match spawn_blocking(move || std::fs::remove_dir_all(folder)).await {
                Ok(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                    if is_last {
                        tracing::warn!(%error, "the sample repository of a deleted project could not be removed");
                    }
                }
                _ => return,
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, config::Sources};

    #[test]
    fn of_the_folders_of_this_machine_only_the_sample_of_the_very_project_is_read() {
        let place = tempfile::tempdir().expect("a folder");
        let root = place.path().canonicalize().expect("it is there");
        let data_dir = ("TRACKSIDE_DATA_DIR".to_owned(), root.display().to_string());
        let sources = Sources { environment: [data_dir].into(), ..Sources::default() };
        let config = Config::load(&sources).expect("settings");
        let git = Git::new(&config, Ids::seeded(Clock::system(), 1));
        let (mine, other, linked) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        for folder in [git.sample(mine), git.sample(other), root.join("secret")] {
            std::fs::create_dir_all(folder).expect("made");
        }
        std::os::unix::fs::symlink(root.join("secret"), git.sample(linked)).expect("a link");
        let at = |folder: PathBuf| format!("file://{}", folder.display());
        let reads = |project, address: &str| git.remote(project, address, None).is_ok();
        assert!(reads(mine, &at(git.sample(mine))));
        let inside = format!("{}/.git", at(git.sample(mine)));
        let upwards = format!("{}/../../secret", at(git.sample(mine)));
        for address in [at(git.sample(other)), at(root.join("secret")), inside, upwards] {
            assert!(!reads(mine, &address), "{address}");
        }
        assert!(!reads(linked, &at(git.sample(linked))) && !reads(linked, &at(root.join("secret"))));
    }
}
