//! Reservations: who is editing which files, said before and not only seen afterwards.
//!
//! Whoever is about to edit files reserves them by [`patterns`] of their paths, for themselves or shared with others, for
//! as long as they are seen to be alive: the same signs of life count that keep a claim on work, and a reservation ends for
//! the same reasons ([`worker`]), one for an item of work with the claim on it. What would overlap is refused with who holds it, or taken and told to both as a conflict
//! if that is asked for ([`reserving`]). All that is decided about a project is decided while it is held, so of two who want
//! the same at the same moment one is first. Nothing keeps anybody from editing: what a push really touched is compared
//! with what was reserved ([`touched`]).
//!
//! A reservation that has run out holds nothing from that moment on, also before it is swept. Each has a fencing token,
//! greater than that of all before it in the project.

mod api;
pub mod patterns;
pub mod reserving;
mod show;
mod store;
mod tools;
pub mod touched;
pub mod worker;

use chrono::TimeDelta;
use serde_json::json;

use self::patterns::Pattern;
pub use self::{
    api::ReservationsApi,
    tools::{CheckPaths, ReleasePaths, ReservePaths},
};
use crate::{
    accounts::{Principal, PrincipalId},
    app::App,
    clock::Time,
    conflicts::edits::{self, Gone},
    database::Tx,
    error::{Error, Result},
    events::{EventName, NewEvent},
    projects::{self, ProjectId},
    wire::{Found, Page, Timestamp, id_type, wire_enum},
    work::{
        WorkItemId,
        lease::{Holder, Reason, SignOfLife},
    },
};

id_type! {
    /// Names a reservation; later ones have greater names.
    ReservationId
}

wire_enum! {
    /// With whom reserved files are edited.
    ReservationMode {
        /// With all who reserve them so, too.
        Shared = "shared",
        /// With nobody.
        Exclusive = "exclusive",
    }
}

impl ReservationMode {
    /// Whether files cannot be reserved in both ways by two.
    fn clashes(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }
}

/// Files that somebody is editing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// With whom they are edited.
    pub mode: ReservationMode,
    /// Which files.
    pub patterns: Vec<Pattern>,
    /// The item of work that it is for.
    pub work_item: Option<WorkItemId>,
    /// The branch on which the holder works.
    pub branch: Option<String>,
    /// What for, in the holder's words.
    pub purpose: Option<String>,
    /// Who holds it.
    pub holder: Holder,
    /// Its fencing token.
    pub fence: i64,
    /// For how long each sign of life holds it.
    pub lasts: TimeDelta,
    /// Since when it is held.
    pub reserved_at: Time,
    /// When it runs out, without another sign of life.
    pub expires_at: Time,
    /// The last sign of life.
    pub seen_at: Time,
    /// What that was.
    pub seen_by: SignOfLife,
}

impl Reservation {
    /// Whether it holds anything at a time.
    pub fn is_live(&self, now: Time) -> bool {
        now < self.expires_at
    }

    /// Prolongs it, because its holder was seen to be alive at a time, of which is heard now. One that has run out by now
    /// stays so, and a sign that is older than the newest one changes nothing.
    pub fn renew(&mut self, by: SignOfLife, at: Time, now: Time) {
        if self.is_live(now) && self.seen_at <= at {
            (self.seen_at, self.seen_by) = (at, by);
            self.expires_at = (at + self.lasts).max(self.expires_at);
        }
    }

    /// Its patterns, as they were written.
    pub fn paths(&self) -> Vec<&str> {
        self.patterns.iter().map(Pattern::as_str).collect()
    }

    /// What every event about it says.
    fn told(&self, name: EventName) -> NewEvent {
        let payload = json!({
            "reservationId": self.id.0,
            "principalId": self.holder.id.0,
            "holderName": self.holder.name,
            "paths": self.paths(),
            "shown": show::brief(&self.paths()),
            "mode": self.mode,
            "fencingToken": self.fence,
            "workItemId": self.work_item.map(|item| item.0),
            "branch": self.branch,
            "purpose": self.purpose,
            "expiresAt": Timestamp(self.expires_at).to_string(),
        });
        NewEvent { name, payload }
    }

    /// That somebody edits the files.
    fn reserved(&self) -> NewEvent {
        self.told(EventName::PathsReserved)
    }

    /// That nobody keeps them any more.
    fn released(&self, reason: Reason, note: Option<&str>) -> NewEvent {
        let mut event = self.told(EventName::PathsReleased);
        event.payload["reason"] = json!(reason);
        event.payload["note"] = json!(note);
        event.payload["lastSeenAt"] = json!(Timestamp(self.seen_at).to_string());
        event.payload["lastSeenBy"] = json!(self.seen_by);
        event.payload["holderId"] = json!(self.holder.id.0);
        event
    }
}

/// Which reservations are meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReservationFilter {
    /// Those of this principal.
    pub holder: Option<PrincipalId>,
}

/// A page of what is reserved in a project now, oldest first, and one more if there are more.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn list_reservations(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    filter: ReservationFilter,
    page: Page<ReservationId>,
) -> Result<Found<Reservation>> {
    projects::reach(app, principal, project).await?;
    let now = app.clock.now();
    app.database
        .read(principal.tenant, move |tx| {
            Box::pin(async move { store::list(tx, project, filter, now, &page).await })
        })
        .await
}

/// A reservation that is held now.
///
/// # Errors
/// `not_found` for a project or reservation out of reach.
pub async fn get_reservation(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    id: ReservationId,
) -> Result<Reservation> {
    projects::reach(app, principal, project).await?;
    let now = app.clock.now();
    let read = app.database.read(principal.tenant, move |tx| Box::pin(store::find(tx, project, id)));
    let found = read.await?.filter(|reservation| reservation.is_live(now));
    found.ok_or_else(|| Error::not_found("reservation"))
}

/// Ends reservations, and the conflicts that were about them, while the project is held; gives what the log is to be told.
///
/// # Errors
/// The database's.
async fn end(
    app: &App,
    tx: &Tx<'_>,
    project: ProjectId,
    ended: &[Reservation],
    reason: Reason,
    note: Option<&str>,
) -> Result<Vec<NewEvent>> {
    let ids: Vec<_> = ended.iter().map(|reservation| reservation.id).collect();
    store::remove(tx, project, &ids).await?;
    let mut events: Vec<_> = ended.iter().map(|reservation| reservation.released(reason, note)).collect();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    events.extend(edits::settle(app, tx, project, Gone::Reservations(&ids)).await?);
    Ok(events)
}

/// Removes up to `limit` rows of a deleted project; gives their number.
///
/// # Errors
/// The database's.
pub async fn purge(tx: &Tx<'_>, project: ProjectId, limit: u64) -> Result<u64> {
    store::purge(tx, project, limit).await
}
