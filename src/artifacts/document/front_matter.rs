//! The YAML block at the beginning of a Markdown text.

/// Where a text's front-matter is, and where its body begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FrontMatter<'t> {
    /// What is between the lines; it begins at line 2.
    pub(super) block: Option<&'t str>,
    /// The text after it.
    pub(super) body: &'t str,
    /// Whether there is an opening line only, so that all of it is body.
    pub(super) unclosed: bool,
}

/// Splits a text with line feeds and without a byte order mark: `---` opens the block, `---` or `...` closes it.
pub(super) fn split(text: &str) -> FrontMatter<'_> {
    let mut lines = text.split_inclusive('\n');
    let Some(opening) = lines.next().filter(|line| line.trim_end() == "---") else {
        return FrontMatter { block: None, body: text, unclosed: false };
    };
    let mut end = opening.len();
    for line in lines {
        if matches!(line.trim_end(), "---" | "...") {
            let (block, body) = (&text[opening.len()..end], &text[end + line.len()..]);
            return FrontMatter { block: Some(block), body, unclosed: false };
        }
        end += line.len();
    }
    FrontMatter { block: None, body: text, unclosed: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_closing_line_ends_the_block() {
        for closing in ["---", "...", "---  \t"] {
            let text = format!("--- \nversion: 2\n{closing}\n# Goals\n");
            let found = split(&text);
            assert_eq!((found.block, found.body), (Some("version: 2\n"), "# Goals\n"));
        }
    }

    #[test]
    fn only_the_very_beginning_counts() {
        for text in ["\n---\na: 1\n---\n", " ---\na: 1\n---\n", "----\na: 1\n---\n", "--- a\n---\n", ""] {
            assert_eq!(split(text), FrontMatter { block: None, body: text, unclosed: false });
        }
    }

    #[test]
    fn without_a_closing_line_all_is_body() {
        for text in ["---", "---\n", "---\ntitle: a\n", "---\n ---\n"] {
            assert_eq!(split(text), FrontMatter { block: None, body: text, unclosed: true });
        }
    }

    #[test]
    fn a_block_may_be_empty_or_all_there_is() {
        assert_eq!(split("---\n---").block, Some(""));
        assert_eq!(split("---\na: 1\n---").block, Some("a: 1\n"));
    }
}
