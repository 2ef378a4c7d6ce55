//! What GitHub's payloads mean, and those of hosts that shape theirs after GitHub's.

use chrono::DateTime;
use serde::Deserialize;
use serde_json::json;

use crate::{
    error::Result,
    events::EventName,
    runs::{RunKind, RunState, RunStatus},
    webhooks::{
        change::{Change, Push},
        payload::{Commit, branch_or_tag, first_line, parse, revision, revision_by_time, time, touches},
        source::Source,
        text::Text,
    },
};

/// What an event of a host means; nothing, for one that is not in this list.
pub(in crate::webhooks) fn changes(source: Source, event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
    let run = |state: Option<RunState>| state.into_iter().map(Change::Run).collect();
    Ok(match event_type {
        "push" => vec![Change::Push(push(source, parse(source, json)?))],
        "workflow_run" => run(workflow_run(source, parse(source, json)?)),
        "workflow_job" => run(workflow_job(source, parse(source, json)?)),
        "check_run" => run(check_run(source, parse(source, json)?)),
        "status" => run(status(source, parse(source, json)?)),
        "pull_request" => vec![pull_request(parse(source, json)?)],
        "issues" => vec![issue(parse(source, json)?)],
        "release" => release(parse(source, json)?).into_iter().collect(),
        _ => Vec::new(),
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
    #[serde(alias = "compare_url")]
    compare: Text,
    commits: Vec<Commit>,
    head_commit: Option<Commit>,
    repository: Repository,
    pusher: User,
    sender: Option<User>,
}

fn push(source: Source, mut payload: PushPayload) -> Push {
    let (branch, tag) = branch_or_tag(&payload.reference);
    if source != Source::GitHub {
        payload.commits.reverse(); // Gitea and Forgejo list the newest first
    }
    let commits = payload.commits.len();
    let head = payload.head_commit.unwrap_or_default();
    let pushed_at = payload.repository.pushed_at.as_ref().and_then(serde_json::Value::as_i64);
    let pushed_at = pushed_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
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
    #[serde(alias = "started_at")]
    run_started_at: Option<Text>,
    created_at: Option<Text>,
    #[serde(alias = "completed_at")]
    updated_at: Option<Text>,
}

fn workflow_run(source: Source, payload: WorkflowRunPayload) -> Option<RunState> {
    let run = payload.workflow_run?;
    let status = run_status(&run.status, run.conclusion.as_deref());
    let stated_at = [&run.updated_at, &run.run_started_at, &run.created_at];
    let stated_at = stated_at.into_iter().find_map(|text| time(text.as_deref())).unwrap_or_default();
    Some(RunState {
        source,
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

fn check_run(source: Source, payload: CheckRunPayload) -> Option<RunState> {
    let run = payload.check_run?;
    let status = run_status(&run.status, run.conclusion.as_deref());
    let started_at = time(run.started_at.as_deref());
    let finished_at = time(run.completed_at.as_deref()).filter(|_| status.is_final());
    Some(RunState {
        source,
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct WorkflowJobPayload {
    workflow_job: Option<WorkflowJob>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WorkflowJob {
    id: Option<u64>,
    name: Option<Text>,
    status: Text,
    conclusion: Option<Text>,
    head_sha: Option<Text>,
    head_branch: Option<Text>,
    html_url: Option<Text>,
    created_at: Option<Text>,
    started_at: Option<Text>,
    completed_at: Option<Text>,
}

/// GitHub tells of each job as a check too, under the same id: the check is enough.
fn workflow_job(source: Source, payload: WorkflowJobPayload) -> Option<RunState> {
    let job = payload.workflow_job.filter(|_| source != Source::GitHub)?;
    let status = run_status(&job.status, job.conclusion.as_deref());
    let started_at = time(job.started_at.as_deref());
    let finished_at = time(job.completed_at.as_deref()).filter(|_| status.is_final());
    let stated_at = finished_at.or(started_at).or_else(|| time(job.created_at.as_deref()));
    Some(RunState {
        source,
        external_id: format!("workflow_job/{}", job.id?),
        kind: RunKind::Check,
        name: job.name.map_or_else(|| "job".to_owned(), Text::into_string),
        status,
        commit: job.head_sha.map(Text::into_string),
        branch: job.head_branch.map(Text::into_string),
        url: job.html_url.map(Text::into_string),
        started_at: started_at.filter(|_| status != RunStatus::Queued),
        finished_at,
        revision: revision(1, status),
        stated_at: stated_at.unwrap_or_default(),
    })
}

/// A commit status may go back from `success` to `pending`: only its time orders it.
fn status(source: Source, payload: StatusPayload) -> Option<RunState> {
    let commit = payload.sha?.into_string();
    let stated_at = time(payload.updated_at.as_deref()).or_else(|| time(payload.created_at.as_deref()))?;
    let status = match &*payload.state {
        "success" => RunStatus::Success,
        "failure" | "error" => RunStatus::Failed,
        _ => RunStatus::Running,
    };
    Some(RunState {
        source,
        external_id: format!("status/{commit}/{}", &*payload.context),
        kind: RunKind::Status,
        name: payload.context.into_string(),
        status,
        commit: Some(commit),
        branch: payload.branches.into_iter().next().map(|branch| branch.name.into_string()),
        url: payload.target_url.map(Text::into_string),
        started_at: None,
        finished_at: status.is_final().then_some(stated_at),
        revision: revision_by_time(stated_at, status),
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
