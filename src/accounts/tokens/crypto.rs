//! What signs and verifies tokens, for the crate that knows their form.
//!
//! The backends that come with that crate bring RSA with an open advisory, or a compiler for C. So this is one of our
//! own over primitives that are in the tree: P-256 signs by p256, which takes its nonces from the message (RFC 6979) and
//! so needs no randomness, and is verified by ring; HMAC is that of webhooks.
//!
//! A key is of one family, and a token of another is refused here, whatever its header says: a public key is never a
//! secret (RFC 8725, 2.1). Of claims only what the crate is sure of is left to it; times are compared by our clock.

use std::sync::Once;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::ErrorKind,
    signature,
};
use p256::{
    SecretKey,
    ecdsa::{Signature, SigningKey as P256, signature::Signer as _},
    elliptic_curve::sec1::ToSec1Point as _,
};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    clock::Ids,
    error::{Error, Result},
};

/// What the `typ` of an access token is (RFC 9068).
const ACCESS_TOKEN: &str = "at+jwt";

/// A key that tokens are signed with, and its public half, which everybody may have.
pub(super) struct SigningKey {
    secret: SecretKey,
    /// The RFC 7638 thumbprint of its public half.
    pub(super) kid: String,
    x: String,
    y: String,
    /// What verifies its signatures.
    pub(super) public: DecodingKey,
}

impl SigningKey {
    /// A new one.
    pub(super) fn generate(ids: &Ids) -> Self {
        loop {
            // All but one of 2^32 numbers of 256 bits are a key of P-256.
            if let Some(key) = Self::parse(&ids.bytes::<32>()) {
                return key;
            }
        }
    }

    /// Reads what [`SigningKey::to_bytes`] wrote.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        SecretKey::from_slice(bytes).ok().map(Self::new)
    }

    /// A key that was given.
    pub(super) fn new(secret: SecretKey) -> Self {
        let point = secret.public_key().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
        let public = DecodingKey::from_ec_der(point.as_bytes());
        Self { kid: URL_SAFE_NO_PAD.encode(thumbprint), secret, x, y, public }
    }

    /// The private key, to be sealed.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.secret.to_bytes().to_vec()
    }

    /// Its public half as a JSON Web Key.
    pub(super) fn jwk(&self) -> Value {
        let Self { kid, x, y, .. } = self;
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": kid})
    }

    /// Signs claims.
    ///
    /// # Errors
    /// None that a client could cause.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String> {
        install();
        let key = EncodingKey::from_ec_der(&self.to_bytes());
        jsonwebtoken::encode(&header(&self.kid), claims, &key).map_err(Error::internal)
    }
}

/// The header of a token that a key of ours signed: this, and nothing more.
pub(super) fn header(kid: &str) -> Header {
    Header { typ: Some(ACCESS_TOKEN.to_owned()), kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) }
}

/// The claims of a token that `key` signed, for one of `audiences`; times are left to the caller. None if it is not.
pub(super) fn decode<C: DeserializeOwned>(
    text: &str,
    algorithm: Algorithm,
    key: &DecodingKey,
    issuer: Option<&str>,
    audiences: Option<&[String]>,
) -> Option<C> {
    install();
    let mut rules = Validation::new(algorithm);
    // The crate would ask the operating system for the time.
    rules.validate_exp = false;
    rules.validate_nbf = false;
    // It looks at these only if they are there, unless they have to be.
    rules.set_required_spec_claims(&["exp", "sub"]);
    rules.validate_aud = audiences.is_some();
    if let Some(audiences) = audiences {
        rules.required_spec_claims.insert("aud".to_owned());
        rules.set_audience(audiences);
    }
    if let Some(issuer) = issuer {
        rules.required_spec_claims.insert("iss".to_owned());
        rules.set_issuer(&[issuer]);
    }
    jsonwebtoken::decode(text, key, &rules).ok().map(|token| token.claims)
}

/// Makes this what the crate signs and verifies with, in the whole process; once is enough.
fn install() {
    static PROVIDER: CryptoProvider =
        CryptoProvider { signer_factory, verifier_factory, key_utils: KeyUtils::new_unimplemented() };
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Nobody else in the tree installs one.
        let _ = PROVIDER.install_default();
    });
}

fn signer_factory(
    algorithm: &Algorithm,
    key: &EncodingKey,
) -> jsonwebtoken::errors::Result<Box<dyn JwtSigner>> {
    match (algorithm, key.family()) {
        (Algorithm::ES256, AlgorithmFamily::Ec) => {
            let key = P256::from_slice(key.as_bytes()).map_err(|_| ErrorKind::InvalidEcdsaKey)?;
            Ok(Box::new(Es256Signer(key)))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

fn verifier_factory(
    algorithm: &Algorithm,
    key: &DecodingKey,
) -> jsonwebtoken::errors::Result<Box<dyn JwtVerifier>> {
    let bytes = key.try_get_as_bytes()?;
    match (algorithm, key.family()) {
        (Algorithm::ES256, AlgorithmFamily::Ec) => Ok(Box::new(Es256Verifier(bytes.to_vec()))),
        (Algorithm::HS256, AlgorithmFamily::Hmac) => {
            let keyed = Hmac::new_from_slice(bytes).map_err(|_| ErrorKind::InvalidKeyFormat)?;
            Ok(Box::new(Hs256Verifier(keyed)))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

struct Es256Signer(P256);

impl signature::Signer<Vec<u8>> for Es256Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let signature: Signature = self.0.try_sign(message).map_err(|_| signature::Error::new())?;
        Ok(signature.to_bytes().to_vec())
    }
}

impl JwtSigner for Es256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

struct Es256Verifier(Vec<u8>);

impl signature::Verifier<Vec<u8>> for Es256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.0);
        key.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Es256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

struct Hs256Verifier(Hmac<Sha256>);

impl signature::Verifier<Vec<u8>> for Hs256Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        // Compares in constant time.
        let signed = self.0.clone().chain_update(message);
        signed.verify_slice(signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hs256Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.3: a key, and what it signed.
    #[test]
    fn a_key_has_the_coordinates_that_the_standard_says() {
        let secret = URL_SAFE_NO_PAD.decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI").expect("base64");
        let key = SigningKey::parse(&secret).expect("a key");
        assert_eq!(key.x, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
        assert_eq!(key.y, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    }

    #[test]
    fn a_key_of_one_family_never_verifies_a_token_of_another() {
        let (ec, secret) = (DecodingKey::from_ec_der(&[4; 65]), DecodingKey::from_secret(&[4; 65]));
        assert!(verifier_factory(&Algorithm::HS256, &ec).is_err());
        assert!(verifier_factory(&Algorithm::ES256, &secret).is_err());
        for other in [Algorithm::HS384, Algorithm::RS256, Algorithm::ES384, Algorithm::EdDSA] {
            assert!(verifier_factory(&other, &ec).is_err() && verifier_factory(&other, &secret).is_err());
        }
    }
}
