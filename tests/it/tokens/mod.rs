//! Access tokens: what buys one, what it opens, and how it ends.

mod forgery;
mod issuing;
mod legacy;
mod metadata;
mod outside;
mod rotation;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::{
    SecretKey,
    ecdsa::{Signature, SigningKey, signature::Signer as _},
    pkcs8::{EncodePrivateKey as _, LineEnding},
};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Server, text};

/// Where clients reach the service, as far as tokens are concerned: the same for all instances.
const PUBLIC: &str = "https://trackside.example";

/// A service that signs with a key that the test has too.
async fn server() -> Server {
    server_with(&[]).await
}

async fn server_with(settings: &[(&str, &str)]) -> Server {
    let pem = pem(&our_key());
    let ours = [("TRACKSIDE_PUBLIC_URL", PUBLIC), ("TRACKSIDE_JWT_PRIVATE_KEY", &pem)];
    Server::start_with(&[&ours[..], settings].concat()).await
}

fn our_key() -> SecretKey {
    SecretKey::from_slice(&[7; 32]).unwrap()
}

fn pem(key: &SecretKey) -> String {
    key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}

/// Asks for a token with these parameters.
async fn ask(client: &Client, parameters: &[(&str, &str)]) -> Answer {
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    client.clone().without_key().post_bytes("/oauth/token", &kind, form.into_bytes()).await
}

/// Asks for a token with the client's key, and these parameters besides.
async fn trade(client: &Client, more: &[(&str, &str)]) -> Answer {
    let key = client.key.as_deref().unwrap();
    let mine = [("grant_type", "client_credentials"), ("client_id", &key[..16]), ("client_secret", key)];
    ask(client, &[&mine[..], more].concat()).await
}

/// A token that the client's key buys.
pub(crate) async fn token(client: &Client, more: &[(&str, &str)]) -> String {
    text(&trade(client, more).await.expect(200).json["access_token"])
}

/// The header and the claims of a token.
fn read(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut json = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (json(), json())
}

/// A token with any header, any claims and any signature.
pub(crate) fn forge(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// Signs as the service does.
pub(crate) fn es256(key: SecretKey) -> impl Fn(&[u8]) -> Vec<u8> {
    move |message| {
        let signature: Signature = SigningKey::from(&key).sign(message);
        signature.to_bytes().to_vec()
    }
}

/// Signs with a secret, whatever it is.
pub(crate) fn hs256(secret: &[u8]) -> impl Fn(&[u8]) -> Vec<u8> + use<> {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let keyed = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    move |message| keyed.clone().chain_update(message).finalize().into_bytes().to_vec()
}

/// What everybody may have: the published keys.
async fn published(client: &Client) -> Vec<Value> {
    let answer = client.clone().without_key().get("/.well-known/jwks.json").await.expect(200);
    answer.json["keys"].as_array().unwrap().clone()
}

/// The object with some members set, or with `null` taken away.
pub(crate) fn but(of: &Value, members: Value) -> Value {
    let mut changed = of.clone();
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => changed.as_object_mut().unwrap().remove(name),
            value => changed.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    changed
}

/// A path that every key with `status.read` may ask for.
const OPEN: &str = "/api/v1/tenant";

#[tokio::test]
async fn a_token_opens_what_its_key_opens() {
    let server = server().await;
    let acme = server.tenant("Acme").await;
    let answer = trade(&acme.client, &[]).await.expect(200);
    assert_eq!((&answer.json["token_type"], &answer.json["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!(
        (&answer.headers["cache-control"], &answer.headers["pragma"]),
        (&"no-store".parse().unwrap(), &"no-cache".parse().unwrap())
    );
    let client = server.client(&text(&answer.json["access_token"]));
    assert_eq!(client.get(OPEN).await.expect(200).json["name"], "Acme");
    let project = acme.project("Rocket").await;
    client.get(&project.path("/events")).await.expect(200);
    let made = json!({"name": "Second", "repoUrl": "https://github.com/acme/second"});
    client.post("/api/v1/projects", made).await.expect(201);
    let other = server.tenant("Other").await.project("Hidden").await;
    client.get(&other.path("")).await.refused(404, "not_found");
}
