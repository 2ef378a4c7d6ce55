//! What cargo makes: the service that is measured, and this program, parts of which are measured too.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use crate::Result;

/// Where this program is. It is asked before anything is built, as a file that cargo has replaced has no name any more.
static THIS_PROGRAM: LazyLock<std::io::Result<PathBuf>> = LazyLock::new(env::current_exe);

/// Where this program is.
pub(crate) fn this_program() -> Result<&'static Path> {
    THIS_PROGRAM.as_deref().map_err(|error| error.to_string().into())
}

/// Cargo, as a user calls it. What `cargo run` tells this program of its own package would make it build much anew: some
/// build scripts ask for the same variables.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Where the service is, once it is built.
pub(crate) fn service() -> Result<PathBuf> {
    Ok(this_program()?.with_file_name("trackside"))
}

/// Builds the service, so that what is measured is what the sources say.
///
/// With this very program, so that both are made of one library: what features its crates have hangs on who is built.
pub(crate) fn build() -> Result<()> {
    let service = service()?;
    let mut cargo = cargo();
    cargo
        .args(["build", "--quiet", "--bins", "--package", "trackside", "--package", "bench"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // A debug build of this only shows that it works.
    let status = if cfg!(debug_assertions) { cargo.status()? } else { cargo.arg("--release").status()? };
    match status.success() && service.exists() {
        true => Ok(()),
        false => Err("the service could not be built; run this with `cargo run --release -p bench`".into()),
    }
}
