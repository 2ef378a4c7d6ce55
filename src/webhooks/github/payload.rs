//! What GitHub's payloads mean.
//!
//! The types name only the fields that are used, and none of them is required: what GitHub adds or leaves out
//! never fails a delivery.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    artifacts::Touch,
    clock::{Time, whole_microseconds},
    error::{Code, Error, Result},
    events::EventName,
    runs::{RunKind, RunState, RunStatus},
    webhooks::{
        change::{Change, Push},
        source::Source,
        text::Text,
    },
};

/// What an event means; nothing, for one that is not in this list.
pub(super) fn changes(event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
    Ok(match event_type {
        "push" => vec![Change::Push(push(parse(json)?))],
        "workflow_run" => workflow_run(parse(json)?).into_iter().map(Change::Run).collect(),
        "check_run" => check_run(parse(json)?).into_iter().map(Change::Run).collect(),
        "status" => status(parse(json)?).into_iter().map(Change::Run).collect(),
        "pull_request" => vec![pull_request(parse(json)?)],
        "issues" => vec![issue(parse(json)?)],
        "release" => release(parse(json)?).into_iter().collect(),
        _ => Vec::new(),
    })
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| {
        // serde quotes the value that it did not expect, which may be as long as the body.
        let error: String = error.to_string().chars().take(200).collect();
        let why = format!("the payload is not what GitHub documents for this event: {error}");
        Error::new(Code::Unprocessable, why)
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    login: Option<Text>,
    username: Option<Text>,
    name: Option<Text>,
}

impl User {
    fn shown(self) -> Option<String> {
        self.login.or(self.username).or(self.name).map(Text::into_string)
    }
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
    commits: Vec<Commit>,
    head_commit: Option<Commit>,
    repository: Repository,
    pusher: User,
    sender: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Commit {
    id: Text,
    message: Text,
    timestamp: Option<Text>,
    author: User,
    added: Vec<Text>,
    modified: Vec<Text>,
    removed: Vec<Text>,
}

fn push(payload: PushPayload) -> Push {
    let branch = payload.reference.strip_prefix("refs/heads/").map(str::to_owned);
    let tag = payload.reference.strip_prefix("refs/tags/").map(str::to_owned);
    let commits = payload.commits.len();
    let head = payload.head_commit.unwrap_or_default();
    let pushed_at = payload.repository.pushed_at.as_ref().and_then(serde_json::Value::as_i64);
    let pushed_at = pushed_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let pushed_at = pushed_at.or_else(|| time(head.timestamp.as_deref()));
    let touches = touches(payload.commits);
    let log = json!({
        "branch": branch,
        "tag": tag,
        "before": &*payload.before,
        "after": &*payload.after,
        "created": payload.created,
        "deleted": payload.deleted,
        "forced": payload.forced,
        "commits": commits,
        "message": first_line(&head.message),
        "author": payload.sender.unwrap_or(payload.pusher).shown(),
        "files": touches.len(),
        "url": &*payload.compare,
    });
    let default_branch = payload.repository.default_branch.map(Text::into_string);
    Push { branch, default_branch, touches, pushed_at, payload: log }
}

/// What a list of commits does to each path in the end: a later commit has the last word.
fn touches(commits: Vec<Commit>) -> Vec<Touch> {
    let mut touched = BTreeMap::new();
    for commit in commits {
        let (id, author) = (commit.id.into_string(), commit.author.shown());
        let changed = commit.added.into_iter().chain(commit.modified).map(|path| (path, false));
        for (path, removed) in changed.chain(commit.removed.into_iter().map(|path| (path, true))) {
            let path = path.into_string();
            touched.insert(path.clone(), Touch { path, removed, commit: id.clone(), author: author.clone() });
        }
    }
    touched.into_values().collect()
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
        source: Source::GitHub,
        external_id: format!("workflow_run/{}", run.id?),
        kind: RunKind::Workflow,
        name: run.name.or(run.display_title).map_or_else(|| "workflow".to_owned(), Text::into_string),
        status,
        commit: run.head_sha.map(Text::into_string),
        branch: run.head_branch.map(Text::into_string),
        url: run.html_url.map(Text::into_string),
        started_at: time(run.run_started_at.as_deref()).filter(|_| status != RunStatus::Queued),
        finished_at: status.is_final().then_some(stated_at),
        revision: revision(run.run_attempt.unwrap_or(1), status),
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
        source: Source::GitHub,
        external_id: format!("check_run/{}", run.id?),
        kind: RunKind::Check,
        name: run.name.map_or_else(|| "check".to_owned(), Text::into_string),
        status,
        commit: run.head_sha.map(Text::into_string),
        branch: run.check_suite.and_then(|suite| suite.head_branch).map(Text::into_string),
        url: run.html_url.map(Text::into_string),
        started_at,
        finished_at,
        revision: revision(1, status),
        stated_at: finished_at.or(started_at).unwrap_or_default(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusPayload {
    sha: Option<Text>,
    context: Text,
    state: Text,
    target_url: Option<Text>,
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
fn status(payload: StatusPayload) -> Option<RunState> {
    let commit = payload.sha?.into_string();
    let stated_at = time(payload.updated_at.as_deref()).or_else(|| time(payload.created_at.as_deref()))?;
    let status = match &*payload.state {
        "success" => RunStatus::Success,
        "failure" | "error" => RunStatus::Failed,
        _ => RunStatus::Running,
    };
    Some(RunState {
        source: Source::GitHub,
        external_id: format!("status/{commit}/{}", &*payload.context),
        kind: RunKind::Status,
        name: payload.context.into_string(),
        status,
        commit: Some(commit),
        branch: payload.branches.into_iter().next().map(|branch| branch.name.into_string()),
        url: payload.target_url.map(Text::into_string),
        started_at: None,
        finished_at: status.is_final().then_some(stated_at),
        revision: stated_at.timestamp().saturating_mul(4) + status.progress(),
        stated_at,
    })
}

fn run_status(status: &str, conclusion: Option<&str>) -> RunStatus {
    match (status, conclusion) {
        ("completed", Some("success" | "neutral")) => RunStatus::Success,
        ("completed", Some("cancelled" | "skipped" | "stale")) => RunStatus::Cancelled,
        ("completed", _) => RunStatus::Failed,
        ("in_progress", _) => RunStatus::Running,
        _ => RunStatus::Queued, // queued, requested, waiting, pending
    }
}

/// A later attempt comes after an earlier one; within an attempt a run only goes forward.
fn revision(attempt: i64, status: RunStatus) -> i64 {
    attempt.saturating_mul(4).saturating_add(status.progress())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PullRequestPayload {
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

fn pull_request(payload: PullRequestPayload) -> Change {
    let request = payload.pull_request;
    let log = json!({
        "action": &*payload.action,
        "number": payload.number.or(request.number),
        "title": &*request.title,
        "state": if request.merged == Some(true) { "merged" } else { &*request.state },
        "draft": request.draft,
        "author": request.user.and_then(User::shown),
        "sender": payload.sender.shown(),
        "branch": &*request.head.reference,
        "base": &*request.base.reference,
        "commit": &*request.head.sha,
        "updatedAt": request.updated_at.as_deref(),
        "url": &*request.html_url,
    });
    Change::Note(EventName::PullRequestChanged, log)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IssuePayload {
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

fn issue(payload: IssuePayload) -> Change {
    let issue = payload.issue;
    let log = json!({
        "action": &*payload.action,
        "number": issue.number,
        "title": &*issue.title,
        "state": issue.state.as_deref(),
        "author": issue.user.and_then(User::shown),
        "sender": payload.sender.shown(),
        "updatedAt": issue.updated_at.as_deref(),
        "url": &*issue.html_url,
    });
    Change::Note(EventName::IssueChanged, log)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReleasePayload {
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

fn release(payload: ReleasePayload) -> Option<Change> {
    if &*payload.action != "published" {
        return None;
    }
    let release = payload.release;
    let log = json!({
        "tag": &*release.tag_name,
        "name": release.name.as_deref(),
        "prerelease": release.prerelease,
        "author": release.author.and_then(User::shown),
        "publishedAt": release.published_at.as_deref(),
        "url": &*release.html_url,
    });
    Some(Change::Note(EventName::ReleasePublished, log))
}

fn time(text: Option<&str>) -> Option<Time> {
    DateTime::parse_from_rfc3339(text?).ok().map(|time| whole_microseconds(time.to_utc()))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}
