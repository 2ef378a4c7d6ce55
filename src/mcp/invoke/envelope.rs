//! What a body asks for: which tool, with which arguments, and about which project.
//!
//! The older protocol names the project beside the arguments, its tools' schemas name it among them, and each spells it in
//! its own way. Every spelling counts, in either place; where there are several, they must mean the same project. What
//! comes out are the arguments with the project among them, as the schemas spell it.

use serde_json::{Map, Value};

use crate::{
    error::{Code, Error, Result},
    projects::ProjectId,
    wire::bounded,
};

/// How the project may be spelled.
const SPELLINGS: [&str; 3] = ["projectId", "project_id", "project"];
/// How the schemas spell it.
const PROJECT: &str = "project_id";
/// Characters of a name that are told back.
const NAME: usize = 100;

/// What a body asks for.
pub(super) struct Envelope {
    /// The name of the tool; there may be no such tool.
    pub(super) tool: String,
    /// Its arguments, the project among them.
    pub(super) arguments: Result<Value>,
}

impl Envelope {
    /// Reads a body.
    ///
    /// # Errors
    /// `unsupported_media_type`, and `invalid_request` for one that does not even name a tool.
    pub(super) fn read(is_json: bool, body: &[u8]) -> Result<Self> {
        if !is_json {
            let why = "send JSON, with `Content-Type: application/json`";
            return Err(Error::new(Code::UnsupportedMediaType, why));
        }
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| Error::invalid(format!("the body is not JSON: {error}")))?;
        let Value::Object(mut fields) = body else {
            return Err(Error::invalid("the body is no object: send {\"tool\", \"projectId\", \"args\"}"));
        };
        let Some(Value::String(tool)) = fields.remove("tool") else {
            let why = "say which tool is meant, by its name; GET /mcp/tools lists those there are";
            return Err(Error::invalid_field("/tool", why));
        };
        Ok(Self { tool, arguments: arguments(fields) })
    }
}

/// The arguments in what a body has beside the tool.
fn arguments(mut fields: Map<String, Value>) -> Result<Value> {
    let mut named = take_projects(&mut fields);
    let mut arguments = match fields.remove("args") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return Err(Error::invalid_field("/args", "give an object, or leave it out")),
    };
    if let Some(other) = fields.keys().next() {
        let pointer = format!("/{}", bounded(other, NAME));
        return Err(Error::invalid_field(pointer, "there is no such field beside tool, projectId and args"));
    }
    named.extend(take_projects(&mut arguments));
    arguments.insert(PROJECT.to_owned(), agreed(named)?.to_string().into());
    Ok(Value::Object(arguments))
}

fn take_projects(fields: &mut Map<String, Value>) -> Vec<Value> {
    let taken = SPELLINGS.iter().filter_map(|name| fields.remove(*name));
    taken.filter(|project| !project.is_null()).collect()
}

/// The one project that is meant. A text that is no id names a project that does not exist.
fn agreed(named: Vec<Value>) -> Result<ProjectId> {
    let refused = |why: &str| Error::invalid_field("/projectId", why);
    let mut meant: Option<(String, Option<ProjectId>)> = None;
    for project in named {
        let Value::String(text) = project else {
            return Err(refused("give the project's id, as a string"));
        };
        let id: Option<ProjectId> = text.parse().ok();
        match &meant {
            None => meant = Some((text, id)),
            Some((other, known)) if text == *other || (id.is_some() && id == *known) => {}
            Some(_) => {
                return Err(refused("it names another project than the one named elsewhere in the call"));
            }
        }
    }
    let (_, id) = meant.ok_or_else(|| refused("say which project is meant"))?;
    id.ok_or_else(|| Error::not_found("project"))
}

/// The project among the arguments.
pub(super) fn project_of(arguments: &Value) -> Option<ProjectId> {
    arguments.get(PROJECT)?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audit;

    const ID: &str = "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c";
    const OTHER: &str = "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d";

    fn read(body: &Value) -> Result<Value> {
        Envelope::read(true, body.to_string().as_bytes())?.arguments
    }

    #[test]
    fn the_project_may_be_spelled_in_any_way_and_place() {
        let expected = json!({ "project_id": ID });
        let fingerprint = audit::fingerprint(&expected);
        for name in SPELLINGS {
            for body in [
                json!({ "tool": "x", name: ID }),
                json!({ "tool": "x", "args": { name: ID } }),
                json!({ "tool": "x", "projectId": ID.to_uppercase(), "args": { name: ID } }),
                json!({ "tool": "x", "projectId": null, "args": { name: ID } }),
            ] {
                let told = read(&body).expect("understood");
                assert_eq!((&told, audit::fingerprint(&told)), (&expected, fingerprint), "{body}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_place() {
        for (body, pointer) in [
            (json!({}), Some("/tool")),
            (json!({ "tool": 1 }), Some("/tool")),
            (json!({ "tool": "x" }), Some("/projectId")),
            (json!({ "tool": "x", "projectId": 1 }), Some("/projectId")),
            (json!({ "tool": "x", "projectId": ID, "args": { "project_id": OTHER } }), Some("/projectId")),
            (json!({ "tool": "x", "projectId": ID, "args": { "project": "rocket" } }), Some("/projectId")),
            (json!({ "tool": "x", "projectId": ID, "args": [] }), Some("/args")),
            (json!({ "tool": "x", "projectId": ID, "colour": 1 }), Some("/colour")),
            (json!([]), None),
            (json!(null), None),
        ] {
            let error = read(&body).expect_err("refused");
            assert_eq!(error.code, Code::InvalidRequest, "{body}");
            assert_eq!(error.fields.first().map(|field| &*field.pointer), pointer, "{body}");
        }
        assert_eq!(
            read(&json!({ "tool": "x", "project": "rocket" })).expect_err("refused").code,
            Code::NotFound
        );
    }
}
