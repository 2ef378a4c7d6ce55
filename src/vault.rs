//! Secrets at rest: XChaCha20-Poly1305 under one master key.
//!
//! A sealed value opens only with the key that sealed it and only in the place it was sealed for: key id,
//! tenant, column and row are the associated data, so that a value copied into another row or tenant is
//! refused like a forged one.
//!
//! The master key comes from `TRACKSIDE_MASTER_KEY[_FILE]` or from the file `master.key` beside the database,
//! which the first start makes with mode 0600. An installation remembers which key it was made with
//! (`instance.key_check`); a start with another key, or with none, is refused.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    clock::Ids,
    error::{Error, Result},
};

/// Name of the key file beside the database.
pub const KEY_FILE: &str = "master.key";

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

/// The master key, ready to seal and open.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
    derivation: Hmac<Sha256>,
    key_id: String,
    ids: Ids,
}

impl Vault {
    /// A vault over 32 bytes of key in base64.
    ///
    /// # Errors
    /// A text that is not 32 bytes in base64; the message says how to make one.
    pub fn new(key: &SecretString, ids: Ids) -> Result<Self> {
        let bytes: [u8; 32] =
            STANDARD.decode(key.expose_secret().trim()).ok().and_then(|key| key.try_into().ok()).ok_or_else(
                || {
                    Error::invalid(
                        "the master key must be 32 bytes in base64; make one with: openssl rand -base64 32",
                    )
                },
            )?;
        let digest = Sha256::new_with_prefix("trackside master key id").chain_update(bytes).finalize();
        let derivation = Hmac::<Sha256>::new_from_slice(&bytes).map_err(Error::internal)?;
        let cipher = XChaCha20Poly1305::new(&bytes.into());
        Ok(Self { cipher, derivation, key_id: hex::encode(&digest[..4]), ids })
    }

    /// Which key this is, without telling anything of it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// A key of its own for one purpose, the same in every process with this master key: HMAC-SHA256 of the
    /// purpose. It tells nothing of the master key, nor of the keys for other purposes.
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

/// Reads the key file of an installation.
///
/// # Errors
/// A missing or unreadable file, or one that others may read; each message says what to do.
pub fn read_key_file(folder: &Path) -> Result<SecretString> {
    let path = folder.join(KEY_FILE);
    let shown = path.display();
    let metadata = std::fs::metadata(&path).map_err(|error| {
        Error::invalid(format!(
            "the master key file {shown} cannot be read ({error}): put it back, or give the key in \
             TRACKSIDE_MASTER_KEY; without the key that the data was written with, its secrets cannot be opened"
        ))
    })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::invalid(format!(
            "the master key file {shown} has mode {mode:04o}, so others can read it; run: chmod 600 {shown}"
        )));
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::invalid(format!("the master key file {shown} cannot be read: {error}")))?;
    Ok(text.trim().to_owned().into())
}

/// Makes the key file of a new installation, readable by its owner alone, and never overwrites one.
///
/// # Errors
/// A file that is already there, or a folder that cannot be written to.
pub fn create_key_file(folder: &Path, ids: &Ids) -> Result<SecretString> {
    let path = folder.join(KEY_FILE);
    let key = STANDARD.encode(ids.bytes::<32>());
    let write = || {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "{key}")?;
        file.sync_all()
    };
    write().map_err(|error| {
        Error::invalid(format!("the master key file {} cannot be made: {error}", path.display()))
    })?;
    Ok(key.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;

    fn vault(seed: u8) -> Vault {
        let ids = Ids::seeded(Clock::system(), seed.into());
        Vault::new(&STANDARD.encode([seed; 32]).into(), ids).expect("32 bytes")
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
    fn a_key_for_a_purpose_depends_on_the_master_key_and_on_the_purpose_alone() {
        assert_eq!(vault(1).key_for("one"), vault(1).key_for("one"));
        assert_ne!(vault(1).key_for("one"), vault(1).key_for("other"));
        assert_ne!(vault(1).key_for("one"), vault(2).key_for("one"));
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        create_key_file(folder.path(), &Ids::system(Clock::system())).expect("made");
        assert!(read_key_file(folder.path()).is_ok());
        let path = folder.path().join(KEY_FILE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        let refusal = read_key_file(folder.path()).expect_err("too open").to_string();
        assert!(refusal.contains("chmod 600"), "{refusal}");
    }
}
