//! Medians, spreads and ratios, for the terminal and for `RESULTS.md`.

use std::{fmt::Write as _, path::Path, process::Command, time::Duration};

use anstream::println;

use crate::{
    Result,
    child::{Disk, Kind, trackside_binary},
    load::{Measured, PUSH_BYTES},
};

/// One target under one load, over all rounds.
pub(crate) struct Row {
    pub(crate) kind: Kind,
    disk: Disk,
    connections: usize,
    pub(crate) measured: Vec<Measured>,
}

impl Row {
    pub(crate) fn new(kind: Kind, disk: Disk, connections: usize) -> Self {
        Self { kind, disk, connections, measured: Vec::new() }
    }

    fn rates(&self) -> Vec<f64> {
        self.measured.iter().map(|measured| measured.rate).collect()
    }
}

/// Everything that was measured.
pub(crate) struct Report {
    loads: Vec<Vec<Row>>,
    /// From process start to ready.
    pub(crate) start: Vec<Duration>,
    /// Resident memory idle, and with a thousand subscribers; KiB.
    pub(crate) idle: (u64, u64),
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { loads: Vec::new(), start: Vec::new(), idle: (0, 0) }
    }

    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        self.loads.push(rows);
    }

    /// Prints the report and writes it to a file.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = self.text()?;
        println!("\n{text}");
        std::fs::write(path, text)?;
        Ok(())
    }

    fn text(&self) -> Result<String> {
        let mut text = String::from("# Results\n\n");
        writeln!(text, "Made by `cargo build --release && cargo run --release -p bench` {}.\n", machine()?)?;
        writeln!(
            text,
            "Signed pushes of {PUSH_BYTES} bytes over kept-alive connections, each waiting for its 202; the load \
             generator shares the machine. The three are measured in turn, round by round, each with a new \
             database; figures are medians, ranges are over rounds, ratios are taken within a round.\n\n\
             - **Trackside**: the release binary. 202 after the commit of a shared transaction; SQLite, WAL, \
             `synchronous=FULL`. At the same time it works through the deliveries (jobs, artifacts, events).\n\
             - **(a)**: verifies the signature and answers. No storage.\n\
             - **(b)**: verifies, inserts one row in a transaction of its own with the same durability, answers. \
             Nothing is worked through.\n",
        )?;
        text.push_str("| Disk | Connections | | per second | range | p50 | p99 | Trackside beside it |\n");
        text.push_str("|---|---|---|---|---|---|---|---|\n");
        for rows in &self.loads {
            let service = rows.iter().find(|row| row.kind == Kind::Trackside).ok_or("no Trackside row")?;
            for row in rows {
                let ratios: Vec<_> =
                    service.rates().iter().zip(row.rates()).map(|(ours, its)| ours / its).collect();
                let beside = match row.kind {
                    Kind::Trackside => String::new(),
                    _ => format!("{:.2}× ({})", median(&ratios), range(&ratios, 2)),
                };
                let times = |time: fn(&Measured) -> Duration| {
                    let times: Vec<_> =
                        row.measured.iter().map(|measured| time(measured).as_secs_f64() * 1e3).collect();
                    format!("{:.2} ms", median(&times))
                };
                writeln!(
                    text,
                    "| {} | {} | {} | {:.0} | {} | {} | {} | {beside} |",
                    row.disk,
                    row.connections,
                    row.kind,
                    median(&row.rates()),
                    range(&row.rates(), 0),
                    times(|measured| measured.p50),
                    times(|measured| measured.p99),
                )?;
            }
        }
        let start: Vec<_> = self.start.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        let size = std::fs::metadata(trackside_binary()?)?.len() as f64 / (1 << 20) as f64;
        let (idle, followed) = self.idle;
        writeln!(text, "\n| | |\n|---|---|")?;
        writeln!(
            text,
            "| start of the process to ready | {:.0} ms ({}) |",
            median(&start),
            range(&start, 0)
        )?;
        writeln!(text, "| memory, idle | {:.1} MiB |", idle as f64 / 1024.0)?;
        writeln!(
            text,
            "| memory per idle subscriber, of 1,000 | {:.1} KiB |",
            (followed - idle) as f64 / 1000.0
        )?;
        writeln!(text, "| size of the binary | {size:.1} MiB |")?;
        Ok(text)
    }
}

fn machine() -> Result<String> {
    let output = |program: &str, arguments: &[&str]| -> Result<String> {
        Ok(String::from_utf8(Command::new(program).args(arguments).output()?.stdout)?.trim().to_owned())
    };
    let cores = std::thread::available_parallelism()?;
    let commit = output("git", &["rev-parse", "--short", "HEAD"])?;
    let (day, kernel) = (output("date", &["-u", "+%F"])?, output("uname", &["-sr"])?);
    let filesystem = output("stat", &["-f", "-c", "%T", &std::env::temp_dir().display().to_string()])?;
    Ok(format!("on {day}, at {commit}: {cores} cores, {kernel}, {filesystem}"))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn range(values: &[f64], digits: usize) -> String {
    let (least, most) =
        values.iter().fold((f64::MAX, f64::MIN), |(least, most), v| (least.min(*v), most.max(*v)));
    format!("{least:.digits$}–{most:.digits$}")
}
