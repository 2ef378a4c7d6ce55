//! Text from outside, made fit for a model: what cannot be seen is taken out.
//!
//! Commit messages, titles and names come from whoever could push. A person who reads them sees what is there; a model
//! also reads zero-width characters, tags and overrides of writing direction, which is how instructions are smuggled
//! past people.

use std::borrow::Cow;

use serde_json::Value;

use crate::wire::is_visible;

/// A text without invisible characters.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    // Most texts are of these bytes only, which a processor looks at many at a time.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n'));
    if is_plain || text.chars().all(is_visible) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|character| is_visible(*character)).collect())
}

/// Takes invisible characters out of every text in a value, names included, and cuts texts longer than `most`
/// characters, saying so.
pub(super) fn clean(value: &mut Value, most: usize) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(clean) = visible(text) {
                *text = clean;
            }
            if text.len() > most
                && let Some((end, _)) = text.char_indices().nth(most)
            {
                let left = text[end..].chars().count();
                text.truncate(end);
                text.push_str(&format!("… ({left} more characters)"));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| clean(item, most)),
        Value::Object(fields) => {
            if fields.keys().any(|name| matches!(visible(name), Cow::Owned(_))) {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, value)| (visible(&name).into_owned(), value))
                    .collect();
            }
            fields.values_mut().for_each(|value| clean(value, most));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_seen_is_taken_out_and_what_can_stays() {
        assert_eq!(visible("fix\u{202e}cod\u{200b}e\u{e0041}"), "fixcode");
        let seen = "Größe, 試験,\tعربي: 🚀\nnew line";
        assert!(matches!(visible(seen), Cow::Borrowed(text) if text == seen));
    }

    #[test]
    fn names_and_nested_texts_are_cleaned_and_cut() {
        let mut value = json!({"a\u{200b}": ["x".repeat(12), {"b": "y\u{2066}z"}]});
        clean(&mut value, 10);
        assert_eq!(value, json!({"a": [format!("{}… (2 more characters)", "x".repeat(10)), {"b": "yz"}]}));
    }

    proptest! {
        #[test]
        fn cleaning_again_changes_nothing(text: String) {
            let once = visible(&text).into_owned();
            prop_assert_eq!(visible(&once), once.clone());
        }
    }
}
