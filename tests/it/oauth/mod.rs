//! Clients that sign people in: who they are, what they are allowed, and by which codes and tokens.

pub(crate) mod consent;
mod documents;
mod programs;
mod refreshing;

use futures::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use trackside::{
    accounts::{
        Credential, NewKey, Principal, PrincipalKind, Role, Scope, SessionId,
        oauth::{
            self,
            authorize::{self, Refused},
            clients::{self, Client},
            codes::{self, Challenge},
            grants::{self, Grant},
            redirect::RedirectUri,
            refresh,
        },
    },
    app::App,
    error::{Code, Error},
    sender::Sender,
    wire::Page,
};
use uuid::Uuid;

use crate::support::{Server, Tenant, any_key, number, text};

/// The example of RFC 7636.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://localhost:51234/callback";

/// Whoever holds the tenant's key, as if they had signed in.
async fn signed_in(tenant: &Tenant) -> Principal {
    let principals = tenant.client.get("/api/v1/principals").await.expect(200).json;
    Principal {
        tenant: tenant.id,
        id: text(&principals["items"][0]["id"]).parse().unwrap(),
        role: Role::Owner,
        agent_role: None,
        kind: PrincipalKind::User,
        name: "Ada".to_owned(),
        credential: Credential::Session(SessionId(Uuid::from_u128(1))),
        client: "browser".to_owned(),
        scopes: Role::Owner.scopes(),
        projects: None,
        expires_at: None,
    }
}

fn visitor() -> Client {
    Client {
        id: "https://client.example.org/oauth.json".to_owned(),
        name: "Visitor".to_owned(),
        redirect_uris: vec![RedirectUri::parse("http://localhost/callback").unwrap()],
        is_registered: false,
    }
}

async fn grant(app: &App, person: &Principal) -> Grant {
    grants::give(app, person, &visitor(), [Scope::WorkRead].into(), Default::default(), &Sender::default())
        .await
        .unwrap()
}

/// A grant of the tenant's owner.
pub(crate) async fn any_grant(server: &Server, tenant: &Tenant) -> Grant {
    grant(&server.service.app, &signed_in(tenant).await).await
}

async fn code(app: &App, grant: &Grant) -> SecretString {
    let callback = RedirectUri::parse(CALLBACK).unwrap();
    codes::issue(app, grant, &callback, &Challenge::parse(CHALLENGE).unwrap()).await.unwrap()
}

pub(crate) fn document(id: &str) -> Value {
    json!({"client_id": id, "client_name": "Visitor", "redirect_uris": ["http://localhost/callback"]})
}

/// The grant that a code stands for, and its first refresh token.
async fn redeem(app: &App, code: &SecretString) -> Result<(Grant, String), Code> {
    let bought = async {
        let shown = codes::look_up(app, code.expose_secret(), &visitor().id, CALLBACK, VERIFIER).await?;
        Ok((
            shown.grant.clone(),
            codes::redeem(app, shown, &Sender::default()).await?.expose_secret().to_owned(),
        ))
    };
    bought.await.map_err(|error: Error| error.code)
}

/// The first refresh token of a grant.
async fn first_token(app: &App, grant: &Grant) -> String {
    redeem(app, &code(app, grant).await).await.expect("a good code").1
}

async fn rotate(app: &App, token: &str) -> Result<String, Code> {
    let next = async {
        let shown = refresh::look_up(app, token, &visitor().id).await?;
        refresh::rotate(app, shown, &Sender::default()).await
    };
    next.await.map(|next| next.expose_secret().to_owned()).map_err(|error| error.code)
}

async fn has_ended(app: &App, person: &Principal, grant: &Grant) -> bool {
    let all = grants::list(app, person, Page { limit: 200, after: None, counts: false }).await.unwrap();
    all.iter().find(|known| known.id == grant.id).is_none_or(|known| known.revoked_at.is_some())
}

/// Events of the security log.
async fn noted(server: &Server, action: &str) -> i64 {
    let query = format!("SELECT count(*) FROM security_event WHERE action = '{action}'");
    number(&server.database().await, &query).await
}

#[tokio::test]
async fn a_code_is_good_once_and_who_brings_it_again_ends_the_grant() {
    let server = Server::start().await;
    let (app, person) = (&server.service.app, signed_in(&server.tenant("Acme").await).await);
    let given = grant(app, &person).await;
    let code = code(app, &given).await;
    let (redeemed, token) = redeem(app, &code).await.expect("good once");
    assert_eq!(
        (redeemed.id, redeemed.tenant, redeemed.scopes.clone()),
        (given.id, person.tenant, given.scopes.clone())
    );
    assert!(!has_ended(app, &person, &given).await);
    assert_eq!(redeem(app, &code).await.err(), Some(Code::Unauthenticated));
    assert!(has_ended(app, &person, &given).await);
    assert_eq!(noted(&server, "code_reused").await, 1);
    assert_eq!(rotate(app, &token).await, Err(Code::Unauthenticated), "its tokens end with it");
}

#[tokio::test]
async fn of_many_who_bring_a_code_at_once_one_at_most_is_let_in() {
    let server = Server::start().await;
    let (app, person) = (&server.service.app, signed_in(&server.tenant("Acme").await).await);
    for _ in 0..5 {
        let given = grant(app, &person).await;
        let code = code(app, &given).await;
        let tries = join_all((0..16).map(|_| redeem(app, &code))).await;
        assert!(tries.iter().filter(|outcome| outcome.is_ok()).count() <= 1, "{tries:?}");
        assert!(has_ended(app, &person, &given).await, "more than one came");
        let used = "SELECT count(*) FROM authorization_code WHERE used_at IS NOT NULL";
        assert!(number(&server.database().await, used).await >= 1);
    }
}

#[tokio::test]
async fn a_code_is_of_no_use_to_anybody_else_and_stays_good_for_its_client() {
    let server = Server::start().await;
    let (app, person) = (&server.service.app, signed_in(&server.tenant("Acme").await).await);
    let given = grant(app, &person).await;
    let good = code(app, &given).await;
    let (id, secret) = (visitor().id, good.expose_secret());
    let other_verifier = "x".repeat(43);
    for (code, client, callback, verifier) in [
        ("", &*id, CALLBACK, VERIFIER),
        ("tsc_x", &id, CALLBACK, VERIFIER),
        (&secret[..secret.len() - 1], &id, CALLBACK, VERIFIER),
        (secret, "https://other.example.org/oauth.json", CALLBACK, VERIFIER),
        (secret, &id, "http://localhost:51235/callback", VERIFIER),
        (secret, &id, CALLBACK, &*other_verifier),
        (secret, &id, CALLBACK, CHALLENGE),
        (secret, &id, CALLBACK, ""),
    ] {
        let refused = codes::look_up(app, code, client, callback, verifier).await.expect_err("not good");
        assert_eq!(refused.code, Code::Unauthenticated);
    }
    redeem(app, &good).await.expect("still good");
    let late = code(app, &given).await;
    server.advance(60);
    assert_eq!(redeem(app, &late).await.err(), Some(Code::Unauthenticated), "not after a minute");
    assert!(!has_ended(app, &person, &given).await);
}

#[tokio::test]
async fn only_a_person_who_is_signed_in_lets_a_client_act_and_never_beyond_themselves() {
    let server = Server::start().await;
    let (app, person) = (&server.service.app, signed_in(&server.tenant("Acme").await).await);
    let give = async |person: &Principal, scopes: &[Scope]| {
        let scopes = scopes.iter().copied().collect();
        let given =
            grants::give(app, person, &visitor(), scopes, Default::default(), &Sender::default()).await;
        given.map(|_| ()).map_err(|error| error.code)
    };
    let key = Principal { credential: Credential::Grant(grant(app, &person).await.id), ..person.clone() };
    assert_eq!(give(&key, &[Scope::WorkRead]).await, Err(Code::InsufficientScope));
    let viewer = Principal { role: Role::Viewer, scopes: Role::Viewer.scopes(), ..person.clone() };
    assert_eq!(give(&viewer, &[Scope::WorkRead, Scope::WorkWrite]).await, Err(Code::InsufficientScope));
    assert_eq!(give(&viewer, &[]).await, Err(Code::InvalidRequest));
    assert_eq!(give(&viewer, &[Scope::WorkRead]).await, Ok(()));
}

#[tokio::test]
async fn people_see_and_end_their_own_grants_and_admins_everybodys() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let (app, person) = (&server.service.app, signed_in(&acme).await);
    let member = server.client(&server.key(acme.id, any_key()).await);
    let listed = acme.client.get("/api/v1/principals").await.expect(200).json;
    let members_id = text(&listed["items"][1]["id"]).parse().unwrap();
    let scopes = Role::Member.scopes();
    let other = Principal { id: members_id, role: Role::Member, scopes, ..person.clone() };
    let (owners, members) = (grant(app, &person).await, grant(app, &other).await);
    let ids = async |client: &crate::support::Client| {
        let listed = client.get("/api/v1/grants").await.expect(200).json;
        listed["items"].as_array().unwrap().iter().map(|grant| text(&grant["id"])).collect::<Vec<_>>()
    };
    assert_eq!(ids(&acme.client).await, [members.id.to_string(), owners.id.to_string()], "newest first");
    assert_eq!(ids(&member).await, [members.id.to_string()]);
    let path = |grant: &Grant| format!("/api/v1/grants/{}", grant.id);
    member.delete(&path(&owners)).await.refused(404, "not_found");
    assert!(!has_ended(app, &person, &owners).await);
    let token = first_token(app, &members).await;
    member.delete(&path(&members)).await.refused(403, "insufficient_scope");
    let outside = Principal { credential: Credential::Member(members_id), ..other.clone() };
    let with = Principal { credential: Credential::Grant(owners.id), ..other.clone() };
    for (client, code) in [(&outside, Code::InsufficientScope), (&with, Code::NotFound)] {
        let refused = grants::end(app, client, &Sender::default(), members.id).await.expect_err("a client");
        assert_eq!(refused.code, code, "what only acts for somebody ends none of their grants");
    }
    assert!(!has_ended(app, &person, &members).await);
    let ended = grants::end(app, &other, &Sender::default(), members.id).await.expect("in a session");
    let ended = json!({"revokedAt": ended.revoked_at});
    server.advance(5);
    let again = acme.client.delete(&path(&members)).await.expect(200).json;
    assert_eq!(again["revokedAt"], ended["revokedAt"], "doing it again changes nothing");
    assert_eq!(rotate(app, &token).await, Err(Code::Unauthenticated));
    acme.client.delete(&path(&owners)).await.expect(200);
    let narrow = ["projects.read".parse().unwrap()];
    let narrow = server.key(acme.id, NewKey { scopes: Some(narrow.into()), ..any_key() }).await;
    server.client(&narrow).get("/api/v1/grants").await.refused(403, "insufficient_scope");
}

#[tokio::test]
async fn what_is_of_no_use_any_more_is_forgotten() {
    let server = Server::start().await;
    let (app, person) = (&server.service.app, signed_in(&server.tenant("Acme").await).await);
    let given = grant(app, &person).await;
    first_token(app, &given).await;
    let database = server.database().await;
    let left = async || {
        let mut left = Vec::new();
        for table in ["authorization_code", "refresh_token", "oauth_grant"] {
            left.push(number(&database, &format!("SELECT count(*) FROM {table}")).await);
        }
        left
    };
    grant(app, &person).await;
    oauth::forget_old(app).await.unwrap();
    assert_eq!(left().await, [1, 1, 2]);
    server.advance(60);
    oauth::forget_old(app).await.unwrap();
    assert_eq!(left().await, [0, 1, 2]);
    server.advance(3600);
    oauth::forget_old(app).await.unwrap();
    assert_eq!(left().await, [0, 1, 1], "nobody can come with what was never redeemed");
    server.advance(30 * 86_400 - 3600);
    oauth::forget_old(app).await.unwrap();
    assert_eq!(left().await, [0, 0, 1]);
    server.advance(86_400);
    oauth::forget_old(app).await.unwrap();
    assert_eq!(left().await, [0, 0, 0]);
}

#[tokio::test]
async fn a_client_that_asks_well_comes_by_a_grant_and_a_code() {
    let server = Server::start().await;
    let (app, person) = (&server.service.app, signed_in(&server.tenant("Acme").await).await);
    clients::register(app, document("our-ide")).await.unwrap();
    let callback = "http%3A%2F%2Flocalhost%3A51234%2Fcallback";
    let query = format!(
        "client_id=our-ide&redirect_uri={callback}&response_type=code&code_challenge={CHALLENGE}\
         &code_challenge_method=S256&state=s-1&scope=work.read"
    );
    let asked = authorize::understand(app, &query).await.unwrap();
    let given = grants::give(app, &person, &asked.client, asked.scopes, asked.resources, &Sender::default())
        .await
        .unwrap();
    let code = codes::issue(app, &given, &asked.back.redirect_uri, &asked.challenge).await.unwrap();
    let to = reqwest::Url::parse(&asked.back.with_code(&code)).unwrap();
    let back: std::collections::HashMap<_, _> = to.query_pairs().into_owned().collect();
    assert_eq!((&*back["state"], &*back["iss"]), ("s-1", &*app.public_url()));
    let shown = codes::look_up(app, &back["code"], "our-ide", CALLBACK, VERIFIER).await.unwrap();
    assert_eq!((shown.grant.id, shown.grant.client_name), (given.id, "Visitor".to_owned()));
    for unknown in [query.replace("our-ide", "nobody"), query.replace("51234%2F", "51234%2Fother%2F")] {
        let refused = authorize::understand(app, &unknown).await.unwrap_err();
        assert!(matches!(refused, Refused::Shown(error) if error.code == Code::InvalidRequest));
    }
}

#[tokio::test]
async fn a_client_learns_where_to_ask_and_for_what() {
    let server = Server::start_with(&[("TRACKSIDE_PUBLIC_URL", "https://trackside.example.org/")]).await;
    let known = server.stranger().get("/.well-known/oauth-authorization-server").await.expect(200);
    assert_eq!(known.headers["content-type"], "application/json; charset=utf-8");
    let json = &known.json;
    assert_eq!(json["issuer"], "https://trackside.example.org");
    assert_eq!(json["token_endpoint"], "https://trackside.example.org/oauth/token");
    assert_eq!(json["authorization_endpoint"], "https://trackside.example.org/oauth/authorize");
    assert_eq!(json["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(json["client_id_metadata_document_supported"], true);
    let grants = ["authorization_code", "refresh_token", "client_credentials"];
    assert_eq!(json["grant_types_supported"], json!(grants));
    assert!(json.as_object().unwrap().values().all(|value| !value.is_null()), "clients stumble over null");
    let scopes = json["scopes_supported"].as_array().unwrap();
    assert!(scopes.contains(&json!("work.write")) && !scopes.contains(&json!("keys.read")));
    let beside = server.stranger().get("/.well-known/oauth-authorization-server/mcp").await.expect(200);
    assert_eq!(beside.json, *json);
}
