//! What was found of where the time goes, in words and in tables.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use super::{CONNECTIONS, Flame, Instructions, samples};
use crate::tools;

/// Rows of each table.
const ROWS: usize = 15;

/// How it was found, and every figure.
pub(super) fn text(flames: &[Flame], counted: &[Instructions]) -> Result<String, fmt::Error> {
    let mut text = String::from(
        "\
Both parts are about the real binary over SQLite (WAL, `synchronous=FULL`: a delivery, and the record of a call, is on \
disk before its answer), which is a part of its process. The release build has no line numbers: a function that was \
inlined is seen as the one that it is in.
",
    );
    if !flames.is_empty() {
        write_samples(flames, &mut text)?;
    }
    if !counted.is_empty() {
        write_instructions(counted, &mut text)?;
    }
    Ok(text)
}

fn write_samples(flames: &[Flame], text: &mut String) -> fmt::Result {
    write!(
        text,
        "\n### Samples\n\n\
`perf` looks at all threads {frequency} times a second of processor time, for {time} s, while deliveries come over \
{CONNECTIONS} connections, or calls over {calls}, each as soon as the one before is answered; the load generator \
shares the processors, and is not in it. Who waits is not seen: a sync is as wide as what it takes the processor, not \
as long as it takes the disk. Each box is a function, as wide as it was seen often, upon the one that called it, at \
the bottom the threads: `tokio-rt-worker` takes requests and answers them, `writer` decides what is written, and has a \
`sqlx-sqlite-worker` (cut short by the kernel) run its statements, as whoever reads has others of these. Boxes of less \
than a thousandth are not drawn. \"Seen at\" is a call of the kernel with all that it does, or the innermost \
function's crate.
",
        frequency = samples::FREQUENCY,
        time = samples::TIME.as_secs(),
        calls = tools::CONNECTIONS,
    )?;
    for Flame { subject, file, stacks } in flames {
        write!(
            text,
            "\n![{subject}](plots/{file})\n\n| Seen at: {subject} | share of the samples |\n|---|---|\n"
        )?;
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for stack in stacks {
            *places.entry(stack.place()).or_default() += 1;
        }
        let mut places: Vec<_> = places.into_iter().collect();
        places.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
        for (place, samples) in places.iter().take(ROWS) {
            writeln!(text, "| {place} | {:.1} % |", *samples as f64 * 100.0 / stacks.len() as f64)?;
        }
    }
    Ok(())
}

fn write_instructions(counted: &[Instructions], text: &mut String) -> fmt::Result {
    write!(
        text,
        "\n### Instructions\n\n\
callgrind counts the instructions of all threads, outside the kernel, in two lives of the service that differ in how \
long it is asked; what is told is what the longer one took more, by the number of requests that it answered more. \
Requests come one after the other over one connection, so nobody shares a commit, which is the most that a request can \
take. The processor that Valgrind shows has no instructions for SHA-256: what a real one does in a few of them is \
counted in full. What happens by time and not by request is in it, too.

| | instructions |
|---|---|
"
    )?;
    for Instructions { subject, each, .. } in counted {
        writeln!(text, "| {subject} | {} |", each.show(2, " M"))?;
    }
    for Instructions { subject, last, .. } in counted {
        write!(text, "\n| {subject}: each function's own | instructions | |\n|---|---|---|\n")?;
        for (name, own) in last.functions.iter().take(ROWS) {
            writeln!(text, "| `{name}` | {own:.0} | {:.1} % |", own * 100.0 / last.all)?;
        }
    }
    Ok(())
}
