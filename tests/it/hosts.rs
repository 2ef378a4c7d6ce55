//! Each Git host by its own rules: how it signs, how a repetition is known, and what its events mean.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Answer, Project, Server, dawn, text};

/// A host, with the headers that it sends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Host {
    GitLab,
    Bitbucket,
    Gitea,
    Forgejo,
}

use Host::{Bitbucket, Forgejo, GitLab, Gitea};

impl Host {
    const ALL: [Self; 4] = [GitLab, Bitbucket, Gitea, Forgejo];

    fn source(self) -> &'static str {
        match self {
            GitLab => "gitlab",
            Bitbucket => "bitbucket",
            Gitea => "gitea",
            Forgejo => "forgejo",
        }
    }

    fn headers(self, secret: &str, id: &str, event: &str, body: &[u8]) -> Vec<(&'static str, String)> {
        let signed = trackside::samples::sign(secret, body);
        let bare = signed.trim_start_matches("sha256=").to_owned();
        let own = |names: [&'static str; 3], signature: String| {
            vec![(names[0], event.to_owned()), (names[1], id.to_owned()), (names[2], signature)]
        };
        match self {
            GitLab => own(["x-gitlab-event", "idempotency-key", "x-gitlab-token"], secret.to_owned()),
            Bitbucket => own(["x-event-key", "x-request-uuid", "x-hub-signature"], signed),
            Gitea => own(["x-gitea-event", "x-gitea-delivery", "x-gitea-signature"], bare),
            Forgejo => own(["x-forgejo-event", "x-forgejo-delivery", "x-forgejo-signature"], bare),
        }
    }
}

impl Project {
    async fn post_as(&self, host: Host, id: &str, event: &str, body: &Value) -> Answer {
        let body = body.to_string().into_bytes();
        let headers = host.headers(&self.secret, id, event, &body);
        self.post_to(host, &headers, body).await
    }

    async fn post_to(&self, host: Host, headers: &[(&str, String)], body: Vec<u8>) -> Answer {
        let path = format!("/webhooks/{}/{}", host.source(), self.id);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.client.clone().without_key().post_bytes(&path, &headers, body).await
    }

    /// The one event that a delivery causes, beside that it was received.
    async fn told(&self, host: Host, event: &str, body: &Value) -> (String, Value) {
        let before = self.events().await.len();
        let id = format!("d-{before}");
        self.post_as(host, &id, event, body).await.expect(202);
        let events = self.events().await;
        let new: Vec<_> =
            events[before..].iter().filter(|event| event["event"] != "delivery_received").collect();
        assert_eq!(new.len(), 1, "{host:?} {event}: {new:?}");
        (text(&new[0]["event"]), new[0]["payload"].clone())
    }
}

const ZEROS: &str = "0000000000000000000000000000000000000000";
const HEAD: &str = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7";

/// A push that adds the PRD, as the hosts tell of it.
fn push(host: Host, reference: &str) -> (&'static str, Value) {
    let commit = json!({
        "id": HEAD, "message": "Add the PRD\n\nwith care", "timestamp": "2026-01-01T05:00:00Z",
        "author": {"name": "Dev", "username": "dev"},
        "added": ["docs/prd.md", "src/main.rs"], "modified": [], "removed": [],
    });
    let tag = reference.starts_with("refs/tags/");
    let name = reference.rsplit('/').next().unwrap();
    match host {
        GitLab => (
            if tag { "Tag Push Hook" } else { "Push Hook" },
            json!({
                "object_kind": if tag { "tag_push" } else { "push" }, "ref": reference, "before": ZEROS,
                "after": HEAD, "user_username": "dev", "total_commits_count": 1, "commits": [commit],
                "project": {"default_branch": "main", "web_url": "https://gitlab.example.com/acme/rocket"},
            }),
        ),
        Bitbucket => (
            "repo:push",
            json!({
                "actor": {"nickname": "dev"},
                "push": {"changes": [{
                    "created": true, "closed": false, "forced": false, "old": null, "commits": [{"hash": HEAD}],
                    "new": {"type": if tag { "tag" } else { "branch" }, "name": name,
                        "target": {"hash": HEAD, "message": "Add the PRD\n\nwith care"}},
                    "links": {"html": {"href": "https://bitbucket.org/acme/rocket/branch/main"}},
                }]},
            }),
        ),
        Gitea | Forgejo => (
            "push",
            json!({
                "ref": reference, "before": ZEROS, "after": HEAD, "total_commits": 1, "commits": [commit],
                "compare_url": "https://git.example.com/acme/rocket/compare/a...b", "head_commit": commit,
                "repository": {"default_branch": "main"}, "pusher": {"login": "dev"}, "sender": {"login": "dev"},
            }),
        ),
    }
}

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

#[tokio::test]
async fn a_repetition_is_known_and_has_no_second_effect() {
    let server = Server::start().await;
    for host in Host::ALL {
        let project = server.project().await;
        let (event, body) = push(host, "refs/heads/main");
        assert_eq!(project.post_as(host, "same", event, &body).await.expect(202).json["status"], "accepted");
        assert_eq!(project.post_as(host, "same", event, &body).await.expect(202).json["status"], "duplicate");
        assert_eq!(project.all("/deliveries").await.len(), 1, "{host:?}");
        let shown = &project.all("/deliveries").await[0];
        assert_eq!(
            (text(&shown["source"]).as_str(), text(&shown["eventType"]).as_str()),
            (host.source(), event)
        );
    }
}

#[tokio::test]
async fn a_gitlab_delivery_without_an_id_is_known_by_its_content() {
    let server = Server::start().await;
    let project = server.project().await;
    let (event, body) = push(GitLab, "refs/heads/main");
    let body = body.to_string().into_bytes();
    let mut headers = GitLab.headers(&project.secret, "", event, &body);
    headers.retain(|(name, _)| *name != "idempotency-key");
    for (uuid, status) in [("one", "accepted"), ("another", "duplicate")] {
        let mut headers = headers.clone();
        headers.push(("x-gitlab-webhook-uuid", uuid.to_owned()));
        let answer = project.post_to(GitLab, &headers, body.clone()).await.expect(202);
        assert_eq!(answer.json["status"], status);
    }
}

#[tokio::test]
async fn what_is_not_signed_with_the_projects_secret_is_refused() {
    let server = Server::start().await;
    let project = server.project().await;
    let (_, body) = push(Gitea, "refs/heads/main");
    let body = body.to_string().into_bytes();
    for host in Host::ALL {
        let forged = host.headers("whsec_Zm9yZ2Vk", "d-1", "push", &body);
        project.post_to(host, &forged, body.clone()).await.refused(401, "invalid_signature");
        for missing in [2, 1] {
            let mut headers = host.headers(&project.secret, "d-1", "push", &body);
            headers.remove(missing);
            let answer = project.post_to(host, &headers, body.clone()).await;
            match (missing, host) {
                (2, _) => drop(answer.refused(401, "invalid_signature")),
                (_, GitLab) => drop(answer.expect(202)), // known by its content
                _ => drop(answer.refused(400, "invalid_request")),
            }
        }
        for other in Host::ALL.into_iter().filter(|other| *other != host && *other != Bitbucket) {
            let headers = host.headers(&project.secret, "d-2", "push", &body);
            project.post_to(other, &headers, body.clone()).await.refused(401, "invalid_signature");
        }
    }
}

#[tokio::test]
async fn a_webhook_of_gitea_on_the_path_of_github_counts_as_what_its_headers_for_github_say() {
    let server = Server::start().await;
    let project = server.project().await;
    let (event, body) = push(Gitea, "refs/heads/main");
    let body = body.to_string().into_bytes();
    let mut headers = Gitea.headers(&project.secret, "d-1", event, &body);
    let post = async |headers: &[(&str, String)]| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        project.client.clone().without_key().post_bytes(&project.endpoint(), &headers, body.clone()).await
    };
    post(&headers).await.refused(401, "invalid_signature");
    headers.push(("x-hub-signature-256", "sha256=00".to_owned()));
    post(&headers).await.refused(401, "invalid_signature");
    let empty = [("x-gitea-signature", String::new()), ("x-gitea-delivery", "d-2".to_owned())];
    let refused = project.post_to(Gitea, &empty, body.clone()).await.refused(401, "invalid_signature");
    assert!(text(&refused.json["detail"]).contains("no secret is set"));
}

#[tokio::test]
async fn a_form_of_gitea_is_signed_over_the_json_inside() {
    let server = Server::start().await;
    let project = server.project().await;
    let (event, body) = push(Forgejo, "refs/heads/main");
    let json = body.to_string();
    let form =
        form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json).finish().into_bytes();
    let mut headers = Forgejo.headers(&project.secret, "d-1", event, json.as_bytes());
    headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
    project.post_to(Forgejo, &headers, form).await.expect(202);
    assert_eq!(project.event_names().await, ["push", "artifact_updated"]);
}

/// The headers of GitLab's signed kind.
fn signed(secret: &str, id: &str, seconds: i64, body: &[u8]) -> Vec<(&'static str, String)> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(format!("{id}.{seconds}."));
    let signature = STANDARD.encode(mac.chain_update(body).finalize().into_bytes());
    vec![
        ("x-gitlab-event", "Push Hook".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", format!("v1,AAAA v1,{signature}")),
    ]
}

#[tokio::test]
async fn gitlab_may_sign_and_a_project_may_insist_on_it() {
    let server = Server::start().await;
    let project = server.project().await;
    let body = push(GitLab, "refs/heads/main").1.to_string().into_bytes();
    let now = dawn().timestamp();
    let post = async |id: &str, seconds: i64| {
        project.post_to(GitLab, &signed(&project.secret, id, seconds, &body), body.clone()).await
    };
    assert_eq!(post("d-1", now).await.expect(202).json["status"], "accepted");
    assert_eq!(post("d-1", now + 60).await.expect(202).json["status"], "duplicate");
    for off in [-600, 600] {
        let refused = post("d-2", now + off).await.refused(401, "invalid_signature");
        assert!(text(&refused.json["detail"]).contains("check that the clocks"));
    }
    let token = GitLab.headers(&project.secret, "d-3", "Push Hook", &body);
    project.post_to(GitLab, &token, body.clone()).await.expect(202);
    let config = json!({"config": {"gitlabVerification": "signature"}});
    project.client.patch(&project.path(""), config).await.expect(200);
    let refused = project.post_to(GitLab, &token, body.clone()).await.refused(401, "invalid_signature");
    let why = "GitLab signing is configured for this project, but this delivery carries only a token";
    assert!(text(&refused.json["detail"]).starts_with(why));
    post("d-4", now).await.expect(202);
    let mut leaked = project.all("/deliveries").await;
    leaked.retain(|delivery| delivery.to_string().contains(&project.secret));
    assert!(leaked.is_empty(), "the token is kept nowhere");
}

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

/// One state of a pipeline, a build status or a workflow run: running, failed or passed, so many minutes after dawn.
fn pipeline(host: Host, status: &str, minute: i64) -> (&'static str, Value) {
    let at = (dawn() + chrono::TimeDelta::minutes(minute)).to_rfc3339();
    let is_final = status != "running";
    match host {
        GitLab => (
            "Pipeline Hook",
            json!({"object_attributes": {"id": 31, "ref": "main", "sha": HEAD, "status": status,
                "created_at": dawn().format("%Y-%m-%d %H:%M:%S UTC").to_string(),
                "finished_at": is_final.then_some(&at), "url": "https://x/31"}}),
        ),
        Bitbucket => {
            let state = match status {
                "running" => "INPROGRESS",
                "failed" => "FAILED",
                _ => "SUCCESSFUL",
            };
            let status = json!({"key": "ci", "name": "CI", "state": state, "refname": "main",
                "created_on": dawn().to_rfc3339(), "updated_on": at, "commit": {"hash": HEAD}, "url": "https://x/31"});
            ("repo:commit_status_updated", json!({"commit_status": status}))
        }
        Gitea | Forgejo => {
            let conclusion = if status == "failed" { "failure" } else { "success" };
            let run = json!({"id": 31, "name": "CI", "status": if is_final { "completed" } else { "in_progress" },
                "conclusion": is_final.then_some(conclusion), "head_sha": HEAD, "head_branch": "main",
                "run_attempt": 1, "run_started_at": dawn().to_rfc3339(), "updated_at": at, "html_url": "https://x/31"});
            ("workflow_run", json!({"action": "completed", "workflow_run": run}))
        }
    }
}

#[tokio::test]
async fn states_of_a_pipeline_that_come_late_or_twice_never_overwrite_a_newer_one() {
    for host in Host::ALL {
        let server = Server::start().await;
        let project = server.project().await;
        let states = [("failed", 5), ("running", 1), ("failed", 5), ("running", 0)];
        for (index, (status, minute)) in states.into_iter().enumerate() {
            let (event, body) = pipeline(host, status, minute);
            project.post_as(host, &format!("d-{index}"), event, &body).await.expect(202);
            project.settled().await;
        }
        assert_eq!(project.event_names().await, ["run_finished"], "{host:?}");
        let runs = project.all("/runs").await;
        assert_eq!(runs.len(), 1);
        assert_eq!(
            (&runs[0]["status"], &runs[0]["commit"], &runs[0]["branch"]),
            (&json!("failed"), &json!(HEAD), &json!("main")),
            "{host:?}: {}",
            runs[0]
        );
        let (event, body) = pipeline(host, "success", 9);
        project.post_as(host, "again", event, &body).await.expect(202);
        project.settled().await;
        assert_eq!(project.all("/runs").await[0]["status"], "success", "{host:?}: a later end holds");
        assert_eq!(project.event_names().await, ["run_finished", "run_finished"]);
    }
}

#[tokio::test]
async fn a_pipeline_that_runs_in_order_starts_and_finishes() {
    let server = Server::start().await;
    for host in Host::ALL {
        let project = server.project().await;
        for (index, (status, minute)) in [("running", 1), ("success", 5)].into_iter().enumerate() {
            let (event, body) = pipeline(host, status, minute);
            project.post_as(host, &format!("d-{index}"), event, &body).await.expect(202);
            project.settled().await;
        }
        assert_eq!(project.event_names().await, ["run_started", "run_finished"], "{host:?}");
    }
}

#[tokio::test]
async fn jobs_and_forgejos_own_runs_are_runs_too() {
    let server = Server::start().await;
    let job = json!({"build_id": 9, "build_name": "test", "build_status": "failed", "sha": HEAD, "ref": "main",
        "build_started_at": "2026-01-01 05:00:00 UTC", "build_finished_at": "2026-01-01 05:02:00 UTC"});
    let workflow_job = json!({"workflow_job": {"id": 9, "name": "test", "status": "completed",
        "conclusion": "failure", "head_sha": HEAD, "head_branch": "main",
        "started_at": "2026-01-01T05:00:00Z", "completed_at": "2026-01-01T05:02:00Z"}});
    let action_run = json!({"action": "failure", "run": {"id": 9, "title": "Add the PRD", "workflow_id": "test",
        "prettyref": "main", "commit_sha": HEAD, "status": "failure", "started": "2026-01-01T05:00:00Z",
        "stopped": "2026-01-01T05:02:00Z", "updated": "2026-01-01T05:02:00Z"}});
    for (host, event, body) in [
        (GitLab, "Job Hook", job),
        (Gitea, "workflow_job", workflow_job),
        (Forgejo, "action_run_failure", action_run),
    ] {
        let (name, told) = server.project().await.told(host, event, &body).await;
        assert_eq!(name, "run_finished");
        assert_eq!(
            (&told["name"], &told["status"], &told["branch"], &told["durationMs"]),
            (&json!("test"), &json!("failed"), &json!("main"), &json!(120_000)),
            "{host:?}: {told}"
        );
    }
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
