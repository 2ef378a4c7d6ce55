//! Deliveries of Gitea and Forgejo, written from the documented shape of each event.
//!
//! Forgejo began as Gitea and still sends its payloads, but for workflow runs, which came after they parted.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    Commit, DEVELOPER, Happening, OWNER, RELEASER, Stage, TESTER,
    forge::{Made, Remote, Written},
    github::{MAIN, NO_COMMIT, email, number_of, stamp, with},
};

/// How long every workflow runs; seconds.
const RUN_SECONDS: i64 = 94;

pub(super) fn write(remote: &mut Remote, happening: &Happening<'_>) -> Written {
    match *happening {
        Happening::Push { branch, commits } => ("push", push(remote, branch, commits)),
        Happening::Tag { name } => ("push", tag(remote, name)),
        Happening::PullRequest { stage, number, title, branch } => {
            ("pull_request", pull_request(remote, stage == Stage::Done, number, title, branch))
        }
        Happening::Issue { stage, number, title } => {
            ("issues", issue(remote, stage == Stage::Done, number, title))
        }
        Happening::Release { tag } => ("release", release(remote, tag)),
        Happening::Pipeline { id, name, branch, passed } if remote.source == "forgejo" => {
            let event = if passed { "action_run_success" } else { "action_run_failure" };
            (event, action_run(remote, id, name, branch, passed))
        }
        Happening::Pipeline { id, name, branch, passed } => {
            ("workflow_run", workflow_run(remote, id, name, branch, passed))
        }
    }
}

fn push(remote: &mut Remote, branch: &str, commits: &[Commit<'_>]) -> Value {
    let pushed = remote.push(branch, commits);
    // The newest comes first.
    let listed: Vec<_> = pushed.commits.iter().rev().map(|made| commit(remote, made)).collect();
    let head = remote.head(branch);
    let who = user(remote, &head.author);
    json!({
        "ref": format!("refs/heads/{branch}"), "before": pushed.before, "after": pushed.after,
        "compare_url": format!("{}/compare/{}...{}", url(remote), pushed.before, pushed.after),
        "total_commits": listed.len(), "commits": listed, "head_commit": commit(remote, head),
        "repository": repository(remote), "pusher": who, "sender": who,
    })
}

fn tag(remote: &Remote, name: &str) -> Value {
    let (head, who) = (remote.head(MAIN), user(remote, RELEASER));
    json!({
        "ref": format!("refs/tags/{name}"), "before": NO_COMMIT, "after": head.id, "compare_url": url(remote),
        "commits": [], "total_commits": 0, "head_commit": commit(remote, head),
        "repository": repository(remote), "pusher": who, "sender": who,
    })
}

fn pull_request(remote: &mut Remote, done: bool, number: u64, title: &str, branch: &str) -> Value {
    let (base, head) = (remote.head(MAIN).clone(), remote.head(branch).clone());
    let mut pull = thread(remote, done, number, title, DEVELOPER, "pulls");
    let merged = done.then(|| remote.merge(branch).id);
    let repository = repository(remote);
    let side = |name: &str, made: &Made| json!({ "label": name, "ref": name, "sha": made.id, "repo_id": remote.id, "repo": repository });
    let page = format!("{}/pulls/{number}", url(remote));
    pull = with(
        pull,
        json!({
            "diff_url": format!("{page}.diff"), "patch_url": format!("{page}.patch"), "draft": false,
            "mergeable": true, "merged": done, "merged_at": done.then(|| stamp(remote.now)),
            "merge_commit_sha": merged, "merged_by": done.then(|| user(remote, OWNER)),
            "allow_maintainer_edit": false, "head": side(branch, &head), "base": side(MAIN, &base),
            "merge_base": base.id, "requested_reviewers": [user(remote, OWNER)],
            "additions": 31, "deletions": 9, "changed_files": 1,
        }),
    );
    json!({
        "action": if done { "closed" } else { "opened" }, "number": number, "pull_request": pull,
        "requested_reviewer": null, "repository": repository, "commit_id": "", "review": null,
        "sender": user(remote, if done { OWNER } else { DEVELOPER }),
    })
}

fn issue(remote: &mut Remote, done: bool, number: u64, title: &str) -> Value {
    let mut issue = thread(remote, done, number, title, TESTER, "issues");
    issue["repository"] = json!({
        "id": remote.id, "name": remote.name, "owner": remote.owner, "full_name": remote.full_name,
    });
    json!({
        "action": if done { "closed" } else { "opened" }, "number": number, "issue": issue,
        "repository": repository(remote), "commit_id": "",
        "sender": user(remote, if done { DEVELOPER } else { TESTER }),
    })
}

/// What issues and pull requests have in common.
fn thread(remote: &mut Remote, done: bool, number: u64, title: &str, opener: &str, kind: &str) -> Value {
    let opened = remote.opened(number);
    let html = url(remote);
    json!({
        "id": number_of(&format!("{html}/{kind}/{number}")) % 100_000_000, "number": number, "title": title,
        "url": format!("{html}/{kind}/{number}"), "html_url": format!("{html}/{kind}/{number}"),
        "user": user(remote, opener), "body": format!("{title}, as its story tells."),
        "labels": [{ "id": 12, "name": "story", "exclusive": false, "color": "1d76db", "description": "" }],
        "milestone": null, "assignee": user(remote, DEVELOPER), "assignees": [user(remote, DEVELOPER)],
        "state": if done { "closed" } else { "open" }, "is_locked": false, "comments": 0, "assets": [],
        "created_at": stamp(opened), "updated_at": stamp(remote.now), "due_date": null,
        "closed_at": done.then(|| stamp(remote.now)), "pin_order": 0,
    })
}

fn release(remote: &mut Remote, tag: &str) -> Value {
    let (id, html, who) = (remote.new_id() % 1_000_000, url(remote), user(remote, RELEASER));
    json!({
        "action": "published", "repository": repository(remote), "sender": who, "release": {
            "id": id, "tag_name": tag, "target_commitish": MAIN, "name": tag,
            "body": format!("What {tag} brings is listed in docs/prd.md; nothing has to be migrated."),
            "url": format!("{html}/releases/{id}"), "html_url": format!("{html}/releases/tag/{tag}"),
            "tarball_url": format!("{html}/archive/{tag}.tar.gz"),
            "zipball_url": format!("{html}/archive/{tag}.zip"), "draft": false, "prerelease": false,
            "created_at": stamp(remote.now), "published_at": stamp(remote.now), "author": who, "assets": [],
        },
    })
}

/// Gitea's, which follows GitHub's.
fn workflow_run(remote: &Remote, id: u64, name: &str, branch: &str, passed: bool) -> Value {
    let (head, html) = (remote.head(branch), url(remote));
    let (actor, repository, file) = (user(remote, &head.author), repository(remote), file(name));
    json!({
        "action": "completed", "repository": repository, "sender": actor,
        "workflow": {
            "id": file, "name": name, "path": format!(".gitea/workflows/{file}"), "state": "active",
            "url": format!("{html}/actions/workflows/{file}"), "html_url": format!("{html}/actions?workflow={file}"),
        },
        "workflow_run": {
            "id": id, "display_title": head.title(), "path": format!("{file}@refs/heads/{branch}"),
            "event": "push", "run_attempt": 1, "run_number": id % 10_000, "head_sha": head.id,
            "head_branch": branch, "status": "completed",
            "conclusion": if passed { "success" } else { "failure" }, "actor": actor, "trigger_actor": actor,
            "repository": repository, "url": format!("{html}/actions/runs/{id}"),
            "html_url": format!("{html}/actions/runs/{id}"), "started_at": stamp(began(remote)),
            "completed_at": stamp(remote.now),
        },
    })
}

/// Forgejo's own.
fn action_run(remote: &Remote, id: u64, name: &str, branch: &str, passed: bool) -> Value {
    let (head, html) = (remote.head(branch), url(remote));
    let status = if passed { "success" } else { "failure" };
    let run = json!({
        "id": id, "title": head.title(), "repository": repository(remote), "workflow_id": file(name),
        "index_in_repo": id % 10_000, "trigger_user": user(remote, &head.author), "ScheduleID": 0,
        "prettyref": branch, "is_ref_deleted": false, "commit_sha": head.id, "is_fork_pull_request": false,
        "need_approval": false, "approved_by": 0, "event": "push", "event_payload": "",
        "trigger_event": "push", "status": status, "started": stamp(began(remote)),
        "stopped": stamp(remote.now), "created": stamp(began(remote)), "updated": stamp(remote.now),
        "duration": RUN_SECONDS * 1_000_000_000, "html_url": format!("{html}/actions/runs/{}", id % 10_000),
    });
    json!({ "action": status, "run": run, "prior_status": "running" })
}

fn began(remote: &Remote) -> DateTime<Utc> {
    remote.now - TimeDelta::seconds(RUN_SECONDS)
}

/// The workflow's file, from its name.
fn file(name: &str) -> String {
    format!("{}.yml", name.to_lowercase().replace(' ', "-"))
}

fn commit(remote: &Remote, made: &Made) -> Value {
    let person = json!({
        "name": made.author.replace('-', " "), "email": email(&made.author), "username": made.author,
    });
    json!({
        "id": made.id, "message": format!("{}\n", made.message), "author": person, "committer": person,
        "url": format!("{}/commit/{}", url(remote), made.id), "verification": null,
        "timestamp": stamp(made.at), "added": made.added, "removed": made.removed, "modified": made.modified,
    })
}

fn repository(remote: &Remote) -> Value {
    let (html, path, host) = (url(remote), &remote.full_name, host(remote));
    json!({
        "id": remote.id, "owner": user(remote, &remote.owner), "name": remote.name, "full_name": path,
        "description": "Plans, stories and code of one product", "empty": false, "private": true,
        "fork": false, "template": false, "mirror": false, "size": 1840, "language": "Rust",
        "html_url": html, "url": format!("https://{host}/api/v1/repos/{path}"),
        "ssh_url": format!("git@{host}:{path}.git"), "clone_url": format!("{html}.git"), "website": "",
        "stars_count": 12, "forks_count": 1, "watchers_count": 12, "open_issues_count": 3,
        "open_pr_counter": 1, "default_branch": MAIN, "archived": false, "has_issues": true,
        "has_pull_requests": true, "has_releases": true, "has_actions": true, "topics": ["planning"],
    })
}

fn user(remote: &Remote, login: &str) -> Value {
    let (id, host) = (number_of(login) % 100_000, host(remote));
    json!({
        "id": id, "login": login, "login_name": "", "full_name": login.replace('-', " "),
        "email": email(login), "avatar_url": format!("https://{host}/avatars/{id}"),
        "html_url": format!("https://{host}/{login}"), "username": login, "visibility": "public",
    })
}

fn host(remote: &Remote) -> &'static str {
    if remote.source == "forgejo" { "forgejo.example.com" } else { "gitea.example.com" }
}

fn url(remote: &Remote) -> String {
    format!("https://{}/{}", host(remote), remote.full_name)
}
