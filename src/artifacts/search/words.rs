//! Texts as words, the same for what is indexed, what is asked and what is shown.
//!
//! A word is a run of letters and digits, whatever the language; everything else separates. So `claim_work`, `1.2.login`
//! and `docs/prd.md` are found by each of their parts, and as a whole as words next to each other. Case and accents do
//! not matter. Where writing puts no spaces between words, each character is one.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

use crate::{
    artifacts::{Artifact, ArtifactKind},
    database::search::{PLACES, Terms, mark},
};

/// Characters of a word that count.
const LONGEST: usize = 64;
/// Bytes of the words of one document that are indexed; with what the engines add, PostgreSQL takes no more.
const BYTES: usize = 600_000;
/// How many times a document has to have a word that it has often, and one in how many of its words it has to be.
const OFTEN: (usize, usize) = (3, 300);

/// Where in a document a word is, beyond anywhere. Each place has those before it within.
pub(super) const PLACED: [char; 3] = ['1', '2', '3'];

/// A word in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// What is compared.
    pub(super) key: String,
    /// Where it stands, in bytes.
    pub(super) at: Range<usize>,
}

/// The words of a text, in order.
pub(super) fn words(text: &str) -> impl Iterator<Item = Word> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        loop {
            let start = rest + text[rest..].find(char::is_alphanumeric)?;
            let end = end_of(&text[start..]) + start;
            rest = end;
            let key = folded(&text[start..end]);
            if !key.is_empty() {
                return Some(Word { key, at: start..end });
            }
        }
    })
}

/// Where the word ends with which a text begins.
fn end_of(text: &str) -> usize {
    let mut characters = text.char_indices();
    let is_alone = characters.next().is_some_and(|(_, first)| is_word_alone(first));
    let ends = |(_, c): &(usize, char)| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => is_alone,
        _ if c.is_ascii() => true,
        _ if is_combining_mark(*c) => false,
        _ => is_alone || !c.is_alphanumeric() || is_word_alone(*c),
    };
    characters.find(ends).map_or(text.len(), |(at, _)| at)
}

/// Whether a character belongs to a writing without spaces between words: Han, Kana, Thai, Lao, Khmer, Burmese.
fn is_word_alone(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}')
}

/// A word without what makes no difference: case, accents, and other ways to write the same letters.
fn folded(word: &str) -> String {
    if word.is_ascii() {
        return word[..word.len().min(LONGEST)].to_ascii_lowercase();
    }
    let is_accent = |c: char| matches!(c, '\u{300}'..='\u{36f}');
    let lower = word.nfkd().flat_map(char::to_lowercase);
    lower.filter(|c| !is_accent(*c) && (c.is_alphanumeric() || is_combining_mark(*c))).take(LONGEST).collect()
}

/// By what a document is found.
pub(in crate::artifacts) fn terms(artifact: &Artifact, body: Option<&[u8]>) -> Terms {
    let body = body.map(String::from_utf8_lossy).unwrap_or_default();
    let title = artifact.title.as_deref().unwrap_or_default();
    let headings = artifact.sections.iter().map(|section| &*section.title);
    let mut budget = BYTES;
    let mut terms = Terms::default();
    let in_title: BTreeSet<_> = keys(title).collect();
    let mut in_head = in_title.clone();
    in_head.extend([&*artifact.path, &*artifact.name].into_iter().chain(headings).flat_map(keys));
    let mut counts: HashMap<String, usize> = HashMap::new();
    for text in [title, &artifact.path, &artifact.name, &body] {
        for key in keys(text) {
            if terms.words.len() < PLACES && spend(&mut budget, &key) {
                terms.words.push(Some(key.clone()));
            } else if !terms.further.contains(&key) && spend(&mut budget, &key) {
                terms.further.insert(key.clone());
            }
            match counts.get_mut(&key) {
                Some(count) => *count += 1,
                None => drop(counts.insert(key, 1)),
            }
        }
        if terms.words.len() < PLACES {
            terms.words.push(None);
        }
    }
    let all: usize = counts.values().sum();
    let is_often = |count: usize| count >= OFTEN.0 && count * OFTEN.1 >= all;
    let often = counts.into_iter().filter(|(_, count)| is_often(*count)).map(|(key, _)| key);
    let in_often = in_head.iter().cloned().chain(often).collect();
    for (place, keys) in PLACED.into_iter().zip([in_title, in_head, in_often]) {
        let keys = keys.into_iter().filter(|key| spend(&mut budget, key));
        terms.marks.extend(keys.map(|key| mark(place, &key)));
    }
    terms.marks.insert(of_kind(artifact.kind));
    terms
}

/// The mark of documents of a kind.
pub(super) fn of_kind(kind: ArtifactKind) -> String {
    mark('k', kind.as_str())
}

fn keys(text: &str) -> impl Iterator<Item = String> {
    words(text).map(|word| word.key)
}

/// Whether there is room for one more word.
fn spend(budget: &mut usize, word: &str) -> bool {
    let left = budget.checked_sub(word.len() + 12); // what PostgreSQL adds to each, at most
    *budget = left.unwrap_or(*budget);
    left.is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<String> {
        keys(text).collect()
    }

    #[test]
    fn identifiers_and_paths_are_split_into_their_parts() {
        assert_eq!(
            split("claim_work(1.2.login) docs/prd.md"),
            ["claim", "work", "1", "2", "login", "docs", "prd", "md"]
        );
        assert_eq!(split("well-known don't v1.0.3"), ["well", "known", "don", "t", "v1", "0", "3"]);
    }

    #[test]
    fn case_accents_and_ways_of_writing_make_no_difference() {
        assert_eq!(
            split("Größe CAFÉ cafe\u{301} ﬁne ＡＢＣ ŀl"),
            ["große", "cafe", "cafe", "fine", "abc", "ll"]
        );
    }

    #[test]
    fn writing_without_spaces_is_found_by_its_characters() {
        assert_eq!(split("登录 flow流程"), ["登", "录", "flow", "流", "程"]);
        assert_eq!(split("ที่"), ["ท"].map(|c| format!("{c}ี่")));
        assert_eq!(split("\u{301} 🚀 — \0"), [""; 0]);
    }

    #[test]
    fn words_beyond_the_places_are_found_all_the_same() {
        let artifact = Artifact::unread(
            crate::artifacts::ArtifactId(uuid::Uuid::nil()),
            "docs/a.md",
            ArtifactKind::Other,
            chrono::DateTime::UNIX_EPOCH,
        );
        let body = "word ".repeat(PLACES) + "last ";
        let terms = terms(&artifact, Some(body.as_bytes()));
        assert_eq!(terms.words.len(), PLACES);
        assert!(terms.further.contains("last"));
        let often: Vec<_> = terms.marks.iter().filter(|mark| mark.starts_with('3')).collect();
        assert_eq!(often, ["3·a", "3·docs", "3·md", "3·word"]);
    }

    proptest! {
        #[test]
        fn any_text_is_split_into_words_that_split_no_further(text: String) {
            let mut end = 0;
            for Word { key, at } in words(&text) {
                prop_assert!(at.start >= end && !text[at.clone()].is_empty());
                end = at.end;
                prop_assert!(key.chars().all(|c| c.is_alphanumeric() || is_combining_mark(c)), "{}", key);
            }
        }

        #[test]
        fn any_document_fits_into_the_index(body: Vec<u8>) {
            let artifact = Artifact::unread(
                crate::artifacts::ArtifactId(uuid::Uuid::nil()),
                "a",
                ArtifactKind::Other,
                chrono::DateTime::UNIX_EPOCH,
            );
            prop_assert!(terms(&artifact, Some(&body)).words.len() <= PLACES);
        }
    }
}
