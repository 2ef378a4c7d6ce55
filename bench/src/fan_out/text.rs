//! What is said of it: tables, the summary's lines, and pictures.

use std::fmt::Write as _;

use super::{FRAME, FULL, OFTEN, Row, SCENES, Scene, TIME, TRIALS, servers::Teller};
use crate::{
    Result,
    answer::{Aim::AtMost, Answer, Comparison},
    figures::Figures,
    nchan::Nginx,
    peers,
    plots::{Axis, Chart, Line, Shape},
};

/// All that was measured, as an answer.
pub(super) fn answer(rows: &[Row], nginx: Option<&Nginx>) -> Result<Answer> {
    let mut answer = Answer::new(method(nginx) + &table(rows)?)?;
    answer.comparisons = comparisons(rows);
    answer.charts = vec![
        chart(rows, "fan-out", "From an event to those who follow its project, p99", 1..=1),
        chart(
            rows,
            "fan-out-projects",
            "From an event to those who follow its project, one of many, p99",
            2..=usize::MAX,
        ),
    ];
    if nginx.is_none() {
        answer.missing.push(peers::missing("nginx with nchan"));
    }
    Ok(answer)
}

fn method(nginx: Option<&Nginx>) -> String {
    let workers = match nginx.map(|nginx| nginx.workers) {
        None => "not installed".to_owned(),
        Some(1) => "one worker".to_owned(),
        Some(workers) => format!("{workers} workers"),
    };
    format!(
        "\
### How it is measured

Events of a project come at a steady pace for {time} s, and everybody who follows it is told; several projects have \
theirs one after the other, evenly spread. Time runs to the moment when a subscriber has read an event. All subscribers \
are in the load generator, and that, the server, PostgreSQL and Redis share this machine. Everything is started anew for \
each measurement, in turn, and each project has one event before those that are counted. Figures are medians over the \
rounds, ranges in brackets; ratios are taken within a round. An event is {FRAME} bytes of everyone's stream, HTTP's \
chunks not counted.

| | Who tells | Time runs from | Durability |
|---|---|---|---|
| Trackside | two instances over PostgreSQL and Redis: one takes webhooks and works through them, the other has the \
subscribers | the event's timestamp, taken before its commit | in PostgreSQL before anybody is told, `fsync` and \
`synchronous_commit` on; who comes back gets what was missed |
| nginx + nchan | Debian's, a channel for each project, {workers} | just before the post to it | none: memory, and no \
message buffer |
| Redis pub/sub | `redis-server`, a connection for each subscriber, which speaks Redis's protocol: the limit of what goes \
by Redis | just before the `PUBLISH` | none |
| a bare writer | a server that only writes to those who are connected: what this machine takes to tell so many anything \
at all, readers included | just before the first write | none |

Before the rounds nchan is tried {TRIALS} times with one worker and as often with one for each core, in turn, with most \
subscribers; it goes on with whichever has the lower p99. \"Memory\" is what a subscriber adds from the start of the \
server to the moment when all are connected, without what the kernel keeps for a connection: resident memory of the \
instance with the subscribers, and of nginx that of all its processes, what they share counted once.

",
        time = TIME.as_secs()
    )
}

fn table(rows: &[Row]) -> Result<String> {
    let mut text = "### From an event to its subscribers\n".to_owned();
    for scene in &SCENES {
        write!(
            text,
            "\n#### {scene}\n\n| | p50 | p99 | latest | events read | missed | memory |\n|---|---|---|---|---|---|---|\n"
        )?;
        for row in rows.iter().filter(|row| row.scene == scene) {
            let ms = |figures: &Figures| figures.show(1, " ms");
            let memory = if row.kib.is_empty() { String::new() } else { row.kib.show(1, " KiB") };
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {memory} |",
                row.teller.name(),
                ms(&row.p50),
                ms(&row.p99),
                ms(&row.latest),
                row.read,
                row.missed,
            )?;
        }
    }
    Ok(text)
}

fn find<'a>(rows: &'a [Row], scene: &Scene, teller: Teller) -> Option<&'a Row> {
    rows.iter().find(|row| row.scene == scene && row.teller == teller)
}

fn comparisons(rows: &[Row]) -> Vec<Comparison> {
    let mut lines = Vec::new();
    if let Some(ours) = find(rows, &FULL, Teller::Trackside) {
        lines.extend(of_full(rows, ours));
    }
    if let Some(ours) = find(rows, &OFTEN, Teller::Trackside) {
        let reason = "10,000 events per second are written and read on the same cores, and a webhook is stored for \
                      every thousand.";
        let line = Comparison::figure(format!("p99, {OFTEN}"), ours.p99.clone(), " ms");
        lines.push(line.aim(AtMost(50.0), reason));
    }
    let missed: usize = rows.iter().filter(|row| row.teller == Teller::Trackside).map(|row| row.missed).sum();
    let line = Comparison::figure("events that a subscriber of Trackside missed", missed as f64, "");
    lines.push(line.aim(AtMost(0.0), "A stream was cut off, or 10 s late."));
    lines
}

/// What is said of Trackside where most follow one project.
fn of_full(rows: &[Row], ours: &Row) -> Vec<Comparison> {
    let mut lines = Vec::new();
    for teller in [Teller::Nchan, Teller::Redis, Teller::Bare] {
        let Some(its) = find(rows, &FULL, teller) else { continue };
        let line = Comparison::times(format!("p99, {FULL}"), &ours.p99, teller.name(), &its.p99);
        lines.push(match teller {
            Teller::Nchan => line.aim(
                AtMost(1.0),
                "Each of Trackside's subscribers is a task of its own that is woken and writes a chunk of HTTP; nchan \
                 goes through its connections in one loop.",
            ),
            _ => line,
        });
        if !its.kib.is_empty() {
            lines.push(Comparison::times("memory of each subscriber", &ours.kib, teller.name(), &its.kib));
        }
    }
    let line = Comparison::figure(format!("p99, {FULL}"), ours.p99.clone(), " ms");
    let reason = "An event takes 10,000 writes and as many reads on the same cores: the bare writer shows what these \
                  alone take.";
    lines.push(line.aim(AtMost(150.0), reason));
    let line = Comparison::figure("memory of each subscriber", ours.kib.clone(), " KiB");
    lines.push(
        line.aim(
            AtMost(16.0),
            "Each has a task, the buffers of its connection, and the state of its stream.",
        ),
    );
    lines
}

/// Lines over the number of subscribers, in the scenes with so many projects and one event per second.
fn chart(rows: &[Row], file: &str, title: &str, projects: std::ops::RangeInclusive<usize>) -> Chart {
    let axis = |name: &str| Axis { name: name.to_owned(), is_logarithmic: true };
    let line = |teller: Teller| {
        let scenes =
            rows.iter().filter(|row| row.scene.per_second == 1 && projects.contains(&row.scene.projects));
        let points = scenes.filter(|row| row.teller == teller);
        let points = points.map(|row| (row.scene.subscribers as f64, row.p99.median())).collect();
        Line { name: teller.name().to_owned(), points, is_ours: teller == Teller::Trackside }
    };
    let lines = [Teller::Trackside, Teller::Nchan, Teller::Redis].map(line).into_iter();
    let lines = lines.filter(|line| !line.points.is_empty()).collect();
    let shape = Shape::Lines { x: axis("subscribers"), y: axis("p99, ms"), lines };
    Chart { file: file.to_owned(), title: title.to_owned(), shape }
}
