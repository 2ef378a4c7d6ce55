//! How bodies are stored: zstd at level 3 with a dictionary, which makes of a typical 8 KB push about 1 KB.
//!
//! Each row says how it is stored. A codec, and the dictionary behind it, is never changed or removed once rows
//! were written with it; a better one gets the next number.

use std::{cell::RefCell, io, sync::LazyLock};

use bytes::Bytes;
use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
};

use crate::error::{Error, Result};

/// As it came.
const PLAIN: i16 = 0;
/// zstd with [`DICTIONARY_1`].
const ZSTD_1: i16 = 1;
/// Removed by age.
pub(super) const REMOVED: i16 = -1;

const LEVEL: i32 = 3;

/// A text that looks like what Git hosts send: zstd refers to it instead of storing the same words again.
const DICTIONARY_1: &[u8] = include_bytes!("dictionary-1.json");

static ENCODER_1: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY_1, LEVEL));
static DECODER_1: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(DICTIONARY_1));

thread_local! {
    // Worth keeping: making one costs more than a small body takes.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A body as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) codec: i16,
    pub(super) bytes: Bytes,
}

/// Compresses a body, unless that would make it larger.
pub(super) fn encode(body: &Bytes) -> Stored {
    let compressed = COMPRESSOR.with_borrow_mut(|compressor| -> io::Result<Vec<u8>> {
        match compressor {
            Some(compressor) => compressor.compress(body),
            None => compressor.insert(Compressor::with_prepared_dictionary(&ENCODER_1)?).compress(body),
        }
    });
    match compressed {
        Ok(bytes) if bytes.len() < body.len() => Stored { codec: ZSTD_1, bytes: bytes.into() },
        _ => Stored { codec: PLAIN, bytes: body.clone() },
    }
}

/// Gives back the body as it came.
///
/// # Errors
/// `internal` for a codec that only a newer version knows, or damaged bytes.
pub(super) fn decode(codec: i16, bytes: Vec<u8>, raw_bytes: usize) -> Result<Bytes> {
    match codec {
        PLAIN => Ok(bytes.into()),
        ZSTD_1 => DECOMPRESSOR
            .with_borrow_mut(|decompressor| match decompressor {
                Some(decompressor) => decompressor.decompress(&bytes, raw_bytes),
                None => decompressor
                    .insert(Decompressor::with_prepared_dictionary(&DECODER_1)?)
                    .decompress(&bytes, raw_bytes),
            })
            .map(Bytes::from)
            .map_err(Error::internal),
        other => Err(Error::internal(format!(
            "a body is stored with codec {other}, which this version does not know"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_body_comes_back_as_it_was(body: Vec<u8>) {
            let body = Bytes::from(body);
            let stored = encode(&body);
            let back = decode(stored.codec, stored.bytes.to_vec(), body.len()).expect("our own");
            prop_assert_eq!(back, body);
        }
    }

    #[test]
    fn a_typical_push_takes_less_than_a_quarter_of_its_bytes() {
        let now = chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("in range");
        let push = crate::samples::Story::new("acme/rocket", now).next(now);
        let body = Bytes::from(push.bytes());
        assert!(encode(&body).bytes.len() * 4 < body.len());
    }
}
