//! Drift: what documents say that they build on, beside what there is.
//!
//! | A document builds on | and there is | so that is |
//! |---|---|---|
//! | anything | no such document, nor a folder of documents | `dependency_broken`, critical |
//! | v1 | v3 or later: two major versions or more | `version_mismatch`, critical |
//! | v1 | v2: one major version | `version_mismatch`, warning |
//! | v1.0 | v1.1 or v1.0.1 or, for v1.0-rc.1, v1.0 | `version_mismatch`, info |
//! | v3 | v2: it is ahead, of a document that was set back or not pushed yet | `version_mismatch`, warning |
//! | `draft` | v1, or `final`: nobody can tell which of two comes first | `version_mismatch`, info |
//! | a version | the same in whatever spelling, or a document that states none | nothing |
//! | no version | any version | nothing |
//!
//! Only documents that the project tracks are known here, so one that is in the repository and not among the project's
//! path patterns is not there either; a conflict's message says so.

use std::collections::{BTreeMap, BTreeSet};

use super::{ConflictKind, Details, Severity};
use crate::artifacts::{
    ArtifactId, Stated,
    document::{Lag, Version},
};

/// Conflicts of one project that drift makes at most, by the paths of its documents: somebody who pushes ten thousand
/// documents with two hundred dependencies each keeps nobody from working.
const MOST: usize = 20_000;

/// What a conflict comes from: its kind, the document that depends, what on, and which versions. The same text for the
/// same cause, in whatever spelling the versions are, and for no other one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause(pub(super) String);

/// A document that does not fit to one it builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drift {
    pub(super) kind: ConflictKind,
    pub(super) severity: Severity,
    /// The document that depends.
    pub(super) artifact: ArtifactId,
    pub(super) details: Details,
}

impl Drift {
    fn cause(&self) -> Cause {
        let meaning =
            |version: &Option<String>| version.as_deref().map(|text| Version::parse(text).to_string());
        let Details { dependency_path, wanted_version, found_version, .. } = &self.details;
        let (wanted, found) = (meaning(wanted_version), meaning(found_version));
        let told = serde_json::json!([self.kind.as_str(), self.artifact.0, dependency_path, wanted, found]);
        Cause(told.to_string())
    }
}

/// How the documents of a project, those that are there, do not fit to each other.
pub(super) fn drift(documents: &[Stated]) -> BTreeMap<Cause, Drift> {
    let there: BTreeMap<&str, &Stated> =
        documents.iter().map(|document| (&*document.path, document)).collect();
    let folders = folders(there.keys().copied());
    let mut found = BTreeMap::new();
    for document in there.values() {
        for on in &document.dependencies {
            let (wanted, target) = (stated(&on.version), there.get(&*on.path));
            let (kind, severity) = match target {
                None if folders.contains(&*on.path) => continue,
                None => (ConflictKind::DependencyBroken, Severity::Critical),
                Some(target) => match mismatch(wanted, stated(&target.version)) {
                    Some(severity) => (ConflictKind::VersionMismatch, severity),
                    None => continue,
                },
            };
            let details = Details {
                artifact_path: document.path.clone(),
                dependency_path: on.path.clone(),
                wanted_version: wanted.map(str::to_owned),
                found_version: target.and_then(|target| stated(&target.version)).map(str::to_owned),
                edit: None,
            };
            let drift = Drift { kind, severity, artifact: document.id, details };
            found.insert(drift.cause(), drift);
            if found.len() == MOST {
                tracing::warn!(
                    "a project's documents make more than {MOST} conflicts; the others are not told"
                );
                return found;
            }
        }
    }
    found
}

/// Every folder that some of these paths are below.
fn folders<'p>(paths: impl Iterator<Item = &'p str>) -> BTreeSet<&'p str> {
    let mut folders = BTreeSet::new();
    for path in paths {
        let mut inner = path;
        while let Some((folder, _)) = inner.rsplit_once('/') {
            if !folders.insert(folder) {
                break; // and so are those above it
            }
            inner = folder;
        }
    }
    folders
}

fn stated(version: &Option<String>) -> Option<&str> {
    version.as_deref().map(str::trim).filter(|version| !version.is_empty())
}

/// How bad it is to build on one version where there is another; none if that is fine.
fn mismatch(wanted: Option<&str>, found: Option<&str>) -> Option<Severity> {
    let (wanted, found) = (Version::parse(wanted?), Version::parse(found?));
    match (wanted.lag(&found), wanted.cmp_to(&found)) {
        (Some(Lag::Majors(1)), _) => Some(Severity::Warning),
        (Some(Lag::Majors(_)), _) => Some(Severity::Critical),
        (Some(Lag::Minor | Lag::Patch), _) => Some(Severity::Info),
        (None, Some(std::cmp::Ordering::Equal)) => None,
        (None, Some(_)) => Some(Severity::Warning),
        (None, None) => Some(Severity::Info),
    }
}

/// What is wrong, and what to do.
pub(super) fn message(kind: ConflictKind, details: &Details) -> String {
    let Details { artifact_path: document, dependency_path: target, .. } = details;
    match (kind, &details.wanted_version, &details.found_version) {
        (ConflictKind::VersionMismatch, Some(wanted), Some(found)) => {
            let how = how_far(&Version::parse(wanted), &Version::parse(found));
            format!("{document} builds on {target} at {wanted}, and that is at {found}: {how}")
        }
        (ConflictKind::DependencyBroken, ..) => format!(
            "{document} builds on {target}, which is not among the project's documents: it was removed or renamed, never \
             was, or the project's artifactPaths leave it out; correct the path, or bring the document back"
        ),
        _ => format!("{kind} at {target}"),
    }
}

fn how_far(wanted: &Version, found: &Version) -> String {
    let behind = match wanted.lag(found) {
        Some(Lag::Majors(1)) => "a major version behind".to_owned(),
        Some(Lag::Majors(majors)) => format!("{majors} major versions behind"),
        Some(Lag::Minor) => "a minor version behind".to_owned(),
        Some(Lag::Patch) => "a patch behind".to_owned(),
        None if wanted.cmp_to(found).is_some() => {
            return "ahead of it; correct the version that is named, or push the one that is missing"
                .to_owned();
        }
        None => {
            return "nobody can tell which comes first; name the version that it was written for".to_owned();
        }
    };
    format!("{behind}; read what changed, bring the document up to date, then name the version it fits")
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};
    use uuid::Uuid;

    use super::*;
    use crate::artifacts::Dependency;

    fn document(id: u128, path: &str, version: Option<&str>, on: &[(&str, Option<&str>)]) -> Stated {
        let dependency = |(path, version): &(&str, Option<&str>)| Dependency {
            path: (*path).to_owned(),
            version: version.map(str::to_owned),
        };
        let dependencies = on.iter().map(dependency).collect();
        let version = version.map(str::to_owned);
        Stated { id: ArtifactId(Uuid::from_u128(id)), path: path.to_owned(), version, dependencies }
    }

    /// What a story's dependency on a PRD makes of its versions.
    fn of(wanted: Option<&str>, found: Option<&str>) -> Option<(ConflictKind, Severity)> {
        let prd = document(1, "docs/prd.md", found, &[]);
        let story = document(2, "docs/story.md", None, &[("docs/prd.md", wanted)]);
        let mut found = drift(&[prd, story]).into_values().map(|drift| (drift.kind, drift.severity));
        (found.next(), found.next()).0
    }

    #[test]
    fn a_version_behind_is_the_worse_the_further_it_is() {
        use Severity::{Critical, Info, Warning};
        for (wanted, found, severity) in [
            ("v1", "v3", Some(Critical)),
            ("1.9", "v17.0", Some(Critical)),
            ("v1", "99999999999999999999999", Some(Critical)),
            ("v1", "v2", Some(Warning)),
            ("v1.9.9", "2.0.0-rc.1", Some(Warning)),
            ("v1", "v1.1", Some(Info)),
            ("v1.0", "v1.0.1", Some(Info)),
            ("1.0-rc.1", "1.0", Some(Info)),
            ("v3", "v2", Some(Warning)),
            ("v2.0.1", "v2", Some(Warning)),
            ("draft", "final", Some(Info)),
            ("draft", "v1", Some(Info)),
            ("v1", "2026-Q1", Some(Info)),
            ("v1", "1.0.0", None),
            ("V 1", "v1.0+build", None),
            ("Draft", "draft", None),
        ] {
            let expected = severity.map(|severity| (ConflictKind::VersionMismatch, severity));
            assert_eq!(of(Some(wanted), Some(found)), expected, "{wanted} of {found}");
        }
    }

    #[test]
    fn where_no_version_is_stated_none_is_missed() {
        for (wanted, found) in [(None, Some("v3")), (Some("v3"), None), (None, None), (Some(" "), Some("v3"))]
        {
            assert_eq!(of(wanted, found), None, "{wanted:?} of {found:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_missed_in_whatever_version() {
        for wanted in [None, Some("v1"), Some("draft")] {
            let story = document(2, "docs/story.md", None, &[("docs/prd.md", wanted)]);
            let found: Vec<_> = drift(&[story]).into_values().collect();
            assert_eq!(found.len(), 1);
            assert_eq!(
                (found[0].kind, found[0].severity),
                (ConflictKind::DependencyBroken, Severity::Critical)
            );
            assert_eq!(
                (found[0].details.wanted_version.as_deref(), &found[0].details.found_version),
                (wanted, &None)
            );
        }
    }

    #[test]
    fn a_folder_of_documents_is_there() {
        let shard = document(1, "docs/prd/epics/1.md", Some("v3"), &[]);
        for (path, is_there) in [
            ("docs/prd", true),
            ("docs/prd/epics", true),
            ("docs", true),
            ("docs/pr", false),
            ("prd", false),
            ("docs/prd/epics/1.md/x", false),
        ] {
            let story = document(2, "story.md", None, &[(path, Some("v1"))]);
            assert_eq!(drift(&[shard.clone(), story]).is_empty(), is_there, "{path}");
        }
    }

    #[test]
    fn each_dependency_has_a_cause_of_its_own_and_another_version_another() {
        let prd = |version| document(1, "prd.md", Some(version), &[]);
        let story =
            |id, path, wanted| document(id, path, None, &[("prd.md", Some(wanted)), ("gone.md", None)]);
        let causes = |documents: &[Stated]| drift(documents).into_keys().collect::<BTreeSet<_>>();
        let before = causes(&[prd("v2"), story(2, "a.md", "v1"), story(3, "b.md", "v1")]);
        assert_eq!(before.len(), 4);
        let spelled = causes(&[prd("2.0.0"), story(2, "renamed.md", "1.0"), story(3, "b.md", "V1")]);
        assert_eq!(spelled, before, "another spelling or path of the document is the same cause");
        let bumped = causes(&[prd("v3"), story(2, "a.md", "v1"), story(3, "b.md", "v1.1")]);
        assert_eq!(bumped.intersection(&before).count(), 2, "those of gone.md alone");
        assert_eq!(causes(&[prd("v2-rc.1"), story(2, "a.md", "v1")]).intersection(&before).count(), 1);
    }

    #[test]
    fn no_more_are_told_than_anybody_reads() {
        let paths: Vec<_> = (0..200).map(|n| format!("gone/{n}.md")).collect();
        let on: Vec<_> = paths.iter().map(|path| (&**path, None)).collect();
        let documents: Vec<_> = (0..200).map(|id| document(id, &format!("{id}.md"), None, &on)).collect();
        let found = drift(&documents);
        assert_eq!(found.len(), MOST);
        assert_eq!(drift(&documents), found, "and always the same ones");
    }

    #[test]
    fn a_message_says_what_is_wrong_and_what_to_do() {
        let message = |wanted: &str, found: Option<&str>| {
            let target = found.map(|found| document(1, "prd.md", Some(found), &[]));
            let story = document(2, "story.md", None, &[("prd.md", Some(wanted))]);
            let documents: Vec<_> = target.into_iter().chain([story]).collect();
            let drift = drift(&documents).into_values().next().expect("a conflict");
            message(drift.kind, &drift.details)
        };
        assert_eq!(
            message("v1", Some("v3")),
            "story.md builds on prd.md at v1, and that is at v3: 2 major versions behind; read what changed, bring the \
             document up to date, then name the version it fits"
        );
        for (wanted, found, words) in [
            ("v2", Some("v3"), "a major version behind"),
            ("v2", Some("v2.1"), "a minor version behind"),
            ("v2", Some("v2.0.1"), "a patch behind"),
            ("v3", Some("v2"), "ahead of it"),
            ("draft", Some("final"), "which comes first"),
            ("v1", None, "not among the project's documents"),
        ] {
            assert!(message(wanted, found).contains(words), "{wanted} of {found:?}");
        }
    }

    const PATHS: [&str; 4] = ["a.md", "b.md", "c/d.md", "c"];

    prop_compose! {
        fn any_version()(version in prop::sample::select(vec!["v1", "1.0", "v1.1", "2", "v3.0.1", "draft", "Final", "2-rc.1", " "])) -> String {
            version.to_owned()
        }
    }

    /// A place, and what the document there says: its version, and versions of others.
    type Written = (usize, (Option<String>, Vec<(usize, Option<String>)>));

    prop_compose! {
        /// Documents at some of the paths that can be written, each building on some of all.
        fn any_documents()(
            documents in prop::collection::btree_map(0..3_usize, (option::of(any_version()), vec((0..PATHS.len(), option::of(any_version())), 0..4)), 0..4)
        ) -> Vec<Stated> {
            let one = |(at, (version, on)): Written| {
                let on: BTreeMap<_, _> = on.into_iter().map(|(at, version)| (PATHS[at].to_owned(), version)).collect();
                let dependencies = on.into_iter().map(|(path, version)| Dependency { path, version }).collect();
                Stated { id: ArtifactId(Uuid::from_u128(at as u128)), path: PATHS[at].to_owned(), version, dependencies }
            };
            documents.into_iter().map(one).collect()
        }
    }

    proptest! {
        #[test]
        fn a_conflict_is_a_dependency_that_does_not_fit(documents in any_documents()) {
            let found = drift(&documents);
            let pairs = documents.iter().flat_map(|document| document.dependencies.iter().map(move |on| (document, on)));
            let mut expected = 0;
            for (document, on) in pairs {
                let target = documents.iter().find(|target| target.path == on.path);
                let is_folder = documents.iter().any(|other| other.path.starts_with(&format!("{}/", on.path)));
                let meaning = |version: &Option<String>| {
                    version.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(Version::parse)
                };
                let fits = match target {
                    None => is_folder,
                    Some(target) => match (meaning(&on.version), meaning(&target.version)) {
                        (Some(wanted), Some(found)) => wanted == found,
                        _ => true,
                    },
                };
                expected += usize::from(!fits);
                let told = found.values().filter(|drift| {
                    drift.artifact == document.id && drift.details.dependency_path == on.path
                });
                prop_assert_eq!(told.count(), usize::from(!fits));
            }
            prop_assert_eq!(found.len(), expected);
        }

        #[test]
        fn the_order_of_documents_and_the_spelling_of_versions_make_no_difference(documents in any_documents()) {
            let mut others = documents.clone();
            others.reverse();
            for document in &mut others {
                let respell = |version: &mut Option<String>| {
                    if version.as_deref() == Some("v1") {
                        *version = Some("1.0.0".to_owned());
                    }
                };
                respell(&mut document.version);
                document.dependencies.iter_mut().for_each(|on| respell(&mut on.version));
            }
            let (one, other) = (drift(&documents), drift(&others));
            prop_assert!(one.keys().eq(other.keys()));
            prop_assert!(one.values().map(|drift| drift.severity).eq(other.values().map(|drift| drift.severity)));
        }
    }
}
