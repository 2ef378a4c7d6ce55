//! Stories: documents that are one thing with a work item.
//!
//! A story that is read for the first time makes an item, unless somebody has linked one to it; what its file says of its
//! status flows in whenever that changes, and moves the item to the lane that the status means. Nothing flows back: the
//! repository is only read. While somebody holds the item its lane is theirs to say, and the file's word counts when the
//! claim ends. An item whose document is gone goes to the backlog, with all that was said about it.
//!
//! A file that says that a story is done does not get it past its gates: the item waits in review then, and the log says
//! what for. A story that is done when it is first read is: nobody has asked anything of it yet.

use std::collections::HashMap;

use super::{WorkItem, WorkItemId, lanes::Lane, round::Round, store};
use crate::{
    app::App,
    artifacts::{Artifact, ArtifactId, ArtifactKind},
    database::Tx,
    error::Result,
    events::NewEvent,
    gates::keeper,
    projects::ProjectId,
    prose::to_line,
};

/// Characters of a title.
const TITLE: usize = 200;
/// Who makes items of stories.
const MAKER: &str = "the repository";

/// What a story says of itself.
pub struct Story {
    artifact: ArtifactId,
    /// What it is called, by whoever could push.
    title: String,
    status: Option<String>,
    is_gone: bool,
}

impl Story {
    /// What a document says, if it is a story.
    pub fn told_by(document: &Artifact) -> Option<Self> {
        (document.kind == ArtifactKind::Story).then(|| Self {
            artifact: document.id,
            title: document.title.as_ref().unwrap_or(&document.name).clone(),
            status: document.status.clone(),
            is_gone: false,
        })
    }

    /// That it is there no more.
    pub fn gone(artifact: ArtifactId) -> Self {
        Self { artifact, title: String::new(), status: None, is_gone: true }
    }
}

/// Lets items say what some stories say that were read or are gone, in the transaction of that, while the project is held;
/// gives what the log is to be told.
///
/// # Errors
/// The database's.
pub async fn follow(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    stories: Vec<Story>,
) -> Result<Vec<NewEvent>> {
    if stories.is_empty() {
        return Ok(Vec::new());
    }
    let items = store::by_artifacts(tx, project, stories.iter().map(|story| story.artifact)).await?;
    let items: HashMap<_, _> = items.into_iter().filter_map(|item| Some((item.artifact?, item.id))).collect();
    let Some(mut round) = Round::over(app, tx, project, items.values().copied().collect()).await? else {
        return Ok(Vec::new());
    };
    for story in stories {
        match items.get(&story.artifact) {
            Some(item) => round.follow(*item, story),
            None if story.is_gone => {}
            None => round.begin(story),
        }
    }
    round.save(tx).await
}

/// A text of anybody as the title of an item.
fn title(text: &str) -> String {
    to_line(text, TITLE).unwrap_or_else(|| "A story without a title".to_owned())
}

impl Round<'_> {
    /// Makes the item of a story that has none.
    fn begin(&mut self, story: Story) {
        let id = WorkItemId(self.app.ids.uuid());
        let lane = self.stated_by(&story).unwrap_or_else(Lane::backlog);
        let item = WorkItem {
            artifact: Some(story.artifact),
            file_status: story.status,
            ..WorkItem::new(id, title(&story.title), lane, MAKER, self.now)
        };
        self.events.push(item.changed("created"));
        self.add(item);
    }

    /// Where a story says that its item is.
    fn stated_by(&self, story: &Story) -> Option<Lane> {
        story.status.as_deref().and_then(|status| Lane::of_status(status, &self.project.config))
    }

    fn follow(&mut self, id: WorkItemId, story: Story) {
        let stated = self.stated_by(&story);
        let Some(item) = self.items.get_mut(&id) else { return };
        if item.file_status.as_deref().unwrap_or_default() == story.status.as_deref().unwrap_or_default() {
            return;
        }
        item.file_status = story.status;
        if item.creator.is_none() && !story.is_gone {
            item.title = title(&story.title);
        }
        let from = item.lane.clone();
        let to = match story.is_gone {
            true => (!from.is_done()).then(Lane::backlog),
            false => stated,
        };
        let is_free = item.claim.lease.is_none();
        let to = to.filter(|to| is_free && *to != from);
        let kept = to.as_ref().and_then(|to| self.kept_back(id, to));
        let change = match (story.is_gone, &to) {
            (true, _) => "document_removed",
            (false, Some(_)) if kept.is_some() => "kept_back",
            (false, Some(_)) => "moved",
            (false, None) => "updated",
        };
        self.go(id, to.unwrap_or(from));
        let mut event = self.items[&id].changed(change);
        if let Some((_, red)) = kept {
            event.payload["gates"] = keeper::told(&red);
        }
        self.events.push(event);
    }
}
