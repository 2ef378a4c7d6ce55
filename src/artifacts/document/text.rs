//! Texts that strangers wrote, made fit to keep and to show.

use std::borrow::Cow;

/// The longest title that is kept, in characters.
pub(super) const TITLE_CHARS: usize = 300;

/// The longest version.
pub(super) const VERSION_CHARS: usize = 50;

/// The longest name of whoever made something.
pub(super) const CREATED_BY_CHARS: usize = 200;

/// The longest status.
pub(super) const STATUS_CHARS: usize = 100;

/// The longest reason.
pub(super) const REASON_CHARS: usize = 500;

/// The text on one line without control characters, trimmed, and cut after `most` characters.
pub(super) fn cleaned(text: &str, most: usize) -> String {
    let mut shown: String = visible(text).take(most).collect();
    shown.truncate(shown.trim_end().len());
    shown
}

/// The same; one that is cut ends in `…`.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let mut shown = cleaned(text, most);
    if visible(text).nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// What can be seen of a text: white space of any kind is a space, what controls a terminal or the direction of
/// writing is left out.
fn visible(text: &str) -> impl Iterator<Item = char> {
    text.trim()
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'))
        .skip_while(|c| *c == ' ')
}

/// The text with every line ending as a line feed.
pub(super) fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_trimmed_line_that_ends_at_a_character() {
        assert_eq!(cleaned("  a\tb\r\nc\u{0}d\u{202E} ", 100), "a b  cd");
        assert_eq!(cleaned("żółw", 3), "żół");
        assert_eq!(cleaned("ab cd", 3), "ab");
        assert_eq!(shortened("abcd", 4), "abcd");
        assert_eq!(shortened("abcde", 4), "abcd…");
    }

    #[test]
    fn every_line_ending_becomes_a_line_feed() {
        assert_eq!(with_line_feeds("a\r\nb\rc\nd"), "a\nb\nc\nd");
    }
}
