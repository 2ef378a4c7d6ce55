//! The part of a text that shows why it was found.
//!
//! It is the part with most of what was looked for, about 200 characters of it on one line, cut between words. What
//! was looked for stands between `**` and `**`; where the text itself has `**`, that is left out. `…` says that
//! there is more. A text in which nothing of it stands (it may stand in the title) is shown from its beginning.

use super::words::{Word, words};
use crate::{database::search::Term, wire::is_visible};

/// Characters of a snippet, without what marks matches.
const LENGTH: usize = 200;
/// Characters that are shown before the first match.
const BEFORE: usize = 50;
/// Bytes of a text that are looked at.
const LOOKED_AT: usize = 256 << 10;
/// Matches that are looked at.
const MATCHES: usize = 500;

/// A place in a text where a term stands.
#[derive(Clone, Copy)]
struct Match {
    start: usize,
    end: usize,
    term: usize,
}

/// The part of a text that has most of the terms.
pub(super) fn snippet(text: &str, terms: &[Term]) -> String {
    let text = &text[..text.floor_char_boundary(LOOKED_AT)];
    let words: Vec<_> = words(text).collect();
    let matches = matches(&words, terms);
    let start =
        best(text, &matches).map_or(beginning(text), |first| before(text, &words, matches[first].start));
    shown(text, start, &matches)
}

fn matches(words: &[Word], terms: &[Term]) -> Vec<Match> {
    let stands = |at: usize, term: &Term| {
        let last = term.words.len() - 1;
        words.get(at..at + term.words.len()).is_some_and(|words| {
            words.iter().zip(&term.words).enumerate().all(|(at, (word, wanted))| {
                match term.is_prefix && at == last {
                    true => word.key.starts_with(&**wanted),
                    false => word.key == *wanted,
                }
            })
        })
    };
    let at = |at: usize| {
        let found = terms.iter().enumerate().filter(move |(_, term)| stands(at, term));
        found.map(move |(term, it)| Match {
            start: words[at].at.start,
            end: words[at + it.words.len() - 1].at.end,
            term,
        })
    };
    (0..words.len()).flat_map(at).take(MATCHES).collect()
}

/// The match to begin with, so that most terms can be seen, and most of their matches.
fn best(text: &str, matches: &[Match]) -> Option<usize> {
    let worth = |first: usize| {
        let begin = matches[first].start;
        let end = text[begin..].char_indices().nth(LENGTH - BEFORE).map_or(text.len(), |(at, _)| begin + at);
        let seen = matches[first..].iter().take_while(|it| it.start < end).filter(|it| it.end <= end);
        let (mut terms, mut count) = (Vec::new(), 0);
        for it in seen {
            count += 1;
            if !terms.contains(&it.term) {
                terms.push(it.term);
            }
        }
        (terms.len(), count)
    };
    (0..matches.len()).rev().max_by_key(|first| worth(*first))
}

/// Where the few words before a place begin; they are all there are if no others come before them.
fn before(text: &str, words: &[Word], place: usize) -> usize {
    let back = text[..place].char_indices().rev().take(BEFORE).last().map_or(place, |(at, _)| at);
    let first = words.partition_point(|word| word.at.start < back);
    match words.get(first) {
        Some(word) if first > 0 => {
            let space = text[..word.at.start].rfind(char::is_whitespace).map_or(0, |at| at + 1);
            text.ceil_char_boundary(space.max(back))
        }
        _ => 0,
    }
}

/// Whether anything of a character is seen, if only as a space.
fn is_shown(c: &char) -> bool {
    c.is_whitespace() || is_visible(*c)
}

/// Where a text begins behind its front-matter.
fn beginning(text: &str) -> usize {
    let Some(front) = text.strip_prefix("---\n") else { return 0 };
    front.find("\n---\n").map_or(0, |end| "---\n".len() + end + "\n---\n".len())
}

/// A text from a place on, as far as it goes, on one line.
fn shown(text: &str, start: usize, matches: &[Match]) -> String {
    let mut shown = String::new();
    if start != 0 && start != beginning(text) {
        shown.push('…');
    }
    let mut inside: Option<usize> = None;
    // Behind which word it is cut if it has to be.
    let (mut count, mut cut) = (0, None);
    let mut is_cut = false;
    for (at, c) in text[start..].char_indices().map(|(at, c)| (start + at, c)) {
        if inside.is_some_and(|end| at >= end) {
            shown.push_str("**");
            inside = None;
        }
        if count >= LENGTH && (inside.is_none() || count >= 2 * LENGTH) {
            is_cut = true;
            break;
        }
        if inside.is_none()
            && let Some(end) = matches.iter().filter(|it| it.start == at).map(|it| it.end).max()
        {
            shown.push_str("**");
            inside = Some(end);
        }
        let is_mark = c == '*' && {
            let is_star = |beside: Option<char>| beside == Some('*');
            is_star(text[at + 1..].chars().find(is_shown)) || is_star(text[..at].chars().rfind(is_shown))
        };
        if c.is_whitespace() {
            if inside.is_none() {
                cut = Some(shown.len());
            }
            if !shown.is_empty() && !shown.ends_with([' ', '…']) {
                shown.push(' ');
                count += 1;
            }
        } else if is_visible(c) && !is_mark {
            shown.push(c);
            count += 1;
        }
    }
    if inside.is_some() {
        shown.push_str("**");
    } else if is_cut && let Some(cut) = cut.filter(|cut| *cut > shown.len() / 2) {
        shown.truncate(cut);
    }
    shown.truncate(shown.trim_end().len());
    if is_cut {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::artifacts::search::query::Query;

    fn of(text: &str, query: &str) -> String {
        snippet(text, &Query::parse(query).expect("a query").wanted)
    }

    #[test]
    fn what_was_looked_for_is_marked() {
        assert_eq!(
            of("# Sign in\n\nA *passkey* is **enough**.", "passk enough"),
            "# Sign in A *passkey* is **enough**."
        );
        assert_eq!(
            of("Use `claim_work` to claim work; work on.", "claim_work"),
            "Use `**claim_work**` to **claim work**; work on."
        );
        assert_eq!(of("*\u{180b}*a", "a"), "**a**", "a mark is one for whoever reads it");
        assert_eq!(of("Cafés 登录流程", "cafes 录流"), "**Cafés** 登**录流**程");
    }

    #[test]
    fn the_part_with_most_of_it_is_shown() {
        let text = format!("one {} one two {} two", "x ".repeat(500), "y ".repeat(500));
        let shown = of(&text, "\"two\" one -z");
        assert!(shown.starts_with("…x x ") && shown.contains("**one** **two** y y"), "{shown}");
        assert!(shown.ends_with("y…") && shown.chars().count() < LENGTH + 20, "{shown}");
    }

    #[test]
    fn a_text_without_it_is_shown_from_its_beginning() {
        let text = format!("---\nversion: 1\n---\n# Rocket\n\nIt flies. {}", "On. ".repeat(200));
        let shown = of(&text, "absent");
        assert!(shown.starts_with("# Rocket It flies. On.") && shown.ends_with("On.…"), "{shown}");
        assert_eq!(of("", "absent"), "");
    }

    proptest! {
        #[test]
        fn any_text_has_a_snippet_on_one_line(text in "(\\PC|\n|a|\\*){0,600}", query in "[a-c]{1,3}( [a-c]{1,3}){0,3}") {
            let shown = of(&text, &query);
            prop_assert!(!shown.contains('\n'));
            prop_assert_eq!(shown.matches("**").count() % 2, 0, "{}", shown);
        }
    }
}
