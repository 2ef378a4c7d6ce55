//! What patterns mean, beside what Git's documentation says of them.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse("/paths/0", text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_pattern_covers_what_gitignore_says() {
    for (text, covered, others) in [
        (
            "src/main.rs",
            &["src/main.rs", "src/main.rs/x"][..],
            &["main.rs", "a/src/main.rs", "src/main.rss"][..],
        ),
        ("*.rs", &["a.rs", "src/b.rs", "x.rs/y"], &["a.rst", "rs"]),
        ("/*.rs", &["a.rs"], &["src/b.rs"]),
        ("src/", &["src/a", "x/src/b/c"], &["src", "srcs/a"]),
        ("/src/", &["src/a"], &["x/src/b"]),
        ("src/**", &["src/a", "src/a/b"], &["src", "x/src/a"]),
        ("**/docs", &["docs", "a/docs/b", "a/b/docs"], &["docs2"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b/c"], &["ab", "a/xb"]),
        ("a/**/", &["a/x/y"], &["a/x"]),
        ("a/x**y", &["a/xy", "a/xzzy"], &["a/x/y"]),
        ("*.[ch]", &["a.c", "x/b.h"], &["a.cc", "a.d"]),
        ("[!a-c]/x", &["d/x"], &["a/x", "dd/x"]),
        ("[[:digit:]-]x", &["1x", "-x"], &["ax"]),
        ("[]x]", &["]", "x"], &["a"]),
        ("\\!x", &["!x"], &["x"]),
        ("a\\*", &["a*"], &["ab"]),
        ("x\\ ", &["x "], &["x"]),
        ("{a,b}", &["{a,b}"], &["a", "b"]),
    ] {
        let pattern = pattern(text);
        for path in covered {
            assert!(pattern.matches(path), "{text} covers {path}");
        }
        for path in others {
            assert!(!pattern.matches(path), "{text} does not cover {path}");
        }
    }
}

#[test]
fn what_is_no_pattern_is_refused_at_its_place() {
    let long = "x".repeat(LONGEST + 1);
    for text in
        ["", " ", "/", "!a", "#a", "a//b", "../a", "./a", "a/..", "[a", "a\\", "a\u{202e}b", "[[:x:]]", &long]
    {
        let error = Pattern::parse("/paths/3", text).expect_err(text);
        assert_eq!(error.fields[0].pointer, "/paths/3", "{text:?}");
    }
}

#[test]
fn two_patterns_overlap_if_a_file_can_be_meant_by_both() {
    for (one, other, expected) in [
        ("src/**", "src/a/b.rs", true),
        ("src/a", "src/a/b.rs", true),
        ("src/a.rs", "src/b.rs", false),
        ("src/**", "docs/**", false),
        ("*.rs", "*.md", false),
        ("*.rs", "src/**", true),
        ("src/*.rs", "src/a*", true),
        ("src/a*.rs", "src/*b.rs", true),
        ("src/a*c", "src/a*d/", false),
        ("src/a?c", "src/ab", false),
        ("[a-c]x", "[b-d]x", true),
        ("/[a-b]x", "/[c-d]x", false),
        ("a/**/z", "a/b/**", true),
        ("/a", "/ab", false),
        ("docs/prd*", "docs/prd/epic.md", true),
        ("**/test/**", "src/lib.rs", false),
    ] {
        assert_eq!(pattern(one).overlaps(&pattern(other)), expected, "{one} and {other}");
        assert_eq!(pattern(other).overlaps(&pattern(one)), expected, "{other} and {one}");
    }
}

#[test]
fn a_prefix_is_what_all_paths_begin_with() {
    for (text, prefix, folders) in [
        ("src/a/b.rs", "src/a/b.rs", &["src/a", "src", ""][..]),
        ("src/a/*.rs", "src/a", &["src", ""]),
        ("/Makefile", "Makefile", &[""]),
        ("Makefile", "", &[]),
        ("src/a\\*/x", "src/a*/x", &["src/a*", "src", ""]),
        ("**/x", "", &[]),
    ] {
        let pattern = pattern(text);
        assert_eq!(pattern.prefix(), prefix, "{text}");
        assert_eq!(pattern.folders().collect::<Vec<_>>(), folders, "{text}");
    }
}

prop_compose! {
    fn any_pattern()(
        parts in vec(select(vec!["a", "b", "ab", "*", "**", "a*", "*b", "?", "[ab]", "[!a]", "a?b"]), 1..5),
        begin in select(vec!["", "/", "**/"]),
        end in select(vec!["", "/", "/**"]),
    ) -> String {
        format!("{begin}{}{end}", parts.join("/"))
    }
}

proptest! {
    #[test]
    fn an_overlap_is_never_missed(
        one in any_pattern(), other in any_pattern(),
        path in vec(select(vec!["a", "b", "ab", "abb", "c", "aab"]), 1..6),
    ) {
        let (one, other, path) = (pattern(&one), pattern(&other), path.join("/"));
        if one.matches(&path) && other.matches(&path) {
            prop_assert!(one.overlaps(&other) && other.overlaps(&one), "{one:?} and {other:?} at {path}");
        }
        for pattern in [&one, &other] {
            let is_below = path == pattern.prefix() || path.starts_with(&format!("{}/", pattern.prefix()));
            prop_assert!(!pattern.matches(&path) || pattern.prefix().is_empty() || is_below, "{pattern:?} at {path}");
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,40}", path in ".{0,20}") {
        if let Ok(pattern) = Pattern::parse("/paths/0", &text) {
            pattern.matches(&path);
            prop_assert!(pattern.overlaps(&pattern) || text.contains('['), "{pattern:?}");
        }
    }
}
