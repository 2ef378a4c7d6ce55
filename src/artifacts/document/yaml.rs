//! YAML within a budget, with numbers as they are written.
//!
//! A version `1.10` is not the number 1.1, so a number keeps its source text. A key that comes twice is kept
//! twice, for [`super::fields`] to tell. Tags are ignored, and only `true` and `false` are booleans (YAML 1.2).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{
    DuplicateKeyPolicy, Error, Options, Spanned,
    options::{MergeKeyPolicy, NonFiniteFloatPolicy},
};

/// How much of one scalar is kept, in bytes: more than any field takes.
const SCALAR_BYTES: usize = 4096;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys that are texts or numbers, in order, with their values.
    Map(Mapping),
}

/// The pairs of a mapping.
pub(super) type Mapping = Vec<(String, Node)>;

/// What a YAML text holds.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Its first document.
    pub(super) first: Node,
    /// Whether no other follows.
    pub(super) is_only: bool,
}

/// Why a text is not YAML, and where.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Line, from 1, and column, if they are known.
    place: Option<(u64, u64)>,
    words: String,
}

impl Trouble {
    /// In words, for a text whose first line is `first_line` of its file.
    pub(super) fn told_from(&self, first_line: u64) -> String {
        match self.place {
            Some((line, column)) => {
                format!("YAML: line {}, column {column}: {}", line + first_line - 1, self.words)
            }
            None => format!("YAML: {}", self.words),
        }
    }
}

/// Reads the first document of a text.
pub(super) fn parse(source: &str) -> Result<Parsed, Trouble> {
    let mut first = None;
    let ended = serde_saphyr::with_deserializer_from_str_with_options(source, options(), |deserializer| {
        first = Some(Spanned::<Raw>::deserialize(deserializer)?);
        Ok(())
    });
    let is_only = match ended {
        Ok(()) => true,
        Err(Error::MultipleDocuments { .. }) => false,
        Err(error) => return Err(trouble(&error)),
    };
    Ok(Parsed { first: first.map_or(Node::Null, |raw| settled(raw, source)), is_only })
}

/// What a document may cost. Nobody writes front-matter that comes near; an attack stops here.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            flow_nesting_limit: 32,
            max_events: 50_000,
            max_nodes: 20_000,
            max_anchors: 100,
            max_aliases: 100,
            max_recorded_anchor_events: 10_000,
            max_recorded_anchor_bytes: 64 * 1024,
            max_merge_keys: 20,
            max_documents: 20,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 2_000,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
    }
}

fn trouble(error: &Error) -> Trouble {
    let place = error.location().map(|location| (location.line(), location.column()));
    let cause = if let Error::AliasError { error, .. } = error { error } else { error };
    let words = match cause {
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => "it is too large or nested too deeply".to_owned(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias contains itself".to_owned(),
        other => {
            let words = other.to_string();
            let suffix = place.map(|(line, column)| format!(" at line {line}, column {column}"));
            suffix.and_then(|suffix| Some(words.strip_suffix(&suffix)?.to_owned())).unwrap_or(words)
        }
    };
    Trouble { place, words }
}

/// A value as the reader gives it: it tells numbers from texts, and [`Spanned`] where they were written.
enum Raw {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Raw, Spanned<Raw>)>),
}

/// The value with its numbers as they are written in the source. As deep as the budget allows.
fn settled(raw: Spanned<Raw>, source: &str) -> Node {
    let span = raw.defined.span();
    match raw.value {
        Raw::Null => Node::Null,
        Raw::Bool(value) => Node::Bool(value),
        Raw::Text(text) => Node::Text(text),
        Raw::Number(value) => {
            let written = || {
                let start = usize::try_from(span.byte_offset()?).ok()?;
                let length = usize::try_from(span.byte_len()?).ok()?;
                let text = source.get(start..start.checked_add(length)?)?;
                (text.len() <= SCALAR_BYTES && text.bytes().any(|byte| byte.is_ascii_digit())).then_some(text)
            };
            Node::Number(written().map_or(value, str::to_owned))
        }
        Raw::List(items) => Node::List(items.into_iter().map(|item| settled(item, source)).collect()),
        Raw::Map(pairs) => {
            let named = pairs.into_iter().filter_map(|(key, value)| match key {
                Raw::Text(key) | Raw::Number(key) => Some((key, settled(value, source))),
                _ => None,
            });
            Node::Map(named.collect())
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text[..text.floor_char_boundary(SCALAR_BYTES)].to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Raw::Map(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(source: &str) -> Node {
        match parse(source).expect("YAML").first {
            Node::Map(pairs) => pairs.into_iter().next().expect("a pair").1,
            other => other,
        }
    }

    #[test]
    fn a_number_keeps_the_way_it_is_written() {
        let numbers = ["1.10", "1.0", "2", "007", "0x10", "1_000", "1e3", "123456789012345678901234567890"];
        for number in numbers {
            for source in
                [format!("a: {number}"), format!("a: &x {number} # c"), format!("{{ a: {number} }}")]
            {
                assert_eq!(value(&source), Node::Number(number.to_owned()), "{source}");
            }
        }
        assert_eq!(value("é: !!float 1.10"), Node::Number("1.10".to_owned()));
        let aliased = "first: &x 1.10\nsecond: [*x]\n";
        let Node::Map(pairs) = parse(aliased).expect("YAML").first else { panic!("a mapping") };
        assert_eq!(pairs[1].1, Node::List(vec![Node::Number("1.10".to_owned())]));
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        assert_eq!(value("a: true"), Node::Bool(true));
        assert_eq!(value("a: False"), Node::Bool(false));
        for text in ["yes", "no", "on", "off", "y"] {
            assert_eq!(value(&format!("a: {text}")), Node::Text(text.to_owned()));
        }
    }

    #[test]
    fn what_is_odd_is_read_all_the_same() {
        assert_eq!(value("a: !!python/object:os.system x"), Node::Text("x".to_owned()));
        assert_eq!(value("a: !!binary x"), Node::Text("x".to_owned()));
        assert_eq!(value("a: .nan"), Node::Text(".nan".to_owned()));
        assert_eq!(value("a: ~"), Node::Null);
        assert_eq!(value("{[1]: 2, {a: b}: c, ok: d}"), Node::Text("d".to_owned()));
        assert_eq!(value("a: {{x}}"), Node::Map(Vec::new()));
        assert_eq!(parse("").expect("YAML").first, Node::Null);
        assert!(!parse("a: 1\n---\nb: 2\n").expect("YAML").is_only);
    }

    #[test]
    fn trouble_is_told_with_its_place_in_the_file() {
        let told = |source| parse(source).expect_err("trouble").told_from(2);
        assert_eq!(told("a: 'b"), "YAML: line 2, column 4: unclosed quote");
        assert_eq!(told("a: 1\nb: [1"), "YAML: line 3, column 4: unclosed bracket '['");
        assert_eq!(told("a: &a [*a]"), "YAML: line 2, column 8: an alias contains itself");
        assert_eq!(told(&"- ".repeat(40)), "YAML: line 2, column 65: it is too large or nested too deeply");
    }
}
