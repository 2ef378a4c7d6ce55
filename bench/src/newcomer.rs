//! What a newcomer waits for: from `git clone` to the first event of the demo.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anstream::println;
use tempfile::TempDir;

use crate::Result;

/// Clones this repository into a new folder, and runs the README's first command there until the first event.
pub(crate) fn measure() -> Result<()> {
    let folder = TempDir::new()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let began = Instant::now();
    run(Command::new("git").args(["clone", "--quiet"]).arg(source).arg(folder.path().join("trackside")))?;
    let cloned = began.elapsed();
    let here = folder.path().join("trackside");
    let target = folder.path().join("target");
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new("cargo");
        cargo.args(arguments).current_dir(&here).env("CARGO_TARGET_DIR", &target).stdout(Stdio::null());
        run(&mut cargo)
    };
    cargo(&["build", "--release"])?;
    let built = began.elapsed();
    cargo(&["run", "--release", "--", "demo", "--deliveries", "1"])?;
    let shown = began.elapsed();
    println!(
        "clone {cloned:.1?}, build {:.1?}, first event {:.1?}; in all {shown:.1?}",
        built - cloned,
        shown - built
    );
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}
