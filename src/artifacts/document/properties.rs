//! What holds for every document and every version.

use std::{cmp::Ordering, collections::HashSet};

use proptest::{collection::vec, prelude::*, sample::select};

use super::{Document, Version, read, section};

/// Lines that a document may be made of, in any order.
const LINES: &[&str] = &[
    "---",
    "...",
    "",
    " ",
    "version: 1.10",
    "version: [",
    "bmad:",
    "  version: v3",
    "dependencies:",
    "  - ./a.md@v2",
    "- {path: b.md, version: 2}",
    "gate: CONCERNS",
    "waiver: {active: true}",
    "expires: 2026-12-31",
    "a: &a [*a]",
    "# Goals",
    "## Sign in",
    "### sign-in ###",
    "#",
    "# [Link][x] `code` ![image](y)",
    "Words",
    "===",
    "```",
    "~~~",
    "    # indented",
    "> # quoted",
    "> more",
    "- # listed",
    "1. item",
    "<!--",
    "-->",
    "<div>",
    "[x]: y",
    "| a | b |",
    "|---|---|",
    "\tTab",
    "\u{FEFF}",
    "# 🚀 Σ ﬁ",
    "\\",
    "*a",
    "x  ",
    "[^1]: note",
    "a: |",
    "? b",
    "title: 'x",
];

fn text() -> impl Strategy<Value = String> {
    vec(prop_oneof![8 => select(LINES).prop_map(str::to_owned), 1 => "[^\r\n]{0,12}"], 0..40)
        .prop_map(|lines| lines.join("\n"))
}

fn path() -> impl Strategy<Value = &'static str> {
    select(&["docs/a.md", "docs/a.yml", "a", "../a.YAML", "", "/", "\\a.md"][..])
}

fn is_bounded(document: &Document) -> bool {
    let sections: HashSet<_> = document.sections.iter().map(|section| &section.anchor).collect();
    sections.len() == document.sections.len()
        && document.warnings.len() <= 21
        && document
            .warnings
            .iter()
            .all(|warning| warning.chars().count() < 200 && !warning.ends_with("could not be read"))
        && document.sections.is_sorted_by(|one, next| one.line < next.line)
        && document.dependencies.iter().all(|dependency| {
            let path = &dependency.path;
            !path.is_empty()
                && path.len() <= 1000
                && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        })
}

/// Three numbers, written in one of the ways there are, and perhaps a pre-release.
fn numeric_version() -> impl Strategy<Value = String> {
    let numbers = vec(prop_oneof![0u64..4, Just(u64::MAX), any::<u64>()], 1..=3);
    let stage = select(&["", "", "-alpha", "-rc.1", "-rc.2", "-1", "-RC.1"][..]);
    (select(&["v", "V ", ""][..]), numbers, stage).prop_map(|(mark, numbers, stage)| {
        let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
        let stage = if mark.is_empty() && numbers.len() == 1 { "" } else { stage };
        format!("{mark}{}{stage}", numbers.join("."))
    })
}

proptest! {
    #[test]
    fn any_bytes_are_a_document(path in path(), bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(is_bounded(&read(path, &bytes)));
    }

    #[test]
    fn any_lines_are_a_document(path in path(), text in text()) {
        prop_assert!(is_bounded(&read(path, text.as_bytes())));
    }

    #[test]
    fn broken_front_matter_is_a_document(place in 0usize..200, byte in any::<u8>(), rest in any::<bool>()) {
        let whole = "---\ntitle: Sign in\nbmad: {version: 1.10, createdBy: \"Ada\"}\nstatus: &s Done\n\
                     dependencies:\n  - docs/prd.md@v3\n  - {path: ../a.md, version: 2}\ngate: PASS\n\
                     expires: 2026-12-31\n---\n# Goals\n";
        let mut bytes = whole.as_bytes().to_vec();
        let place = place % bytes.len();
        if rest { bytes[place] = byte } else { bytes.truncate(place) }
        prop_assert!(is_bounded(&read("docs/stories/1.md", &bytes)));
    }

    #[test]
    fn line_endings_change_nothing(path in path(), text in text()) {
        let (unix, dos) = (read(path, text.as_bytes()), read(path, text.replace('\n', "\r\n").as_bytes()));
        prop_assert_eq!(unix, dos);
    }

    #[test]
    fn every_anchor_finds_its_section(text in text(), dos in any::<bool>()) {
        let text = if dos { text.replace('\n', "\r\n") } else { text };
        let document = read("a.md", text.as_bytes());
        let ends = text.trim_start_matches('\u{FEFF}');
        for (index, found) in document.sections.iter().enumerate() {
            let Some(below) = section(&text, &found.anchor) else {
                return Err(TestCaseError::fail(format!("no section for {}", found.anchor)));
            };
            let start = below.as_ptr() as usize - text.as_ptr() as usize;
            prop_assert_eq!(text[..start].matches('\n').count() + 1, found.line as usize);
            let next = document.sections[index + 1..].iter().find(|next| next.level <= found.level);
            match next {
                Some(next) => prop_assert_eq!(below.matches('\n').count() as u32, next.line - found.line),
                None => prop_assert!(ends.ends_with(below)),
            }
        }
    }

    #[test]
    fn any_text_is_a_version_that_equals_itself(text in any::<String>(), other in any::<String>()) {
        let (left, right) = (Version::parse(&text), Version::parse(&other));
        prop_assert_eq!(left.cmp_to(&left), Some(Ordering::Equal));
        prop_assert_eq!(left.lag(&left), None);
        prop_assert_eq!(left == right, left.cmp_to(&right) == Some(Ordering::Equal));
    }

    #[test]
    fn numeric_versions_are_in_one_order(a in numeric_version(), b in numeric_version(), c in numeric_version()) {
        let [a, b, c] = [a, b, c].map(|text| Version::parse(&text));
        prop_assert!(a.is_ordered() && b.is_ordered() && c.is_ordered());
        let (Some(ab), Some(bc), Some(ac)) = (a.cmp_to(&b), b.cmp_to(&c), a.cmp_to(&c)) else {
            return Err(TestCaseError::fail("not comparable"));
        };
        prop_assert_eq!(b.cmp_to(&a), Some(ab.reverse()));
        prop_assert_eq!(ab == Ordering::Equal, a == b);
        prop_assert_eq!(ab == Ordering::Less, a.lag(&b).is_some());
        if ab == bc {
            prop_assert_eq!(ac, ab);
        }
    }
}
