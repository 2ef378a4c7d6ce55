//! Gitea and Forgejo: the same payloads under headers of different names, `X-Gitea-…` and `X-Forgejo-…`.
//!
//! Both sign the JSON, bare hexadecimal digits; in a form it is the JSON inside that is signed, not the form. Both
//! send GitHub's headers too, which are not looked at.

mod payload;

use std::borrow::Cow;

use poem::http::HeaderMap;

use super::{
    change::Change,
    signature::{self, refused},
    source::{Host, Posted, Source, Trust, event_in, id_in, json_or_form},
};
use crate::error::Result;

/// Gitea, or its fork Forgejo.
pub(super) struct Gitea {
    name: &'static str,
    source: Source,
    signature: &'static str,
    delivery: &'static str,
    event: &'static str,
}

/// Gitea.
pub(super) static GITEA: Gitea = Gitea {
    name: "Gitea",
    source: Source::Gitea,
    signature: "X-Gitea-Signature",
    delivery: "X-Gitea-Delivery",
    event: "X-Gitea-Event",
};

/// Forgejo.
pub(super) static FORGEJO: Gitea = Gitea {
    name: "Forgejo",
    source: Source::Forgejo,
    signature: "X-Forgejo-Signature",
    delivery: "X-Forgejo-Delivery",
    event: "X-Forgejo-Event",
};

impl Host for Gitea {
    fn verify(&self, posted: &Posted<'_>, trust: &Trust<'_>) -> Result<()> {
        let mut given = posted.headers.get_all(self.signature).iter().peekable();
        if given.peek().is_some() && given.all(|signature| signature.is_empty()) {
            return Err(refused(format!(
                "no secret is set at the webhook: set its secret in {} to the one this project was given",
                self.name
            )));
        }
        let signature = signature::hex_in(posted.headers, self.signature, "")?;
        let signed = self.json(posted.content_type(), posted.body);
        let signed =
            signed.map_err(|error| refused(format!("nothing here could have been signed: {error}")))?;
        signature::check(self.name, &signed, &signature, &trust.secrets)
    }

    fn delivery_id(&self, posted: &Posted<'_>) -> Result<String> {
        id_in(posted.headers, self.delivery)
    }

    fn event_type(&self, headers: &HeaderMap) -> String {
        event_in(headers, self.event)
    }

    fn json<'a>(&self, content_type: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        json_or_form(self.name, content_type, body)
    }

    fn changes(&self, event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
        payload::changes(self.name, self.source, event_type, json)
    }
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use secrecy::SecretString;

    use super::*;

    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    /// GitHub's documented vector: the algorithm is the same.
    const SIGNED: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    fn verify(host: &Gitea, headers: &[(&str, &str)], body: &[u8], secrets: &[&str]) -> Result<()> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a name");
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
        let trust = Trust { secrets: secrets.iter().collect(), now: Default::default(), gitlab: None };
        host.verify(&Posted { headers: &map, body }, &trust)
    }

    #[test]
    fn each_takes_one_well_formed_signature_in_its_own_header_and_nothing_else() {
        for (host, other) in [(&GITEA, &FORGEJO), (&FORGEJO, &GITEA)] {
            assert!(verify(host, &[(host.signature, SIGNED)], BODY, &["another", SECRET]).is_ok());
            assert!(verify(host, &[(host.signature, SIGNED)], BODY, &[SECRET, "another"]).is_ok());
            assert!(verify(host, &[(host.signature, SIGNED)], BODY, &["another"]).is_err());
            assert!(verify(host, &[(other.signature, SIGNED)], BODY, &[SECRET]).is_err());
            assert!(verify(host, &[(host.signature, SIGNED); 2], BODY, &[SECRET]).is_err());
            let hub = format!("sha256={SIGNED}");
            assert!(verify(host, &[("X-Hub-Signature-256", &hub)], BODY, &[SECRET]).is_err());
            for signature in [&hub, &SIGNED[1..], &SIGNED.to_uppercase()] {
                assert!(
                    verify(host, &[(host.signature, signature)], BODY, &[SECRET]).is_err(),
                    "{signature}"
                );
            }
        }
    }

    #[test]
    fn an_empty_signature_says_that_no_secret_is_set() {
        for host in [&GITEA, &FORGEJO] {
            let error = verify(host, &[(host.signature, "")], BODY, &[SECRET]).expect_err("refused");
            assert!(error.to_string().contains("no secret is set at the webhook"), "{error}");
        }
    }

    #[test]
    fn in_a_form_the_json_inside_is_what_is_signed() {
        let signed = [(GITEA.signature, SIGNED), FORM];
        assert!(verify(&GITEA, &signed, b"payload=Hello%2C+World%21", &[SECRET]).is_ok());
        assert!(verify(&GITEA, &signed, b"payload=Hello%2C+World", &[SECRET]).is_err());
        assert!(verify(&GITEA, &signed, b"other=1", &[SECRET]).is_err());
        assert!(verify(&GITEA, &signed, BODY, &[SECRET]).is_err(), "not as it came");
    }

    proptest! {
        #[test]
        fn a_body_that_was_changed_by_one_bit_is_refused(at in 0..BODY.len(), bit in 0..8u8) {
            let mut body = BODY.to_vec();
            body[at] ^= 1 << bit;
            prop_assert!(verify(&GITEA, &[(GITEA.signature, SIGNED)], &body, &[SECRET]).is_err());
        }
    }
}
