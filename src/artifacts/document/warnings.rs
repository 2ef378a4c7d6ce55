//! What is wrong with a document, told briefly.

use super::text;

/// How many are kept.
const MOST: usize = 20;

/// The longest one, in characters.
const LONGEST: usize = 180;

/// Collects what is wrong; keeps the first few and counts the rest.
#[derive(Default)]
pub(super) struct Warnings {
    kept: Vec<String>,
    more: usize,
}

impl Warnings {
    /// Adds one, made safe to show.
    pub(super) fn push(&mut self, warning: impl AsRef<str>) {
        if self.kept.len() < MOST {
            self.kept.push(text::shortened(warning.as_ref(), LONGEST));
        } else {
            self.more += 1;
        }
    }

    /// All that were kept, and how many were not.
    pub(super) fn into_list(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("and {} more", self.more));
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_are_kept_and_the_rest_is_counted() {
        let mut warnings = Warnings::default();
        (0..50).for_each(|n| warnings.push(format!("warning {n}")));
        let list = warnings.into_list();
        assert_eq!((list.len(), list[19].as_str(), list[20].as_str()), (21, "warning 19", "and 30 more"));
    }

    #[test]
    fn a_warning_is_one_short_line() {
        let mut warnings = Warnings::default();
        warnings.push(format!("path: `\u{1b}[31m\n{}`", "é".repeat(500)));
        let list = warnings.into_list();
        assert!(list[0].starts_with("path: `[31m éé") && list[0].ends_with('…'), "{}", list[0]);
        assert!(list[0].chars().count() < 200);
    }
}
