//! The fields of a mapping, as BMAD and people write them.
//!
//! A field is at the top level, or in the mapping `bmad`, or at the top level as `bmad.` and its name; the first of
//! these that has a value counts. The exact spelling goes first, then one that differs in case, `_` and `-`.

use std::collections::HashSet;

use super::{
    text,
    warnings::Warnings,
    yaml::{Mapping, Node},
};

/// The fields of a document.
pub(super) struct Fields<'m> {
    top: &'m Mapping,
    below: Option<&'m Mapping>,
}

impl<'m> Fields<'m> {
    /// Those of a mapping; warns of keys that come twice.
    pub(super) fn of(top: &'m Mapping, warnings: &mut Warnings) -> Self {
        warn_of_twins(top, warnings);
        let below = match find(top, &["bmad"]) {
            Some((_, Node::Map(below))) => Some(below),
            Some(_) => {
                warnings.push("bmad: expected a mapping of fields");
                None
            }
            None => None,
        };
        below.inspect(|below| warn_of_twins(below, warnings));
        Self { top, below }
    }

    /// The value of the first of these names that has one, and that name.
    pub(super) fn find<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &'m Node)> {
        let flat = || {
            names.iter().find_map(|name| Some((*name, find(self.top, &[format!("bmad.{name}").as_str()])?.1)))
        };
        find(self.top, names).or_else(|| find(self.below?, names)).or_else(flat)
    }

    /// The text or number there; warns of what is neither.
    pub(super) fn text(&self, names: &[&str], most: usize, warnings: &mut Warnings) -> Option<String> {
        let (name, value) = self.find(names)?;
        text_of(name, value, most, warnings)
    }
}

/// The value of the first of these names that has one, and that name. Of keys that come twice the last counts.
pub(super) fn find<'m, 'n>(mapping: &'m Mapping, names: &[&'n str]) -> Option<(&'n str, &'m Node)> {
    let pick = |is: &dyn Fn(&str, &str) -> bool| {
        names.iter().find_map(|name| {
            let found = mapping.iter().rev().find(|(key, value)| *value != Node::Null && is(key, name))?;
            Some((*name, &found.1))
        })
    };
    pick(&|key, name| key == name).or_else(|| pick(&is_spelling))
}

/// Whether two names differ in case, `_` and `-` only.
fn is_spelling(key: &str, name: &str) -> bool {
    let letters =
        |text| str::bytes(text).filter(|byte| !b"_-".contains(byte)).map(|byte| byte.to_ascii_lowercase());
    letters(key).eq(letters(name))
}

/// A value as a text: it may be written as a number.
pub(super) fn text_of(name: &str, value: &Node, most: usize, warnings: &mut Warnings) -> Option<String> {
    match value {
        Node::Text(text) | Node::Number(text) => {
            Some(text::cleaned(text, most)).filter(|text| !text.is_empty())
        }
        Node::Null => None,
        Node::Bool(_) | Node::List(_) | Node::Map(_) => {
            warnings.push(format!("{name}: expected a text or a number"));
            None
        }
    }
}

fn warn_of_twins(mapping: &Mapping, warnings: &mut Warnings) {
    let mut seen = HashSet::new();
    for (key, _) in mapping {
        if !seen.insert(key) {
            warnings.push(format!("{}: given more than once; the last one counts", text::shortened(key, 60)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn version(source: &str) -> (Option<String>, Vec<String>) {
        let Node::Map(mapping) = yaml::parse(source).expect("YAML").first else { panic!("a mapping") };
        let mut warnings = Warnings::default();
        let found = Fields::of(&mapping, &mut warnings).text(&["version", "rev"], 50, &mut warnings);
        (found, warnings.into_list())
    }

    #[test]
    fn the_top_level_goes_before_bmad() {
        for source in [
            "version: 2",
            "version: 2\nbmad: {version: 1}",
            "bmad: {version: 2}",
            "bmad.version: 2",
            "version:\nbmad: {version: 2}",
            "bmad: {version: 2}\nbmad.version: 1",
            "Version: 2",
            "rev: 2",
            "rev: 1\nversion: 2",
            "VERSION: 1\nversion: 2",
        ] {
            assert_eq!(version(source), (Some("2".to_owned()), vec![]), "{source}");
        }
    }

    #[test]
    fn what_is_empty_is_not_there() {
        for source in ["version:", "version: ~", "version: ''", "version: \"\\0\"", "other: 1", "bmad: {}"] {
            assert_eq!(version(source), (None, vec![]), "{source}");
        }
    }

    #[test]
    fn a_wrong_kind_of_value_is_told_by_name() {
        for value in ["[1]", "{a: 1}", "true"] {
            let expected = vec!["version: expected a text or a number".to_owned()];
            assert_eq!(version(&format!("version: {value}")), (None, expected));
        }
        assert_eq!(version("bmad: 1"), (None, vec!["bmad: expected a mapping of fields".to_owned()]));
    }

    #[test]
    fn of_twins_the_last_counts() {
        let (found, warnings) = version("version: 1\nversion: 2");
        assert_eq!(found.as_deref(), Some("2"));
        assert_eq!(warnings, ["version: given more than once; the last one counts"]);
    }
}
