//! Text from outside, read so that nothing in it can stop a delivery.
//!
//! JSON may hold lone surrogates, which no Rust string can, and NUL, which PostgreSQL cannot store. Both become
//! U+FFFD here, at the edge, rather than an error later. `null` where a text is expected is an empty one. A name that no
//! index takes becomes one that an index does.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, de};
use sha2::{Digest as _, Sha256};

/// A string that can be stored and shown anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Text(String);

impl Text {
    fn new(text: &str) -> Self {
        Self(text.replace('\0', "\u{fffd}"))
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// Makes a name of it that can be looked up: see [`fit`].
    pub(super) fn fit(&mut self) {
        fit(&mut self.0);
    }
}

/// Bytes of the longest name that is kept as it is: PostgreSQL's indexes take 2,700 in all, and some have two of them.
const NAME: usize = 1_000;

/// Makes a name one that can be looked up: if no index takes it, its beginning, with a digest of all of it in place of the
/// rest.
pub(super) fn fit(name: &mut String) {
    if name.len() > NAME {
        let digest = hex::encode(Sha256::digest(name.as_bytes()));
        name.truncate(name.floor_char_boundary(NAME - digest.len() - '…'.len_utf8()));
        name.push('…');
        name.push_str(&digest);
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text::new(text))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text::new(&String::from_utf8_lossy(bytes)))
            }

            fn visit_none<E>(self) -> Result<Text, E> {
                Ok(Text::default())
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text, D::Error> {
                // Asked for bytes, serde_json hands out a string's bytes without insisting that they are UTF-8.
                deserializer.deserialize_bytes(self)
            }
        }

        deserializer.deserialize_option(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &[u8]) -> String {
        serde_json::from_slice::<Text>(json).expect("readable").into_string()
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        assert_eq!(read(b"null"), "");
        assert_eq!(read("\"Grüße \\u00e9 🚀\"".as_bytes()), "Grüße é 🚀");
    }

    #[test]
    fn what_could_not_be_stored_becomes_a_replacement_character() {
        assert_eq!(read(br#""a\u0000b""#), "a\u{fffd}b");
        assert!(read(br#""a\ud800b""#).contains('\u{fffd}'), "a lone surrogate");
        assert!(read(b"\"a\xffb\"").contains('\u{fffd}'), "not UTF-8");
    }

    #[test]
    fn names_that_no_index_takes_become_others_that_are_as_different() {
        let name = |length: usize, end: &str| {
            let mut name = "ü".repeat(length) + end;
            fit(&mut name);
            name
        };
        assert_eq!(name(500, ""), "ü".repeat(500));
        let (one, another) = (name(5_000, "a"), name(5_000, "b"));
        assert!(one.len() <= NAME && one.starts_with("üüü") && one != another, "{one} {another}");
        assert_eq!(one, name(5_000, "a"));
    }
}
