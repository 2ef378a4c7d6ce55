//! How values look on the wire, in one place: ids, enum values, lists and their cursors.
//!
//! Enum values are lower_snake_case and read case-insensitively; ids are UUIDs of a type of their own, so
//! that a project's id can never be passed where a tenant's belongs; lists answer `{items, nextCursor}`.
//! And which characters can be seen at all, which some texts from outside may have alone.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat};
use poem_openapi::{
    Object,
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    clock::Time,
    error::{Code, Error, Result},
};

/// Declares an id type: a UUID that knows what it names.
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, poem_openapi::NewType, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" })
            }
        }
    };
}
pub(crate) use id_type;

// Here, and not in its slice, because everybody knows projects.
id_type! {
    /// Names a project.
    ProjectId
}

/// Declares a closed set of values with their names on the wire.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    format!("`{text}` is not one of {}", known.join(", "))
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($text),+] })
            }
        }

        impl poem_openapi::types::Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                poem_openapi::registry::MetaSchemaRef::Reference(stringify!($name).to_owned())
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                registry.create_schema::<Self, _>(stringify!($name).to_owned(), |_| {
                    poem_openapi::registry::MetaSchema {
                        enum_items: vec![$($text.into()),+],
                        ..poem_openapi::registry::MetaSchema::new("string")
                    }
                });
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl poem_openapi::types::ToJSON for $name {
            fn to_json(&self) -> Option<serde_json::Value> {
                Some(self.as_str().into())
            }
        }

        impl poem_openapi::types::ParseFromJSON for $name {
            fn parse_from_json(value: Option<serde_json::Value>) -> poem_openapi::types::ParseResult<Self> {
                match value {
                    Some(serde_json::Value::String(text)) => Ok(text.parse()?),
                    value => Err(poem_openapi::types::ParseError::expected_type(value.unwrap_or_default())),
                }
            }
        }

        impl poem_openapi::types::ParseFromParameter for $name {
            fn parse_from_parameter(value: &str) -> poem_openapi::types::ParseResult<Self> {
                Ok(value.parse()?)
            }
        }
    };
}
pub(crate) use wire_enum;

/// Gives a wire type its example in the specification, as it looks on the wire.
macro_rules! example {
    ($name:ident, $json:tt) => {
        impl poem_openapi::types::Example for $name {
            fn example() -> Self {
                use poem_openapi::types::ParseFromJSON as _;
                let example = Self::parse_from_json(Some(serde_json::json!($json)));
                example.unwrap_or_else(|error| {
                    panic!("the example of {}: {}", stringify!($name), error.into_message())
                })
            }
        }
    };
}
pub(crate) use example;

/// The beginning of a text that somebody else gave, on one line.
pub(crate) fn bounded(text: &str, characters: usize) -> String {
    let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(characters).map(shown).collect()
}

/// An instant as every surface writes it: RFC 3339 in UTC, ending in `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub Time);

impl Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        Self(time)
    }
}

impl Type for Timestamp {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_date-time".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "date-time")))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ToJSON for Timestamp {
    fn to_json(&self) -> Option<Value> {
        Some(self.to_string().into())
    }
}

impl ParseFromParameter for Timestamp {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Ok(Self(DateTime::parse_from_rfc3339(text)?.to_utc()))
    }
}

impl ParseFromJSON for Timestamp {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Ok(Self(DateTime::parse_from_rfc3339(&text)?.to_utc())),
            value => Err(ParseError::expected_type(value.unwrap_or_default())),
        }
    }
}

/// Which versions of something a change is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is now.
    Any,
    /// One of these.
    One(Vec<i64>),
}

impl Expected {
    /// Refuses a change that was meant for another version.
    ///
    /// # Errors
    /// `precondition_failed`, naming the version there is.
    pub fn check(&self, version: i64) -> Result<()> {
        match self {
            Self::One(versions) if !versions.contains(&version) => Err(Error::new(
                Code::PreconditionFailed,
                format!(
                    "it is at version {version} now; look at it again, then repeat the change with the new ETag"
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// One page of a list.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub struct List<T: ParseFromJSON + ToJSON> {
    /// The rows of this page.
    pub items: Vec<T>,
    /// Pass it as `cursor` for the next page; absent on the last one.
    pub next_cursor: Option<String>,
}

/// Which page of a list is asked for.
#[derive(Clone, Debug)]
pub struct Page<K> {
    /// Rows at most.
    pub limit: u64,
    /// The key of the last row of the page before, if there was one.
    pub after: Option<K>,
    /// Whether what comes behind it is counted too.
    pub counts: bool,
}

/// What was found for a page.
#[derive(Debug)]
pub struct Found<R> {
    /// The page's rows, and one more if there are more.
    pub rows: Vec<R>,
    /// How many come behind the page, counted up to [`COUNTED`]; 0 for a page that does not count.
    pub left: u64,
}

impl<R> Found<R> {
    /// The same with other rows.
    ///
    /// # Errors
    /// The first that `map` gives.
    pub fn try_map<T>(self, map: impl FnMut(R) -> Result<T>) -> Result<Found<T>> {
        let rows = self.rows.into_iter().map(map).collect::<Result<_>>()?;
        Ok(Found { rows, left: self.left })
    }
}

/// Rows at most, unless the caller says otherwise.
pub const DEFAULT_LIMIT: u64 = 50;
/// Rows at most, whatever the caller says.
pub const MAX_LIMIT: u64 = 200;
/// Up to how many rows behind a page are counted.
pub const COUNTED: u64 = 1_000;

impl<K: FromStr + Display> Page<K> {
    /// Reads `?limit=` and `?cursor=`.
    ///
    /// # Errors
    /// `invalid_request` for a limit outside 1 to 200 and for a cursor that this service did not make.
    pub fn parse(limit: Option<u64>, cursor: Option<&str>) -> Result<Self> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Error::invalid(format!("limit must be between 1 and {MAX_LIMIT}")));
        }
        Ok(Self { limit, after: cursor.map(decode_cursor).transpose()?, counts: false })
    }

    /// The cursor that leads behind a key.
    pub fn cursor(key: &K) -> String {
        encode_cursor(key)
    }

    /// Cuts `rows`, of which one more than the limit was asked for, to a page; `key` names a row's place.
    pub fn cut<R, T: ParseFromJSON + ToJSON>(
        &self,
        rows: Vec<R>,
        key: impl Fn(&R) -> K,
        out: impl Fn(R) -> T,
    ) -> List<T> {
        let (rows, next_cursor) = self.split(rows, key);
        List { items: rows.into_iter().map(out).collect(), next_cursor }
    }

    /// Cuts `rows` as [`Page::cut`] does; gives the page's rows and the cursor of the next page.
    pub fn split<R>(&self, mut rows: Vec<R>, key: impl Fn(&R) -> K) -> (Vec<R>, Option<String>) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(|row| Self::cursor(&key(row))) } else { None };
        (rows, next)
    }
}

/// A cursor is the last row's key behind a version letter, in base64url: opaque, and checked when it returns.
fn encode_cursor(key: &impl Display) -> String {
    URL_SAFE_NO_PAD.encode(format!("1{key}"))
}

fn decode_cursor<K: FromStr>(cursor: &str) -> Result<K> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix('1').and_then(|key| key.parse().ok()))
        .ok_or_else(|| {
            Error::invalid("this cursor is not one of ours; leave it out to start from the first page")
        })
}

/// Whether a character is drawn, or separates what is: everything but controls, format characters (direction
/// overrides, zero-width joiners, tags …), variation selectors, fillers that are drawn as nothing, and private use.
pub(crate) fn is_visible(character: char) -> bool {
    !matches!(character,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_the_key_it_was_made_from(key: u64) {
            prop_assert_eq!(decode_cursor::<u64>(&encode_cursor(&key)).expect("our own"), key);
        }

        #[test]
        fn a_cursor_that_is_not_ours_is_refused_and_never_panics(cursor in ".{0,64}") {
            if let Ok(key) = decode_cursor::<String>(&cursor) {
                prop_assert_eq!(encode_cursor(&key), cursor);
            }
        }
    }
}
