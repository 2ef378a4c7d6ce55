//! Secrets at rest: XChaCha20-Poly1305 under one key.
//!
//! A sealed value opens only with the key that sealed it and only in the place it was sealed for: key id,
//! tenant, column and row are the associated data, so that a value copied into another row or tenant is
//! refused like a forged one.
//!
//! What seals the data is a key that an installation made for itself when it was new. It lies in the database, sealed
//! with the master key ([`master_key`](crate::master_key)), so that another master key is one row to write.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    clock::Ids,
    error::{Error, Result},
};

const NONCE_BYTES: usize = 24;
const FORMAT: u8 = 1;

/// Where a sealed value lives; it opens nowhere else.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The tenant whose secret it is; nil for the installation's own.
    pub tenant: Uuid,
    /// `table.column`.
    pub column: &'a str,
    /// The row's id.
    pub row: Uuid,
}

/// A key, ready to seal and open.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
    derivation: Hmac<Sha256>,
    key_id: String,
    ids: Ids,
}

impl Vault {
    /// A vault over a key.
    ///
    /// # Errors
    /// Never for a key of this size.
    pub fn new(key: [u8; 32], ids: Ids) -> Result<Self> {
        let digest = Sha256::new_with_prefix("trackside master key id").chain_update(key).finalize();
        let derivation = Hmac::<Sha256>::new_from_slice(&key).map_err(Error::internal)?;
        let cipher = XChaCha20Poly1305::new(&key.into());
        Ok(Self { cipher, derivation, key_id: hex::encode(&digest[..4]), ids })
    }

    /// Which key this is, without telling anything of it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// A key of its own for one purpose, the same in every process with this key: HMAC-SHA256 of the purpose. It tells
    /// nothing of this key, nor of the keys for other purposes.
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        self.derivation.clone().chain_update(purpose).finalize().into_bytes().into()
    }

    /// Seals `plain` for one place.
    ///
    /// # Errors
    /// Never for values of a sensible size; the cipher's limit is 256 GiB.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_BYTES] = self.ids.bytes();
        let payload = Payload { msg: plain, aad: &self.associated_data(place) };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::internal("the cipher refused to seal a value"))?;
        Ok([&[FORMAT][..], &nonce, &sealed].concat())
    }

    /// Opens what [`Vault::seal`] made for the same place.
    ///
    /// # Errors
    /// `internal` when it was sealed with another key or for another place, or was changed.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        let refused =
            || Error::internal(format!("a sealed value of {} does not open with this key", place.column));
        let (nonce, text) = sealed
            .strip_prefix(&[FORMAT])
            .and_then(|rest| rest.split_first_chunk::<NONCE_BYTES>())
            .ok_or_else(refused)?;
        let payload = Payload { msg: text, aad: &self.associated_data(place) };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| refused())
    }

    fn associated_data(&self, place: Place<'_>) -> Vec<u8> {
        [self.key_id.as_bytes(), place.tenant.as_bytes(), place.row.as_bytes(), place.column.as_bytes()]
            .concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;

    fn vault(seed: u8) -> Vault {
        let ids = Ids::seeded(Clock::system(), seed.into());
        Vault::new([seed; 32], ids).expect("a key")
    }

    fn place(tenant: u128, row: u128) -> Place<'static> {
        Place { tenant: Uuid::from_u128(tenant), column: "project_secret.sealed", row: Uuid::from_u128(row) }
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_in_its_place_and_nowhere_else(plain: Vec<u8>) {
            let sealed = vault(1).seal(place(1, 1), &plain).expect("seals");
            prop_assert_eq!(vault(1).open(place(1, 1), &sealed).expect("opens"), plain);
            prop_assert!(vault(1).open(place(2, 1), &sealed).is_err(), "another tenant");
            prop_assert!(vault(1).open(place(1, 2), &sealed).is_err(), "another row");
            prop_assert!(vault(2).open(place(1, 1), &sealed).is_err(), "another key");
        }

        #[test]
        fn a_changed_byte_is_refused(at: prop::sample::Index) {
            let mut sealed = vault(1).seal(place(1, 1), b"whsec_").expect("seals");
            let at = at.index(sealed.len());
            sealed[at] ^= 1;
            prop_assert!(vault(1).open(place(1, 1), &sealed).is_err());
        }
    }

    #[test]
    fn a_key_for_a_purpose_depends_on_the_key_and_on_the_purpose_alone() {
        assert_eq!(vault(1).key_for("one"), vault(1).key_for("one"));
        assert_ne!(vault(1).key_for("one"), vault(1).key_for("other"));
        assert_ne!(vault(1).key_for("one"), vault(2).key_for("one"));
    }
}
