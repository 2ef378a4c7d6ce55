//! GitLab, Bitbucket, Gitea and Forgejo: what is taken in from each, and what it means.

mod meanings;
mod signatures;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::support::{Project, dawn};

fn at(seconds: i64) -> DateTime<Utc> {
    dawn() + TimeDelta::seconds(seconds)
}

/// What the log says of the newest event of a name.
async fn told(project: &Project, name: &str) -> Value {
    let events = project.events().await;
    events.iter().rfind(|event| event["event"] == name).expect(name)["payload"].clone()
}

/// Those fields of a payload.
fn some(payload: &Value, fields: &[&str]) -> Value {
    fields
        .iter()
        .map(|field| ((*field).to_owned(), payload[field].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
