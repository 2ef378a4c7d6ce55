//! Signing in at a provider: who gets in, as whom, and what gets nobody in.

use std::sync::Arc;

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::{
    support::{
        Answer, Server, Tenant, Visitor,
        browser::Browser,
        dawn, number,
        provider::{Provider, jwk, key},
        text,
        visitor::{EMAIL, PASSWORD},
    },
    tokens::{es256, hs256},
};

/// A provider, and a service where people sign in with it.
async fn house() -> (Provider, Server, Tenant) {
    let provider = Provider::start().await;
    let server = Server::start_with(&provider.settings()).await;
    let tenant = server.tenant("Acme").await;
    (provider, server, tenant)
}

/// Follows the service to the provider and back; gives the path at the service that the provider sent them back to.
async fn there_and_back(visitor: &Visitor, next: &str) -> String {
    let begun = visitor.keep(visitor.open(&format!("/signin/oidc?next={next}")).await.expect(303));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let sent = client.get(begun.headers["location"].to_str().unwrap()).send().await.unwrap();
    assert_eq!(sent.status(), 302);
    let back = sent.headers()["location"].to_str().unwrap();
    back[back.find("/signin/oidc/callback").expect("the callback")..].to_owned()
}

/// Signs in at the provider.
pub(crate) async fn sign_in(visitor: &Visitor, next: &str) -> Answer {
    let back = there_and_back(visitor, next).await;
    visitor.keep(visitor.open(&back).await)
}

/// The owner, who has connected the provider.
pub(crate) async fn connected(server: &Server) -> Visitor {
    let owner = Visitor::owner(server).await;
    sign_in(&owner, "").await.expect(303);
    owner
}

async fn people(server: &Server) -> [i64; 3] {
    let database = server.database().await;
    let mut counts = [0; 3];
    for (count, table) in counts.iter_mut().zip(["person", "identity", "session"]) {
        *count = number(&database, &format!("SELECT count(*) FROM {table}")).await;
    }
    counts
}

/// The link of an invitation, as a path that a browser is led to afterwards.
async fn invited(tenant: &Tenant, body: Value) -> String {
    let made = tenant.client.post("/api/v1/invitations", body).await.expect(201).json;
    let link = text(&made["link"]);
    let path = &link[link.find("/join?").expect("a path")..];
    form_urlencoded::byte_serialize(path.as_bytes()).collect()
}

#[tokio::test]
async fn somebody_whose_address_is_known_signs_in_and_is_known_by_it_no_more() {
    let (provider, server, _) = house().await;
    let owner = Visitor::owner(&server).await;
    let visitor = Visitor::new(&server);
    let page = visitor.open("/signin?next=/account").await.expect(200);
    assert!(page.body.contains("href=\"/signin/oidc?next=%2Faccount\""), "{}", page.body);
    // Nobody has shown here that the address is theirs: whoever has the password has to say so.
    let refused = sign_in(&visitor, "").await.expect(403);
    assert!(refused.body.contains("it has a password"), "{}", refused.body);
    assert_eq!(people(&server).await, [1, 0, 1]);
    assert!(owner.open("/account").await.expect(200).body.contains("Connect "));
    let done = sign_in(&owner, "/account%3Fa%3Db").await.expect(303);
    assert_eq!(done.headers["location"], "/account?a=b");
    assert!(!owner.open("/account").await.expect(200).body.contains("Connect "));
    sign_in(&visitor, "").await.expect(303);
    let account = visitor.open("/account").await.expect(200);
    assert!(account.body.contains(EMAIL) && account.body.contains("owner"), "{}", account.body);
    let sessions = visitor.open("/api/v1/sessions").await.expect(200).json;
    assert_eq!(sessions["items"][0]["method"], "oidc");
    assert_eq!(people(&server).await, [1, 1, 3]);
    // From now on it is the provider's own name for them that counts.
    provider.say(json!({"email": "countess@example.org", "email_verified": false}));
    sign_in(&Visitor::new(&server), "").await.expect(303);
    assert_eq!(people(&server).await, [1, 1, 4]);
    provider.say(json!({"sub": "somebody else", "email_verified": false}));
    sign_in(&Visitor::new(&server), "").await.expect(403);
    // A mailbox may have another owner one day, and the account stays with the first.
    provider.say(json!({"sub": "somebody else"}));
    for browser in [&Visitor::new(&server), &owner] {
        let refused = sign_in(browser, "").await.expect(403);
        assert!(refused.body.contains("belongs to somebody else"), "{}", refused.body);
    }
    assert_eq!(people(&server).await, [1, 1, 4]);
}

#[tokio::test]
async fn somebody_unknown_gets_in_with_an_invitation_alone() {
    let (provider, server, acme) = house().await;
    let visitor = Visitor::new(&server);
    let refused = sign_in(&visitor, "").await.expect(403);
    assert!(refused.body.contains("ask an owner or admin"), "{}", refused.body);
    sign_in(&visitor, "/join%3Finvitation%3Dtsi_made_up").await.expect(410);
    assert_eq!(people(&server).await, [0, 0, 0], "nothing is kept of strangers");
    let others = invited(&acme, json!({"role": "member", "email": "eve@example.org"})).await;
    sign_in(&visitor, &others).await.expect(403);
    let mine = invited(&acme, json!({"role": "member", "email": "ADA@example.org"})).await;
    provider.say(json!({"email_verified": false}));
    let refused = sign_in(&visitor, &mine).await.expect(403);
    assert!(refused.body.contains("verified"), "{}", refused.body);
    provider.say(json!({"email_verified": null}));
    sign_in(&visitor, &mine).await.expect(403);
    assert_eq!(people(&server).await, [0, 0, 0]);
    provider.say(json!({}));
    let link = form_urlencoded::parse(mine.as_bytes()).next().unwrap().0.into_owned();
    let page = visitor.open(&link).await.expect(200);
    assert!(page.body.contains(&format!("href=\"/signin/oidc?next={mine}\"")), "{}", page.body);
    let done = sign_in(&visitor, &mine).await.expect(303);
    assert_eq!(done.headers["location"], "/", "the invitation is used up");
    assert_eq!(visitor.open("/api/v1/tenant").await.expect(200).json["name"], "Acme");
    assert_eq!(people(&server).await, [1, 1, 1]);
    Visitor::new(&server).sign_in(EMAIL, "").await.expect(422);
    provider.say(json!({"sub": "eve", "email": "eve@example.org"}));
    sign_in(&Visitor::new(&server), &mine).await.expect(410);
    sign_in(&Visitor::new(&server), "").await.expect(403);
    assert_eq!(people(&server).await, [1, 1, 1]);
}

#[tokio::test]
async fn an_answer_that_does_not_belong_to_this_sign_in_gets_nobody_in() {
    let (provider, server, _) = house().await;
    connected(&server).await;
    let before = people(&server).await;
    let refused = async |visitor: &Visitor, path: &str, status: u16| {
        let answer = visitor.keep(visitor.open(path).await.expect(status));
        assert!(answer.body.contains("Sign in again"), "{}", answer.body);
    };
    let visitor = Visitor::new(&server);
    let back = there_and_back(&visitor, "").await;
    let state = back.split("state=").nth(1).unwrap().split('&').next().unwrap();
    refused(&visitor, &back.replace(state, "another"), 422).await;
    refused(&visitor, &back, 422).await; // the first try took the cookie
    refused(&Visitor::new(&server), &there_and_back(&visitor, "").await, 422).await;
    let back = there_and_back(&visitor, "").await;
    refused(&visitor, &back.replace("iss=http", "iss=https"), 422).await;
    let back = there_and_back(&visitor, "").await;
    let (head, tail) = back.split_once("code=").unwrap();
    refused(&visitor, &format!("{head}code=made-up{}", tail.find('&').map_or("", |at| &tail[at..])), 422)
        .await;
    let back = there_and_back(&visitor, "").await;
    server.advance(10 * 60);
    refused(&visitor, &back, 422).await;
    provider.says.lock().refuses = true;
    let back = there_and_back(&visitor, "").await;
    refused(&visitor, &back, 422).await;
    provider.says.lock().metadata = json!({"authorization_response_iss_parameter_supported": true});
    server.advance(3_600);
    let back = there_and_back(&visitor, "").await;
    let unsigned = back.split('&').filter(|part| !part.starts_with("iss=")).collect::<Vec<_>>().join("&");
    refused(&visitor, &unsigned, 422).await;
    refused(&visitor, "/signin/oidc/callback", 422).await;
    assert_eq!(people(&server).await, before);
}

#[tokio::test]
async fn a_code_is_good_once() {
    let (_provider, server, _) = house().await;
    connected(&server).await;
    let visitor = Visitor::new(&server);
    let back = there_and_back(&visitor, "").await;
    let cookie = visitor.cookie.lock().unwrap().clone();
    visitor.keep(visitor.open(&back).await.expect(303));
    let thief = Visitor::new(&server);
    *thief.cookie.lock().unwrap() = cookie;
    thief.open(&back).await.expect(422);
    assert_eq!(people(&server).await, [1, 1, 3]);
}

#[tokio::test]
async fn an_id_token_that_is_wrong_gets_nobody_in() {
    let (provider, server, _) = house().await;
    connected(&server).await;
    let before = people(&server).await;
    let now = dawn().timestamp();
    let refused = async |name: &str| {
        let visitor = Visitor::new(&server);
        let answer = sign_in(&visitor, "").await;
        assert_eq!(answer.status, 422, "{name}: {}", answer.body);
        visitor.open("/account").await.expect(303);
    };
    for (name, claims) in [
        ("another nonce", json!({"nonce": "another"})),
        ("no nonce", json!({"nonce": null})),
        ("another issuer", json!({"iss": "https://idp.example.org"})),
        ("the issuer with a slash", json!({"iss": format!("{}/", provider.issuer)})),
        ("no issuer", json!({"iss": null})),
        ("for another", json!({"aud": "another"})),
        ("for another too", json!({"aud": ["trackside", "another"]})),
        ("for nobody", json!({"aud": []})),
        ("no audience", json!({"aud": null})),
        ("expired", json!({"exp": now})),
        ("no expiry", json!({"exp": null})),
        ("no subject", json!({"sub": null})),
    ] {
        provider.say(claims);
        refused(name).await;
    }
    provider.say(json!({}));
    let public = trackside_key();
    for (name, header, sign) in [
        (
            "another's signature",
            json!({"alg": "ES256", "kid": "first"}),
            Arc::new(es256(key(9))) as Arc<Signs>,
        ),
        ("an unknown key", json!({"alg": "ES256", "kid": "x"}), Arc::new(es256(key(9)))),
        ("its own key along", json!({"alg": "ES256", "jwk": jwk("x", &key(9))}), Arc::new(es256(key(9)))),
        ("alg none", json!({"alg": "none"}), Arc::new(|_: &[u8]| Vec::new())),
        ("alg none, signed", json!({"alg": "none", "kid": "first"}), Arc::new(es256(key(1)))),
        ("no signature", json!({"alg": "ES256", "kid": "first"}), Arc::new(|_: &[u8]| Vec::new())),
        ("HMAC with our secret", json!({"alg": "HS256"}), Arc::new(hs256(provider_secret()))),
        ("HMAC with its public key", json!({"alg": "HS256", "kid": "first"}), Arc::new(hs256(&public))),
    ] {
        {
            let mut says = provider.says.lock();
            says.header = header;
            says.sign = sign;
        }
        refused(name).await;
    }
    assert_eq!(people(&server).await, before);
    provider.turn_to("first", 1);
    sign_in(&Visitor::new(&server), "").await.expect(303);
}

type Signs = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

fn provider_secret() -> &'static [u8] {
    crate::support::provider::CLIENT_SECRET.as_bytes()
}

fn trackside_key() -> Vec<u8> {
    use p256::elliptic_curve::sec1::ToSec1Point as _;
    key(1).public_key().to_sec1_point(false).as_bytes().to_vec()
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_known_when_it_is_first_used() {
    let (provider, server, _) = house().await;
    connected(&server).await;
    sign_in(&Visitor::new(&server), "").await.expect(303);
    assert_eq!(provider.says.lock().keys_asked, 1);
    sign_in(&Visitor::new(&server), "").await.expect(303);
    assert_eq!(provider.says.lock().keys_asked, 1, "they are kept");
    server.advance(60);
    provider.turn_to("second", 2);
    sign_in(&Visitor::new(&server), "").await.expect(303);
    assert_eq!(provider.says.lock().keys_asked, 2);
    provider.turn_to("third", 3);
    sign_in(&Visitor::new(&server), "").await.expect(422);
    assert_eq!(provider.says.lock().keys_asked, 2, "once a minute");
    server.advance(60);
    sign_in(&Visitor::new(&server), "").await.expect(303);
}

#[tokio::test]
async fn a_provider_that_is_down_is_said_to_be_and_keeps_nobody_out_who_has_a_password() {
    let (provider, server, _) = house().await;
    Visitor::owner(&server).await;
    provider.says.lock().is_down = true;
    let visitor = Visitor::new(&server);
    let page = visitor.open("/signin/oidc").await.expect(503);
    assert!(page.body.contains("cannot be asked at the moment"), "{}", page.body);
    visitor.sign_in(EMAIL, PASSWORD).await.expect(303);
    provider.says.lock().is_down = false;
    server.advance(5);
    let back = there_and_back(&visitor, "").await;
    provider.says.lock().is_down = true;
    let page = visitor.open(&back).await.expect(503);
    assert!(page.body.contains("cannot be asked at the moment"), "{}", page.body);
}

#[tokio::test]
async fn a_provider_that_names_itself_otherwise_is_none() {
    let (provider, server, _) = house().await;
    provider.says.lock().metadata = json!({"issuer": "https://idp.example.org"});
    Visitor::new(&server).open("/signin/oidc").await.expect(503);
}

#[tokio::test]
async fn whoever_belongs_to_several_tenants_chooses_one_and_who_is_deactivated_is_refused() {
    let (_provider, server, _) = house().await;
    connected(&server).await;
    let other = server.tenant("Other").await;
    let database = server.database().await;
    let join = "INSERT INTO principal (id, tenant_id, kind, name, role, created_at, person_id) \
                SELECT t.id, t.id, p.kind, p.name, 'viewer', p.created_at, p.person_id FROM principal p, tenant t \
                WHERE p.person_id IS NOT NULL AND t.name = 'Other'";
    database.execute_unprepared(join).await.unwrap();
    let visitor = Visitor::new(&server);
    let page = sign_in(&visitor, "").await.expect(200);
    assert!(page.body.contains("Acme") && page.body.contains("Other"), "{}", page.body);
    let proof = page.body.split("name=\"proof\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    visitor.send("/signin/tenant", &[("proof", proof), ("tenant", &other.id.to_string())]).await.expect(303);
    assert_eq!(visitor.open("/api/v1/tenant").await.expect(200).json["name"], "Other");
    let sessions = visitor.open("/api/v1/sessions").await.expect(200).json;
    assert_eq!(sessions["items"][0]["method"], "oidc");
    database.execute_unprepared("UPDATE principal SET deactivated_at = created_at").await.unwrap();
    let refused = sign_in(&Visitor::new(&server), "").await.expect(403);
    assert!(refused.body.contains("you belong to no organisation"), "{}", refused.body);
    // And whoever is invited again is in again.
    database
        .execute_unprepared("UPDATE principal SET deactivated_at = NULL WHERE person_id IS NULL")
        .await
        .unwrap();
    let again = invited(&other, json!({"role": "member", "email": EMAIL})).await;
    let visitor = Visitor::new(&server);
    sign_in(&visitor, &again).await.expect(303);
    assert_eq!(visitor.open("/api/v1/tenant").await.expect(200).json["name"], "Other");
}

#[tokio::test]
async fn the_cookie_of_the_way_there_is_for_the_browser_alone() {
    let (provider, server, _) = house().await;
    let begun = Visitor::new(&server).open("/signin/oidc?next=//evil.example").await.expect(303);
    let line = begun.headers["set-cookie"].to_str().unwrap();
    assert!(
        line.starts_with("trackside-oidc=") && line.ends_with("; Max-Age=600; HttpOnly; SameSite=Lax"),
        "{line}"
    );
    let to = begun.headers["location"].to_str().unwrap();
    assert!(to.starts_with(&format!("{}/authorize?", provider.issuer)), "{to}");
    let settings = [&provider.settings()[..], &[("TRACKSIDE_PUBLIC_URL", "https://track.example")]].concat();
    let behind_proxy = Visitor::new(&server.another(&settings).await);
    let begun = behind_proxy.open("/signin/oidc").await.expect(303);
    let line = begun.headers["set-cookie"].to_str().unwrap();
    assert!(line.starts_with("__Host-trackside-oidc=") && line.ends_with("; Secure"), "{line}");
    let led = Visitor::new(&server).request(reqwest::Method::GET, "/signin/oidc?next=/account");
    let led = crate::support::client::answer(led.header("sec-fetch-site", "cross-site")).await.expect(303);
    assert_eq!(led.headers["location"], "/signin?next=%2Faccount", "only the button here begins");
    let without = server.another(&[]).await;
    let page = Visitor::new(&without).open("/signin").await.expect(200);
    assert!(!page.body.contains("/signin/oidc"), "{}", page.body);
    for path in ["/signin/oidc", "/signin/oidc/callback"] {
        Visitor::new(&without).open(path).await.expect(404);
    }
}

#[tokio::test]
async fn attempts_are_limited_from_where_they_come() {
    let provider = Provider::start().await;
    let few = [("TRACKSIDE_SIGN_INS_PER_MINUTE", "1"), ("REDIS_URL", "")];
    let server = Server::start_with(&[&provider.settings()[..], &few].concat()).await;
    let visitor = Visitor::new(&server);
    for _ in 0..12 {
        // Any page may send its visitors here, who have begun nothing or something else.
        visitor.open("/signin/oidc/callback").await.expect(422);
    }
    let mut back = String::new();
    for _ in 0..6 {
        back = there_and_back(&visitor, "").await;
        visitor.open(&back.replace("code=", "not=")).await.expect(422);
    }
    let refused = visitor.open(&back).await.expect(429);
    assert_eq!(refused.headers["retry-after"], "10");
}

#[tokio::test]
async fn somebody_presses_the_button_and_is_in() {
    let (_provider, server, _) = house().await;
    connected(&server).await;
    let mut browser = Browser::start().await;
    browser.open(&server.stranger().address("http", "/signin")).await;
    browser.keep("sign-in-elsewhere").await;
    browser.press("Sign in with Example").await;
    browser.go_to_account().await;
    let cookies = browser.cookies().await;
    assert_eq!(cookies.len(), 1, "that of the way there is gone: {cookies:?}");
    assert_eq!(cookies[0]["name"], "trackside");
}
