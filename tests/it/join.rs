//! The page that an invitation leads to: who joins there, as whom, and whom it sends away.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    invitations::invited,
    support::{
        Answer, Client, Server, Visitor, eventually, number, text,
        visitor::{EMAIL, PASSWORD},
    },
};

/// The path of a new invitation's page, and its secret.
async fn link(client: &Client, body: Value) -> (String, String) {
    let (_, secret) = invited(client, body).await;
    (format!("/join?invitation={secret}"), secret)
}

/// Sends the form as somebody who is not signed in.
async fn join(visitor: &Visitor, secret: &str, email: &str, password: &str) -> Answer {
    let who = [("email", email), ("name", "Bea"), ("password", password), ("repeat", password)];
    visitor.send("/join", &[&[("invitation", secret)][..], &who].concat()).await
}

#[tokio::test]
async fn somebody_new_joins_by_the_page_and_is_signed_in_there() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let project = acme.project("Rocket").await;
    let body = json!({"role": "member", "projectAccess": {&project.id: "viewer"}});
    let (path, secret) = link(&acme.client, body).await;
    let visitor = Visitor::new(&server);
    for _ in 0..2 {
        let page = visitor.open(&path).await.expect(200).body;
        for told in ["Join Acme", "<dd>member</dd>", "<dd>owner</dd>", "limited to 1", "2026-01-08 06:00"] {
            assert!(page.contains(told), "{told}: {page}");
        }
    }
    let mistyped = [("email", "bea"), ("name", "Bea"), ("password", "short"), ("repeat", "short")];
    let page = visitor.send("/join", &[&[("invitation", secret.as_str())][..], &mistyped].concat()).await;
    let page = page.expect(400).body;
    assert!(page.contains("id=\"email-wrong\"") && page.contains(&secret), "{page}");
    let joined = join(&visitor, &secret, "Bea@example.org", PASSWORD).await.expect(303);
    assert_eq!(joined.headers["location"], "/");
    let account = visitor.open("/account").await.expect(200).body;
    assert!(account.contains("bea@example.org") && account.contains("<dd>Acme</dd>"), "{account}");
    let session = visitor.open("/api/v1/sessions").await.expect(200).json["items"][0].take();
    assert_eq!(session["method"], "invitation");
    visitor.open(&project.path("/events")).await.expect(200);
    visitor.send("/signout", &[]).await.expect(303);
    visitor.sign_in("bea@example.org", PASSWORD).await.expect(303);
}

#[tokio::test]
async fn whoever_is_too_late_comes_back_in_time_or_is_forgotten_and_their_address_is_free() {
    let server = Server::start().await;
    let (acme, kept) = (server.tenant("Acme").await, server.database().await);
    let (_, secret) = link(&acme.client, json!({"role": "viewer"})).await;
    let emails: Vec<_> = (0..8).map(|number| format!("person-{number}@example.org")).collect();
    let all = emails.iter().map(async |email| join(&Visitor::new(&server), &secret, email, PASSWORD).await);
    let (joined, late): (Vec<_>, Vec<_>) =
        join_all(all).await.into_iter().zip(&emails).partition(|(answer, _)| answer.status == 303);
    assert_eq!(joined.len(), 1, "the link works once");
    let known = async || number(&kept, "SELECT count(*) FROM person").await;
    assert!(known().await > 1, "some came as far as saying who they are");
    let comes = async |email: &str, password: &str| {
        let (_, another) = link(&acme.client, json!({"role": "viewer"})).await;
        join(&Visitor::new(&server), &another, email, password).await.expect(303);
    };
    comes(late[0].1, PASSWORD).await;
    server.advance(2 * 3600);
    eventually("who joined is known, and nobody else", async || known().await == 2).await;
    comes(late[1].1, "thirteen dry herons").await;
}

#[tokio::test]
async fn a_link_that_is_used_withdrawn_late_or_made_up_is_answered_alike_with_whom_to_ask() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let (used, secret) = link(&acme.client, json!({"role": "viewer"})).await;
    join(&Visitor::new(&server), &secret, "bea@example.org", PASSWORD).await.expect(303);
    let (made, withdrawn) = invited(&acme.client, json!({"role": "viewer"})).await;
    acme.client.delete(&format!("/api/v1/invitations/{}", text(&made["id"]))).await.expect(200);
    let (late, _) = link(&acme.client, json!({"role": "viewer", "expiresAt": "2026-01-01T06:01:00Z"})).await;
    server.advance(60);
    let visitor = Visitor::new(&server);
    let first = visitor.open(&used).await.expect(410).body;
    assert!(
        first.contains("Ask whoever invited you") || first.contains("ask whoever invited you"),
        "{first}"
    );
    for path in [&late, "/join", "/join?invitation=", "/join?invitation=tsi_x"] {
        assert_eq!(visitor.open(path).await.expect(410).body, first, "{path}");
    }
    for secret in [secret.as_str(), &withdrawn, "tsi_x", ""] {
        assert_eq!(join(&visitor, secret, "eve@example.org", PASSWORD).await.expect(410).body, first);
    }
    let people = number(&server.database().await, "SELECT count(*) FROM person").await;
    assert_eq!(people, 1, "and nothing is left of who came in vain");
}

#[tokio::test]
async fn an_invitation_with_an_address_is_for_nobody_else() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let (path, secret) = link(&acme.client, json!({"role": "viewer", "email": "bea@example.org"})).await;
    let visitor = Visitor::new(&server);
    let page = visitor.open(&path).await.expect(200).body;
    let field = page.split("<input").find(|field| field.contains("name=\"email\"")).expect("the field");
    assert!(field.contains("value=\"bea@example.org\"") && field.contains("readonly"), "{field}");
    join(&visitor, &secret, "eve@example.org", PASSWORD).await.expect(403);
    let people = number(&server.database().await, "SELECT count(*) FROM person").await;
    assert_eq!(people, 0);
    let ada = Visitor::owner(&server).await;
    let page = ada.open(&path).await.expect(200).body;
    assert!(page.contains("somebody with another e-mail address") && !page.contains("Join as"), "{page}");
    ada.send("/join", &[("invitation", &secret), ("who", "me")]).await.expect(403);
    join(&visitor, &secret, "bea@example.org", PASSWORD).await.expect(303);
}

#[tokio::test]
async fn somebody_with_an_account_joins_with_its_password_or_signed_in_with_one_button() {
    let server = Server::start().await;
    server.tenant("Acme").await;
    let ada = Visitor::owner(&server).await;
    let (other, third) = (server.tenant("Other").await, server.tenant("Third").await);

    let (_, secret) = link(&other.client, json!({"role": "viewer"})).await;
    let visitor = Visitor::new(&server);
    let page = join(&visitor, &secret, EMAIL, "not the password at all").await.expect(400).body;
    assert!(page.contains("id=\"password-wrong\""), "{page}");
    join(&visitor, &secret, EMAIL, PASSWORD).await.expect(303);
    assert_eq!(visitor.open("/api/v1/tenant").await.expect(200).json["name"], "Other");

    let (path, secret) = link(&third.client, json!({"role": "admin"})).await;
    let page = ada.open(&path).await.expect(200).body;
    assert!(page.contains("Join as Ada") && page.contains(EMAIL), "{page}");
    let before = ada.cookie.lock().unwrap().clone();
    ada.send("/join", &[("invitation", &secret), ("who", "me")]).await.expect(303);
    assert_ne!(*ada.cookie.lock().unwrap(), before, "it is a new session");
    assert_eq!(ada.open("/api/v1/tenant").await.expect(200).json["name"], "Third");
    let people = number(&server.database().await, "SELECT count(*) FROM person").await;
    assert_eq!(people, 1, "it is the same person everywhere");

    let (_, again) = link(&third.client, json!({"role": "viewer"})).await;
    let page = ada.send("/join", &[("invitation", &again), ("who", "me")]).await.expect(409).body;
    assert!(page.contains("You are in this organisation already"), "{page}");
}

#[tokio::test]
async fn the_button_leads_to_signing_in_and_back_whoever_is_not_signed_in() {
    let server = Server::start().await;
    server.tenant("Acme").await;
    Visitor::owner(&server).await;
    let other = server.tenant("Other").await;
    let (path, secret) = link(&other.client, json!({"role": "viewer"})).await;
    let visitor = Visitor::new(&server);
    let sent = visitor.send("/join", &[("invitation", &secret), ("who", "me")]).await.expect(303);
    let next =
        sent.headers["location"].to_str().unwrap().split_once("next=").expect("a way back").1.to_owned();
    let next: String = form_urlencoded::parse(format!("next={next}").as_bytes()).next().unwrap().1.into();
    assert_eq!(next, path);
    let back = visitor.send("/signin", &[("email", EMAIL), ("password", PASSWORD), ("next", &next)]).await;
    assert_eq!(back.expect(303).headers["location"], path.as_str());
    assert!(visitor.open(&path).await.expect(200).body.contains("Join as Ada"));
}

#[tokio::test]
async fn no_other_page_makes_somebody_join() {
    let server = Server::start().await;
    server.tenant("Acme").await;
    let ada = Visitor::owner(&server).await;
    let other = server.tenant("Other").await;
    let (_, secret) = link(&other.client, json!({"role": "viewer"})).await;
    let fields = [("invitation", secret.as_str()), ("who", "me")];
    let foreign = ada.request(Method::POST, "/join").header("origin", "https://evil.example");
    let sent = crate::support::client::answer(crate::support::visitor::form(foreign, &fields)).await;
    sent.refused(403, "foreign_origin");
    assert_eq!(ada.open("/api/v1/tenant").await.expect(200).json["name"], "Acme");
}
