//! Work over REST.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use serde::Deserialize;

use super::{
    CommentId, NewWorkItem, Priority, WorkItemFilter, WorkItemId, WorkItemPatch,
    claims::{self, Wish},
    items,
    lanes::Lane,
    lease::{Held, LeaseId},
    out::{ClaimOut, CommentOut, HeldOut, WorkItemOut},
};
use crate::{
    accounts::{Caller, PrincipalId, scope},
    app::App,
    artifacts::ArtifactId,
    audit::CallRecord,
    error::{Error, Result},
    projects::{self, ProjectId},
    rest::{self, Created, Input, Listed, NoContent, Tag, Versioned, given},
    wire::{Page, example},
};

/// Routes of work.
pub struct WorkApi;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Work")]
impl WorkApi {
    /// List work items
    ///
    /// What there is to do in a project, and who holds it, oldest first.
    #[oai(path = "/projects/:project_id/work-items", method = "get", operation_id = "list_work")]
    async fn list_work(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// Only items in this lane.
        lane: Query<Option<String>>,
        /// Only items that this principal holds.
        #[oai(name = "holderId")]
        holder_id: Query<Option<PrincipalId>>,
        /// Only the item that is one thing with this document.
        #[oai(name = "artifactId")]
        artifact_id: Query<Option<ArtifactId>>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<WorkItemOut>> {
        let page = Page::parse(limit.0, cursor.0.as_deref())?;
        let project = projects::reach(&app, &caller.principal, project_id.0).await?;
        let lane = lane.0.map(|lane| Lane::parse("/lane", &lane, &project.config)).transpose()?;
        let filter = WorkItemFilter { lane, holder: holder_id.0, artifact: artifact_id.0, ready: None };
        let found = items::list_work(&app, &caller.principal, project.id, filter, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |item| item.id, WorkItemOut::of)))
    }

    /// Make a work item
    ///
    /// It goes to the end of its lane.
    #[oai(path = "/projects/:project_id/work-items", method = "post", operation_id = "create_work_item")]
    async fn create_work_item(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        body: Input<WorkItemIn>,
    ) -> Result<Created<WorkItemOut>> {
        let WorkItemIn { title, description, lane, priority, role, artifact_id, blocked_by } = body.0;
        let blocked_by = blocked_by.unwrap_or_default();
        let new = NewWorkItem { title, description, lane, priority, role, artifact: artifact_id, blocked_by };
        let made = items::create_work_item(&app, &caller.principal, project_id.0, new).await?;
        let location = format!("/api/v1/projects/{}/work-items/{}", project_id.0, made.id);
        Ok(Created::at(location, WorkItemOut::of(made)))
    }

    /// Show a work item
    ///
    /// With what it waits for.
    #[oai(
        path = "/projects/:project_id/work-items/:work_item_id",
        method = "get",
        operation_id = "get_work_item"
    )]
    async fn get_work_item(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The item.
        work_item_id: Path<WorkItemId>,
    ) -> Result<Versioned<WorkItemOut>> {
        let found = items::get_work_item(&app, &caller.principal, project_id.0, work_item_id.0).await?;
        Ok(WorkItemOut::versioned(found))
    }

    /// Change a work item
    ///
    /// What is left out stays as it is. To move what somebody else holds takes it away from them, which needs the scope
    /// `projects.write`.
    #[oai(
        path = "/projects/:project_id/work-items/:work_item_id",
        method = "patch",
        operation_id = "update_work_item"
    )]
    async fn update_work_item(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The item.
        work_item_id: Path<WorkItemId>,
        /// The `ETag` of the version that is meant; another one is refused with 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Input<WorkItemChanges>,
    ) -> Result<Versioned<WorkItemOut>> {
        let body = body.0;
        let patch = WorkItemPatch {
            title: body.title,
            description: body.description,
            lane: body.lane,
            before: body.before_id,
            priority: body.priority,
            role: body.role,
            artifact: body.artifact_id,
            blocked_by: body.blocked_by,
        };
        let expected = rest::if_match(if_match.0);
        let (project, id) = (project_id.0, work_item_id.0);
        let (who, record) = (&caller.principal, CallRecord::none());
        let changed = items::update_work_item(&app, who, project, id, patch, expected, record).await?;
        Ok(WorkItemOut::versioned(changed))
    }

    /// Delete a work item
    ///
    /// With its comments and its claim; what waited for it does so no more.
    #[oai(
        path = "/projects/:project_id/work-items/:work_item_id",
        method = "delete",
        operation_id = "delete_work_item"
    )]
    async fn delete_work_item(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The item.
        work_item_id: Path<WorkItemId>,
        /// The `ETag` of the version that is meant; another one is refused with 412.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<NoContent> {
        let expected = rest::if_match(if_match.0);
        items::delete_work_item(&app, &caller.principal, project_id.0, work_item_id.0, expected).await?;
        Ok(NoContent::Done)
    }

    /// Claim work
    ///
    /// A work item by its id, or the next one that is ready, waits for nothing and is for the caller's role: the most
    /// urgent first. It is held for the caller until `expiresAt`, which every sign of life moves on.
    #[oai(path = "/projects/:project_id/work-items/claim", method = "post", operation_id = "claim_work")]
    async fn claim_work(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        body: Input<ClaimIn>,
    ) -> Result<Json<ClaimOut>> {
        let ClaimIn { work_item_id, role, branch, lease_seconds } = body.0;
        let wish = Wish::claim(work_item_id, role.as_deref(), branch.as_deref(), lease_seconds)?;
        let record = CallRecord::none();
        let granted = claims::ask(&app, &caller.principal, project_id.0, wish, record).await?;
        Ok(Json(ClaimOut::of(granted)?))
    }

    /// Go on holding a work item
    ///
    /// A sign of life, and how it goes.
    #[oai(
        path = "/projects/:project_id/work-items/:work_item_id/update",
        method = "post",
        operation_id = "update_work"
    )]
    async fn update_work(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The item.
        work_item_id: Path<WorkItemId>,
        body: Input<UpdateIn>,
    ) -> Result<Json<HeldOut>> {
        let UpdateIn { lease_id, fencing_token, task, branch, lane, has_read } = body.0;
        let held = Held { lease: lease_id, fence: fencing_token };
        let has_read = has_read.unwrap_or(false);
        let wish = Wish::update(work_item_id.0, held, task.as_deref(), branch.as_deref(), lane, has_read)?;
        let record = CallRecord::none();
        let granted = claims::ask(&app, &caller.principal, project_id.0, wish, record).await?;
        Ok(Json(HeldOut::of(&granted)?))
    }

    /// Finish a work item
    ///
    /// Nobody holds it any more; it goes to `done`, or to the lane that is named.
    #[oai(
        path = "/projects/:project_id/work-items/:work_item_id/finish",
        method = "post",
        operation_id = "finish_work"
    )]
    async fn finish_work(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The item.
        work_item_id: Path<WorkItemId>,
        body: Input<FinishIn>,
    ) -> Result<Json<WorkItemOut>> {
        let FinishIn { lease_id, fencing_token, commit, summary, lane } = body.0;
        let held = Held { lease: lease_id, fence: fencing_token };
        let wish = Wish::finish(work_item_id.0, held, commit.as_deref(), summary.as_deref(), lane)?;
        let record = CallRecord::none();
        let granted = claims::ask(&app, &caller.principal, project_id.0, wish, record).await?;
        Ok(Json(WorkItemOut::of(granted.item)))
    }

    /// Release a work item
    ///
    /// It goes back to `ready` if it was being worked on. Without a claim of one's own this takes it away from whoever holds
    /// it, which needs the scope `projects.write`.
    #[oai(
        path = "/projects/:project_id/work-items/:work_item_id/release",
        method = "post",
        operation_id = "release_work"
    )]
    async fn release_work(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The item.
        work_item_id: Path<WorkItemId>,
        body: Input<ReleaseIn>,
    ) -> Result<Json<WorkItemOut>> {
        let ReleaseIn { lease_id, fencing_token, reason } = body.0;
        let held = match (lease_id, fencing_token) {
            (Some(lease), Some(fence)) => Some(Held { lease, fence }),
            (None, None) => None,
            (lease, _) => {
                let missing = if lease.is_some() { "/fencingToken" } else { "/leaseId" };
                let why = "a claim is named by `leaseId` and `fencingToken`; leave out both to take the item from its holder";
                return Err(Error::invalid_field(missing, why));
            }
        };
        let wish = Wish::release(work_item_id.0, held, reason.as_deref())?;
        let record = CallRecord::none();
        let granted = claims::ask(&app, &caller.principal, project_id.0, wish, record).await?;
        Ok(Json(WorkItemOut::of(granted.item)))
    }

    /// List comments
    ///
    /// What was said about a work item, newest first.
    #[oai(
        path = "/projects/:project_id/work-items/:work_item_id/comments",
        method = "get",
        operation_id = "list_comments"
    )]
    async fn list_comments(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkRead>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The item.
        work_item_id: Path<WorkItemId>,
        /// Rows at most, 1 to 200 (50 if not given).
        limit: Query<Option<u64>>,
        /// `nextCursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Listed<CommentOut>> {
        let page = Page::<CommentId>::parse(limit.0, cursor.0.as_deref())?;
        let (project, id) = (project_id.0, work_item_id.0);
        let found = items::list_comments(&app, &caller.principal, project, id, page.clone()).await?;
        Ok(Listed(page.cut(found.rows, |row| row.id, CommentOut::from)))
    }

    /// Comment on a work item
    ///
    /// Comments stay as they were made.
    #[oai(
        path = "/projects/:project_id/work-items/:work_item_id/comments",
        method = "post",
        operation_id = "add_comment"
    )]
    async fn add_comment(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller<scope::WorkWrite>,
        /// The project.
        project_id: Path<ProjectId>,
        /// The item.
        work_item_id: Path<WorkItemId>,
        body: Input<CommentIn>,
    ) -> Result<Created<CommentOut>> {
        let (project, id) = (project_id.0, work_item_id.0);
        let made = items::add_comment(&app, &caller.principal, project, id, &body.0.text).await?;
        let location = format!("/api/v1/projects/{project}/work-items/{id}/comments");
        Ok(Created::at(location, made.into()))
    }
}

/// A work item to be made.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "NewWorkItem", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkItemIn {
    /// What is to be done, on one line of 1 to 200 characters.
    title: String,
    /// The same at length, up to 20000 characters.
    description: Option<String>,
    /// A lane of the project's board; `backlog` if not given.
    lane: Option<String>,
    /// How urgent it is; `normal` if not given.
    priority: Option<Priority>,
    /// Which agents it is for, by the name of their role; any if not given.
    role: Option<String>,
    /// The document that it is one thing with, such as a story.
    artifact_id: Option<ArtifactId>,
    /// Items that have to be done before, at most 50.
    blocked_by: Option<Vec<WorkItemId>>,
}

example!(WorkItemIn, { "title": "Sign in with a passkey", "lane": "ready", "priority": "high" });

/// What to change of a work item.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "WorkItemPatch", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkItemChanges {
    /// What is to be done.
    title: Option<String>,
    /// The same at length; null takes it away.
    #[serde(default, deserialize_with = "given")]
    description: Option<Option<String>>,
    /// The lane.
    lane: Option<String>,
    /// The item of that lane before which it is put; its end if not given.
    before_id: Option<WorkItemId>,
    /// How urgent it is.
    priority: Option<Priority>,
    /// Which agents it is for; null for any.
    #[serde(default, deserialize_with = "given")]
    role: Option<Option<String>>,
    /// The document that it is one thing with; null for none.
    #[serde(default, deserialize_with = "given")]
    artifact_id: Option<Option<ArtifactId>>,
    /// Items that have to be done before, as a whole.
    blocked_by: Option<Vec<WorkItemId>>,
}

example!(WorkItemChanges, { "lane": "ready", "priority": "urgent" });

/// Which item to claim, and as whom.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "ClaimWork", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClaimIn {
    /// The item; the next ready one if not given.
    work_item_id: Option<WorkItemId>,
    /// A role beside the caller's own, for the next ready one.
    role: Option<String>,
    /// The branch on which the caller will work: pushes to it and runs on it are signs of life.
    branch: Option<String>,
    /// For how long each sign of life holds the item, 30 to 14400 (900 if not given).
    lease_seconds: Option<i64>,
}

example!(ClaimIn, { "branch": "feature/passkey" });

/// A sign of life.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "UpdateWork", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdateIn {
    /// The claim.
    lease_id: LeaseId,
    /// Its fencing token.
    fencing_token: i64,
    /// What the caller is doing, on one line of up to 200 characters.
    task: Option<String>,
    /// The branch on which it works.
    branch: Option<String>,
    /// The lane to which the item goes.
    lane: Option<String>,
    /// Whether the caller has read the sections that have changed.
    has_read: Option<bool>,
}

example!(UpdateIn, {
    "leaseId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3e", "fencingToken": 1,
    "task": "writing the tests"
});

/// What was done.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "FinishWork", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FinishIn {
    /// The claim.
    lease_id: LeaseId,
    /// Its fencing token.
    fencing_token: i64,
    /// The commit that did it, of 7 to 64 hexadecimal digits.
    commit: Option<String>,
    /// What was done, up to 2000 characters.
    summary: Option<String>,
    /// The lane to which the item goes; `done` if not given.
    lane: Option<String>,
}

example!(FinishIn, {
    "leaseId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3e", "fencingToken": 1,
    "commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "summary": "Passkeys work in all browsers."
});

/// Why it is given back.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "ReleaseWork", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReleaseIn {
    /// The claim; left out by who takes the item away from its holder.
    lease_id: Option<LeaseId>,
    /// Its fencing token.
    fencing_token: Option<i64>,
    /// Why, for whoever takes it next, up to 2000 characters.
    reason: Option<String>,
}

example!(ReleaseIn, {
    "leaseId": "01936f8e-52a0-7c41-b3f2-6d0c1f1a2b3e", "fencingToken": 1,
    "reason": "waits for the design"
});

/// Something to say.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", rename = "NewComment", deny_unknown_fields, example)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CommentIn {
    /// 1 to 10000 characters.
    text: String,
}

example!(CommentIn, { "text": "The relying party has to be the public address, not the host." });
