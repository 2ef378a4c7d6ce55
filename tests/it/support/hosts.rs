//! The other Git hosts: how each signs and names what it posts, and what it says when the same thing happens.
//!
//! The bodies have the fields that the hosts document, as far as they are read, and a few that are not.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Answer, Project};

/// A commit of the tests' repository.
pub(crate) const HEAD: &str = "1f2e3d4c5b6a79880796a5b4c3d2e1f001122334";
/// The commit before.
pub(crate) const BASE: &str = "99887766554433221100ffeeddccbbaa99887766";
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// A host other than GitHub; GitLab counts twice, as it has two ways to prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    GitLabToken,
    GitLabSigned,
    Bitbucket,
    Gitea,
    Forgejo,
}

pub(crate) const HOSTS: [Host; 5] =
    [Host::GitLabToken, Host::GitLabSigned, Host::Bitbucket, Host::Gitea, Host::Forgejo];

/// One state of a run, as every host can tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    /// `queued`, `running`, `success` or `failed`.
    pub(crate) state: &'a str,
    pub(crate) started: Option<DateTime<Utc>>,
    pub(crate) ended: Option<DateTime<Utc>>,
    pub(crate) attempt: i64,
}

/// The name of an event and its body.
pub(crate) type Event = (&'static str, Value);

impl Host {
    pub(crate) fn source(self) -> &'static str {
        match self {
            Self::GitLabToken | Self::GitLabSigned => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
        }
    }

    pub(crate) fn endpoint(self, project: &Project) -> String {
        format!("/webhooks/{}/{}", self.source(), project.id)
    }

    /// What stands beside a body that this host posts at `now`.
    pub(crate) fn headers(
        self,
        secret: &str,
        id: &str,
        event: &str,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Vec<(&'static str, String)> {
        let hub = trackside::samples::sign(secret, body);
        let hex = hub["sha256=".len()..].to_owned();
        let (id, event) = (id.to_owned(), event.to_owned());
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(match self {
            Self::GitLabToken => {
                vec![
                    ("x-gitlab-event", event),
                    ("idempotency-key", id),
                    ("x-gitlab-token", secret.to_owned()),
                ]
            }
            Self::GitLabSigned => {
                let signature = gitlab_signature(secret, &id, now.timestamp(), body);
                vec![
                    ("x-gitlab-event", event),
                    ("webhook-id", id),
                    ("webhook-timestamp", now.timestamp().to_string()),
                    ("webhook-signature", signature),
                ]
            }
            Self::Bitbucket => {
                vec![("x-event-key", event), ("x-request-uuid", id), ("x-hub-signature", hub)]
            }
            // These two also send what GitHub would.
            Self::Gitea => vec![
                ("x-gitea-event", event.clone()),
                ("x-gitea-delivery", id.clone()),
                ("x-gitea-signature", hex),
                ("x-github-event", event),
                ("x-github-delivery", id),
                ("x-hub-signature-256", hub),
            ],
            Self::Forgejo => vec![
                ("x-forgejo-event", event.clone()),
                ("x-forgejo-delivery", id.clone()),
                ("x-forgejo-signature", hex),
                ("x-gitea-event", event.clone()),
                ("x-gitea-delivery", id.clone()),
                ("x-github-event", event),
                ("x-github-delivery", id),
            ],
        });
        headers
    }

    /// A push of a commit to `main` that adds one file and removes another.
    pub(crate) fn push(self, at: DateTime<Utc>) -> Event {
        let commit = json!({
            "id": HEAD, "message": "docs: first version\n\nMore.", "timestamp": rfc(at), "url": "https://host/c",
            "author": {"name": "Ada", "email": "ada@example.org"},
            "added": ["docs/prd.md"], "modified": null, "removed": ["docs/qa/old.md"],
        });
        match self {
            Self::GitLabToken | Self::GitLabSigned => (
                "Push Hook",
                json!({
                    "object_kind": "push", "ref": "refs/heads/main", "before": BASE, "after": HEAD,
                    "user_username": "ada", "user_name": "Ada", "total_commits_count": 1, "commits": [commit],
                    "project": {"default_branch": "main", "web_url": "https://host/acme/rocket"},
                }),
            ),
            Self::Bitbucket => ("repo:push", bitbucket_push("branch", "main", at)),
            Self::Gitea | Self::Forgejo => (
                "push",
                json!({
                    "ref": "refs/heads/main", "before": BASE, "after": HEAD, "compare_url": "https://host/compare",
                    "commits": [commit], "head_commit": commit, "total_commits": 1,
                    "repository": {"default_branch": "main"}, "pusher": {"login": "ada"}, "sender": {"login": "ada"},
                }),
            ),
        }
    }

    /// A new tag `v1.0.0`.
    pub(crate) fn tag(self, at: DateTime<Utc>) -> Event {
        match self {
            Self::GitLabToken | Self::GitLabSigned => (
                "Tag Push Hook",
                json!({
                    "object_kind": "tag_push", "ref": "refs/tags/v1.0.0", "before": NOTHING, "after": HEAD,
                    "user_username": "ada", "commits": [], "project": {"default_branch": "main"},
                }),
            ),
            Self::Bitbucket => ("repo:push", bitbucket_push("tag", "v1.0.0", at)),
            Self::Gitea | Self::Forgejo => (
                "push",
                json!({
                    "ref": "refs/tags/v1.0.0", "before": NOTHING, "after": HEAD, "commits": null,
                    "sender": {"login": "ada"}, "repository": {"default_branch": "main"},
                }),
            ),
        }
    }

    /// A pull or merge request that was `opened`, `closed` or `merged`.
    pub(crate) fn pull_request(self, what: &str) -> Event {
        let choose = |opened, closed, merged| match what {
            "opened" => opened,
            "closed" => closed,
            _ => merged,
        };
        match self {
            Self::GitLabToken | Self::GitLabSigned => (
                "Merge Request Hook",
                json!({
                    "object_kind": "merge_request", "user": {"id": 7, "username": "ada", "name": "Ada"},
                    "labels": null,
                    "object_attributes": {
                        "iid": 12, "title": "Faster", "author_id": 7, "source_branch": "fast",
                        "target_branch": "main", "last_commit": {"id": HEAD}, "work_in_progress": false,
                        "action": choose("open", "close", "merge"), "state": choose("opened", "closed", "merged"),
                        "updated_at": "2026-01-01 08:00:00 +0200", "url": "https://host/12",
                    },
                }),
            ),
            Self::Bitbucket => (
                choose("pullrequest:created", "pullrequest:rejected", "pullrequest:fulfilled"),
                json!({
                    "actor": {"nickname": "ada", "display_name": "Ada"},
                    "pullrequest": {
                        "id": 12, "title": "Faster", "state": choose("OPEN", "DECLINED", "MERGED"), "draft": false,
                        "author": {"nickname": "ada"}, "updated_on": "2026-01-01T06:00:00.000000+00:00",
                        "source": {"branch": {"name": "fast"}, "commit": {"hash": HEAD}, "repository": null},
                        "destination": {"branch": {"name": "main"}}, "links": {"html": {"href": "https://host/12"}},
                    },
                }),
            ),
            Self::Gitea | Self::Forgejo => (
                "pull_request",
                json!({
                    "action": choose("opened", "closed", "closed"), "number": 12, "sender": {"login": "ada"},
                    "pull_request": {
                        "number": 12, "title": "Faster", "state": choose("open", "closed", "closed"),
                        "merged": what == "merged", "draft": false, "user": {"login": "ada"},
                        "head": {"ref": "fast", "sha": HEAD}, "base": {"ref": "main", "sha": BASE},
                        "updated_at": "2026-01-01T06:00:00Z", "html_url": "https://host/12",
                    },
                }),
            ),
        }
    }

    /// A new issue.
    pub(crate) fn issue(self) -> Event {
        match self {
            Self::GitLabToken | Self::GitLabSigned => (
                "Issue Hook",
                json!({
                    "object_kind": "issue", "user": {"id": 7, "username": "ada"},
                    "object_attributes": {
                        "iid": 3, "title": "Slow", "author_id": 7, "action": "open", "state": "opened",
                        "confidential": false, "updated_at": "2026-01-01 06:00:00 UTC", "url": "https://host/3",
                    },
                }),
            ),
            Self::Bitbucket => (
                "issue:created",
                json!({
                    "actor": {"nickname": "ada"},
                    "issue": {
                        "id": 3, "title": "Slow", "state": "new", "reporter": {"nickname": "ada"},
                        "updated_on": "2026-01-01T06:00:00+00:00", "links": {"html": {"href": "https://host/3"}},
                    },
                }),
            ),
            Self::Gitea | Self::Forgejo => (
                "issues",
                json!({
                    "action": "opened", "number": 3, "sender": {"login": "ada"},
                    "issue": {
                        "number": 3, "title": "Slow", "state": "open", "user": {"login": "ada"},
                        "updated_at": "2026-01-01T06:00:00Z", "html_url": "https://host/3", "milestone": null,
                    },
                }),
            ),
        }
    }

    /// A release that was published; Bitbucket has none.
    pub(crate) fn release(self) -> Option<Event> {
        match self {
            Self::GitLabToken | Self::GitLabSigned => Some((
                "Release Hook",
                json!({
                    "object_kind": "release", "action": "create", "tag": "v1.0.0", "name": "First",
                    "released_at": "2026-01-01 06:00:00 UTC", "url": "https://host/v1.0.0",
                }),
            )),
            Self::Bitbucket => None,
            Self::Gitea | Self::Forgejo => Some((
                "release",
                json!({
                    "action": "published", "sender": {"login": "ada"},
                    "release": {
                        "tag_name": "v1.0.0", "name": "First", "prerelease": false, "author": {"login": "ada"},
                        "published_at": "2026-01-01T06:00:00Z", "html_url": "https://host/v1.0.0",
                    },
                }),
            )),
        }
    }

    /// A state of the host's own pipelines; Bitbucket tells of them by commit statuses.
    pub(crate) fn pipeline(self, step: Step<'_>) -> Option<Event> {
        let words = |queued, running, success, failed| match step.state {
            "queued" => queued,
            "running" => running,
            "success" => success,
            _ => failed,
        };
        let or_year_one =
            |at: Option<DateTime<Utc>>| at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc);
        match self {
            Self::GitLabToken | Self::GitLabSigned => Some((
                "Pipeline Hook",
                json!({
                    "object_kind": "pipeline", "user": {"id": 7}, "project": {"web_url": "https://host/acme/rocket"},
                    "object_attributes": {
                        "id": 31, "ref": "main", "tag": false, "sha": HEAD, "created_at": "2026-01-01 06:00:00 UTC",
                        "status": words("pending", "running", "success", "failed"),
                        "finished_at": step.ended.map(utc), "duration": 5,
                    },
                    "builds": [{"id": 5, "name": "test", "created_at": "2026-01-01 06:00:00 UTC",
                                "started_at": step.started.map(utc), "finished_at": step.ended.map(utc)}],
                }),
            )),
            Self::Gitea | Self::Forgejo => Some((
                "workflow_run",
                json!({
                    "action": words("requested", "in_progress", "completed", "completed"),
                    "workflow": {"id": "ci.yml", "name": "CI"},
                    "workflow_run": {
                        "id": 31, "run_attempt": step.attempt, "head_sha": HEAD, "head_branch": "main",
                        "status": words("queued", "in_progress", "completed", "completed"),
                        "conclusion": words("", "", "success", "failure"), "html_url": "https://host/31",
                        "started_at": or_year_one(step.started), "completed_at": or_year_one(step.ended),
                    },
                }),
            )),
            Self::Bitbucket => None,
        }
    }

    /// A state of one job.
    pub(crate) fn job(self, step: Step<'_>) -> Option<Event> {
        match self {
            Self::GitLabToken | Self::GitLabSigned => Some((
                "Job Hook",
                json!({
                    "object_kind": "build", "build_id": 5, "build_name": "test", "ref": "main", "tag": false,
                    "sha": HEAD, "build_status": if step.state == "queued" { "pending" } else { step.state },
                    "build_created_at": "2026-01-01T06:00:00.000Z", "build_started_at": step.started.map(rfc),
                    "build_finished_at": step.ended.map(rfc), "repository": {"homepage": "https://host/acme/rocket"},
                }),
            )),
            Self::Gitea | Self::Forgejo => {
                let (_, mut body) = self.pipeline(step)?;
                body["workflow_job"] = body["workflow_run"].take();
                body["workflow_job"]["name"] = json!("test");
                Some(("workflow_job", body))
            }
            Self::Bitbucket => None,
        }
    }

    /// A commit status, `pending`, `success` or `failed`; GitLab has no webhook for it.
    pub(crate) fn status(self, state: &str, at: DateTime<Utc>) -> Option<Event> {
        match self {
            Self::GitLabToken | Self::GitLabSigned => None,
            Self::Bitbucket => Some((
                if state == "pending" { "repo:commit_status_created" } else { "repo:commit_status_updated" },
                json!({"commit_status": {
                    "key": "ci", "name": "CI", "url": "https://ci/1", "refname": "main", "updated_on": rfc(at),
                    "state": match state { "pending" => "INPROGRESS", "success" => "SUCCESSFUL", _ => "FAILED" },
                    "links": {"commit": {"href": format!("https://host/2.0/repositories/acme/rocket/commit/{HEAD}")}},
                }}),
            )),
            Self::Gitea | Self::Forgejo => Some((
                "status",
                json!({
                    "sha": HEAD, "context": "CI", "state": if state == "failed" { "failure" } else { state },
                    "target_url": "https://ci/1", "created_at": rfc(at), "updated_at": null,
                }),
            )),
        }
    }
}

impl Project {
    /// Posts an event as a host would; the clock of the tests stands at dawn.
    pub(crate) async fn post_as(&self, host: Host, id: &str, (event, body): &Event) -> Answer {
        self.post_bytes_as(host, id, event, body.to_string().into_bytes()).await
    }

    /// Posts any bytes as a host would.
    pub(crate) async fn post_bytes_as(&self, host: Host, id: &str, event: &str, body: Vec<u8>) -> Answer {
        let headers = host.headers(&self.secret, id, event, &body, super::dawn());
        self.post_headers(&host.endpoint(self), &headers, body).await
    }

    /// Posts with exactly these headers.
    pub(crate) async fn post_headers(&self, path: &str, headers: &[(&str, String)], body: Vec<u8>) -> Answer {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.client.clone().without_key().post_bytes(path, &headers, body).await
    }
}

/// As GitLab signs: the secret decoded, over id, time and body.
fn gitlab_signature(secret: &str, id: &str, seconds: i64, body: &[u8]) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or_default()).unwrap_or_default();
    let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let mac = mac.chain_update(format!("{id}.{seconds}.")).chain_update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn bitbucket_push(kind: &str, name: &str, at: DateTime<Utc>) -> Value {
    let old = json!({"type": kind, "name": name, "target": {"hash": BASE}});
    json!({
        "actor": {"nickname": "ada", "display_name": "Ada"}, "repository": {"mainbranch": {"name": "main"}},
        "push": {"changes": [{
            "new": {"type": kind, "name": name,
                    "target": {"hash": HEAD, "message": "docs: first version\n", "date": rfc(at)}},
            "old": if kind == "tag" { Value::Null } else { old }, "created": kind == "tag", "closed": false,
            "forced": false, "truncated": false, "commits": [{"hash": HEAD}],
            "links": {"html": {"href": "https://host/compare"}},
        }]},
    })
}

fn rfc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
