//! What a document of a repository says about itself: title, version, what it builds on, sections, gate.
//!
//! Anybody who may push writes these bytes, so [`read`] takes any of them: it never fails, and what is wrong with
//! a document becomes a warning on it. Time and memory are bounded by the length of the text, and YAML by a
//! budget as well. Nothing is looked up: the same bytes always give the same answer.

mod dependencies;
mod fields;
mod front_matter;
mod gate;
mod sections;
mod text;
mod version;
mod warnings;
mod yaml;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod properties;

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use self::{fields::Fields, front_matter::FrontMatter, warnings::Warnings, yaml::Node};
pub use self::{
    gate::{Decision, Gate, Waiver},
    sections::{Section, section},
    version::{Lag, Version},
};

/// What a document says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Its title: what the front-matter says, else the first heading.
    pub title: Option<String>,
    /// The version it states of itself, as it is written there.
    pub version: Option<String>,
    /// Who it says made it.
    pub created_by: Option<String>,
    /// How far it is, in its own words.
    pub status: Option<String>,
    /// What it states that it builds on.
    pub dependencies: Vec<Dependency>,
    /// One for each heading, in order. A YAML file has none.
    pub sections: Vec<Section>,
    /// What quality assurance decided, if this says so.
    pub gate: Option<Gate>,
    /// What is wrong with it, in short sentences that are safe to show.
    pub warnings: Vec<String>,
}

/// Another document, at a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Path from the repository's root.
    pub path: String,
    /// The version that is meant.
    pub version: Option<String>,
}

/// Reads a document; `path` is its path from the repository's root.
///
/// A path that ends in `.yml` or `.yaml` is a mapping of fields, any other is Markdown.
pub fn read(path: &str, text: &[u8]) -> Document {
    let mut warnings = Warnings::default();
    let text = decoded(text, &mut warnings);
    let text = text::with_line_feeds(&text);
    let mut document = Document::default();
    if is_yaml(path) {
        read_fields(&mut document, path, &text, 1, &mut warnings);
    } else {
        let FrontMatter { block, unclosed, .. } = front_matter::split(&text);
        if unclosed {
            warnings.push("front-matter: it has no closing `---` line");
        }
        if let Some(block) = block {
            read_fields(&mut document, path, block, 2, &mut warnings);
        }
        let outline = guarded(|| sections::read(&text, &mut warnings));
        document.sections = outline.unwrap_or_else(|| {
            warnings.push("sections: they could not be read");
            Vec::new()
        });
        let headings = || document.sections.iter().map(|section| &section.title);
        document.title =
            document.title.take().or_else(|| headings().find(|title| !title.is_empty()).cloned());
    }
    document.warnings = warnings.into_list();
    document
}

/// The bytes as text, without a byte order mark.
fn decoded<'t>(bytes: &'t [u8], warnings: &mut Warnings) -> std::borrow::Cow<'t, str> {
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes));
    if let std::borrow::Cow::Owned(_) = text {
        warnings.push("text: it is not UTF-8; what could not be read is shown as \u{FFFD}");
    }
    text
}

fn is_yaml(path: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, ending)| ["yml", "yaml"].iter().any(|yaml| ending.eq_ignore_ascii_case(yaml)))
}

/// Reads the fields of a YAML mapping that begins at a line of the file.
fn read_fields(document: &mut Document, path: &str, source: &str, first_line: u64, warnings: &mut Warnings) {
    let parsed = guarded(|| yaml::parse(source));
    let mapping = match parsed {
        None => return warnings.push("YAML: it could not be read"),
        Some(Err(trouble)) => return warnings.push(trouble.told_from(first_line)),
        Some(Ok(yaml::Parsed { first, is_only })) => {
            if !is_only {
                warnings.push("YAML: only the first of several documents is read");
            }
            match first {
                Node::Map(mapping) => mapping,
                Node::Null => return,
                _ => return warnings.push("YAML: expected a mapping of fields, such as `version: 2`"),
            }
        }
    };
    let fields = Fields::of(&mapping, warnings);
    let titles = if is_yaml(path) { ["story_title", "title"] } else { ["title", "story_title"] };
    document.title = fields.text(&titles, text::TITLE_CHARS, warnings);
    document.version = fields.text(&["version"], text::VERSION_CHARS, warnings);
    document.created_by =
        fields.text(&["createdBy", "created_by", "author"], text::CREATED_BY_CHARS, warnings);
    document.status = fields.text(&["status"], text::STATUS_CHARS, warnings);
    if let Some((_, value)) = fields.find(&["dependencies", "dependsOn", "depends_on"]) {
        document.dependencies = dependencies::read(value, path, warnings);
    }
    document.gate = gate::read(&fields, warnings);
}

/// What `work` gives, or nothing if it panics: it runs other people's parsers on other people's bytes.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markdown(text: &str) -> Document {
        read("docs/stories/1.1.md", text.as_bytes())
    }

    fn dependency(path: &str, version: &str) -> Dependency {
        Dependency { path: path.to_owned(), version: Some(version.to_owned()) }
    }

    #[test]
    fn a_story_of_bmad_is_read_whole() {
        let document = markdown(
            r#"---
title: "Story 1.1: Sign in"
bmad:
  version: 1.10
  createdBy: Bob (Scrum Master)
status: Ready for Review
dependencies:
  - docs/prd.md@v3
  - path: ../architecture.md
    version: "2.0"
---
<!-- # Powered by a method -->
# Story 1.1: Sign *in*

## Acceptance criteria
1. A passkey is enough.
"#,
        );
        assert_eq!(document.title.as_deref(), Some("Story 1.1: Sign in"));
        assert_eq!(document.version.as_deref(), Some("1.10"));
        assert_eq!(document.created_by.as_deref(), Some("Bob (Scrum Master)"));
        assert_eq!(document.status.as_deref(), Some("Ready for Review"));
        let expected = [dependency("docs/prd.md", "v3"), dependency("docs/architecture.md", "2.0")];
        assert_eq!(document.dependencies, expected);
        let sections = document.sections.iter().map(|section| (section.anchor.as_str(), section.line));
        assert_eq!(sections.collect::<Vec<_>>(), [("story-11-sign-in", 13), ("acceptance-criteria", 15)]);
        assert_eq!(document.warnings, [""; 0]);
    }

    #[test]
    fn every_spelling_of_a_field_is_read() {
        for field in ["createdBy: Ada", "created_by: Ada", "author: Ada", "author: Bob\ncreated_by: Ada"] {
            let document = markdown(&format!("---\n{field}\n---\n"));
            assert_eq!(document.created_by.as_deref(), Some("Ada"), "{field}");
        }
        for field in ["dependencies", "dependsOn", "depends_on"] {
            let document = markdown(&format!("---\n{field}: docs/prd.md@v3\n---\n"));
            assert_eq!(document.dependencies, [dependency("docs/prd.md", "v3")], "{field}");
        }
        for (written, version) in [
            ("2", "2"),
            ("1.0", "1.0"),
            ("v3", "v3"),
            ("\"1.10\"", "1.10"),
            ("1.10", "1.10"),
            ("' draft '", "draft"),
        ] {
            let document = markdown(&format!("---\nversion: {written}\n---\n"));
            assert_eq!(document.version.as_deref(), Some(version), "{written}");
        }
    }

    #[test]
    fn the_first_heading_with_words_is_the_title() {
        for (text, title) in [
            ("Words.\n\n## The `first` [one](x) &amp; only\n# Second\n", Some("The first one & only")),
            ("Two\nlines\n===\n", Some("Two lines")),
            ("#\n# Next\n", Some("Next")),
            ("```\n# Code\n```\n\n    # Code\n\n<!--\n# Comment\n-->\n\nNo heading, ~~~\n", None),
            ("---\ntitle: ''\n---\n# Heading\n", Some("Heading")),
            ("---\nstory_title: Told\n---\n# Heading\n", Some("Told")),
            ("", None),
        ] {
            assert_eq!(markdown(text).title.as_deref(), title, "{text}");
        }
    }

    #[test]
    fn malformed_yaml_is_one_warning_and_the_rest_is_read() {
        let document = markdown("---\nversion: 2\ntitle: a: b\n---\n# Goals\n");
        let expected = ["YAML: line 3, column 9: mapping values are not allowed in this context"];
        assert_eq!(document.warnings, expected);
        assert_eq!((document.version, document.title.as_deref()), (None, Some("Goals")));
        assert_eq!(document.sections[0].line, 5);
        let document = read("gate.YAML", b"gate: [");
        assert_eq!(document.warnings, ["YAML: line 1, column 7: unclosed bracket '['"]);
    }

    #[test]
    fn a_wrong_kind_of_value_leaves_the_other_fields() {
        let document = markdown("---\ndependencies: 7\nversion: [1]\nstatus: Done\n---\n");
        assert_eq!(document.status.as_deref(), Some("Done"));
        let expected = ["version: expected a text or a number", "dependencies: expected a list of paths"];
        assert_eq!(document.warnings, expected);
        for text in ["---\n- a\n---\n", "---\nsome words\n---\n"] {
            let expected = ["YAML: expected a mapping of fields, such as `version: 2`"];
            assert_eq!(markdown(text).warnings, expected);
        }
    }

    #[test]
    fn front_matter_without_an_end_is_a_warning() {
        let document = markdown("---\nversion: 2\n\n# Goals\n");
        assert_eq!((document.version, document.title.as_deref()), (None, Some("Goals")));
        assert_eq!(document.warnings, ["front-matter: it has no closing `---` line"]);
        assert_eq!(document.sections[0].line, 4);
    }

    #[test]
    fn a_byte_order_mark_and_other_line_endings_change_nothing() {
        let text = "---\nversion: 2\n---\n# Goals\n\nWords\n";
        let plain = markdown(text);
        assert_eq!(markdown(&format!("\u{FEFF}{text}")), plain);
        assert_eq!(markdown(&text.replace('\n', "\r\n")), plain);
        assert_eq!(markdown(&text.replace('\n', " \t\r\n")), plain);
    }

    #[test]
    fn bytes_that_are_no_text_are_told_once() {
        let document = read("a.md", b"# Caf\xE9 \xFF\n");
        assert_eq!(document.title.as_deref(), Some("Caf\u{FFFD} \u{FFFD}"));
        assert_eq!(document.warnings.len(), 1);
    }

    #[test]
    fn texts_are_cut_at_a_character() {
        let long = "ż".repeat(1000);
        let document = markdown(&format!(
            "---\ntitle: {long}\nversion: {long}\ncreatedBy: {long}\nstatus: \"a\\0b\\nc{long}\"\n---\n"
        ));
        let chars = |text: Option<String>| text.map(|text| text.chars().count());
        assert_eq!(chars(document.title), Some(300));
        assert_eq!(chars(document.version), Some(50));
        assert_eq!(chars(document.created_by), Some(200));
        assert!(document.status.is_some_and(|status| status.starts_with("ab cż")));
    }

    #[test]
    fn a_document_is_camel_case_on_the_wire_and_back() {
        let document = markdown("---\nauthor: Ada\ngate: PASS\nwaiver: {approved_by: Bob}\n---\n# Goals\n");
        let json = serde_json::to_value(&document).expect("JSON");
        assert_eq!(json["createdBy"], "Ada");
        assert_eq!(json["gate"]["decision"], "pass");
        assert_eq!(json["gate"]["waiver"]["approvedBy"], "Bob");
        assert_eq!(serde_json::from_value::<Document>(json).expect("a document"), document);
    }

    #[test]
    fn a_yaml_file_has_fields_and_no_sections() {
        let document =
            read("docs/plan.yaml", b"# A comment\n---\ntitle: Plan\nversion: 1.0\n...\n---\nb: 1\n");
        assert_eq!((document.title.as_deref(), document.version.as_deref()), (Some("Plan"), Some("1.0")));
        assert_eq!(document.sections, []);
        assert_eq!(document.warnings, ["YAML: only the first of several documents is read"]);
    }
}
