//! A script that stands where the binary of the service would: it serves in another way.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::Result;

/// Makes one in a folder. `serving` are lines of shell, which serve by `"$service"` with `"$@"`; whatever else the
/// binary is asked to do, it does as ever.
pub(crate) fn make(folder: &Path, binary: &Path, serving: &str) -> Result<PathBuf> {
    let script = folder.join("trackside");
    let text = format!(
        "#!/bin/sh\nservice='{}'\n[ \"$1\" = serve ] || exec \"$service\" \"$@\"\n{serving}\n",
        binary.display()
    );
    fs::write(&script, text)?;
    fs::set_permissions(&script, Permissions::from_mode(0o755))?;
    Ok(script)
}
