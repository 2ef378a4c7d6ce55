//! Work as agents see it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    WorkItem, WorkItemFilter, WorkItemId,
    claims::{self, Wish},
    items::list_work,
    lanes::Lane,
    lease::{Held, LeaseId},
    show,
};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    audit::CallRecord,
    error::Result,
    mcp::{Answer, Fields, More, Tool, WritingTool, page},
    projects::{self, ProjectId},
    wire::Timestamp,
};

/// Who wrote what items say.
const AUTHORS: &str = "whoever may write in this project, and its repository";

/// `list_work`
pub struct ListWork;

/// Arguments of [`ListWork`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListWorkArguments {
    project_id: ProjectId,
    /// only this lane
    lane: Option<String>,
    /// only what you hold
    mine: Option<bool>,
    /// only what could be claimed now
    ready: Option<bool>,
    /// nextAfter of the answer before
    after: Option<String>,
    /// rows, 20 if not given, at most 200
    limit: Option<u64>,
    /// of each row; also role, artifactId, blockers, holderId, expiresAt, branch, task, fencingToken, version
    fields: Option<Vec<String>>,
}

/// What a row may tell, and how much of that it tells unasked.
const FIELDS: [&str; 14] = [
    "workItemId",
    "title",
    "lane",
    "priority",
    "holder",
    "role",
    "artifactId",
    "blockers",
    "holderId",
    "expiresAt",
    "branch",
    "task",
    "fencingToken",
    "version",
];
const FEW: usize = 5;

impl Tool for ListWork {
    const NAME: &'static str = "list_work";
    const TITLE: &'static str = "List work";
    const ABOUT: &'static str = "Work items of a project and who holds them. To begin something do not pick from here: \
                                 claim_work without an id takes the next one.";
    const SCOPE: Scope = Scope::WorkRead;
    type Arguments = ListWorkArguments;

    async fn call(app: Arc<App>, principal: Arc<Principal>, asked: Self::Arguments) -> Result<Answer> {
        let page = page::<WorkItemId>(asked.limit, asked.after.as_deref())?;
        let fields = Fields::choose(&FIELDS, FEW, asked.fields)?;
        let now = app.clock.now();
        let project = projects::reach(&app, &principal, asked.project_id).await?;
        let lane = asked.lane.map(|lane| Lane::parse("/lane", &lane, &project.config)).transpose()?;
        let ready = asked.ready.unwrap_or(false).then(|| claims::roles_of(&principal, None));
        let holder = asked.mine.unwrap_or(false).then_some(principal.id);
        let filter = WorkItemFilter { lane, holder, artifact: None, ready };
        let found = list_work(&app, &principal, project.id, filter, page.clone()).await?;
        let (found, more) = More::behind(&page, found, |item| item.id);
        let rows = found.into_iter().map(|item| fields.of(row(&item)));
        Ok(Answer::rows(now, "work", rows, more).quoting(&["work"], AUTHORS))
    }
}

fn row(item: &WorkItem) -> Value {
    let lease = item.claim.lease.as_ref();
    json!({
        "workItemId": item.id.0,
        "title": item.title,
        "lane": item.lane,
        "priority": item.priority,
        "holder": lease.map(|lease| &lease.holder.name),
        "role": item.role,
        "artifactId": item.artifact.map(|artifact| artifact.0),
        "blockers": item.blockers,
        "holderId": lease.map(|lease| lease.holder.id.0),
        "expiresAt": lease.map(|lease| Timestamp(lease.expires_at).to_string()),
        "branch": lease.map(|lease| &lease.branch),
        "task": lease.map(|lease| &lease.task),
        "fencingToken": item.claim.fence,
        "version": item.version,
    })
}

/// `claim_work`
pub struct ClaimWork;

/// Arguments of [`ClaimWork`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimWorkArguments {
    project_id: ProjectId,
    work_item_id: Option<WorkItemId>,
    role: Option<String>,
    /// pushes to it keep the claim
    branch: Option<String>,
    /// 900 if not given
    lease_seconds: Option<i64>,
}

impl WritingTool for ClaimWork {
    const NAME: &'static str = "claim_work";
    const TITLE: &'static str = "Claim work";
    const ABOUT: &'static str = "Take a work item before you begin it: the next ready one, or one by id. Answers what to know. \
                                 Keep leaseId and fencingToken for later writes.";
    const SCOPE: Scope = Scope::WorkWrite;
    const DESTROYS: bool = false;
    const IS_IDEMPOTENT: bool = false;
    type Arguments = ClaimWorkArguments;

    async fn call(
        app: Arc<App>,
        principal: Arc<Principal>,
        record: CallRecord,
        asked: Self::Arguments,
    ) -> Result<Answer> {
        let ClaimWorkArguments { project_id, work_item_id, role, branch, lease_seconds } = asked;
        let wish = Wish::claim(work_item_id, role.as_deref(), branch.as_deref(), lease_seconds)?;
        let granted = claims::ask(&app, &principal, project_id, wish, record).await?;
        let fields = show::claim(&granted)?;
        Ok(Answer::new(app.clock.now(), fields).quoting(&["item", "context"], AUTHORS))
    }
}

/// Arguments of [`UpdateWork`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateWorkArguments {
    project_id: ProjectId,
    work_item_id: WorkItemId,
    lease_id: LeaseId,
    fencing_token: i64,
    /// what you are doing
    task: Option<String>,
    branch: Option<String>,
    lane: Option<String>,
    /// that you have read what changed
    has_read: Option<bool>,
}

/// `update_work`
pub struct UpdateWork;

impl WritingTool for UpdateWork {
    const NAME: &'static str = "update_work";
    const TITLE: &'static str = "Update work";
    const ABOUT: &'static str =
        "Say that you are at it, before expiresAt. Warns when what you build on has changed.";
    const SCOPE: Scope = Scope::WorkWrite;
    const DESTROYS: bool = false;
    const IS_IDEMPOTENT: bool = true;
    type Arguments = UpdateWorkArguments;

    async fn call(
        app: Arc<App>,
        principal: Arc<Principal>,
        record: CallRecord,
        asked: Self::Arguments,
    ) -> Result<Answer> {
        let held = Held { lease: asked.lease_id, fence: asked.fencing_token };
        let (task, branch) = (asked.task.as_deref(), asked.branch.as_deref());
        let has_read = asked.has_read.unwrap_or(false);
        let wish = Wish::update(asked.work_item_id, held, task, branch, asked.lane, has_read)?;
        let granted = claims::ask(&app, &principal, asked.project_id, wish, record).await?;
        Ok(Answer::new(app.clock.now(), show::held(&granted)?))
    }
}

/// Arguments of [`FinishWork`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FinishWorkArguments {
    project_id: ProjectId,
    work_item_id: WorkItemId,
    lease_id: LeaseId,
    fencing_token: i64,
    commit: Option<String>,
    summary: Option<String>,
    /// done if not given
    lane: Option<String>,
}

/// `finish_work`
pub struct FinishWork;

impl WritingTool for FinishWork {
    const NAME: &'static str = "finish_work";
    const TITLE: &'static str = "Finish work";
    const ABOUT: &'static str = "Be done with an item you hold.";
    const SCOPE: Scope = Scope::WorkWrite;
    const DESTROYS: bool = false;
    const IS_IDEMPOTENT: bool = false;
    type Arguments = FinishWorkArguments;

    async fn call(
        app: Arc<App>,
        principal: Arc<Principal>,
        record: CallRecord,
        asked: Self::Arguments,
    ) -> Result<Answer> {
        let held = Held { lease: asked.lease_id, fence: asked.fencing_token };
        let (commit, summary) = (asked.commit.as_deref(), asked.summary.as_deref());
        let wish = Wish::finish(asked.work_item_id, held, commit, summary, asked.lane)?;
        let granted = claims::ask(&app, &principal, asked.project_id, wish, record).await?;
        Ok(Answer::new(app.clock.now(), show::freed(&granted)))
    }
}

/// Arguments of [`ReleaseWork`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseWorkArguments {
    project_id: ProjectId,
    work_item_id: WorkItemId,
    lease_id: LeaseId,
    fencing_token: i64,
    reason: Option<String>,
}

/// `release_work`
pub struct ReleaseWork;

impl WritingTool for ReleaseWork {
    const NAME: &'static str = "release_work";
    const TITLE: &'static str = "Release work";
    const ABOUT: &'static str = "Give an item you hold back undone; say why.";
    const SCOPE: Scope = Scope::WorkWrite;
    const DESTROYS: bool = false;
    const IS_IDEMPOTENT: bool = false;
    type Arguments = ReleaseWorkArguments;

    async fn call(
        app: Arc<App>,
        principal: Arc<Principal>,
        record: CallRecord,
        asked: Self::Arguments,
    ) -> Result<Answer> {
        let held = Some(Held { lease: asked.lease_id, fence: asked.fencing_token });
        let wish = Wish::release(asked.work_item_id, held, asked.reason.as_deref())?;
        let granted = claims::ask(&app, &principal, asked.project_id, wish, record).await?;
        Ok(Answer::new(app.clock.now(), show::freed(&granted)))
    }
}
