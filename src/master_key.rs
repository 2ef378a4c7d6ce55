//! The master key: 32 bytes without which nothing of the data's secrets can be opened, and where they lie.
//!
//! It comes from `TRACKSIDE_MASTER_KEY[_FILE]` or from the file `master.key` beside the database, which the first start
//! makes with mode 0600. While another key takes its place, that one lies beside it in `master.key.next`; afterwards the
//! old one is kept under its id, because backups from before still need it.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::NamedTempFile;

use crate::{
    clock::Ids,
    config::Config,
    error::{Code, Error, Result},
};

/// Name of the key file beside the database.
pub const KEY_FILE: &str = "master.key";
/// Name of the file of the key that is to take its place.
const NEXT_FILE: &str = "master.key.next";

/// A master key.
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Reads 32 bytes in base64.
    ///
    /// # Errors
    /// Any other text; the message says how to make one.
    pub fn parse(text: &SecretString) -> Result<Self> {
        let bytes = STANDARD.decode(text.expose_secret().trim()).ok().and_then(|key| key.try_into().ok());
        let why = "the master key must be 32 bytes in base64; make one with: openssl rand -base64 32";
        bytes.map(Self).ok_or_else(|| Error::invalid(why))
    }

    /// A new one.
    pub fn generate(ids: &Ids) -> Self {
        Self(ids.bytes())
    }

    /// As it is written down.
    pub fn to_text(&self) -> SecretString {
        STANDARD.encode(self.0).into()
    }

    /// The key itself.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// The key of an installation that is there already.
    ///
    /// # Errors
    /// A setting or a file that is none; each message says what to do.
    pub fn of(config: &Config) -> Result<Self> {
        match &config.master_key {
            Some(text) => Self::parse(text),
            None => Self::read(&config.data_dir.join(KEY_FILE)),
        }
    }

    /// The key of a new installation: the one it is given, or one that is made and kept in its folder.
    ///
    /// # Errors
    /// Those of [`MasterKey::of`], and a folder that cannot be written to.
    pub fn found(config: &Config, ids: &Ids) -> Result<Self> {
        match &config.master_key {
            Some(text) => Self::parse(text),
            None => Self::kept(&config.data_dir.join(KEY_FILE), ids),
        }
    }

    /// The key that is to take the place of the one in the folder; made if it is not there yet.
    ///
    /// # Errors
    /// A file that cannot be read or made.
    pub fn next(folder: &Path, ids: &Ids) -> Result<Self> {
        Self::kept(&next(folder), ids)
    }

    /// The key in a file, made if that is not there.
    fn kept(path: &Path, ids: &Ids) -> Result<Self> {
        if !path.exists() {
            Self::generate(ids).write(path)?;
        }
        Self::read(path)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// A file that is not there or others can read, and one that holds no key.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let metadata = fs::metadata(path).map_err(|error| missing(path, &error))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::invalid(format!(
                "the master key file {shown} has mode {mode:04o}, so others can read it; run: chmod 600 {shown}"
            )));
        }
        let text = fs::read_to_string(path).map_err(|error| {
            Error::invalid(format!("the master key file {shown} cannot be read: {error}"))
        })?;
        Self::parse(&text.into())
    }

    /// Makes a key file that its owner alone can read: all of it, or nothing. One that is there by then stays.
    fn write(&self, path: &Path) -> Result<()> {
        let write = || {
            let folder = path.parent().unwrap_or(Path::new("."));
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let mut file = NamedTempFile::with_prefix_in(format!(".{KEY_FILE}."), folder)?; // mode 0600
            writeln!(file, "{}", self.to_text().expose_secret())?;
            file.as_file().sync_all()?;
            match file.persist_noclobber(path) {
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(error.error),
                Ok(_) => keep(folder),
            }
        };
        let shown = path.display();
        write()
            .map_err(|error| Error::invalid(format!("the master key file {shown} cannot be made: {error}")))
    }
}

fn missing(path: &Path, error: &io::Error) -> Error {
    Error::invalid(format!(
        "the master key file {} cannot be read ({error}): put it back, or give the key in TRACKSIDE_MASTER_KEY; without \
         the key that the data was written with, its secrets cannot be opened",
        path.display()
    ))
}

/// Sees to it that the names of files outlive a loss of power.
fn keep(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Keeps others on this machine from renaming keys in the folder, for as long as what it gives lives.
///
/// # Errors
/// `conflict` while another does, and a folder that cannot be read.
pub fn hold(folder: &Path) -> Result<File> {
    let shown = folder.display();
    let bad = |error: io::Error| Error::invalid(format!("the folder {shown} cannot be locked: {error}"));
    let held = File::open(folder).map_err(|error| missing(&folder.join(KEY_FILE), &error))?;
    match held.try_lock() {
        Ok(()) => Ok(held),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            Code::Conflict,
            format!("another rotation of the master key in {shown} is in progress"),
        )),
        Err(TryLockError::Error(error)) => Err(bad(error)),
    }
}

/// Where the key lies that is to take the place of the present one.
pub fn next(folder: &Path) -> PathBuf {
    folder.join(NEXT_FILE)
}

/// Puts the next key in the place of the present one, if that is still there, which is kept under its id; gives where the
/// new one lies.
///
/// # Errors
/// A file that cannot be renamed.
pub fn take_place(folder: &Path, old_id: Option<&str>) -> Result<PathBuf> {
    let present = folder.join(KEY_FILE);
    let rename = |from: &Path, to: &Path| {
        let (here, there) = (from.display(), to.display());
        fs::rename(from, to)
            .map_err(|error| Error::invalid(format!("{here} cannot be renamed to {there}: {error}")))
    };
    if let Some(id) = old_id {
        rename(&present, &folder.join(format!("{KEY_FILE}.{id}")))?;
    }
    rename(&next(folder), &present)?;
    keep(folder).map_err(|error| Error::invalid(format!("{} cannot be kept: {error}", present.display())))?;
    Ok(present)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(KEY_FILE);
        let ids = Ids::system(Clock::system());
        MasterKey::generate(&ids).write(&path).expect("made");
        assert!(MasterKey::read(&path).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        let refusal = MasterKey::read(&path).err().expect("too open").to_string();
        assert!(refusal.contains("chmod 600"), "{refusal}");
    }
}
