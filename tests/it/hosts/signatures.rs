//! How each host signs, and how a repetition is known.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::{
    Host::{self, Bitbucket, Forgejo, GitLab, Gitea},
    push,
};
use crate::support::{Server, dawn, text};

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
