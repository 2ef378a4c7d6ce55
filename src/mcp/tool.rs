//! What a tool is, and how its row in the table is made from it.

use std::sync::Arc;

use futures::future::BoxFuture;
use rmcp::model::{JsonObject, Tool as Definition, ToolAnnotations};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::Answer;
use crate::{
    accounts::{Principal, Scope},
    app::App,
    audit::CallRecord,
    error::Result,
    rest,
};

/// Something an agent can look at.
pub trait Tool: 'static {
    /// `verb_noun`.
    const NAME: &'static str;
    /// What people see.
    const TITLE: &'static str;
    /// For the model: when to use it, and when not.
    const ABOUT: &'static str;
    /// What a caller must be allowed.
    const SCOPE: Scope;
    /// Its arguments: camelCase, unknown ones are refused.
    type Arguments: DeserializeOwned + JsonSchema + Send + 'static;

    /// Does it.
    fn call(
        app: Arc<App>,
        principal: Arc<Principal>,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Answer>> + Send;
}

/// Something an agent can do that changes something. Its call is recorded in the transaction of the change.
pub trait WritingTool: 'static {
    /// `verb_noun`.
    const NAME: &'static str;
    /// What people see.
    const TITLE: &'static str;
    /// For the model: when to use it, and when not.
    const ABOUT: &'static str;
    /// What a caller must be allowed.
    const SCOPE: Scope;
    /// Whether something that was there before is lost by it.
    const DESTROYS: bool;
    /// Whether doing it again with the same arguments changes nothing more.
    const IS_IDEMPOTENT: bool;
    /// Its arguments: camelCase, unknown ones are refused.
    type Arguments: DeserializeOwned + JsonSchema + Send + 'static;

    /// Does it; the operation behind it writes the record.
    fn call(
        app: Arc<App>,
        principal: Arc<Principal>,
        record: CallRecord,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Answer>> + Send;
}

/// Which list of tools a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// The most used ones.
    Core,
    /// All.
    Full,
    /// Those that only read.
    Read,
}

impl Profile {
    /// The profile that `?profile=` names; all tools without it.
    pub(super) fn of(query: &str) -> Self {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        match pairs.find(|(name, _)| name == "profile").as_ref().map(|(_, value)| &**value) {
            Some("core") => Self::Core,
            Some("read") => Self::Read,
            _ => Self::Full,
        }
    }
}

type Call = fn(Arc<App>, Arc<Principal>, CallRecord, Value) -> BoxFuture<'static, Result<Answer>>;

/// A row of the table.
pub(super) struct Row {
    /// What clients see.
    pub(super) definition: Definition,
    /// What a caller must be allowed.
    pub(super) scope: Scope,
    /// Whether it changes something: then it writes the record of its call itself.
    pub(super) writes: bool,
    profile: Profile,
    /// Reads the arguments and does it.
    pub(super) call: Call,
}

impl Row {
    /// Whether a client that asked for `profile` sees it.
    pub(super) fn is_in(&self, profile: Profile) -> bool {
        match profile {
            Profile::Full => true,
            Profile::Core => self.profile == Profile::Core,
            Profile::Read => !self.writes,
        }
    }
}

/// The row of a tool, which is also in the list of the most used ones if `profile` says so.
pub(super) fn row<T: Tool>(profile: Profile) -> Row {
    let hints = ToolAnnotations::with_title(T::TITLE).read_only(true).open_world(false);
    let definition = Definition::new(T::NAME, T::ABOUT, schema::<T::Arguments>()).with_annotations(hints);
    let call: Call = |app, principal, _, arguments| {
        Box::pin(async move { T::call(app, principal, rest::read(arguments)?).await })
    };
    Row { definition, scope: T::SCOPE, writes: false, profile, call }
}

/// The row of a tool that changes something.
pub(super) fn writing_row<T: WritingTool>(profile: Profile) -> Row {
    let hints = ToolAnnotations::with_title(T::TITLE).read_only(false).open_world(false);
    let hints = hints.destructive(T::DESTROYS).idempotent(T::IS_IDEMPOTENT);
    let definition = Definition::new(T::NAME, T::ABOUT, schema::<T::Arguments>()).with_annotations(hints);
    let call: Call = |app, principal, record, arguments| {
        Box::pin(async move { T::call(app, principal, record, rest::read(arguments)?).await })
    };
    Row { definition, scope: T::SCOPE, writes: true, profile, call }
}

/// The schema of arguments, without what costs a model tokens and tells it nothing.
pub(super) fn schema<A: JsonSchema>() -> Arc<JsonObject> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<A>().to_value();
    shorten(&mut schema);
    let mut schema = schema.as_object().cloned().unwrap_or_default();
    schema.remove("description");
    Arc::new(schema)
}

fn shorten(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for empty in ["title", "format", "default", "minimum"] {
                if fields.get(empty).is_some_and(|value| !value.is_object()) {
                    fields.remove(empty);
                }
            }
            if let Some(Value::Array(values)) = fields.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            // An argument that may be left out need not be `null`.
            if let Some(Value::Array(types)) = fields.get("type") {
                let real: Vec<_> = types.iter().filter(|kind| **kind != "null").cloned().collect();
                if let [only] = &real[..] {
                    fields.insert("type".to_owned(), only.clone());
                }
            }
            if let Some(Value::Array(options)) = fields.remove("anyOf") {
                let real = options.into_iter().find(|option| option.get("type") != Some(&"null".into()));
                if let Some(Value::Object(real)) = real {
                    for (name, value) in real {
                        fields.entry(name).or_insert(value);
                    }
                }
            }
            fields.values_mut().for_each(shorten);
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        _ => {}
    }
}
