//! How slow a sync is: as on this machine, or two milliseconds more, by a shim in front of libc's.

use std::{
    ffi::OsString,
    fmt,
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum;

use crate::Result;

/// How long a sync takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Disk {
    /// As long as on this machine
    AsIs,
    /// Two milliseconds more
    Slow,
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsIs => "this machine's disk",
            Self::Slow => "every fsync 2 ms slower",
        })
    }
}

impl Disk {
    /// The environment in which a process that is about to start, in a folder of its own, meets this disk.
    pub(crate) fn environment(self, folder: &Path) -> io::Result<Vec<(String, OsString)>> {
        match self {
            Self::AsIs => Ok(Vec::new()),
            Self::Slow => {
                let (shim, count) = (shim(folder)?, count(folder));
                std::fs::write(&count, [0; 8])?;
                // Whoever starts PostgreSQL is somebody else than who runs it.
                std::fs::set_permissions(&count, Permissions::from_mode(0o666))?;
                Ok(vec![
                    ("LD_PRELOAD".to_owned(), shim.into()),
                    ("SLOW_FSYNC_COUNT".to_owned(), count.into()),
                ])
            }
        }
    }

    /// Syncs so far of the process in a folder; nobody counts them on this machine's own disk.
    pub(crate) fn syncs(self, folder: &Path) -> Result<Option<u64>> {
        if self == Self::AsIs {
            return Ok(None);
        }
        let bytes = std::fs::read(count(folder))?;
        let bytes = bytes.try_into().map_err(|_| "the shim's count is not a number")?;
        Ok(Some(u64::from_ne_bytes(bytes)))
    }
}

fn count(folder: &Path) -> PathBuf {
    folder.join("syncs")
}

/// Compiles the shim.
fn shim(folder: &Path) -> io::Result<PathBuf> {
    let shim = folder.join("slow_fsync.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/slow_fsync.c");
    let mut cc = Command::new("cc");
    let compiled = cc.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&shim).arg(source).status();
    match compiled {
        Ok(status) if status.success() => Ok(shim),
        Ok(_) => Err(io::Error::other("slow_fsync.c could not be compiled")),
        Err(error) => {
            Err(io::Error::other(format!("a C compiler, `cc`, is needed for the slow disk: {error}")))
        }
    }
}
