//! GitLab, in its two ways: the secret itself in `X-Gitlab-Token`, or from GitLab 19 on a signature in
//! `webhook-signature` over id, time and raw body.
//!
//! A delivery that carries a signature is verified by it alone, unless the project insists on tokens; one without
//! is refused when the project insists on signatures. Deliveries are known by `webhook-id` or `Idempotency-Key`,
//! which are the same. `X-Gitlab-Webhook-UUID` differs with each request and `X-Gitlab-Event-UUID` is shared by
//! different ones: neither is looked at.

mod payload;
mod runs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use hmac::Mac as _;
use poem::http::HeaderMap;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    change::Change,
    signature::{self, refused, single},
    source::{Host, Posted, Trust, event_in, id_in},
};
use crate::{
    clock::Time,
    error::{Code, Result},
    projects::GitLabVerification,
};

/// gitlab.com and GitLab of one's own.
pub(super) struct GitLab;

const HOST: &str = "GitLab";
const TOKEN: &str = "X-Gitlab-Token";
const SIGNATURE: &str = "webhook-signature";
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const EVENT: &str = "X-Gitlab-Event";
/// How far a signature's time may be off, either way.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

impl Host for GitLab {
    fn verify(&self, posted: &Posted<'_>, trust: &Trust<'_>) -> Result<()> {
        let signed = posted.headers.contains_key(SIGNATURE);
        match trust.gitlab {
            Some(GitLabVerification::Token) => check_token(posted, trust),
            _ if signed => check_signature(posted, trust),
            None => check_token(posted, trust),
            Some(GitLabVerification::Signature) if posted.headers.contains_key(TOKEN) => Err(refused(
                "GitLab signing is configured for this project, but this delivery carries only a token: set the \
                 webhook's signing token to the secret this project was given",
            )),
            Some(GitLabVerification::Signature) => Err(refused(
                "GitLab signing is configured for this project, but this delivery carries no signature: set the \
                 webhook's signing token to the secret this project was given",
            )),
        }
    }

    fn delivery_id(&self, posted: &Posted<'_>) -> Result<String> {
        if posted.headers.contains_key(SIGNATURE) && posted.headers.contains_key(ID) {
            return id_in(posted.headers, ID);
        }
        if posted.headers.contains_key("Idempotency-Key") {
            return id_in(posted.headers, "Idempotency-Key");
        }
        // GitLab before 17.4 sends no id: the same event with the same content is the same delivery.
        let event = Sha256::new().chain_update(self.event_type(posted.headers)).chain_update([0]);
        Ok(hex::encode(event.chain_update(posted.body).finalize()))
    }

    fn event_type(&self, headers: &HeaderMap) -> String {
        event_in(headers, EVENT)
    }

    fn changes(&self, event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
        payload::changes(event_type, json)
    }
}

/// The token is the secret itself. Hashing both makes them equally long, so that not even the length is told.
fn check_token(posted: &Posted<'_>, trust: &Trust<'_>) -> Result<()> {
    if !posted.headers.contains_key(TOKEN) {
        return Err(refused(
            "this delivery carries neither a token nor a signature: set the webhook's secret token, or its signing \
             token, to the secret this project was given",
        ));
    }
    let token = Sha256::digest(single(posted.headers, TOKEN, Code::InvalidSignature)?);
    if signature::fits_any(&trust.secrets, |secret| Sha256::digest(secret).ct_eq(&token).into()) {
        return Ok(());
    }
    Err(refused(
        "the token does not match: check that the webhook's secret token is the secret this project was given",
    ))
}

/// The signature is that of Standard Webhooks, <https://www.standardwebhooks.com>. It may be one of several.
fn check_signature(posted: &Posted<'_>, trust: &Trust<'_>) -> Result<()> {
    let header = |name| single(posted.headers, name, Code::InvalidSignature);
    let (id, timestamp) = (header(ID)?, header(TIMESTAMP)?);
    let listed = header(SIGNATURE)?.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
    let signatures: Vec<Vec<u8>> = listed.filter_map(|text| STANDARD.decode(text).ok()).collect();
    if signatures.is_empty() {
        return Err(refused(format!("the header {SIGNATURE} must hold `v1,` and a base64 text")));
    }
    let fits = signature::fits_any(&trust.secrets, |secret| {
        let key = secret.strip_prefix(b"whsec_").and_then(|key| STANDARD.decode(key).ok());
        let Some(mac) = key.and_then(|key| signature::hmac(&key)) else { return false };
        let mac = [id.as_bytes(), b".", timestamp.as_bytes(), b".", posted.body]
            .into_iter()
            .fold(mac, |mac, part| mac.chain_update(part));
        signatures.iter().fold(false, |fits, signature| fits | mac.clone().verify_slice(signature).is_ok())
    });
    if !fits {
        return Err(signature::mismatch(HOST));
    }
    let signed_at = timestamp.parse().ok().and_then(|seconds| Time::from_timestamp(seconds, 0));
    let signed_at =
        signed_at.ok_or_else(|| refused(format!("the header {TIMESTAMP} is not in Unix seconds")))?;
    if (trust.now - signed_at).abs() > TOLERANCE {
        return Err(refused(format!(
            "the delivery was signed more than {} minutes from now: check the clocks of both machines",
            TOLERANCE.num_minutes()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
