//! Documents that a scan has read again: what they are now, what they were, and what the log is told of that.

use serde_json::{Value, json};

use super::{Artifact, Revision, document::Document, event, name_of, plan::Known};
use crate::{
    database::search::Terms,
    events::{EventName, NewEvent},
};

/// A document that was read again.
pub(super) struct Reread {
    pub(super) artifact: Artifact,
    pub(super) before: Option<Known>,
    /// Its content, if that is new.
    pub(super) revision: Option<Revision>,
    /// The same, compressed; none if it is too large.
    pub(super) body: Option<Vec<u8>>,
    /// By what it is found.
    pub(super) words: Terms,
}

impl Reread {
    /// How it is not what it was, in a word; none if nothing changed but the rules by which it was read.
    pub(super) fn change(&self) -> Option<&'static str> {
        match self.there_before() {
            None => Some("added"),
            Some(before) if before.path != self.artifact.path => Some("renamed"),
            Some(before) if before.blob != self.artifact.blob || before.kind != self.artifact.kind => {
                Some("changed")
            }
            Some(_) => None,
        }
    }

    /// What the log is told of a change.
    pub(super) fn event(&self, change: &str) -> NewEvent {
        let before = self.there_before();
        let mut event = event(&self.artifact);
        event.payload["change"] = change.into();
        if let Some(before) = before {
            event.payload["previousVersion"] = json!(before.version);
        }
        if change == "renamed" {
            event.payload["previousPath"] = json!(before.map(|before| &before.path));
        }
        event
    }

    fn there_before(&self) -> Option<&Known> {
        self.before.as_ref().filter(|before| !before.is_removed)
    }
}

pub(super) fn gone_event(known: &Known, commit: &str) -> NewEvent {
    let payload = json!({
        "id": known.id.0,
        "path": known.path,
        "kind": known.kind.as_str(),
        "name": name_of(&known.path),
        "version": known.version,
        "commit": commit,
    });
    NewEvent { name: EventName::ArtifactRemoved, payload }
}

pub(super) fn too_large(bytes: u64, most: u64) -> Document {
    let why = format!("it has {bytes} bytes, and only documents of up to {most} are read");
    Document { warnings: vec![why], ..Document::default() }
}

/// What a scan did.
#[derive(Default)]
pub(super) struct Tally {
    added: u64,
    changed: u64,
    renamed: u64,
    pub(super) removed: u64,
    warnings: u64,
}

impl Tally {
    pub(super) fn count(&mut self, reread: &Reread, change: Option<&str>) {
        match change {
            Some("added") => self.added += 1,
            Some("renamed") => self.renamed += 1,
            Some(_) => self.changed += 1,
            None => {}
        }
        self.warnings += u64::from(!reread.artifact.warnings.is_empty());
    }

    pub(super) fn is_anything(&self) -> bool {
        self.added + self.changed + self.renamed + self.removed > 0
    }

    pub(super) fn to_json(&self, commit: &str) -> Value {
        json!({
            "commit": commit,
            "added": self.added,
            "changed": self.changed,
            "renamed": self.renamed,
            "removed": self.removed,
            "withWarnings": self.warnings,
        })
    }
}
