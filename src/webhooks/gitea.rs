//! Gitea and Forgejo: bare hexadecimal digits over the JSON; deliveries known by `X-Gitea-Delivery` or
//! `X-Forgejo-Delivery`.
//!
//! Both send payloads shaped after GitHub's, so that [`github`](super::github) reads them; what is their own is
//! here. They send headers with GitHub's names too, which nobody here looks at.

use std::borrow::Cow;

use poem::http::HeaderMap;
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    change::Change,
    github,
    payload::{parse, revision, time},
    receive::content_type,
    signature,
    source::{Host, Posted, Source, json_or_form},
    text::Text,
};
use crate::{
    error::{Code, Error, Result},
    runs::{RunKind, RunState, RunStatus},
};

/// One of the two: they differ in the names of their headers, and in how they tell of workflow runs.
pub(super) struct Gitea {
    source: Source,
    signature: &'static str,
    delivery: &'static str,
    event: &'static str,
}

impl Gitea {
    pub(super) const GITEA: Self = Self {
        source: Source::Gitea,
        signature: "X-Gitea-Signature",
        delivery: "X-Gitea-Delivery",
        event: "X-Gitea-Event",
    };
    pub(super) const FORGEJO: Self = Self {
        source: Source::Forgejo,
        signature: "X-Forgejo-Signature",
        delivery: "X-Forgejo-Delivery",
        event: "X-Forgejo-Event",
    };
}

impl Host for Gitea {
    fn verify(&self, posted: Posted<'_>, secrets: &[&SecretString]) -> Result<()> {
        if posted.headers.get(self.signature).is_some_and(|signature| signature.is_empty()) {
            let why = format!(
                "the header {} is empty, which means that no secret is set at the webhook: give it the one of this project",
                self.signature
            );
            return Err(Error::new(Code::InvalidSignature, why));
        }
        // Of a form, the JSON inside is signed.
        let signed = json_or_form(content_type(posted.headers), posted.body).unwrap_or_default();
        signature::verify_hex(posted.headers, self.signature, "", &signed, secrets)
    }

    fn delivery_id(&self, headers: &HeaderMap, _: &[u8]) -> Result<String> {
        signature::delivery_id(headers, self.delivery)
    }

    fn event_type(&self, headers: &HeaderMap) -> String {
        signature::event_type(headers, self.event)
    }

    fn json<'a>(&self, content_type: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        json_or_form(content_type, body)
    }

    fn changes(&self, event_type: &str, json: &[u8]) -> Result<Vec<Change>> {
        match event_type {
            "pull_request_sync" => github::changes(self.source, "pull_request", json),
            "action_run_success" | "action_run_failure" | "action_run_recover" => {
                Ok(action_run(self.source, parse(self.source, json)?).into_iter().map(Change::Run).collect())
            }
            _ => github::changes(self.source, event_type, json),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ActionRunPayload {
    run: Option<ActionRun>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ActionRun {
    id: Option<u64>,
    title: Text,
    workflow_id: Option<Text>,
    prettyref: Option<Text>,
    commit_sha: Option<Text>,
    status: Text,
    started: Option<Text>,
    stopped: Option<Text>,
    updated: Option<Text>,
    html_url: Option<Text>,
}

/// Forgejo tells of a run once it has ended. One that is run again keeps its id: the end that came later holds.
fn action_run(source: Source, payload: ActionRunPayload) -> Option<RunState> {
    let run = payload.run?;
    let status = match &*run.status {
        "success" => RunStatus::Success,
        "cancelled" | "skipped" => RunStatus::Cancelled,
        _ => RunStatus::Failed,
    };
    let finished_at = time(run.stopped.as_deref());
    Some(RunState {
        source,
        external_id: format!("workflow_run/{}", run.id?),
        kind: RunKind::Workflow,
        name: run.workflow_id.unwrap_or(run.title).into_string(),
        status,
        commit: run.commit_sha.map(Text::into_string),
        branch: run.prettyref.map(Text::into_string),
        url: run.html_url.map(Text::into_string),
        started_at: time(run.started.as_deref()),
        finished_at,
        revision: revision(1, status),
        stated_at: time(run.updated.as_deref()).or(finished_at)?,
    })
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNED: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn verify(host: &Gitea, headers: &[(&'static str, &str)], body: &[u8]) -> Result<()> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        let posted = Posted { headers: &map, body, now: crate::clock::Time::UNIX_EPOCH, gitlab: None };
        host.verify(posted, &[&SecretString::from(SECRET)])
    }

    #[test]
    fn a_bare_signature_is_accepted_under_the_hosts_own_name_alone() {
        for (host, own, other) in [
            (Gitea::GITEA, "x-gitea-signature", "x-forgejo-signature"),
            (Gitea::FORGEJO, "x-forgejo-signature", "x-gitea-signature"),
        ] {
            assert!(verify(&host, &[(own, SIGNED)], BODY).is_ok());
            assert!(verify(&host, &[(other, SIGNED)], BODY).is_err());
            assert!(verify(&host, &[("x-hub-signature-256", &format!("sha256={SIGNED}"))], BODY).is_err());
            for bad in [&format!("sha256={SIGNED}"), &SIGNED.to_uppercase(), &SIGNED[..63]] {
                assert!(verify(&host, &[(own, bad)], BODY).is_err(), "{bad}");
            }
        }
    }

    #[test]
    fn an_empty_signature_says_that_no_secret_is_set() {
        let error = verify(&Gitea::GITEA, &[("x-gitea-signature", "")], BODY).expect_err("refused");
        assert!(error.to_string().contains("no secret is set at the webhook"), "{error}");
    }

    #[test]
    fn of_a_form_the_json_inside_is_signed() {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let signed = ("x-gitea-signature", SIGNED);
        assert!(verify(&Gitea::GITEA, &[form, signed], b"payload=Hello%2C+World%21").is_ok());
        assert!(verify(&Gitea::GITEA, &[form, signed], b"payload=Hello%2C+World%3F").is_err());
        assert!(verify(&Gitea::GITEA, &[form, signed], b"other=Hello%2C+World%21").is_err());
    }
}
