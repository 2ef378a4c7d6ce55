//! Each Git host by its own rules: what it sends, as the tests in this folder post it.

mod meaning;
mod runs;
mod signatures;

use serde_json::{Value, json};

use crate::support::{Answer, Project, text};

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
