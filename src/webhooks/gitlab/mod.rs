//! GitLab: a token in a header, or, from version 19 on, a signature of the Standard Webhooks kind.
//!
//! A delivery that carries a signature is verified by it alone. A project that has set `gitlabVerification` to
//! `signature` takes no token at all, so that nobody gets past the signature by leaving it out.

mod payload;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use poem::http::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    change::Change,
    signature::{self, single},
    source::{Host, Posted},
};
use crate::{
    clock::Time,
    error::{Code, Error, Result},
    projects::GitLabVerification,
};

/// gitlab.com and GitLab of one's own.
pub(super) struct GitLab;

const EVENT: &str = "X-Gitlab-Event";
const TOKEN: &str = "X-Gitlab-Token";
const SIGNATURE: &str = "webhook-signature";
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// What a signing key begins with; base64 follows.
const SIGNING_KEY: &str = "whsec_";
/// How far the clocks may be apart.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

impl Host for GitLab {
    fn verify(&self, posted: Posted<'_>, secrets: &[&SecretString]) -> Result<()> {
        match (posted.gitlab, posted.headers.contains_key(SIGNATURE)) {
            (Some(GitLabVerification::Token), _) | (None, false) => verify_token(posted, secrets),
            (Some(GitLabVerification::Signature), false) if posted.headers.contains_key(TOKEN) => {
                let why = "GitLab signing is configured for this project, but this delivery carries only a token: \
                           give the webhook the signing key, or set the project's gitlabVerification to `token`";
                Err(Error::new(Code::InvalidSignature, why))
            }
            (None | Some(GitLabVerification::Signature), _) => verify_signature(posted, secrets),
        }
    }

    fn delivery_id(&self, headers: &HeaderMap, body: &[u8]) -> Result<String> {
        // X-Gitlab-Webhook-UUID is another one each time, X-Gitlab-Event-UUID the same for several deliveries.
        for name in [ID, IDEMPOTENCY_KEY] {
            if headers.contains_key(name) {
                return signature::delivery_id(headers, name);
            }
        }
        // Before 17.4 GitLab names its deliveries nowhere.
        let event = self.event_type(headers);
        let digest = Sha256::new().chain_update(event).chain_update([0]).chain_update(body).finalize();
        Ok(format!("sha256:{}", hex::encode(digest)))
    }

    fn event_type(&self, headers: &HeaderMap) -> String {
        signature::event_type(headers, EVENT)
    }

    fn changes(&self, event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
        payload::changes(event_type, json)
    }
}

/// The secret itself, in a header: both sides are hashed, so that comparing takes the same time for any length.
fn verify_token(posted: Posted<'_>, secrets: &[&SecretString]) -> Result<()> {
    let token = Sha256::digest(single(posted.headers, TOKEN, Code::InvalidSignature)?);
    let fits = |secret: &SecretString| Sha256::digest(secret.expose_secret()).ct_eq(&token).into();
    if signature::any(secrets, fits) {
        return Ok(());
    }
    let why =
        "the token does not match: check that the webhook's secret token is the one this project was given";
    Err(Error::new(Code::InvalidSignature, why))
}

/// `v1,` and base64 of the HMAC-SHA256 of `id.timestamp.body`, one or more of them; as the Standard Webhooks
/// specification has it.
fn verify_signature(posted: Posted<'_>, secrets: &[&SecretString]) -> Result<()> {
    let header = |name| single(posted.headers, name, Code::InvalidSignature);
    let (listed, id, timestamp) = (header(SIGNATURE)?, header(ID)?, header(TIMESTAMP)?);
    let signatures: Vec<Vec<u8>> = listed
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
        .filter(|signature| signature.len() == 32)
        .collect();
    if signatures.is_empty() {
        let why = format!("the header {SIGNATURE} must hold `v1,` and 32 bytes in base64");
        return Err(Error::new(Code::InvalidSignature, why));
    }
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", posted.body];
    let fits = |secret: &SecretString| {
        let key = secret.expose_secret().strip_prefix(SIGNING_KEY).map(|key| STANDARD.decode(key));
        let Some(Ok(key)) = key else { return false };
        signatures.iter().fold(false, |fits, signature| fits | signature::is_signed(&key, &signed, signature))
    };
    if !signature::any(secrets, fits) {
        return Err(signature::mismatch());
    }
    check_time(timestamp, posted.now)
}

/// A delivery that was caught and is sent again later is refused.
fn check_time(timestamp: &str, now: Time) -> Result<()> {
    let refused = |why: String| Err(Error::new(Code::InvalidSignature, why));
    let stated = timestamp.parse().ok().and_then(|seconds| Time::from_timestamp(seconds, 0));
    match stated.map(|stated| now - stated) {
        None => refused(format!("the header {TIMESTAMP} must be seconds since 1970")),
        Some(off) if off.abs() > TOLERANCE => {
            let way = if off > TimeDelta::zero() { "old" } else { "from the future" };
            let minutes = off.num_minutes().abs();
            refused(format!(
                "the delivery was signed {minutes} minutes ago or hence, and more than 5 is too {way}: check that the \
                 clocks of GitLab and of this machine are right"
            ))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const AT: i64 = 1_614_265_330;

    struct Try<'a> {
        headers: Vec<(&'a str, String)>,
        body: &'a [u8],
        minutes_late: i64,
        gitlab: Option<GitLabVerification>,
        secrets: Vec<&'a str>,
    }

    impl Default for Try<'_> {
        fn default() -> Self {
            let headers = vec![
                (SIGNATURE, SIGNED.to_owned()),
                (ID, "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()),
                (TIMESTAMP, AT.to_string()),
            ];
            Self { headers, body: BODY, minutes_late: 0, gitlab: None, secrets: vec![SECRET] }
        }
    }

    impl Try<'_> {
        fn signature(text: &str) -> Self {
            let mut this = Self::default();
            this.headers[0].1 = text.to_owned();
            this
        }

        fn token(token: &str) -> Self {
            Self { headers: vec![(TOKEN, token.to_owned())], ..Self::default() }
        }

        fn verify(&self) -> Result<()> {
            let mut headers = HeaderMap::new();
            for (name, value) in &self.headers {
                let name = poem::http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
                headers.append(name, HeaderValue::from_str(value).expect("a value"));
            }
            let now = Time::from_timestamp(AT, 0).expect("a time") + TimeDelta::minutes(self.minutes_late);
            let secrets: Vec<SecretString> = self.secrets.iter().map(|secret| (*secret).into()).collect();
            let posted = Posted { headers: &headers, body: self.body, now, gitlab: self.gitlab };
            GitLab.verify(posted, &secrets.iter().collect::<Vec<_>>())
        }
    }

    #[test]
    fn the_documented_vector_is_accepted_with_either_of_two_secrets() {
        assert!(Try::default().verify().is_ok());
        for secrets in [vec!["whsec_b3RoZXI=", SECRET], vec![SECRET, "plain"]] {
            assert!(Try { secrets, ..Try::default() }.verify().is_ok());
        }
        assert!(
            Try { secrets: vec!["plain", "whsec_b3RoZXI=", "whsec_?"], ..Try::default() }.verify().is_err()
        );
    }

    #[test]
    fn one_signature_of_a_list_that_fits_is_enough() {
        let other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert!(Try::signature(&format!("{other} {SIGNED} v2,whatever")).verify().is_ok());
        for none in ["", " ", "v1,", other, &SIGNED[3..], "v1a,AAAA", &format!("{SIGNED},{SIGNED}")] {
            assert!(Try::signature(none).verify().is_err(), "{none}");
        }
    }

    #[test]
    fn a_clock_that_is_ten_minutes_off_is_refused_and_one_that_is_four_is_not() {
        for (minutes_late, accepted) in [(4, true), (-4, true), (10, false), (-10, false)] {
            let outcome = Try { minutes_late, ..Try::default() }.verify();
            assert_eq!(outcome.is_ok(), accepted, "{minutes_late}");
            assert!(outcome.err().is_none_or(|error| error.to_string().contains("check that the clocks")));
        }
        let mut nonsense = Try::default();
        nonsense.headers[2].1 = "yesterday".to_owned();
        assert!(nonsense.verify().is_err());
    }

    #[test]
    fn where_signing_is_configured_a_token_is_not_enough() {
        let signing = Some(GitLabVerification::Signature);
        assert!(Try::token(SECRET).verify().is_ok());
        let error = Try { gitlab: signing, ..Try::token(SECRET) }.verify().expect_err("refused");
        assert!(error.to_string().contains("GitLab signing is configured"), "{error}");
        assert!(Try { gitlab: signing, ..Try::default() }.verify().is_ok());
        assert!(Try { gitlab: signing, headers: Vec::new(), ..Try::default() }.verify().is_err());
    }

    #[test]
    fn a_delivery_with_a_signature_is_never_accepted_for_its_token() {
        let mut both = Try::signature("v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        both.headers.push((TOKEN, SECRET.to_owned()));
        assert!(both.verify().is_err());
        both.gitlab = Some(GitLabVerification::Token);
        assert!(both.verify().is_ok(), "unless the project says that tokens are what it wants");
    }

    #[test]
    fn a_token_must_be_the_secret_exactly() {
        for token in ["", "whsec_", &SECRET[..20], &SECRET.to_uppercase(), "plain"] {
            assert!(Try::token(token).verify().is_err(), "{token}");
        }
        assert!(Try { headers: Vec::new(), ..Try::default() }.verify().is_err());
        assert!(Try { secrets: vec!["plain", SECRET], ..Try::token("plain") }.verify().is_ok());
    }

    #[test]
    fn a_delivery_without_an_id_is_known_by_its_event_and_body() {
        let mut headers = HeaderMap::new();
        headers.insert(EVENT, HeaderValue::from_static("Push Hook"));
        headers.insert("X-Gitlab-Event-UUID", HeaderValue::from_static("shared"));
        let id = |headers: &HeaderMap, body: &[u8]| GitLab.delivery_id(headers, body).expect("an id");
        let first = id(&headers, b"{}");
        assert!(first.starts_with("sha256:") && first == id(&headers, b"{}") && first != id(&headers, b"[]"));
        headers.insert(EVENT, HeaderValue::from_static("Tag Push Hook"));
        assert_ne!(first, id(&headers, b"{}"));
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("key-1"));
        assert_eq!(id(&headers, b"{}"), "key-1");
    }

    proptest! {
        #[test]
        fn a_body_that_was_changed_by_one_bit_is_refused(at in 0..BODY.len(), bit in 0..8u8) {
            let mut body = BODY.to_vec();
            body[at] ^= 1 << bit;
            let changed = Try { body: &body, ..Try::default() };
            prop_assert!(changed.verify().is_err());
        }
    }
}
