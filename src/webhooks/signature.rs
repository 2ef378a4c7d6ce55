//! How hosts sign: the pieces that they have in common. Comparison takes the same time whatever is compared.

use hmac::{Hmac, KeyInit as _, Mac as _};
use poem::http::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::error::{Code, Error, Result};

/// Checks an HMAC-SHA256 in lower-case hexadecimal digits, behind `prefix`, over a body.
///
/// # Errors
/// `invalid_signature` for a header that is missing, malformed or fits none of the secrets.
pub(super) fn verify_hex(
    headers: &HeaderMap,
    header: &'static str,
    prefix: &'static str,
    body: &[u8],
    secrets: &[&SecretString],
) -> Result<()> {
    let signature = parse_hex(single(headers, header, Code::InvalidSignature)?, header, prefix)?;
    if any(secrets, |secret| is_signed(secret.expose_secret().as_bytes(), &[body], &signature)) {
        return Ok(());
    }
    Err(mismatch())
}

/// What is told of a signature that fits no secret.
pub(super) fn mismatch() -> Error {
    let why = "the signature does not match: check that the webhook's secret is the one this project was given, and \
               that nothing between the Git host and here changes the body";
    Error::new(Code::InvalidSignature, why)
}

/// Whether a check holds for any of the secrets. Every one is tried, whether or not one fits: the time taken tells
/// nothing.
pub(super) fn any(secrets: &[&SecretString], holds: impl Fn(&SecretString) -> bool) -> bool {
    secrets.iter().fold(false, |fits, secret| fits | holds(secret))
}

/// Whether a signature is the HMAC-SHA256 of a text, given in parts, under a key.
pub(super) fn is_signed(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    let Ok(hmac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
    parts.iter().fold(hmac, |hmac, part| hmac.chain_update(part)).verify_slice(signature).is_ok()
}

/// `prefix` and 64 lower-case hexadecimal digits, exactly.
fn parse_hex(text: &str, header: &str, prefix: &str) -> Result<[u8; 32]> {
    let malformed = || {
        let shape = if prefix.is_empty() { String::new() } else { format!("`{prefix}` and ") };
        let why = format!("the header {header} must be {shape}64 lower-case hexadecimal digits");
        Error::new(Code::InvalidSignature, why)
    };
    let digits = text.strip_prefix(prefix).ok_or_else(malformed)?;
    if digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(malformed());
    }
    let mut signature = [0; 32];
    hex::decode_to_slice(digits, &mut signature).map_err(|_| malformed())?;
    Ok(signature)
}

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

/// A header that names a delivery: there once, and of a length that can be kept.
///
/// # Errors
/// `invalid_request`, saying what is wrong.
pub(super) fn delivery_id(headers: &HeaderMap, name: &str) -> Result<String> {
    let id = single(headers, name, Code::InvalidRequest)?;
    if id.len() > 200 {
        return Err(Error::invalid(format!("the header {name} is longer than 200 characters")));
    }
    Ok(id.to_owned())
}

/// A header that names an event. It has been seen empty; that is no reason to lose a delivery.
pub(super) fn event_type(headers: &HeaderMap, name: &str) -> String {
    let event = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    event.chars().take(200).collect()
}
