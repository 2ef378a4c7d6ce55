//! What signs and verifies tokens, for the crate that knows their form.
//!
//! The backends that come with that crate bring RSA with an open advisory, or a compiler for C. So this is one of our
//! own over primitives that are in the tree: P-256 signs by p256, which takes its nonces from the message (RFC 6979) and
//! so needs no randomness; ring verifies it, and what issuers elsewhere sign with; HMAC is that of webhooks.
//!
//! A key is of one family, and a token of another is refused here, whatever its header says: a public key is never a
//! secret (RFC 8725, 2.1). Of claims only what the crate is sure of is left to it; times are compared by our clock.

use std::sync::Once;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::ErrorKind,
    signature,
};
use p256::{
    SecretKey,
    ecdsa::{Signature, SigningKey as P256, signature::Signer as _},
    elliptic_curve::sec1::ToSec1Point as _,
};
use ring::signature::{
    self as checks, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
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
    match (key.family(), key.kind(), algorithm) {
        (AlgorithmFamily::Hmac, DecodingKeyKind::SecretOrDer(secret), Algorithm::HS256) => {
            let keyed = Hmac::new_from_slice(secret).map_err(|_| ErrorKind::InvalidKeyFormat)?;
            Ok(Box::new(Hs256Verifier(keyed)))
        }
        (AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }, _) => {
            let how = rsa(*algorithm).ok_or(ErrorKind::InvalidAlgorithm)?;
            let key = RsaPublicKeyComponents { n: n.clone(), e: e.clone() };
            Ok(Box::new(RsaVerifier { algorithm: *algorithm, how, key }))
        }
        (family, DecodingKeyKind::SecretOrDer(point), _) => {
            let how = curve(*algorithm, family, point.len()).ok_or(ErrorKind::InvalidAlgorithm)?;
            let key = UnparsedPublicKey::new(how, point.clone());
            Ok(Box::new(CurveVerifier { algorithm: *algorithm, key }))
        }
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

/// How RSA verifies signatures of an algorithm, with keys of 2048 bits at least.
fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &checks::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &checks::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &checks::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &checks::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &checks::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &checks::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// How a curve verifies signatures of an algorithm, with a key of so many bytes.
fn curve(
    algorithm: Algorithm,
    family: AlgorithmFamily,
    bytes: usize,
) -> Option<&'static dyn VerificationAlgorithm> {
    match (algorithm, family, bytes) {
        (Algorithm::ES256, AlgorithmFamily::Ec, 65) => Some(&checks::ECDSA_P256_SHA256_FIXED),
        (Algorithm::ES384, AlgorithmFamily::Ec, 97) => Some(&checks::ECDSA_P384_SHA384_FIXED),
        (Algorithm::EdDSA, AlgorithmFamily::Ed, 32) => Some(&checks::ED25519),
        _ => None,
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

struct CurveVerifier {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

impl signature::Verifier<Vec<u8>> for CurveVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.key.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for CurveVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

struct RsaVerifier {
    algorithm: Algorithm,
    how: &'static RsaParameters,
    key: RsaPublicKeyComponents<Vec<u8>>,
}

impl signature::Verifier<Vec<u8>> for RsaVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.key.verify(self.how, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RsaVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
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

    const RSA: &str = "\
        yogB5voNELWuPi3aqAqg6haZs2_Xu23Gi2UP9TpBaUOfX7O0aMcRtxjZP6FW1yqhYpZsOHuQx5cJg1UY9gvJLcK7Q3a5YlC8_E8a\
        q0thWia0NU-\
        5e3bUlxPR9yFs5vRcJ7CsY51IhADKXa1jZanUFT7_NcbSfomcX_LaZgsel4PUxN5exyMuTd_VZIoTByO2f8JIytMVZG5DMHBU6qI\
        ZA39AEXgLsq4dkxKfFiaI49zRkBgqA7NX7hFgHSmFUQF6J-\
        YBxIwjiCJn4ThwoNETXktjEmLLgRqGbJQvAvt0IMBgtv2If5NX4dBHb9Ter4Fsvkxs0PutGGx1iiCGWvtSRw";
    const RS256: &str = "\
        wx-hhA-TbkKptnwG86Vwxd8c4aga5fnjj-tcWq4345IRbq5IjBWZ6ERcZteNyV17eF5EAgxaL9RMKE0l1yb2ldK1UE3bqxKWxirv\
        LnhVCsL_cbSR3otIsPHwhhTqIEq8QaH8-EDV6SOLQ6D_F6kGMotKIgHJ6o5Mh-WTqClRCP72ztuwzzTAGkOodbF5I61MUH3UfOKd\
        o33Juxi0tDzxm2Hm8km_LujGohLPbL3sQydSGBECz9RLmmc5L9jV_wiSM7c3ZvTZFTwG7_67qmn_2nX0vHP4Tjn8yv9YfwslnGBt\
        ic5xfibovLqBAIJ9RlVFvwxOfoP_Pjtf-S7Pant7SQ";
    const RS512: &str = "\
        fmxzhaKrwtzwmwZdN6K9NBVAiig3xOJKyDtKBzhWcVLVsjGNSOIUaREICl7POzQXPYucsQHW2eTuLicyLUNsqDM3ktEiJJurgi9F\
        gTVC8myxZo4v2bcyqWwcW-\
        7CbrVTGNdDSC5WNKkGwplQkSz6DtsSpnys5SH6sH_omxzVjtiCZxWluQRCpUSaYDeRhRutN3sBO0gfUz4RsmdmoHrKrcnxfWsin6\
        y-WQN6MYJ3-d1f-\
        ZjMUjvli_UuMQb4IR5K43almeVOcvoYMDl30CvFOLsTKKXvKU4ebcJ8XRk8N_kJsbfR5NM9RPX4FxpxpzD6bK1pO5t2ym3R96h6o\
        Mu8Ww";
    const PS256: &str = "\
        mRxK2sPPLsmTMeEnNKpkPoJUn_TDtgoSx7EPukOgJy11EuET3YMod0xsBjOdPY94KZlMtny8FHpPewkFl983YXnyJpUMeBTZxeOZ\
        bgSKeTEcIsENiIJs11P-rGSbbUrC6B_MGXq5L30xqm-\
        mNRfFGJj3CuXDforF2Voq1jqYvPZq_5BT7TwB0UDWsLNyKfcNMDvBbHJPTZExZlLffvF91R8FQceazG--OXeGc_GV_r8vLSA1EKs\
        izaEDQa1t3Uz3JwYeKVu18rXZfx1lGl2_dQSvo8d-3qrF5XflWRPc2GGfj2W1AnP8Xj5QWCAaMSqzSkgTOL68tt6qn-RVk-THzA";
    const ES384: &str = "\
        19fwXoYPYs82S_7o8O_ki9_TUhMs80n9N_nNSKiLTzPBml-\
        bvSaGza-c80DRQyBGdvzPP1ocvEoS_Lee3B3-LH_xjZTQdLDLv38TcWxZy3S5-mrqlc0k6iqN3eZhsTMr";
    const EDDSA: &str = "\
        c1YN9YX6uVW873K6AAFi-k0OYZhLN4F1C3v_iIE3W1nXiDKSLWekjFXcNIP3df8a7AC6pPVT3j5cS02QOKpZCw";

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

    /// Signatures that OpenSSL made.
    #[test]
    fn what_issuers_elsewhere_sign_with_is_verified() {
        let rsa = json!({"kty": "RSA", "n": RSA, "e": "AQAB"});
        let (x, y) = (
            "qdGKYFUgJ_4UR9uJ_Yuw2zU1YNVH33PyPsrxcEd-ZrAcONGTaDC4_r01OmKuECMo",
            "LawGdDk4F_w49VoVwrr23DBXiOb8M_HKHihkC-ggYwFt_hXs5h6rd9-bDnYzq23J",
        );
        let p384 = json!({"kty": "EC", "crv": "P-384", "x": x, "y": y});
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": "MBWtWrUsYVisWI1uWtZamFnXVyAaEQq9geI4VXNmfxc"});
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"ada","exp":4102444800}"#);
        let token = |algorithm: Algorithm, signature: &str| {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm:?}"}}"#));
            format!("{header}.{claims}.{signature}")
        };
        for (algorithm, key, signature) in [
            (Algorithm::RS256, &rsa, RS256),
            (Algorithm::RS512, &rsa, RS512),
            (Algorithm::PS256, &rsa, PS256),
            (Algorithm::ES384, &p384, ES384),
            (Algorithm::EdDSA, &ed, EDDSA),
        ] {
            let key = serde_json::from_value(key.clone()).expect("a JWK");
            let key = DecodingKey::from_jwk(&key).expect("a key");
            let read = |signature: &str| {
                decode::<Value>(&token(algorithm, signature), algorithm, &key, None, None).is_some()
            };
            let other = if signature.starts_with('A') { "B" } else { "A" };
            assert!(read(signature), "{algorithm:?}");
            assert!(!read(&format!("{other}{}", &signature[1..])), "{algorithm:?}");
        }
    }
}
