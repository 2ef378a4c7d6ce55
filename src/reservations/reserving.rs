//! Looking before one edits, reserving, going on, and giving back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::TimeDelta;

use super::{Reservation, ReservationId, ReservationMode, end, patterns::Pattern, show, store};
use crate::{
    accounts::{Principal, Scope},
    app::App,
    audit::CallRecord,
    clock::Time,
    conflicts::edits,
    database::Tx,
    error::{Code, Error, Result},
    events,
    projects::{self, ProjectId},
    prose::{parse_line, parse_text},
    wire::wire_enum,
    work::{
        WorkItemId,
        claims::parse_branch,
        items,
        lease::{Holder, Reason, SignOfLife, parse_lasts},
    },
};

/// Patterns of one reservation or look.
pub const PATTERNS: usize = 50;
/// Reservations of a project at a time.
pub const RESERVATIONS: u64 = 10_000;
/// Characters of what one is for, and of why it is given back.
const PURPOSE: usize = 200;
const NOTE: usize = 2_000;

wire_enum! {
    /// Whether files may be edited.
    PathState {
        /// Nobody else edits them.
        Free = "free",
        /// Others edit them, and let others do so too.
        Shared = "shared",
        /// Somebody keeps them for themselves.
        Held = "held",
    }
}

/// What is asked of files that somebody is about to edit.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Patterns of their paths.
    pub paths: Vec<String>,
    /// With whom they are edited; with nobody if not given.
    pub mode: Option<ReservationMode>,
    /// The item of work that it is for.
    pub work_item: Option<WorkItemId>,
    /// The branch on which the caller works.
    pub branch: Option<String>,
    /// What for, in the caller's words.
    pub purpose: Option<String>,
    /// For how long each sign of life is to hold them.
    pub lease_seconds: Option<i64>,
    /// Whether an overlap is told, and not refused.
    pub report: bool,
}

/// A reservation that overlaps with what somebody asks for.
#[derive(Clone, Debug)]
pub struct Overlap {
    /// The first path that was asked for and is in it.
    pub path: String,
    /// The reservation.
    pub with: Reservation,
}

/// What was reserved.
#[derive(Clone, Debug)]
pub struct Reserved {
    /// The reservation.
    pub reservation: Reservation,
    /// What it overlaps with, for who asked to be told rather than refused.
    pub overlaps: Vec<Overlap>,
}

/// A path that was looked at.
#[derive(Clone, Debug)]
pub struct Checked {
    /// As it was asked for.
    pub path: String,
    /// Whether it may be edited.
    pub state: PathState,
    /// What others have reserved of it, those that keep it for themselves first.
    pub by: Vec<Reservation>,
}

/// The patterns that are asked for.
fn parse_paths(paths: &[String]) -> Result<Vec<Pattern>> {
    if !(1..=PATTERNS).contains(&paths.len()) {
        let why = format!("has to be 1 to {PATTERNS} path patterns, in the syntax of gitignore");
        return Err(Error::invalid_field("/paths", why));
    }
    let patterns = paths.iter().enumerate().map(|(at, path)| Pattern::parse(&format!("/paths/{at}"), path));
    patterns.collect()
}

/// The live reservations that overlap with patterns, each with the places of those with which it does.
pub(super) async fn meeting(
    tx: &Tx<'_>,
    project: ProjectId,
    now: Time,
    asked: &[Pattern],
) -> Result<Vec<(Reservation, BTreeSet<usize>)>> {
    let mut met: BTreeMap<ReservationId, BTreeSet<usize>> = BTreeMap::new();
    for (id, theirs) in store::near(tx, project, asked).await? {
        let theirs = Pattern::parse("/paths", &theirs).map_err(Error::internal)?;
        let overlapping = asked.iter().enumerate().filter(|(_, mine)| mine.overlaps(&theirs));
        let places: Vec<_> = overlapping.map(|(at, _)| at).collect();
        if !places.is_empty() {
            met.entry(id).or_default().extend(places);
        }
    }
    let found = store::by_ids(tx, project, met.keys().copied()).await?;
    let live = found.into_iter().filter(|reservation| reservation.is_live(now));
    Ok(live
        .filter_map(|reservation| met.remove(&reservation.id).map(|places| (reservation, places)))
        .collect())
}

/// What others have reserved of some paths.
///
/// # Errors
/// `not_found` for a project out of reach, `invalid_request` for what is no pattern.
pub async fn check_paths(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    paths: &[String],
) -> Result<Vec<Checked>> {
    projects::reach(app, principal, project).await?;
    let (asked, now, who) = (parse_paths(paths)?, app.clock.now(), principal.id);
    let mut checked: Vec<_> = asked
        .iter()
        .map(|pattern| Checked { path: pattern.as_str().to_owned(), state: PathState::Free, by: Vec::new() })
        .collect();
    let read = app
        .database
        .read(principal.tenant, move |tx| Box::pin(async move { meeting(tx, project, now, &asked).await }));
    for (reservation, places) in read.await?.into_iter().filter(|(it, _)| it.holder.id != who) {
        let state = match reservation.mode {
            ReservationMode::Shared => PathState::Shared,
            ReservationMode::Exclusive => PathState::Held,
        };
        for at in places {
            checked[at].state = checked[at].state.max(state);
            checked[at].by.push(reservation.clone());
        }
    }
    checked
        .iter_mut()
        .for_each(|path| path.by.sort_by_key(|it| (it.mode != ReservationMode::Exclusive, it.id)));
    Ok(checked)
}

/// Reserves paths, all of them or none; what was reserved is on disk when this returns. `record` is that of the tool call
/// that asks for it, if it was one.
///
/// # Errors
/// `not_found` for a project out of reach, `invalid_request` for what does not make sense, `already_reserved` for what
/// overlaps, unless that is to be told, and `conflict` in a project that has as many reservations as it may.
pub async fn reserve_paths(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    asked: Asked,
    record: CallRecord,
) -> Result<Reserved> {
    projects::reach(app, principal, project).await?;
    let patterns = parse_paths(&asked.paths)?;
    let lasts = parse_lasts(asked.lease_seconds)?;
    let branch = parse_branch(asked.branch.as_deref())?;
    let purpose = asked.purpose.map(|text| parse_line("/purpose", &text, PURPOSE)).transpose()?;
    if let Some(item) = asked.work_item {
        check_item(app, principal, project, item).await?;
    }
    let (mode, work_item, reports) =
        (asked.mode.unwrap_or(ReservationMode::Exclusive), asked.work_item, asked.report);
    let (context, holder) = (Arc::clone(app), Holder::of(principal));
    let write = app.database.write(principal.tenant, move |tx| {
        Box::pin(async move {
            let app = &*context;
            projects::hold(tx, project).await?;
            let (now, who) = (app.clock.now(), holder.id);
            let overlaps = clashing(tx, project, now, mode, &patterns).await?;
            if let Some(first) = overlaps.first().filter(|_| !reports) {
                let others = overlaps.iter().find(|overlap| overlap.with.holder.id != who);
                return Err(show::is_reserved(&overlaps, others.unwrap_or(first), who));
            }
            if store::count(tx, project, now).await? >= RESERVATIONS {
                let why = format!(
                    "this project has {RESERVATIONS} reservations, and may not have more; release some, or reserve folders \
                     where you reserve files"
                );
                return Err(Error::new(Code::Conflict, why).with("next", "release_paths"));
            }
            let reservation = Reservation {
                id: ReservationId(app.ids.uuid()),
                mode,
                patterns,
                work_item,
                branch,
                purpose,
                holder,
                fence: store::next_fence(tx, project).await?,
                lasts,
                reserved_at: now,
                expires_at: now + lasts,
                seen_at: now,
                seen_by: SignOfLife::Reservation,
            };
            store::insert(tx, project, &reservation).await?;
            let mut events = vec![reservation.reserved()];
            let clashes = overlaps.iter().filter(|overlap| overlap.with.holder.id != who);
            let clashes = clashes.map(|overlap| edits::overlap(&reservation, overlap)).collect();
            events.extend(edits::found(app, tx, project, clashes).await?);
            events::tell(app, tx, project, events).await?;
            record.write(tx).await?;
            Ok(Reserved { reservation, overlaps })
        })
    });
    write.await
}

/// The reservations with which one of a mode cannot be.
async fn clashing(
    tx: &Tx<'_>,
    project: ProjectId,
    now: Time,
    mode: ReservationMode,
    patterns: &[Pattern],
) -> Result<Vec<Overlap>> {
    let met = meeting(tx, project, now, patterns).await?;
    let clashing = met.into_iter().filter(|(with, _)| with.mode.clashes(mode));
    let overlap = |(with, places): (Reservation, BTreeSet<usize>)| {
        let path = places.first().and_then(|at| patterns.get(*at)).map(Pattern::as_str);
        Overlap { path: path.unwrap_or_default().to_owned(), with }
    };
    Ok(clashing.map(overlap).collect())
}

async fn check_item(app: &App, principal: &Principal, project: ProjectId, item: WorkItemId) -> Result<()> {
    match items::get_work_item(app, principal, project, item).await {
        Err(error) if error.code == Code::NotFound => {
            let why = "the project has no item of this id; take one from list_work, or leave it out";
            Err(Error::invalid_field("/workItemId", why))
        }
        found => found.map(drop),
    }
}

/// Goes on with a reservation: a sign of life, which may say for how long each is to hold it from now on.
///
/// # Errors
/// `not_found` for a project out of reach, `invalid_request` for a time out of bounds, `lease_lost` for a reservation that
/// has ended, is somebody else's, or has another fencing token.
pub async fn renew_paths(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    (id, fence): (ReservationId, i64),
    lease_seconds: Option<i64>,
    record: CallRecord,
) -> Result<Reserved> {
    projects::reach(app, principal, project).await?;
    let lasts: Option<TimeDelta> = lease_seconds.map(|seconds| parse_lasts(Some(seconds))).transpose()?;
    let (context, who) = (Arc::clone(app), principal.id);
    let write = app.database.write(principal.tenant, move |tx| {
        Box::pin(async move {
            projects::hold(tx, project).await?;
            let now = context.clock.now();
            let found = store::find(tx, project, id).await?.filter(|it| it.is_live(now));
            let mut reservation = match found {
                Some(mine) if mine.holder.id == who && mine.fence == fence => mine,
                other => return Err(show::is_lost(fence, other.as_ref(), who)),
            };
            reservation.lasts = lasts.unwrap_or(reservation.lasts);
            reservation.renew(SignOfLife::Update, now, now);
            store::save(tx, project, std::slice::from_ref(&reservation)).await?;
            record.write(tx).await?;
            Ok(Reserved { reservation, overlaps: Vec::new() })
        })
    });
    write.await
}

/// Gives paths back. Without a fencing token this takes them from whoever holds them, which only who may manage the project
/// does.
///
/// # Errors
/// `not_found` for a project out of reach, and without a fencing token for a reservation that is not there; `lease_lost` for
/// one that has ended, is somebody else's, or has another fencing token; `already_reserved` for who may not take it away.
pub async fn release_paths(
    app: &Arc<App>,
    principal: &Principal,
    project: ProjectId,
    (id, fence): (ReservationId, Option<i64>),
    note: Option<&str>,
    record: CallRecord,
) -> Result<Reservation> {
    projects::reach(app, principal, project).await?;
    let note = note.map(|text| parse_text("/reason", text, NOTE)).transpose()?;
    let (context, who) = (Arc::clone(app), principal.id);
    let may = principal.scopes.contains(&Scope::ProjectsWrite);
    let write = app.database.write(principal.tenant, move |tx| {
        Box::pin(async move {
            projects::hold(tx, project).await?;
            let now = context.clock.now();
            let found = store::find(tx, project, id).await?.filter(|it| it.is_live(now));
            let (reservation, reason) = match (found, fence) {
                (Some(mine), Some(fence)) if mine.holder.id == who && mine.fence == fence => {
                    (mine, Reason::Released)
                }
                (found, Some(fence)) => return Err(show::is_lost(fence, found.as_ref(), who)),
                (Some(theirs), None) if may => (theirs, Reason::TakenBack),
                (Some(with), None) => {
                    let path = with.paths().first().copied().unwrap_or_default().to_owned();
                    let overlap = Overlap { path, with };
                    return Err(show::is_reserved(std::slice::from_ref(&overlap), &overlap, who));
                }
                (None, None) => return Err(Error::not_found("reservation")),
            };
            let ended = std::slice::from_ref(&reservation);
            let events = end(&context, tx, project, ended, reason, note.as_deref()).await?;
            events::tell(&context, tx, project, events).await?;
            record.write(tx).await?;
            Ok(reservation)
        })
    });
    write.await
}
