//! GitHub: `X-Hub-Signature-256` over the raw body, JSON or form; deliveries known by `X-GitHub-Delivery`.

pub(super) mod payload;

use std::borrow::Cow;

use poem::http::HeaderMap;

use super::{
    change::Change,
    signature,
    source::{Host, Posted, Trust, event_in, id_in, json_or_form},
};
use crate::error::Result;

/// github.com and GitHub Enterprise.
pub(super) struct GitHub;

const SIGNATURE: &str = "X-Hub-Signature-256";

impl Host for GitHub {
    fn verify(&self, posted: &Posted<'_>, trust: &Trust<'_>) -> Result<()> {
        let signature = signature::hex_in(posted.headers, SIGNATURE, "sha256=")?;
        signature::check("GitHub", posted.body, &signature, &trust.secrets)
    }

    fn delivery_id(&self, posted: &Posted<'_>) -> Result<String> {
        id_in(posted.headers, "X-GitHub-Delivery")
    }

    fn event_type(&self, headers: &HeaderMap) -> String {
        event_in(headers, "X-GitHub-Event")
    }

    fn json<'a>(&self, content_type: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        json_or_form("GitHub", content_type, body)
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
    const SIGNED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn verify(signatures: &[&str], body: &[u8], secrets: &[&str]) -> Result<()> {
        let mut headers = HeaderMap::new();
        for signature in signatures {
            headers.append(SIGNATURE, HeaderValue::from_bytes(signature.as_bytes()).expect("a header"));
        }
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
        let trust = Trust { secrets: secrets.iter().collect(), now: Default::default(), gitlab: None };
        GitHub.verify(&Posted { headers: &headers, body }, &trust)
    }

    #[test]
    fn the_documented_vector_is_accepted_with_either_of_two_secrets() {
        assert!(verify(&[SIGNED], BODY, &[SECRET]).is_ok());
        assert!(verify(&[SIGNED], BODY, &["another", SECRET]).is_ok());
        assert!(verify(&[SIGNED], BODY, &[SECRET, "another"]).is_ok());
    }

    #[test]
    fn anything_but_exactly_one_well_formed_signature_is_refused() {
        let upper = SIGNED.replace("757107ea", "757107EA");
        let cases: &[&[&str]] = &[
            &[],
            &[""],
            &[&SIGNED[7..]],
            &[&SIGNED[..70]],
            &[&upper],
            &[SIGNED, SIGNED],
            &["sha1=00"],
            &["sha256="],
        ];
        for signatures in cases {
            assert!(verify(signatures, BODY, &[SECRET]).is_err(), "{signatures:?}");
        }
        assert!(verify(&[SIGNED], BODY, &[]).is_err(), "no secret is valid any more");
    }

    proptest! {
        #[test]
        fn a_body_that_was_changed_by_one_bit_is_refused(at in 0..BODY.len(), bit in 0..8u8) {
            let mut body = BODY.to_vec();
            body[at] ^= 1 << bit;
            prop_assert!(verify(&[SIGNED], &body, &[SECRET]).is_err());
        }

        #[test]
        fn no_other_header_is_accepted(header in "[ -~]{0,80}") {
            prop_assume!(header != SIGNED);
            prop_assert!(verify(&[&header], BODY, &[SECRET]).is_err());
        }
    }
}
