//! Items: what people plan. Making and changing them needs no claim; whoever works on one is left alone by all but those
//! who may manage the project.

use std::sync::Arc;

use super::{
    CommentId, Priority, WorkItem, WorkItemId,
    board::{link, parse_role, place, recount, wait_for},
    lanes::Lane,
    lease::Reason,
    store,
};
use crate::{
    accounts::{Principal, PrincipalId, Scope},
    app::App,
    artifacts::ArtifactId,
    audit::CallRecord,
    clock::Time,
    database::Tx,
    error::Result,
    gates::{self, keeper::Keeper},
    projects::{self, Project, ProjectId},
    prose::{parse_line, parse_text},
    wire::{Expected, Found, Page},
};

/// Characters of a title, of a description, and of a comment.
const TITLE: usize = 200;
const DESCRIPTION: usize = 20_000;
const COMMENT: usize = 10_000;

/// An item to be made.
#[derive(Clone, Debug, Default)]
pub struct NewWorkItem {
    /// What is to be done, on one line.
    pub title: String,
    /// The same at length.
    pub description: Option<String>,
    /// The lane; `backlog` if not given.
    pub lane: Option<String>,
    /// How urgent it is; normal if not given.
    pub priority: Option<Priority>,
    /// Which agents it is for.
    pub role: Option<String>,
    /// The document that it is one thing with.
    pub artifact: Option<ArtifactId>,
    /// What it waits for.
    pub blocked_by: Vec<WorkItemId>,
}

/// What to change of an item; what is left out stays.
#[derive(Clone, Debug, Default)]
pub struct WorkItemPatch {
    /// What is to be done, on one line.
    pub title: Option<String>,
    /// The same at length; none takes it away.
    pub description: Option<Option<String>>,
    /// The lane.
    pub lane: Option<String>,
    /// The item of that lane before which it is put; at its end if not given.
    pub before: Option<WorkItemId>,
    /// How urgent it is.
    pub priority: Option<Priority>,
    /// Which agents it is for; none takes it away.
    pub role: Option<Option<String>>,
    /// The document that it is one thing with; none takes it away.
    pub artifact: Option<Option<ArtifactId>>,
    /// What it waits for.
    pub blocked_by: Option<Vec<WorkItemId>>,
}

/// Which items are meant.
#[derive(Clone, Debug, Default)]
pub struct WorkItemFilter {
    /// Those in this lane.
    pub lane: Option<Lane>,
    /// Those that this principal holds.
    pub holder: Option<PrincipalId>,
    /// The one that is one thing with this document.
    pub artifact: Option<ArtifactId>,
    /// Those that could be begun by somebody with one of these roles.
    pub ready: Option<Vec<String>>,
}

/// What somebody said about an item.
#[derive(Clone, Debug)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// Who said it.
    pub author: PrincipalId,
    /// The name which that had then.
    pub author_name: String,
    /// What was said.
    pub text: String,
    /// When.
    pub at: Time,
}

/// An item, and what it waits for.
#[derive(Clone, Debug)]
pub struct Detailed {
    /// The item.
    pub item: WorkItem,
    /// What it waits for: the item, what that is called, and whether it is done.
    pub blocked_by: Vec<(WorkItemId, String, bool)>,
}

/// Makes an item.
///
/// # Errors
/// `not_found` for a project out of reach, `invalid_request` for what does not make sense, `lane_full`, `gate_failed` for
/// one that is done and has not passed what the project asks of items, and `conflict` for a document that another item is one thing with.
pub async fn create_work_item(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    new: NewWorkItem,
) -> Result<WorkItem> {
    projects::reach(app, principal, project).await?;
    let NewWorkItem { title, description, lane, priority, role, artifact, blocked_by } = new;
    let title = parse_line("/title", &title, TITLE)?;
    let description = description.map(|text| parse_text("/description", &text, DESCRIPTION)).transpose()?;
    let role = role.map(|role| parse_role(&role)).transpose()?;
    let (context, who) = (Arc::clone(app), principal.clone());
    let write = app.database.write(principal.tenant, move |tx| {
        Box::pin(async move {
            let app = &context;
            let known = projects::hold(tx, project).await?;
            let lane = Lane::parse("/lane", lane.as_deref().unwrap_or("backlog"), &known.config)?;
            let (id, now) = (WorkItemId(app.ids.uuid()), app.clock.now());
            let mut item = WorkItem {
                description,
                priority: priority.unwrap_or(Priority::Normal),
                role,
                creator: Some(who.id),
                ..WorkItem::new(id, title, lane, &who.name, now)
            };
            may_be_done(tx, &known, &item, now).await?;
            place(tx, &known, &mut item, None).await?;
            link(tx, project, &mut item, artifact).await?;
            wait_for(tx, project, &mut item, blocked_by).await?;
            store::save(tx, project, std::slice::from_ref(&item)).await?;
            gates::tell(app, tx, project, vec![item.changed_by("created", &who)]).await?;
            Ok(item)
        })
    });
    write.await
}

/// Changes an item, as people do on a board. Whoever holds it keeps it, unless it is moved to another lane: that takes it
/// away, and only who may manage the project does so. `record` is that of the tool call that asks for it, if it was one.
///
/// # Errors
/// `not_found`, `invalid_request`, `precondition_failed` for one that is at another version, `already_claimed` for a move
/// of what somebody else holds, `lane_full`, `gate_failed` for a move to `done` that a gate of the item holds back.
pub async fn update_work_item(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    id: WorkItemId,
    patch: WorkItemPatch,
    expected: Expected,
    record: CallRecord,
) -> Result<Detailed> {
    projects::reach(app, principal, project).await?;
    let title = patch.title.map(|title| parse_line("/title", &title, TITLE)).transpose()?;
    let description = match patch.description {
        Some(Some(text)) => Some(Some(parse_text("/description", &text, DESCRIPTION)?)),
        other => other,
    };
    let role = match patch.role {
        Some(Some(role)) => Some(Some(parse_role(&role)?)),
        other => other,
    };
    let (lane, before, artifact, blocked_by) = (patch.lane, patch.before, patch.artifact, patch.blocked_by);
    let (context, who) = (Arc::clone(app), principal.clone());
    let write = app.database.write(principal.tenant, move |tx| {
        Box::pin(async move {
            let app = &context;
            let known = projects::hold(tx, project).await?;
            let mut item = store::find(tx, project, id).await?;
            expected.check(item.version)?;
            let now = app.clock.now();
            item.title = title.unwrap_or(item.title);
            item.description = description.unwrap_or(item.description);
            item.priority = patch.priority.unwrap_or(item.priority);
            item.role = role.unwrap_or(item.role);
            if let Some(artifact) = artifact {
                link(tx, project, &mut item, artifact).await?;
            }
            if let Some(blocked_by) = blocked_by {
                wait_for(tx, project, &mut item, blocked_by).await?;
            }
            let (mut events, was_done) = (Vec::new(), item.lane.is_done());
            let lane = lane.map(|lane| Lane::parse("/lane", &lane, &known.config)).transpose()?;
            let is_moved = lane.as_ref().is_some_and(|lane| *lane != item.lane);
            if is_moved {
                may_take(&item, &who, now)?;
            }
            if is_moved || before.is_some() {
                let mut there = WorkItem { lane: lane.unwrap_or_else(|| item.lane.clone()), ..item.clone() };
                if is_moved {
                    may_be_done(tx, &known, &there, now).await?;
                }
                place(tx, &known, &mut there, before).await?;
                item.move_to(there.lane, there.rank, now);
            }
            item.touch(now);
            let reason = match item.claim.live(now) {
                Some(lease) if lease.holder.id == who.id => Reason::Released,
                Some(_) => Reason::TakenBack,
                None => Reason::Expired,
            };
            if is_moved && let Some(ended) = item.claim.end(reason) {
                item.pins = None;
                events.push(item.released(&ended, None));
            }
            events.push(item.changed_by(if is_moved { "moved" } else { "updated" }, &who));
            store::save(tx, project, std::slice::from_ref(&item)).await?;
            if was_done != item.lane.is_done() {
                let waiting = store::waiting_for(tx, project, &[id]).await?;
                let freed = recount(tx, project, waiting, now, &mut events).await?;
                store::save(tx, project, &freed).await?;
            }
            gates::tell(app, tx, project, events).await?;
            let changed = detailed(tx, project, item).await?;
            record.write(tx).await?;
            Ok(changed)
        })
    });
    write.await
}

/// Refuses to take an item from its holder, unless that is who asks, or may manage the project.
fn may_take(item: &WorkItem, who: &Principal, now: Time) -> Result<()> {
    let may = who.scopes.contains(&Scope::ProjectsWrite);
    match item.claim.live(now) {
        Some(lease) if lease.holder.id != who.id && !may => Err(item.claim.is_held(lease, who.id)),
        _ => Ok(()),
    }
}

/// Refuses to put an item among those that are done while a gate holds it back.
async fn may_be_done(tx: &Tx<'_>, project: &Project, item: &WorkItem, now: Time) -> Result<()> {
    match item.lane.is_done() {
        true => Keeper::of(tx, project, &[item.id]).await?.check(&item.brief(), now),
        false => Ok(()),
    }
}

/// Deletes an item, and with it its claim, its comments, and that others wait for it.
///
/// # Errors
/// `not_found`, `precondition_failed` for one that is at another version, `already_claimed` for what somebody else holds.
pub async fn delete_work_item(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    id: WorkItemId,
    expected: Expected,
) -> Result<()> {
    projects::reach(app, principal, project).await?;
    let (context, who) = (Arc::clone(app), principal.clone());
    let write = app.database.write(principal.tenant, move |tx| {
        Box::pin(async move {
            projects::hold(tx, project).await?;
            let mut item = store::find(tx, project, id).await?;
            expected.check(item.version)?;
            let now = context.clock.now();
            may_take(&item, &who, now)?;
            item.touch(now);
            let mut events = Vec::new();
            let is_live = item.claim.live(now).is_some();
            if let Some(ended) = item.claim.end(if is_live { Reason::Deleted } else { Reason::Expired }) {
                events.push(item.released(&ended, None));
            }
            events.push(item.changed_by("deleted", &who));
            let waiting = store::waiting_for(tx, project, &[id]).await?;
            store::delete(tx, project, id).await?;
            gates::forget_item(tx, project, id).await?;
            let freed = recount(tx, project, waiting, now, &mut events).await?;
            store::save(tx, project, &freed).await?;
            gates::tell(&context, tx, project, events).await
        })
    });
    write.await
}

/// A page of a project's items, oldest first, and one more if there are more.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn list_work(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    filter: WorkItemFilter,
    page: Page<WorkItemId>,
) -> Result<Found<WorkItem>> {
    projects::reach(app, principal, project).await?;
    app.database
        .read(principal.tenant, move |tx| {
            Box::pin(async move { store::list(tx, project, filter, &page).await })
        })
        .await
}

/// An item, and what it waits for.
///
/// # Errors
/// `not_found`.
pub async fn get_work_item(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    id: WorkItemId,
) -> Result<Detailed> {
    projects::reach(app, principal, project).await?;
    let read = app.database.read(principal.tenant, move |tx| {
        Box::pin(async move {
            let item = store::find(tx, project, id).await?;
            detailed(tx, project, item).await
        })
    });
    read.await
}

pub(super) async fn detailed(tx: &Tx<'_>, project: ProjectId, item: WorkItem) -> Result<Detailed> {
    let blockers = store::blockers(tx, project, &[item.id]).await?;
    let blocked_by =
        blockers.into_iter().map(|(_, blocker, title, is_done)| (blocker, title, is_done)).collect();
    Ok(Detailed { item, blocked_by })
}

/// Says something about an item.
///
/// # Errors
/// `not_found`, `invalid_request` for a text that says nothing or too much.
pub async fn add_comment(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    id: WorkItemId,
    text: &str,
) -> Result<Comment> {
    projects::reach(app, principal, project).await?;
    let text = parse_text("/text", text, COMMENT)?;
    let (context, who) = (Arc::clone(app), principal.clone());
    let write = app.database.write(principal.tenant, move |tx| {
        Box::pin(async move {
            projects::hold(tx, project).await?;
            let mut item = store::find(tx, project, id).await?;
            let at = context.clock.now();
            let (author, author_name) = (who.id, who.name.clone());
            let comment = Comment { id: CommentId(context.ids.uuid()), author, author_name, text, at };
            store::insert_comment(tx, project, id, comment.clone()).await?;
            item.touch(at);
            store::save(tx, project, std::slice::from_ref(&item)).await?;
            let mut event = item.changed_by("commented", &who);
            event.payload["commentId"] = serde_json::json!(comment.id.0);
            gates::tell(&context, tx, project, vec![event]).await?;
            Ok(comment)
        })
    });
    write.await
}

/// A page of an item's comments, newest first, and one more if there are more.
///
/// # Errors
/// `not_found`.
pub async fn list_comments(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    id: WorkItemId,
    page: Page<CommentId>,
) -> Result<Found<Comment>> {
    projects::reach(app, principal, project).await?;
    let read = app.database.read(principal.tenant, move |tx| {
        Box::pin(async move {
            store::find(tx, project, id).await?;
            store::comments(tx, project, id, &page).await
        })
    });
    read.await
}
