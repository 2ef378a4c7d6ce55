//! Stories: documents that are one thing with a work item.
//!
//! A story that is read for the first time makes an item, unless somebody has linked one to it; what its file says of its
//! status flows in whenever that changes, and moves the item to the lane that the status means. Nothing flows back: the
//! repository is only read. While somebody holds the item its lane is theirs to say, and the file's word counts when the
//! claim ends. An item whose document is gone goes to the backlog, with all that was said about it.

use super::{Priority, WorkItem, WorkItemId, lanes::Lane, lease::Claim, round::Round, store};
use crate::{
    app::App, artifacts::ArtifactId, database::Tx, error::Result, events::NewEvent, projects::ProjectId,
    prose::to_line,
};

/// Characters of a title.
const TITLE: usize = 200;
/// Who makes items of stories.
const MAKER: &str = "the repository";

/// A story whose item does not say what it says, or that has none.
pub(super) struct Story {
    pub(super) artifact: ArtifactId,
    /// What it is called, by whoever could push.
    pub(super) title: String,
    pub(super) status: Option<String>,
    pub(super) is_removed: bool,
    /// The item that is one thing with it.
    pub(super) item: Option<WorkItemId>,
}

/// Lets items say what some documents say that were read or are gone, in the transaction of that, while the project is
/// held; gives what the log is to be told.
///
/// # Errors
/// The database's.
pub async fn follow(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    documents: Vec<ArtifactId>,
) -> Result<Vec<NewEvent>> {
    let stories = store::differing(tx, project, documents).await?;
    if stories.is_empty() {
        return Ok(Vec::new());
    }
    let known = stories.iter().filter_map(|story| story.item).collect();
    let Some(mut round) = Round::over(app, tx, project, known).await? else { return Ok(Vec::new()) };
    stories.into_iter().for_each(|story| round.follow(story));
    round.save(tx).await
}

impl Round<'_> {
    fn follow(&mut self, story: Story) {
        let title = to_line(&story.title, TITLE).unwrap_or_else(|| "A story without a title".to_owned());
        let stated = story.status.as_deref().and_then(|status| Lane::of_status(status, &self.project.config));
        let Some(id) = story.item else {
            let (id, now) = (WorkItemId(self.app.ids.uuid()), self.now);
            let lane = stated.unwrap_or_else(Lane::backlog);
            let item = WorkItem {
                id,
                title,
                description: None,
                rank: 0,
                priority: Priority::Normal,
                role: None,
                artifact: Some(story.artifact),
                file_status: story.status,
                blockers: 0,
                version: 1,
                creator: None,
                creator_name: MAKER.to_owned(),
                created_at: now,
                updated_at: now,
                finished_at: lane.is_done().then_some(now),
                lane,
                commit: None,
                summary: None,
                claim: Claim::none(),
                pins: None,
            };
            self.events.push(item.changed("created"));
            return self.add(item);
        };
        let Some(item) = self.items.get_mut(&id) else { return };
        let before = item.clone();
        let is_news = item.file_status != story.status;
        item.file_status = story.status;
        if item.creator.is_none() && !story.is_removed {
            item.title = title;
        }
        let is_free = item.claim.lease.is_none();
        let to = match story.is_removed {
            true => (!item.lane.is_done()).then(Lane::backlog),
            false => stated.filter(|_| is_news),
        };
        let to = to.filter(|to| is_free && *to != before.lane);
        if *item == before && to.is_none() {
            return;
        }
        let change = match (story.is_removed, &to) {
            (true, _) => "document_removed",
            (false, Some(_)) => "moved",
            (false, None) => "updated",
        };
        self.go(id, to.unwrap_or(before.lane));
        let event = self.items[&id].changed(change);
        self.events.push(event);
    }
}
