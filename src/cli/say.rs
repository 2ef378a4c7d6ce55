//! How the command line speaks: colours, and events on one line.

use std::{
    fmt::Display,
    io::{IsTerminal as _, Write as _},
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::app::App;

pub(super) const BOLD: &str = "\x1b[1m";
pub(super) const DIM: &str = "\x1b[2m";
pub(super) const RED: &str = "\x1b[31m";
pub(super) const GREEN: &str = "\x1b[32m";
pub(super) const YELLOW: &str = "\x1b[33m";
pub(super) const CYAN: &str = "\x1b[36m";
pub(super) const RESET: &str = "\x1b[0m";

/// Whether somebody is watching, who wants words rather than one value.
pub(super) fn is_watched() -> bool {
    std::io::stdout().is_terminal()
}

/// Says something beside a command's answer.
pub(super) fn note(text: &str) {
    anstream::eprintln!("{DIM}{text}{RESET}");
}

/// A time, for people.
pub(super) fn moment(time: DateTime<Utc>) -> impl Display {
    time.format("%Y-%m-%d %H:%M UTC")
}

/// Says where an address leads that was just printed, unless the settings say where the service is: this process does not
/// know with which settings that runs.
pub(super) fn supposed(app: &App) {
    if app.config.public_url.is_none() {
        note(&format!(
            "This supposes the service at {}; where it is elsewhere, set TRACKSIDE_PUBLIC_URL.",
            app.public_url()
        ));
    }
}

/// This program as it was called, for commands that people copy.
pub(super) fn program() -> String {
    std::env::args().next().filter(|name| !name.is_empty()).unwrap_or_else(|| "trackside".to_owned())
}

/// Prints a line of a program's output at once; an error when nobody reads it any more.
pub(super) fn line(text: &str) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// The colour of an event's mark.
pub(super) fn mark(event: &Value) -> &'static str {
    let is_bad = event["payload"]["status"] == "failed"
        || ["delivery_failed", "artifact_scan_failed", "conflict_detected"]
            .iter()
            .any(|name| event["event"] == *name)
        || ["expired", "revoked"].iter().any(|reason| event["payload"]["reason"] == *reason);
    if is_bad { RED } else { GREEN }
}

/// What of an event a person wants to see on one line.
pub(super) fn describe(event: &Value) -> String {
    let payload = &event["payload"];
    let shown: &[&str] = match event["event"].as_str().unwrap_or_default() {
        "work_item_changed" => {
            &["title", "change", "lane", "principalName", "holderName", "task", "fencingToken"]
        }
        "work_claimed" => &["title", "holderName", "branch", "fencingToken"],
        "work_released" => &["title", "holderName", "reason", "commit", "note", "fencingToken"],
        "paths_reserved" => &["holderName", "mode", "shown", "purpose", "branch", "fencingToken"],
        "paths_released" => &["holderName", "reason", "mode", "shown", "note", "fencingToken"],
        "agent_status_changed" => &["name", "to", "task", "evidence"],
        _ => &OF_OTHERS,
    };
    let words = shown.iter().filter_map(|field| match &payload[*field] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(format!("#{number}")),
        _ => None,
    });
    // A message may be of many lines, and of a stranger's making.
    words.collect::<Vec<_>>().join(" · ").replace(|c: char| c.is_control(), " ")
}

/// What is shown of most events.
const OF_OTHERS: [&str; 17] = [
    "source",
    "eventType",
    "kind",
    "severity",
    "path",
    "number",
    "title",
    "name",
    "version",
    "tag",
    "branch",
    "action",
    "status",
    "state",
    "message",
    "detail",
    "resolution",
];
