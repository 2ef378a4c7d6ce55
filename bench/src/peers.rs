//! What Trackside is measured beside that is not built here: installed by `bench/peers/set-up`, by the ordinary package
//! managers, at pinned versions.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Result;

/// A file that belongs to the peers, such as the script of an echo.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

/// A program of Debian's, if it is there.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/bin"].map(PathBuf::from);
    env::split_paths(&folders).chain(system).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A Python that has `fastmcp`, if it was set up.
pub(crate) fn python() -> Option<PathBuf> {
    Some(file("../../tests/clients/venv/bin/python")).filter(|python| python.is_file())
}

/// A Node.js with the npm packages, if both are there.
pub(crate) fn node() -> Option<PathBuf> {
    node_modules().and_then(|_| program("node"))
}

/// The npm packages, if they were set up: `@octokit/webhooks`, and the TypeScript SDK of MCP.
pub(crate) fn node_modules() -> Option<PathBuf> {
    Some(file("node_modules")).filter(|modules| modules.join(".package-lock.json").is_file())
}

/// What an answer says of a peer that is not on this machine.
pub(crate) fn missing(name: &str) -> String {
    format!("{name} is not installed: run `bench/peers/set-up`")
}

/// Of peers that were looked for, those that were found; and what an answer says of the others.
pub(crate) fn sorted_out<T>(
    looked_for: impl IntoIterator<Item = (&'static str, Option<T>)>,
) -> (Vec<T>, Vec<String>) {
    let (mut found, mut missed) = (Vec::new(), Vec::new());
    for (name, peer) in looked_for {
        match peer {
            Some(peer) => found.push(peer),
            None => missed.push(missing(name)),
        }
    }
    (found, missed)
}

/// Installs what is missing. What cannot be installed is missing in the answers, which say so.
pub(crate) fn set_up() -> Result<()> {
    let status = Command::new(file("set-up")).status()?;
    if status.success() { Ok(()) } else { Err(format!("bench/peers/set-up failed: {status}").into()) }
}
