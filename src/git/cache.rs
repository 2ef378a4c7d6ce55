//! The folder of repositories: one bare cache per project, a lock beside each, and git's settings.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tempfile::NamedTempFile;
use tokio_rustls::rustls::pki_types::CertificateDer;
use uuid::Uuid;

/// Where it is written which repository a cache is of, and when it was last used.
const MARK: &str = "trackside-remote";
/// Where Git looks for further folders of objects.
const LENDER: &str = "objects/info/alternates";
/// Where Git keeps the commits whose parents it does not have.
const SHALLOW: &str = "shallow";
/// For how long a cache is kept that nobody uses.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Repositories are read whoever owns their folders, because the operator has allowed them, and those of this machine
/// leave out what is not asked for, as hosts do.
const SETTINGS: &str = "[safe]\n\tdirectory = *\n[uploadpack]\n\tallowFilter = true\n";

/// A project's cache, locked.
pub(super) struct Cache {
    pub(super) folder: PathBuf,
    /// Whether there is nothing in it yet.
    pub(super) is_new: bool,
    _lock: File,
}

/// Takes the cache of a project for a remote; none if somebody else holds it. One of another remote is emptied.
pub(super) fn open(home: &Path, project: Uuid, remote: &str) -> io::Result<Option<Cache>> {
    fs::create_dir_all(home)?;
    write_once(&home.join("settings"), SETTINGS.as_bytes())?;
    let Some(lock) = lock(home, &project.to_string())? else { return Ok(None) };
    let folder = home.join(format!("{project}.git"));
    let is_new = fs::read_to_string(folder.join(MARK)).ok().as_deref() != Some(remote);
    if is_new {
        clear(&folder)?;
    }
    Ok(Some(Cache { folder, is_new, _lock: lock }))
}

impl Cache {
    /// Notes that the cache is of a remote, and in use now.
    pub(super) fn mark(&self, remote: &str) -> io::Result<()> {
        fs::write(self.folder.join(MARK), remote)
    }

    /// Reads what a repository of this machine holds where that is, in `objects`.
    pub(super) fn borrow(&self, objects: &[u8]) -> io::Result<()> {
        fs::write(self.folder.join(LENDER), objects)
    }

    /// The folder whose objects are read as if they were here, if there is one.
    pub(super) fn lender(&self) -> Option<PathBuf> {
        fs::read_to_string(self.folder.join(LENDER)).ok().map(|path| PathBuf::from(path.trim_end()))
    }

    /// Lets history end where it ends there: a repository may lack what came before some commits.
    pub(super) fn end_where_its_lender_does(&self) -> io::Result<()> {
        let Some(lender) = self.lender() else { return Ok(()) };
        let ended = fs::copy(lender.with_file_name(SHALLOW), self.folder.join(SHALLOW)).map(|_| ());
        absent_or(ended, || absent_or(fs::remove_file(self.folder.join(SHALLOW)), || Ok(())))
    }

    /// Bytes on the disk.
    pub(super) fn weigh(folder: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(folder) else { return 0 };
        entries
            .flatten()
            .map(|entry| match entry.metadata() {
                Ok(about) if about.is_dir() => Self::weigh(&entry.path()),
                Ok(about) => about.len(),
                Err(_) => 0,
            })
            .sum()
    }
}

/// A file of all certificate authorities, if there are some beside the machine's own.
pub(super) fn write_authorities(home: &Path, own: &[CertificateDer<'_>]) -> io::Result<Option<PathBuf>> {
    if own.is_empty() {
        return Ok(None);
    }
    let mut pem = String::new();
    for certificate in rustls_native_certs::load_native_certs().certs.iter().chain(own) {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        pem.push_str(&STANDARD.encode(certificate));
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    fs::create_dir_all(home)?;
    let path = home.join("authorities.pem");
    write_once(&path, pem.as_bytes())?;
    Ok(Some(path))
}

/// Removes caches that nobody has used for a day.
pub(super) fn sweep(home: &Path, now: SystemTime) -> io::Result<()> {
    let entries = match fs::read_dir(home) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(project) = name.to_str().and_then(|name| name.strip_suffix(".git")) else { continue };
        let used = fs::metadata(entry.path().join(MARK)).and_then(|mark| mark.modified());
        let is_kept = used.is_ok_and(|used| now.duration_since(used).unwrap_or_default() < KEPT);
        if !is_kept && let Some(_lock) = lock(home, project)? {
            remove(&entry.path())?; // its lock stays: somebody may be waiting to take it
        }
    }
    Ok(())
}

fn lock(home: &Path, project: &str) -> io::Result<Option<File>> {
    let path = home.join(format!("{project}.lock"));
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Leaves nothing in a cache.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    remove(folder)?;
    fs::create_dir_all(folder)
}

fn remove(folder: &Path) -> io::Result<()> {
    absent_or(fs::remove_dir_all(folder), || Ok(()))
}

/// What was done to a file or folder; if there is none, what else is done.
fn absent_or(done: io::Result<()>, otherwise: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => otherwise(),
        done => done,
    }
}

/// Writes a file whole, unless it says so already.
fn write_once(path: &Path, text: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|is| is == text) {
        return Ok(());
    }
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text)?;
    file.persist(path)?;
    Ok(())
}
