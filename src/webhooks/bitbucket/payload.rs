//! What Bitbucket's payloads mean.
//!
//! The types name only the fields that are used, and none of them is required. Pushes list no files, so that
//! they move no artifacts; comments are not understood.

use serde::Deserialize;

use super::HOST;
use crate::{
    error::Result,
    runs::{RunKind, RunState, RunStatus},
    webhooks::{
        change::{Change, IssueLog, PullRequestLog, Push, PushLog},
        payload::{first_line, nullable, parse, shown_time, time, time_revision},
        source::Source,
        text::Text,
    },
};

/// What an event means; nothing, for one that is not in this list.
pub(super) fn changes(event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
    Ok(match event_type.split_once(':').unwrap_or_default() {
        (_, action) if action.starts_with("comment_") => Vec::new(),
        ("repo", "push") => pushes(parse(HOST, json)?),
        ("repo", "commit_status_created" | "commit_status_updated") => {
            status(parse(HOST, json)?).into_iter().map(Change::Run).collect()
        }
        ("pullrequest", action) => vec![pull_request(parse(HOST, json)?, action)],
        ("issue", action) => vec![issue(parse(HOST, json)?, action)],
        _ => Vec::new(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    nickname: Option<Text>,
    display_name: Option<Text>,
}

impl User {
    fn shown(self) -> Option<Text> {
        self.nickname.or(self.display_name)
    }

    fn names(&self) -> impl Iterator<Item = String> {
        [&self.nickname, &self.display_name].into_iter().flatten().map(|name| name.to_string())
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Links {
    #[serde(deserialize_with = "nullable")]
    html: Link,
    #[serde(deserialize_with = "nullable")]
    commit: Link,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Link {
    href: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PushPayload {
    actor: Option<User>,
    #[serde(deserialize_with = "nullable")]
    repository: Repository,
    #[serde(deserialize_with = "nullable")]
    push: Pushed,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Repository {
    mainbranch: Option<Named>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pushed {
    #[serde(deserialize_with = "nullable")]
    changes: Vec<RefChange>,
}

/// One of the references that a push moved.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RefChange {
    new: Option<Reference>,
    old: Option<Reference>,
    created: bool,
    closed: bool,
    forced: bool,
    truncated: bool,
    #[serde(deserialize_with = "nullable")]
    commits: Vec<serde::de::IgnoredAny>,
    #[serde(deserialize_with = "nullable")]
    links: Links,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference {
    #[serde(rename = "type")]
    kind: Text,
    name: Text,
    #[serde(deserialize_with = "nullable")]
    target: Target,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Target {
    hash: Text,
    message: Text,
    date: Option<Text>,
}

fn pushes(payload: PushPayload) -> Vec<Change> {
    let by: Vec<_> = payload.actor.iter().flat_map(User::names).collect();
    let author = payload.actor.and_then(User::shown);
    let default_branch = payload.repository.mainbranch.and_then(|branch| branch.name).map(Text::into_string);
    let push = |change: RefChange| {
        let reference = change.new.as_ref().or(change.old.as_ref());
        let is_tag = reference.is_some_and(|reference| reference.kind.ends_with("tag"));
        let name = reference.map(|reference| reference.name.to_string());
        let (tag, branch) = if is_tag { (name, None) } else { (None, name) };
        let head = change.new.map(|new| new.target);
        let log = PushLog {
            branch,
            tag,
            before: change.old.map(|old| old.target.hash),
            message: head.as_ref().map(|head| first_line(&head.message)).unwrap_or_default(),
            after: head.map(|head| head.hash),
            created: change.created,
            deleted: change.closed,
            forced: Some(change.forced),
            commits: (!change.truncated).then_some(change.commits.len() as u64),
            author: author.clone(),
            files: None,
            url: change.links.html.href.into_string(),
        };
        let default_branch = default_branch.clone();
        Change::Push(Push { default_branch, by: by.clone(), touches: Vec::new(), pushed_at: None, log })
    };
    payload.push.changes.into_iter().map(push).collect()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusPayload {
    commit_status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    key: Text,
    name: Option<Text>,
    state: Text,
    url: Option<Text>,
    refname: Option<Text>,
    created_on: Option<Text>,
    updated_on: Option<Text>,
    commit: Option<Target>,
    #[serde(deserialize_with = "nullable")]
    links: Links,
}

/// A status may go back from its end to `INPROGRESS`: only its time orders it.
fn status(payload: StatusPayload) -> Option<RunState> {
    let status = payload.commit_status?;
    // Older payloads name the commit in a link alone.
    let linked = || status.links.commit.href.rsplit_once("/commit/").map(|(_, hash)| hash.to_owned());
    let commit = status.commit.map(|commit| commit.hash.into_string()).or_else(linked)?;
    let stated_at = time(status.updated_on.as_deref()).or_else(|| time(status.created_on.as_deref()))?;
    let state = match &*status.state {
        "SUCCESSFUL" => RunStatus::Success,
        "FAILED" => RunStatus::Failed,
        "STOPPED" => RunStatus::Cancelled,
        _ => RunStatus::Running,
    };
    Some(RunState {
        source: Some(Source::Bitbucket),
        external_id: format!("status/{commit}/{}", &*status.key),
        kind: RunKind::Status,
        name: status.name.unwrap_or(status.key).into_string(),
        status: state,
        commit: Some(commit),
        branch: status.refname.map(Text::into_string),
        url: status.url.map(Text::into_string),
        made_at: time(status.created_on.as_deref()),
        started_at: None,
        finished_at: state.is_final().then_some(stated_at),
        duration_ms: None,
        revision: time_revision(stated_at, state),
        stated_at,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PullRequestPayload {
    actor: Option<User>,
    #[serde(deserialize_with = "nullable")]
    pullrequest: PullRequest,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PullRequest {
    id: Option<u64>,
    title: Text,
    state: Text,
    draft: Option<bool>,
    author: Option<User>,
    #[serde(deserialize_with = "nullable")]
    source: Side,
    #[serde(deserialize_with = "nullable")]
    destination: Side,
    updated_on: Option<Text>,
    #[serde(deserialize_with = "nullable")]
    links: Links,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Side {
    #[serde(deserialize_with = "nullable")]
    branch: Named,
    #[serde(deserialize_with = "nullable")]
    commit: Target,
}

fn pull_request(payload: PullRequestPayload, action: &str) -> Change {
    let request = payload.pullrequest;
    Change::from(PullRequestLog {
        action: action.into(),
        number: request.id,
        title: request.title,
        state: match &*request.state {
            "OPEN" => "open".into(),
            "MERGED" => "merged".into(),
            "DECLINED" | "SUPERSEDED" => "closed".into(),
            _ => request.state,
        },
        draft: request.draft == Some(true),
        author: request.author.and_then(User::shown),
        sender: payload.actor.and_then(User::shown),
        branch: request.source.branch.name.unwrap_or_default(),
        base: request.destination.branch.name.unwrap_or_default(),
        commit: request.source.commit.hash,
        updated_at: shown_time(request.updated_on.as_deref()),
        url: request.links.html.href,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IssuePayload {
    actor: Option<User>,
    #[serde(deserialize_with = "nullable")]
    issue: Issue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Issue {
    id: Option<u64>,
    title: Text,
    state: Option<Text>,
    reporter: Option<User>,
    updated_on: Option<Text>,
    #[serde(deserialize_with = "nullable")]
    links: Links,
}

fn issue(payload: IssuePayload, action: &str) -> Change {
    let issue = payload.issue;
    let state = |state: Text| match &*state {
        "new" | "open" | "on hold" | "submitted" => "open".into(),
        "resolved" | "invalid" | "duplicate" | "wontfix" | "closed" => "closed".into(),
        _ => state,
    };
    Change::from(IssueLog {
        action: action.into(),
        number: issue.id,
        title: Some(issue.title),
        state: issue.state.map(state),
        author: issue.reporter.and_then(User::shown),
        sender: payload.actor.and_then(User::shown),
        updated_at: shown_time(issue.updated_on.as_deref()),
        url: Some(issue.links.html.href),
    })
}
