//! What Gitea's and Forgejo's payloads mean.
//!
//! Pull requests, issues, releases and commit statuses are written as GitHub writes them; pushes and runs nearly
//! so. A tag comes as `push` and as `create`: the first is understood, so that it is told once.

use serde::Deserialize;

use crate::{
    clock::Time,
    error::Result,
    runs::{RunKind, RunState, RunStatus},
    webhooks::{
        change::{Change, Push, PushLog},
        github::payload::{issue, pull_request, release, run_status, status},
        payload::{
            Commit, NANOSECOND, User, attempt_revision, branch_and_tag, counted, first_line, is_nothing,
            nullable, parse, time, touches,
        },
        source::Source,
        text::Text,
    },
};

/// What an event means; nothing, for one that is not in this list.
pub(super) fn changes(host: &str, source: Source, event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
    let run = |run: Option<RunState>| run.into_iter().map(Change::Run).collect();
    Ok(match event_type {
        "push" => vec![Change::Push(push(parse(host, json)?))],
        "issue_comment" | "pull_request_comment" => Vec::new(),
        "pull_request" => vec![pull_request(parse(host, json)?)],
        _ if event_type.starts_with("pull_request_") => vec![pull_request(parse(host, json)?)],
        "issues" | "issue_assign" | "issue_label" | "issue_milestone" => vec![issue(parse(host, json)?)],
        "release" => release(parse(host, json)?).into_iter().collect(),
        "status" => run(status(parse(host, json)?, source)),
        "workflow_run" => run(workflow_run(parse(host, json)?, source)),
        "workflow_job" => run(workflow_job(parse(host, json)?, source)),
        "action_run_success" | "action_run_failure" | "action_run_recover" => {
            run(action_run(parse(host, json)?, source))
        }
        _ => Vec::new(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PushPayload {
    #[serde(rename = "ref")]
    reference: Text,
    before: Text,
    after: Text,
    compare_url: Text,
    #[serde(deserialize_with = "nullable")]
    commits: Vec<Commit>,
    total_commits: Option<u64>,
    head_commit: Option<Commit>,
    #[serde(deserialize_with = "nullable")]
    repository: Repository,
    pusher: Option<User>,
    sender: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Repository {
    default_branch: Option<Text>,
}

/// Neither host says when somebody pushed: when it was received counts. (A commit may be far older than its push.)
fn push(payload: PushPayload) -> Push {
    let (branch, tag) = branch_and_tag(&payload.reference);
    let head = payload.head_commit.as_ref().or(payload.commits.first());
    let message = head.map(|head| first_line(&head.message)).unwrap_or_default();
    let author = head.map(|head| &head.author);
    let by = [payload.sender.as_ref(), payload.pusher.as_ref(), author];
    let by = by.into_iter().flatten().flat_map(User::names).collect();
    let commits = payload.total_commits.unwrap_or(payload.commits.len() as u64);
    let mut listed = payload.commits;
    if listed.first().is_some_and(|first| *first.id == *payload.after) {
        listed.reverse(); // the newest commit comes first, and it is to have the last word
    }
    let touches = touches(listed);
    let log = PushLog {
        branch,
        tag,
        created: is_nothing(&payload.before),
        deleted: is_nothing(&payload.after),
        before: Some(payload.before),
        after: Some(payload.after),
        forced: None,
        commits: Some(commits),
        message,
        author: payload.sender.or(payload.pusher).and_then(User::shown),
        files: Some(touches.len()),
        url: payload.compare_url.into_string(),
    };
    let default_branch = payload.repository.default_branch.map(Text::into_string);
    Push { default_branch, by, touches, pushed_at: None, log }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WorkflowRunPayload {
    workflow: Option<Workflow>,
    workflow_run: Option<Run>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Workflow {
    name: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WorkflowJobPayload {
    workflow_job: Option<Run>,
}

/// A run of a workflow, or one job of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Run {
    id: Option<u64>,
    name: Option<Text>,
    display_title: Option<Text>,
    status: Text,
    conclusion: Option<Text>,
    run_attempt: Option<i64>,
    head_sha: Option<Text>,
    head_branch: Option<Text>,
    html_url: Option<Text>,
    created_at: Option<Text>,
    started_at: Option<Text>,
    completed_at: Option<Text>,
}

fn workflow_run(payload: WorkflowRunPayload, source: Source) -> Option<RunState> {
    let mut run = payload.workflow_run?;
    run.name = payload.workflow.and_then(|workflow| workflow.name).or(run.name).or(run.display_title.take());
    state(run, source, RunKind::Workflow, "workflow_run")
}

fn workflow_job(payload: WorkflowJobPayload, source: Source) -> Option<RunState> {
    state(payload.workflow_job?, source, RunKind::Check, "workflow_job")
}

fn state(run: Run, source: Source, kind: RunKind, prefix: &str) -> Option<RunState> {
    let status = run_status(&run.status, run.conclusion.as_deref());
    let started_at = time(run.started_at.as_deref());
    let finished_at = time(run.completed_at.as_deref()).filter(|_| status.is_final());
    let created_at = || time(run.created_at.as_deref());
    Some(RunState {
        source: Some(source),
        external_id: format!("{prefix}/{}", run.id?),
        kind,
        name: run.name.map_or_else(|| kind.to_string(), Text::into_string),
        status,
        commit: run.head_sha.map(Text::into_string),
        branch: run.head_branch.map(Text::into_string),
        url: run.html_url.map(Text::into_string),
        made_at: None,
        started_at: started_at.filter(|_| status != RunStatus::Queued),
        finished_at,
        duration_ms: None,
        revision: attempt_revision(run.run_attempt.unwrap_or_default(), status),
        stated_at: finished_at.or(started_at).or_else(created_at).unwrap_or_default(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ActionRunPayload {
    run: Option<ActionRun>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ActionRun {
    id: Option<u64>,
    workflow_id: Option<Text>,
    title: Option<Text>,
    prettyref: Option<Text>,
    commit_sha: Option<Text>,
    status: Text,
    html_url: Option<Text>,
    started: Option<Text>,
    stopped: Option<Text>,
    updated: Option<Text>,
    /// Nanoseconds.
    duration: Option<serde_json::Value>,
}

/// Forgejo tells of its runs when they end. It counts no attempts: of two ends the later one stands.
fn action_run(payload: ActionRunPayload, source: Source) -> Option<RunState> {
    let run = payload.run?;
    let status = match &*run.status {
        "success" => RunStatus::Success,
        "failure" => RunStatus::Failed,
        "cancelled" | "skipped" => RunStatus::Cancelled,
        "running" => RunStatus::Running,
        _ => RunStatus::Queued, // waiting, blocked, unknown
    };
    let finished_at: Option<Time> = time(run.stopped.as_deref()).filter(|_| status.is_final());
    let stated_at = finished_at.or_else(|| time(run.updated.as_deref())).unwrap_or_default();
    Some(RunState {
        source: Some(source),
        external_id: format!("action_run/{}", run.id?),
        kind: RunKind::Workflow,
        name: run.workflow_id.or(run.title).map_or_else(|| "workflow".to_owned(), Text::into_string),
        status,
        commit: run.commit_sha.map(Text::into_string),
        // A run for a pull request has its number here: `#12`.
        branch: run.prettyref.filter(|name| !name.starts_with('#')).map(Text::into_string),
        url: run.html_url.map(Text::into_string),
        made_at: None,
        started_at: time(run.started.as_deref()),
        finished_at,
        duration_ms: counted(run.duration.as_ref(), NANOSECOND).filter(|_| status.is_final()),
        revision: attempt_revision(1, status),
        stated_at,
    })
}
