//! The headers that each host sends with a delivery, signed with a project's webhook secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Sample;

/// What a signing key of the Standard Webhooks kind begins with.
const SIGNING_KEY: &str = "whsec_";

/// `sha256=…` for a body, as GitHub writes `X-Hub-Signature-256`.
///
/// ```
/// let signature = trackside::samples::sign("It's a Secret to Everybody", b"Hello, World!");
/// assert_eq!(signature, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
/// ```
pub fn sign(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(mac(secret.as_bytes(), &[body])))
}

/// `v1,…` for a body, as the Standard Webhooks specification has it; none if the secret is no signing key.
fn sign_standard(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix(SIGNING_KEY)?).ok()?;
    let signed = mac(&key, &[format!("{id}.{timestamp}.").as_bytes(), body]);
    Some(format!("v1,{}", STANDARD.encode(signed)))
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

/// Headers by name.
type Headers = Vec<(&'static str, String)>;

impl Sample {
    /// The headers of the request that carries `body`, which is what [`Sample::bytes`] gave, complete and signed.
    ///
    /// GitLab signs from version 19 on, if it was given a signing key; that is what a secret that begins with
    /// `whsec_` is taken for. See [`Sample::headers_with_token`] for the older kind.
    pub fn headers(&self, body: &[u8], secret: &str, delivery_id: &str, now: DateTime<Utc>) -> Headers {
        let id = || delivery_id.to_owned();
        let event = || self.event.to_owned();
        let signature = sign(secret, body);
        let bare = || signature.trim_start_matches("sha256=").to_owned();
        let mut headers = vec![("content-type", "application/json".to_owned())];
        match self.source {
            "gitlab" => {
                let timestamp = now.timestamp();
                let Some(signature) = sign_standard(secret, delivery_id, timestamp, body) else {
                    return self.headers_with_token(secret, delivery_id);
                };
                headers.extend(self.gitlab(delivery_id));
                headers.push(("webhook-id", id()));
                headers.push(("webhook-timestamp", timestamp.to_string()));
                headers.push(("webhook-signature", signature));
            }
            "bitbucket" => {
                headers.push(("user-agent", "Bitbucket-Webhooks/2.0".to_owned()));
                headers.push(("x-event-key", event()));
                headers.push(("x-request-uuid", id()));
                headers.push(("x-hook-uuid", "6a1f0d9e-2b7c-4c55-9e0a-3f8d5b1c7e42".to_owned()));
                headers.push(("x-attempt-number", "1".to_owned()));
                headers.push(("x-hub-signature", signature));
            }
            "gitea" | "forgejo" => {
                // Both also send what the hosts before them sent, each with a name of its own in front.
                if self.source == "forgejo" {
                    headers.push(("x-forgejo-delivery", id()));
                    headers.push(("x-forgejo-event", event()));
                    headers.push(("x-forgejo-event-type", event()));
                    headers.push(("x-forgejo-signature", bare()));
                }
                headers.push(("user-agent", "Go-http-client/1.1".to_owned()));
                headers.push(("x-gitea-delivery", id()));
                headers.push(("x-gitea-event", event()));
                headers.push(("x-gitea-event-type", event()));
                headers.push(("x-gitea-signature", bare()));
                headers.push(("x-gogs-delivery", id()));
                headers.push(("x-gogs-event", event()));
                headers.push(("x-gogs-event-type", event()));
                headers.push(("x-gogs-signature", bare()));
                headers.push(("x-github-delivery", id()));
                headers.push(("x-github-event", event()));
                headers.push(("x-github-event-type", event()));
                headers.push(("x-hub-signature-256", signature));
            }
            _ => {
                headers.push(("user-agent", "GitHub-Hookshot/5c9a1f7".to_owned()));
                headers.push(("x-github-delivery", id()));
                headers.push(("x-github-event", event()));
                headers.push(("x-hub-signature-256", signature));
            }
        }
        headers
    }

    /// The headers of a GitLab that sends the secret itself, as all did before version 19.
    pub fn headers_with_token(&self, secret: &str, delivery_id: &str) -> Headers {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(self.gitlab(delivery_id));
        headers.push(("x-gitlab-token", secret.to_owned()));
        headers
    }

    fn gitlab(&self, delivery_id: &str) -> Headers {
        vec![
            ("user-agent", "GitLab/19.1.0".to_owned()),
            ("x-gitlab-instance", "https://gitlab.example.com".to_owned()),
            ("x-gitlab-event", self.event.to_owned()),
            ("idempotency-key", delivery_id.to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_vectors_come_out() {
        let github = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(sign("It's a Secret to Everybody", b"Hello, World!"), github);
        let (secret, id) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek");
        let signature = sign_standard(secret, id, 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn gitlab_sends_the_secret_itself_where_it_is_no_signing_key() {
        let sample = Sample { source: "gitlab", event: "Push Hook", about: String::new(), body: ().into() };
        let names = |secret: &str| {
            let headers = sample.headers(b"{}", secret, "d-1", DateTime::UNIX_EPOCH);
            headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert!(names("plain").contains(&"x-gitlab-token"));
        let signed = names("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert!(signed.contains(&"webhook-signature") && !signed.contains(&"x-gitlab-token"));
    }
}
