//! Tokens of an issuer elsewhere: whose they are here, and what is none.

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::{OPEN, but, es256, forge, hs256, token};
use crate::{
    oidc::{connected, sign_in},
    support::{
        Answer, Client, EventStream, Server, Tenant, Visitor, dawn,
        provider::{Provider, jwk, key},
        text,
    },
};

/// A provider whose tokens are accepted, and a service whose owner has signed in there.
async fn house() -> (Provider, Server, Tenant) {
    let provider = Provider::start().await;
    let outside = [("TRACKSIDE_OAUTH_ISSUER", &*provider.issuer)];
    let server = Server::start_with(&[&provider.settings()[..], &outside].concat()).await;
    let tenant = server.tenant("Acme").await;
    connected(&server).await;
    sign_in(&Visitor::new(&server), "").await.expect(303);
    (provider, server, tenant)
}

/// What a good token says.
fn claims(provider: &Provider, server: &Server) -> Value {
    let now = dawn().timestamp();
    json!({
        "iss": provider.issuer, "sub": "248289761001", "aud": server.stranger().address("http", "/api/v1"),
        "exp": now + 3_600, "iat": now, "scope": "openid status.read projects.read projects.write events.read",
    })
}

/// Asks the tools which there are.
async fn ask_tools(client: &Client) -> Answer {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let kinds = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    client.post_bytes("/mcp", &kinds, call.to_string().into_bytes()).await
}

#[tokio::test]
async fn a_token_of_the_issuer_opens_what_both_it_and_its_principal_may() {
    let (provider, server, acme) = house().await;
    let claims = claims(&provider, &server);
    let client = server.client(&provider.token(&claims));
    assert_eq!(client.get(OPEN).await.expect(200).json["name"], "Acme");
    let made = json!({"name": "Rocket", "repoUrl": "https://github.com/acme/rocket"});
    client.post("/api/v1/projects", made.clone()).await.expect(201);
    client.get("/api/v1/api-keys").await.refused(403, "insufficient_scope");
    client.get("/api/v1/sessions").await.refused(403, "insufficient_scope");
    client.get("/api/v1/grants").await.refused(403, "insufficient_scope");
    client.post("/api/v1/stream-tickets", json!({})).await.refused(403, "insufficient_scope");
    let (api, mcp, all) =
        (&claims["aud"], server.stranger().address("http", "/mcp"), server.stranger().address("http", ""));
    for (aud, opens) in [
        (json!(mcp), (401, 200)),
        (json!([api, mcp]), (200, 200)),
        (json!(all), (200, 200)),
        (json!(api), (200, 401)),
    ] {
        let client = server.client(&provider.token(&but(&claims, json!({"aud": aud}))));
        assert_eq!((client.get(OPEN).await.status, ask_tools(&client).await.status), opens, "{aud}");
    }
    // As other issuers write them; what is unknown here grants nothing, and neither does nothing.
    let listed = but(&claims, json!({"scope": null, "scp": ["projects.read"]}));
    let client = server.client(&provider.token(&listed));
    client.get("/api/v1/projects").await.expect(200);
    client.post("/api/v1/projects", made).await.refused(403, "insufficient_scope");
    let none = server.client(&provider.token(&but(&claims, json!({"scope": null}))));
    none.get("/api/v1/projects").await.refused(403, "insufficient_scope");
    // Keys, and tokens of our own, are good as before.
    acme.client.get(OPEN).await.expect(200);
    server.client(&token(&acme.client, &[]).await).get(OPEN).await.expect(200);
}

#[tokio::test]
async fn an_audience_may_be_set() {
    let provider = Provider::start().await;
    let outside =
        [("TRACKSIDE_OAUTH_ISSUER", &*provider.issuer), ("TRACKSIDE_OAUTH_AUDIENCE", "trackside-api")];
    let server = Server::start_with(&[&provider.settings()[..], &outside].concat()).await;
    server.tenant("Acme").await;
    connected(&server).await;
    sign_in(&Visitor::new(&server), "").await.expect(303);
    let claims = claims(&provider, &server);
    server.client(&provider.token(&claims)).get(OPEN).await.refused(401, "unauthenticated");
    let client = server.client(&provider.token(&but(&claims, json!({"aud": "trackside-api"}))));
    client.get(OPEN).await.expect(200);
    ask_tools(&client).await.expect(200);
}

#[tokio::test]
async fn whatever_is_wrong_with_such_a_token_is_refused_in_the_same_words() {
    let (provider, server, acme) = house().await;
    let claims = claims(&provider, &server);
    let header = json!({"alg": "ES256", "kid": "first", "typ": "JWT"});
    let theirs = || es256(key(1));
    let with_header = |members| forge(&but(&header, members), &claims, theirs());
    let with_claims = |members| forge(&header, &but(&claims, members), theirs());
    let now = dawn().timestamp();
    let public = {
        use p256::elliptic_curve::sec1::ToSec1Point as _;
        key(1).public_key().to_sec1_point(false).as_bytes().to_vec()
    };
    let hs = but(&header, json!({"alg": "HS256"}));
    server.client(&forge(&header, &claims, theirs())).get(OPEN).await.expect(200);
    for typ in ["at+jwt", "application/AT+JWT", "jwt"].map(Value::from).into_iter().chain([Value::Null]) {
        server.client(&with_header(json!({"typ": typ}))).get(OPEN).await.expect(200);
    }
    server.client(&with_claims(json!({"iat": null, "nbf": now}))).get(OPEN).await.expect(200);
    let mine = jwk("x", &key(9));
    let cases = [
        ("not signed", forge(&header, &claims, |_| vec![])),
        ("alg none", forge(&but(&header, json!({"alg": "none"})), &claims, |_| vec![])),
        ("alg none, signed", with_header(json!({"alg": "none"}))),
        ("another curve", with_header(json!({"alg": "ES384"}))),
        ("RSA", with_header(json!({"alg": "RS256"}))),
        ("EdDSA", with_header(json!({"alg": "EdDSA"}))),
        ("HS256 with the public key", forge(&hs, &claims, hs256(&public))),
        ("HS256 with no secret", forge(&hs, &claims, hs256(b""))),
        ("HS384", with_header(json!({"alg": "HS384"}))),
        ("another's signature", forge(&header, &claims, es256(key(9)))),
        ("a signature of zeros", forge(&header, &claims, |_| vec![0; 64])),
        ("no kid", with_header(json!({"kid": null}))),
        ("an unknown kid", with_header(json!({"kid": "x"}))),
        (
            "a key in the header",
            forge(&but(&header, json!({"kid": "x", "jwk": mine})), &claims, es256(key(9))),
        ),
        (
            "a key in the header under its kid",
            forge(&but(&header, json!({"jwk": mine})), &claims, es256(key(9))),
        ),
        (
            "a key elsewhere",
            forge(&but(&header, json!({"jku": "https://thief.example/x"})), &claims, es256(key(9))),
        ),
        ("a logout token", with_header(json!({"typ": "logout+jwt"}))),
        ("another type", with_header(json!({"typ": "dpop+jwt"}))),
        ("an ID token", with_claims(json!({"nonce": "n-1"}))),
        ("something critical", with_header(json!({"crit": ["exp"]}))),
        ("another issuer", with_claims(json!({"iss": "https://idp.example.org"}))),
        ("the issuer with a slash", with_claims(json!({"iss": format!("{}/", provider.issuer)}))),
        ("us as the issuer", with_claims(json!({"iss": server.stranger().address("http", "")}))),
        ("several issuers", with_claims(json!({"iss": [provider.issuer]}))),
        ("no issuer", with_claims(json!({"iss": null}))),
        ("another audience", with_claims(json!({"aud": "https://other.example"}))),
        ("the client's audience, as of an ID token", with_claims(json!({"aud": "trackside"}))),
        ("no audience", with_claims(json!({"aud": null}))),
        ("an audience of nobody", with_claims(json!({"aud": []}))),
        ("no expiry", with_claims(json!({"exp": null}))),
        ("an expiry that is text", with_claims(json!({"exp": "4102444800"}))),
        ("an expiry that has come", with_claims(json!({"exp": now}))),
        ("an expiry in a year", with_claims(json!({"exp": now + 365 * 86_400}))),
        ("a beginning that lies ahead", with_claims(json!({"nbf": now + 3_600}))),
        ("made in the future", with_claims(json!({"iat": now + 3_600}))),
        ("no subject", with_claims(json!({"sub": null}))),
        ("a subject that is a number", with_claims(json!({"sub": 248_289_761_001_u64}))),
        ("a tenant that is none", with_claims(json!({"tenant": "Acme"}))),
        ("padding", format!("{}=", forge(&header, &claims, theirs()))),
    ];
    let seen = |answer: Answer| {
        (but(&answer.json, json!({"requestId": null})), answer.headers["www-authenticate"].clone())
    };
    let expected = seen(server.client("a.b.c").get(OPEN).await.refused(401, "unauthenticated"));
    for (name, forged) in cases {
        let refused = server.client(&forged).get(OPEN).await;
        assert_eq!(refused.status, 401, "{name}: {}", refused.body);
        assert_eq!(seen(refused), expected, "{name}");
    }
    acme.client.get(OPEN).await.expect(200);
}

#[tokio::test]
async fn keys_are_kept_for_an_hour_and_a_new_one_is_known_when_it_is_first_used() {
    let (provider, server, _) = house().await;
    let claims = but(&claims(&provider, &server), json!({"exp": dawn().timestamp() + 80_000}));
    let opens = async || server.client(&provider.token(&claims)).get(OPEN).await.status;
    assert_eq!((opens().await, provider.says.lock().keys_asked), (200, 1));
    server.advance(60);
    provider.turn_to("second", 2);
    assert_eq!((opens().await, opens().await, provider.says.lock().keys_asked), (200, 200, 2));
    provider.turn_to("third", 3);
    for _ in 0..3 {
        assert_eq!((opens().await, provider.says.lock().keys_asked), (401, 2), "once a minute");
    }
    server.advance(60);
    assert_eq!((opens().await, provider.says.lock().keys_asked), (200, 3));
    server.advance(3_600);
    assert_eq!((opens().await, provider.says.lock().keys_asked), (200, 4));
    // A key that the issuer has withdrawn is good for an hour at most.
    let withdrawn = provider.token(&claims);
    provider.turn_to("fourth", 4);
    server.advance(3_600);
    server.client(&withdrawn).get(OPEN).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn an_outage_of_the_issuer_refuses_nobody_whose_key_is_known() {
    let (provider, server, acme) = house().await;
    let claims = but(&claims(&provider, &server), json!({"exp": dawn().timestamp() + 80_000}));
    let client = server.client(&provider.token(&claims));
    provider.says.lock().is_down = true;
    client.get(OPEN).await.expect(200);
    server.advance(3_600);
    client.get(OPEN).await.expect(200);
    provider.turn_to("second", 2);
    server.client(&provider.token(&claims)).get(OPEN).await.refused(503, "unavailable");
    client.get(OPEN).await.expect(200);
    // Where nothing is known yet, nobody can tell.
    let fresh = server.another(&[("TRACKSIDE_OAUTH_ISSUER", &*provider.issuer)]).await;
    let aud = json!({"aud": fresh.stranger().address("http", "")});
    let there = fresh.client(&provider.token(&but(&claims, aud)));
    let refused = there.get(OPEN).await.refused(503, "unavailable");
    assert_eq!(refused.headers["retry-after"], "5");
    fresh.client(acme.client.key.as_deref().unwrap()).get(OPEN).await.expect(200);
    provider.says.lock().is_down = false;
    there.get(OPEN).await.refused(503, "unavailable");
    fresh.advance(5);
    there.get(OPEN).await.expect(200);
}

#[tokio::test]
async fn a_token_ends_with_whoever_it_is_for_and_its_streams_do() {
    let (provider, server, acme) = house().await;
    let project = acme.project("Rocket").await;
    let token = provider.token(&claims(&provider, &server));
    let client = server.client(&token);
    let mut stream = EventStream::open(&client, &project.path("/events/stream"), None).await.greeted().await;
    let elsewhere = server.another(&[("TRACKSIDE_OAUTH_ISSUER", &*provider.issuer)]).await;
    let everywhere =
        json!({"aud": [server.stranger().address("http", ""), elsewhere.stranger().address("http", "")]});
    let far = elsewhere.client(&provider.token(&but(&claims(&provider, &server), everywhere)));
    far.get(OPEN).await.expect(200);
    let people = acme.client.get("/api/v1/principals").await.expect(200).json;
    let ada = people["items"].as_array().unwrap().iter().find(|it| it["kind"] == "user").unwrap();
    // Somebody else has to stay as the owner.
    let path = format!("/api/v1/principals/{}", text(&ada["id"]));
    let database = server.database().await;
    database
        .execute_unprepared("UPDATE principal SET deactivated_at = created_at WHERE kind = 'user'")
        .await
        .unwrap();
    let began = std::time::Instant::now();
    crate::support::eventually("it is refused on every instance", async || {
        client.get(OPEN).await.status == 401 && far.get(OPEN).await.status == 401
    })
    .await;
    assert_eq!(stream.next().await, None, "{path}");
    assert!(began.elapsed().as_secs_f64() < 5.0, "a second, and a moment: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_stream_ends_with_the_token_it_was_opened_with() {
    let (provider, server, acme) = house().await;
    let project = acme.project("Rocket").await;
    let client = server.client(&provider.token(&claims(&provider, &server)));
    let mut stream = EventStream::open(&client, &project.path("/events/stream"), None).await.greeted().await;
    server.advance(3_600);
    assert_eq!(stream.next().await, None);
    client.get(OPEN).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_token_says_which_tenant_it_means_where_there_are_several_and_nobody_unknown_gets_in() {
    let (provider, server, _) = house().await;
    let other = server.tenant("Other").await;
    let claims = claims(&provider, &server);
    let asked = async |members: Value| server.client(&provider.token(&but(&claims, members))).get(OPEN).await;
    let foreign = asked(json!({"tenant": other.id.to_string()})).await.refused(401, "unauthenticated");
    assert!(text(&foreign.json["detail"]).contains("does not belong to the tenant"), "{}", foreign.body);
    let unknown = asked(json!({"sub": "somebody else"})).await.refused(401, "unauthenticated");
    assert!(text(&unknown.json["detail"]).contains("/signin first"), "{}", unknown.body);
    let join = "INSERT INTO principal (id, tenant_id, kind, name, role, created_at, person_id) \
                SELECT t.id, t.id, p.kind, p.name, 'viewer', p.created_at, p.person_id FROM principal p, tenant t \
                WHERE p.person_id IS NOT NULL AND t.name = 'Other'";
    server.database().await.execute_unprepared(join).await.unwrap();
    server.service.app.accounts.forget();
    let several = asked(json!({})).await.refused(401, "unauthenticated");
    assert!(text(&several.json["detail"]).contains("claim `tenant`"), "{}", several.body);
    let there = asked(json!({"tenant": other.id.to_string()})).await.expect(200);
    assert_eq!(there.json["name"], "Other");
    let made = json!({"name": "Rocket", "repoUrl": "https://github.com/acme/rocket"});
    let viewer = server.client(&provider.token(&but(&claims, json!({"tenant": other.id.to_string()}))));
    viewer.post("/api/v1/projects", made).await.refused(403, "insufficient_scope");
}

#[tokio::test]
async fn the_metadata_names_the_issuer_that_clients_are_to_ask() {
    let (provider, server, _) = house().await;
    for path in ["", "/mcp"] {
        let told =
            server.stranger().get(&format!("/.well-known/oauth-protected-resource{path}")).await.expect(200);
        assert_eq!(told.json["authorization_servers"], json!([provider.issuer]));
    }
}
