//! The consent page, as a browser meets it, and what the code that it gives buys.

use entity::oauth_grant;
use sea_orm::{ActiveValue::Set, EntityTrait as _};
use serde_json::{Value, json};
use trackside::accounts::oauth::clients;
use uuid::Uuid;

use super::{CALLBACK, CHALLENGE, VERIFIER, document};
use crate::support::{
    Answer, Client, Server, Tenant, Visitor,
    client::answer,
    dawn, number, sabotage, text,
    tls::{Reply, TlsHost},
    visitor::{EMAIL, PASSWORD, form},
};

/// A service with an owner who is signed in, and a client that the operator registered.
async fn place() -> (Server, Tenant, Visitor) {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let owner = Visitor::owner(&server).await;
    clients::register(&server.service.app, document("our-ide")).await.unwrap();
    (server, acme, owner)
}

/// The path of the person who set the installation up.
async fn ada(acme: &Tenant) -> String {
    let listed = acme.client.get("/api/v1/principals").await.expect(200).json;
    let ada =
        listed["items"].as_array().unwrap().iter().find(|one| one["name"] == "Ada").expect("she is there");
    format!("/api/v1/principals/{}", text(&ada["id"]))
}

/// Without whom the person who set the installation up stays an owner.
async fn another_owner(server: &Server, acme: &Tenant) {
    Visitor::joined(server, acme, "owner", "bea@example.org").await;
}

/// What the client asks for, with some parameters changed, left out or added.
pub(crate) fn request(changes: &[(&str, Option<&str>)]) -> String {
    let usual = [
        ("client_id", "our-ide"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "s-1"),
    ];
    let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
    let kept = usual.into_iter().filter(|(name, _)| !is_changed(name));
    let new = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(kept.chain(new)).finish()
}

async fn look(person: &Visitor, query: &str) -> Answer {
    person.open(&format!("/oauth/authorize?{query}")).await
}

/// Looks, and answers with the form that is there.
pub(crate) async fn say(person: &Visitor, query: &str, said: &str) -> Answer {
    let page = look(person, query).await;
    answer_to(&page, person, query, said).await
}

/// Answers with the form of a page that was opened before.
async fn answer_to(page: &Answer, person: &Visitor, query: &str, said: &str) -> Answer {
    let form = page.body.split("</form>").next().unwrap_or_default();
    let hidden = form.split("<input type=\"hidden\" name=\"").skip(1).map(|input| {
        let (name, rest) = input.split_once("\" value=\"").expect("a field with a value");
        (name, rest.split('"').next().unwrap_or_default())
    });
    let told = hidden.filter(|(name, _)| *name != "asked"); // which alone is written in another way there
    let fields: Vec<_> = told.chain([("asked", query), ("answer", said)]).collect();
    person.send("/oauth/authorize", &fields).await
}

/// What the browser brings back to the client.
fn brought(answer: &Answer) -> Value {
    let to = reqwest::Url::parse(answer.headers["location"].to_str().unwrap()).unwrap();
    assert!(to.as_str().starts_with(CALLBACK), "{to}");
    to.query_pairs().into_owned().map(|(name, value)| (name, Value::String(value))).collect()
}

/// The code that somebody gives the client who agrees.
pub(crate) async fn code(person: &Visitor, query: &str) -> String {
    text(&brought(&say(person, query, "allow").await.expect(303))["code"])
}

async fn buy(client: &Client, parameters: &[(&str, &str)]) -> Answer {
    answer(form(client.request(reqwest::Method::POST, "/oauth/token"), parameters)).await
}

pub(crate) async fn redeem(client: &Client, code: &str, more: &[(&str, &str)]) -> Answer {
    let mine = [
        ("grant_type", "authorization_code"),
        ("client_id", "our-ide"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("code", code),
    ];
    buy(client, &[&mine[..], more].concat()).await
}

pub(crate) async fn refresh(client: &Client, token: &Value, more: &[(&str, &str)]) -> Answer {
    let token = text(token);
    let mine = [("grant_type", "refresh_token"), ("client_id", "our-ide"), ("refresh_token", &token)];
    buy(client, &[&mine[..], more].concat()).await
}

/// An address of the service.
fn at(server: &Server, path: &str) -> String {
    server.stranger().address("http", path)
}

#[track_caller]
fn refused(answer: &Answer, error: &str) {
    assert_eq!((answer.status, &answer.json["error"]), (400, &json!(error)), "{}", answer.body);
}

#[tokio::test]
async fn somebody_lets_a_client_in_and_it_works_until_they_end_it() {
    let (server, _, owner) = place().await;
    let stranger = server.stranger();
    let query =
        request(&[("scope", Some("projects.read keys.write")), ("resource", Some(&at(&server, "/api/v1")))]);
    let page = look(&owner, &query).await.expect(200);
    for told in ["Visitor", "Acme", "See: projects", "Change: ", "API keys", "localhost", "your own machine"]
    {
        assert!(page.body.contains(told), "{told}: {}", page.body);
    }
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("form-action 'self' http://localhost:51234;"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && page.headers["cache-control"] == "no-store");

    let back = brought(&say(&owner, &query, "allow").await.expect(303));
    assert_eq!((&back["state"], &back["iss"]), (&json!("s-1"), &json!(at(&server, ""))));
    let bought = redeem(&stranger, &text(&back["code"]), &[]).await.expect(200);
    assert_eq!(bought.headers["cache-control"], "no-store");
    assert_eq!(
        (&bought.json["scope"], &bought.json["token_type"]),
        (&json!("projects.read keys.write"), &json!("Bearer"))
    );
    let client = stranger.showing(&text(&bought.json["access_token"]));
    client.get("/api/v1/projects").await.expect(200);
    client.get("/api/v1/security-events").await.refused(403, "insufficient_scope");
    client.post("/mcp", json!({})).await.refused(401, "unauthenticated"); // it was not asked for

    let next =
        refresh(&stranger, &bought.json["refresh_token"], &[("scope", "projects.read")]).await.expect(200);
    assert_eq!(next.json["scope"], "projects.read");
    stranger.showing(&text(&next.json["access_token"])).get("/api/v1/projects").await.expect(200);

    let account = owner.open("/account").await.expect(200);
    let (_, after) = account.body.split_once("name=\"grant\" value=\"").expect("it is on the account page");
    let grant = &after[..36];
    owner.send("/account/grants/end", &[("grant", grant)]).await.expect(303);
    client.get("/api/v1/projects").await.refused(401, "unauthenticated");
    refused(&refresh(&stranger, &next.json["refresh_token"], &[]).await, "invalid_grant");
    assert!(
        owner
            .open("/account")
            .await
            .expect(200)
            .body
            .contains("There are none. A program that you connect asks you first")
    );
}

#[tokio::test]
async fn what_somebody_ended_hides_nothing_of_what_they_did_not() {
    let (server, acme, owner) = place().await;
    let (path, query) = (ada(&acme).await, request(&[]));
    code(&owner, &query).await;
    let (_, ada) = path.rsplit_once('/').unwrap();
    let ended = (0..201_u128).map(|number| oauth_grant::ActiveModel {
        id: Set(Uuid::from_u128(u128::MAX - number)), // newer than any
        tenant_id: Set(acme.id.0),
        principal_id: Set(ada.parse().unwrap()),
        client_id: Set("cli".into()),
        client_name: Set("cli".into()),
        scopes: Set(json!(["work.read"])),
        resources: Set(json!([])),
        created_at: Set(dawn()),
        last_used_at: Set(None),
        revoked_at: Set(Some(dawn())),
    });
    let database = server.database().await;
    oauth_grant::Entity::insert_many(ended).exec_without_returning(&database).await.unwrap();
    let account = owner.open("/account").await.expect(200);
    assert!(account.body.contains("name=\"grant\" value="), "what is open is there to be ended");
}

#[tokio::test]
async fn whoever_is_not_signed_in_signs_in_first_and_goes_on() {
    let (server, ..) = place().await;
    let person = Visitor::new(&server);
    let query = request(&[("state", Some("a b&c=d/\u{e4}"))]);
    let to = look(&person, &query).await.expect(303).headers["location"].to_str().unwrap().to_owned();
    let page = person.open(&to).await.expect(200);
    let (_, next) = to.split_once("/signin?next=").expect("the way to sign in");
    let next = form_urlencoded::parse(format!("next={next}").as_bytes()).next().unwrap().1.into_owned();
    assert!(page.body.contains(&next.replace('&', "&amp;")), "{}", page.body);
    let fields = [("email", EMAIL), ("password", PASSWORD), ("next", &next)];
    let on = person.send("/signin", &fields).await.expect(303);
    assert_eq!(on.headers["location"], format!("/oauth/authorize?{query}").as_str());
    look(&person, &query).await.expect(200);

    let other = person.send("/signout", &[("next", &next)]).await.expect(303);
    assert_eq!(other.headers["location"], to.as_str(), "somebody else may sign in, and goes on there");
    assert_eq!(say(&person, &query, "allow").await.expect(303).headers["location"], to.as_str());
    let long = request(&[("state", Some(&"x".repeat(5_000)))]);
    assert!(look(&person, &long).await.expect(400).body.contains("too long"));
}

#[tokio::test]
async fn nobody_agrees_for_somebody_else() {
    let (server, _, owner) = place().await;
    let query = request(&[]);
    let fields = [("asked", &*query), ("answer", "allow")];
    for origin in [None, Some("null"), Some("https://evil.example")] {
        let request = owner.request(reqwest::Method::POST, "/oauth/authorize");
        let request = origin.map_or(request.try_clone().unwrap(), |origin| request.header("origin", origin));
        answer(form(request, &fields)).await.expect(403);
    }
    let key = server.tenant("Other").await.client;
    let bare = key.request(reqwest::Method::POST, "/oauth/authorize").header("origin", at(&server, ""));
    let sent = answer(form(bare, &fields)).await.expect(303);
    assert!(sent.headers["location"].to_str().unwrap().starts_with("/signin?"), "a key agrees to nothing");
    assert_eq!(number(&server.database().await, "SELECT count(*) FROM oauth_grant").await, 0);
}

#[tokio::test]
async fn who_does_not_want_it_says_so_and_nothing_is_kept() {
    let (server, _, owner) = place().await;
    let query = request(&[]);
    let back = brought(&say(&owner, &query, "deny").await.expect(303));
    assert_eq!((&back["error"], &back["state"]), (&json!("access_denied"), &json!("s-1")));
    say(&owner, &query, "perhaps").await.expect(400);
    for query in [
        request(&[("client_id", Some("nobody"))]),
        request(&[("redirect_uri", Some("https://evil.example/"))]),
    ] {
        for answer in [look(&owner, &query).await, say(&owner, &query, "allow").await] {
            assert!(answer.is_page() && answer.headers.get("location").is_none(), "{}", answer.body);
            answer.expect(400);
        }
    }
    let back = brought(&look(&owner, &request(&[("code_challenge", None)])).await.expect(303));
    assert_eq!(back["error"], "invalid_request");
    assert_eq!(number(&server.database().await, "SELECT count(*) FROM oauth_grant").await, 0);
}

#[tokio::test]
async fn a_client_is_given_what_the_person_has_and_what_was_agreed_to_and_no_more() {
    let (server, acme, person) = place().await;
    another_owner(&server, &acme).await;
    let stranger = server.stranger();
    let everything = "projects.read projects.write keys.read keys.write moon.read";
    acme.client.patch(&ada(&acme).await, json!({"role": "member"})).await.expect(200);
    let page = look(&person, &request(&[("scope", Some(everything))])).await.expect(200);
    assert!(!page.body.contains("API keys"), "a member cannot give what they do not have");
    let code =
        code(&person, &request(&[("scope", Some(everything)), ("resource", Some(&at(&server, "/mcp")))]))
            .await;
    let narrow = redeem(&stranger, &code, &[("resource", &at(&server, "/mcp"))]).await.expect(200);
    assert_eq!(narrow.json["scope"], "projects.read");
    let back = brought(&look(&person, &request(&[("scope", Some("keys.read"))])).await.expect(303));
    assert_eq!(back["error"], "invalid_scope");
    let token = &narrow.json["refresh_token"];
    refused(&refresh(&stranger, token, &[("resource", &at(&server, "/api/v1"))]).await, "invalid_target");
    refused(&refresh(&stranger, token, &[("scope", "keys.write")]).await, "invalid_scope");
    refresh(&stranger, token, &[]).await.expect(200); // within the minute, it is still good
}

#[tokio::test]
async fn what_is_wrong_with_a_code_is_told_in_the_words_of_oauth() {
    let (server, acme, owner) = place().await;
    another_owner(&server, &acme).await;
    let stranger = server.stranger();
    let good = code(&owner, &request(&[])).await;
    for (more, error) in [
        (("code_verifier", "x".repeat(43)), "invalid_grant"),
        (("redirect_uri", "http://localhost:1/callback".to_owned()), "invalid_grant"),
        (("client_id", "another".to_owned()), "invalid_grant"),
        (("code", "tsc_x".to_owned()), "invalid_grant"),
        (("code", String::new()), "invalid_request"),
        (("code_verifier", String::new()), "invalid_request"),
    ] {
        let mine = [
            ("grant_type", "authorization_code"),
            ("client_id", "our-ide"),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("code", &good),
        ];
        let parameters: Vec<_> =
            mine.into_iter().map(|pair| if pair.0 == more.0 { (pair.0, &*more.1) } else { pair }).collect();
        refused(&buy(&stranger, &parameters).await, error);
    }
    let secret = redeem(&stranger, &good, &[("client_secret", "x")]).await.expect(401);
    assert_eq!(secret.json["error"], "invalid_client");
    redeem(&stranger, &good, &[]).await.expect(200);
    refused(&redeem(&stranger, &good, &[]).await, "invalid_grant");
    let reuse = acme.client.get("/api/v1/security-events?action=code_reused").await.expect(200).json;
    assert_eq!(reuse["items"][0]["ip"], "127.0.0.1", "where it came from again is known");
    let next = code(&owner, &request(&[])).await;
    acme.client.post(&format!("{}/deactivate", ada(&acme).await), json!({})).await.expect(200);
    refused(&redeem(&stranger, &next, &[]).await, "invalid_grant");
}

#[tokio::test]
async fn whoever_asks_for_too_much_may_ask_again_for_less() {
    let (server, acme, owner) = place().await;
    another_owner(&server, &acme).await;
    let stranger = server.stranger();
    acme.client.patch(&ada(&acme).await, json!({"role": "member"})).await.expect(200);
    let code = code(&owner, &request(&[("resource", Some(&at(&server, "/mcp")))])).await;
    let api = at(&server, "/api/v1");
    let (too_much, elsewhere) = ([("scope", "keys.write")], [("resource", &*api)]);
    refused(&redeem(&stranger, &code, &too_much).await, "invalid_scope");
    refused(&redeem(&stranger, &code, &elsewhere).await, "invalid_target");
    let bought = redeem(&stranger, &code, &[]).await.expect(200).json;
    let token = &bought["refresh_token"];
    refused(&refresh(&stranger, token, &too_much).await, "invalid_scope");
    refused(&refresh(&stranger, token, &elsewhere).await, "invalid_target");
    server.advance(62);
    let next = refresh(&stranger, token, &[]).await.expect(200).json;
    server.advance(62);
    refused(&refresh(&stranger, token, &too_much).await, "invalid_grant"); // it comes twice, whatever it asks for
    refused(&refresh(&stranger, &next["refresh_token"], &[]).await, "invalid_grant");
}

#[tokio::test]
async fn an_outage_costs_nobody_their_code_or_token() {
    let (server, _, owner) = place().await;
    let (stranger, database) = (server.stranger(), server.database().await);
    let code = code(&owner, &request(&[])).await;
    let fails = async |parameters: &[(&str, &str)]| {
        sabotage::refuse_inserts(&database, "refresh_token", "the disk is full").await;
        let request = form(stranger.request(reqwest::Method::POST, "/oauth/token"), parameters);
        assert_eq!(request.send().await.unwrap().status(), 500);
        sabotage::mend(&database, "refresh_token").await;
    };
    let mine = [("client_id", "our-ide"), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
    fails(&[&mine[..], &[("grant_type", "authorization_code"), ("code", &code)]].concat()).await;
    let bought = redeem(&stranger, &code, &[]).await.expect(200).json;
    let token = text(&bought["refresh_token"]);
    fails(&[&mine[..1], &[("grant_type", "refresh_token"), ("refresh_token", &token)]].concat()).await;
    server.advance(62);
    refresh(&stranger, &bought["refresh_token"], &[]).await.expect(200);
}

#[tokio::test]
async fn what_is_agreed_to_is_what_was_seen() {
    let (server, acme, person) = place().await;
    another_owner(&server, &acme).await;
    let app = &server.service.app;
    let query = request(&[("scope", Some("projects.read projects.write"))]);
    acme.client.patch(&ada(&acme).await, json!({"role": "viewer"})).await.expect(200);
    let as_viewer = look(&person, &query).await.expect(200);
    assert!(!as_viewer.body.contains("Change: "), "{}", as_viewer.body);
    acme.client.patch(&ada(&acme).await, json!({"role": "owner"})).await.expect(200);
    let anew = answer_to(&as_viewer, &person, &query, "allow").await.expect(409);
    for told in ["look again", "Change: ", "value=\"allow\""] {
        assert!(anew.is_page() && anew.body.contains(told), "{told}: {}", anew.body);
    }
    let mut renamed = document("our-ide");
    renamed["client_name"] = json!("Renamed");
    clients::register(app, renamed).await.unwrap();
    answer_to(&anew, &person, &query, "allow").await.expect(409);
    let bare = [("asked", &*query), ("answer", "allow")];
    person.send("/oauth/authorize", &bare).await.expect(409);
    assert_eq!(number(&server.database().await, "SELECT count(*) FROM oauth_grant").await, 0);
    brought(&answer_to(&as_viewer, &person, &query, "deny").await.expect(303));
    brought(&say(&person, &query, "allow").await.expect(303));
}

#[tokio::test]
async fn nobody_is_led_elsewhere_by_a_client_that_only_they_vouch_for() {
    let host = TlsHost::start().await;
    let (allowed, authority) = (host.allowed(), host.authority().display().to_string());
    let settings = [("TRACKSIDE_FETCH_ALLOW", &*allowed), ("TRACKSIDE_CA_FILE", &authority)];
    let server = Server::start_with(&settings).await;
    server.tenant("Acme").await;
    let (owner, id) = (Visitor::owner(&server).await, host.url("/client.json"));
    let mut document = document(&id);
    document["redirect_uris"] = json!(["https://evil.example/signin", CALLBACK]);
    host.at("/client.json", Reply::json(&document));
    let wrong =
        |to| request(&[("client_id", Some(&id)), ("redirect_uri", Some(to)), ("response_type", Some("x"))]);
    let elsewhere = "https://evil.example/signin";
    let told = look(&owner, &wrong(elsewhere)).await.expect(400);
    assert!(told.headers.get("location").is_none() && told.is_page());
    for part in
        ["Go back to evil.example", "href=\"https://evil.example/signin?error=unsupported_response_type"]
    {
        assert!(told.body.contains(part), "{part}: {}", told.body);
    }
    let back = brought(&look(&owner, &wrong(CALLBACK)).await.expect(303)); // a program of the user's own waits there
    assert_eq!(back["error"], "unsupported_response_type");
    let right = request(&[("client_id", Some(&id)), ("redirect_uri", Some(elsewhere))]);
    let denied = say(&owner, &right, "deny").await.expect(303);
    let to = denied.headers["location"].to_str().unwrap();
    assert!(to.starts_with("https://evil.example/signin?error=access_denied"), "they said so: {to}");
    clients::register(&server.service.app, document).await.unwrap();
    look(&owner, &wrong(elsewhere)).await.expect(303);
}

#[tokio::test]
async fn nobody_has_more_documents_fetched_than_they_may_ask_for() {
    let server = Server::start_with(&[("TRACKSIDE_REST_PER_MINUTE", "3")]).await;
    server.tenant("Acme").await;
    let owner = Visitor::owner(&server).await;
    let query = request(&[("client_id", Some("https://127.0.0.1:1/client.json"))]);
    for _ in 0..3 {
        look(&owner, &query).await.expect(400);
    }
    look(&owner, &query).await.expect(429);
}
