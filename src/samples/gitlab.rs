//! Deliveries of GitLab, written from the documented shape of each event.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    Commit, DEVELOPER, Happening, OWNER, Stage, TESTER,
    forge::{Made, Remote, Written},
    github::{MAIN, NO_COMMIT, email, number_of, with},
};

const HOST: &str = "https://gitlab.example.com";
/// GitLab lists no more commits than this in one push, and says in `total_commits_count` how many there were.
const MAX_COMMITS: usize = 20;

pub(super) fn write(remote: &mut Remote, happening: &Happening<'_>) -> Written {
    match *happening {
        Happening::Push { branch, commits } => ("Push Hook", push(remote, branch, commits)),
        Happening::Tag { name } => ("Tag Push Hook", tag(remote, name)),
        Happening::PullRequest { stage, number, title, branch } => {
            ("Merge Request Hook", merge_request(remote, stage, number, title, branch))
        }
        Happening::Issue { stage, number, title } => ("Issue Hook", issue(remote, stage, number, title)),
        Happening::Release { tag } => ("Release Hook", release(remote, tag)),
        Happening::Pipeline { id, branch, passed, .. } => {
            ("Pipeline Hook", pipeline(remote, id, branch, passed))
        }
    }
}

fn push(remote: &mut Remote, branch: &str, commits: &[Commit<'_>]) -> Value {
    let pushed = remote.push(branch, commits);
    let listed = pushed.commits.iter().rev().take(MAX_COMMITS).rev().map(|made| commit(remote, made, true));
    let who = pushed.commits.last().map_or(DEVELOPER, |made| &made.author);
    let body = json!({
        "object_kind": "push", "event_name": "push", "ref": format!("refs/heads/{branch}"),
        "before": pushed.before, "after": pushed.after, "checkout_sha": pushed.after,
        "ref_protected": branch == MAIN, "message": null, "commits": listed.collect::<Vec<_>>(),
        "total_commits_count": pushed.commits.len(), "push_options": {},
    });
    with(body, pusher(remote, who))
}

fn tag(remote: &Remote, name: &str) -> Value {
    let head = remote.head(MAIN);
    let body = json!({
        "object_kind": "tag_push", "event_name": "tag_push", "ref": format!("refs/tags/{name}"),
        "before": NO_COMMIT, "after": head.id, "checkout_sha": head.id, "ref_protected": false, "message": "",
        "commits": [commit(remote, head, true)], "total_commits_count": 1, "push_options": {},
    });
    with(body, pusher(remote, OWNER))
}

fn merge_request(remote: &mut Remote, stage: Stage, number: u64, title: &str, branch: &str) -> Value {
    let (opened, head) = (remote.opened(number), remote.head(branch).clone());
    let merged = (stage == Stage::Done).then(|| remote.merge(branch).id);
    let (state, action) = if merged.is_some() { ("merged", "merge") } else { ("opened", "open") };
    let project = project(remote);
    let who = if merged.is_some() { OWNER } else { DEVELOPER };
    json!({
        "object_kind": "merge_request", "event_type": "merge_request", "user": user(who),
        "project": project, "repository": repository(remote), "labels": [label(remote)],
        "object_attributes": {
            "id": number_of(&format!("{} !{number}", remote.full_name)) % 100_000_000, "iid": number,
            "title": title, "description": format!("{title}, as its story tells."), "state": state,
            "action": action, "source_branch": branch, "target_branch": MAIN, "draft": false,
            "author_id": user(DEVELOPER)["id"], "assignee_ids": [user(DEVELOPER)["id"]],
            "source_project_id": remote.id, "target_project_id": remote.id, "source": project,
            "target": project, "created_at": words(opened), "updated_at": words(remote.now),
            "merge_status": "can_be_merged", "detailed_merge_status": "mergeable",
            "merge_commit_sha": merged, "last_commit": commit(remote, &head, false),
            "url": format!("{}/-/merge_requests/{number}", url(remote)), "work_in_progress": false,
        },
        "changes": { "updated_at": { "previous": words(opened), "current": words(remote.now) } },
        "assignees": [user(DEVELOPER)], "reviewers": [user(OWNER)],
    })
}

fn issue(remote: &mut Remote, stage: Stage, number: u64, title: &str) -> Value {
    let opened = remote.opened(number);
    let closed = (stage == Stage::Done).then_some(remote.now);
    let (state, action) = if closed.is_some() { ("closed", "close") } else { ("opened", "open") };
    let who = if closed.is_some() { DEVELOPER } else { TESTER };
    json!({
        "object_kind": "issue", "event_type": "issue", "user": user(who), "project": project(remote),
        "repository": repository(remote), "assignees": [user(DEVELOPER)], "labels": [label(remote)],
        "object_attributes": {
            "id": number_of(&format!("{} #{number}", remote.full_name)) % 100_000_000, "iid": number,
            "title": title, "description": format!("{title}, seen on the staging system."), "state": state,
            "action": action, "author_id": user(TESTER)["id"], "project_id": remote.id, "confidential": false,
            "created_at": words(opened), "updated_at": words(remote.now), "closed_at": closed.map(words),
            "due_date": null, "weight": null, "severity": "UNKNOWN", "type": "Issue",
            "url": format!("{}/-/issues/{number}", url(remote)), "labels": [label(remote)],
        },
        "changes": { "updated_at": { "previous": words(opened), "current": words(remote.now) } },
    })
}

fn release(remote: &mut Remote, tag: &str) -> Value {
    let id = remote.new_id() % 100_000_000;
    let url = url(remote);
    json!({
        "object_kind": "release", "action": "create", "id": id, "name": tag, "tag": tag,
        "description": format!("What {tag} brings is listed in docs/prd.md; nothing has to be migrated."),
        "created_at": words(remote.now), "released_at": words(remote.now),
        "url": format!("{url}/-/releases/{tag}"), "project": project(remote),
        "assets": { "count": 1, "links": [], "sources": [
            { "format": "zip", "url": format!("{url}/-/archive/{tag}/{}-{tag}.zip", remote.name) },
        ]},
        "commit": commit(remote, remote.head(MAIN), false),
    })
}

fn pipeline(remote: &Remote, id: u64, branch: &str, passed: bool) -> Value {
    const BUILDS_SECONDS: i64 = 94;
    let (head, status) = (remote.head(branch), if passed { "success" } else { "failed" });
    let began = remote.now - TimeDelta::seconds(BUILDS_SECONDS);
    let build = |index: u64, stage: &str, status: &str| {
        json!({
            "id": id * 10 + index, "stage": stage, "name": stage, "status": status, "when": "on_success",
            "created_at": words(began), "started_at": words(began), "finished_at": words(remote.now),
            "duration": BUILDS_SECONDS / 2, "queued_duration": 1.4, "manual": false, "allow_failure": false,
            "failure_reason": (status == "failed").then_some("script_failure"), "user": user(&head.author),
            "runner": { "id": 380_987, "description": "shared-runner-1", "active": true, "is_shared": true,
                "runner_type": "instance_type", "tags": ["linux"] },
            "artifacts_file": { "filename": null, "size": null }, "environment": null,
        })
    };
    json!({
        "object_kind": "pipeline",
        "object_attributes": {
            "id": id, "iid": id % 10_000, "name": null, "ref": branch, "tag": false, "sha": head.id,
            "before_sha": NO_COMMIT, "source": "push", "status": status,
            "detailed_status": if passed { "passed" } else { "failed" }, "stages": ["build", "test"],
            "created_at": words(began), "finished_at": words(remote.now), "duration": BUILDS_SECONDS,
            "queued_duration": 2, "protected_ref": branch == MAIN, "variables": [],
            "url": format!("{}/-/pipelines/{id}", url(remote)),
        },
        "merge_request": null, "user": user(&head.author), "project": project(remote),
        "commit": commit(remote, head, false),
        "builds": [build(1, "build", "success"), build(2, "test", status)],
    })
}

/// What pushes say at their top about who pushed what where.
fn pusher(remote: &Remote, login: &str) -> Value {
    let who = user(login);
    json!({
        "user_id": who["id"], "user_name": who["name"], "user_username": login, "user_email": "",
        "user_avatar": who["avatar_url"], "project_id": remote.id, "project": project(remote),
        "repository": repository(remote),
    })
}

/// A commit; pushes also list its files.
fn commit(remote: &Remote, made: &Made, with_files: bool) -> Value {
    let commit = json!({
        "id": made.id, "message": made.message, "title": made.title(),
        "timestamp": made.at.to_rfc3339_opts(SecondsFormat::Secs, false),
        "url": format!("{}/-/commit/{}", url(remote), made.id),
        "author": { "name": made.author.replace('-', " "), "email": email(&made.author) },
    });
    let files = json!({ "added": made.added, "modified": made.modified, "removed": made.removed });
    if with_files { with(commit, files) } else { commit }
}

fn project(remote: &Remote) -> Value {
    let (url, path) = (url(remote), &remote.full_name);
    let (ssh, http) = (format!("git@gitlab.example.com:{path}.git"), format!("{url}.git"));
    json!({
        "id": remote.id, "name": remote.name, "description": "Plans, stories and code of one product",
        "web_url": url, "avatar_url": null, "git_ssh_url": ssh, "git_http_url": http,
        "namespace": remote.owner, "visibility_level": 0, "path_with_namespace": path,
        "default_branch": MAIN, "ci_config_path": "", "homepage": url, "url": ssh, "ssh_url": ssh,
        "http_url": http,
    })
}

fn repository(remote: &Remote) -> Value {
    let (url, path) = (url(remote), &remote.full_name);
    json!({
        "name": remote.name, "url": format!("git@gitlab.example.com:{path}.git"), "homepage": url,
        "description": "Plans, stories and code of one product", "git_http_url": format!("{url}.git"),
        "git_ssh_url": format!("git@gitlab.example.com:{path}.git"), "visibility_level": 0,
    })
}

fn user(login: &str) -> Value {
    let id = number_of(login) % 10_000_000;
    json!({
        "id": id, "name": login.replace('-', " "), "username": login, "email": "[REDACTED]",
        "avatar_url": format!("{HOST}/uploads/-/system/user/avatar/{id}/avatar.png"),
    })
}

fn label(remote: &Remote) -> Value {
    json!({
        "id": 206, "title": "story", "color": "#1d76db", "project_id": remote.id, "template": false,
        "description": "Part of a planned story", "type": "ProjectLabel", "group_id": null,
    })
}

fn url(remote: &Remote) -> String {
    format!("{HOST}/{}", remote.full_name)
}

/// A time as GitLab's older events write it.
fn words(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
