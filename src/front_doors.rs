//! The front doors without the house behind them: what anybody may send, for the fuzzer and for its corpus.
//!
//! A delivery is written as text: the Git host, then headers, one a line, an empty line, and the body. Each function
//! panics when what it checks does not hold, whatever the bytes are.

use poem::http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

use crate::{
    events::Position,
    webhooks::{self, Source},
    wire::{Page, ProjectId},
};

/// What nobody outside can sign with; it is in no corpus.
const SECRET: &str = "whsec_bm90aGluZyBpbiB0aGUgY29ycHVzIGlzIHNpZ25lZCE=";

/// A delivery that is signed with no secret of ours is refused.
pub fn signature(bytes: &[u8]) {
    let Some((source, headers, body)) = delivery(bytes) else { return };
    let secret = SecretString::from(SECRET);
    assert!(webhooks::verify(source, &headers, body, &secret).is_err(), "a forged signature was accepted");
}

/// A payload is understood or refused, and the same bytes always mean the same.
pub fn payload(bytes: &[u8]) {
    let Some((source, headers, body)) = delivery(bytes) else { return };
    let once = webhooks::understand(source, &headers, body);
    assert_eq!(once, webhooks::understand(source, &headers, body));
}

/// A cursor or an event id is read or refused, and one that is read is written back as it was.
pub fn cursor(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let read = Page::<ProjectId>::parse(None, Some(&text)).ok();
    if let Some(id) = read.and_then(|page| page.after) {
        let again = Page::<ProjectId>::parse(None, Some(&Page::cursor(&id))).ok().and_then(|page| page.after);
        assert_eq!(again, Some(id));
    }
    let _ = Page::<i64>::parse(None, Some(&text));
    let _ = Page::<String>::parse(None, Some(&text));
    match text.parse::<Position>() {
        Ok(Position::After(id)) => assert_eq!(id.to_string().parse().ok(), Some(Position::After(id))),
        Ok(Position::At(position)) => assert!(position >= 0),
        Err(_) => {}
    }
}

/// Reads a delivery; nothing, for bytes that are none.
fn delivery(bytes: &[u8]) -> Option<(Source, HeaderMap, &[u8])> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let source = std::str::from_utf8(lines.next()?).ok()?.trim().parse().ok()?;
    let mut headers = HeaderMap::new();
    let mut read = bytes.iter().position(|byte| *byte == b'\n')? + 1;
    for line in lines {
        read += line.len();
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(line.get(..colon)?).ok()?;
        headers.append(name, HeaderValue::from_bytes(line.get(colon + 1..)?.trim_ascii()).ok()?);
    }
    Some((source, headers, bytes.get(read..)?))
}
