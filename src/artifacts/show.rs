//! One artifact as agents see it: among others, its text, and what changed in it; and reading the repository anew.
//!
//! A document may be larger than what a model is to be given at once. Whatever an answer holds is cut to what fits, at a
//! line, and says how to ask for less: an agent that reads section by section never meets that.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    AUTHORS, Artifact, ArtifactId, Revision, Which,
    content::{Difference, Wanted, diff_artifact, read_artifact},
    graph::{Needed, Surroundings, look_around},
    scan,
};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    audit::CallRecord,
    error::{Code, Error, Result},
    mcp::{Answer, Tool, WritingTool},
    projects::ProjectId,
    wire::{Timestamp, bounded},
};

/// Where all of it comes from.
const SOURCE: &str = "the repository, by whoever could push; `revision` names commit and author";
/// Bytes of a text in an answer, as JSON.
const TEXT: usize = 60_000;
/// Bytes of the lists in an answer, as JSON; together with what is beside them they are less than an answer may have.
const OUTLINE: usize = 20_000;
const DEPENDENCIES: usize = 12_000;
const OTHERS: usize = 8_000;
/// Characters of a name that somebody gave themselves.
const NAME: usize = 100;

/// `get_artifact`
pub struct GetArtifact;

/// Arguments of [`GetArtifact`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetArtifactArguments {
    project_id: ProjectId,
    /// this or path
    artifact_id: Option<ArtifactId>,
    /// from the repository's root
    path: Option<String>,
    /// its text, by an anchor of the outline
    section: Option<String>,
    /// all of the text
    text: Option<bool>,
    /// the text as of a commit, version or revision id
    revision: Option<String>,
    /// what changed since that commit, version or revision id
    diff_from: Option<String>,
}

impl Tool for GetArtifact {
    const NAME: &'static str = "get_artifact";
    const TITLE: &'static str = "Show an artifact";
    const ABOUT: &'static str = "One tracked document: version, warnings, what it builds on and whether that is stale, \
                                 what builds on it, outline; with section or text what it says, with diffFrom what \
                                 changed.";
    const SCOPE: Scope = Scope::ArtifactsRead;
    type Arguments = GetArtifactArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let which = match (asked.artifact_id, asked.path) {
            (Some(id), None) => Which::Id(id),
            (None, Some(path)) => Which::Path(path),
            _ => return Err(Error::invalid("give one of artifactId and path")),
        };
        let is_whole = asked.text.unwrap_or(false);
        let is_specific = asked.section.is_some() || asked.revision.is_some();
        let project = asked.project_id;
        if let Some(from) = asked.diff_from {
            if asked.section.is_some() || is_whole {
                return Err(Error::invalid_field("/diffFrom", "give it without section and text"));
            }
            let found = diff_artifact(&app, &principal, project, which, from, asked.revision).await?;
            return Ok(difference(found));
        }
        if !is_whole && !is_specific {
            return Ok(overview(look_around(&app, &principal, project, which).await?));
        }
        let wanted = Wanted { revision: asked.revision, section: asked.section };
        let read = match read_artifact(&app, &principal, project, which.clone(), wanted).await {
            Ok(read) => read,
            // Whoever asks for whatever text there is wants to know of a document without one, too.
            Err(error) if !is_specific && matches!(error.code, Code::Gone | Code::NotFound) => {
                let around = look_around(&app, &principal, project, which).await?;
                let fields = [("artifact", brief(&around.artifact)), ("noText", error.to_string().into())];
                return Ok(Answer::new(around.fresh_as_of, fields).quoting(&["artifact"], SOURCE));
            }
            Err(error) => return Err(error),
        };
        let (text, left) = fitting(&read.text, TEXT);
        let narrow = match (&read.section, read.sections.is_empty()) {
            (None, false) => "ask for one `section`; without text and section the outline names them",
            (Some(_), _) => "ask for a section below it, if it has any; the repository has the rest",
            (None, true) => "the repository has the rest",
        };
        let fields = [
            ("artifact", brief(&read.artifact)),
            ("revision", revision(&read.revision)),
            ("section", read.section.map(|section| section.anchor).into()),
            ("text", text.into()),
        ];
        let answer = Answer::new(read.fresh_as_of, fields.into_iter().chain(cut(left, narrow)));
        Ok(answer.cutting(TEXT).quoting(&["artifact", "revision", "section", "text"], SOURCE))
    }
}

/// What an artifact is, without what it says.
fn overview(
    Surroundings { artifact, dependencies, dependents, dependents_count, fresh_as_of }: Surroundings,
) -> Answer {
    let mut shown = brief(&artifact);
    shown["name"] = json!(artifact.name);
    shown["status"] = json!(artifact.status);
    shown["createdBy"] = json!(artifact.created_by);
    shown["commit"] = json!(artifact.commit);
    shown["author"] = json!(artifact.author.as_deref().map(|author| bounded(author, NAME)));
    shown["changedAt"] = json!(Timestamp(artifact.changed_at).to_string());
    shown["removedAt"] = json!(artifact.removed_at.map(|at| Timestamp(at).to_string()));
    shown["bytes"] = json!(artifact.bytes);
    let gate = artifact.gate.map(|gate| {
        let (reasons, more) = rows(gate.reasons.iter().map(|reason| json!(reason)), OTHERS);
        json!({
            "decision": gate.decision,
            "reviewer": gate.reviewer,
            "reasons": reasons,
            "moreReasons": more,
            "waived": gate.waiver.is_some_and(|waiver| waiver.active),
            "expires": gate.expires,
        })
    });
    // The circle it is in comes last and is told in any case.
    let (warnings, more_warnings) =
        rows(artifact.warnings.iter().rev().map(|warning| json!(warning)), OTHERS);
    let needed = |Needed { dependency, current, stale }: &Needed| json!({"path": dependency.path, "version": dependency.version, "current": current, "stale": stale});
    let (depends, more_dependencies) = rows(dependencies.iter().map(needed), DEPENDENCIES);
    let (dependents, _) = rows(dependents.iter().map(|path| json!(path)), OTHERS);
    let outline = artifact.sections.iter().map(|section| json!([section.anchor, section.title]));
    let (outline, more_outline) = rows(outline, OUTLINE);
    let fields = [
        ("artifact", shown),
        ("gate", gate.into()),
        ("warnings", warnings),
        ("dependencies", depends),
        ("dependents", dependents),
        ("dependentsCount", dependents_count.into()),
        ("outline", outline),
    ];
    let left = [
        ("moreWarnings", more_warnings),
        ("moreDependencies", more_dependencies),
        ("moreOutline", more_outline),
    ];
    let left = left.into_iter().filter(|(_, more)| *more > 0).map(|(name, more)| (name, Value::from(more)));
    let quoted = ["artifact", "gate", "warnings", "dependencies", "dependents", "outline"];
    Answer::new(fresh_as_of, fields.into_iter().chain(left)).quoting(&quoted, AUTHORS)
}

fn difference(found: Difference) -> Answer {
    let (diff, left) = fitting(&found.diff, TEXT - OTHERS);
    let (sections, more) = rows(found.sections_changed.iter().map(|anchor| json!(anchor)), OTHERS);
    let fields = [
        ("artifact", brief(&found.artifact)),
        ("from", revision(&found.from)),
        ("revision", revision(&found.to)),
        ("diff", diff.into()),
        ("added", found.added.into()),
        ("removed", found.removed.into()),
        ("sectionsChanged", sections),
    ];
    let more = (more > 0).then(|| ("moreSectionsChanged", more.into()));
    let cut = cut(left, "read the sections under sectionsChanged one by one");
    let answer = Answer::new(found.fresh_as_of, fields.into_iter().chain(more).chain(cut));
    answer.cutting(TEXT).quoting(&["artifact", "from", "revision", "diff", "sectionsChanged"], SOURCE)
}

fn brief(artifact: &Artifact) -> Value {
    json!({
        "artifactId": artifact.id.0,
        "path": artifact.path,
        "kind": artifact.kind,
        "title": artifact.title,
        "version": artifact.version,
    })
}

fn revision(revision: &Revision) -> Value {
    json!({
        "id": revision.id.0,
        "path": revision.path,
        "commit": revision.commit,
        "author": revision.author.as_deref().map(|author| bounded(author, NAME)),
        "committedAt": Timestamp(revision.committed_at).to_string(),
        "version": revision.version,
        "bytes": revision.bytes,
    })
}

/// That a text was cut, and how to ask for less.
fn cut(left: usize, narrow: &str) -> Option<(&'static str, Value)> {
    (left > 0).then(|| ("cut", json!({"bytesLeft": left, "narrow": narrow})))
}

/// The rows that fit into so many bytes, and how many more there are.
fn rows(rows: impl Iterator<Item = Value>, bytes: usize) -> (Value, usize) {
    let (mut kept, mut taken, mut left) = (Vec::new(), 0, 0);
    for row in rows {
        taken += row.to_string().len() + 1;
        if taken <= bytes { kept.push(row) } else { left += 1 }
    }
    (Value::Array(kept), left)
}

/// The lines of a text that fit into so many bytes of JSON, and how many bytes of it are left. A line that fits by no
/// means is cut.
fn fitting(text: &str, bytes: usize) -> (&str, usize) {
    let mut taken = 0;
    let too_much = text.char_indices().find(|(_, character)| {
        taken += match character {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            character if character.is_ascii_control() => 6,
            character => character.len_utf8(),
        };
        taken > bytes
    });
    let Some((end, _)) = too_much else { return (text, 0) };
    let end = text[..end].rfind('\n').map_or(end, |line| line + 1);
    (&text[..end], text.len() - end)
}

/// `scan_repository`
pub struct ScanRepository;

/// Arguments of [`ScanRepository`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScanRepositoryArguments {
    project_id: ProjectId,
}

impl WritingTool for ScanRepository {
    const NAME: &'static str = "scan_repository";
    const TITLE: &'static str = "Scan a repository";
    const ABOUT: &'static str = "Has the repository read now, which each push does too. list_changes then tells \
                                 artifact_scan_completed or artifact_scan_failed.";
    const SCOPE: Scope = Scope::ArtifactsWrite;
    const DESTROYS: bool = false;
    const IS_IDEMPOTENT: bool = true;
    type Arguments = ScanRepositoryArguments;

    async fn call(
        app: Arc<App>,
        principal: Arc<Principal>,
        record: CallRecord,
        asked: Self::Arguments,
    ) -> Result<Answer> {
        let now = app.clock.now();
        let scan = scan::scan_repository(&app, &principal, asked.project_id, record).await?;
        let mut shown = scan.brief();
        shown["requestedAt"] = json!(scan.requested_at.map(|at| Timestamp(at).to_string()));
        Ok(Answer::new(now, [("scan", shown)]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_at_a_line_or_where_there_is_none_at_a_character() {
        assert_eq!(fitting("one\ntwo\n", 100), ("one\ntwo\n", 0));
        assert_eq!(fitting("one\ntwo\n", 8), ("one\n", 4));
        assert_eq!(fitting("żółw", 5), ("żó", 3));
    }

    #[test]
    fn rows_beyond_the_bound_are_counted() {
        assert_eq!(rows(["aa", "bb", "cc"].iter().map(|row| json!(row)), 10), (json!(["aa", "bb"]), 1));
    }

    proptest! {
        #[test]
        fn what_fits_is_never_more_than_that_as_json(text in "(?s).{0,80}", bytes in 0_usize..200) {
            let (kept, left) = fitting(&text, bytes);
            prop_assert_eq!(kept.len() + left, text.len());
            prop_assert!(json!(kept).to_string().len() <= bytes + 2);
        }
    }
}
