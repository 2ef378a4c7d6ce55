//! What a newcomer waits for: from `git clone` to the first event of the demo, with nothing built before.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anstream::println;
use tempfile::TempDir;

use crate::{
    Result,
    answer::{Answer, Comparison},
    cargo,
    plots::{Axis, Bar, Chart, Shape},
};

/// Measures it, once: it takes as long as a build from nothing.
pub(crate) fn answer() -> Result<Answer> {
    let newcomer = Newcomer::measure()?;
    let steps = newcomer.steps();
    let mut answer = Answer::new(text(&steps))?;
    let what = "from `git clone` to the first event of the demo";
    answer.comparisons = vec![Comparison::figure(what, newcomer.all().as_secs_f64(), " s")];
    let bar = |(name, took): &(&str, Duration)| Bar {
        name: (*name).to_owned(),
        figures: took.as_secs_f64().into(),
        is_ours: true,
    };
    let axis = Axis { name: "seconds".to_owned(), is_logarithmic: false };
    let shape = Shape::Bars { axis, bars: steps.iter().map(bar).collect() };
    let title = "From nothing to the first event".to_owned();
    answer.charts = vec![Chart { file: "newcomer".to_owned(), title, shape }];
    Ok(answer)
}

fn text(steps: &[(&str, Duration)]) -> String {
    let mut text = String::from(
        "\
This repository, as it is committed, is cloned into a new folder, from the same disk, and the README's first command is \
run there, with nothing built before: the crates are fetched already, and all of them are compiled, with the profile that \
everybody has. It is measured once, with nothing else running.

| | |
|---|---|
",
    );
    for (name, took) in steps {
        text += &format!("| {name} | {:.1} s |\n", took.as_secs_f64());
    }
    text
}

/// How long a newcomer waits for what.
struct Newcomer {
    /// `git clone`, from a repository on the same disk.
    cloned: Duration,
    /// `cargo build --release`, with the crates fetched.
    built: Duration,
    /// `cargo run --release -- demo` to its first event.
    shown: Duration,
}

impl Newcomer {
    /// Clones this repository into a new folder, and runs the README's first command there until the first event.
    ///
    /// Only what is committed is cloned. Crates that cargo has fetched before are not fetched again.
    fn measure() -> Result<Self> {
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
        Ok(Self { cloned, built: built - cloned, shown: shown - built })
    }

    fn steps(&self) -> [(&'static str, Duration); 3] {
        let Self { cloned, built, shown } = *self;
        [
            ("`git clone`", cloned),
            ("`cargo build --release`", built),
            ("`cargo run --release -- demo`, to its first event", shown),
        ]
    }

    /// All of it.
    fn all(&self) -> Duration {
        self.steps().into_iter().map(|(_, took)| took).sum()
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}").into()) }
}
