//! Understanding documents: what their bytes say, worked out beside the database and on other threads than requests are
//! answered on. While one batch is written the next one is understood.

use std::sync::Arc;

use chrono::DateTime;
use tokio::task::{JoinHandle, spawn_blocking};
use zstd::bulk::Compressor;

use super::{
    Artifact, ArtifactId, Revision, RevisionId, document,
    plan::Step,
    reread::{Reread, too_large},
    search, store,
    worker::MAX_BYTES,
};
use crate::{
    app::App,
    error::{Error, Result},
    git::{Changes, Content},
};

/// What understands documents of one commit; a clone is another handle to the same.
#[derive(Clone)]
pub(super) struct Understanding {
    pub(super) app: Arc<App>,
    /// The commit that is read.
    pub(super) head: String,
    /// Who changed them last.
    pub(super) changes: Arc<Changes>,
}

impl Understanding {
    /// Begins to understand a batch.
    pub(super) fn begin(&self, batch: Vec<(Step, Content)>) -> JoinHandle<Result<Vec<Reread>>> {
        let all = self.clone();
        spawn_blocking(move || {
            let mut compressor = store::revisions::compressor().map_err(Error::internal)?;
            batch.into_iter().map(|(step, content)| all.read(step, content, &mut compressor)).collect()
        })
    }

    fn read(
        &self,
        Step { found, before }: Step,
        content: Content,
        compressor: &mut Compressor<'_>,
    ) -> Result<Reread> {
        let (body, bytes, document) = match content {
            Content::Bytes(body) => {
                let document = document::read(&found.path, &body);
                let bytes = body.len() as u64;
                (Some(body), bytes, document)
            }
            Content::TooLarge(bytes) => (None, bytes, too_large(bytes, MAX_BYTES)),
        };
        let commit = self.changes.of(&found.path);
        let committed_at = commit.and_then(|commit| DateTime::from_timestamp(commit.seconds, 0));
        let now = self.app.clock.now();
        let id = before.as_ref().map_or_else(|| ArtifactId(self.app.ids.uuid()), |before| before.id);
        let artifact = Artifact {
            version: document.version,
            dependencies: document.dependencies,
            commit: commit.map_or_else(|| self.head.clone(), |commit| commit.id.clone()),
            author: commit.map(|commit| commit.author.clone()),
            title: document.title,
            status: document.status,
            created_by: document.created_by,
            blob: Some(found.blob),
            bytes: Some(bytes),
            sections: document.sections,
            gate: document.gate,
            warnings: document.warnings,
            ..Artifact::unread(id, &found.path, found.kind, now)
        };
        let is_new_content =
            before.as_ref().is_none_or(|before| before.is_removed || before.blob != artifact.blob);
        let revision = is_new_content.then(|| Revision {
            id: RevisionId(self.app.ids.uuid()),
            path: artifact.path.clone(),
            commit: artifact.commit.clone(),
            author: artifact.author.clone(),
            committed_at: committed_at.unwrap_or(now),
            blob: artifact.blob.clone(),
            version: artifact.version.clone(),
            bytes,
        });
        let words = search::terms(&artifact, body.as_deref());
        let body = body.filter(|_| revision.is_some());
        let body = body.map(|body| compressor.compress(&body)).transpose().map_err(Error::internal)?;
        Ok(Reread { artifact, before, revision, body, words })
    }
}
