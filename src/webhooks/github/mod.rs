//! GitHub: `X-Hub-Signature-256` over the raw body, JSON or form; deliveries known by `X-GitHub-Delivery`.

mod payload;

use std::borrow::Cow;

use hmac::{Hmac, KeyInit as _, Mac as _};
use poem::http::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::{
    change::Change,
    source::{Host, single},
};
use crate::error::{Code, Error, Result};

/// github.com and GitHub Enterprise.
pub(super) struct GitHub;

const SIGNATURE: &str = "X-Hub-Signature-256";

impl Host for GitHub {
    fn verify(&self, headers: &HeaderMap, body: &[u8], secrets: &[&SecretString]) -> Result<()> {
        let signature = parse_signature(single(headers, SIGNATURE, Code::InvalidSignature)?)?;
        // Every secret is tried, whether or not one fits: the time taken tells nothing.
        let fits = secrets.iter().fold(false, |fits, secret| fits | is_signed(body, &signature, secret));
        if fits {
            return Ok(());
        }
        let why = "the signature does not match: check that the webhook's secret is the one this project was given, \
                   and that nothing between GitHub and here changes the body";
        Err(Error::new(Code::InvalidSignature, why))
    }

    fn delivery_id(&self, headers: &HeaderMap) -> Result<String> {
        let id = single(headers, "X-GitHub-Delivery", Code::InvalidRequest)?;
        if id.len() > 200 {
            return Err(Error::invalid("the header X-GitHub-Delivery is longer than 200 characters"));
        }
        Ok(id.to_owned())
    }

    fn event_type(&self, headers: &HeaderMap) -> String {
        // It has been seen empty; that is no reason to lose a delivery.
        let event = headers.get("X-GitHub-Event").and_then(|value| value.to_str().ok()).unwrap_or_default();
        event.chars().take(200).collect()
    }

    fn json<'a>(&self, content_type: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        if !content_type.starts_with("application/x-www-form-urlencoded") {
            return Ok(Cow::Borrowed(body));
        }
        form_urlencoded::parse(body)
            .find(|(name, _)| name == "payload")
            .map(|(_, json)| Cow::Owned(json.into_owned().into_bytes()))
            .ok_or_else(|| Error::invalid("the form has no field `payload`, in which GitHub sends its JSON"))
    }

    fn changes(&self, event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
        payload::changes(event_type, json)
    }
}

/// `sha256=` and 64 lower-case hexadecimal digits, exactly.
fn parse_signature(header: &str) -> Result<[u8; 32]> {
    let malformed = || {
        let why = format!("the header {SIGNATURE} must be `sha256=` and 64 lower-case hexadecimal digits");
        Error::new(Code::InvalidSignature, why)
    };
    let digits = header.strip_prefix("sha256=").ok_or_else(malformed)?;
    if digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(malformed());
    }
    let mut signature = [0; 32];
    hex::decode_to_slice(digits, &mut signature).map_err(|_| malformed())?;
    Ok(signature)
}

fn is_signed(body: &[u8], signature: &[u8; 32], secret: &SecretString) -> bool {
    Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .is_ok_and(|hmac| hmac.chain_update(body).verify_slice(signature).is_ok())
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use proptest::prelude::*;

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
        GitHub.verify(&headers, body, &secrets.iter().collect::<Vec<_>>())
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
