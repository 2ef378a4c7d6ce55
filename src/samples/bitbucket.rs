//! Deliveries of Bitbucket Cloud, written from the documented shape of each event.
//!
//! Bitbucket's pushes do not say which files they touch, and there are no releases.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Commit, DEVELOPER, Happening, OWNER, Stage, TESTER,
    forge::{Made, Remote, Written},
    github::{MAIN, NO_COMMIT, email},
};

const API: &str = "https://api.bitbucket.org/2.0";
/// Bitbucket lists no more commits than this in one change of a push, newest first.
const MAX_COMMITS: usize = 5;

pub(super) fn write(remote: &mut Remote, happening: &Happening<'_>) -> Option<Written> {
    Some(match *happening {
        Happening::Push { branch, commits } => ("repo:push", push(remote, branch, commits)),
        Happening::Tag { name } => ("repo:push", tag(remote, name)),
        Happening::PullRequest { stage, number, title, branch } => {
            let done = stage == Stage::Done;
            let event = if done { "pullrequest:fulfilled" } else { "pullrequest:created" };
            (event, pull_request(remote, done, number, title, branch))
        }
        Happening::Issue { stage, number, title } => {
            let done = stage == Stage::Done;
            let event = if done { "issue:updated" } else { "issue:created" };
            (event, issue(remote, done, number, title))
        }
        Happening::Release { .. } => return None,
        Happening::Pipeline { id, name, branch, passed } => {
            ("repo:commit_status_updated", build(remote, id, name, branch, passed))
        }
    })
}

fn push(remote: &mut Remote, branch: &str, commits: &[Commit<'_>]) -> Value {
    let known = remote.head(branch).clone();
    let pushed = remote.push(branch, commits);
    let created = pushed.before == NO_COMMIT;
    let listed = pushed.commits.iter().rev().take(MAX_COMMITS).map(|made| commit(remote, made));
    let old = if created { Value::Null } else { reference(remote, "branch", branch, &known) };
    let html = url(remote);
    let change = json!({
        "new": reference(remote, "branch", branch, remote.head(branch)), "old": old, "created": created,
        "closed": false, "forced": false, "truncated": pushed.commits.len() > MAX_COMMITS,
        "commits": listed.collect::<Vec<_>>(),
        "links": { "html": { "href": format!("{html}/branches/compare/{}..{}", pushed.after, pushed.before) } },
    });
    let who = &remote.head(branch).author;
    json!({ "push": { "changes": [change] }, "actor": account(who), "repository": repository(remote) })
}

fn tag(remote: &Remote, name: &str) -> Value {
    let change = json!({
        "new": reference(remote, "tag", name, remote.head(MAIN)), "old": null, "created": true,
        "closed": false, "forced": false, "truncated": false, "commits": [],
        "links": { "html": { "href": format!("{}/commits/tag/{name}", url(remote)) } },
    });
    json!({ "push": { "changes": [change] }, "actor": account(OWNER), "repository": repository(remote) })
}

fn pull_request(remote: &mut Remote, done: bool, number: u64, title: &str, branch: &str) -> Value {
    let (opened, head) = (remote.opened(number), remote.head(branch).clone());
    let base = remote.head(MAIN).clone();
    let merge = done.then(|| remote.merge(branch));
    let (html, repository) = (url(remote), repository(remote));
    let side = |name: &str, made: &Made| {
        let commit = json!({ "type": "commit", "hash": made.id.get(..12), "links": {
            "html": { "href": format!("{html}/commits/{}", made.id) } } });
        json!({ "branch": { "name": name }, "commit": commit, "repository": repository })
    };
    let page = format!("{html}/pull-requests/{number}");
    let pull = json!({
        "type": "pullrequest", "id": number, "title": title, "state": if done { "MERGED" } else { "OPEN" },
        "description": format!("{title}, as its story tells."), "draft": false,
        "author": account(DEVELOPER), "source": side(branch, &head), "destination": side(MAIN, &base),
        "merge_commit": merge.map(|made| json!({ "type": "commit", "hash": made.id.get(..12) })),
        "closed_by": done.then(|| account(OWNER)), "close_source_branch": true, "reason": "",
        "reviewers": [account(OWNER)], "participants": [], "comment_count": 0, "task_count": 0,
        "created_on": stamp(opened), "updated_on": stamp(remote.now),
        "links": { "html": { "href": page } },
    });
    let actor = account(if done { OWNER } else { DEVELOPER });
    json!({ "pullrequest": pull, "actor": actor, "repository": repository })
}

fn issue(remote: &mut Remote, done: bool, number: u64, title: &str) -> Value {
    let opened = remote.opened(number);
    let repository = repository(remote);
    let mut body = json!({
        "issue": {
            "type": "issue", "id": number, "title": title, "component": null, "kind": "bug",
            "priority": "major", "state": if done { "resolved" } else { "new" }, "milestone": null,
            "version": null, "votes": 0, "watches": 1, "reporter": account(TESTER),
            "assignee": account(DEVELOPER), "repository": repository,
            "content": { "type": "rendered", "markup": "markdown", "raw": "Seen on the staging system.",
                "html": "<p>Seen on the staging system.</p>" },
            "created_on": stamp(opened), "updated_on": stamp(remote.now), "edited_on": null,
            "links": { "html": { "href": format!("{}/issues/{number}", url(remote)) } },
        },
        "actor": account(if done { DEVELOPER } else { TESTER }), "repository": repository,
    });
    if done {
        body["changes"] = json!({ "status": { "old": "new", "new": "resolved" } });
        body["comment"] =
            json!({ "id": number * 100, "content": { "raw": null, "html": "", "markup": "markdown" } });
    }
    body
}

fn build(remote: &Remote, id: u64, name: &str, branch: &str, passed: bool) -> Value {
    let (head, page) = (remote.head(branch), url(remote));
    json!({
        "commit_status": {
            "type": "build", "key": format!("{name}-{id}"), "name": name, "refname": branch,
            "state": if passed { "SUCCESSFUL" } else { "FAILED" },
            "description": if passed { "Every step passed." } else { "A step failed." },
            "url": format!("{page}/pipelines/results/{id}"), "commit": commit(remote, head),
            "created_on": stamp(remote.now - TimeDelta::seconds(94)), "updated_on": stamp(remote.now),
            "links": { "commit": { "href": format!("{page}/commits/{}", head.id) } },
        },
        "actor": account(&head.author), "repository": repository(remote),
    })
}

/// A branch or tag as pushes name it.
fn reference(remote: &Remote, kind: &str, name: &str, head: &Made) -> Value {
    json!({
        "type": kind, "name": name, "target": commit(remote, head),
        "links": { "html": { "href": format!("{}/branch/{name}", url(remote)) } },
    })
}

fn commit(remote: &Remote, made: &Made) -> Value {
    json!({
        "type": "commit", "hash": made.id, "date": stamp(made.at), "message": made.message,
        "summary": { "type": "rendered", "raw": made.message, "markup": "markdown",
            "html": format!("<p>{}</p>", made.title()) },
        "author": { "type": "author", "raw": format!("{} <{}>", made.author, email(&made.author)),
            "user": account(&made.author) },
        "parents": [], "links": {
            "self": { "href": format!("{API}/repositories/{}/commit/{}", remote.full_name, made.id) },
            "html": { "href": format!("{}/commits/{}", url(remote), made.id) },
        },
    })
}

fn repository(remote: &Remote) -> Value {
    let (path, html) = (&remote.full_name, url(remote));
    json!({
        "type": "repository", "uuid": uuid(path), "name": remote.name, "full_name": path, "is_private": true,
        "scm": "git", "website": null, "owner": team(&remote.owner), "workspace": { "type": "workspace",
            "slug": remote.owner, "name": remote.owner, "uuid": uuid(&remote.owner) },
        "project": { "type": "project", "key": "PROD", "name": "Products", "uuid": uuid("Products") },
        "links": { "self": { "href": format!("{API}/repositories/{path}") }, "html": { "href": html } },
    })
}

fn team(name: &str) -> Value {
    json!({ "type": "team", "username": name, "display_name": name, "uuid": uuid(name) })
}

fn account(login: &str) -> Value {
    let id = uuid(login);
    json!({
        "type": "user", "display_name": login.replace('-', " "), "nickname": login, "uuid": id,
        "account_id": format!("557058:{}", id.trim_matches(['{', '}'])),
        "links": { "html": { "href": format!("https://bitbucket.org/{id}/") } },
    })
}

fn url(remote: &Remote) -> String {
    format!("https://bitbucket.org/{}", remote.full_name)
}

/// The same id for the same name for ever, in the braces that Bitbucket puts around ids.
fn uuid(name: &str) -> String {
    let digest = Sha256::digest(name);
    let bytes: [u8; 16] = std::array::from_fn(|index| digest[index]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().braced().to_string()
}

fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, false)
}
