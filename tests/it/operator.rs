//! The command line, as whoever operates the service sees to people, keys and issuers with it.

use std::{path::Path, process::Output};

use scratch::Scratch;
use serde_json::{Value, json};
use trackside::clock::Clock;

use crate::support::{
    eventually,
    process::{LOG, Process, free_port, output, refused, run, trackside},
    provider::Provider,
    text,
    visitor::{EMAIL, PASSWORD},
};

fn listed(at: &Path, what: &str) -> Vec<Value> {
    let answer = output(at, &["--json", what, "list"]);
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn said(output: &Output) -> (String, String) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn people_are_invited_and_principals_changed_at_the_command_line() {
    let folder = Scratch::new();
    let at = folder.path();
    let made = output(at, &["--json", "key", "create", "--name", "ci", "--role", "owner"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let id = text(&made["principalId"]);
    let another = output(at, &["key", "create", "--name", "ci, too", "--principal", &id]);
    assert!(another.starts_with("tsk_"), "{another}");
    assert!(refused(at, &["principal", "set-role", &id, "viewer"]).contains("last active owner"));
    output(at, &["key", "create", "--name", "me", "--role", "owner"]);
    assert!(output(at, &["principal", "set-role", &id, "viewer"]).contains("viewer"));
    assert!(output(at, &["principal", "deactivate", &id]).contains("deactivated"));
    assert!(output(at, &["key", "list"]).contains("revoked"));
    assert!(!output(at, &["principal", "reactivate", &id]).contains("deactivated"));
    assert_eq!(listed(at, "principal").len(), 2);
    let (link, beside) =
        said(&run(at, &["invitation", "create", "--role", "member", "--email", "Ada@example.org"]));
    assert!(link.contains("/join?invitation=tsi_") && link.lines().count() == 1, "the link alone: {link}");
    assert!(beside.contains("until 20") && beside.contains("TRACKSIDE_PUBLIC_URL"), "{beside}");
    let invitation = listed(at, "invitation")[0].clone();
    assert_eq!(invitation["email"], "ada@example.org");
    assert!(output(at, &["invitation", "list"]).contains("open until 20"));
    for _ in 0..2 {
        let withdrawn = output(at, &["invitation", "revoke", &text(&invitation["id"])]);
        assert!(withdrawn.contains("withdrawn 20"), "{withdrawn}");
    }
    assert_eq!(run(at, &["key", "create", "--name", "x"]).status.code(), Some(2), "a role or a principal");
}

#[test]
fn an_invitation_and_a_key_may_end_sooner_and_reach_less() {
    let folder = Scratch::new();
    let at = folder.path();
    let project = |name: &str| {
        let arguments =
            ["--json", "project", "create", "--name", name, "--repo-url", "https://github.com/a/b"];
        text(&serde_json::from_str::<Value>(&output(at, &arguments)).unwrap()["id"])
    };
    let (rocket, lander) = (project("Rocket"), project("Lander"));
    let soon = (Clock::system().now() + chrono::TimeDelta::days(2)).format("%Y-%m-%d").to_string();
    let projects = format!("{rocket},{lander}=viewer");
    let limited = ["--role", "member", "--projects", &projects, "--expires-at", &soon];
    output(at, &[&["invitation", "create"][..], &limited].concat());
    let invitation = listed(at, "invitation")[0].clone();
    assert_eq!(invitation["projectAccess"], json!({rocket.as_str(): "editor", lander.as_str(): "viewer"}));
    assert!(text(&invitation["expiresAt"]).starts_with(&soon));
    let owner = ["invitation", "create", "--role", "owner", "--projects", &rocket];
    assert!(refused(at, &owner).contains("--projects: an owner reaches every project"));
    let late = ["invitation", "create", "--role", "member", "--expires-at", "2999-01-31"];
    assert!(refused(at, &late).contains("--expires-at: "));
    output(at, &["key", "create", "--name", "x", "--role", "viewer", "--expires-at", &soon]);
    output(at, &["key", "create", "--name", "y", "--role", "viewer"]);
    let keys = output(at, &["key", "list"]);
    assert!(keys.contains(&format!("expires {soon} 00:00 UTC")) && keys.contains("never expires"), "{keys}");
}

#[tokio::test]
async fn who_has_joined_is_shown_and_not_uninvited_and_gets_a_new_password_while_they_may_act() {
    let folder = Scratch::new();
    let at = folder.path();
    let owner = [("TRACKSIDE_ADMIN_EMAIL", EMAIL), ("TRACKSIDE_ADMIN_PASSWORD", PASSWORD)];
    let process = Process::serve(at, free_port(), &owner, &[]).await;
    eventually("the owner is made", async || run(at, &["principal", "list"]).stdout.starts_with(b"0")).await;
    assert!(output(at, &["principal", "list"]).contains(EMAIL));
    assert_eq!(listed(at, "principal")[0]["email"], EMAIL);
    let key = output(at, &["key", "create", "--name", "me", "--role", "admin"]);
    let principals = process.client(Some(&key)).get("/api/v1/principals").await.expect(200).json;
    let emails = principals["items"].as_array().unwrap().iter().map(|one| &one["email"]);
    assert_eq!(emails.collect::<Vec<_>>(), [&json!(EMAIL), &json!(null)], "a person, and a service account");
    let grace = "grace@example.org";
    let link = output(at, &["invitation", "create", "--role", "member", "--email", grace]);
    let secret = link.split_once("invitation=").unwrap().1;
    let form = [
        ("invitation", secret),
        ("who", "new"),
        ("name", "Grace"),
        ("email", grace),
        ("password", PASSWORD),
        ("repeat", PASSWORD),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
    process.client(None).post_bytes("/join", &headers, body.into_bytes()).await.expect(303);
    let joined = listed(at, "principal").into_iter().find(|one| one["email"] == grace).expect("Grace");
    let (invitation, id) = (text(&listed(at, "invitation")[0]["id"]), text(&joined["id"]));
    let words = refused(at, &["invitation", "revoke", &invitation]);
    assert!(words.contains("joined by this invitation already") && words.contains(&id), "{words}");
    let (_, beside) = said(&run(at, &["principal", "reset-password", grace]));
    assert!(beside.contains("until 20") && beside.contains("TRACKSIDE_PUBLIC_URL"), "{beside}");
    output(at, &["principal", "deactivate", &id]);
    let words = refused(at, &["principal", "reset-password", grace]);
    assert!(words.contains("trackside principal reactivate"), "{words}");
    output(at, &["principal", "reactivate", &id]);
    output(at, &["principal", "reset-password", grace]);
}

#[test]
fn a_first_owner_who_does_not_fit_is_told_by_the_setting() {
    let told = |email: &str, password: &str| {
        let folder = Scratch::new();
        let refused = trackside(folder.path())
            .args(["serve", "--port", &free_port().to_string()])
            .envs([("TRACKSIDE_ADMIN_EMAIL", email), ("TRACKSIDE_ADMIN_PASSWORD", password)])
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(1));
        String::from_utf8_lossy(&refused.stderr).into_owned()
    };
    assert!(told("ada", PASSWORD).contains("TRACKSIDE_ADMIN_EMAIL: an e-mail address looks like"));
    let words = told(EMAIL, "short");
    assert!(words.contains("TRACKSIDE_ADMIN_PASSWORD: ") && !words.contains("/password"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_asks_the_issuers_and_says_what_to_register() {
    let folder = Scratch::new();
    let provider = Provider::start().await;
    let doctor = |settings: &[(&str, &str)]| {
        let port = free_port().to_string();
        let asked = trackside(folder.path())
            .args(["doctor", "--port", &port])
            .envs(settings.iter().copied())
            .output();
        let asked = asked.unwrap();
        (asked.status.success(), String::from_utf8(asked.stdout).unwrap())
    };
    let [issuer, rest @ ..] = provider.settings();
    let outside = ("TRACKSIDE_OAUTH_ISSUER", issuer.1);
    let (is_well, words) = doctor(&[&[issuer, outside][..], &rest].concat());
    assert!(is_well && words.matches(&format!("{} answers", issuer.1)).count() == 2, "{words}");
    let public = ("TRACKSIDE_PUBLIC_URL", "https://trackside.example.org");
    let (_, words) = doctor(&[&[issuer, public][..], &rest].concat());
    assert!(words.contains("https://trackside.example.org/signin/oidc/callback"), "{words}");
    let other = format!("{}/", issuer.1);
    let (is_well, words) = doctor(&[&[("TRACKSIDE_OIDC_ISSUER", &*other)][..], &rest].concat());
    assert!(!is_well && words.contains("TRACKSIDE_OIDC_ISSUER is to the letter"), "{words}");
    for name in [&format!("itself \"{}\"", issuer.1), &format!("the settings \"{other}\"")] {
        assert!(words.contains(name), "{name} is missing: {words}");
    }
    provider.says.lock().metadata = json!({"authorization_endpoint": null});
    let (is_well, words) = doctor(&provider.settings());
    assert!(!is_well && words.contains("not those of an OpenID provider"), "{words}");
    provider.says.lock().is_down = true;
    let (is_well, words) = doctor(&[outside]);
    assert!(
        !is_well && words.contains("TRACKSIDE_OAUTH_ISSUER") && words.contains("it answered 5"),
        "{words}"
    );
}

#[tokio::test]
async fn a_start_warns_of_an_issuer_that_cannot_be_asked_and_does_not_wait_for_it() {
    let folder = Scratch::new();
    let provider = Provider::start().await;
    provider.says.lock().is_down = true;
    let _process = Process::serve(folder.path(), free_port(), &provider.settings(), &[]).await;
    eventually("it is in the log", async || {
        let log = std::fs::read_to_string(folder.path().join(LOG)).unwrap();
        log.contains("an issuer cannot be asked") && log.contains(&provider.issuer)
    })
    .await;
}
