//! What a document builds on: `path@v3`, `path`, or `{path, version}`.

use std::collections::HashMap;

use super::{
    Dependency, Version, fields,
    text::{self, VERSION_CHARS},
    warnings::Warnings,
    yaml::Node,
};
use crate::artifacts::PATH_BYTES;

/// How many a document may have.
const MOST: usize = 200;

/// The dependencies of the document at `path`, which are a list or a single one.
pub(super) fn read(value: &Node, path: &str, warnings: &mut Warnings) -> Vec<Dependency> {
    let entries = match value {
        Node::List(entries) => entries.as_slice(),
        Node::Text(_) | Node::Map(_) => std::slice::from_ref(value),
        Node::Null => &[],
        Node::Bool(_) | Node::Number(_) => {
            warnings.push("dependencies: expected a list of paths");
            &[]
        }
    };
    let own = segments(&path.replace('\\', "/"), Vec::new()).unwrap_or_default();
    let mut found: Vec<Dependency> = Vec::new();
    let mut places = HashMap::new();
    for entry in entries {
        let Some((written, version)) = written(entry, warnings) else { continue };
        let mut warn = |why: &str| {
            warnings.push(format!("dependencies: `{}` {why}", text::shortened(&written, 80)));
        };
        let path = match normalised(&written, &own) {
            Ok(path) => path,
            Err(why) => {
                warn(why);
                continue;
            }
        };
        if path == own.join("/") {
            warn("is this document itself");
        } else if let Some(place) = places.get(&path) {
            warn("is given more than once; the last one counts");
            let earlier: &mut Dependency = &mut found[*place];
            earlier.version = version;
        } else if found.len() == MOST {
            warnings.push(format!("dependencies: only the first {MOST} are read"));
            break;
        } else {
            places.insert(path.clone(), found.len());
            found.push(Dependency { path, version });
        }
    }
    found
}

/// The path and version of an entry, as they are written.
fn written(entry: &Node, warnings: &mut Warnings) -> Option<(String, Option<String>)> {
    match entry {
        Node::Text(text) => {
            let (path, version) = parted(text);
            Some((path.trim().to_owned(), version.map(|version| text::cleaned(version, VERSION_CHARS))))
        }
        Node::Map(pairs) => {
            let Some((_, Node::Text(path))) = fields::find(pairs, &["path"]) else {
                warnings.push("dependencies: expected an entry with a `path`");
                return None;
            };
            match fields::find(pairs, &["version"]) {
                Some((_, version)) => {
                    let version = fields::text_of("dependencies: version", version, VERSION_CHARS, warnings);
                    Some((without_fragment(path).0.trim().to_owned(), version))
                }
                None => written(&Node::Text(path.clone()), warnings),
            }
        }
        Node::Null => None,
        Node::Bool(_) | Node::Number(_) | Node::List(_) => {
            warnings.push("dependencies: expected an entry such as `docs/prd.md@v3`");
            None
        }
    }
}

/// `docs/prd.md@v3` is a path and a version; a fragment may be before or after the version.
fn parted(text: &str) -> (&str, Option<&str>) {
    let (path, fragment) = without_fragment(text);
    if let (path, Some(version)) = at_version(path) {
        return (path, Some(version));
    }
    (path, fragment.and_then(|fragment| at_version(fragment).1))
}

fn without_fragment(text: &str) -> (&str, Option<&str>) {
    text.split_once('#').map_or((text, None), |(path, fragment)| (path, Some(fragment)))
}

/// Splits at the last `@` if a version follows: numbers, or a word after a file's name with an ending
/// (`prd.md@draft`, but not `me@home.md` or `@team/prd.md`).
fn at_version(text: &str) -> (&str, Option<&str>) {
    let Some((path, version)) = text.rsplit_once('@') else { return (text, None) };
    let is_word = || {
        let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let word = version.trim();
        let has_digits =
            word.strip_prefix(['v', 'V']).unwrap_or(word).starts_with(|c: char| c.is_ascii_digit());
        let is_plain = |c: char| c.is_alphanumeric() || "-_+".contains(c) || (has_digits && c == '.');
        file.contains('.') && !word.is_empty() && word.chars().all(is_plain)
    };
    if Version::parse(version).is_ordered() || is_word() { (path, Some(version)) } else { (text, None) }
}

/// The path from the repository's root, or why there is none. `./` and `../` begin at the document's folder.
fn normalised(written: &str, own: &[String]) -> Result<String, &'static str> {
    if written.len() > PATH_BYTES {
        return Err("is too long for a path");
    }
    if written.contains(char::is_control) {
        return Err("has control characters");
    }
    let written = written.replace('\\', "/");
    let has_drive =
        written.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && written[1..].starts_with(':');
    let is_home = written == "~" || written.starts_with("~/");
    if has_drive || is_home || written.starts_with("//") || written.contains("://") {
        return Err("is not in the repository");
    }
    let is_relative = matches!(written.split('/').next(), Some("." | ".."));
    let folder = if is_relative { own.split_last().map_or(&[][..], |(_, folder)| folder) } else { &[] };
    let path = segments(&written, folder.to_vec()).ok_or("leads out of the repository")?.join("/");
    match path.len() {
        0 => Err("is not a path"),
        1..=PATH_BYTES => Ok(path),
        _ => Err("is too long for a path"),
    }
}

/// Follows a path from a folder; nothing if it climbs above the root.
fn segments(path: &str, mut folder: Vec<String>) -> Option<Vec<String>> {
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(folder.pop()?),
            name => folder.push(name.to_owned()),
        }
    }
    Some(folder)
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    /// As `path` or `path@version`, and the warnings.
    fn dependencies(source: &str) -> (Vec<String>, Vec<String>) {
        let mut warnings = Warnings::default();
        let value = yaml::parse(source).expect("YAML").first;
        let found = read(&value, "docs/stories/1.1.md", &mut warnings);
        let shown = found.into_iter().map(|dependency| match dependency.version {
            Some(version) => format!("{}@{version}", dependency.path),
            None => dependency.path,
        });
        (shown.collect(), warnings.into_list())
    }

    #[test]
    fn every_way_to_write_one_is_read() {
        for (source, expected) in [
            ("[docs/prd.md@v3]", "docs/prd.md@v3"),
            ("- docs/prd.md", "docs/prd.md"),
            ("docs/prd.md@1.10", "docs/prd.md@1.10"),
            ("- {path: docs/prd.md, version: 1.10}", "docs/prd.md@1.10"),
            ("{path: docs/prd.md@v3}", "docs/prd.md@v3"),
            ("- path: docs/prd.md\n  version: ~", "docs/prd.md"),
            ("docs/prd.md@2.0-rc.1", "docs/prd.md@2.0-rc.1"),
            ("docs/prd.md@draft", "docs/prd.md@draft"),
            ("docs/prd.md@2026-Q1", "docs/prd.md@2026-Q1"),
            ("docs/prd.md@1.2.3.4", "docs/prd.md@1.2.3.4"),
            ("docs/prd.md#goals@v3", "docs/prd.md@v3"),
            ("docs/prd.md@v3#goals", "docs/prd.md@v3"),
            ("docs/me@home.md", "docs/me@home.md"),
            ("docs/me@home.md@v2", "docs/me@home.md@v2"),
            ("'@team/prd.md'", "@team/prd.md"),
            ("docs/@2/prd.md", "docs/@2/prd.md"),
            ("' docs/prd.md @ v3 '", "docs/prd.md@v3"),
        ] {
            assert_eq!(dependencies(source), (vec![expected.to_owned()], vec![]), "{source}");
        }
    }

    #[test]
    fn paths_begin_at_the_root_or_at_the_documents_folder() {
        for (written, expected) in [
            ("prd.md", "prd.md"),
            ("/docs/prd.md", "docs/prd.md"),
            ("./1.2.md", "docs/stories/1.2.md"),
            ("../prd.md", "docs/prd.md"),
            ("../../README.md", "README.md"),
            ("docs\\prd.md", "docs/prd.md"),
            ("..\\prd.md", "docs/prd.md"),
            ("docs//a/./b/../prd.md", "docs/a/prd.md"),
            ("docs/architecture/", "docs/architecture"),
        ] {
            assert_eq!(dependencies(written), (vec![expected.to_owned()], vec![]), "{written}");
        }
    }

    #[test]
    fn what_is_no_path_in_the_repository_is_left_out() {
        for (written, why) in [
            ("../../../etc/passwd", "leads out of the repository"),
            ("docs/../../x.md", "leads out of the repository"),
            ("https://example.com/prd.md", "is not in the repository"),
            ("C:\\prd.md", "is not in the repository"),
            ("//host/prd.md", "is not in the repository"),
            ("~/prd.md", "is not in the repository"),
            ("'#goals'", "is not a path"),
            ("./../..", "is not a path"),
            ("\"a\\tb\"", "has control characters"),
            (&"a/".repeat(501), "is too long for a path"),
            ("docs/stories/1.1.md@v2", "is this document itself"),
            ("./1.1.md", "is this document itself"),
        ] {
            let (found, warnings) = dependencies(&format!("[{written}, ok.md]"));
            assert_eq!(found, ["ok.md"], "{written}");
            assert!(warnings.len() == 1 && warnings[0].ends_with(why), "{written}: {warnings:?}");
        }
    }

    #[test]
    fn of_twins_the_last_counts() {
        let (found, warnings) = dependencies("[docs/prd.md@v1, other.md, ../prd.md@v2]");
        assert_eq!(found, ["docs/prd.md@v2", "other.md"]);
        assert_eq!(warnings, ["dependencies: `../prd.md` is given more than once; the last one counts"]);
    }

    #[test]
    fn two_hundred_are_enough() {
        let many: String = (0..300).map(|n| format!("- {n}.md\n")).collect();
        let (found, warnings) = dependencies(&many);
        assert_eq!(
            (found.len(), warnings),
            (200, vec!["dependencies: only the first 200 are read".to_owned()])
        );
    }

    #[test]
    fn a_wrong_kind_of_value_is_told() {
        for (source, expected) in [
            ("true", "dependencies: expected a list of paths"),
            ("{docs/prd.md: v3}", "dependencies: expected an entry with a `path`"),
            ("[3]", "dependencies: expected an entry such as `docs/prd.md@v3`"),
            ("[[a.md]]", "dependencies: expected an entry such as `docs/prd.md@v3`"),
        ] {
            assert_eq!(dependencies(source), (vec![], vec![expected.to_owned()]), "{source}");
        }
        let (found, warnings) = dependencies("- {path: a.md, version: [3]}");
        assert_eq!(found, ["a.md"]);
        assert_eq!(warnings, ["dependencies: version: expected a text or a number"]);
    }
}
