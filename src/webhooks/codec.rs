//! How deliveries are stored: headers and body as one text, zstd at level 3 with a dictionary, which makes of a typical
//! 8 KB push about 1 KB.
//!
//! Each row says how it is stored. A codec, and the dictionary behind it, is never changed or removed once rows
//! were written with it; a better one gets the next number.

use std::{cell::RefCell, io, sync::LazyLock};

use bytes::Bytes;
use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
    zstd_safe::get_frame_content_size,
};

use crate::error::{Error, Result};

/// The body as it came; headers are elsewhere.
const PLAIN: i16 = 0;
/// The body, zstd with the first dictionary; headers are elsewhere.
const ZSTD_1: i16 = 1;
/// Headers and body, zstd with the second dictionary: the number of bytes of the headers (32 bits, little-endian), the
/// headers as JSON, the body.
pub(super) const ZSTD_2: i16 = 2;
/// Removed by age.
pub(super) const REMOVED: i16 = -1;

const LEVEL: i32 = 3;

/// A text that looks like what Git hosts send: zstd refers to it instead of storing the same words again.
const DICTIONARY_1: &[u8] = include_bytes!("dictionary-1.json");
/// Headers of every host; the second dictionary is these and then the first.
const DICTIONARY_2: &[u8] = include_bytes!("dictionary-2.json");

static DECODER_1: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(DICTIONARY_1));
static ENCODER_2: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(&[DICTIONARY_2, DICTIONARY_1].concat(), LEVEL));
static DECODER_2: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(&[DICTIONARY_2, DICTIONARY_1].concat()));

thread_local! {
    // Worth keeping: making one costs more than a small body takes.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Headers by name, in the order they came.
pub(super) type Headers = Vec<(String, String)>;

/// What came, as it is stored with [`ZSTD_2`].
///
/// # Errors
/// `internal`, for what no delivery has.
pub(super) fn encode(headers: &Headers, body: &[u8]) -> Result<Vec<u8>> {
    let mut text = vec![0; size_of::<u32>()];
    text.reserve(512 + body.len());
    serde_json::to_writer(&mut text, headers).map_err(Error::internal)?;
    let length = u32::try_from(text.len() - size_of::<u32>()).map_err(Error::internal)?;
    text[..size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
    text.extend_from_slice(body);
    let compressed = COMPRESSOR.with_borrow_mut(|compressor| match compressor {
        Some(compressor) => compressor.compress(&text),
        None => compressor.insert(Compressor::with_prepared_dictionary(&ENCODER_2)?).compress(&text),
    });
    compressed.map_err(Error::internal)
}

/// Gives back what came: the headers, if they were stored with the body, and the body.
///
/// # Errors
/// `internal` for a codec that only a newer version knows, or damaged bytes.
pub(super) fn decode(codec: i16, bytes: Vec<u8>) -> Result<(Option<Headers>, Bytes)> {
    match codec {
        PLAIN => Ok((None, bytes.into())),
        ZSTD_1 => {
            let mut decompressor =
                Decompressor::with_prepared_dictionary(&DECODER_1).map_err(Error::internal)?;
            Ok((None, decompress(&mut decompressor, &bytes).map_err(Error::internal)?))
        }
        ZSTD_2 => {
            let text = DECOMPRESSOR.with_borrow_mut(|decompressor| match decompressor {
                Some(decompressor) => decompress(decompressor, &bytes),
                None => {
                    let decompressor =
                        decompressor.insert(Decompressor::with_prepared_dictionary(&DECODER_2)?);
                    decompress(decompressor, &bytes)
                }
            });
            split(text.map_err(Error::internal)?)
        }
        other => Err(Error::internal(format!(
            "a body is stored with codec {other}, which this version does not know"
        ))),
    }
}

fn decompress(decompressor: &mut Decompressor<'static>, bytes: &[u8]) -> io::Result<Bytes> {
    let size = get_frame_content_size(bytes).ok().flatten().ok_or(io::ErrorKind::InvalidData)?;
    let size = usize::try_from(size).map_err(io::Error::other)?;
    decompressor.decompress(bytes, size).map(Bytes::from)
}

/// Headers and body of a text with both.
fn split(mut text: Bytes) -> Result<(Option<Headers>, Bytes)> {
    let damaged = || Error::internal("a delivery is stored with headers that end behind it");
    let length = prefix(&mut text, size_of::<u32>());
    let length = length.and_then(|length| Some(u32::from_le_bytes(length[..].try_into().ok()?) as usize));
    let headers = length.and_then(|length| prefix(&mut text, length)).ok_or_else(damaged)?;
    Ok((Some(serde_json::from_slice(&headers).map_err(Error::internal)?), text))
}

/// The first bytes of a text, which loses them; nothing, if it has fewer.
fn prefix(text: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= text.len()).then(|| text.split_to(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_delivery_comes_back_as_it_was(headers: Headers, body: Vec<u8>) {
            let stored = encode(&headers, &body).expect("small");
            prop_assert_eq!(decode(ZSTD_2, stored).expect("our own"), (Some(headers), body.into()));
        }

        #[test]
        fn damaged_bytes_are_an_error(codec in 1_i16..=2, bytes: Vec<u8>) {
            prop_assert!(decode(codec, bytes).is_err());
        }
    }

    #[test]
    fn what_an_older_version_stored_is_read() {
        let body = Bytes::from(r#"{"ref":"refs/heads/main","created":false}"#);
        let dictionary = EncoderDictionary::copy(DICTIONARY_1, LEVEL);
        let mut compressor = Compressor::with_prepared_dictionary(&dictionary).expect("a dictionary");
        let stored = compressor.compress(&body).expect("compressed");
        assert_eq!(decode(ZSTD_1, stored).expect("ours"), (None, body.clone()));
        assert_eq!(decode(PLAIN, body.to_vec()).expect("ours"), (None, body));
    }

    #[test]
    fn a_typical_push_takes_less_than_a_quarter_of_its_bytes() {
        let now = chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("in range");
        let push = crate::samples::Story::new("acme/rocket", now).next(now);
        let body = push.bytes();
        let headers = push.headers(&body, "secret", "72d3162e-cc78-11e3-81ab-4c9367dc0958", now);
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert!(encode(&headers, &body).expect("small").len() * 4 < body.len());
    }
}
