//! Texts that people and agents give: a name, a title, a comment.
//!
//! What is stored can be seen. Characters that are drawn as nothing, turn the text around or control a terminal are
//! refused, because the same text is shown to people, printed by programs and read by models.

use crate::{
    error::{Error, Result},
    wire::is_visible,
};

/// A text on one line, of 1 to `most` characters.
///
/// # Errors
/// `invalid_request` at `pointer`, saying what would be right.
pub(crate) fn parse_line(pointer: &str, text: &str, most: usize) -> Result<String> {
    let line = text.trim();
    let is_fit =
        line.chars().count() <= most && line.chars().all(|c| c == ' ' || (is_fit(c) && !c.is_whitespace()));
    match is_seen(line) && is_fit {
        true => Ok(line.to_owned()),
        false => Err(Error::invalid_field(
            pointer,
            format!("has to be 1 to {most} characters on one line, none of them invisible"),
        )),
    }
}

/// A text of any lines, of 1 to `most` characters.
///
/// # Errors
/// `invalid_request` at `pointer`, saying what would be right.
pub(crate) fn parse_text(pointer: &str, text: &str, most: usize) -> Result<String> {
    let text = text.replace("\r\n", "\n").trim().to_owned();
    match is_seen(&text) && text.chars().count() <= most && text.chars().all(is_fit) {
        true => Ok(text),
        false => Err(Error::invalid_field(
            pointer,
            format!("has to be 1 to {most} characters, none of them invisible"),
        )),
    }
}

/// The beginning of a text that anybody wrote, as a line of at most `most` characters without what cannot be seen; none if
/// nothing is left.
pub(crate) fn to_line(text: &str, most: usize) -> Option<String> {
    let text = text.replace("\r\n", "\n");
    let spaced = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c });
    let seen: String = spaced.filter(|c| is_fit(*c) && !c.is_control()).collect();
    let line = seen.trim();
    if !is_seen(line) {
        return None;
    }
    Some(match line.char_indices().nth(most) {
        Some(_) => line.chars().take(most - 1).chain(['…']).collect(),
        None => line.to_owned(),
    })
}

fn is_seen(text: &str) -> bool {
    text.chars().any(|c| is_visible(c) && !c.is_whitespace())
}

/// Persian and emoji are joined by what cannot be seen itself.
fn is_fit(c: char) -> bool {
    is_visible(c) || matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_something_and_hides_nothing() {
        for (given, taken) in [
            ("  known, see the roadmap \n", "known, see the roadmap"),
            ("one\r\ntwo\tthree", "one\ntwo\tthree"),
            ("می\u{200c}خواهم ❤\u{fe0f}", "می\u{200c}خواهم ❤\u{fe0f}"),
        ] {
            assert_eq!(parse_text("/text", given, 1000).ok().as_deref(), Some(taken));
        }
        for bad in ["", " \n", "\u{200d}", "a\u{202e}b", "a\0b", "a\u{e0041}b", &"x".repeat(1001)] {
            let error = parse_text("/text", bad, 1000).expect_err("refused");
            assert_eq!(error.fields[0].pointer, "/text", "{bad:?}");
            assert!(parse_line("/title", bad, 1000).is_err(), "{bad:?}");
        }
        assert_eq!(parse_line("/title", " Sign in ", 7).ok().as_deref(), Some("Sign in"));
        for bad in ["a\nb", "a\tb", "12345678"] {
            assert!(parse_line("/title", bad, 7).is_err(), "{bad:?}");
        }
    }
}
