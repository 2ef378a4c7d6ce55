//! Bitbucket Cloud: `X-Hub-Signature` over the raw body; deliveries known by `X-Request-UUID`, which its retries
//! repeat.

mod payload;

use poem::http::HeaderMap;

use super::{
    change::Change,
    signature,
    source::{Host, Posted, Trust, event_in, id_in},
};
use crate::error::Result;

/// bitbucket.org.
pub(super) struct Bitbucket;

const HOST: &str = "Bitbucket";
const SIGNATURE: &str = "X-Hub-Signature";

impl Host for Bitbucket {
    fn verify(&self, posted: &Posted<'_>, trust: &Trust<'_>) -> Result<()> {
        if !posted.headers.contains_key(SIGNATURE) {
            return Err(signature::refused(format!(
                "the header {SIGNATURE} is missing: set the webhook's secret to the one this project was given"
            )));
        }
        let signature = signature::hex_in(posted.headers, SIGNATURE, "sha256=")?;
        signature::check(HOST, posted.body, &signature, &trust.secrets)
    }

    fn delivery_id(&self, posted: &Posted<'_>) -> Result<String> {
        id_in(posted.headers, "X-Request-UUID")
    }

    fn event_type(&self, headers: &HeaderMap) -> String {
        event_in(headers, "X-Event-Key")
    }

    fn changes(&self, event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
        payload::changes(event_type, json)
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use proptest::prelude::*;
    use secrecy::SecretString;

    use super::*;

    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    /// GitHub's documented vector: the algorithm is the same.
    const SIGNED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn verify(name: &'static str, signature: &str, body: &[u8], secrets: &[&str]) -> Result<()> {
        let mut headers = HeaderMap::new();
        headers.append(name, HeaderValue::from_str(signature).expect("a header"));
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
        let trust = Trust { secrets: secrets.iter().collect(), now: Default::default(), gitlab: None };
        Bitbucket.verify(&Posted { headers: &headers, body }, &trust)
    }

    #[test]
    fn one_well_formed_signature_by_either_of_two_secrets_is_accepted_and_nothing_else() {
        assert!(verify(SIGNATURE, SIGNED, BODY, &["another", SECRET]).is_ok());
        assert!(verify(SIGNATURE, SIGNED, BODY, &[SECRET, "another"]).is_ok());
        assert!(verify(SIGNATURE, SIGNED, BODY, &["another"]).is_err());
        assert!(verify("X-Hub-Signature-256", SIGNED, BODY, &[SECRET]).is_err(), "that is GitHub's header");
        for signature in ["", &SIGNED[7..], &SIGNED[..70], "sha1=00", "sha256=", &SIGNED.replace('a', "A")] {
            assert!(verify(SIGNATURE, signature, BODY, &[SECRET]).is_err(), "{signature}");
        }
    }

    proptest! {
        #[test]
        fn a_body_that_was_changed_by_one_bit_is_refused(at in 0..BODY.len(), bit in 0..8u8) {
            let mut body = BODY.to_vec();
            body[at] ^= 1 << bit;
            prop_assert!(verify(SIGNATURE, SIGNED, &body, &[SECRET]).is_err());
        }
    }
}
