//! What was really touched: the files of a push or a pull request beside what is reserved, and documents that two changed
//! in one moment.
//!
//! Nobody is kept from pushing. Whoever pushes what somebody else keeps for themselves is told so, as is the holder, by a
//! conflict that is critical; a warning if nothing but files is concerned that everybody adds to or that tools write (the
//! project's `softPaths`), or if nobody knows whose the push is. A push by a stranger to the branch that the holder named is
//! taken for the holder's.
//!
//! No host says in a pull request which files it touches. They are those that were pushed to its branch, which is
//! remembered until it is merged or gone; so what was reserved after the pushes is compared once more when the request is
//! opened or changed. Of a branch in another repository, whose pushes nobody tells us, nothing is known.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::{Reservation, ReservationId, ReservationMode, patterns::Pattern, reserving::meeting, store};
use crate::{
    accounts::{PrincipalId, members},
    agents,
    app::App,
    artifacts::{self, Patterns},
    clock::Time,
    conflicts::{
        Severity,
        edits::{self, Party},
    },
    database::Tx,
    error::Result,
    events::NewEvent,
    projects::{Project, ProjectId},
    work::{heard::Heard, lease::SignOfLife},
};

/// Two changes of one document within this time are made at the same moment.
pub const AT_ONCE: TimeDelta = TimeDelta::seconds(60);
/// Files that are looked at together.
const BATCH: usize = 500;
/// Files of a push that are remembered, and of a pull request that are looked at.
const FILES: usize = 2_000;
/// For how long after the last push that touched them.
const KEPT: TimeDelta = TimeDelta::days(90);

/// A change of a document, by one of those whose push it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The document, from the repository's root.
    pub path: String,
    /// Who changed it.
    pub by: PrincipalId,
    /// The name which that had then.
    pub name: String,
    /// When that was heard.
    pub at: Time,
}

/// The files that a push touches.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// Their paths from the repository's root.
    pub paths: &'a BTreeSet<&'a str>,
    /// What the host calls those who made it.
    pub by: &'a [String],
    /// Whose it is, as far as that is known.
    pub whose: &'a BTreeSet<PrincipalId>,
    /// The branch.
    pub branch: Option<&'a str>,
    /// When its delivery was received.
    pub at: Time,
}

/// The live reservations that some files are in, each with the files that are.
#[derive(Debug)]
pub struct Around(Vec<(Reservation, BTreeSet<String>)>);

impl Around {
    /// Reads them for as many files as many pushes touch.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(app: &App, tx: &Tx<'_>, project: ProjectId, paths: &BTreeSet<&str>) -> Result<Self> {
        let (now, paths): (_, Vec<_>) = (app.clock.now(), paths.iter().copied().collect());
        let mut around: BTreeMap<ReservationId, (Reservation, BTreeSet<String>)> = BTreeMap::new();
        for some in paths.chunks(BATCH) {
            let exact: Vec<_> = some.iter().map(|path| Pattern::file(path)).collect();
            for (reservation, places) in meeting(tx, project, now, &exact).await? {
                let (_, files) =
                    around.entry(reservation.id).or_insert_with(|| (reservation, BTreeSet::new()));
                files.extend(places.into_iter().map(|at| some[at].to_owned()));
            }
        }
        Ok(Self(around.into_values().collect()))
    }
}

/// Looks what a push touched that it should not have, while the project is held; gives what the log is to be told.
///
/// # Errors
/// The database's, and `internal` for a project whose patterns are none.
pub async fn touched(
    app: &App,
    tx: &Tx<'_>,
    project: &Project,
    documents: &Patterns,
    around: &Around,
    files: Files<'_>,
) -> Result<Vec<NewEvent>> {
    if files.paths.is_empty() {
        return Ok(Vec::new());
    }
    let pushers = parties(tx, files.whose).await?;
    let mut clashes = violations(project, &pushers, around, files)?;
    clashes.extend(at_once(app, tx, project, documents, &pushers, files).await?);
    edits::found(app, tx, project.id, clashes).await
}

/// Remembers what a push to a branch that is to be merged touched.
///
/// # Errors
/// The database's.
pub async fn remember(
    tx: &Tx<'_>,
    project: ProjectId,
    branch: &str,
    paths: &BTreeSet<&str>,
    at: Time,
) -> Result<()> {
    if paths.is_empty() {
        return Ok(());
    }
    store::note_files(tx, project, branch, paths.iter().copied().take(FILES), (at, at - KEPT)).await
}

/// Forgets what was pushed to a branch that is merged or gone.
///
/// # Errors
/// The database's.
pub async fn forget(tx: &Tx<'_>, project: ProjectId, branch: &str) -> Result<()> {
    store::forget_files(tx, project, branch).await
}

/// Looks what a pull request would bring that somebody else keeps for themselves, while the project is held; `by` is what
/// the host calls whose it is. Gives what the log is to be told.
///
/// # Errors
/// The database's, and `internal` for a project whose patterns are none.
pub async fn proposed(
    app: &App,
    tx: &Tx<'_>,
    project: &Project,
    branch: &str,
    by: &[String],
    at: Time,
) -> Result<Vec<NewEvent>> {
    let files = store::files_of(tx, project.id, branch, FILES as u64).await?;
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let whose = agents::Known::by(tx, by).await?.pushers(project.id, by);
    let paths = files.iter().map(String::as_str).collect();
    let around = Around::read(app, tx, project.id, &paths).await?;
    let files = Files { paths: &paths, by, whose: &whose, branch: Some(branch), at };
    let pushers = parties(tx, &whose).await?;
    let clashes = violations(project, &pushers, &around, files)?;
    edits::found(app, tx, project.id, clashes).await
}

/// Principals, as a conflict names them.
async fn parties(tx: &Tx<'_>, whose: &BTreeSet<PrincipalId>) -> Result<Vec<Party>> {
    let known = members::by_ids(tx, whose.iter().copied().collect()).await?;
    Ok(known.into_values().map(|who| Party { id: Some(who.id.0), name: who.name }).collect())
}

/// The reservations of others that files of a push are in.
fn violations(
    project: &Project,
    pushers: &[Party],
    Around(around): &Around,
    files: Files<'_>,
) -> Result<Vec<edits::Clash>> {
    let heard = Heard { by: SignOfLife::Push, whose: files.whose, branch: files.branch, at: files.at };
    let is_own = |it: &Reservation| heard.is_of(it.holder.id, it.branch.as_deref());
    let violated = around.iter().filter(|(it, _)| it.mode == ReservationMode::Exclusive && !is_own(it));
    let violated = violated.map(|(reservation, theirs)| {
        let touched = theirs.iter().filter(|path| files.paths.contains(path.as_str()));
        (reservation, touched.cloned().collect::<Vec<_>>())
    });
    let violated: Vec<_> = violated.filter(|(_, touched)| !touched.is_empty()).collect();
    if violated.is_empty() {
        return Ok(Vec::new());
    }
    let soft = project.config.soft_paths.iter().map(|path| Pattern::parse("/config/softPaths", path));
    let soft: Vec<_> = soft.collect::<Result<_>>()?;
    let stranger =
        || Party { id: None, name: files.by.first().cloned().unwrap_or_else(|| "somebody".into()) };
    let pushers = if pushers.is_empty() { vec![stranger()] } else { pushers.to_vec() };
    let clash = |(reservation, touched): (&Reservation, Vec<String>)| {
        let is_soft = touched.iter().all(|path| soft.iter().any(|pattern| pattern.matches(path)));
        let severity = match is_soft || files.whose.is_empty() {
            true => Severity::Warning,
            false => Severity::Critical,
        };
        edits::violation(reservation, &pushers, touched, files.branch, severity)
    };
    Ok(violated.into_iter().map(clash).collect())
}

/// The documents of a push that somebody else changed just before; notes that they were changed.
async fn at_once(
    app: &App,
    tx: &Tx<'_>,
    project: &Project,
    documents: &Patterns,
    pushers: &[Party],
    files: Files<'_>,
) -> Result<Vec<edits::Clash>> {
    let paths = files.paths.iter().copied().filter(|path| documents.kind_of(path).is_some());
    let paths: BTreeSet<_> = paths.take(BATCH).collect();
    let pushers: Vec<_> =
        pushers.iter().filter_map(|who| Some((PrincipalId(who.id?), who.name.clone()))).collect();
    if paths.is_empty() || pushers.is_empty() {
        return Ok(Vec::new());
    }
    let since = files.at - AT_ONCE;
    let before = store::touches(tx, project.id, &paths, since).await?;
    let touches = paths.iter().flat_map(|path| {
        let touch = |(by, name): &(PrincipalId, String)| Touched {
            path: (*path).to_owned(),
            by: *by,
            name: name.clone(),
            at: files.at,
        };
        pushers.iter().map(touch).collect::<Vec<_>>()
    });
    let touches: Vec<_> = touches.collect();
    let theirs = before.iter().filter(|touch| pushers.iter().all(|(by, _)| *by != touch.by));
    let theirs: Vec<_> = theirs.collect();
    let mut clashes = Vec::new();
    if !theirs.is_empty() {
        let paths = theirs.iter().map(|touch| touch.path.clone()).collect();
        let known = artifacts::ids_by_paths(tx, project.id, paths).await?;
        for their in theirs {
            let mine = touches.iter().filter(|mine| mine.path == their.path);
            clashes.extend(mine.map(|mine| edits::concurrent(known.get(&mine.path).copied(), their, mine)));
        }
    }
    let noted = touches.into_iter().map(|touch| (app.ids.uuid(), touch)).collect();
    store::note_touches(tx, project.id, noted, since.min(app.clock.now() - AT_ONCE)).await?;
    Ok(clashes)
}
