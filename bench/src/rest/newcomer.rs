//! What a newcomer waits for: from `git clone` to the first event of the demo, with nothing built before.

use std::{
    fmt,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anstream::println;
use tempfile::TempDir;

use crate::{Result, cargo};

/// Clones this repository into a new folder, and runs the README's first command there until the first event.
///
/// Only what is committed is cloned. Crates that cargo has fetched before are not fetched again.
pub(super) fn measure() -> Result<Newcomer> {
    let folder = TempDir::new()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (clone, target) = (folder.path().join("trackside"), folder.path().join("target"));
    let began = Instant::now();
    run(Command::new("git").args(["clone", "--quiet"]).arg(source).arg(&clone))?;
    let cloned = began.elapsed();
    let cargo = |arguments: &[&str]| {
        let mut cargo = cargo::cargo();
        cargo.args(arguments).current_dir(&clone).env("CARGO_TARGET_DIR", &target);
        cargo
    };
    run(&mut cargo(&["build", "--release"]))?;
    let built = began.elapsed();
    let mut demo = cargo(&["run", "--quiet", "--release", "--", "demo", "--deliveries", "1"]);
    let mut demo = demo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = BufReader::new(demo.stdout.take().ok_or("the demo has no output")?);
    let event =
        output.lines().map_while(std::result::Result::ok).find(|line| line.trim_start().starts_with('●'));
    let shown = began.elapsed();
    let status = demo.wait()?;
    let event = event.ok_or_else(|| format!("the demo showed no event and ended with {status}"))?;
    println!("first event: {}", event.trim());
    Ok(Newcomer { cloned, built: built - cloned, shown: shown - built })
}

/// How long a newcomer waits for what.
pub(super) struct Newcomer {
    /// `git clone`, from a repository on the same disk.
    pub(super) cloned: Duration,
    /// `cargo build --release`, with the crates fetched.
    pub(super) built: Duration,
    /// `cargo run --release -- demo` to its first event.
    pub(super) shown: Duration,
}

impl Newcomer {
    /// All of it.
    pub(super) fn all(&self) -> Duration {
        self.cloned + self.built + self.shown
    }
}

impl fmt::Display for Newcomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cloned, built, shown } = self;
        write!(f, "{:.0?} (clone {cloned:.1?}, build {built:.0?}, demo {shown:.1?})", self.all())
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}").into()) }
}
