//! What is no token, however much it looks like one.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::{
    SecretKey,
    elliptic_curve::sec1::ToSec1Point as _,
    pkcs8::{EncodePublicKey as _, LineEnding},
};
use poem::http::HeaderMap;
use serde_json::{Value, json};
use trackside::{
    accounts::{Surface, authenticate_request},
    error::Code,
};

use super::{OPEN, PUBLIC, but, es256, forge, hs256, our_key, read, server, token};
use crate::support::{Answer, dawn, text};

/// What a client sees of a refusal, but for the id of the request.
fn seen(answer: Answer) -> (u16, Value, String) {
    let challenge = answer.headers["www-authenticate"].to_str().unwrap().to_owned();
    (answer.status, but(&answer.json, json!({"requestId": null})), challenge)
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_is_refused_in_the_same_words() {
    let server = server().await;
    let acme = server.tenant("Acme").await;
    let other = server.tenant("Other").await;
    let real = token(&acme.client, &[]).await;
    let (header, claims) = read(&real);
    let (_, foreign) = read(&token(&other.client, &[]).await);
    let ours = || es256(our_key());
    let public = our_key().public_key();
    let (point, der) = (public.to_sec1_point(false), public.to_public_key_der().unwrap());
    let pem = public.to_public_key_pem(LineEnding::LF).unwrap();
    let thief = SecretKey::from_slice(&[8; 32]).unwrap();
    let theirs = jwk(&thief);
    let now = dawn().timestamp();
    // What is forged as the real one is good: the cases below are refused for what is changed in them alone.
    server.client(&forge(&header, &claims, ours())).get(OPEN).await.expect(200);
    server.client(&forge(&header, &but(&claims, json!({"nbf": now})), ours())).get(OPEN).await.expect(200);
    let with_header = |members| forge(&but(&header, members), &claims, ours());
    let with_claims = |members| forge(&header, &but(&claims, members), ours());
    let hs = but(&header, json!({"alg": "HS256"}));
    let stolen = but(&header, json!({"kid": "x", "jwk": theirs}));
    let (message, signature) = real.rsplit_once('.').unwrap();
    let cases = vec![
        ("not signed", format!("{message}.")),
        ("alg none, not signed", forge(&but(&header, json!({"alg": "none"})), &claims, |_| vec![])),
        ("alg None, not signed", forge(&json!({"alg": "None"}), &claims, |_| vec![])),
        ("alg none, signed", with_header(json!({"alg": "none"}))),
        ("no alg", with_header(json!({"alg": null}))),
        ("another curve", with_header(json!({"alg": "ES384"}))),
        ("RSA", with_header(json!({"alg": "RS256"}))),
        ("HS256 with the public key in DER", forge(&hs, &claims, hs256(der.as_bytes()))),
        ("HS256 with the public key in PEM", forge(&hs, &claims, hs256(pem.as_bytes()))),
        ("HS256 with the public key in PEM, cut", forge(&hs, &claims, hs256(pem.trim_end().as_bytes()))),
        ("HS256 with the public key raw", forge(&hs, &claims, hs256(point.as_bytes()))),
        ("HS256 with the coordinates alone", forge(&hs, &claims, hs256(&point.as_bytes()[1..]))),
        ("HS256 with no secret", forge(&hs, &claims, hs256(b""))),
        ("HS256 in its own shape", forge(&json!({"alg": "HS256"}), &claims, hs256(point.as_bytes()))),
        ("ES256, signed by HMAC", forge(&header, &claims, hs256(der.as_bytes()))),
        ("another's signature", forge(&header, &claims, es256(thief.clone()))),
        ("a signature of zeros", forge(&header, &claims, |_| vec![0; 64])),
        (
            "a signature in DER",
            forge(&header, &claims, |message| {
                use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
                let signature: Signature = SigningKey::from(&our_key()).sign(message);
                signature.to_der().as_bytes().to_vec()
            }),
        ),
        ("a signature of other claims", {
            let changed = forge(&header, &but(&claims, json!({"scope": ""})), |_| vec![]);
            format!("{}{signature}", changed)
        }),
        ("no kid", with_header(json!({"kid": null}))),
        ("an unknown kid", with_header(json!({"kid": "x"}))),
        ("a kid that is a path", with_header(json!({"kid": "../../etc/passwd"}))),
        ("a kid that is a number", with_header(json!({"kid": 7}))),
        ("a key in the header", forge(&stolen, &claims, es256(thief.clone()))),
        ("a key in the header under our kid", {
            forge(&but(&header, json!({"jwk": theirs})), &claims, es256(thief.clone()))
        }),
        ("our key in the header", with_header(json!({"jwk": jwk(&our_key())}))),
        ("a key elsewhere", with_header(json!({"jku": "https://thief.example/jwks.json"}))),
        ("a certificate elsewhere", with_header(json!({"x5u": "https://thief.example/x.pem"}))),
        ("something critical", with_header(json!({"crit": ["exp"]}))),
        ("something critical and unknown", with_header(json!({"crit": ["x"], "x": 1}))),
        ("something unknown", with_header(json!({"x": 1}))),
        ("a body that is not encoded", with_header(json!({"b64": false, "crit": ["b64"]}))),
        ("another type", with_header(json!({"typ": "JWT"}))),
        ("no type", with_header(json!({"typ": null}))),
        ("an id token", with_header(json!({"typ": "id_token"}))),
        ("another issuer", with_claims(json!({"iss": "https://other.example"}))),
        ("our issuer with a slash", with_claims(json!({"iss": format!("{PUBLIC}/")}))),
        ("several issuers", with_claims(json!({"iss": [PUBLIC, "https://other.example"]}))),
        ("no issuer", with_claims(json!({"iss": null}))),
        ("another audience", with_claims(json!({"aud": ["https://other.example"]}))),
        ("the audience of the tools", with_claims(json!({"aud": [format!("{PUBLIC}/mcp")]}))),
        ("no audience", with_claims(json!({"aud": null}))),
        ("an audience of nobody", with_claims(json!({"aud": []}))),
        ("an audience that is a number", with_claims(json!({"aud": 1}))),
        ("no expiry", with_claims(json!({"exp": null}))),
        ("an expiry that is text", with_claims(json!({"exp": "4102444800"}))),
        ("an expiry that is a fraction", with_claims(json!({"exp": now as f64 + 60.5}))),
        ("an expiry that is true", with_claims(json!({"exp": true}))),
        ("an expiry before our time", with_claims(json!({"exp": -1}))),
        ("an expiry beyond all numbers", with_claims(json!({"exp": u64::MAX}))),
        ("an expiry in a year", with_claims(json!({"exp": now + 365 * 86_400}))),
        ("an expiry that has come", with_claims(json!({"exp": now}))),
        ("a beginning that lies ahead", with_claims(json!({"nbf": now + 3600}))),
        ("a beginning that is text", with_claims(json!({"nbf": "0"}))),
        ("made in the future", with_claims(json!({"iat": now + 3600}))),
        ("no time of making", with_claims(json!({"iat": null}))),
        ("no subject", with_claims(json!({"sub": null}))),
        ("another subject", with_claims(json!({"sub": foreign["sub"]}))),
        ("another tenant", with_claims(json!({"tenant": foreign["tenant"]}))),
        ("another's credential", with_claims(json!({"credential": foreign["credential"]}))),
        ("no credential", with_claims(json!({"credential": null}))),
        ("a credential of no kind", with_claims(json!({"credential": text(&claims["jti"])}))),
        (
            "a credential that never was",
            with_claims(json!({"credential": format!("key:{}", text(&claims["jti"]))})),
        ),
        (
            "a session that never was",
            with_claims(json!({"credential": format!("session:{}", text(&claims["jti"]))})),
        ),
        ("claims that are a list", forge(&header, &json!([claims]), ours())),
        ("one part too few", message.to_owned() + "."),
        ("nothing but dots", "..".to_owned()),
        ("padding", format!("{real}=")),
        ("an expiry twice", {
            let twice = claims.to_string().replacen('{', "{\"exp\":1,", 1);
            let message = format!("{}.{}", message.split('.').next().unwrap(), URL_SAFE_NO_PAD.encode(twice));
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(ours()(message.as_bytes())))
        }),
    ];
    let expected = seen(server.client("a.b.c").get(OPEN).await.refused(401, "unauthenticated"));
    for (name, forged) in cases {
        let refused = server.client(&forged).get(OPEN).await;
        assert_eq!(refused.status, 401, "{name}: {}", refused.body);
        assert_eq!(seen(refused), expected, "{name}");
    }
    server.client(&real).get(OPEN).await.expect(200);
    assert_eq!(acme.client.get(OPEN).await.expect(200).json["name"], "Acme");
}

#[tokio::test]
async fn a_token_of_a_megabyte_is_refused_unread() {
    let server = server().await;
    let acme = server.tenant("Acme").await;
    let (header, claims) = read(&token(&acme.client, &[]).await);
    for (length, is_good) in [(1_000, true), (9_000, false), (1_000_000, false)] {
        let long = forge(&header, &but(&claims, json!({"x": "x".repeat(length)})), es256(our_key()));
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {long}").parse().unwrap());
        let asked = authenticate_request(&server.service.app, &headers, Surface::Api).await;
        assert_eq!(asked.as_ref().err().map(|error| error.code), (!is_good).then_some(Code::Unauthenticated));
    }
    // Over the wire, the head of such a request is larger than any that is read.
    let long = format!("Bearer a.{}.c", "b".repeat(1_000_000));
    let sent =
        server.stranger().request(reqwest::Method::GET, OPEN).header("authorization", long).send().await;
    assert!(sent.map_or(true, |response| matches!(response.status().as_u16(), 401 | 431)));
    acme.client.get(OPEN).await.expect(200);
}

/// The public half of a key, as somebody would put it into a header.
fn jwk(key: &SecretKey) -> Value {
    let point = key.public_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y), "alg": "ES256", "kid": "x"})
}
