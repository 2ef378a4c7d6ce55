//! Edits: what several edit at a time, seen when it is reserved and when it is pushed.
//!
//! | What happened | so that is |
//! |---|---|
//! | files were reserved by two, and one of them keeps them for themselves | `reservation_overlap`, warning |
//! | somebody pushed what somebody else keeps for themselves | `reservation_violated`, critical or warning |
//! | two changed one document within a minute | `concurrent_edit`, warning |
//!
//! It is over when its cause is: when a reservation that it is about ends, when one who pushed is idle, when the branch to
//! which they pushed is merged or gone. What somebody has settled is not told again for the same cause: the same
//! reservations, the same people and branch, the same document. A cause that went away and comes back within [`DEBOUNCE`]
//! opens its conflict again and tells nobody a second time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Conflict, ConflictId, ConflictKind, Details, Resolution, Severity, drift::Cause, event, store};
use crate::{
    accounts::PrincipalId,
    app::App,
    artifacts::ArtifactId,
    database::Tx,
    error::Result,
    events::{EventName, NewEvent},
    projects::ProjectId,
    reservations::{Reservation, reserving::Overlap, touched::Touched},
    wire::Timestamp,
    work::notice,
};

/// A cause that comes back so soon after it went away was never quite gone.
pub const DEBOUNCE: TimeDelta = TimeDelta::seconds(5);
/// What edits make: drift comes and goes by other rules.
const KINDS: [ConflictKind; 3] =
    [ConflictKind::ReservationViolated, ConflictKind::ReservationOverlap, ConflictKind::ConcurrentEdit];
/// Files that are named.
const NAMED: usize = 20;
/// Files that are named in a message.
const SAID: usize = 3;
/// Open conflicts among which those of one principal are looked for.
const OPEN: u64 = 200;

/// Somebody who edits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The principal, if it is known to be one.
    pub id: Option<Uuid>,
    /// What it is called.
    pub name: String,
}

/// Who edits what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    /// Those who edit: the holder first where somebody violated what it reserved.
    pub principals: Vec<Party>,
    /// The reservations that it is about.
    pub reservations: Vec<Uuid>,
    /// The files, or the first of them.
    pub paths: Vec<String>,
    /// The branch to which was pushed.
    pub branch: Option<String>,
    /// Until when what is violated is reserved, as it was then.
    pub until: Option<String>,
}

impl Edit {
    /// Whether somebody is concerned.
    fn concerns(&self, who: PrincipalId) -> bool {
        self.principals.iter().any(|party| party.id == Some(who.0))
    }

    /// Everybody else, by name.
    fn others(&self, who: PrincipalId) -> Vec<&str> {
        let others = self.principals.iter().filter(|party| party.id != Some(who.0));
        others.map(|party| party.name.as_str()).collect()
    }
}

/// A clash that was seen, and is not a conflict yet.
#[derive(Clone, Debug)]
pub struct Clash {
    kind: ConflictKind,
    severity: Severity,
    artifact: Option<ArtifactId>,
    /// What it comes from, in any order of those who are in it.
    cause: Value,
    places: (String, String),
    edit: Edit,
}

impl Clash {
    fn cause(&self) -> Cause {
        Cause(json!([self.kind.as_str(), self.cause]).to_string())
    }

    fn details(&self) -> Details {
        Details {
            artifact_path: self.places.0.clone(),
            dependency_path: self.places.1.clone(),
            wanted_version: None,
            found_version: None,
            edit: Some(self.edit.clone()),
        }
    }
}

fn holder(reservation: &Reservation) -> Party {
    Party { id: Some(reservation.holder.id.0), name: reservation.holder.name.clone() }
}

fn first(reservation: &Reservation) -> String {
    reservation.paths().first().copied().unwrap_or_default().to_owned()
}

/// That somebody reserved what somebody else has reserved.
pub fn overlap(newer: &Reservation, overlap: &Overlap) -> Clash {
    let mut reservations = [newer.id.0, overlap.with.id.0];
    reservations.sort();
    Clash {
        kind: ConflictKind::ReservationOverlap,
        severity: Severity::Warning,
        artifact: None,
        cause: json!(reservations),
        places: (overlap.path.clone(), first(&overlap.with)),
        edit: Edit {
            principals: vec![holder(&overlap.with), holder(newer)],
            reservations: reservations.to_vec(),
            paths: vec![overlap.path.clone()],
            branch: None,
            until: None,
        },
    }
}

/// That some pushed files that somebody else keeps for themselves.
pub fn violation(
    reservation: &Reservation,
    pushers: &[Party],
    mut touched: Vec<String>,
    branch: Option<&str>,
    severity: Severity,
) -> Clash {
    touched.sort();
    touched.truncate(NAMED);
    let mut by: Vec<_> =
        pushers.iter().map(|party| json!([party.id, party.id.is_none().then_some(&party.name)])).collect();
    by.sort_by_key(Value::to_string);
    Clash {
        kind: ConflictKind::ReservationViolated,
        severity,
        artifact: None,
        cause: json!([reservation.id.0, by, branch]),
        places: (touched.first().cloned().unwrap_or_default(), first(reservation)),
        edit: Edit {
            principals: std::iter::once(holder(reservation)).chain(pushers.iter().cloned()).collect(),
            reservations: vec![reservation.id.0],
            paths: touched,
            branch: branch.map(str::to_owned),
            until: Some(Timestamp(reservation.expires_at).to_string()),
        },
    }
}

/// That two changed one document at the same moment.
pub fn concurrent(artifact: Option<ArtifactId>, one: &Touched, other: &Touched) -> Clash {
    let mut principals = [one.by.0, other.by.0];
    principals.sort();
    let party = |touch: &Touched| Party { id: Some(touch.by.0), name: touch.name.clone() };
    Clash {
        kind: ConflictKind::ConcurrentEdit,
        severity: Severity::Warning,
        artifact,
        cause: json!([one.path, principals]),
        places: (one.path.clone(), one.path.clone()),
        edit: Edit {
            principals: vec![party(one), party(other)],
            reservations: Vec::new(),
            paths: vec![one.path.clone()],
            branch: None,
            until: None,
        },
    }
}

/// What is wrong, and what to do.
pub(super) fn message(kind: ConflictKind, details: &Details, edit: &Edit) -> String {
    let names: Vec<_> = edit.principals.iter().map(|party| party.name.as_str()).collect();
    let (one, others) = match names.split_first() {
        Some((one, others)) => (*one, others.join(" and ")),
        None => ("somebody", "somebody else".to_owned()),
    };
    let paths = edit.paths.iter().take(SAID).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if edit.paths.len() > SAID { " and more" } else { "" };
    match kind {
        ConflictKind::ReservationViolated => {
            let branch = edit.branch.as_deref().map(|branch| format!(" to {branch}")).unwrap_or_default();
            format!(
                "{others} pushed {paths}{more}{branch}, which {one} has reserved ({}): agree on who goes on, and bring both \
                 changes together before more is pushed",
                details.dependency_path
            )
        }
        ConflictKind::ReservationOverlap => format!(
            "{one} has reserved {}, and {others} has reserved {} too: agree on who edits what; it is over when one of the two \
             releases",
            details.dependency_path, details.artifact_path
        ),
        _ => format!(
            "{one} and {others} changed {paths} within a minute: read what the other did before you go on, and bring both \
             changes together"
        ),
    }
}

/// Makes conflicts of what was seen, but for what is known or settled, while the project is held; gives what the log is to
/// be told.
///
/// # Errors
/// The database's.
pub async fn found(app: &App, tx: &Tx<'_>, project: ProjectId, clashes: Vec<Clash>) -> Result<Vec<NewEvent>> {
    if clashes.is_empty() {
        return Ok(Vec::new());
    }
    let now = app.clock.now();
    let clashes: BTreeMap<_, _> = clashes.into_iter().map(|clash| (clash.cause(), clash)).collect();
    let mut known: BTreeMap<Cause, Vec<Conflict>> = BTreeMap::new();
    for (cause, conflict) in store::of_causes(tx, project, clashes.keys()).await? {
        known.entry(cause).or_default().push(conflict);
    }
    let (mut saved, mut events, mut whom) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (cause, clash) in clashes {
        let same = known.remove(&cause).unwrap_or_default();
        let ends = || same.iter().filter_map(|conflict| conflict.resolution.as_ref());
        if ends().any(|end| end.by.is_some()) {
            continue;
        }
        whom.extend(clash.edit.principals.iter().filter_map(|party| party.id).map(PrincipalId));
        let is_fresh =
            |conflict: &&Conflict| conflict.resolution.as_ref().is_none_or(|end| now - end.at < DEBOUNCE);
        let details = clash.details();
        // What is open comes before what was resolved a moment ago.
        let again = same.iter().filter(is_fresh).min_by_key(|conflict| conflict.resolution.is_some());
        let conflict = match again {
            Some(known) => {
                let severity = clash.severity.max(known.severity);
                Conflict { severity, details, resolution: None, ..known.clone() }
            }
            None => Conflict {
                id: ConflictId(app.ids.uuid()),
                kind: clash.kind,
                severity: clash.severity,
                artifact: clash.artifact,
                details,
                detected_at: now,
                resolution: None,
            },
        };
        if again.is_none() {
            events.push(event(EventName::ConflictDetected, &conflict));
        }
        saved.push((cause, conflict));
    }
    store::save(tx, project, &saved).await?;
    notice::concern(app, tx, project, whom);
    Ok(events)
}

/// What is over.
#[derive(Clone, Copy, Debug)]
pub enum Gone<'a> {
    /// Reservations have ended.
    Reservations(&'a [Uuid]),
    /// Somebody is idle.
    Idle(&'a [PrincipalId]),
    /// A branch was merged or deleted.
    Branch(&'a str),
}

impl Gone<'_> {
    /// Why a conflict is over by it; none if it is not.
    fn ends(&self, kind: ConflictKind, edit: &Edit) -> Option<&'static str> {
        let is_over = match self {
            Self::Reservations(ids) => edit.reservations.iter().any(|id| ids.contains(id)),
            Self::Idle(whom) => {
                let is_idle = |party: &Party| party.id.is_some_and(|id| whom.contains(&PrincipalId(id)));
                match kind {
                    // Its holder may well be idle, and has reserved it all the same.
                    ConflictKind::ReservationViolated => {
                        let mut pushers = edit.principals.iter().skip(1).peekable();
                        pushers.peek().is_some() && pushers.all(is_idle)
                    }
                    ConflictKind::ConcurrentEdit => edit.principals.iter().any(is_idle),
                    _ => false,
                }
            }
            Self::Branch(name) => edit.branch.as_deref() == Some(name),
        };
        is_over.then_some(match self {
            Self::Reservations(_) => "a reservation that this is about has ended",
            Self::Idle(_) => "who edited at the same time does so no more",
            Self::Branch(_) => "the branch was merged or is gone",
        })
    }
}

/// Resolves what is over; gives what the log is to be told.
///
/// # Errors
/// The database's.
pub async fn settle(app: &App, tx: &Tx<'_>, project: ProjectId, gone: Gone<'_>) -> Result<Vec<NewEvent>> {
    let mut events = Vec::new();
    for (_, conflict) in store::open(tx, project, &KINDS).await? {
        let why = conflict.details.edit.as_ref().and_then(|edit| gone.ends(conflict.kind, edit));
        let Some(why) = why else { continue };
        let resolution = Resolution { at: app.clock.now(), by: None, why: why.to_owned() };
        store::resolve(tx, project, &[conflict.id], &resolution).await?;
        let conflict = Conflict { resolution: Some(resolution), ..conflict };
        events.push(event(EventName::ConflictResolved, &conflict));
    }
    Ok(events)
}

/// The newest open conflicts that concern somebody, up to `most`: each with everybody else who is in it.
///
/// # Errors
/// The database's.
pub async fn open_for(tx: &Tx<'_>, project: ProjectId, who: PrincipalId, most: usize) -> Result<Vec<Value>> {
    let open = store::newest_open(tx, project, &KINDS, OPEN).await?;
    let told = open.iter().filter_map(|conflict| {
        let edit = conflict.details.edit.as_ref().filter(|edit| edit.concerns(who))?;
        Some(json!({
            "conflictId": conflict.id.0,
            "kind": conflict.kind,
            "severity": conflict.severity,
            "message": conflict.message(),
            "with": edit.others(who),
        }))
    });
    Ok(told.take(most).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(whom: &[u128], reservation: u128) -> Edit {
        let party = |id: &u128| Party { id: Some(Uuid::from_u128(*id)), name: format!("p{id}") };
        Edit {
            principals: whom.iter().map(party).collect(),
            reservations: vec![Uuid::from_u128(reservation)],
            paths: vec!["src/a.rs".to_owned()],
            branch: Some("feature".to_owned()),
            until: None,
        }
    }

    #[test]
    fn what_is_over_ends_what_it_caused_and_nothing_else() {
        use ConflictKind::{ConcurrentEdit, ReservationOverlap, ReservationViolated};
        let who = |id: u128| PrincipalId(Uuid::from_u128(id));
        let edit = edit(&[1, 2], 9);
        for (kind, gone, ends) in [
            (ReservationViolated, Gone::Reservations(&[Uuid::from_u128(9)]), true),
            (ReservationViolated, Gone::Reservations(&[Uuid::from_u128(8)]), false),
            (ReservationViolated, Gone::Idle(&[who(1)]), false),
            (ReservationViolated, Gone::Idle(&[who(2)]), true),
            (ReservationOverlap, Gone::Idle(&[who(1), who(2)]), false),
            (ConcurrentEdit, Gone::Idle(&[who(1)]), true),
            (ConcurrentEdit, Gone::Idle(&[who(3)]), false),
            (ReservationViolated, Gone::Branch("feature"), true),
            (ReservationViolated, Gone::Branch("main"), false),
        ] {
            assert_eq!(gone.ends(kind, &edit).is_some(), ends, "{kind} by {gone:?}");
        }
    }

    #[test]
    fn a_message_names_who_pushed_and_who_reserved() {
        let edit = edit(&[1, 2], 9);
        let details = Details {
            artifact_path: "src/a.rs".to_owned(),
            dependency_path: "src/**".to_owned(),
            wanted_version: None,
            found_version: None,
            edit: Some(edit.clone()),
        };
        let told = message(ConflictKind::ReservationViolated, &details, &edit);
        assert!(told.starts_with("p2 pushed src/a.rs to feature, which p1 has reserved (src/**)"), "{told}");
    }
}
