//! What GitLab's payloads mean.
//!
//! The types name only the fields that are used, and none of them is required.

use serde::Deserialize;

use super::{HOST, runs};
use crate::{
    error::Result,
    webhooks::{
        change::{Change, IssueLog, PullRequestLog, Push, PushLog, ReleaseLog},
        payload::{
            Commit, User, branch_and_tag, first_line, is_nothing, nullable, parse, shown_time, touches,
        },
        text::Text,
    },
};

/// What an event means; nothing, for one that is not in this list.
pub(super) fn changes(event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
    match event_type {
        "Push Hook" | "Tag Push Hook" => of_kind("push", false, json),
        "Merge Request Hook" => of_kind("merge_request", false, json),
        "Issue Hook" => of_kind("issue", false, json),
        "Confidential Issue Hook" => of_kind("issue", true, json),
        "Release Hook" => of_kind("release", false, json),
        "Pipeline Hook" => of_kind("pipeline", false, json),
        "Job Hook" => of_kind("build", false, json),
        // These two are about anything, and say so inside.
        "System Hook" | "Service Hook" => {
            let Kind { object_kind, event_name, event_type } = parse(HOST, json)?;
            let confidential = event_type.as_deref() == Some("confidential_issue");
            of_kind(&object_kind.or(event_name).unwrap_or_default(), confidential, json)
        }
        _ => Ok(Vec::new()),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Kind {
    object_kind: Option<Text>,
    event_name: Option<Text>,
    event_type: Option<Text>,
}

fn of_kind(kind: &str, confidential: bool, json: &[u8]) -> Result<Vec<Change>> {
    Ok(match kind {
        "push" | "tag_push" => vec![Change::Push(push(parse(HOST, json)?))],
        "merge_request" => vec![merge_request(parse(HOST, json)?)],
        "issue" | "work_item" => vec![issue(parse(HOST, json)?, confidential)],
        "release" => release(parse(HOST, json)?).into_iter().collect(),
        "pipeline" => runs::pipeline(parse(HOST, json)?).into_iter().map(Change::Run).collect(),
        "build" => runs::job(parse(HOST, json)?).into_iter().map(Change::Run).collect(),
        _ => Vec::new(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Project {
    default_branch: Option<Text>,
    web_url: Text,
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
    #[serde(deserialize_with = "nullable")]
    project: Project,
    #[serde(deserialize_with = "nullable")]
    commits: Vec<Commit>,
    total_commits_count: Option<u64>,
}

/// GitLab does not say when somebody pushed: when it was received counts. (A commit may be far older than its push.)
fn push(payload: PushPayload) -> Push {
    let (branch, tag) = branch_and_tag(&payload.reference);
    let (created, deleted) = (is_nothing(&payload.before), is_nothing(&payload.after));
    let listed = &payload.commits;
    let head = listed.iter().find(|commit| *commit.id == *payload.after).or_else(|| listed.last());
    let message = head.map(|head| first_line(&head.message)).unwrap_or_default();
    let web = &*payload.project.web_url;
    let url = match head {
        _ if web.is_empty() => String::new(),
        _ if !created && !deleted => format!("{web}/-/compare/{}...{}", &*payload.before, &*payload.after),
        Some(head) => head.url.to_string(),
        None => web.to_owned(),
    };
    let commits = payload.total_commits_count.unwrap_or(listed.len() as u64);
    let pusher =
        [&payload.user_username, &payload.user_name].into_iter().flatten().map(|name| name.to_string());
    let by = pusher.chain(head.iter().flat_map(|head| head.author.names())).collect();
    let touches = touches(payload.commits);
    let log = PushLog {
        branch,
        tag,
        before: Some(payload.before),
        after: Some(payload.after),
        created,
        deleted,
        forced: None,
        commits: Some(commits),
        message,
        author: payload.user_username.or(payload.user_name),
        files: Some(touches.len()),
        url,
    };
    let default_branch = payload.project.default_branch.map(Text::into_string);
    Push { default_branch, by, touches, pushed_at: None, log }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload<T: Default> {
    #[serde(deserialize_with = "nullable", bound(deserialize = "T: Default + Deserialize<'de>"))]
    object_attributes: T,
    #[serde(deserialize_with = "nullable")]
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MergeRequest {
    iid: Option<u64>,
    action: Text,
    title: Text,
    state: Text,
    draft: Option<bool>,
    work_in_progress: Option<bool>,
    author_id: Option<serde_json::Value>,
    source_branch: Text,
    target_branch: Text,
    #[serde(deserialize_with = "nullable")]
    last_commit: Commit,
    updated_at: Option<Text>,
    url: Text,
}

fn merge_request(payload: Payload<MergeRequest>) -> Change {
    let request = payload.object_attributes;
    let (author, sender) = author_and_sender(payload.user, request.author_id);
    Change::from(PullRequestLog {
        action: request.action,
        number: request.iid,
        title: request.title,
        state: state(&request.state),
        draft: request.draft.or(request.work_in_progress) == Some(true),
        author,
        sender,
        branch: request.source_branch,
        base: request.target_branch,
        commit: request.last_commit.id,
        updated_at: shown_time(request.updated_at.as_deref()),
        url: request.url,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Issue {
    iid: Option<u64>,
    action: Text,
    title: Text,
    state: Text,
    confidential: Option<bool>,
    author_id: Option<serde_json::Value>,
    updated_at: Option<Text>,
    url: Text,
}

/// Of a confidential issue the log says that it moved, and nothing of what it is about: whoever reads the log
/// need not be among those who may read the issue.
fn issue(payload: Payload<Issue>, confidential: bool) -> Change {
    let issue = payload.object_attributes;
    let state = Some(state(&issue.state));
    if confidential || issue.confidential == Some(true) {
        return Change::from(IssueLog {
            action: issue.action,
            number: issue.iid,
            state,
            ..IssueLog::default()
        });
    }
    let (author, sender) = author_and_sender(payload.user, issue.author_id);
    Change::from(IssueLog {
        action: issue.action,
        number: issue.iid,
        title: Some(issue.title),
        state,
        author,
        sender,
        updated_at: shown_time(issue.updated_at.as_deref()),
        url: Some(issue.url),
    })
}

/// GitLab names who acted, and the author by number alone: the name is known when they are the same.
fn author_and_sender(user: User, author: Option<serde_json::Value>) -> (Option<Text>, Option<Text>) {
    let is_author = author.is_some() && user.id == author;
    let sender = user.shown();
    (sender.clone().filter(|_| is_author), sender)
}

/// GitLab says `opened`, and `locked` while it merges.
fn state(state: &Text) -> Text {
    match &**state {
        "opened" | "locked" => "open".into(),
        _ => state.clone(),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReleasePayload {
    action: Text,
    tag: Text,
    name: Option<Text>,
    released_at: Option<Text>,
    url: Text,
}

fn release(payload: ReleasePayload) -> Option<Change> {
    (&*payload.action == "create").then(|| {
        Change::from(ReleaseLog {
            tag: payload.tag,
            name: payload.name,
            prerelease: false,
            author: None,
            published_at: shown_time(payload.released_at.as_deref()),
            url: payload.url,
        })
    })
}
