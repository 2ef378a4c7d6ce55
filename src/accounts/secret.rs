//! Secrets that are shown once and told apart by what they begin with: 256 random bits. What is stored is their SHA-256:
//! of so many bits a slow hash would protect nothing more.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::clock::Ids;

/// A new secret, which begins with `mark` so that a leaked one is recognised.
pub(super) fn generate(ids: &Ids, mark: &str) -> SecretString {
    format!("{mark}{}", URL_SAFE_NO_PAD.encode(ids.bytes::<32>())).into()
}

/// What is stored of a secret.
pub(super) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
