//! What the hosts have in common when they sign: HMAC-SHA256, compared in constant time, against every secret.

use hmac::{Hmac, KeyInit as _, Mac as _};
use poem::http::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::error::{Code, Error, Result};

/// A header that must be there once, as text.
///
/// # Errors
/// `code`, saying what is wrong.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str, code: Code) -> Result<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) if !value.is_empty() => Ok(value),
        (None | Some(Ok("")), _) => Err(Error::new(code, format!("the header {name} is missing or empty"))),
        (_, Some(_)) => Err(Error::new(code, format!("the header {name} is there more than once"))),
        _ => Err(Error::new(code, format!("the header {name} is not readable text"))),
    }
}

/// The signature in a header: `prefix` and 64 lower-case hexadecimal digits, exactly.
///
/// # Errors
/// `invalid_signature`, saying what is wrong.
pub(super) fn hex_in(headers: &HeaderMap, name: &str, prefix: &str) -> Result<[u8; 32]> {
    let malformed = || {
        let first = if prefix.is_empty() { String::new() } else { format!("`{prefix}` and ") };
        refused(format!("the header {name} must be {first}64 lower-case hexadecimal digits"))
    };
    let header = single(headers, name, Code::InvalidSignature)?;
    let digits = header.strip_prefix(prefix).ok_or_else(malformed)?;
    if digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(malformed());
    }
    let mut signature = [0; 32];
    hex::decode_to_slice(digits, &mut signature).map_err(|_| malformed())?;
    Ok(signature)
}

/// Checks that one of the secrets, taken literally, signed these bytes.
///
/// # Errors
/// `invalid_signature`, with what to look at.
pub(super) fn check(
    host: &str,
    signed: &[u8],
    signature: &[u8; 32],
    secrets: &[&SecretString],
) -> Result<()> {
    let is_signed = |secret: &[u8]| {
        hmac(secret).is_some_and(|mac| mac.chain_update(signed).verify_slice(signature).is_ok())
    };
    if fits_any(secrets, is_signed) { Ok(()) } else { Err(mismatch(host)) }
}

/// Whether something fits one of the secrets. Every one is tried, whether or not one fits: the time taken tells
/// nothing.
pub(super) fn fits_any(secrets: &[&SecretString], fits: impl Fn(&[u8]) -> bool) -> bool {
    secrets.iter().fold(false, |fit, secret| fit | fits(secret.expose_secret().as_bytes()))
}

/// An HMAC-SHA256 to be fed; it takes keys of any length.
pub(super) fn hmac(key: &[u8]) -> Option<Hmac<Sha256>> {
    Hmac::<Sha256>::new_from_slice(key).ok()
}

/// A signature that no secret gives.
pub(super) fn mismatch(host: &str) -> Error {
    refused(format!(
        "the signature does not match: check that the webhook's secret is the one this project was given, and \
         that nothing between {host} and here changes the body"
    ))
}

/// `invalid_signature`, with a reason a person can act on.
pub(super) fn refused(why: impl Into<String>) -> Error {
    Error::new(Code::InvalidSignature, why.into())
}
