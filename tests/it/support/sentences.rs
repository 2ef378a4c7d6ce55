//! A project's log as sentences, made of its events alone: whoever reads it afterwards knows what happened.

use serde_json::Value;

use super::{Project, text};

/// What is told beside the work, at no fixed place in between, or tells nothing of it.
const ASIDE: [&str; 3] = ["agent_status_changed", "delivery_received", "project_changed"];

/// The log as sentences, but for who is at work.
pub(crate) async fn told(project: &Project) -> Vec<String> {
    let events = project.all("/events").await;
    events.iter().filter(|event| !ASIDE.contains(&&*text(&event["event"]))).map(sentence).collect()
}

/// Who came and went, as sentences.
pub(crate) async fn attendance(project: &Project) -> Vec<String> {
    let events = project.all("/events").await;
    let came_or_went = |event: &&Value| {
        event["event"] == "agent_status_changed" && event["payload"]["from"] != event["payload"]["to"]
    };
    let sentence = |event: &Value| {
        let [name, to, evidence] = ["name", "to", "evidence"].map(|field| text(&event["payload"][field]));
        match (&*to, &*evidence) {
            ("running", _) => format!("{name} is at work"),
            ("idle", "silence") => format!("{name} fell silent"),
            _ => format!("{name} is {to} by {evidence}"),
        }
    };
    events.iter().filter(came_or_went).map(sentence).collect()
}

/// What an event says.
fn said<'e>(event: &'e Value, field: &str) -> &'e str {
    event["payload"][field].as_str().unwrap_or_else(|| panic!("it does not say its {field}: {event}"))
}

/// An event as a sentence, from what it says itself.
fn sentence(event: &Value) -> String {
    let (name, payload) = (text(&event["event"]), &event["payload"]);
    let said = |field: &str| said(event, field);
    match &*name {
        "work_item_changed" | "work_claimed" | "work_released" => of_work(event),
        "paths_reserved" => {
            format!("{} reserved {} ({})", said("holderName"), said("shown"), payload["fencingToken"])
        }
        "paths_released" if said("reason") == "released" => {
            format!("{} gave {} back ({})", said("holderName"), said("shown"), payload["fencingToken"])
        }
        "paths_released" => {
            let (holder, reason, fence) = (said("holderName"), said("reason"), &payload["fencingToken"]);
            format!("{holder} needs {} no longer: {reason} ({fence})", said("shown"))
        }
        "push" => format!("{} pushed to {}: {}", said("author"), said("branch"), said("message")),
        "run_finished" => format!("{} on {}: {}", said("name"), said("branch"), said("status")),
        // What is to be done about it comes behind the colon.
        "conflict_detected" => said("message").split(':').next().unwrap_or_default().to_owned(),
        "conflict_resolved" if payload["resolverName"].is_string() => {
            format!("{} settled it: {}", said("resolverName"), said("resolution"))
        }
        "gate_evaluated" if payload["workItemId"].is_string() => {
            let (name, title) = (said("name"), said("title"));
            format!("{name:?} of {title:?} is {}: {}", said("to"), said("message"))
        }
        _ => format!("{name} {payload}"),
    }
}

/// An event of the work.
fn of_work(event: &Value) -> String {
    let payload = &event["payload"];
    let said = |field: &str| said(event, field);
    let (name, title, fence) = (text(&event["event"]), said("title"), &payload["fencingToken"]);
    match (&*name, payload["change"].as_str(), payload["reason"].as_str()) {
        ("work_item_changed", Some("created"), _) => {
            let urgency = match said("priority") {
                "normal" => String::new(),
                other => format!(", {other}"),
            };
            let after = match payload["blockers"].as_u64() {
                Some(0) => String::new(),
                Some(1) => ", after 1 other".to_owned(),
                _ => format!(", after {} others", payload["blockers"]),
            };
            format!("{title:?} is to be done: {}{urgency}{after}", said("lane"))
        }
        ("work_item_changed", Some("unblocked"), _) => format!("{title:?} waits for nothing any more"),
        ("work_item_changed", Some("worked_on"), _) => {
            format!("{} works on {title:?}: {} ({fence})", said("holderName"), said("task"))
        }
        ("work_claimed", ..) => format!("{} claimed {title:?} ({fence})", said("holderName")),
        ("work_released", _, Some("finished")) if said("lane") == "done" => {
            format!("{} finished {title:?} with {} ({fence})", said("holderName"), said("commit"))
        }
        ("work_released", _, Some("finished")) => {
            let (holder, lane, commit) = (said("holderName"), said("lane"), said("commit"));
            format!("{holder} handed {title:?} to {lane} with {commit} ({fence})")
        }
        ("work_released", _, Some(reason)) => {
            let (holder, by, at) = (said("holderName"), said("lastSeenBy"), said("lastSeenAt"));
            format!("{holder} lost {title:?} ({fence}): {reason}, last seen by {by} at {at}")
        }
        _ => format!("{name} {payload}"),
    }
}
