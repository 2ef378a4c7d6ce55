//! Watching a log: being told that it moved, for who then reads the state anew rather than every event.
//!
//! A [`Watch`] lives off the follower that streams live off, and cannot fall behind: whatever happened since it last
//! looked is one answer.

use std::{collections::HashSet, sync::Arc};

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    follow::{Follower, Frame, Frames},
    is_doing_of,
};
use crate::{
    accounts::{Principal, PrincipalId},
    app::App,
    error::Result,
    projects,
    wire::ProjectId,
};

/// Somebody who waits for a project's log to move.
pub struct Watch {
    follower: Arc<Follower>,
    head: watch::Receiver<i64>,
    position: i64,
}

/// What happened in a log since somebody last looked.
pub struct Moved(Option<Vec<Frame>>);

impl Watch {
    /// Watches a project from now on.
    ///
    /// # Errors
    /// `not_found` for a project out of reach.
    pub async fn new(app: &App, principal: &Principal, project: ProjectId) -> Result<Self> {
        let project = projects::reach(app, principal, project).await?;
        let follower = app.followers.follow(principal.tenant, project.id, None).await?;
        Ok(Self { head: follower.wakes(), position: follower.head().position, follower })
    }

    /// Waits until something happened since the last time; gives all of it.
    pub async fn moved(&mut self) -> Moved {
        loop {
            self.head.borrow_and_update();
            match self.follower.frames_after(self.position, usize::MAX) {
                Frames::Some(frames, last) => {
                    self.position = last;
                    return Moved(Some(frames));
                }
                Frames::Older => {
                    self.position = self.follower.head().position;
                    return Moved(None);
                }
                // Fails only without a follower, and this one is held.
                Frames::None => drop(self.head.changed().await),
            }
        }
    }
}

/// What is looked at in an event.
#[derive(Deserialize)]
struct Glance {
    event: String,
    payload: Value,
}

impl Moved {
    /// Whether all that is told is what `who` does themselves: somebody who looks whenever something happens would be
    /// woken by their own looking.
    pub fn is_own(&self, who: PrincipalId) -> bool {
        let is_own = |frame: &Frame| {
            serde_json::from_slice(&frame.json())
                .is_ok_and(|event: Glance| is_doing_of(who, &event.event, &event.payload))
        };
        self.0.as_ref().is_some_and(|frames| frames.iter().all(is_own))
    }

    /// The ids of what the events tell of, or nothing if there were too many events to know.
    pub fn told_of(&self) -> Option<HashSet<Uuid>> {
        let id = |frame: &Frame| {
            let event: Glance = serde_json::from_slice(&frame.json()).ok()?;
            event.payload["id"].as_str()?.parse().ok()
        };
        self.0.as_ref().map(|frames| frames.iter().filter_map(id).collect())
    }
}
