//! What the events of each host mean, but for pipelines.

use serde_json::{Value, json};

use super::{
    HEAD,
    Host::{self, Bitbucket, Forgejo, GitLab, Gitea},
    push,
};
use crate::support::{Server, text};

#[tokio::test]
async fn a_push_is_told_and_makes_artifacts_where_the_host_names_files() {
    for host in Host::ALL {
        let server = Server::start().await;
        let project = server.project().await;
        let (event, body) = push(host, "refs/heads/main");
        project.post_as(host, "d-1", event, &body).await.expect(202);
        let names = project.event_names().await;
        if host == Bitbucket {
            assert_eq!(names, ["push"]);
        } else {
            assert_eq!(names, ["push", "artifact_updated"], "{host:?}");
            assert_eq!(project.all("/artifacts").await[0]["path"], "docs/prd.md");
        }
        let told = project.events().await[1]["payload"].clone();
        assert_eq!(
            (&told["branch"], &told["after"], &told["message"], &told["author"], &told["commits"]),
            (&json!("main"), &json!(HEAD), &json!("Add the PRD"), &json!("dev"), &json!(1)),
            "{host:?}: {told}"
        );
    }
}

#[tokio::test]
async fn a_tag_is_told_and_its_files_do_not_count() {
    let server = Server::start().await;
    for host in Host::ALL {
        let project = server.project().await;
        let (event, body) = push(host, "refs/tags/v1.0.0");
        let (name, told) = project.told(host, event, &body).await;
        assert_eq!((name.as_str(), &told["tag"], &told["branch"]), ("push", &json!("v1.0.0"), &Value::Null));
    }
}

/// The headers of GitLab's signed kind.
#[tokio::test]
async fn merge_and_pull_requests_are_told_alike() {
    let server = Server::start().await;
    let requests = [
        (
            GitLab,
            "Merge Request Hook",
            json!({"user": {"username": "dev"}, "object_attributes": {"iid": 7, "title": "Log in",
                "state": "merged", "action": "merge", "source_branch": "login", "target_branch": "main",
                "last_commit": {"id": HEAD}, "updated_at": "2026-01-01 05:00:00 UTC", "url": "https://x/7"}}),
        ),
        (
            Bitbucket,
            "pullrequest:fulfilled",
            json!({"actor": {"nickname": "dev"}, "pullrequest": {"id": 7, "title": "Log in", "state": "MERGED",
                "source": {"branch": {"name": "login"}, "commit": {"hash": HEAD}},
                "destination": {"branch": {"name": "main"}}, "updated_on": "2026-01-01T05:00:00+00:00",
                "links": {"html": {"href": "https://x/7"}}}}),
        ),
        (Gitea, "pull_request", github_like_request()),
        (Forgejo, "pull_request", github_like_request()),
    ];
    for (host, event, body) in requests {
        let (name, told) = server.project().await.told(host, event, &body).await;
        assert_eq!(name, "pull_request_changed");
        let expected = json!({"number": 7, "title": "Log in", "state": "merged", "branch": "login",
            "base": "main", "commit": HEAD, "sender": "dev", "url": "https://x/7"});
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&told[field], value, "{host:?}: {field}");
        }
    }
}

fn github_like_request() -> Value {
    json!({"action": "closed", "number": 7, "sender": {"login": "dev"}, "pull_request": {"title": "Log in",
        "state": "closed", "merged": true, "head": {"ref": "login", "sha": HEAD}, "base": {"ref": "main"},
        "updated_at": "2026-01-01T05:00:00Z", "html_url": "https://x/7"}})
}

#[tokio::test]
async fn issues_are_told_alike_and_confidential_ones_without_their_title() {
    let server = Server::start().await;
    let gitlab = |confidential: bool| {
        json!({"user": {"username": "dev"}, "object_attributes": {"iid": 3, "title": "Crash", "state": "opened",
            "action": "open", "confidential": confidential, "url": "https://x/3"}})
    };
    let github_like = json!({"action": "opened", "sender": {"login": "dev"},
        "issue": {"number": 3, "title": "Crash", "state": "open", "html_url": "https://x/3"}});
    let bitbucket = json!({"actor": {"nickname": "dev"}, "issue": {"id": 3, "title": "Crash", "state": "new",
        "links": {"html": {"href": "https://x/3"}}}});
    let issues = [
        (GitLab, "Issue Hook", gitlab(false), json!("Crash")),
        (GitLab, "Confidential Issue Hook", gitlab(true), Value::Null),
        (Bitbucket, "issue:created", bitbucket, json!("Crash")),
        (Gitea, "issues", github_like.clone(), json!("Crash")),
        (Forgejo, "issues", github_like, json!("Crash")),
    ];
    for (host, event, body, title) in issues {
        let (name, told) = server.project().await.told(host, event, &body).await;
        assert_eq!(name, "issue_changed");
        assert_eq!(
            (&told["number"], &told["title"], &told["state"], &told["sender"]),
            (&json!(3), &title, &json!("open"), &json!("dev")),
            "{host:?} {event}"
        );
    }
}

#[tokio::test]
async fn releases_are_told_where_the_host_has_them() {
    let server = Server::start().await;
    let github_like = json!({"action": "published", "release": {"tag_name": "v1.0.0", "name": "One",
        "html_url": "https://x/v1", "published_at": "2026-01-01T05:00:00Z"}});
    let gitlab = json!({"object_kind": "release", "action": "create", "tag": "v1.0.0", "name": "One",
        "url": "https://x/v1", "released_at": "2026-01-01 05:00:00 UTC"});
    for (host, event, body) in [
        (GitLab, "Release Hook", gitlab),
        (Gitea, "release", github_like.clone()),
        (Forgejo, "release", github_like),
    ] {
        let (name, told) = server.project().await.told(host, event, &body).await;
        assert_eq!(
            (name.as_str(), &told["tag"], &told["name"]),
            ("release_published", &json!("v1.0.0"), &json!("One"))
        );
    }
}

#[tokio::test]
async fn a_file_that_a_push_removes_is_told_whichever_host_names_it() {
    for host in [GitLab, Gitea, Forgejo] {
        let server = Server::start().await;
        let project = server.project().await;
        let (event, body) = push(host, "refs/heads/main");
        project.post_as(host, "d-1", event, &body).await.expect(202);
        project.settled().await;
        server.advance(60);
        let removed = body.to_string().replace("\"removed\":[]", "\"removed\":[\"docs/prd.md\"]");
        let mut removed: Value = serde_json::from_str(&removed).unwrap();
        removed["commits"][0]["added"] = json!([]);
        removed["commits"][0]["id"] = json!("b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327");
        project.post_as(host, "d-2", event, &removed).await.expect(202);
        let names = project.event_names().await;
        assert_eq!(names, ["push", "artifact_updated", "push", "artifact_removed"], "{host:?}");
    }
}

#[tokio::test]
async fn of_several_commits_in_a_push_the_newest_has_the_last_word_in_whatever_order_they_are_listed() {
    let server = Server::start().await;
    for host in [GitLab, Gitea, Forgejo] {
        let project = server.project().await;
        let (event, mut body) = push(host, "refs/heads/main");
        let older = json!({"id": "1111", "message": "Add", "added": ["docs/prd.md"]});
        let newer = json!({"id": "2222", "message": "Change", "modified": ["docs/prd.md"]});
        // Gitea and Forgejo list the newest first.
        body["commits"] = if host == GitLab { json!([older, newer]) } else { json!([newer, older]) };
        project.post_as(host, "d-1", event, &body).await.expect(202);
        project.settled().await;
        assert_eq!(project.all("/artifacts").await[0]["commit"], "2222", "{host:?}");
    }
}

#[tokio::test]
async fn system_hooks_of_gitlab_mean_what_their_bodies_say() {
    let server = Server::start().await;
    let project = server.project().await;
    let mut body = push(GitLab, "refs/heads/main").1;
    body.as_object_mut().unwrap().remove("object_kind");
    body["event_name"] = json!("push");
    project.post_as(GitLab, "d-1", "System Hook", &body).await.expect(202);
    project.post_as(GitLab, "d-2", "System Hook", &json!({"event_name": "user_create"})).await.expect(202);
    assert_eq!(project.event_names().await, ["push", "artifact_updated"]);
}

#[tokio::test]
async fn what_a_host_sends_beyond_that_is_stored_and_what_it_does_not_document_is_parked() {
    let server = Server::start().await;
    for (host, known) in
        [(GitLab, "Push Hook"), (Bitbucket, "repo:push"), (Gitea, "push"), (Forgejo, "pull_request")]
    {
        let project = server.project().await;
        for (index, event) in ["", "moon_phase", "repo:fork", "System Hook"].into_iter().enumerate() {
            project.post_as(host, &format!("d-{index}"), event, &json!([1])).await.expect(202);
        }
        assert_eq!(project.event_names().await.len(), 0, "{host:?}");
        project.post_as(host, "odd", known, &json!("not an object")).await.expect(202);
        project.settled().await;
        let failed = project.all("/deliveries?status=failed").await;
        assert_eq!(failed.len(), 1, "{host:?}");
        let why = text(&failed[0]["lastError"]).to_lowercase();
        assert!(why.starts_with(&format!("the payload is not what {} documents", host.source())), "{why}");
    }
}
