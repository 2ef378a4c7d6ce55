//! How reservations are told: in refusals, in answers of tools, and on one line.

use serde_json::{Value, json};

use super::{Reservation, reserving::Overlap};
use crate::{
    accounts::PrincipalId,
    error::{Code, Error},
    wire::Timestamp,
};

/// Overlaps and paths that are told; who wants all asks for the list.
const TOLD: usize = 5;

/// Some paths on one line.
pub(super) fn brief(paths: &[&str]) -> String {
    let shown = paths.iter().take(TOLD).copied().collect::<Vec<_>>().join(", ");
    match paths.len().checked_sub(TOLD) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// Who holds a reservation, as somebody else is told; not what it takes to end it.
pub(super) fn holder(reservation: &Reservation, who: PrincipalId) -> Value {
    json!({
        "reservationId": reservation.id.0,
        "principalId": reservation.holder.id.0,
        "name": reservation.holder.name,
        "isCaller": reservation.holder.id == who,
        "mode": reservation.mode,
        "paths": reservation.paths().into_iter().take(TOLD).collect::<Vec<_>>(),
        "purpose": reservation.purpose,
        "branch": reservation.branch,
        "lastSeenAt": Timestamp(reservation.seen_at).to_string(),
        "lastSeenBy": reservation.seen_by,
        "expiresAt": Timestamp(reservation.expires_at).to_string(),
    })
}

/// What a reservation overlaps with.
pub(super) fn overlaps(overlaps: &[Overlap], who: PrincipalId) -> Value {
    let told = overlaps.iter().take(TOLD).map(|overlap| {
        let mut told = holder(&overlap.with, who);
        told["path"] = json!(overlap.path);
        told
    });
    told.collect()
}

/// That somebody has reserved what overlaps, or who asks.
pub(super) fn is_reserved(met: &[Overlap], first: &Overlap, who: PrincipalId) -> Error {
    let Overlap { path, with } = first;
    let (is_caller, until) = (with.holder.id == who, Timestamp(with.expires_at));
    let theirs = brief(&with.paths());
    let detail = match is_caller {
        true => format!(
            "you have reserved this yourself ({}: {theirs}) until {until}, unless you are heard of: {path} overlaps; go on \
             under that reservation, or renew it with reservationId and fencingToken",
            with.mode
        ),
        false => format!(
            "{} has reserved this ({}: {theirs}) until {until}, last heard of at {} ({}): {path} overlaps, and nothing was \
             reserved; edit other files, or wait for paths_released; where both have to, agree with {}, then ask with \
             report: true",
            with.holder.name,
            with.mode,
            Timestamp(with.seen_at),
            with.seen_by,
            with.holder.name
        ),
    };
    let next = if is_caller { "reserve_paths" } else { "check_paths" };
    let error = Error::new(Code::AlreadyReserved, detail).with("next", next);
    error.with("holder", holder(with, who)).with("overlaps", overlaps(met, who))
}

/// That a reservation is not what its writer takes it for.
pub(super) fn is_lost(fence: i64, found: Option<&Reservation>, who: PrincipalId) -> Error {
    let now_is = match found {
        Some(theirs) if theirs.holder.id == who => {
            format!("it is yours, under fencing token {}", theirs.fence)
        }
        Some(theirs) => format!(
            "{} holds it, last heard of at {}, until {}",
            theirs.holder.name,
            Timestamp(theirs.seen_at),
            Timestamp(theirs.expires_at)
        ),
        None => "it has ended, or never was".to_owned(),
    };
    let detail = format!(
        "fencing token {fence} does not hold this reservation: {now_is}; nothing was written; look with check_paths before \
         you go on, and reserve again what you still edit"
    );
    let error = Error::new(Code::LeaseLost, detail).with("next", "check_paths");
    error.with("holder", found.map_or(Value::Null, |theirs| holder(theirs, who)))
}
