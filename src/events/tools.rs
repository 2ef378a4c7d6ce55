//! The log as agents read it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Event, Position, events_after};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    error::Result,
    mcp::{Answer, Fields, Tool, page},
    projects::ProjectId,
    wire::Timestamp,
};

/// `list_changes`
pub struct ListChanges;

/// Arguments of [`ListChanges`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListChangesArguments {
    project_id: ProjectId,
    /// nextAfter of your last answer, or any event id; from the first event without it
    after: Option<String>,
    /// rows, 20 if not given, at most 200
    limit: Option<u64>,
    /// of each row: id, event, at, payload
    fields: Option<Vec<String>>,
}

/// What a row tells, unless told otherwise.
const FIELDS: [&str; 4] = ["id", "event", "at", "payload"];

impl Tool for ListChanges {
    const NAME: &'static str = "list_changes";
    const TITLE: &'static str = "List changes";
    const ABOUT: &'static str = "What happened in a project since `after`, oldest first: pushes, documents, runs, \
                                 failed deliveries. Use it to catch up; `left` says how many more there are.";
    const SCOPE: Scope = Scope::EventsRead;
    type Arguments = ListChangesArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let after = asked.after.as_deref().map(str::parse::<Position>).transpose()?;
        let chosen = Fields::choose(&FIELDS, FIELDS.len(), asked.fields)?;
        let limit = page::<i64>(asked.limit, None)?.limit;
        let now = app.clock.now();
        let (events, head) = events_after(&app, &principal, asked.project_id, after, limit).await?;
        let next = events.last().map(|event| event.id);
        // What it did itself is counted too: only who reads on knows what that is.
        let left = next.map_or(0, |next| head.position - next.position);
        // Without news the place stays where it was, or is the head.
        let next = next.unwrap_or(head).to_string();
        let news = events.into_iter().filter(|event| !event.is_own(principal.id));
        let changes: Vec<_> = news.map(|event| chosen.of(row(event))).collect();
        let fields = [("changes", changes.into()), ("left", left.into()), ("nextAfter", next.into())];
        Ok(Answer::new(now, fields)
            .quoting(&["changes[].payload"], "the Git host, and who pushes and comments there"))
    }
}

fn row(event: Event) -> Value {
    json!({
        "id": event.id.position,
        "event": event.name,
        "at": Timestamp(event.timestamp).to_string(),
        "payload": event.payload,
    })
}
