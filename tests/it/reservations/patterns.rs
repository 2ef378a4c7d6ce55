//! What patterns mean, beside what Git itself makes of them.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use trackside::reservations::patterns::Pattern;

const PATTERNS: [&str; 44] = [
    "src",
    "src/",
    "/src",
    "/src/",
    "src/*",
    "src/**",
    "src/**/",
    "**/src",
    "**/src/",
    "*.rs",
    "/*.rs",
    "src/*.rs",
    "src/**/*.rs",
    "a/**/b",
    "a/**/b/",
    "**",
    "*",
    "/*",
    "*/",
    "**/",
    "/**",
    "a**b",
    "x/a**b",
    "***/b",
    "?.rs",
    "??.rs",
    "[am]*.rs",
    "[!m]*.rs",
    "[^m]*.rs",
    "[a-c]",
    "[a-]",
    "[]a]",
    "[[:alpha:]]",
    "[[:digit:][:upper:]]x",
    "\\*.rs",
    "\\!x",
    "\\#x",
    "x\\ ",
    "x  ",
    "{a,b}",
    "docs/prd*",
    "docs/*/x",
    "é*",
    "a[/]b",
];
const PATHS: [&str; 40] = [
    "src",
    "src/a",
    "src/main.rs",
    "src/a/b.rs",
    "x/src",
    "x/src/a",
    "a",
    "b",
    "c",
    "-",
    "]",
    "a/b",
    "a/x/b",
    "a/x/y/b",
    "a/b/c",
    "ab",
    "axb",
    "x/axxb",
    "x/a/b",
    "main.rs",
    "m.rs",
    "am.rs",
    "zz.rs",
    "*.rs",
    "!x",
    "#x",
    "x",
    "x ",
    "{a,b}",
    "docs/prd.md",
    "docs/prd/epic.md",
    "docs/a/x",
    "docs/a/b/x",
    "é",
    "éa",
    "1x",
    "Ax",
    "ax",
    "a/src/b/main.rs",
    ".rs",
];

/// Those of the paths that Git ignores under a pattern.
fn ignored(folder: &std::path::Path, pattern: &str) -> Vec<String> {
    fs::write(folder.join(".gitignore"), format!("{pattern}\n")).unwrap();
    let mut git = Command::new("git")
        .current_dir(folder)
        .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")])
        .args(["check-ignore", "--no-index", "-z", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(PATHS.join("\0").as_bytes()).unwrap();
    let output = git.wait_with_output().unwrap();
    assert!(output.status.code().is_some_and(|code| code < 2), "{pattern}: {output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    told.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn a_pattern_covers_what_git_would_ignore_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("git").current_dir(folder.path()).args(["init", "--quiet"]).status().unwrap();
    assert!(made.success());
    for text in PATTERNS {
        let git = ignored(folder.path(), text);
        let Ok(pattern) = Pattern::parse("/paths/0", text) else {
            assert!(git.is_empty(), "{text} is refused, and git ignores {git:?} by it");
            continue;
        };
        let ours: Vec<_> = PATHS.into_iter().filter(|path| pattern.matches(path)).collect();
        assert_eq!(ours, git, "by {text}");
    }
}

#[test]
fn two_patterns_that_git_would_ignore_one_path_by_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("git").current_dir(folder.path()).args(["init", "--quiet"]).status().unwrap();
    assert!(made.success());
    let known = PATTERNS.into_iter().filter_map(|text| Some((text, Pattern::parse("", text).ok()?)));
    let known: Vec<_> = known.map(|(text, pattern)| (pattern, ignored(folder.path(), text))).collect();
    for (one, of_one) in &known {
        for (other, of_other) in &known {
            let both: Vec<_> = of_one.iter().filter(|path| of_other.contains(path)).collect();
            assert!(both.is_empty() || one.overlaps(other), "{one:?} and {other:?} at {both:?}");
        }
    }
}
