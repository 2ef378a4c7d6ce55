//! What was measured of tool calls: in words, in tables, in ratios, and in a picture.

use std::fmt::{self, Write as _};

use super::{
    CONNECTIONS, Entrant, Row,
    peers::{Errand, Peer, READ, WRITE},
};
use crate::{
    Result,
    answer::{Aim, Comparison},
    calls::Revision,
    figures::Figures,
    plots::{Axis, Bar, Chart, Shape},
};

const SYNCS: &str =
    "Each call waits until its record is on disk, and now and then a sync of this disk takes as long.";
const KEEPS: &str = "An echo keeps nothing. A call here waits for the commit of its record, and PostgreSQL needs the \
                     same processors for that.";

/// Within how many milliseconds 99 of 100 calls are to be answered at half the rate.
const SOON: f64 = 20.0;

/// Somebody who is asked something, as it is told.
fn name(entrant: &Entrant, row: &Row) -> String {
    match row.errand {
        Errand::Read => format!("{}, a read", entrant.peer),
        Errand::Write => format!("{}, a write", entrant.peer),
        Errand::Limited | Errand::Echo => entrant.peer.to_string(),
    }
}

/// How many times as fast the service should read as somebody else echoes.
fn wanted(peer: &Peer) -> Option<f64> {
    match peer {
        Peer::Rmcp => Some(0.5),
        Peer::FastMcp(_) => Some(30.0),
        Peer::TypeScript(_) => Some(6.0),
        Peer::Trackside(_) | Peer::Limited(_) => None,
    }
}

/// What is left of a call when the power is cut once it is answered.
fn durability(errand: Errand) -> &'static str {
    match errand {
        Errand::Read => "its record",
        Errand::Write => "the change and its record, in one transaction",
        Errand::Limited => "the record of its refusal",
        Errand::Echo => "nothing",
    }
}

/// Everything that was measured by one revision.
fn by(all: &[Entrant], revision: Revision) -> impl Iterator<Item = (&Entrant, &Row)> {
    let rows = all.iter().flat_map(|entrant| entrant.rows.iter().map(move |row| (entrant, row)));
    rows.filter(move |(_, row)| row.revision == revision)
}

/// How many reads of the service were answered in a second.
fn reads(all: &[Entrant], revision: Revision) -> Figures {
    let read = by(all, revision).find(|(_, row)| row.errand == Errand::Read);
    read.map(|(_, row)| row.peak.rate.clone()).unwrap_or_default()
}

/// How it was measured, and every figure.
pub(super) fn text(all: &[Entrant]) -> Result<String> {
    let mut text = method();
    for revision in [Revision::Newest, Revision::Older] {
        write!(text, "\n### Revision {}\n\n{HEAD}", revision.name())?;
        for (entrant, row) in by(all, revision) {
            write_row(entrant, row, &reads(all, revision), &mut text)?;
        }
    }
    Ok(text)
}

fn method() -> String {
    format!(
        "\
`tools/call` over {CONNECTIONS} connections, each of which calls again as soon as it is answered; then, of Trackside, \
the same calls at half that rate, evenly spread, where a call that is late because the one before it took long counts \
from when it was due. An answer that is anything else than it should be ends the measurement, and so does a count of \
records, after each process, that is not exactly that of its calls. Each runs in a process of its own, which has half \
a second of load before what is counted; Trackside's has a new database, and PostgreSQL makes a checkpoint before it.

| | What it does | Durability |
|---|---|---|
| Trackside, a read | `{READ}`: who calls is authenticated, a token is taken of a bucket that is too large to be \
emptied, the project is looked at | the record of the call is on disk before its answer: PostgreSQL, `fsync` and \
`synchronous_commit` on; calls at the same moment share a transaction |
| Trackside, a write | `{WRITE}`, which goes on with a reservation: the same arguments over and over, and a change \
each time. Each call waits for those of the same project before it | the same, of the change and its record in one \
transaction, which is this call's alone |
| Trackside, out of tokens | `{READ}` by a client whose bucket is empty: `rate_limited` is the good answer | the \
record of the refusal, like that of a read |
| rmcp | the SDK that Trackside is built on, behind the same accept loop, gives back a text | none |
| FastMCP | the same, without sessions, in one process | none |
| TypeScript SDK | the same; the older revision it answers as a stream of one event | none |

PostgreSQL has segments of WAL to use again, as a server has that has run for a while; it, the load generator and who \
answers share the processors. `update_work`, by which an agent says that it is still there, is not measured here: it \
waits on purpose, up to 20 ms, for those of others.
"
    )
}

/// How each table begins.
const HEAD: &str = "\
| | per second | p50 | p99 | at half the rate, p50 | p99 | a read of Trackside's beside it | on disk before the answer |
|---|---|---|---|---|---|---|---|
";

fn write_row(entrant: &Entrant, row: &Row, reads: &Figures, text: &mut String) -> fmt::Result {
    let (name, durability) = (name(entrant, row), durability(row.errand));
    if row.refusal.is_some() {
        return writeln!(text, "| {name} | does not answer this revision | | | | | | |");
    }
    let beside = if row.errand == Errand::Read { Figures::default() } else { reads.over(&row.peak.rate) };
    let figures = [
        show(&row.peak.rate, 0, ""),
        show(&row.peak.p50, 2, " ms"),
        show(&row.peak.p99, 2, " ms"),
        show(&row.half.p50, 2, " ms"),
        show(&row.half.p99, 2, " ms"),
        show(&beside, 2, "×"),
    ];
    writeln!(text, "| {name} | {} | {durability} |", figures.join(" | "))
}

/// Figures with their range; nothing where there are none.
fn show(figures: &Figures, digits: usize, unit: &str) -> String {
    if figures.is_empty() { String::new() } else { figures.show(digits, unit) }
}

/// The service's reads beside each echo, and how soon its calls are answered when it is not busy.
pub(super) fn comparisons(all: &[Entrant]) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for revision in [Revision::Newest, Revision::Older] {
        let (ours, what) = (reads(all, revision), format!("a read, {}", revision.name()));
        let others = by(all, revision).filter(|(_, row)| !row.peak.rate.is_empty());
        for (Entrant { peer, .. }, row) in others {
            if let Some(least) = wanted(peer) {
                let times = Comparison::times(&what, &ours, peer.to_string(), &row.peak.rate);
                comparisons.push(times.aim(Aim::AtLeast(least), KEEPS));
            }
        }
    }
    let late = by(all, Revision::Newest).filter(|(_, row)| !row.half.p99.is_empty());
    comparisons.extend(late.map(|(entrant, row)| {
        let what = format!("p99 at half the most calls: {}", name(entrant, row));
        Comparison::figure(what, row.half.p99.clone(), " ms").aim(Aim::AtMost(SOON), SYNCS)
    }));
    comparisons
}

/// Calls per second of everybody, by the newest revision.
pub(super) fn chart(all: &[Entrant]) -> Chart {
    let rows = by(all, Revision::Newest).filter(|(_, row)| !row.peak.rate.is_empty());
    let bars = rows.map(|(entrant, row)| Bar {
        name: name(entrant, row),
        figures: row.peak.rate.clone(),
        is_ours: entrant.peer.is_ours(),
    });
    let axis = Axis { name: "calls per second".to_owned(), is_logarithmic: true };
    let shape = Shape::Bars { axis, bars: bars.collect() };
    Chart { file: "tools".to_owned(), title: format!("Tool calls, {CONNECTIONS} connections"), shape }
}
