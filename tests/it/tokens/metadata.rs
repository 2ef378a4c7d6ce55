//! What a client learns without a credential.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{OPEN, PUBLIC, published, read, server, token, trade};
use crate::support::{Server, client::answer, text};

#[tokio::test]
async fn a_token_is_verified_by_whoever_has_the_published_keys() {
    let server = Server::start().await;
    let acme = server.tenant("Acme").await;
    let token = token(&acme.client, &[]).await;
    let (header, _) = read(&token);
    let keys = published(&acme.client).await;
    assert_eq!(keys.len(), 2, "the active one and the next: {keys:?}");
    let key = keys.iter().find(|key| key["kid"] == header["kid"]).expect("the key that signed");
    let [x, y] = ["x", "y"].map(|name| text(&key[name]));
    let point =
        [&[4][..], &URL_SAFE_NO_PAD.decode(&x).unwrap(), &URL_SAFE_NO_PAD.decode(&y).unwrap()].concat();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let verified =
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message.as_bytes(), &signature);
    assert!(verified.is_ok());
    for key in &keys {
        let [x, y] = ["x", "y"].map(|name| text(&key[name]));
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let expected = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "x": x, "y": y,
            "kid": URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)),
        });
        assert_eq!(*key, expected, "and nothing of the private half");
    }
    for path in ["/.well-known/jwks.json", "/api/auth/.well-known/jwks.json"] {
        let answer = server.stranger().get(path).await.expect(200);
        assert_eq!(answer.headers["cache-control"], "public, max-age=3600");
        assert_eq!(answer.json["keys"].as_array(), Some(&keys));
    }
}

#[tokio::test]
async fn where_tokens_are_turned_off_no_key_is_published_and_none_is_issued() {
    let server = Server::start_with(&[("TRACKSIDE_TOKEN_SECONDS", "0")]).await;
    let acme = server.tenant("Acme").await;
    assert_eq!(published(&acme.client).await, Vec::<Value>::new());
    assert_eq!(trade(&acme.client, &[]).await.expect(400).json["error"], "unsupported_grant_type");
    let resource = server.stranger().get("/.well-known/oauth-protected-resource").await.expect(200).json;
    assert_eq!(resource["authorization_servers"], json!([]));
}

#[tokio::test]
async fn a_client_learns_where_to_get_a_token_from_the_refusal_it_meets() {
    let server = server().await;
    let nobody = server.stranger();
    for (path, resource) in [("", PUBLIC.to_owned()), ("/mcp", format!("{PUBLIC}/mcp"))] {
        let told = nobody.get(&format!("/.well-known/oauth-protected-resource{path}")).await.expect(200);
        assert!(told.headers.contains_key("cache-control"));
        let told = told.json;
        assert_eq!((&told["resource"], &told["authorization_servers"]), (&json!(resource), &json!([PUBLIC])));
        assert_eq!(told["bearer_methods_supported"], json!(["header"]));
        let scopes = told["scopes_supported"].as_array().unwrap();
        assert!(scopes.contains(&json!("work.write")) && !scopes.contains(&json!("keys.write")));
    }
    let challenge = async |path: &str, bearer: Option<&str>| {
        let request = nobody.request(reqwest::Method::POST, path);
        let request = bearer.into_iter().fold(request, |request, bearer| request.bearer_auth(bearer));
        let refused = answer(request.json(&json!({}))).await.refused(401, "unauthenticated");
        refused.headers["www-authenticate"].to_str().unwrap().to_owned()
    };
    let place = format!("{PUBLIC}/.well-known/oauth-protected-resource");
    let first = challenge("/mcp", None).await;
    assert!(
        first.starts_with(&format!("Bearer resource_metadata=\"{place}/mcp\", scope=\"projects.read ")),
        "{first}"
    );
    assert!(!first.contains("error"), "nothing was shown, so nothing was wrong with it: {first}");
    for bearer in ["a.b.c", "tsk_x"] {
        assert!(challenge("/mcp", Some(bearer)).await.contains("error=\"invalid_token\""));
    }
    let api = challenge("/api/v1/projects", None).await;
    assert_eq!(api, format!("Bearer resource_metadata=\"{place}\""));
    nobody.get(OPEN).await.refused(401, "unauthenticated");
}
