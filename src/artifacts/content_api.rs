//! What artifacts say and what they build on, over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    ArtifactId, ArtifactKind, Revision, RevisionId, Which,
    api::SectionOut,
    content::{self, Content, Difference, Wanted},
    graph::{self, Around, Direction, Edge, Graph, Node},
};
use crate::{
    accounts::{Caller, scope},
    app::App,
    error::Result,
    projects::ProjectId,
    rest::{Listed, Tag},
    wire::{Page, Timestamp, example},
};

/// Routes of what artifacts say and build on.
pub struct ArtifactContentsApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Artifacts")]
impl ArtifactContentsApi {
    /// List an artifact's revisions
    ///
    /// Every content that it ever had, newest first, also those under earlier paths; and where it was removed.
    #[oai(
        path = "/projects/:project_id/artifacts/:artifact_id/revisions",
        method = "get",
        operation_id = "list_revisions"
    )]
    async fn list_revisions(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ArtifactsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The artifact.
        artifact_id: Path<ArtifactId>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<RevisionOut>> {
        let page = Page::<RevisionId>::parse(limit.0, cursor.0.as_deref())?;
        let (project, id) = (project_id.0, artifact_id.0);
        let found = content::list_revisions(&app, &caller.principal, project, id, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |row| row.id, RevisionOut::from)))
    }

    /// Read an artifact
    ///
    /// Its text, or one section of it with what is below that, now or at a revision. Where the document was removed or
    /// is too large there is none: the answer is 410 and names the newest text that is kept.
    #[oai(
        path = "/projects/:project_id/artifacts/:artifact_id/content",
        method = "get",
        operation_id = "read_artifact"
    )]
    async fn read_artifact(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ArtifactsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The artifact.
        artifact_id: Path<ArtifactId>,
        /// A revision's id, a commit (at least 7 characters of it) or a version that the document stated; the newest if
        /// not given. Of several revisions it is the newest.
        revision: Query<Option<String>>,
        /// The anchor of a section.
        section: Query<Option<String>>,
    ) -> Result<Json<ContentOut>> {
        let wanted = Wanted { revision: revision.0, section: section.0 };
        let which = Which::Id(artifact_id.0);
        let read = content::read_artifact(&app, &caller.principal, project_id.0, which, wanted).await?;
        Ok(Json(read.into()))
    }

    /// Compare two revisions
    ///
    /// What differs between two revisions of an artifact, line by line and by section.
    #[oai(
        path = "/projects/:project_id/artifacts/:artifact_id/diff",
        method = "get",
        operation_id = "diff_artifact"
    )]
    async fn diff_artifact(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ArtifactsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The artifact.
        artifact_id: Path<ArtifactId>,
        /// The earlier revision: its id, its commit or its version.
        from: Query<String>,
        /// The later one; the newest if not given.
        to: Query<Option<String>>,
    ) -> Result<Json<DifferenceOut>> {
        let (project, which) = (project_id.0, Which::Id(artifact_id.0));
        let found = content::diff_artifact(&app, &caller.principal, project, which, from.0, to.0).await?;
        Ok(Json(found.into()))
    }

    /// Show what builds on what
    ///
    /// The artifacts of a project and the dependencies that they state, or what of that is around one artifact. At most
    /// 500 artifacts and 5000 dependencies are told; `truncated` says when there are more.
    #[oai(path = "/projects/:project_id/artifact-graph", method = "get", operation_id = "get_artifact_graph")]
    async fn get_artifact_graph(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ArtifactsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// Around which artifact; all there are if not given.
        artifact: Query<Option<ArtifactId>>,
        /// How many dependencies away from it, 1 to 10 (2 if not given).
        hops: Query<Option<u64>>,
        /// Which way dependencies are followed (`both` if not given).
        direction: Query<Option<Direction>>,
    ) -> Result<Json<GraphOut>> {
        let around = Around { artifact: artifact.0, hops: hops.0, direction: direction.0 };
        let graph = graph::get_artifact_graph(&app, &caller.principal, project_id.0, around).await?;
        Ok(Json(graph.into()))
    }
}

/// One content of an artifact.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ArtifactRevision", example)]
struct RevisionOut {
    /// Its id; later ones are greater.
    id: RevisionId,
    /// Where the artifact was then.
    path: String,
    /// The commit that made it so.
    commit: String,
    /// Who made that commit.
    author: Option<String>,
    /// When that commit was made, by its author's clock.
    committed_at: Timestamp,
    /// The version it states of itself.
    version: Option<String>,
    /// Bytes of the content.
    bytes: u64,
    /// Whether this is where the document was removed.
    removed: bool,
}

example!(RevisionOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "path": "docs/prd.md",
    "commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "author": "octavia-dev",
    "committedAt": "2026-11-21T09:00:00Z",
    "version": "1.2",
    "bytes": 4096,
    "removed": false
});

impl From<Revision> for RevisionOut {
    fn from(revision: Revision) -> Self {
        Self {
            id: revision.id,
            removed: revision.blob.is_none(),
            path: revision.path,
            commit: revision.commit,
            author: revision.author,
            committed_at: revision.committed_at.into(),
            version: revision.version,
            bytes: revision.bytes,
        }
    }
}

/// What an artifact says at a revision.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ArtifactContent")]
struct ContentOut {
    /// The artifact.
    artifact_id: ArtifactId,
    /// Where it is now.
    path: String,
    /// What was read.
    revision: RevisionOut,
    /// The section that was asked for.
    section: Option<SectionOut>,
    /// Its headings at that revision, in order.
    sections: Vec<SectionOut>,
    /// The text, as it is in the repository; what is not UTF-8 in it is shown as U+FFFD.
    text: String,
}

impl From<Content> for ContentOut {
    fn from(content: Content) -> Self {
        Self {
            artifact_id: content.artifact.id,
            path: content.artifact.path,
            revision: content.revision.into(),
            section: content.section.map(SectionOut::from),
            sections: content.sections.into_iter().map(SectionOut::from).collect(),
            text: content.text,
        }
    }
}

/// What differs between two revisions.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ArtifactDiff")]
struct DifferenceOut {
    /// The artifact.
    artifact_id: ArtifactId,
    /// What is compared.
    from: RevisionOut,
    /// What it is compared to.
    to: RevisionOut,
    /// The difference in the unified format; empty if there is none.
    diff: String,
    /// Lines that came.
    added: u64,
    /// Lines that went.
    removed: u64,
    /// Anchors of the sections whose own text differs, and of those that came or went.
    sections_changed: Vec<String>,
}

impl From<Difference> for DifferenceOut {
    fn from(found: Difference) -> Self {
        Self {
            artifact_id: found.artifact.id,
            from: found.from.into(),
            to: found.to.into(),
            diff: found.diff,
            added: found.added,
            removed: found.removed,
            sections_changed: found.sections_changed,
        }
    }
}

/// What builds on what.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ArtifactGraph", example)]
struct GraphOut {
    /// Artifacts and what is missing, by path.
    nodes: Vec<NodeOut>,
    /// All dependencies between them.
    edges: Vec<EdgeOut>,
    /// Each cycle once: the paths of all artifacts that build on each other in it.
    cycles: Vec<Vec<String>>,
    /// Whether there is more than is told.
    truncated: bool,
    /// How to see the rest, if there is more.
    advice: Option<String>,
}

/// An artifact, or where one is missing.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ArtifactNode")]
struct NodeOut {
    /// Its id; none if there never was one at this path.
    id: Option<ArtifactId>,
    /// Path from the repository's root.
    path: String,
    /// What kind of document it is or was.
    kind: Option<ArtifactKind>,
    /// The version it states of itself.
    version: Option<String>,
    /// Whether it is not there: removed, or never found.
    missing: bool,
}

/// That an artifact builds on another.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ArtifactEdge")]
struct EdgeOut {
    /// The path of the one that builds on the other.
    from: String,
    /// The path of the other.
    to: String,
    /// The version that is meant.
    version: Option<String>,
    /// Whether the other one is missing, or newer than that.
    stale: bool,
}

example!(GraphOut, {
    "nodes": [
        {"id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c", "path": "docs/prd.md", "kind": "prd", "version": "2",
         "missing": false},
        {"id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3d", "path": "docs/stories/1.1.md", "kind": "story",
         "missing": false}
    ],
    "edges": [{"from": "docs/stories/1.1.md", "to": "docs/prd.md", "version": "v1", "stale": true}],
    "cycles": [],
    "truncated": false
});

impl From<Node> for NodeOut {
    fn from(Node { id, path, kind, version, missing }: Node) -> Self {
        Self { id, path, kind, version, missing }
    }
}

impl From<Edge> for EdgeOut {
    fn from(Edge { from, to, version, stale }: Edge) -> Self {
        Self { from, to, version, stale }
    }
}

impl From<Graph> for GraphOut {
    fn from(graph: Graph) -> Self {
        let advice = "this is not all; ask around one `artifact`, with fewer `hops` or in one `direction`";
        Self {
            nodes: graph.nodes.into_iter().map(NodeOut::from).collect(),
            edges: graph.edges.into_iter().map(EdgeOut::from).collect(),
            cycles: graph.cycles,
            truncated: graph.truncated,
            advice: graph.truncated.then(|| advice.to_owned()),
        }
    }
}
