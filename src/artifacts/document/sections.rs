//! The headings of a Markdown text, and what is below each.

use std::collections::HashSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    front_matter, guarded,
    text::{self, TITLE_CHARS},
    warnings::Warnings,
};

/// How many sections of a document are known.
const MOST: usize = 500;

/// A heading with the text up to the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Section {
    /// What links to it, as GitHub makes it; no two sections of a document have the same.
    pub anchor: String,
    /// The heading's text.
    pub title: String,
    /// The heading's level, 1 to 6.
    pub level: u8,
    /// The line of the heading in the file, from 1.
    pub line: u32,
    /// 16 hex digits that change with the section's own text: heading and body without subsections.
    pub hash: String,
}

/// A heading of a text with line feeds.
struct Heading {
    level: u8,
    /// From 1.
    line: usize,
    /// Where its line begins.
    start: usize,
    title: String,
    anchor: String,
}

/// The sections of a text with line feeds and without a byte order mark.
pub(super) fn read(text: &str, warnings: &mut Warnings) -> Vec<Section> {
    let headings = headings(text);
    if headings.len() > MOST {
        warnings.push(format!("sections: only the first {MOST} of {} are listed", headings.len()));
    }
    let ends = headings.iter().skip(1).map(|next| next.start).chain([text.len()]);
    let sections = headings.iter().zip(ends).take(MOST).map(|(heading, end)| Section {
        anchor: heading.anchor.clone(),
        title: heading.title.clone(),
        level: heading.level,
        line: u32::try_from(heading.line).unwrap_or(u32::MAX),
        hash: fingerprint(&text[heading.start..end]),
    });
    sections.collect()
}

/// The part of a Markdown text that an anchor names: its heading and all below it, subsections too.
///
/// The anchors are those that [`super::read`] gives, in any case, with or without a `#` before them.
pub fn section<'t>(text: &'t str, anchor: &str) -> Option<&'t str> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let headings = guarded(|| headings(&text::with_line_feeds(text)))?;
    let anchor = anchor.strip_prefix('#').unwrap_or(anchor).to_lowercase();
    let index = headings.iter().take(MOST).position(|heading| heading.anchor == anchor)?;
    let (heading, later) = headings[index..].split_first()?;
    let next = later.iter().find(|next| next.level <= heading.level);
    let mut starts = line_starts(text);
    let start = starts.nth(heading.line - 1)?;
    let end = next.and_then(|next| starts.nth(next.line - heading.line - 1)).unwrap_or(text.len());
    text.get(start..end)
}

/// Where the lines of a text begin, whatever ends them.
fn line_starts(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let ends_line = |&(index, byte): &(usize, &u8)| {
        *byte == b'\n' || (*byte == b'\r' && bytes.get(index + 1) != Some(&b'\n'))
    };
    std::iter::once(0).chain(bytes.iter().enumerate().filter(ends_line).map(|(index, _)| index + 1))
}

/// All headings outside code, comments and front-matter. Beyond the first 500 they have no title and no anchor:
/// they only tell where others end.
fn headings(text: &str) -> Vec<Heading> {
    let body = front_matter::split(text).body;
    let before = text.len() - body.len();
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES;
    let mut found: Vec<Heading> = Vec::new();
    let mut anchors = Anchors::default();
    let mut lines = Lines { text, counted: 0, line: 1 };
    let mut words: Option<Words> = None;
    for (event, range) in Parser::new_ext(body, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let (line, start) = lines.at(before + range.start);
                let (title, anchor) = (String::new(), String::new());
                found.push(Heading { level: level as u8, line, start, title, anchor });
                words = (found.len() <= MOST).then(Words::default);
            }
            Event::End(TagEnd::Heading(_)) => {
                if let (Some(words), Some(heading)) = (words.take(), found.last_mut()) {
                    heading.title = text::cleaned(&words.shown, TITLE_CHARS);
                    heading.anchor = anchors.next(words.trimmed());
                }
            }
            event => {
                if let Some(words) = &mut words {
                    words.take(&event);
                }
            }
        }
    }
    found
}

/// The words of a heading without their markup.
#[derive(Default)]
struct Words {
    shown: String,
    /// What the anchor is made of: GitHub leaves out what stands for an image.
    linked: String,
    /// How many images are open.
    images: usize,
}

impl Words {
    fn take(&mut self, event: &Event<'_>) {
        let text = match event {
            Event::Text(text) | Event::Code(text) => text,
            Event::SoftBreak | Event::HardBreak => " ",
            Event::Start(Tag::Image { .. }) => {
                self.images += 1;
                return;
            }
            Event::End(TagEnd::Image) => {
                self.images = self.images.saturating_sub(1);
                return;
            }
            _ => return,
        };
        self.shown.push_str(text);
        if self.images == 0 {
            self.linked.push_str(text);
        }
    }

    /// What the anchor is made of, without the blanks that end the line. Those before an image count.
    fn trimmed(&self) -> &str {
        if self.shown.ends_with(char::is_whitespace) { self.linked.trim_end() } else { &self.linked }
    }
}

/// Gives each heading an anchor of its own.
#[derive(Default)]
struct Anchors(HashSet<String>);

impl Anchors {
    /// GitHub's rule: letters, digits, `_` and `-` in lower case, a dash for each space, and a number for the
    /// second of a kind. A heading that leaves nothing is a `section`.
    fn next(&mut self, words: &str) -> String {
        let kept = words.chars().filter_map(|c| match c {
            ' ' | '-' => Some('-'),
            '_' => Some('_'),
            c => (c.is_alphanumeric() || is_mark(c)).then_some(c),
        });
        let slug = kept.take(TITLE_CHARS).collect::<String>().to_lowercase();
        let slug = if slug.is_empty() { "section".to_owned() } else { slug };
        let mut anchor = slug.clone();
        let mut number = 0;
        while self.0.contains(&anchor) {
            number += 1;
            anchor = format!("{slug}-{number}");
        }
        self.0.insert(anchor.clone());
        anchor
    }
}

/// Whether a character is an accent of the one before it, or chooses how that looks.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE00}'..='\u{FE0F}' | '\u{FE20}'..='\u{FE2F}')
}

/// Tells lines from places, which must not go backwards.
struct Lines<'t> {
    text: &'t str,
    counted: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line at a place, from 1, and where it begins.
    fn at(&mut self, place: usize) -> (usize, usize) {
        let passed = &self.text.as_bytes()[self.counted.min(place)..place];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.counted = place;
        let start = self.text.as_bytes()[..place].iter().rposition(|byte| *byte == b'\n');
        (self.line, start.map_or(0, |end| end + 1))
    }
}

/// The hash of a text, blanks at the ends of lines and blank lines at its end aside.
fn fingerprint(text: &str) -> String {
    let mut hasher = Sha256::new();
    let mut blank = 0;
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() {
            blank += 1;
            continue;
        }
        (0..std::mem::take(&mut blank)).for_each(|_| hasher.update(b"\n"));
        hasher.update(line);
        hasher.update(b"\n");
    }
    hex::encode(&hasher.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(text: &str) -> Vec<Section> {
        read(text, &mut Warnings::default())
    }

    fn anchors(text: &str) -> Vec<String> {
        sections(text).into_iter().map(|section| section.anchor).collect()
    }

    const PRD: &str = "---\nversion: 2\n---\nIntro\n\n# Goals\n\nFast.\n\n## Sign in\nPasskeys.\n\nNon-goals\n=========\nNone.\n";

    #[test]
    fn headings_of_both_kinds_are_sections_in_order() {
        let found: Vec<_> = sections(PRD)
            .into_iter()
            .map(|section| (section.anchor, section.title, section.level, section.line))
            .collect();
        let expected =
            [("goals", "Goals", 1, 6), ("sign-in", "Sign in", 2, 10), ("non-goals", "Non-goals", 1, 13)];
        let expected =
            expected.map(|(anchor, title, level, line)| (anchor.to_owned(), title.to_owned(), level, line));
        assert_eq!(found, expected);
    }

    #[test]
    fn anchors_are_those_of_github() {
        for (heading, anchor) in [
            ("# Hello, World!", "hello-world"),
            ("# `snake_case` & *more*", "snake_case--more"),
            ("# 1.2 Sign-in", "12-sign-in"),
            ("# Żółw i Σ", "żółw-i-σ"),
            ("# 🚀 Launch", "-launch"),
            ("# ![logo](a.png) Name", "-name"),
            ("# [Link](x) and <b>HTML</b>", "link-and-html"),
            ("# ~~old~~ new #", "old-new"),
            ("# !!!", "section"),
            ("#", "section"),
        ] {
            assert_eq!(anchors(heading), [anchor], "{heading}");
        }
        let twins = "# A\n# A\n# A-1\n# A\n# a\n";
        assert_eq!(anchors(twins), ["a", "a-1", "a-1-1", "a-2", "a-3"]);
    }

    #[test]
    fn code_and_comments_have_no_headings() {
        let text =
            "```sh\n# a\n```\n\n~~~\n# b\n~~~\n\n    # c\n\n<!--\n# d\n-->\n\n`x\n# e`\n\n#f\n\n> # quoted\n";
        assert_eq!(anchors(text), ["e", "quoted"]);
    }

    #[test]
    fn a_hash_changes_with_its_own_text_only() {
        let hashes = |text: &str| sections(text).into_iter().map(|section| section.hash).collect::<Vec<_>>();
        let before = hashes(PRD);
        assert!(before.iter().all(|hash| hash.len() == 16));
        for same in [
            PRD.replace("version: 2", "version: 3\nstatus: Done"),
            PRD.replace("Intro", "Another\n\nIntro"),
            PRD.replace("Fast.\n", "Fast.  \n\n\n"),
            PRD.trim_end().to_owned(),
        ] {
            assert_eq!(hashes(&same), before, "{same}");
        }
        let after = hashes(&PRD.replace("Passkeys.", "Passwords."));
        assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
        assert_ne!(after[1], before[1]);
        assert_ne!(hashes("# A\nb\n\nc\n"), hashes("# A\nb\nc\n"));
    }

    #[test]
    fn a_section_is_found_with_its_subsections() {
        let goals = "# Goals\n\nFast.\n\n## Sign in\nPasskeys.\n\n";
        for anchor in ["goals", "GOALS", "#Goals"] {
            assert_eq!(section(PRD, anchor), Some(goals), "{anchor}");
        }
        assert_eq!(section(PRD, "sign-in"), Some("## Sign in\nPasskeys.\n\n"));
        assert_eq!(section(PRD, "non-goals"), Some("Non-goals\n=========\nNone.\n"));
        for anchor in ["", "#", "version", "non", "goals-1"] {
            assert_eq!(section(PRD, anchor), None, "{anchor}");
        }
    }

    #[test]
    fn a_section_keeps_its_line_endings() {
        let text = "\u{FEFF}# A\r\nb\rc\n\r\n# D\r\n";
        assert_eq!(section(text, "a"), Some("# A\r\nb\rc\n\r\n"));
        assert_eq!(section(text, "d"), Some("# D\r\n"));
    }

    #[test]
    fn five_hundred_sections_are_enough() {
        let text: String = (0..600).map(|n| format!("{} Part {n}\n", "#".repeat(1 + n % 2))).collect();
        let mut warnings = Warnings::default();
        assert_eq!(read(&text, &mut warnings).len(), 500);
        assert_eq!(warnings.into_list(), ["sections: only the first 500 of 600 are listed"]);
        assert_eq!(section(&text, "part-498"), Some("# Part 498\n## Part 499\n"));
        assert_eq!(section(&text, "part-500"), None);
    }
}
