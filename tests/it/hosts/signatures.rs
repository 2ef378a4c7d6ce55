//! What is taken in from each host, and what is refused.

use serde_json::json;

use super::{at, told};
use crate::support::{
    Project, Server, dawn,
    hosts::{HOSTS, Host},
    number, text,
};

#[tokio::test]
async fn each_hosts_delivery_is_accepted_once_and_a_repetition_is_told_so() {
    let server = Server::start().await;
    for host in HOSTS {
        let project = server.project().await;
        let push = host.push(dawn());
        let first = project.post_as(host, "d-1", &push).await.expect(202).json;
        assert_eq!((&first["status"], &first["deliveryId"]), (&json!("accepted"), &json!("d-1")), "{host:?}");
        let second = project.post_as(host, "d-1", &push).await.expect(202).json;
        assert_eq!(second["status"], "duplicate", "{host:?}");
        assert_eq!(project.event_names().await.iter().filter(|name| *name == "push").count(), 1, "{host:?}");
        let listed = project.all("/deliveries").await;
        assert_eq!((&listed[0]["source"], &listed[0]["eventType"]), (&json!(host.source()), &json!(push.0)));
    }
}

#[tokio::test]
async fn nothing_that_is_unsigned_badly_signed_or_changed_on_its_way_is_accepted() {
    let server = Server::start().await;
    let project = server.project().await;
    let other = Project { secret: format!("whsec_{}", "A".repeat(43) + "="), ..project.clone() };
    for host in HOSTS {
        let (event, body) = host.push(dawn());
        let body = body.to_string().into_bytes();
        other.post_bytes_as(host, "d-1", event, body.clone()).await.refused(401, "invalid_signature");
        let headers = host.headers(&project.secret, "d-1", event, &body, dawn());
        let proofs = [
            "x-gitlab-token",
            "webhook-signature",
            "x-hub-signature",
            "x-gitea-signature",
            "x-forgejo-signature",
        ];
        let own = headers.iter().map(|(name, _)| *name).find(|name| proofs.contains(name)).unwrap();
        let without: Vec<_> = headers.iter().filter(|(name, _)| *name != own).cloned().collect();
        project
            .post_headers(&host.endpoint(&project), &without, body.clone())
            .await
            .refused(401, "invalid_signature");
        let doubled = [&headers[..], &headers[..]].concat();
        project
            .post_headers(&host.endpoint(&project), &doubled, body.clone())
            .await
            .refused(401, "invalid_signature");
        if host != Host::GitLabToken {
            let mut changed = body.clone();
            changed[20] ^= 1;
            project
                .post_headers(&host.endpoint(&project), &headers, changed)
                .await
                .refused(401, "invalid_signature");
        }
    }
    assert_eq!(number(&server.database().await, "SELECT count(*) FROM webhook_event").await, 0);
}

#[tokio::test]
async fn while_a_secret_is_rotated_each_host_may_use_either() {
    let server = Server::start().await;
    let old = server.project().await;
    let rotate = old.path("/webhook-secret/rotate");
    let answer = old.client.post(&rotate, json!({"overlapSeconds": 60})).await.expect(200).json;
    let new = Project { secret: text(&answer["webhookSecret"]), ..old.clone() };
    for host in HOSTS {
        old.post_as(host, &format!("old-{host:?}"), &host.issue()).await.expect(202);
        new.post_as(host, &format!("new-{host:?}"), &host.issue()).await.expect(202);
    }
    server.advance(60);
    for host in HOSTS {
        old.post_as(host, &format!("late-{host:?}"), &host.issue()).await.refused(401, "invalid_signature");
        new.post_as(host, &format!("last-{host:?}"), &host.issue()).await.expect(202);
    }
}

#[tokio::test]
async fn a_delivery_without_an_id_is_refused_except_from_gitlab_which_had_none_before() {
    let server = Server::start().await;
    let project = server.project().await;
    for host in HOSTS.into_iter().filter(|host| *host != Host::GitLabSigned) {
        let (event, body) = host.push(dawn());
        let body = body.to_string().into_bytes();
        let mut headers = host.headers(&project.secret, "d-1", event, &body, dawn());
        headers.retain(|(_, value)| value != "d-1");
        headers.push(("x-gitlab-webhook-uuid", "random-1".to_owned()));
        let answer = project.post_headers(&host.endpoint(&project), &headers, body.clone()).await;
        if host != Host::GitLabToken {
            answer.refused(400, "invalid_request");
            continue;
        }
        assert_eq!(answer.expect(202).json["status"], "accepted");
        headers.pop();
        headers.push(("x-gitlab-webhook-uuid", "random-2".to_owned()));
        let again = project.post_headers(&host.endpoint(&project), &headers, body).await.expect(202);
        assert_eq!(again.json["status"], "duplicate", "known by its event and content");
    }
}

#[tokio::test]
async fn gitlab_signatures_hold_for_five_minutes_by_the_services_clock() {
    let server = Server::start().await;
    let project = server.project().await;
    let (event, body) = Host::GitLabSigned.push(dawn());
    let body = body.to_string().into_bytes();
    let post = async |signed_at| {
        let headers = Host::GitLabSigned.headers(&project.secret, "d-1", event, &body, signed_at);
        project.post_headers(&Host::GitLabSigned.endpoint(&project), &headers, body.clone()).await
    };
    for seconds in [600, -600] {
        let refused = post(at(seconds)).await.refused(401, "invalid_signature");
        assert!(text(&refused.json["detail"]).contains("check the clocks"));
    }
    post(at(-300)).await.expect(202);
}

#[tokio::test]
async fn a_project_that_insists_on_gitlab_signatures_takes_no_token_from_then_on() {
    let server = Server::start().await;
    let project = server.project().await;
    project.post_as(Host::GitLabToken, "d-1", &Host::GitLabToken.issue()).await.expect(202);
    let insist = json!({"config": {"gitlabVerification": "signature"}});
    let changed = project.client.patch(&project.path(""), insist).await.expect(200).json;
    assert_eq!(changed["config"]["gitlabVerification"], "signature");
    let refused = project.post_as(Host::GitLabToken, "d-2", &Host::GitLabToken.issue()).await;
    let words = "GitLab signing is configured for this project, but this delivery carries only a token";
    assert!(text(&refused.refused(401, "invalid_signature").json["detail"]).contains(words));
    project.post_as(Host::GitLabSigned, "d-2", &Host::GitLabSigned.issue()).await.expect(202);
    project.post_as(Host::Gitea, "d-2", &Host::Gitea.issue()).await.expect(202);

    let token = json!({"config": {"gitlabVerification": "token"}});
    project.client.patch(&project.path(""), token).await.expect(200);
    project
        .post_as(Host::GitLabSigned, "d-3", &Host::GitLabSigned.issue())
        .await
        .refused(401, "invalid_signature");
    project.post_as(Host::GitLabToken, "d-3", &Host::GitLabToken.issue()).await.expect(202);
    project.client.patch(&project.path(""), json!({"config": {}})).await.expect(200);
    project.post_as(Host::GitLabSigned, "d-4", &Host::GitLabSigned.issue()).await.expect(202);
    let nonsense = json!({"config": {"gitlabVerification": "trust"}});
    let refused = project.client.patch(&project.path(""), nonsense).await.refused(400, "invalid_request");
    assert_eq!(refused.json["errors"][0]["pointer"], "/config/gitlabVerification");
}

#[tokio::test]
async fn gitlabs_token_is_not_kept() {
    let server = Server::start().await;
    let project = server.project().await;
    let receipt =
        project.post_as(Host::GitLabToken, "d-1", &Host::GitLabToken.issue()).await.expect(202).json;
    let shown =
        project.client.get(&project.path(&format!("/deliveries/{}", text(&receipt["id"])))).await.expect(200);
    assert!(!shown.body.contains(&project.secret) && !shown.body.to_lowercase().contains("x-gitlab-token"));
    assert!(shown.body.contains("idempotency-key"));
}

#[tokio::test]
async fn an_empty_signature_of_gitea_says_that_no_secret_is_set() {
    let server = Server::start().await;
    let project = server.project().await;
    for (host, own) in [(Host::Gitea, "x-gitea-signature"), (Host::Forgejo, "x-forgejo-signature")] {
        let mut headers = host.headers(&project.secret, "d-1", "push", b"{}", dawn());
        headers.iter_mut().filter(|(name, _)| *name == own).for_each(|(_, value)| value.clear());
        let refused = project.post_headers(&host.endpoint(&project), &headers, b"{}".to_vec()).await;
        let detail = text(&refused.refused(401, "invalid_signature").json["detail"]);
        assert!(detail.contains("no secret is set at the webhook"), "{detail}");
    }
}

#[tokio::test]
async fn a_form_of_gitea_is_signed_by_the_json_inside_which_github_never_accepts() {
    let server = Server::start().await;
    let project = server.project().await;
    for host in [Host::Gitea, Host::Forgejo] {
        let (event, json) = host.push(dawn());
        let json = json.to_string();
        let form = form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json).finish();
        let mut headers = host.headers(&project.secret, "d-1", event, json.as_bytes(), dawn());
        headers[0].1 = "application/x-www-form-urlencoded".to_owned();
        let post = async |path: &str, body: &str| {
            project.post_headers(path, &headers, body.as_bytes().to_vec()).await
        };
        post(&host.endpoint(&project), "payload=%7B%7D").await.refused(401, "invalid_signature");
        post(&host.endpoint(&project), "other=1").await.refused(401, "invalid_signature");
        post(&project.endpoint(), &form).await.refused(401, "invalid_signature");
        post(&host.endpoint(&project), &form).await.expect(202);
        assert_eq!(told(&project, "push").await["branch"], "main");
    }
}

#[tokio::test]
async fn headers_that_look_like_another_hosts_count_for_nothing() {
    let server = Server::start().await;
    let project = server.project().await;
    let (event, body) = Host::Forgejo.push(dawn());
    let body = body.to_string().into_bytes();
    // Forgejo's, with GitHub's and Gitea's event and delivery headers but no signature of theirs.
    let headers = Host::Forgejo.headers(&project.secret, "d-1", event, &body, dawn());
    for path in [project.endpoint(), Host::Gitea.endpoint(&project), Host::GitLabToken.endpoint(&project)] {
        project.post_headers(&path, &headers, body.clone()).await.refused(401, "invalid_signature");
    }
    // Gitea's hold a signature that GitHub's rules accept, so at GitHub's address it is a delivery of GitHub's.
    let headers = Host::Gitea.headers(&project.secret, "d-1", event, &body, dawn());
    project.post_headers(&project.endpoint(), &headers, body).await.expect(202);
    assert_eq!(project.all("/deliveries").await[0]["source"], "github");
}
