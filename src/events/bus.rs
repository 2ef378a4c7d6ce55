//! The bus: tells whoever follows a project that its log has grown. It carries hints only, never the event.
//!
//! In one process this is a channel per followed project; a project that nobody follows costs nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::wire::ProjectId;

/// A handle to the bus.
#[derive(Clone, Default)]
pub struct Bus {
    topics: Arc<Mutex<HashMap<ProjectId, watch::Sender<()>>>>,
}

impl Bus {
    /// Says that a project's log has grown.
    pub fn tell(&self, project: ProjectId) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if topics.get(&project).is_some_and(|topic| topic.send(()).is_err()) {
            topics.remove(&project);
        }
    }

    /// Hears of a project from now on; several signals in a row may be heard as one.
    pub fn listen(&self, project: ProjectId) -> watch::Receiver<()> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(project).or_insert_with(|| watch::channel(()).0).subscribe()
    }
}
