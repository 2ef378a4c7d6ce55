//! What an attacker would push: it costs little, and the document stands.

use std::time::{Duration, Instant};

use super::{Document, read, section};

/// How long a long text is, in bytes: shorter where the parsers are not optimised.
const SIZE: usize = if cfg!(debug_assertions) { 1 << 16 } else { 1 << 20 };

/// Reads a text that must not take long, as Markdown, as front-matter and as YAML.
fn read_each_way(text: &str) -> [Document; 3] {
    let front_matter = format!("---\n{text}\n---\n# Body\n");
    let each = [("a.md", text.as_bytes()), ("a.md", front_matter.as_bytes()), ("a.yml", text.as_bytes())];
    each.map(|(path, bytes)| {
        let began = Instant::now();
        let document = read(path, bytes);
        // A debug build on a busy machine has its time; what grows out of bounds takes minutes.
        let name = text.chars().take(30).collect::<String>();
        assert!(began.elapsed() < Duration::from_secs(10), "{path} {name:?}: {:?}", began.elapsed());
        document
    })
}

#[test]
fn an_alias_bomb_goes_off_in_the_budget() {
    let mut laughs = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let [_, front_matter, yaml] = read_each_way(&laughs);
    assert_eq!(front_matter.title.as_deref(), Some("Body"));
    for document in [front_matter, yaml] {
        assert!(document.warnings[0].ends_with("too large or nested too deeply"), "{:?}", document.warnings);
    }
    let long = format!("a: &a \"{}\\n\"\nb: [{}]\nversion: 2\n", "x".repeat(SIZE), "*a, ".repeat(90));
    read_each_way(&long);
    let merges = format!("a: &a {{{}}}\n{}", "k: 1, ".repeat(500), "b: {<<: *a}\n".repeat(90));
    read_each_way(&merges);
}

#[test]
fn nesting_without_end_is_cut() {
    let depth = 10_000;
    let blocks: String = (0..2000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    for text in ["[".repeat(depth), "{a: ".repeat(depth), "- ".repeat(depth), "? ".repeat(depth), blocks] {
        let [_, front_matter, yaml] = read_each_way(&text);
        assert_eq!(front_matter.title.as_deref(), Some("Body"));
        assert_eq!((front_matter.warnings.len(), yaml.warnings.len()), (1, 1));
    }
}

#[test]
fn much_of_anything_is_read_soon() {
    for part in [
        "x",
        " ",
        "\n",
        "#",
        "# a\n",
        "- a\n",
        "a\n===\n",
        "\0",
        "\t",
        "[",
        "]",
        "![",
        "[a](",
        "*",
        "**a",
        "_a ",
        "`",
        "`` ` ",
        "<",
        "<a",
        "<!--",
        "&",
        "\\",
        "> ",
        "- ",
        "* a\n",
        "1. ",
        "| a ",
        "|-",
        "a: b\n",
        "'",
        "\"",
        "&a ",
        "*a ",
        "{",
        "[a]: b\n",
        "[^a]: b\n",
        "[^a]",
        "~~",
        "---\n",
        "...\n",
        "!!python/object:a ",
        "? ",
        "<<: ",
        "\u{FEFF}",
        "é",
        "a:\n",
        "# [a]\n",
        "<?",
        "<![CDATA[",
        "</a>",
        "\\\n",
        ">\n",
        "@",
        "a@v1\n",
        "|",
        "a: |\n",
    ] {
        for document in read_each_way(&part.repeat(SIZE / part.len())) {
            assert!(document.warnings.len() <= 21 && document.sections.len() <= 500);
        }
    }
}

#[test]
fn the_usual_tricks_do_no_harm() {
    let [_, front_matter, yaml] =
        read_each_way("version: !!python/object/apply:os.system [ls]\ntitle: !!python/name:os.system Kept\n");
    assert_eq!((front_matter.title.as_deref(), yaml.title.as_deref()), (Some("Kept"), Some("Kept")));
    assert_eq!(yaml.warnings, ["version: expected a text or a number"]);
    for text in [
        "---",
        "---\n",
        "---\n---",
        "---\n---\n",
        "...",
        "\u{FEFF}---\n\u{FEFF}---\n",
        "\0",
        "\u{FEFF}",
        "\r",
    ] {
        read_each_way(text);
        assert_eq!(section(text, ""), None);
    }
    let document = read("a.md", b"---\nversion: 2\n---");
    assert_eq!((document.version.as_deref(), document.warnings.len()), (Some("2"), 0));
    let nul = read("a.md", b"---\nversion: 2\n\0\n---\n# Body\0\n");
    assert_eq!((nul.warnings.len(), nul.sections.len()), (1, 1));
}

#[test]
fn many_complaints_are_few_warnings() {
    let text = format!("dependencies:\n{}", "- ../../..\n".repeat(5000));
    let [_, front_matter, _] = read_each_way(&text);
    assert_eq!((front_matter.warnings.len(), front_matter.warnings[20].as_str()), (21, "and 4980 more"));
}

#[test]
fn what_grows_with_its_square_is_read_soon() {
    let half = SIZE / 2;
    let root = SIZE.isqrt();
    let table = format!("{}\n{}\n{}", "|a".repeat(half / 4), "|-".repeat(half / 4), "a\n".repeat(half / 2));
    let quotes: String = (0..root).map(|n| format!("{}a\n", "> ".repeat(n / 2))).collect();
    let lists: String = (0..root).map(|n| format!("{}- a\n", "  ".repeat(n / 2))).collect();
    let fences: String = (3..root).map(|n| format!("{}\na\n", "`".repeat(n))).collect();
    let code: String = (1..root).map(|n| format!("{} a ", "`".repeat(n))).collect();
    let names: String = (0..SIZE / 16).map(|n| format!("[{n}]: b\n[{n}]\n\n")).collect();
    let expanding = format!("[a]: {}\n\n# {}\n", "b".repeat(half), "[a]".repeat(half / 3));
    let twins: String = (0..500).map(|n| format!("# a-{n}\n# a\n")).collect();
    let keys: String = (0..SIZE / 10).map(|n| format!("k{n}: {n}\n")).collect();
    let quoted_list = format!("{}\n{}", "> - ".repeat(half / 4), "\n".repeat(half));
    let both = format!("{}{}", "[".repeat(half), "]".repeat(half));
    let stars = "*a **a ".repeat(SIZE / 7);
    let heading = format!("# {}", "a ![b](c) `d` ".repeat(SIZE / 14));
    let places = format!("dependencies: [{}]", "a/../".repeat(200) + "b@v1, ");
    for text in [
        table,
        quotes,
        lists,
        fences,
        code,
        names,
        expanding,
        twins,
        keys,
        quoted_list,
        both,
        stars,
        heading,
        places,
    ] {
        read_each_way(&text);
    }
}

#[test]
fn a_long_ordinary_document_is_read_in_milliseconds() {
    let part = "## Sign in\n\nA *passkey* is enough; see [the plan](plan.md).\n\n- one\n- two\n\n```rust\nlet a = 1;\n```\n\n";
    let text = format!("version: 2\n---\n# Goals\n{}", part.repeat(SIZE / part.len()));
    let [_, document, _] = read_each_way(&text);
    assert_eq!((document.version.as_deref(), document.title.as_deref()), (Some("2"), Some("Goals")));
}
