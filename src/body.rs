//! The body of a request: read whole before anybody looks at it, in time, and up to a size.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use poem::{
    Body,
    http::{HeaderMap, header},
};

use crate::error::{Code, Error, Result};

/// What is read of a body that is too large, so that its sender sees the answer rather than a reset connection.
const DRAIN: usize = 64 * 1024 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest form that is read.
const MOST_OF_FORM: usize = 64 * 1024;
/// What is set aside at once for a body that says how long it is.
const SET_ASIDE: usize = 64 * 1024;

/// Reads a body of at most `most` bytes, which `headers` belong to. `hold` is asked for the memory of each piece: it is
/// told how many bytes there are and how many come; what it gives is kept with the body, or dropped with it.
///
/// # Errors
/// `payload_too_large`, `invalid_request` for a body that does not arrive, and those of `hold`.
pub async fn read<P>(
    body: Body,
    headers: &HeaderMap,
    most: usize,
    hold: impl FnMut(usize, usize) -> Result<Option<P>>,
) -> Result<(Bytes, Vec<P>)> {
    let late = |_| Error::invalid(format!("the body did not arrive within {} seconds", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, whole(body, headers, most, hold)).await.map_err(late)?
}

/// Reads a form, as browsers and OAuth clients send one: its fields as they came.
///
/// # Errors
/// `unsupported_media_type` for what is none, `payload_too_large`, and `invalid_request` for one that does not arrive.
pub async fn form(body: Body, headers: &HeaderMap) -> Result<Vec<(String, String)>> {
    const FORM: &str = "application/x-www-form-urlencoded";
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM)) {
        let why = format!("send a form, with `Content-Type: {FORM}`");
        return Err(Error::new(Code::UnsupportedMediaType, why));
    }
    let (bytes, _) = read::<()>(body, headers, MOST_OF_FORM, |_, _| Ok(None)).await?;
    Ok(form_urlencoded::parse(&bytes).into_owned().collect())
}

async fn whole<P>(
    body: Body,
    headers: &HeaderMap,
    most: usize,
    mut hold: impl FnMut(usize, usize) -> Result<Option<P>>,
) -> Result<(Bytes, Vec<P>)> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let told: usize = told.unwrap_or(0);
    let mut frames = body.into_bytes_stream();
    let (mut bytes, mut held) = (BytesMut::with_capacity(told.min(SET_ASIDE)), Vec::new());
    let (mut length, mut is_too_large) = (0, told > most);
    while length <= DRAIN
        && let Some(frame) = frames.next().await
    {
        let frame = frame.map_err(|error| Error::invalid("the body did not arrive whole").because(error))?;
        length += frame.len();
        is_too_large |= length > most;
        if is_too_large {
            bytes = BytesMut::new();
            held.clear();
        } else {
            held.extend(hold(bytes.len(), frame.len())?);
            bytes.extend_from_slice(&frame);
        }
    }
    if is_too_large {
        let limit = match most / 1024 {
            kib if kib < 1024 => format!("{kib} KiB"),
            kib => format!("{} MiB", kib / 1024),
        };
        let why = format!("the body is larger than {limit}");
        return Err(Error::new(Code::PayloadTooLarge, why));
    }
    Ok((bytes.freeze(), held))
}
