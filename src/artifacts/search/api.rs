//! Search over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use super::{Hit, Place, search_artifacts};
use crate::{
    accounts::{Caller, scope},
    app::App,
    artifacts::{ArtifactId, ArtifactKind},
    error::Result,
    projects::ProjectId,
    rest::{Listed, Tag},
    wire::{Page, example},
};

/// The route of search.
pub struct SearchApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Artifacts")]
impl SearchApi {
    /// Search artifacts
    ///
    /// Documents that are there, by what they say, best first: those with all words in the title, then in the title, path
    /// or headings, then there or often in the text, then anywhere; newer ones first.
    ///
    /// All words must be there, in any order, case and accents aside. `"in quotes"` means next to each other, as do the
    /// parts of `claim_work`; `-word` and `-"a phrase"` must not be there. `log*` is any word that begins so, and so is
    /// the last word.
    #[oai(path = "/projects/:project_id/artifacts/search", method = "get", operation_id = "search_artifacts")]
    async fn search_artifacts(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::ArtifactsRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// What to look for: up to 500 characters and 16 words.
        query: Query<String>,
        /// Only documents of this kind.
        kind: Query<Option<ArtifactKind>>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<HitOut>> {
        let page = Page::<Place>::parse(limit.0, cursor.0.as_deref())?;
        let found =
            search_artifacts(&app, &caller.principal, project_id.0, &query.0, kind.0, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |hit| hit.place, HitOut::from)))
    }
}

/// A document that was found.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ArtifactHit", example)]
struct HitOut {
    /// Its id.
    id: ArtifactId,
    /// Path from the repository's root.
    path: String,
    /// What kind of document it is.
    kind: ArtifactKind,
    /// The file's name without its ending.
    name: String,
    /// What it is called in its text.
    title: Option<String>,
    /// The version it states of itself.
    version: Option<String>,
    /// About 200 characters of its text, on one line, around what was looked for, which stands between `**`.
    snippet: String,
}

example!(HitOut, {
    "id": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3c",
    "path": "docs/stories/1.2.login.md",
    "kind": "story",
    "name": "1.2.login",
    "title": "Sign in",
    "version": "1.1",
    "snippet": "…a passkey is enough to **sign in**, and a password is never asked for."
});

impl From<Hit> for HitOut {
    fn from(Hit { artifact, snippet, .. }: Hit) -> Self {
        Self {
            id: artifact.id,
            path: artifact.path,
            kind: artifact.kind,
            name: artifact.name,
            title: artifact.title,
            version: artifact.version,
            snippet,
        }
    }
}
