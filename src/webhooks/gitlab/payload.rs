//! What GitLab's payloads mean.

use serde::Deserialize;
use serde_json::json;

use crate::{
    error::Result,
    events::EventName,
    runs::{RunKind, RunState, RunStatus},
    webhooks::{
        change::{Change, Push},
        payload::{Commit, branch_or_tag, first_line, is_no_commit, parse, revision, time, touches},
        source::Source,
        text::Text,
    },
};

const SOURCE: Source = Source::GitLab;

/// What an event means; nothing, for one that is not in this list.
pub(super) fn changes(event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
    let kind = match event_type {
        "Push Hook" => "push",
        "Tag Push Hook" => "tag_push",
        "Merge Request Hook" => "merge_request",
        "Issue Hook" | "Confidential Issue Hook" => "issue",
        "Release Hook" => "release",
        "Pipeline Hook" => "pipeline",
        "Job Hook" => "build",
        // One header for all; the body says what it is about, in one of two fields.
        "System Hook" => &serde_json::from_slice::<Kind>(json).unwrap_or_default().into_name(),
        _ => "",
    };
    Ok(match kind {
        "push" | "tag_push" => vec![Change::Push(push(parse(SOURCE, json)?))],
        "merge_request" => vec![merge_request(parse(SOURCE, json)?)],
        "issue" => vec![issue(parse(SOURCE, json)?, event_type.starts_with("Confidential"))],
        "release" => release(parse(SOURCE, json)?).into_iter().collect(),
        "pipeline" => pipeline(parse(SOURCE, json)?).into_iter().map(Change::Run).collect(),
        "build" => job(parse(SOURCE, json)?).into_iter().map(Change::Run).collect(),
        _ => Vec::new(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Kind {
    object_kind: Option<Text>,
    event_name: Option<Text>,
}

impl Kind {
    fn into_name(self) -> String {
        self.object_kind.or(self.event_name).map_or_else(String::new, Text::into_string)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Project {
    default_branch: Option<Text>,
    web_url: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    username: Option<Text>,
    name: Option<Text>,
}

impl User {
    fn shown(self) -> Option<String> {
        self.username.or(self.name).map(Text::into_string)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PushPayload {
    #[serde(rename = "ref")]
    reference: Text,
    before: Text,
    after: Text,
    user_username: Option<Text>,
    user_name: Option<Text>,
    project: Project,
    commits: Vec<Commit>,
    /// GitLab lists 20 commits at most.
    total_commits_count: Option<u64>,
}

/// GitLab does not say when something was pushed: when it was received counts.
fn push(payload: PushPayload) -> Push {
    let (branch, tag) = branch_or_tag(&payload.reference);
    let (before, after) = (payload.before.into_string(), payload.after.into_string());
    let message = payload.commits.last().map(|commit| first_line(&commit.message)).unwrap_or_default();
    let commits = payload.total_commits_count.unwrap_or(payload.commits.len() as u64);
    let touches = touches(payload.commits);
    let url = payload.project.web_url.as_deref().map(|url| format!("{url}/-/compare/{before}...{after}"));
    let log = json!({
        "branch": branch,
        "tag": tag,
        "created": is_no_commit(&before),
        "deleted": is_no_commit(&after),
        "before": before,
        "after": after,
        "forced": null,
        "commits": commits,
        "message": message,
        "author": payload.user_username.or(payload.user_name).map(Text::into_string),
        "files": touches.len(),
        "url": url,
    });
    let default_branch = payload.project.default_branch.map(Text::into_string);
    Push { branch, default_branch, touches, pushed_at: None, payload: log }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MergeRequestPayload {
    user: User,
    object_attributes: MergeRequest,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MergeRequest {
    iid: Option<u64>,
    title: Text,
    state: Text,
    action: Option<Text>,
    draft: Option<bool>,
    work_in_progress: Option<bool>,
    source_branch: Text,
    target_branch: Text,
    last_commit: Option<CommitId>,
    updated_at: Option<Text>,
    url: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CommitId {
    id: Text,
}

fn merge_request(payload: MergeRequestPayload) -> Change {
    let request = payload.object_attributes;
    let log = json!({
        "action": request.action.as_deref(),
        "number": request.iid,
        "title": &*request.title,
        "state": open_or(&request.state),
        "draft": request.draft.or(request.work_in_progress).unwrap_or_default(),
        "author": null,
        "sender": payload.user.shown(),
        "branch": &*request.source_branch,
        "base": &*request.target_branch,
        "commit": request.last_commit.as_ref().map(|commit| &*commit.id),
        "updatedAt": time(request.updated_at.as_deref()),
        "url": &*request.url,
    });
    Change::Note(EventName::PullRequestChanged, log)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IssuePayload {
    user: User,
    object_attributes: Issue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Issue {
    iid: Option<u64>,
    title: Text,
    state: Option<Text>,
    action: Option<Text>,
    confidential: bool,
    updated_at: Option<Text>,
    url: Text,
}

/// Of a confidential issue only that it changed is told: not everybody who follows the log may read it.
fn issue(payload: IssuePayload, confidential: bool) -> Change {
    let issue = payload.object_attributes;
    let title = (!confidential && !issue.confidential).then_some(&*issue.title);
    let log = json!({
        "action": issue.action.as_deref(),
        "number": issue.iid,
        "title": title,
        "state": issue.state.as_deref().map(open_or),
        "author": null,
        "sender": payload.user.shown(),
        "updatedAt": time(issue.updated_at.as_deref()),
        "url": &*issue.url,
    });
    Change::Note(EventName::IssueChanged, log)
}

/// GitLab says `opened` where all others say `open`.
fn open_or(state: &str) -> &str {
    if state == "opened" || state == "reopened" { "open" } else { state }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReleasePayload {
    action: Text,
    tag: Text,
    name: Option<Text>,
    url: Text,
    released_at: Option<Text>,
}

fn release(payload: ReleasePayload) -> Option<Change> {
    if &*payload.action != "create" {
        return None;
    }
    let log = json!({
        "tag": &*payload.tag,
        "name": payload.name.as_deref(),
        "prerelease": false,
        "author": null,
        "publishedAt": time(payload.released_at.as_deref()),
        "url": &*payload.url,
    });
    Some(Change::Note(EventName::ReleasePublished, log))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PipelinePayload {
    project: Project,
    object_attributes: Pipeline,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pipeline {
    id: Option<u64>,
    name: Option<Text>,
    #[serde(rename = "ref")]
    reference: Option<Text>,
    tag: bool,
    sha: Option<Text>,
    status: Text,
    created_at: Option<Text>,
    finished_at: Option<Text>,
    url: Option<Text>,
}

/// A pipeline that is run again keeps its id, and GitLab does not count its attempts. So a state goes only forward,
/// and of two that are final the one that finished later holds.
fn pipeline(payload: PipelinePayload) -> Option<RunState> {
    let pipeline = payload.object_attributes;
    let id = pipeline.id?;
    let status = run_status(&pipeline.status);
    let created_at = time(pipeline.created_at.as_deref());
    let finished_at = time(pipeline.finished_at.as_deref()).filter(|_| status.is_final());
    let web_url = payload.project.web_url;
    Some(RunState {
        source: SOURCE,
        external_id: format!("pipeline/{id}"),
        kind: RunKind::Workflow,
        name: pipeline.name.map_or_else(|| "pipeline".to_owned(), Text::into_string),
        status,
        commit: pipeline.sha.map(Text::into_string),
        branch: pipeline.reference.filter(|_| !pipeline.tag).map(Text::into_string),
        url: pipeline
            .url
            .map(Text::into_string)
            .or_else(|| web_url.map(|url| format!("{}/-/pipelines/{id}", &*url))),
        started_at: created_at.filter(|_| status != RunStatus::Queued),
        finished_at,
        revision: revision(1, status),
        stated_at: finished_at.or(created_at).unwrap_or_default(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JobPayload {
    build_id: Option<u64>,
    build_name: Text,
    build_status: Text,
    build_created_at: Option<Text>,
    build_started_at: Option<Text>,
    build_finished_at: Option<Text>,
    #[serde(rename = "ref")]
    reference: Option<Text>,
    tag: bool,
    sha: Option<Text>,
    project: Project,
}

/// A job that is run again is another job, with an id of its own.
fn job(payload: JobPayload) -> Option<RunState> {
    let id = payload.build_id?;
    let status = run_status(&payload.build_status);
    let started_at = time(payload.build_started_at.as_deref());
    let finished_at = time(payload.build_finished_at.as_deref()).filter(|_| status.is_final());
    let stated_at = finished_at.or(started_at).or_else(|| time(payload.build_created_at.as_deref()));
    Some(RunState {
        source: SOURCE,
        external_id: format!("job/{id}"),
        kind: RunKind::Check,
        name: payload.build_name.into_string(),
        status,
        commit: payload.sha.map(Text::into_string),
        branch: payload.reference.filter(|_| !payload.tag).map(Text::into_string),
        url: payload.project.web_url.map(|url| format!("{}/-/jobs/{id}", &*url)),
        started_at,
        finished_at,
        revision: revision(1, status),
        stated_at: stated_at.unwrap_or_default(),
    })
}

fn run_status(status: &str) -> RunStatus {
    match status {
        "running" | "canceling" => RunStatus::Running,
        "success" => RunStatus::Success,
        "failed" => RunStatus::Failed,
        "canceled" | "skipped" => RunStatus::Cancelled,
        _ => RunStatus::Queued, // created, waiting_for_resource, preparing, pending, manual, scheduled
    }
}
