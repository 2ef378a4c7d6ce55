//! Versions as people write them, and how far one is behind another.

use std::{cmp::Ordering, fmt};

/// A version, by its meaning: `v1`, `1.0` and `v1.0.0` are one.
///
/// Up to three numbers, with a `v` before them or not; a missing one is 0, and one beyond 64 bits counts as the
/// greatest. `-rc.1` comes before the release as Semantic Versioning has it (case aside), and `+build` is
/// ignored. A lone number with a dash, such as `2026-Q1`, is a date or a quarter and not a pre-release. What is not
/// such a version is a text, which is equal to itself and before or after nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(Meaning);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Meaning {
    Ordered(Ordered),
    Unordered(String),
}

/// What is compared, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Ordered {
    major: u64,
    minor: u64,
    patch: u64,
    stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Stage {
    PreRelease(Vec<Identifier>),
    Release,
}

/// A part of a pre-release: numbers come before words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Word(String),
}

/// How far a version is behind another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// By so many major versions.
    Majors(u64),
    /// By minor versions of the same major one.
    Minor,
    /// By less: a patch, or a pre-release.
    Patch,
}

impl Version {
    /// Reads any text.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        Self(ordered(text).map_or_else(|| Meaning::Unordered(text.to_lowercase()), Meaning::Ordered))
    }

    /// Whether it is made of numbers, and so comes before or after others.
    pub fn is_ordered(&self) -> bool {
        matches!(self.0, Meaning::Ordered(_))
    }

    /// How it compares to another, if the two compare at all: a text only to itself.
    pub fn cmp_to(&self, other: &Self) -> Option<Ordering> {
        match (&self.0, &other.0) {
            (Meaning::Ordered(left), Meaning::Ordered(right)) => Some(left.cmp(right)),
            (left, right) => (left == right).then_some(Ordering::Equal),
        }
    }

    /// How far it is behind `current`, if it is.
    pub fn lag(&self, current: &Self) -> Option<Lag> {
        let (Meaning::Ordered(old), Meaning::Ordered(new)) = (&self.0, &current.0) else { return None };
        if old >= new {
            return None;
        }
        Some(match (new.major - old.major, new.minor == old.minor) {
            (0, true) => Lag::Patch,
            (0, false) => Lag::Minor,
            (majors, _) => Lag::Majors(majors),
        })
    }
}

/// One spelling for all of a version: `1.0.0` for `v1`, and a text in lower case. Read again, it is the same version.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ordered { major, minor, patch, stage } = match &self.0 {
            Meaning::Unordered(text) => return f.write_str(text),
            Meaning::Ordered(ordered) => ordered,
        };
        write!(f, "{major}.{minor}.{patch}")?;
        let Stage::PreRelease(identifiers) = stage else { return Ok(()) };
        for (mark, identifier) in std::iter::once('-').chain(std::iter::repeat('.')).zip(identifiers) {
            match identifier {
                Identifier::Number(number) => write!(f, "{mark}{number}")?,
                Identifier::Word(word) => write!(f, "{mark}{word}")?,
            }
        }
        Ok(())
    }
}

fn ordered(text: &str) -> Option<Ordered> {
    let bare = text.strip_prefix(['v', 'V']).map(str::trim_start);
    let (text, build) = split(bare.unwrap_or(text), '+');
    let (numbers, stage) = split(text, '-');
    if build.is_some_and(|build| identifiers(build).is_none()) {
        return None;
    }
    if stage.is_some() && bare.is_none() && !numbers.contains('.') {
        return None;
    }
    let mut parts = numbers.split('.').map(number);
    let mut next = || parts.next().unwrap_or(Some(0));
    let (major, minor, patch) = (next()?, next()?, next()?);
    let stage = stage.map_or(Some(Stage::Release), |stage| Some(Stage::PreRelease(identifiers(stage)?)))?;
    parts.next().is_none().then_some(Ordered { major, minor, patch, stage })
}

fn split(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Digits as a number; one that is too great is the greatest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn identifiers(text: &str) -> Option<Vec<Identifier>> {
    let identifier = |part: &str| {
        let is_word =
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let word = || is_word.then(|| Identifier::Word(part.to_ascii_lowercase()));
        number(part).map(Identifier::Number).or_else(word)
    };
    text.split('.').map(identifier).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text)
    }

    #[test]
    fn spellings_of_one_version_are_equal() {
        for same in [
            &["v1", "1", "1.0", "v1.0.0", "V 1", " 1.0.0 ", "01.00", "1.0.0+build.5"][..],
            &["1.10", "v1.10.0", "1.010"],
            &["2.0.0-rc.1", "v2-RC.1", "2.0-rc.01"],
            &["draft", "Draft", " DRAFT "],
            &["2026-Q1", "2026-q1"],
        ] {
            for (left, right) in same.iter().zip(&same[1..]) {
                assert_eq!(version(left), version(right), "{left} and {right}");
                assert_eq!(version(left).cmp_to(&version(right)), Some(Ordering::Equal));
                assert_eq!(version(left).lag(&version(right)), None);
            }
        }
        assert_ne!(version("1.1"), version("1.10"));
    }

    #[test]
    fn numbers_count_and_a_pre_release_comes_first() {
        let ascending = [
            "0",
            "0.9",
            "1.0-1",
            "1.0-2",
            "1.0-10",
            "1.0-alpha",
            "1.0-alpha.1",
            "1.0-alpha.beta",
            "1.0-rc",
            "1.0",
            "1.0.1",
            "1.2",
            "1.10",
            "2",
            "10",
            "20260101",
            "99999999999999999999999999999999",
        ];
        for (index, left) in ascending.iter().enumerate() {
            for right in &ascending[index + 1..] {
                assert_eq!(version(left).cmp_to(&version(right)), Some(Ordering::Less), "{left} < {right}");
                assert_eq!(version(right).cmp_to(&version(left)), Some(Ordering::Greater));
            }
        }
    }

    #[test]
    fn what_is_no_number_compares_to_nothing_else() {
        let texts = [
            "draft",
            "2026-Q1",
            "2026-01-15",
            "",
            "v",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4",
            "1.x",
            "-1",
            "1.0-",
            "1.0-a..b",
            "1+",
            "1,5",
            "1.0-é",
            "¹",
            "vv1",
            "v1 2",
        ];
        for text in texts {
            assert!(!version(text).is_ordered(), "{text}");
            for other in ["1", "other"] {
                assert_eq!(version(text).cmp_to(&version(other)), None, "{text}");
                assert_eq!(version(text).lag(&version(other)), None);
                assert_eq!(version(other).lag(&version(text)), None);
            }
        }
    }

    #[test]
    fn a_version_is_written_in_one_way_and_read_back_as_itself() {
        for (text, written) in [
            ("V 1", "1.0.0"),
            ("01.2+build", "1.2.0"),
            ("2-rc.1", "2-rc.1"),
            ("v2-RC.01.x", "2.0.0-rc.1.x"),
            (" Draft ", "draft"),
            ("99999999999999999999999", "18446744073709551615.0.0"),
        ] {
            assert_eq!(version(text).to_string(), written);
            assert_eq!(version(written), version(text));
        }
    }

    #[test]
    fn the_lag_is_the_greatest_difference() {
        for (old, new, lag) in [
            ("1", "2", Some(Lag::Majors(1))),
            ("v1.9.9", "v4", Some(Lag::Majors(3))),
            ("1.9", "2.0-rc.1", Some(Lag::Majors(1))),
            ("1.2", "1.3", Some(Lag::Minor)),
            ("1.2.9", "1.10.1", Some(Lag::Minor)),
            ("1.2", "1.2.1", Some(Lag::Patch)),
            ("1.2-rc.1", "1.2", Some(Lag::Patch)),
            ("1.2", "1.2.0", None),
            ("2", "1", None),
            ("1.2", "1.2-rc.1", None),
            ("0", "99999999999999999999", Some(Lag::Majors(u64::MAX))),
        ] {
            assert_eq!(version(old).lag(&version(new)), lag, "{old} behind {new}");
        }
    }
}
