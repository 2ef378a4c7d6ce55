//! Programs of others that speak the protocol, as `scripts/test` installs them in `tests/clients`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

/// A file in the folder of the programs.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(path)
}

/// A script for Node.js, by the Node.js that is installed beside it.
pub(crate) fn node(script: &str) -> Command {
    program("node_modules/.bin/node", script)
}

/// A script for Python.
pub(crate) fn python(script: &str) -> Command {
    program("venv/bin/python", script)
}

/// No setting of this machine is in its way, and it does not outlive its test.
fn program(interpreter: &str, script: &str) -> Command {
    let interpreter = file(interpreter);
    assert!(interpreter.exists(), "{} is missing: ./scripts/test installs it", interpreter.display());
    let mut command = Command::new(interpreter);
    command.arg(file(script)).env_clear().env("HOME", std::env::temp_dir());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}
