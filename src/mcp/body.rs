//! The body of a request: read whole before the SDK sees it, in time, and up to a size.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use poem::Body;

use crate::error::{Code, Error, Result};

/// The largest body that is taken, in bytes; the SDK's own bound is the same.
const MOST: usize = 4 * 1024 * 1024;
/// What is read of a larger body, so that its sender sees the answer rather than a reset connection.
const DRAIN: usize = 16 * MOST;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a body.
///
/// # Errors
/// `payload_too_large`, and `invalid_request` for a body that does not arrive.
pub(super) async fn read(body: Body) -> Result<Bytes> {
    let late = |_| Error::invalid(format!("the body did not arrive within {} seconds", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, whole(body)).await.map_err(late)?
}

async fn whole(body: Body) -> Result<Bytes> {
    let mut frames = body.into_bytes_stream();
    let (mut bytes, mut length) = (BytesMut::new(), 0);
    while length <= DRAIN
        && let Some(frame) = frames.next().await
    {
        let frame = frame.map_err(|error| Error::invalid("the body did not arrive whole").because(error))?;
        length += frame.len();
        match length <= MOST {
            true => bytes.extend_from_slice(&frame),
            false => bytes = BytesMut::new(),
        }
    }
    if length > MOST {
        let why = format!("the body is larger than {} MiB", MOST / 1024 / 1024);
        return Err(Error::new(Code::PayloadTooLarge, why));
    }
    Ok(bytes.freeze())
}
