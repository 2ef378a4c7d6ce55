//! Path patterns in the syntax of gitignore, and whether two of them can mean the same file.
//!
//! A pattern is a small automaton over bytes, as Git's own matcher is: a literal byte, one byte of a set, any number of
//! bytes of a set, or a part that may be left out. What matches a folder covers everything in it. Two patterns overlap
//! if some path is in both languages: that is decided exactly, by walking both automata at once, in a time that grows
//! with the product of their lengths. So there is neither an overlap that is missed nor, for paths without empty parts,
//! one that is made up. For that alone a pattern whose last part ends like a file's name, such as `*.rs`, means no folder:
//! else it would overlap with `*.md`, in a folder `a.rs` that nobody has.
//!
//! A pattern's prefix is the longest path, in whole parts, that everything it matches is, or is below. Two patterns can
//! only overlap if the prefix of one is that of the other or a folder above it: by that a store finds candidates.
//!
//! Not taken, because nobody can reserve by it: a pattern that takes something out (`!`), and a comment (`#`).

use std::fmt;

use crate::{
    error::{Error, Result},
    wire::is_visible,
};

/// Patterns of a list that a project keeps.
const MOST: usize = 200;
/// Characters of a pattern.
pub const LONGEST: usize = 250;

/// The bit of what parts a path, among the first 64 bytes.
const SLASH: u64 = 1 << 47;

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Set([u64; 4]);

impl Set {
    const NONE: Self = Self([0; 4]);
    const ALL: Self = Self([u64::MAX; 4]);
    /// All that a name in a folder may have.
    const NAME: Self = Self([!SLASH, u64::MAX, u64::MAX, u64::MAX]);

    fn only(byte: u8) -> Self {
        let mut set = Self::NONE;
        set.add(byte);
        set
    }

    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1_u64 << (byte & 63);
    }

    fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    fn inverted(self) -> Self {
        Self(self.0.map(|bits| !bits))
    }

    fn meets(self, other: Self) -> bool {
        self.and(other) != Self::NONE
    }
}

/// One step of an automaton.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// One byte of a set.
    One(Set),
    /// Any number of bytes of a set.
    Many(Set),
    /// The next so many steps may be left out.
    Maybe(usize),
}

/// A pattern that was understood.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    steps: Vec<Step>,
    prefix: String,
    is_exact: bool,
    /// How many of the last steps are for what is in a folder that is called like a file.
    is_unlikely: usize,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `invalid_request` at `pointer`, saying what would be right.
    pub fn parse(pointer: &str, text: &str) -> Result<Self> {
        Self::read(text).map_err(|why| Error::invalid_field(pointer, why))
    }

    fn read(text: &str) -> Result<Self, String> {
        let text = without_spaces(text);
        let is_fit = text.chars().count() <= LONGEST && text.chars().all(is_visible);
        if text.is_empty() || !is_fit || text.contains(['\n', '\t']) {
            return Err(format!(
                "a pattern has 1 to {LONGEST} characters on one line, none of them invisible"
            ));
        }
        if text.starts_with(['!', '#', ' ']) {
            return Err(
                "a pattern names what is meant: it begins with neither `!`, `#` nor a space; write `\\!` \
                        for a name that does"
                    .to_owned(),
            );
        }
        let (body, is_folder) = match text.strip_suffix('/') {
            Some(body) => (body, true),
            None => (text, false),
        };
        let is_anchored = body.contains('/');
        let parts: Vec<&str> = body.strip_prefix('/').unwrap_or(body).split('/').collect();
        if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return Err(
                "a pattern is a path from the repository's root without empty parts, `.` and `..`".to_owned()
            );
        }
        let (mut steps, mut literal) = (Vec::new(), Vec::new());
        let mut is_literal = is_anchored;
        if !is_anchored {
            steps.extend(ANYWHERE);
        }
        for (at, part) in parts.iter().enumerate() {
            let is_last = at + 1 == parts.len();
            if is_anchored && part.len() >= 2 && part.bytes().all(|byte| byte == b'*') {
                is_literal = false;
                match is_last {
                    true => steps.extend([Step::One(Set::NAME), Step::Many(Set::ALL)]),
                    false => steps.extend(ANYWHERE),
                }
                continue;
            }
            let name = name(part.as_bytes(), &mut steps)
                .ok_or("a `[` needs a `]` behind it, and a `\\` the character that it stands before")?;
            match name {
                Some(name) if is_literal => literal.push(name),
                _ => is_literal = false,
            }
            if !is_last {
                steps.push(Step::One(Set::only(b'/')));
            }
        }
        // What is in a folder that matches is covered, too.
        if !is_folder {
            steps.push(Step::Maybe(2));
        }
        steps.extend([Step::One(Set::only(b'/')), Step::Many(Set::ALL)]);
        let is_unlikely =
            if !is_folder && parts.last().is_some_and(|part| is_like_a_file(part)) { 3 } else { 0 };
        Ok(Self { text: text.to_owned(), steps, prefix: literal.join("/"), is_exact: false, is_unlikely })
    }

    /// One file, by its path from the repository's root, whatever characters that has.
    pub fn file(path: &str) -> Self {
        let steps = path.bytes().map(|byte| Step::One(Set::only(byte))).collect();
        Self { text: path.to_owned(), steps, prefix: path.to_owned(), is_exact: true, is_unlikely: 0 }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The longest path, in whole parts, that everything it matches is or is below; empty for the root.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it is one file, below which there is nothing.
    pub fn is_file(&self) -> bool {
        self.is_exact
    }

    /// The folders above its prefix, the root last.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        fn above(path: &str) -> Option<&str> {
            match path.rfind('/') {
                Some(end) => Some(&path[..end]),
                None => (!path.is_empty()).then_some(""),
            }
        }
        std::iter::successors(above(&self.prefix), |path| above(path))
    }

    /// Whether it covers a file.
    pub fn matches(&self, path: &str) -> bool {
        let file = Self::file(path);
        self.is_near(&file) && meet(&self.steps, &file.steps)
    }

    /// Whether some file can be meant by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.is_near(other) && meet(self.likely(), other.likely())
    }

    /// Its steps, but for those that only a folder needs which is called like a file.
    fn likely(&self) -> &[Step] {
        &self.steps[..self.steps.len() - self.is_unlikely]
    }

    /// Whether its prefix is, is above or is below that of another.
    fn is_near(&self, other: &Self) -> bool {
        let is_within = |inner: &str, outer: &str| {
            let rest = inner.strip_prefix(outer);
            outer.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        is_within(&self.prefix, &other.prefix) || is_within(&other.prefix, &self.prefix)
    }
}

/// Checks a list of patterns that may be empty.
///
/// # Errors
/// `invalid_request`, at the place below `pointer` of what is no pattern, or at `pointer` for too many.
pub fn check(pointer: &str, texts: &[String]) -> Result<()> {
    if texts.len() > MOST {
        return Err(Error::invalid_field(pointer, format!("has to be at most {MOST} patterns")));
    }
    texts
        .iter()
        .enumerate()
        .try_for_each(|(at, text)| Pattern::parse(&format!("{pointer}/{at}"), text).map(drop))
}

/// Whether the last part of a pattern ends like the name of a file: with a dot and letters behind its last wildcard.
fn is_like_a_file(part: &str) -> bool {
    let end = part.rsplit(['*', '?', ']']).next().unwrap_or(part);
    let is_begin = end.len() == part.len();
    end.rfind('.').is_some_and(|dot| !(is_begin && dot == 0) && dot + 1 < end.len())
}

/// Any folder, or none.
const ANYWHERE: [Step; 3] = [Step::Maybe(2), Step::Many(Set::ALL), Step::One(Set([SLASH, 0, 0, 0]))];

/// A pattern without the spaces at its end, of which one stays that is behind a backslash.
fn without_spaces(text: &str) -> &str {
    let cut = text.trim_end_matches([' ', '\r', '\n']);
    let is_escaped = cut.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
    match is_escaped && text[cut.len()..].starts_with(' ') {
        true => &text[..=cut.len()],
        false => cut,
    }
}

/// Adds the steps of one part of a path. Gives the part itself if it has no wildcard; nothing at all for what is none.
fn name(part: &[u8], steps: &mut Vec<Step>) -> Option<Option<String>> {
    let (mut at, mut literal) = (0, Some(Vec::new()));
    while let Some(byte) = part.get(at).copied() {
        at += 1;
        let step = match byte {
            b'*' => Step::Many(Set::NAME),
            b'?' => Step::One(Set::NAME),
            b'[' => {
                let (set, behind) = class(part, at)?;
                at = behind;
                Step::One(set)
            }
            _ => {
                let meant = match byte {
                    b'\\' => {
                        at += 1;
                        *part.get(at - 1)?
                    }
                    byte => byte,
                };
                if let Some(literal) = &mut literal {
                    literal.push(meant);
                }
                steps.push(Step::One(Set::only(meant)));
                continue;
            }
        };
        literal = None;
        if steps.last() != Some(&step) || matches!(step, Step::One(_)) {
            steps.push(step);
        }
    }
    Some(literal.and_then(|literal| String::from_utf8(literal).ok()))
}

/// A set in brackets, read from behind the first of them; gives what is in it, and where it ends.
fn class(text: &[u8], mut at: usize) -> Option<(Set, usize)> {
    let is_negated = matches!(text.get(at), Some(b'!' | b'^'));
    at += usize::from(is_negated);
    let (mut set, mut before, mut is_first) = (Set::NONE, None, true);
    loop {
        let byte = *text.get(at)?;
        at += 1;
        match (byte, before) {
            (b']', _) if !is_first => break,
            (b'-', Some(begin)) if text.get(at).is_some_and(|next| *next != b']') => {
                let mut end = *text.get(at)?;
                at += 1;
                if end == b'\\' {
                    end = *text.get(at)?;
                    at += 1;
                }
                (begin..=end).for_each(|byte| set.add(byte));
                before = None;
            }
            (b'[', _) if text.get(at) == Some(&b':') => {
                let end = at + 1 + text[at + 1..].iter().position(|byte| *byte == b']')?;
                match text[at + 1..end].strip_suffix(b":") {
                    Some(named) => {
                        set = set.or(posix(named)?);
                        (before, at) = (None, end + 1);
                    }
                    None => {
                        set.add(b'[');
                        before = Some(b'[');
                    }
                }
            }
            (b'\\', _) => {
                let escaped = *text.get(at)?;
                at += 1;
                set.add(escaped);
                before = Some(escaped);
            }
            _ => {
                set.add(byte);
                before = Some(byte);
            }
        }
        is_first = false;
    }
    let set = if is_negated { set.inverted() } else { set };
    Some((set.and(Set::NAME), at))
}

/// The bytes of a class that POSIX names.
fn posix(name: &[u8]) -> Option<Set> {
    let is_in: fn(&u8) -> bool = match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    };
    let mut set = Set::NONE;
    (0..=u8::MAX).filter(is_in).for_each(|byte| set.add(byte));
    Some(set)
}

/// Whether two automata take a text in common: whether their ends can be reached together.
fn meet(one: &[Step], other: &[Step]) -> bool {
    let width = other.len() + 1;
    let mut seen = vec![false; (one.len() + 1) * width];
    let mut todo = vec![(0, 0)];
    while let Some((a, b)) = todo.pop() {
        if a > one.len() || b > other.len() || std::mem::replace(&mut seen[a * width + b], true) {
            continue;
        }
        if (a, b) == (one.len(), other.len()) {
            return true;
        }
        let (here, there) = (one.get(a), other.get(b));
        match here {
            Some(Step::Maybe(skipped)) => {
                todo.extend([(a + 1, b), (a + 1 + skipped, b)]);
                continue;
            }
            Some(Step::Many(_)) => todo.push((a + 1, b)),
            _ => {}
        }
        match there {
            Some(Step::Maybe(skipped)) => {
                todo.extend([(a, b + 1), (a, b + 1 + skipped)]);
                continue;
            }
            Some(Step::Many(_)) => todo.push((a, b + 1)),
            _ => {}
        }
        match (here, there) {
            (Some(Step::One(x)), Some(Step::One(y))) if x.meets(*y) => todo.push((a + 1, b + 1)),
            (Some(Step::One(x)), Some(Step::Many(y))) if x.meets(*y) => todo.push((a + 1, b)),
            (Some(Step::Many(x)), Some(Step::One(y))) if x.meets(*y) => todo.push((a, b + 1)),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests;
