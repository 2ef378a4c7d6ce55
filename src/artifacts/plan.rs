//! What is to be done, so that the artifacts of a project become what a commit holds.
//!
//! Only contents that changed are read. A document that was renamed stays the same artifact: its content is found under
//! a new path while its old path is gone, either to the letter or, as Git judges it too, at least half of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{ArtifactId, ArtifactKind};

/// A document as it was read last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: ArtifactId,
    pub(super) path: String,
    pub(super) kind: ArtifactKind,
    pub(super) blob: Option<String>,
    pub(super) version: Option<String>,
    pub(super) is_removed: bool,
}

/// A document of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: String,
    pub(super) kind: ArtifactKind,
    pub(super) blob: String,
}

/// A document to be read, and what it was before, if it was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) found: Found,
    pub(super) before: Option<Known>,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) gone: Vec<Known>,
}

impl Plan {
    /// From what is known to what was found; everything is read again if `all` says so.
    pub(super) fn new(known: Vec<Known>, found: Vec<Found>, all: bool) -> Self {
        let mut known: BTreeMap<_, _> = known.into_iter().map(|known| (known.path.clone(), known)).collect();
        let mut steps = Vec::new();
        for found in found {
            let before = known.remove(&found.path);
            let is_same = before.as_ref().is_some_and(|before| {
                !before.is_removed && before.kind == found.kind && before.blob.as_ref() == Some(&found.blob)
            });
            if all || !is_same {
                steps.push(Step { found, before });
            }
        }
        let gone = known.into_values().filter(|known| !known.is_removed).collect();
        let mut plan = Self { steps, gone };
        plan.follow(|gone, step| gone.blob.as_ref() == Some(&step.found.blob));
        plan
    }

    /// Pairs of what is gone and what is new, by their places, of which each may be a document that was renamed.
    pub(super) fn candidates(&self) -> (Vec<&Known>, Vec<&Step>) {
        let new = self.steps.iter().filter(|step| step.before.is_none()).collect();
        (self.gone.iter().filter(|gone| gone.blob.is_some()).collect(), new)
    }

    /// Takes what `is_same` says is a document that is gone from its old path for the one at a new path.
    pub(super) fn follow(&mut self, is_same: impl Fn(&Known, &Step) -> bool) {
        for step in self.steps.iter_mut().filter(|step| step.before.is_none()) {
            let found = self.gone.iter().position(|gone| gone.kind == step.found.kind && is_same(gone, step));
            let found = found.or_else(|| self.gone.iter().position(|gone| is_same(gone, step)));
            step.before = found.map(|at| self.gone.remove(at));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.gone.is_empty()
    }
}

/// The lines of a text, each with how often it is there.
pub(super) struct Lines<'t>(HashMap<&'t [u8], usize>, usize);

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t [u8]) -> Self {
        let mut lines = HashMap::new();
        for line in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
        {
            *lines.entry(line).or_default() += 1;
        }
        let bytes = lines.iter().map(|(line, times)| line.len() * times).sum();
        Self(lines, bytes)
    }

    /// Whether at least half of the bytes of two texts are in lines that both have. A difference by lines would tell it
    /// too, in a time that grows with the square of the changes.
    pub(super) fn are_like(&self, other: &Self) -> bool {
        let both = |(line, times): (&&[u8], &usize)| {
            line.len() * other.0.get(line).map_or(0, |others| *others.min(times))
        };
        let shared: usize = self.0.iter().map(both).sum();
        shared > 0 && shared * 4 >= self.1 + other.1
    }
}

/// Removes found documents whose path another one has already: two names that are told apart by bytes alone.
pub(super) fn distinct(found: Vec<Found>) -> Vec<Found> {
    let mut seen = HashSet::new();
    found.into_iter().filter(|found| seen.insert(found.path.clone())).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn known(id: u128, path: &str, blob: &str) -> Known {
        let (kind, path) = (ArtifactKind::Story, path.to_owned());
        Known {
            id: ArtifactId(Uuid::from_u128(id)),
            path,
            kind,
            blob: Some(blob.to_owned()),
            version: None,
            is_removed: false,
        }
    }

    fn found(path: &str, blob: &str) -> Found {
        Found { path: path.to_owned(), kind: ArtifactKind::Story, blob: blob.to_owned() }
    }

    fn steps(plan: &Plan) -> Vec<(&str, Option<u128>)> {
        let id = |step: &Step| step.before.as_ref().map(|known| known.id.0.as_u128());
        plan.steps.iter().map(|step| (&*step.found.path, id(step))).collect()
    }

    #[test]
    fn what_did_not_change_is_not_read() {
        let plan = Plan::new(vec![known(1, "a", "x")], vec![found("a", "x")], false);
        assert!(plan.is_empty());
        assert_eq!(
            steps(&Plan::new(vec![known(1, "a", "x")], vec![found("a", "x")], true)),
            [("a", Some(1))]
        );
    }

    #[test]
    fn changed_new_and_gone_documents_are_told_apart() {
        let before = vec![known(1, "a", "x"), known(2, "b", "y")];
        let plan = Plan::new(before, vec![found("a", "z"), found("c", "w")], false);
        assert_eq!(steps(&plan), [("a", Some(1)), ("c", None)]);
        assert_eq!(plan.gone, [known(2, "b", "y")]);
    }

    #[test]
    fn a_document_keeps_its_identity_under_a_new_path() {
        let mut plan = Plan::new(
            vec![known(1, "a", "x"), known(2, "b", "y")],
            vec![found("c", "y"), found("d", "z")],
            false,
        );
        assert_eq!((steps(&plan), plan.gone.len()), (vec![("c", Some(2)), ("d", None)], 1));
        plan.follow(|gone, step| gone.path == "a" && step.found.path == "d");
        assert_eq!((steps(&plan), plan.gone.len()), (vec![("c", Some(2)), ("d", Some(1))], 0));
    }

    #[test]
    fn one_that_was_removed_comes_back_as_itself() {
        let removed = Known { is_removed: true, ..known(1, "a", "x") };
        assert_eq!(steps(&Plan::new(vec![removed.clone()], vec![found("a", "x")], false)), [("a", Some(1))]);
        assert!(Plan::new(vec![removed], vec![], false).is_empty());
    }

    #[test]
    fn texts_are_alike_when_half_of_them_is_the_same() {
        let like = |a: &str, b: &str| Lines::of(a.as_bytes()).are_like(&Lines::of(b.as_bytes()));
        assert!(like("one\ntwo\nthree", "one\r\ntwo\r\nfour!"));
        assert!(!like("one\ntwo\nthree", "one\nsix\nseven\neight") && !like("", ""));
    }
}
