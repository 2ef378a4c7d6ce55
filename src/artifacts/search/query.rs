//! What somebody types, as what is looked for.
//!
//! Words, all of which a document must have; `"words in quotes"`, which must stand next to each other, as must the parts
//! of `claim_work`; `-word` and `-"a phrase"`, which it must not have. `log*` is any word that begins so, and so is the
//! last word, as long as it is neither quoted nor negated, because somebody may still be typing it. There are no other
//! operators: whatever else is typed separates words.

use super::words::{PLACED, of_kind, words};
use crate::{
    artifacts::ArtifactKind,
    database::search::{Term, Wanted, mark},
    error::{Error, Result},
};

/// Characters of a query.
const LONGEST: usize = 500;
/// Words of a query.
const MOST: usize = 16;
/// Letters of the beginning of a word. Fewer would find nearly everything, and take long for it.
const PREFIX: usize = 3;

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// What a document must have.
    pub(super) wanted: Vec<Term>,
    /// What it must not have.
    unwanted: Vec<Term>,
}

/// A part of a query as it is typed.
struct Piece<'q> {
    text: &'q str,
    is_quoted: bool,
    is_negated: bool,
    is_prefix: bool,
}

impl Query {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// `invalid_request` for a query without a word to look for, and for one that asks too much.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.chars().count() > LONGEST {
            return Err(refused(format!("a query has at most {LONGEST} characters; look for fewer words")));
        }
        let pieces = pieces(text);
        let mut query = Self::default();
        let last = pieces.len().saturating_sub(1);
        for (at, piece) in pieces.into_iter().enumerate() {
            let words: Vec<_> = words(piece.text).map(|word| word.key).collect();
            let Some(end) = words.last() else { continue };
            let may_be_prefix = end.chars().count() >= PREFIX;
            if piece.is_prefix && !may_be_prefix {
                let why = "is too short: before a * there have to be at least three letters or digits";
                return Err(refused(format!("`{}*` {why}", piece.text)));
            }
            let is_unfinished = at == last && !piece.is_quoted && !piece.is_negated && may_be_prefix;
            let term = Term { words, is_prefix: piece.is_prefix || is_unfinished };
            if piece.is_negated { query.unwanted.push(term) } else { query.wanted.push(term) }
        }
        let count: usize = query.wanted.iter().chain(&query.unwanted).map(|term| term.words.len()).sum();
        if count > MOST {
            return Err(refused(format!(
                "a query has at most {MOST} words, and this one has {count}; leave some out"
            )));
        }
        match query.wanted.is_empty() {
            true => Err(refused("say at least one word to look for, of letters or digits".to_owned())),
            false => Ok(query),
        }
    }

    /// How many ranks there are: words in the title; in the title, path or headings; also those that are there often;
    /// anywhere.
    pub(super) const RANKS: usize = PLACED.len() + 1;

    /// What documents of a rank have that those of the ranks before do not.
    pub(super) fn of_rank(&self, rank: usize, kind: Option<ArtifactKind>) -> Wanted {
        let is_word = |term: &&Term| term.words.len() == 1;
        let placed = |rank: usize| {
            PLACED.get(rank).map(|place| self.words().map(|term| term.marked(*place)).collect())
        };
        let mut all: Vec<Term> = match placed(rank) {
            // Who has the mark has the word.
            Some(placed) => {
                [placed, self.wanted.iter().filter(|term| !is_word(term)).cloned().collect()].concat()
            }
            None => self.wanted.clone(),
        };
        all.extend(kind.map(|kind| Term { words: vec![of_kind(kind)], is_prefix: false }));
        let not_all = rank.checked_sub(1).and_then(placed).unwrap_or_default();
        Wanted { all, none: self.unwanted.clone(), not_all }
    }

    /// Each word that a document must have.
    fn words(&self) -> impl Iterator<Item = Term> {
        self.wanted.iter().flat_map(|term| {
            let last = term.words.len() - 1;
            let one = move |(at, word): (usize, &String)| Term {
                words: vec![word.clone()],
                is_prefix: term.is_prefix && at == last,
            };
            term.words.iter().enumerate().map(one)
        })
    }
}

impl Term {
    fn marked(self, place: char) -> Self {
        Self { words: self.words.iter().map(|word| mark(place, word)).collect(), ..self }
    }
}

/// Cuts a query where it is quoted or spaced; a quote that is not closed goes on to the end.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (is_negated, begun) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
        let (is_quoted, text, behind) = match begun.strip_prefix('"') {
            Some(quoted) => {
                let (text, behind) = quoted.split_once('"').unwrap_or((quoted, ""));
                (true, text, behind)
            }
            None => {
                let end = begun.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(begun.len());
                (false, &begun[..end], &begun[end..])
            }
        };
        let after_star = if is_quoted { behind.strip_prefix('*') } else { None };
        let open = text.trim_end_matches('*');
        let is_prefix = if is_quoted { after_star.is_some() } else { open.len() < text.len() };
        pieces.push(Piece { text: if is_quoted { text } else { open }, is_quoted, is_negated, is_prefix });
        rest = after_star.unwrap_or(behind).trim_start();
    }
    pieces
}

fn refused(why: String) -> Error {
    Error::invalid_field("/query", why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Terms as they could be typed.
    fn told(terms: &[Term]) -> Vec<String> {
        let told = |term: &Term| term.words.join(" ") + if term.is_prefix { "*" } else { "" };
        terms.iter().map(told).collect()
    }

    #[test]
    fn what_is_typed_is_understood() {
        for (text, wanted, unwanted) in [
            ("sign in", vec!["sign", "in"], vec![]),
            ("Claim_Work", vec!["claim work*"], vec![]),
            ("log* \"sign  in\" -draft -\"not yet\"", vec!["log*", "sign in"], vec!["draft", "not yet"]),
            ("\"claim wor\"* docs/prd.md", vec!["claim wor*", "docs prd md"], vec![]),
            ("an \"open phrase", vec!["an", "open phrase"], vec![]),
            ("--x gate AND NOT a:b", vec!["gate", "and", "not", "a b"], vec!["x"]),
            ("a\"b c\"d", vec!["a", "b c", "d"], vec![]),
            ("登录", vec!["登 录"], vec![]),
            ("well - known", vec!["well", "known*"], vec![]),
        ] {
            let query = Query::parse(text).expect(text);
            assert_eq!(told(&query.wanted), wanted, "{text}");
            assert_eq!(told(&query.unwanted), unwanted, "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in [
            "",
            " ",
            "*",
            "\"",
            "\"\"",
            "-",
            "-draft",
            "🚀",
            "ab*",
            "()",
            "\0",
            &"a ".repeat(17),
            &"a".repeat(501),
        ] {
            let refused = Query::parse(text).expect_err(text);
            assert_eq!(refused.fields[0].pointer, "/query", "{text}");
        }
    }

    #[test]
    fn each_rank_leaves_out_what_the_ranks_before_have() {
        let query = Query::parse("gate \"sign in\" -x").expect("a query");
        let rank = |rank| query.of_rank(rank, Some(ArtifactKind::Qa));
        assert_eq!(told(&rank(0).all), ["1·gate", "1·sign", "1·in", "sign in", "k·qa"]);
        assert_eq!((rank(0).not_all, told(&rank(0).none)), (vec![], vec!["x".to_owned()]));
        assert_eq!(told(&rank(3).all), ["gate", "sign in", "k·qa"]);
        assert_eq!(told(&rank(3).not_all), ["3·gate", "3·sign", "3·in"]);
    }

    proptest! {
        #[test]
        fn whatever_is_typed_names_words_and_never_a_mark(text: String) {
            if let Ok(query) = Query::parse(&text) {
                for term in query.wanted.iter().chain(&query.unwanted) {
                    prop_assert!(!term.words.is_empty());
                    prop_assert!(term.words.iter().all(|word| !word.is_empty() && !word.contains(['·', '"', '\'', ' '])));
                }
            }
        }
    }
}
