//! What goes over a socket beside events: what a client asks for, and what it is answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    error::{Error, Result},
    wire::ProjectId,
};

/// What a client asks for.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum ActionIn {
    /// Send me the events of a project, behind a position or from now on.
    Subscribe { project_id: ProjectId, after: Option<String> },
    /// Send me no more of them.
    Unsubscribe { project_id: ProjectId },
}

/// What was asked, or what is wrong with it and which project it was about, as far as that can be told.
pub(super) type Asked = Result<ActionIn, Box<(Error, Option<ProjectId>)>>;

impl ActionIn {
    pub(super) fn parse(text: &str) -> Asked {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Box::new((Error::invalid(format!("the frame is not JSON: {error}")), None)))?;
        let project = value["projectId"].as_str().and_then(|id| id.parse().ok());
        if !value.is_object() {
            return Err(Box::new((Error::invalid("send a JSON object with an `action`"), project)));
        }
        serde_json::from_value(value).map_err(|error| Box::new((Error::invalid(error.to_string()), project)))
    }
}

/// What a client is sent beside events. Each has a `type`, which no event has.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub(super) enum ControlOut {
    /// Events behind `id` follow.
    Subscribed { project_id: String, id: String },
    /// No further events of that project follow.
    Unsubscribed { project_id: String },
    /// The position that was asked for cannot be served; what is sent begins behind `id`.
    Reset { project_id: String, reason: &'static str, id: String },
    /// Something was not done, or the socket is about to close.
    Error {
        code: &'static str,
        detail: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        project_id: Option<String>,
    },
    /// The service stops: come back after this time.
    Reconnect { retry_ms: u64 },
}

impl ControlOut {
    /// Why something was not done. A cause that is ours is logged and not told.
    pub(super) fn error(error: &Error, project: Option<ProjectId>) -> Self {
        if std::error::Error::source(error).is_some() {
            tracing::warn!(error = %crate::error::chain(error), "an action on a socket failed");
        }
        let project_id = project.map(|project| project.to_string());
        Self::Error { code: error.code.as_str(), detail: error.to_string(), project_id }
    }

    pub(super) fn message(&self) -> Message {
        Message::text(serde_json::to_string(self).unwrap_or_default()) // strings and numbers only
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Code;

    #[test]
    fn what_is_wrong_is_refused_with_the_project_it_is_about() {
        let id = "01890000-0000-7000-8000-000000000000";
        let about = [
            format!(r#"{{"action":"subscribe","projectId":"{id}","since":"0"}}"#),
            format!(r#"{{"action":"unsubscribe","projectId":"{id}","after":"0"}}"#),
            format!(r#"{{"action":"pause","projectId":"{id}"}}"#),
            format!(r#"{{"projectId":"{id}"}}"#),
            format!(r#"{{"action":"subscribe","projectId":"{id}","after":0}}"#),
        ];
        let about_none = ["", "{", "[]", "7", r#"{"action":"subscribe"}"#, r#"["subscribe"]"#];
        for (text, knows) in
            about.iter().map(|text| (text.as_str(), true)).chain(about_none.map(|text| (text, false)))
        {
            let (error, project) = *ActionIn::parse(text).expect_err(text);
            assert_eq!((error.code, project.is_some()), (Code::InvalidRequest, knows), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_understood_or_refused(text in ".{0,200}") {
            let _ = ActionIn::parse(&text);
        }
    }
}
