//! Artifacts: the documents of a repository that a project tracks.
//!
//! A [`scan`] reads the tracked branch: files that match the project's patterns become artifacts, by the path's kind,
//! and what they say of themselves is taken from their text ([`document`]). A scan decides what holds; whatever it
//! finds wrong in a document is a warning on it. One that is renamed stays itself, one that is removed keeps its row,
//! and every content it ever had is kept as a revision.
//!
//! As long as a repository cannot be read, pushes tell at least which paths were added, changed or removed. A push that
//! happened earlier never overwrites what a later one said, in whichever order the two arrive.

mod api;
pub mod content;
mod content_api;
mod cycles;
pub mod document;
pub mod graph;
mod patterns;
mod plan;
mod reread;
pub mod scan;
pub mod search;
mod show;
mod store;
mod understand;
pub mod worker;

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

pub use self::{
    api::ArtifactsApi,
    content_api::ArtifactContentsApi,
    document::{Decision, Dependency, Gate, Section, Waiver},
    patterns::{PATH_BYTES, Patterns, globs},
    search::{SearchApi, SearchArtifacts},
    show::{GetArtifact, ScanRepository},
};
use crate::{
    accounts::Principal,
    app::App,
    clock::{Ids, Time},
    database::Tx,
    error::Result,
    events::{EventName, NewEvent},
    projects::{self, ProjectId},
    wire::{Found, Page, id_type, wire_enum},
};

/// Who wrote what artifacts say of themselves, as whoever quotes them says.
pub const AUTHORS: &str = "the repository, by whoever could push";

id_type! {
    /// Names an artifact.
    ArtifactId
}

id_type! {
    /// Names one content of an artifact; later ones have greater names.
    RevisionId
}

wire_enum! {
    /// What kind of document an artifact is.
    ArtifactKind {
        /// Product requirements.
        Prd = "prd",
        /// Architecture.
        Architecture = "architecture",
        /// A story.
        Story = "story",
        /// Quality assurance.
        Qa = "qa",
        /// Anything else that is tracked.
        Other = "other",
    }
}

/// How an artifact is named.
#[derive(Clone, Debug)]
pub enum Which {
    /// By its id.
    Id(ArtifactId),
    /// By its path now, or where it was removed.
    Path(String),
}

/// A tracked document.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its id, which it keeps through every change.
    pub id: ArtifactId,
    /// Path from the repository's root.
    pub path: String,
    /// What kind of document it is.
    pub kind: ArtifactKind,
    /// The file's name without its ending.
    pub name: String,
    /// The version it states of itself, once its text was read.
    pub version: Option<String>,
    /// What it states that it builds on.
    pub dependencies: Vec<Dependency>,
    /// The commit that last touched it.
    pub commit: String,
    /// Who made that commit.
    pub author: Option<String>,
    /// When it was last changed: when that was read or, without reading, when the push happened.
    pub changed_at: Time,
    /// When it was removed from the tracked branch.
    pub removed_at: Option<Time>,
    /// What it is called in its text.
    pub title: Option<String>,
    /// The status it states of itself.
    pub status: Option<String>,
    /// Who it says made it.
    pub created_by: Option<String>,
    /// Git's name of the content that was read; none until it was.
    pub blob: Option<String>,
    /// Bytes of that content.
    pub bytes: Option<u64>,
    /// Its headings, in order, each with a digest of what stands below it.
    pub sections: Vec<Section>,
    /// The quality gate that it decides.
    pub gate: Option<Gate>,
    /// What is wrong with it.
    pub warnings: Vec<String>,
}

impl Artifact {
    /// A document of which nobody has read a word.
    fn unread(id: ArtifactId, path: &str, kind: ArtifactKind, changed_at: Time) -> Self {
        Self {
            id,
            path: path.to_owned(),
            kind,
            name: name_of(path),
            version: None,
            dependencies: Vec::new(),
            commit: String::new(),
            author: None,
            changed_at,
            removed_at: None,
            title: None,
            status: None,
            created_by: None,
            blob: None,
            bytes: None,
            sections: Vec::new(),
            gate: None,
            warnings: Vec::new(),
        }
    }
}

/// One content of an artifact.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Its name.
    pub id: RevisionId,
    /// Where the artifact was then.
    pub path: String,
    /// The commit that made it so.
    pub commit: String,
    /// Who made that commit.
    pub author: Option<String>,
    /// When that commit was made, by its author's clock.
    pub committed_at: Time,
    /// Git's name of the content; none where the artifact was removed.
    pub blob: Option<String>,
    /// The version it states of itself.
    pub version: Option<String>,
    /// Bytes of the content.
    pub bytes: u64,
}

/// What a push did to one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Path from the repository's root.
    pub path: String,
    /// Whether it is gone.
    pub removed: bool,
    /// The commit that did it.
    pub commit: String,
    /// Who made that commit.
    pub author: Option<String>,
}

/// Applies what a push touched, where nobody can read it; gives the events of what really changed.
///
/// # Errors
/// The database's.
pub async fn apply_push(
    tx: &Tx<'_>,
    ids: &Ids,
    project: ProjectId,
    patterns: &Patterns,
    touches: &[Touch],
    pushed_at: Time,
) -> Result<Vec<NewEvent>> {
    let tracked: Vec<_> =
        touches.iter().filter_map(|touch| Some((touch, patterns.kind_of(&touch.path)?))).collect();
    let known =
        store::by_paths(tx, project, tracked.iter().map(|(touch, _)| touch.path.clone()).collect()).await?;
    let mut events = Vec::new();
    for (touch, kind) in tracked {
        let before = known.iter().find(|artifact| artifact.path == touch.path);
        if before.is_some_and(|before| before.changed_at > pushed_at || is_same(before, touch, kind)) {
            continue;
        }
        let new = || Artifact::unread(ArtifactId(ids.uuid()), &touch.path, kind, pushed_at);
        let after = Artifact {
            kind,
            commit: touch.commit.clone(),
            author: touch.author.clone(),
            changed_at: pushed_at,
            removed_at: touch.removed.then_some(pushed_at),
            ..before.cloned().unwrap_or_else(new)
        };
        store::save(tx, project, &after, before.is_none()).await?;
        store::search::follow_push(tx, project, before, &after).await?;
        // One that came and went before anybody looked is noted for a push from before, and is news to nobody.
        if before.is_some() || !touch.removed {
            events.push(event(&after));
        }
    }
    Ok(events)
}

/// Whether a touch tells nothing new, as when a delivery is replayed.
fn is_same(before: &Artifact, touch: &Touch, kind: ArtifactKind) -> bool {
    before.commit == touch.commit && before.removed_at.is_some() == touch.removed && before.kind == kind
}

fn event(artifact: &Artifact) -> NewEvent {
    let name =
        if artifact.removed_at.is_some() { EventName::ArtifactRemoved } else { EventName::ArtifactUpdated };
    let payload = json!({
        "id": artifact.id.0,
        "path": artifact.path,
        "kind": artifact.kind.as_str(),
        "name": artifact.name,
        "title": artifact.title,
        "version": artifact.version,
        "commit": artifact.commit,
        "author": artifact.author,
    });
    NewEvent { name, payload }
}

/// `docs/stories/1.2.login.md` is shown as `1.2.login`.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned()
}

/// Removes up to `limit` rows of each table of a deleted project; gives their number.
///
/// # Errors
/// The database's.
pub async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    store::purge(tx, project, limit).await
}

/// Which artifacts are meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct ArtifactFilter {
    /// Those of this kind.
    pub kind: Option<ArtifactKind>,
    /// Also those that were removed from the tracked branch.
    pub removed: bool,
}

/// A page of a project's artifacts by path, and one more if there are more.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn list_artifacts(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    filter: ArtifactFilter,
    page: Page<String>,
) -> Result<Found<Artifact>> {
    projects::reach(app, principal, project).await?;
    app.database
        .read(principal.tenant, move |tx| {
            Box::pin(async move { store::list(tx, project, filter, &page).await })
        })
        .await
}

/// How many artifacts of each kind a project has.
///
/// # Errors
/// The database's.
pub async fn count_by_kind(tx: &Tx<'_>, project: ProjectId) -> Result<BTreeMap<ArtifactKind, u64>> {
    store::count_by_kind(tx, project).await
}

/// What a document states that others are held against.
#[derive(Clone, Debug)]
pub struct Stated {
    /// The document.
    pub id: ArtifactId,
    /// Path from the repository's root.
    pub path: String,
    /// The version it states of itself.
    pub version: Option<String>,
    /// What it states that it builds on.
    pub dependencies: Vec<Dependency>,
}

/// What a document is, where, and what it decides: what gates look at.
#[derive(Clone, Debug)]
pub struct Outline {
    /// The document.
    pub id: ArtifactId,
    /// Path from the repository's root.
    pub path: String,
    /// What kind of document it is.
    pub kind: ArtifactKind,
    /// The version it states of itself.
    pub version: Option<String>,
    /// The quality gate that it decides.
    pub gate: Option<Gate>,
}

/// What each document of a project is that is there, by one query, in the order of their paths.
///
/// # Errors
/// The database's.
pub async fn outlines(tx: &Tx<'_>, project: ProjectId) -> Result<Vec<Outline>> {
    store::outlines(tx, project).await
}

/// Some documents of a project, of those that are there.
///
/// # Errors
/// The database's.
pub async fn present(
    tx: &Tx<'_>,
    project: ProjectId,
    ids: Vec<ArtifactId>,
) -> Result<HashMap<ArtifactId, Artifact>> {
    store::search::present(tx, project, ids).await
}

/// The ids of documents by their paths, removed ones too; paths of which there is none are left out.
///
/// # Errors
/// The database's.
pub async fn ids_by_paths(
    tx: &Tx<'_>,
    project: ProjectId,
    paths: Vec<String>,
) -> Result<HashMap<String, ArtifactId>> {
    let found = store::by_paths(tx, project, paths).await?;
    Ok(found.into_iter().map(|artifact| (artifact.path, artifact.id)).collect())
}

/// What each document of a project that is there states, by one query.
///
/// # Errors
/// The database's.
pub async fn stated(tx: &Tx<'_>, project: ProjectId) -> Result<Vec<Stated>> {
    store::stated(tx, project).await
}

/// An artifact, removed or not; among its warnings is the cycle that it is in.
///
/// # Errors
/// `not_found` for a project or artifact out of reach.
pub async fn get_artifact(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    id: ArtifactId,
) -> Result<Artifact> {
    projects::reach(app, principal, project).await?;
    let read =
        app.database.read(principal.tenant, move |tx| Box::pin(graph::find(tx, project, Which::Id(id))));
    read.await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projects::ProjectConfig;

    #[test]
    fn the_default_patterns_find_single_files_and_sharded_folders() {
        let patterns = Patterns::compile(&ProjectConfig::default().artifact_paths).expect("valid");
        let kinds = [
            ("docs/prd.md", Some(ArtifactKind::Prd)),
            ("docs/prd/epic-1.md", Some(ArtifactKind::Prd)),
            ("docs/architecture.md", Some(ArtifactKind::Architecture)),
            ("docs/stories/1.1.md", Some(ArtifactKind::Story)),
            ("docs/qa/gates/1.1.yml", Some(ArtifactKind::Qa)),
            ("docs/qa/assessments/1.1-risk.md", Some(ArtifactKind::Qa)),
            ("src/main.rs", None),
            ("other/docs/prd.md", None),
        ];
        for (path, kind) in kinds {
            assert_eq!(patterns.kind_of(path), kind, "{path}");
        }
    }

    #[test]
    fn a_repository_is_read_only_where_patterns_may_find_something() {
        let folders = |patterns: &[&str]| {
            let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            let patterns = Patterns::compile(&BTreeMap::from([("prd".to_owned(), patterns)]));
            patterns.expect("valid").folders().to_vec()
        };
        assert_eq!(folders(&["docs/prd*", "docs/a/**", "README.md"]), ["README.md", "docs", "docs/a"]);
        assert_eq!(folders(&["docs/prd*", "**/*.md"]), Vec::<String>::new());
    }

    #[test]
    fn a_pattern_that_is_none_is_refused_by_name() {
        for (kind, pattern) in [("prd", "docs/[a"), ("novel", "docs/**")] {
            let paths = BTreeMap::from([(kind.to_owned(), vec![pattern.to_owned()])]);
            let error = Patterns::compile(&paths).err().expect("refused");
            assert_eq!(error.fields[0].pointer, format!("/config/artifactPaths/{kind}"));
        }
    }
}
