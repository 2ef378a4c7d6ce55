//! GitLab's two ways to prove who posts.

use poem::http::HeaderValue;
use proptest::prelude::*;
use secrecy::SecretString;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SIGNED_AT: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

type Setting = Option<GitLabVerification>;

/// Verifies `body` as the documented vector is signed, but for what is given.
fn verify(
    headers: &[(&str, &str)],
    body: &[u8],
    secrets: &[&str],
    seconds_later: i64,
    gitlab: Setting,
) -> Result<()> {
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
    let now = Time::from_timestamp(SIGNED_AT + seconds_later, 0).expect("in range");
    let trust = Trust { secrets: secrets.iter().collect(), now, gitlab };
    GitLab.verify(&Posted { headers: &map(headers), body }, &trust)
}

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (
            name.parse::<poem::http::HeaderName>().expect("a name"),
            HeaderValue::from_str(value).expect("a value"),
        )
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().map(pair) {
        map.append(name, value);
    }
    map
}

fn signed(signature: &'static str) -> [(&'static str, &'static str); 3] {
    [(ID, MESSAGE), (TIMESTAMP, "1614265330"), (SIGNATURE, signature)]
}

fn why(result: Result<()>) -> String {
    let error = result.expect_err("refused");
    assert_eq!(error.code, Code::InvalidSignature);
    error.to_string()
}

#[test]
fn the_documented_vector_is_accepted_with_either_of_two_secrets_and_within_a_list() {
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for secrets in [&[SECRET][..], &[other, SECRET], &[SECRET, other]] {
        assert!(verify(&signed(SIGNED), BODY, secrets, 0, None).is_ok(), "{secrets:?}");
    }
    for list in [
        "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1a,AAAA",
        "v2,what v1,not-base64! v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ] {
        assert!(verify(&signed(list), BODY, &[SECRET], 0, None).is_ok(), "{list}");
    }
    assert!(verify(&signed(SIGNED), BODY, &[other], 0, None).is_err());
    assert!(verify(&signed(SIGNED), BODY, &[], 0, None).is_err(), "no secret is valid any more");
}

#[test]
fn a_signature_that_is_no_such_thing_is_refused() {
    for signature in
        ["", "v1,", "v1,AAAA", "v1", &SIGNED[3..], "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,!"]
    {
        let headers = [(ID, MESSAGE), (TIMESTAMP, "1614265330"), (SIGNATURE, signature)];
        assert!(verify(&headers, BODY, &[SECRET], 0, None).is_err(), "{signature}");
    }
    for missing in 0..2 {
        let headers: Vec<_> = signed(SIGNED)
            .into_iter()
            .enumerate()
            .filter(|(at, _)| *at != missing)
            .map(|(_, header)| header)
            .collect();
        assert!(why(verify(&headers, BODY, &[SECRET], 0, None)).contains("missing"));
    }
    assert!(verify(&signed(SIGNED), BODY, &["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], 0, None).is_err());
}

#[test]
fn a_signature_holds_for_five_minutes_either_way() {
    for seconds in [0, 299, 300, -300] {
        assert!(verify(&signed(SIGNED), BODY, &[SECRET], seconds, None).is_ok(), "{seconds}");
    }
    for seconds in [301, -301, 600, -600] {
        assert!(why(verify(&signed(SIGNED), BODY, &[SECRET], seconds, None)).contains("clocks"), "{seconds}");
    }
}

#[test]
fn a_token_is_the_secret_itself_and_any_valid_one_will_do() {
    for secrets in [&[SECRET][..], &["another", SECRET], &[SECRET, "another"]] {
        assert!(verify(&[(TOKEN, SECRET)], BODY, secrets, 0, None).is_ok());
    }
    for token in ["", "whsec_", "another", &SECRET[6..], "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSW"] {
        assert!(verify(&[(TOKEN, token)], BODY, &[SECRET], 0, None).is_err(), "{token}");
    }
    assert!(verify(&[(TOKEN, SECRET), (TOKEN, SECRET)], BODY, &[SECRET], 0, None).is_err());
    assert!(verify(&[(TOKEN, SECRET)], BODY, &[], 0, None).is_err());
    assert!(why(verify(&[], BODY, &[SECRET], 0, None)).contains("neither a token nor a signature"));
}

#[test]
fn a_wrong_signature_is_never_made_good_by_a_right_token() {
    for signature in ["v1,AAAA", ""] {
        let headers = [&signed(SIGNED)[..2], &[(SIGNATURE, signature), (TOKEN, SECRET)]].concat();
        for setting in [None, Some(GitLabVerification::Signature)] {
            assert!(verify(&headers, BODY, &[SECRET], 0, setting).is_err(), "{signature} {setting:?}");
        }
    }
}

#[test]
fn a_project_may_insist_on_either_way() {
    let signature = Some(GitLabVerification::Signature);
    assert!(verify(&signed(SIGNED), BODY, &[SECRET], 0, signature).is_ok());
    let only_token = why(verify(&[(TOKEN, SECRET)], BODY, &[SECRET], 0, signature));
    assert!(
        only_token.contains(
            "GitLab signing is configured for this project, but this delivery carries only a token"
        )
    );
    assert!(why(verify(&[], BODY, &[SECRET], 0, signature)).contains("no signature"));

    let token = Some(GitLabVerification::Token);
    assert!(verify(&[(TOKEN, SECRET)], BODY, &[SECRET], 0, token).is_ok());
    assert!(verify(&signed(SIGNED), BODY, &[SECRET], 0, token).is_err());
    let both = [&signed("v1,AAAA")[..], &[(TOKEN, SECRET)]].concat();
    assert!(verify(&both, BODY, &[SECRET], 0, token).is_ok(), "signed with a key of GitLab's own, say");
}

#[test]
fn a_delivery_is_known_by_its_id_or_by_what_it_says() {
    let id = |headers: &[(&str, &str)], body: &[u8]| {
        GitLab.delivery_id(&Posted { headers: &map(headers), body }).expect("an id")
    };
    assert_eq!(id(&signed(SIGNED), BODY), MESSAGE);
    assert_eq!(id(&[("Idempotency-Key", "key"), (ID, "unsigned")], BODY), "key");
    let old = |uuid, event, body| {
        id(&[("X-Gitlab-Webhook-UUID", uuid), ("X-Gitlab-Event-UUID", uuid), (EVENT, event)], body)
    };
    assert_eq!(old("1", "Push Hook", BODY), old("2", "Push Hook", BODY));
    assert_ne!(old("1", "Push Hook", BODY), old("1", "Tag Push Hook", BODY));
    assert_ne!(old("1", "Push Hook", BODY), old("1", "Push Hook", b"{}"));
    assert_eq!(old("1", "Push Hook", BODY).len(), 64);
}

proptest! {
    #[test]
    fn a_body_that_was_changed_by_one_bit_is_refused(at in 0..BODY.len(), bit in 0..8u8) {
        let mut body = BODY.to_vec();
        body[at] ^= 1 << bit;
        prop_assert!(verify(&signed(SIGNED), &body, &[SECRET], 0, None).is_err());
    }

    #[test]
    fn no_other_signature_or_token_is_accepted(text in "[ -~]{0,80}") {
        prop_assume!(!text.contains(SIGNED) && text != SECRET);
        let headers = [(ID, MESSAGE), (TIMESTAMP, "1614265330"), (SIGNATURE, text.as_str())];
        prop_assert!(verify(&headers, BODY, &[SECRET], 0, None).is_err());
        prop_assert!(verify(&[(TOKEN, &text)], BODY, &[SECRET], 0, None).is_err());
    }
}
