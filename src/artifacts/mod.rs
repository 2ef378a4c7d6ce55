//! Artifacts: the documents of a repository that a project tracks.
//!
//! Pushes to the tracked branch tell which paths were added, changed or removed; those that match the
//! project's patterns become artifacts, by the path's kind. A push that happened earlier never overwrites what
//! a later one said, in whichever order the two arrive. A removed artifact keeps its row and its history.

mod api;
mod store;
mod tools;

use std::collections::BTreeMap;

use globset::{Glob, GlobSet, GlobSetBuilder};
use serde_json::json;

pub use self::{
    api::ArtifactsApi,
    tools::{GetArtifact, ListArtifacts},
};
use crate::{
    accounts::Principal,
    app::App,
    clock::{Ids, Time},
    database::Tx,
    error::{Error, Result},
    events::{EventName, NewEvent},
    projects::{self, ProjectId},
    wire::{Found, Page, id_type, wire_enum},
};

id_type! {
    /// Names an artifact.
    ArtifactId
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
    /// When it was last pushed, by the host's clock.
    pub changed_at: Time,
    /// When it was removed from the tracked branch.
    pub removed_at: Option<Time>,
}

/// Another artifact, at a version.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Dependency {
    /// Path from the repository's root.
    pub path: String,
    /// The version that is meant.
    pub version: Option<String>,
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

/// A project's path patterns, compiled.
pub struct Patterns(Vec<(ArtifactKind, GlobSet)>);

impl Patterns {
    /// Compiles the patterns of a project's configuration.
    ///
    /// # Errors
    /// `invalid_request`, pointing at the kind or pattern that is not one.
    pub fn compile(paths: &BTreeMap<String, Vec<String>>) -> Result<Self> {
        let mut compiled = Vec::new();
        for (kind, patterns) in paths {
            let pointer = || format!("/config/artifactPaths/{kind}");
            let kind = kind.parse::<ArtifactKind>().map_err(|why| Error::invalid_field(pointer(), why))?;
            let mut set = GlobSetBuilder::new();
            for pattern in patterns {
                let glob =
                    Glob::new(pattern).map_err(|why| Error::invalid_field(pointer(), why.to_string()))?;
                set.add(glob);
            }
            compiled
                .push((kind, set.build().map_err(|why| Error::invalid_field(pointer(), why.to_string()))?));
        }
        compiled.sort_by_key(|(kind, _)| *kind); // what fits several kinds is the first of them
        Ok(Self(compiled))
    }

    /// The kind of a path, if it is one that the project tracks.
    pub fn kind_of(&self, path: &str) -> Option<ArtifactKind> {
        self.0.iter().find(|(_, set)| set.is_match(path)).map(|(kind, _)| *kind)
    }
}

/// Applies what a push touched; gives the events of what really changed.
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
        let after = Artifact {
            id: before.map_or_else(|| ArtifactId(ids.uuid()), |before| before.id),
            path: touch.path.clone(),
            kind,
            name: name_of(&touch.path),
            version: before.and_then(|before| before.version.clone()),
            dependencies: before.map_or_else(Vec::new, |before| before.dependencies.clone()),
            commit: touch.commit.clone(),
            author: touch.author.clone(),
            changed_at: pushed_at,
            removed_at: touch.removed.then_some(pushed_at),
        };
        store::save(tx, project, &after, before.is_none()).await?;
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

/// Removes up to `limit` artifacts of a deleted project; gives their number.
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

/// An artifact, removed or not.
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
    let found =
        app.database.read(principal.tenant, move |tx| Box::pin(store::find(tx, project, id.0))).await?;
    found.ok_or_else(|| Error::not_found("artifact"))
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
            ("src/main.rs", None),
            ("other/docs/prd.md", None),
        ];
        for (path, kind) in kinds {
            assert_eq!(patterns.kind_of(path), kind, "{path}");
        }
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
