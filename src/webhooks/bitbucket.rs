//! Bitbucket Cloud: `X-Hub-Signature` over the raw body; deliveries known by `X-Request-UUID`.
//!
//! Its pushes say which commits came, and not which files those touch: they make no artifacts.

use poem::http::HeaderMap;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::{
    change::{Change, Push},
    payload::{first_line, parse, revision_by_time, time},
    signature,
    source::{Host, Posted, Source},
    text::Text,
};
use crate::{
    error::Result,
    events::EventName,
    runs::{RunKind, RunState, RunStatus},
};

/// Bitbucket Cloud.
pub(super) struct Bitbucket;

const SOURCE: Source = Source::Bitbucket;

impl Host for Bitbucket {
    fn verify(&self, posted: Posted<'_>, secrets: &[&SecretString]) -> Result<()> {
        signature::verify_hex(posted.headers, "X-Hub-Signature", "sha256=", posted.body, secrets)
    }

    fn delivery_id(&self, headers: &HeaderMap, _: &[u8]) -> Result<String> {
        signature::delivery_id(headers, "X-Request-UUID")
    }

    fn event_type(&self, headers: &HeaderMap) -> String {
        signature::event_type(headers, "X-Event-Key")
    }

    fn changes(&self, event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
        Ok(match event_type.split_once(':') {
            Some(("repo", "push")) => pushes(parse(SOURCE, json)?),
            Some(("repo", "commit_status_created" | "commit_status_updated")) => {
                status(parse(SOURCE, json)?).into_iter().map(Change::Run).collect()
            }
            Some(("pullrequest", action)) if !action.starts_with("comment") => {
                vec![pull_request(action, parse(SOURCE, json)?)]
            }
            Some(("issue", action @ ("created" | "updated"))) => vec![issue(action, parse(SOURCE, json)?)],
            _ => Vec::new(),
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    nickname: Option<Text>,
    display_name: Option<Text>,
}

impl User {
    fn shown(self) -> Option<String> {
        self.nickname.or(self.display_name).map(Text::into_string)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Links {
    html: Link,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Link {
    href: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PushPayload {
    actor: User,
    push: Changes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Changes {
    changes: Vec<Moved>,
}

/// A branch or tag that moved.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Moved {
    new: Option<Reference>,
    old: Option<Reference>,
    created: bool,
    closed: bool,
    forced: bool,
    commits: Vec<serde_json::Value>,
    links: Links,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference {
    #[serde(rename = "type")]
    kind: Text,
    name: Text,
    target: Target,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Target {
    hash: Text,
    message: Text,
}

/// One push may move several branches and tags.
fn pushes(payload: PushPayload) -> Vec<Change> {
    let author = payload.actor.shown();
    let push = |moved: Moved| {
        let named = moved.new.as_ref().or(moved.old.as_ref());
        let name_of = |kinds: &[&str]| {
            named.filter(|named| kinds.contains(&&*named.kind)).map(|named| named.name.to_string())
        };
        let branch = name_of(&["branch", "named_branch"]);
        let hash = |reference: &Option<Reference>| reference.as_ref().map(|it| it.target.hash.to_string());
        let log = json!({
            "branch": branch,
            "tag": name_of(&["tag", "annotated_tag"]),
            "before": hash(&moved.old),
            "after": hash(&moved.new),
            "created": moved.created,
            "deleted": moved.closed,
            "forced": moved.forced,
            "commits": moved.commits.len(),
            "message": moved.new.as_ref().map(|new| first_line(&new.target.message)),
            "author": author,
            "files": null,
            "url": &*moved.links.html.href,
        });
        Change::Push(Push {
            branch,
            default_branch: None,
            touches: Vec::new(),
            pushed_at: None,
            payload: log,
        })
    };
    payload.push.changes.into_iter().map(push).collect()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PullRequestPayload {
    actor: User,
    pullrequest: PullRequest,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PullRequest {
    id: Option<u64>,
    title: Text,
    state: Text,
    draft: bool,
    author: Option<User>,
    source: Side,
    destination: Side,
    updated_on: Option<Text>,
    links: Links,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Side {
    branch: Branch,
    commit: Option<Target>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Branch {
    name: Text,
}

fn pull_request(action: &str, payload: PullRequestPayload) -> Change {
    let request = payload.pullrequest;
    let log = json!({
        "action": action,
        "number": request.id,
        "title": &*request.title,
        "state": match &*request.state {
            "OPEN" => "open",
            "MERGED" => "merged",
            _ => "closed", // DECLINED, SUPERSEDED
        },
        "draft": request.draft,
        "author": request.author.and_then(User::shown),
        "sender": payload.actor.shown(),
        "branch": &*request.source.branch.name,
        "base": &*request.destination.branch.name,
        "commit": request.source.commit.as_ref().map(|commit| &*commit.hash),
        "updatedAt": time(request.updated_on.as_deref()),
        "url": &*request.links.html.href,
    });
    Change::Note(EventName::PullRequestChanged, log)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IssuePayload {
    actor: User,
    issue: Issue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Issue {
    id: Option<u64>,
    title: Text,
    state: Text,
    reporter: Option<User>,
    updated_on: Option<Text>,
    links: Links,
}

fn issue(action: &str, payload: IssuePayload) -> Change {
    let issue = payload.issue;
    let is_open = matches!(&*issue.state, "new" | "open" | "on hold" | "submitted");
    let log = json!({
        "action": action,
        "number": issue.id,
        "title": &*issue.title,
        "state": if is_open { "open" } else { "closed" },
        "author": issue.reporter.and_then(User::shown),
        "sender": payload.actor.shown(),
        "updatedAt": time(issue.updated_on.as_deref()),
        "url": &*issue.links.html.href,
    });
    Change::Note(EventName::IssueChanged, log)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusPayload {
    commit_status: CommitStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CommitStatus {
    key: Text,
    name: Option<Text>,
    state: Text,
    url: Option<Text>,
    refname: Option<Text>,
    created_on: Option<Text>,
    updated_on: Option<Text>,
    commit: Option<Target>,
    links: StatusLinks,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusLinks {
    commit: Link,
}

/// A build status may go back from `SUCCESSFUL` to `INPROGRESS`: only its time orders it.
fn status(payload: StatusPayload) -> Option<RunState> {
    let status = payload.commit_status;
    let linked =
        status.links.commit.href.rsplit('/').next().filter(|hash| !hash.is_empty()).map(str::to_owned);
    let commit = status.commit.map(|commit| commit.hash.into_string()).or(linked)?;
    let created_at = time(status.created_on.as_deref());
    let stated_at = time(status.updated_on.as_deref()).or(created_at)?;
    let state = match &*status.state {
        "SUCCESSFUL" => RunStatus::Success,
        "FAILED" => RunStatus::Failed,
        "STOPPED" => RunStatus::Cancelled,
        _ => RunStatus::Running, // INPROGRESS
    };
    Some(RunState {
        source: SOURCE,
        external_id: format!("status/{commit}/{}", &*status.key),
        kind: RunKind::Status,
        name: status.name.unwrap_or(status.key).into_string(),
        status: state,
        commit: Some(commit),
        branch: status.refname.map(Text::into_string),
        url: status.url.map(Text::into_string),
        started_at: created_at,
        finished_at: state.is_final().then_some(stated_at),
        revision: revision_by_time(stated_at, state),
        stated_at,
    })
}
