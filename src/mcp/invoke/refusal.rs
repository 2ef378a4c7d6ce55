//! Refusals in the words of the older protocol.
//!
//! A refusal stays a problem document, with the status and the code that the service has for it everywhere. Beside those
//! it has what older clients look for: `success: false`, and `error` with a code of their set, a message, and whatever a
//! program may want to know. What that set has no word for is called by our code in capitals.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    accounts::{Amiss, Scope},
    error::{Code, Error},
    mcp::text,
    problem::seconds_to_wait,
};

/// Where an older code is noted until the refusal is told.
const NOTED: &str = "olderCode";
/// Characters of a made-up name that are told back.
const NAME: usize = 100;

/// An error under an older code that does not follow from ours.
pub(super) fn called(error: Error, code: &'static str) -> Error {
    error.with(NOTED, code)
}

/// There is no such tool.
pub(super) fn no_tool(name: &str) -> Error {
    let name: String = text::visible(name).chars().take(NAME).collect();
    let why = format!("there is no tool `{name}`; GET /mcp/tools lists those there are");
    called(Error::new(Code::NotFound, why), "TOOL_NOT_FOUND")
}

/// The credential does not hold.
pub(super) fn of_credential(error: Error, amiss: Amiss) -> Error {
    let code = match amiss {
        Amiss::Missing => "MISSING_TOKEN",
        Amiss::Expired => "TOKEN_EXPIRED",
        Amiss::Invalid => "INVALID_TOKEN",
    };
    called(error, code)
}

/// The credential holds, and does not allow this.
pub(super) fn of_scope(error: Error, required: Scope, given: &BTreeSet<Scope>) -> Error {
    let given: Vec<_> = given.iter().map(|scope| scope.as_str()).collect();
    error.with("required", required.as_str()).with("given", given)
}

/// A refusal as its client is told of it.
pub(super) fn told(mut error: Error) -> Error {
    let noted = error.facts.iter().position(|(name, _)| *name == NOTED);
    let code = match noted {
        Some(at) => error.facts.swap_remove(at).1,
        None => usual(error.code).into(),
    };
    if let Some(wait) = error.retry_after {
        error = error.with("retryAfter", seconds_to_wait(wait));
    }
    let mut about = json!({ "code": code, "message": error.to_string() });
    for (name, fact) in &error.facts {
        about[*name] = fact.clone();
    }
    if !error.fields.is_empty() {
        let field = |field: &crate::error::FieldError| -> Value {
            json!({ "pointer": field.pointer, "detail": field.detail })
        };
        about["details"] = error.fields.iter().map(field).collect();
    }
    error.with("success", false).with("error", about)
}

/// What an error is called in older words. What is not there is the project, unless somebody said what else.
fn usual(code: Code) -> String {
    match code {
        Code::NotFound => "PROJECT_NOT_FOUND".to_owned(),
        other => other.as_str().to_ascii_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fact(error: &Error, name: &str) -> Value {
        let fact = error.facts.iter().find(|(known, _)| *known == name);
        fact.map(|(_, fact)| fact.clone()).unwrap_or_default()
    }

    #[test]
    fn a_refusal_has_a_code_of_the_older_set_and_what_a_program_may_want_to_know() {
        let limited = told(Error::rate_limited("wait", Duration::from_millis(1_500)));
        assert_eq!(fact(&limited, "success"), json!(false));
        assert_eq!(
            fact(&limited, "error"),
            json!({ "code": "RATE_LIMITED", "message": "wait", "retryAfter": 2 })
        );
        assert_eq!(fact(&limited, "retryAfter"), json!(2));
        assert_eq!(fact(&told(Error::not_found("project")), "error")["code"], "PROJECT_NOT_FOUND");
        let unknown = told(no_tool("a\u{202e}b"));
        assert_eq!(fact(&unknown, "error")["code"], "TOOL_NOT_FOUND");
        assert_eq!(fact(&unknown, NOTED), Value::Null);
        assert!(unknown.to_string().contains("`ab`"), "{unknown}");
    }
}
