//! Passwords: argon2id, with a salt for each and a key of the installation's own, so that a stolen database alone lets
//! nobody try passwords.
//!
//! A hash takes 19 MiB and tens of milliseconds, on purpose: few are worked out at once, off the runtime, and whoever
//! would have to wait for long is told to come back. One for an account that is not there takes as long as any other.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    app::App,
    error::{Error, Result},
};

/// Hashes that are worked out at once.
const AT_ONCE: usize = 2;
/// How long anybody waits for their turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Memory in KiB, rounds and lanes: what OWASP asks for at least.
const MEMORY_KIB: u32 = 19 * 1024;
const ROUNDS: u32 = 2;
const LANES: u32 = 1;
/// Bytes of a password.
const LENGTHS: std::ops::RangeInclusive<usize> = 12..=1_024;

/// A new password, which is long enough.
pub struct NewPassword(SecretString);

impl NewPassword {
    /// Takes a password as it was typed. What is in it is nobody's business; how long it is decides.
    ///
    /// # Errors
    /// `invalid_request`, pointing at the field.
    pub fn parse(pointer: &str, password: SecretString) -> Result<Self> {
        if LENGTHS.contains(&password.expose_secret().len()) {
            return Ok(Self(password));
        }
        Err(Error::invalid_field(pointer, "a password has at least 12 characters, and at most 1,024 bytes"))
    }

    /// The same, as it was typed.
    pub(super) fn typed(&self) -> &SecretString {
        &self.0
    }
}

/// What came of comparing a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the one.
    Right,
    /// It is the one, and its hash was made in a way that is not used any more.
    RightAndOld,
    /// It is not.
    Wrong,
}

/// Who works out hashes.
#[derive(Clone)]
pub(super) struct Hashing(Arc<Semaphore>);

impl Hashing {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// What is stored of a password.
    pub(super) async fn hash(&self, app: &App, password: &NewPassword) -> Result<String> {
        let (password, salt) = (password.0.clone(), app.ids.bytes::<16>());
        self.run(app, move |argon2| {
            let hash = argon2.hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
            hash.map(|hash: PasswordHash| hash.to_string())
                .map_err(|error| Error::internal(error.to_string()))
        })
        .await?
    }

    /// Compares a password with what is stored; with nothing stored it is wrong, after as long a time.
    pub(super) async fn verify(
        &self,
        app: &App,
        password: &SecretString,
        stored: Option<String>,
    ) -> Result<Verdict> {
        if password.expose_secret().len() > *LENGTHS.end() {
            return Ok(Verdict::Wrong);
        }
        let password = password.clone();
        self.run(app, move |argon2| {
            let password = password.expose_secret().as_bytes();
            match stored {
                Some(stored) if argon2.verify_password(password, stored.as_str()).is_err() => Verdict::Wrong,
                Some(stored) if is_old(&stored) => Verdict::RightAndOld,
                Some(_) => Verdict::Right,
                None => {
                    let _ = argon2.hash_password_with_salt(password, &[0; 16]);
                    Verdict::Wrong
                }
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        app: &App,
        work: impl FnOnce(&Argon2<'_>) -> T + Send + 'static,
    ) -> Result<T> {
        let too_many =
            || Error::unavailable("too many people are signing in at this moment; try again", PATIENCE);
        let turn = timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await.map_err(|_| too_many())?;
        let (turn, key) = (turn.map_err(Error::internal)?, app.vault.key_for("passwords"));
        tokio::task::spawn_blocking(move || {
            let _turn = turn; // until it is done, also if nobody waits for it any more
            let argon2 = params().and_then(|params| {
                Argon2::new_with_secret(&key, Algorithm::Argon2id, Version::V0x13, params)
            });
            argon2.map(|argon2| work(&argon2)).map_err(|error| Error::internal(error.to_string()))
        })
        .await
        .map_err(Error::internal)?
    }
}

fn params() -> argon2::Result<Params> {
    Params::new(MEMORY_KIB, ROUNDS, LANES, None)
}

/// Whether a hash was made with other parameters than today's.
fn is_old(stored: &str) -> bool {
    let made = PasswordHash::new(stored).ok();
    let params = made.as_ref().and_then(|hash| Params::try_from(hash).ok());
    let todays =
        |params: Params| (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, ROUNDS, LANES);
    made.is_none_or(|hash| hash.algorithm.as_str() != "argon2id") || !params.is_some_and(todays)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_enough_and_not_endless() {
        let parse = |text: String| NewPassword::parse("/password", text.into()).is_ok();
        assert!(!parse("eleven char".into()) && parse("twelve chars".into()));
        assert!(parse("x".repeat(1_024)) && !parse("x".repeat(1_025)));
    }

    #[test]
    fn a_hash_of_other_parameters_is_old() {
        let hash = |text: &str| {
            format!("${text}$c29tZXNhbHRzb21lc2FsdA$8hwMmBPv0RgkWHfPVFFbB8nHUQBJh0v1wNlEqnVuXkE")
        };
        assert!(!is_old(&hash("argon2id$v=19$m=19456,t=2,p=1")));
        assert!(is_old(&hash("argon2id$v=19$m=4096,t=2,p=1")));
        assert!(is_old(&hash("argon2i$v=19$m=19456,t=2,p=1")));
    }
}
