//! A provider of OpenID Connect on this machine: it lets whoever comes in at once, and says of them what a test has it
//! say, truly or falsely, signed well or badly.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::{SecretKey, elliptic_curve::sec1::ToSec1Point as _};
use parking_lot::Mutex;
use poem::{
    EndpointExt as _, IntoResponse as _, Request, Response, Route, Server, get, handler,
    http::StatusCode,
    listener::{Acceptor as _, Listener as _, TcpListener},
    post,
    web::{Data, Form, Json, Query},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::dawn;
use crate::tokens::{but, es256, forge};

pub(crate) const CLIENT_ID: &str = "trackside";
pub(crate) const CLIENT_SECRET: &str = "s3cret:with %signs";

type Sign = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// What the provider does.
pub(crate) struct Says {
    /// Whether it answers at all.
    pub(crate) is_down: bool,
    /// What it publishes as its keys.
    pub(crate) keys: Value,
    /// The header of what it signs.
    pub(crate) header: Value,
    /// What it says of whoever comes, besides what belongs to the sign-in, which this can change too.
    pub(crate) claims: Value,
    /// Members of its metadata that differ.
    pub(crate) metadata: Value,
    /// How it signs.
    pub(crate) sign: Sign,
    /// What it says instead of a code.
    pub(crate) refuses: bool,
    /// What belongs to codes that were not redeemed: the query that asked for each.
    codes: HashMap<String, HashMap<String, String>>,
    /// How often its keys were asked for.
    pub(crate) keys_asked: usize,
}

/// The provider; dropped, it is gone.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    pub(crate) says: Arc<Mutex<Says>>,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Own {
    issuer: String,
    says: Arc<Mutex<Says>>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let port = acceptor.local_addr()[0].as_socket_addr().unwrap().port();
        let issuer = format!("http://127.0.0.1:{port}");
        let says = Says {
            is_down: false,
            keys: json!({"keys": []}),
            header: json!({}),
            claims: json!({}),
            metadata: json!({}),
            sign: Arc::new(|_| Vec::new()),
            refuses: false,
            codes: HashMap::new(),
            keys_asked: 0,
        };
        let says = Arc::new(Mutex::new(says));
        let own = Own { issuer: issuer.clone(), says: Arc::clone(&says) };
        let routes = Route::new()
            .at("/.well-known/openid-configuration", get(show_metadata))
            .at("/keys", get(show_keys))
            .at("/authorize", get(authorize))
            .at("/token", post(redeem))
            .data(own);
        let serving = tokio::spawn(async move {
            Server::new_with_acceptor(acceptor).run(routes).await.unwrap();
        });
        let provider = Self { issuer, says, serving };
        provider.turn_to("first", 1);
        provider
    }

    /// Signs with another key from now on, and publishes that alone.
    pub(crate) fn turn_to(&self, kid: &str, seed: u8) {
        let mut says = self.says.lock();
        says.keys = json!({"keys": [jwk(kid, &key(seed))]});
        says.header = json!({"alg": "ES256", "kid": kid, "typ": "JWT"});
        says.sign = Arc::new(es256(key(seed)));
    }

    /// Says these things of whoever comes next; `null` takes one away.
    pub(crate) fn say(&self, claims: Value) {
        self.says.lock().claims = claims;
    }

    /// The settings of a service whose people sign in here.
    pub(crate) fn settings(&self) -> [(&str, &str); 4] {
        [
            ("TRACKSIDE_OIDC_ISSUER", &*self.issuer),
            ("TRACKSIDE_OIDC_CLIENT_ID", CLIENT_ID),
            ("TRACKSIDE_OIDC_CLIENT_SECRET", CLIENT_SECRET),
            ("TRACKSIDE_OIDC_NAME", "Example"),
        ]
    }

    /// A token that the provider signs.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let says = self.says.lock();
        forge(&says.header, claims, &*says.sign)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A key of the provider's.
pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_slice(&[seed; 32]).unwrap()
}

/// The public half of a key.
pub(crate) fn jwk(kid: &str, key: &SecretKey) -> Value {
    let point = key.public_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": text(x), "y": text(y)})
}

fn unless_down(says: &Says, body: Value) -> Response {
    match says.is_down {
        true => StatusCode::BAD_GATEWAY.into_response(),
        false => Json(body).into_response(),
    }
}

#[handler]
fn show_metadata(own: Data<&Own>) -> Response {
    let (issuer, says) = (&own.issuer, own.says.lock());
    let metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
    });
    unless_down(&says, but(&metadata, says.metadata.clone()))
}

#[handler]
fn show_keys(own: Data<&Own>) -> Response {
    let mut says = own.says.lock();
    says.keys_asked += 1;
    unless_down(&says, says.keys.clone())
}

#[handler]
fn authorize(own: Data<&Own>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let mut says = own.says.lock();
    assert_eq!((&*asked["client_id"], &*asked["response_type"]), (CLIENT_ID, "code"));
    assert_eq!(asked["code_challenge_method"], "S256");
    let code = format!("code-{}", says.codes.len());
    let mut answer = form_urlencoded::Serializer::new(String::new());
    answer.append_pair("state", &asked["state"]).append_pair("iss", &own.issuer);
    match says.refuses {
        true => answer.append_pair("error", "access_denied"),
        false => answer.append_pair("code", &code),
    };
    let place = format!("{}?{}", asked["redirect_uri"], answer.finish());
    says.codes.insert(code, asked);
    Response::builder().status(StatusCode::FOUND).header("location", place).finish()
}

#[handler]
fn redeem(own: Data<&Own>, request: &Request, Form(sent): Form<HashMap<String, String>>) -> Response {
    let mut says = own.says.lock();
    let refused =
        |why: &str| Json(json!({"error": why})).with_status(StatusCode::BAD_REQUEST).into_response();
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let expected = format!("{}:{}", encoded(CLIENT_ID), encoded(CLIENT_SECRET));
    let expected = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(expected));
    if request.header("authorization") != Some(&expected) {
        return refused("invalid_client");
    }
    let Some(asked) = says.codes.get_mut(&sent["code"]) else { return refused("invalid_grant") };
    let asked = std::mem::take(asked); // once
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(sent["code_verifier"].as_bytes()));
    if asked.get("code_challenge") != Some(&challenge) || asked["redirect_uri"] != sent["redirect_uri"] {
        return refused("invalid_grant");
    }
    let now = dawn().timestamp();
    let usual = json!({
        "iss": own.issuer, "aud": CLIENT_ID, "sub": "248289761001", "nonce": asked["nonce"],
        "iat": now, "exp": now + 300, "email": "ada@example.org", "email_verified": true, "name": "Ada",
    });
    let token = forge(&says.header, &but(&usual, says.claims.clone()), &*says.sign);
    let answer = json!({"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": token});
    unless_down(&says, answer)
}
