//! The text of an API key: `tsk_`, 160 random bits in base62, and their CRC-32 in base62.
//!
//! The checksum tells a mistyped key without asking the database. The whole text is a secret; its first 16
//! characters may be shown. What is stored is its SHA-256: with 160 random bits, a slow hash adds nothing.

use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::clock::Ids;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const MARK: &str = "tsk_";
/// Base62 digits of 160 bits.
const RANDOM_DIGITS: usize = 27;
/// Base62 digits of 32 bits.
const CHECK_DIGITS: usize = 6;
/// Characters of a key that may be shown.
pub(super) const PREFIX: usize = 16;

/// A well-formed API key.
pub struct ApiKey(String);

impl ApiKey {
    /// A new key.
    pub fn generate(ids: &Ids) -> Self {
        let random = base62(&ids.bytes::<20>(), RANDOM_DIGITS);
        let check = base62(&crc32fast::hash(random.as_bytes()).to_be_bytes(), CHECK_DIGITS);
        Self(format!("{MARK}{random}{check}"))
    }

    /// Reads a key, if `text` is one: a slip of the finger is noticed here.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(MARK).filter(|digits| digits.is_ascii())?;
        if digits.len() != RANDOM_DIGITS + CHECK_DIGITS {
            return None;
        }
        let (random, check) = digits.split_at(RANDOM_DIGITS);
        let expected = base62(&crc32fast::hash(random.as_bytes()).to_be_bytes(), CHECK_DIGITS);
        (check == expected).then(|| Self(text.to_owned()))
    }

    /// The part that may be shown.
    pub fn prefix(&self) -> &str {
        &self.0[..PREFIX]
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The key itself, to be shown once.
    pub fn into_secret(self) -> SecretString {
        self.0.into()
    }
}

/// A big-endian number in base62, padded to `digits`. (No crate in the tree takes more than 128 bits.)
fn base62(number: &[u8], digits: usize) -> String {
    let mut number = number.to_vec();
    let mut text = vec![b'0'; digits];
    for digit in text.iter_mut().rev() {
        let mut rest = 0;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        *digit = ALPHABET[rest as usize];
    }
    text.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::clock::Clock;

    fn key(seed: u64) -> String {
        ApiKey::generate(&Ids::seeded(Clock::system(), seed)).into_secret().expose_secret().to_owned()
    }

    proptest! {
        #[test]
        fn a_new_key_is_well_formed(seed: u64) {
            let text = key(seed);
            prop_assert_eq!(text.len(), MARK.len() + RANDOM_DIGITS + CHECK_DIGITS);
            prop_assert!(ApiKey::parse(&text).is_some());
        }

        #[test]
        fn a_slip_of_the_finger_is_noticed(seed: u64, at in 0..37usize, other in "[0-9A-Za-z]") {
            let mut text = key(seed);
            prop_assume!(text[at..=at] != other);
            text.replace_range(at..=at, &other);
            prop_assert!(ApiKey::parse(&text).is_none());
        }

        #[test]
        fn anything_else_is_no_key(text in ".{0,60}") {
            prop_assert!(ApiKey::parse(&text).is_none());
        }
    }

    #[test]
    fn the_largest_number_fits_its_digits() {
        assert_eq!(base62(&[255; 20], RANDOM_DIGITS).len(), RANDOM_DIGITS);
        assert_eq!(base62(&61u32.to_be_bytes(), 2), "0z");
        assert_eq!(base62(&62u32.to_be_bytes(), 2), "10");
    }
}
