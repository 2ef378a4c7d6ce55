//! What GitHub's payloads mean.
//!
//! The types name only the fields that are used, and none of them is required: what GitHub adds or leaves out
//! never fails a delivery.

use chrono::DateTime;
use serde::Deserialize;

use crate::{
    error::Result,
    runs::{RunKind, RunState, RunStatus},
    webhooks::{
        change::{Change, IssueLog, PullRequestLog, Push, PushLog, ReleaseLog},
        payload::{
            Commit, User, attempt_revision, branch_and_tag, first_line, nullable, parse, time, time_revision,
            touches,
        },
        source::Source,
        text::Text,
    },
};

const HOST: &str = "GitHub";

/// What an event means; nothing, for one that is not in this list.
pub(super) fn changes(event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
    Ok(match event_type {
        "push" => vec![Change::Push(push(parse(HOST, json)?))],
        "workflow_run" => workflow_run(parse(HOST, json)?).into_iter().map(Change::Run).collect(),
        "check_run" => check_run(parse(HOST, json)?).into_iter().map(Change::Run).collect(),
        "status" => status(parse(HOST, json)?, Source::GitHub).into_iter().map(Change::Run).collect(),
        "pull_request" => vec![pull_request(parse(HOST, json)?)],
        "issues" => vec![issue(parse(HOST, json)?)],
        "release" => release(parse(HOST, json)?).into_iter().collect(),
        _ => Vec::new(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Repository {
    default_branch: Option<Text>,
    /// An integer in push events, RFC 3339 elsewhere.
    pushed_at: Option<serde_json::Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PushPayload {
    #[serde(rename = "ref")]
    reference: Text,
    before: Text,
    after: Text,
    created: bool,
    deleted: bool,
    forced: bool,
    compare: Text,
    #[serde(deserialize_with = "nullable")]
    commits: Vec<Commit>,
    head_commit: Option<Commit>,
    repository: Repository,
    pusher: User,
    sender: Option<User>,
}

fn push(payload: PushPayload) -> Push {
    let (branch, tag) = branch_and_tag(&payload.reference);
    let commits = payload.commits.len() as u64;
    let head = payload.head_commit.unwrap_or_default();
    let pushed_at = payload.repository.pushed_at.as_ref().and_then(serde_json::Value::as_i64);
    let pushed_at = pushed_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let pushed_at = pushed_at.or_else(|| time(head.timestamp.as_deref()));
    let touches = touches(payload.commits);
    let people = [payload.sender.as_ref(), Some(&payload.pusher), Some(&head.author)];
    let by = people.into_iter().flatten().flat_map(User::names).collect();
    let log = PushLog {
        branch,
        tag,
        before: Some(payload.before),
        after: Some(payload.after),
        created: payload.created,
        deleted: payload.deleted,
        forced: Some(payload.forced),
        commits: Some(commits),
        message: first_line(&head.message),
        author: payload.sender.unwrap_or(payload.pusher).shown(),
        files: Some(touches.len()),
        url: payload.compare.into_string(),
    };
    let default_branch = payload.repository.default_branch.map(Text::into_string);
    Push { default_branch, by, touches, pushed_at, log }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WorkflowRunPayload {
    workflow_run: Option<WorkflowRun>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WorkflowRun {
    id: Option<u64>,
    name: Option<Text>,
    display_title: Option<Text>,
    status: Text,
    conclusion: Option<Text>,
    head_sha: Option<Text>,
    head_branch: Option<Text>,
    html_url: Option<Text>,
    run_attempt: Option<i64>,
    run_started_at: Option<Text>,
    created_at: Option<Text>,
    updated_at: Option<Text>,
}

fn workflow_run(payload: WorkflowRunPayload) -> Option<RunState> {
    let run = payload.workflow_run?;
    let status = run_status(&run.status, run.conclusion.as_deref());
    let stated_at = time(run.updated_at.as_deref()).or_else(|| time(run.created_at.as_deref()))?;
    Some(RunState {
        source: Some(Source::GitHub),
        external_id: format!("workflow_run/{}", run.id?),
        kind: RunKind::Workflow,
        name: run.name.or(run.display_title).map_or_else(|| "workflow".to_owned(), Text::into_string),
        status,
        commit: run.head_sha.map(Text::into_string),
        branch: run.head_branch.map(Text::into_string),
        url: run.html_url.map(Text::into_string),
        made_at: None,
        started_at: time(run.run_started_at.as_deref()).filter(|_| status != RunStatus::Queued),
        finished_at: status.is_final().then_some(stated_at),
        duration_ms: None,
        revision: attempt_revision(run.run_attempt.unwrap_or(1), status),
        stated_at,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckRunPayload {
    check_run: Option<CheckRun>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckRun {
    id: Option<u64>,
    name: Option<Text>,
    status: Text,
    conclusion: Option<Text>,
    head_sha: Option<Text>,
    html_url: Option<Text>,
    started_at: Option<Text>,
    completed_at: Option<Text>,
    check_suite: Option<CheckSuite>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CheckSuite {
    head_branch: Option<Text>,
}

fn check_run(payload: CheckRunPayload) -> Option<RunState> {
    let run = payload.check_run?;
    let status = run_status(&run.status, run.conclusion.as_deref());
    let started_at = time(run.started_at.as_deref());
    let finished_at = time(run.completed_at.as_deref()).filter(|_| status.is_final());
    Some(RunState {
        source: Some(Source::GitHub),
        external_id: format!("check_run/{}", run.id?),
        kind: RunKind::Check,
        name: run.name.map_or_else(|| "check".to_owned(), Text::into_string),
        status,
        commit: run.head_sha.map(Text::into_string),
        branch: run.check_suite.and_then(|suite| suite.head_branch).map(Text::into_string),
        url: run.html_url.map(Text::into_string),
        made_at: None,
        started_at,
        finished_at,
        duration_ms: None,
        revision: attempt_revision(1, status),
        stated_at: finished_at.or(started_at).unwrap_or_default(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::webhooks) struct StatusPayload {
    sha: Option<Text>,
    context: Text,
    state: Text,
    target_url: Option<Text>,
    #[serde(deserialize_with = "nullable")]
    branches: Vec<Branch>,
    created_at: Option<Text>,
    updated_at: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Branch {
    name: Text,
}

/// A commit status may go back from `success` to `pending`: only its time orders it.
pub(in crate::webhooks) fn status(payload: StatusPayload, source: Source) -> Option<RunState> {
    let commit = payload.sha?.into_string();
    let stated_at = time(payload.updated_at.as_deref()).or_else(|| time(payload.created_at.as_deref()))?;
    let status = match &*payload.state {
        "success" | "warning" => RunStatus::Success,
        "failure" | "error" => RunStatus::Failed,
        "skipped" => RunStatus::Cancelled,
        _ => RunStatus::Running,
    };
    Some(RunState {
        source: Some(source),
        external_id: format!("status/{commit}/{}", &*payload.context),
        kind: RunKind::Status,
        name: payload.context.into_string(),
        status,
        commit: Some(commit),
        branch: payload.branches.into_iter().next().map(|branch| branch.name.into_string()),
        url: payload.target_url.map(Text::into_string),
        made_at: None,
        started_at: None,
        finished_at: status.is_final().then_some(stated_at),
        duration_ms: None,
        revision: time_revision(stated_at, status),
        stated_at,
    })
}

pub(in crate::webhooks) fn run_status(status: &str, conclusion: Option<&str>) -> RunStatus {
    match (status, conclusion) {
        ("completed", Some("success" | "neutral")) => RunStatus::Success,
        ("completed", Some("cancelled" | "skipped" | "stale")) => RunStatus::Cancelled,
        ("completed", _) => RunStatus::Failed,
        ("in_progress", _) => RunStatus::Running,
        _ => RunStatus::Queued, // queued, requested, waiting, pending
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::webhooks) struct PullRequestPayload {
    action: Text,
    number: Option<u64>,
    pull_request: PullRequest,
    sender: User,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PullRequest {
    number: Option<u64>,
    title: Text,
    state: Text,
    draft: bool,
    merged: Option<bool>,
    html_url: Text,
    user: Option<User>,
    head: Reference,
    base: Reference,
    updated_at: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference {
    #[serde(rename = "ref")]
    reference: Text,
    sha: Text,
}

pub(in crate::webhooks) fn pull_request(payload: PullRequestPayload) -> Change {
    let request = payload.pull_request;
    Change::from(PullRequestLog {
        action: payload.action,
        number: payload.number.or(request.number),
        title: request.title,
        state: if request.merged == Some(true) { "merged".into() } else { request.state },
        draft: request.draft,
        author: request.user.and_then(User::shown),
        sender: payload.sender.shown(),
        branch: request.head.reference,
        base: request.base.reference,
        commit: request.head.sha,
        updated_at: request.updated_at,
        url: request.html_url,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::webhooks) struct IssuePayload {
    action: Text,
    issue: Issue,
    sender: User,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Issue {
    number: Option<u64>,
    title: Text,
    state: Option<Text>,
    html_url: Text,
    user: Option<User>,
    updated_at: Option<Text>,
}

pub(in crate::webhooks) fn issue(payload: IssuePayload) -> Change {
    let issue = payload.issue;
    Change::from(IssueLog {
        action: payload.action,
        number: issue.number,
        title: Some(issue.title),
        state: issue.state,
        author: issue.user.and_then(User::shown),
        sender: payload.sender.shown(),
        updated_at: issue.updated_at,
        url: Some(issue.html_url),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::webhooks) struct ReleasePayload {
    action: Text,
    release: Release,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Release {
    tag_name: Text,
    name: Option<Text>,
    prerelease: bool,
    html_url: Text,
    author: Option<User>,
    published_at: Option<Text>,
}

pub(in crate::webhooks) fn release(payload: ReleasePayload) -> Option<Change> {
    let release = payload.release;
    (&*payload.action == "published").then(|| {
        Change::from(ReleaseLog {
            tag: release.tag_name,
            name: release.name,
            prerelease: release.prerelease,
            author: release.author.and_then(User::shown),
            published_at: release.published_at,
            url: release.html_url,
        })
    })
}
