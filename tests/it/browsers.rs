//! The pages in Chromium: what somebody does there who comes for the first time, leaves, and comes back, and who is
//! invited.

use serde_json::json;
use trackside::accounts::{oauth::clients, signin};

use crate::{
    invitations::invited,
    support::{
        Server,
        browser::Browser,
        text,
        tls::TlsHost,
        visitor::{EMAIL, PASSWORD},
    },
};

/// What a client keeps to itself until it redeems its code is not needed here.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Everything that can be filled in or pressed has a name, under one heading in one main part.
async fn expect_accessible(browser: &mut Browser) {
    let heard = browser.read_aloud().await;
    for (role, name, _) in &heard {
        assert!(!name.is_empty() || role == "main" || role == "alert", "a {role} has a name: {heard:?}");
    }
    assert_eq!(heard.iter().filter(|(role, ..)| role == "main").count(), 1, "{heard:?}");
    assert_eq!(browser.ask("document.querySelectorAll('h1').length").await, 1);
    assert_eq!(browser.ask("document.documentElement.lang").await, "en");
}

#[tokio::test]
async fn somebody_is_asked_by_a_client_and_lets_it_in() {
    let server = Server::start().await;
    server.tenant("Acme").await;
    let app = &server.service.app;
    let link = signin::prepare(app).await.unwrap().unwrap().url;
    let (mut browser, client) = (Browser::start().await, TlsHost::start_plain().await);
    let document = json!({
        "client_id": "our-ide", "client_name": "Our IDE", "redirect_uris": ["http://localhost/callback"],
    });
    clients::register(app, document).await.unwrap();
    browser.open(&link).await;
    for (label, typed) in [("E-mail address", EMAIL), ("Name", "Ada"), ("Password", PASSWORD)] {
        browser.fill(label, typed).await;
    }
    browser.fill("Repeat the password", PASSWORD).await;
    browser.press("Set up").await;
    browser.go_to_account().await;
    browser.press("Sign out").await;

    let callback = format!("http://localhost:{}/callback", client.port);
    let asked = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("client_id", "our-ide"), ("redirect_uri", &callback), ("response_type", "code")])
        .extend_pairs([("code_challenge", CHALLENGE), ("code_challenge_method", "S256"), ("state", "a b&c")])
        .finish();
    let page = server.stranger().address("http", &format!("/oauth/authorize?{asked}"));
    browser.open(&page).await;
    assert_eq!(browser.heading().await, "Sign in");
    browser.fill("E-mail address", EMAIL).await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Sign in").await;
    assert_eq!(browser.heading().await, "Allow Our IDE to act for you?");
    expect_accessible(&mut browser).await;
    let order = browser.tab(3).await;
    assert_eq!(order, ["answer", "answer", "Sign in as somebody else"]);
    browser.keep("consent").await;
    browser.prefer("dark").await;
    browser.keep("consent-dark").await;
    browser.prefer("light").await;
    browser.press("Deny").await;
    let told = text(&browser.ask("location.href").await);
    assert!(told.starts_with(&callback) && told.contains("error=access_denied"), "{told}");
    browser.open(&page).await;
    browser.press("Allow").await;
    let told = text(&browser.ask("location.href").await);
    assert!(
        told.starts_with(&callback) && told.contains("code=tsc_") && told.contains("state=a+b%26c"),
        "{told}"
    );

    browser.open(&server.stranger().address("http", "/account")).await;
    assert!(browser.words().await.contains("Our IDE"));
    expect_accessible(&mut browser).await;
    browser.keep("account-with-program").await;
    browser.press("End").await;
    assert!(browser.words().await.contains("That program may do nothing for you any more."));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn somebody_sets_up_leaves_comes_back_and_takes_a_new_password() {
    let server = Server::start().await;
    server.tenant("Acme").await;
    let link = signin::prepare(&server.service.app).await.unwrap().unwrap().url;
    let mut browser = Browser::start().await;

    browser.open(&link).await;
    assert_eq!(browser.heading().await, "Set up Trackside");
    expect_accessible(&mut browser).await;
    assert_eq!(browser.tab(5).await, ["email", "name", "password", "repeat", "Set up"]);
    browser.keep("set-up").await;
    browser.prefer("dark").await;
    browser.keep("set-up-dark").await;
    browser.prefer("light").await;
    for (label, typed) in [("E-mail address", EMAIL), ("Name", "Ada"), ("Password", PASSWORD)] {
        browser.fill(label, typed).await;
    }
    browser.fill("Repeat the password", "something else").await;
    browser.press("Set up").await;
    let heard = browser.read_aloud().await;
    let repeat = heard.iter().find(|(_, name, _)| name == "Repeat the password").expect("the field");
    assert_eq!(repeat.2, "This is not the same password.", "it is read out with its field");
    assert_eq!(browser.ask("document.activeElement.id").await, "repeat", "where it is to be mended");
    assert_eq!(browser.ask("document.getElementById('email').value").await, EMAIL);
    browser.keep("set-up-mend").await;
    browser.fill("Password", PASSWORD).await;
    browser.fill("Repeat the password", PASSWORD).await;
    browser.press("Set up").await;

    browser.go_to_account().await;
    expect_accessible(&mut browser).await;
    browser.keep("account").await;
    let cookies = browser.cookies().await;
    assert_eq!(cookies.len(), 1);
    assert_eq!((&cookies[0]["name"], &cookies[0]["httpOnly"]), (&"trackside".into(), &true.into()));
    assert_eq!(cookies[0]["sameSite"], "Lax");
    assert_eq!(browser.ask("document.cookie").await, "", "no script can read it");

    browser.press("Sign out").await;
    assert_eq!(browser.heading().await, "Sign in");
    assert_eq!(browser.cookies().await.len(), 0);
    expect_accessible(&mut browser).await;
    browser.fill("E-mail address", EMAIL).await;
    browser.fill("Password", "not the password").await;
    browser.press("Sign in").await;
    assert!(browser.words().await.contains("The e-mail address or the password is not right."));
    assert!(browser.read_aloud().await.iter().any(|(role, ..)| role == "alert"), "it is read out");
    browser.keep("sign-in-refused").await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Sign in").await;
    browser.go_to_account().await;

    browser.fill("Current password", PASSWORD).await;
    browser.fill("New password", "thirteen dry herons").await;
    browser.fill("Repeat the password", "thirteen dry herons").await;
    browser.press("Change the password").await;
    assert!(browser.words().await.contains("You have a new password"), "{}", browser.words().await);
    browser.prefer("dark").await;
    browser.keep("account-dark").await;
    browser.press("Sign out").await;
    browser.fill("E-mail address", EMAIL).await;
    browser.fill("Password", "thirteen dry herons").await;
    browser.press("Sign in").await;
    browser.go_to_account().await;

    browser.open(&link).await;
    assert!(browser.words().await.contains("This link is no longer valid"));
    browser.keep("set-up-over").await;
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn somebody_who_is_invited_joins_and_joins_elsewhere_with_one_button() {
    let server = Server::start().await;
    let (acme, other) = (server.tenant("Acme").await, server.tenant("Other").await);
    let mut browser = Browser::start().await;
    let (made, _) = invited(&acme.client, json!({"role": "member", "email": EMAIL})).await;
    browser.open(&text(&made["link"])).await;
    assert_eq!(browser.heading().await, "Join Acme");
    expect_accessible(&mut browser).await;
    assert_eq!(browser.tab(6).await, ["Sign in", "email", "name", "password", "repeat", "Join"]);
    browser.keep("join").await;
    browser.prefer("dark").await;
    browser.keep("join-dark").await;
    browser.prefer("light").await;
    for (label, typed) in [("Name", "Ada"), ("Password", PASSWORD), ("Repeat the password", PASSWORD)] {
        browser.fill(label, typed).await;
    }
    browser.press("Join").await;
    browser.go_to_account().await;
    assert!(browser.words().await.contains("Acme"));

    let (made, _) = invited(&other.client, json!({"role": "viewer"})).await;
    browser.open(&text(&made["link"])).await;
    assert_eq!(browser.heading().await, "Join Other");
    expect_accessible(&mut browser).await;
    browser.keep("join-signed-in").await;
    browser.press("Join as Ada").await;
    browser.go_to_account().await;
    assert!(browser.words().await.contains("Other"));

    browser.open(&text(&made["link"])).await;
    assert_eq!(browser.heading().await, "This link no longer works");
    assert!(browser.words().await.contains("ask whoever invited you"), "{}", browser.words().await);
    browser.keep("join-over").await;
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
