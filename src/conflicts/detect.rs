//! Detection: the conflicts that are open become those whose causes hold.
//!
//! It is part of the transaction in which a scan ends, and reads all it needs by three queries: what documents state,
//! which conflicts are open and, if there is something new, which causes somebody has settled. A cause that somebody
//! has settled is never told again, also if it goes away and comes back; one that went away by itself is told anew.
//! Detecting again finds nothing to do.

use super::{
    Conflict, ConflictId, ConflictKind, Resolution,
    drift::{Drift, drift},
    event, store,
};
use crate::{
    app::App,
    artifacts,
    database::Tx,
    error::Result,
    events::{EventName, NewEvent},
    projects::ProjectId,
};

/// What drift makes: other conflicts come and go by other rules.
pub(super) const KINDS: [ConflictKind; 2] = [ConflictKind::VersionMismatch, ConflictKind::DependencyBroken];

/// Looks for drift between the documents of a project, as they are in this transaction; gives the events of what was
/// found and of what is resolved. The project is held (`projects::hold`), so that nobody else detects at the same time.
///
/// # Errors
/// The database's.
pub async fn detect(app: &App, tx: &Tx<'_>, project: ProjectId) -> Result<Vec<NewEvent>> {
    let now = app.clock.now();
    let mut held = drift(&artifacts::stated(tx, project).await?);
    let (mut gone, mut renamed) = (Vec::new(), Vec::new());
    for (cause, conflict) in store::open(tx, project, &KINDS).await? {
        match held.remove(&cause) {
            None => gone.push(conflict),
            Some(drift) if drift.is_told_by(&conflict) => {}
            // The document was renamed, or the same version is written in another way.
            Some(Drift { severity, details, .. }) => {
                renamed.push((cause, Conflict { severity, details, ..conflict }))
            }
        }
    }
    if !held.is_empty() {
        for cause in store::settled(tx, project).await? {
            held.remove(&cause);
        }
    }
    let mut found: Vec<_> = held.into_iter().collect();
    found.sort_by(|(_, one), (_, other)| one.details.place().cmp(&other.details.place()));
    let found: Vec<_> = found
        .into_iter()
        .map(|(cause, Drift { kind, severity, artifact, details })| {
            let id = ConflictId(app.ids.uuid());
            let artifact = Some(artifact);
            (cause, Conflict { id, kind, severity, artifact, details, detected_at: now, resolution: None })
        })
        .collect();

    let resolution = Resolution { at: now, by: None, why: "the cause is gone".to_owned() };
    gone.sort_by(|one, other| one.details.place().cmp(&other.details.place()));
    store::resolve(tx, project, &gone.iter().map(|conflict| conflict.id).collect::<Vec<_>>(), &resolution)
        .await?;
    store::save(tx, project, &renamed).await?;
    store::save(tx, project, &found).await?;
    let resolved =
        gone.into_iter().map(|conflict| Conflict { resolution: Some(resolution.clone()), ..conflict });
    let resolved = resolved.map(|conflict| event(EventName::ConflictResolved, &conflict));
    let detected = found.iter().map(|(_, conflict)| event(EventName::ConflictDetected, conflict));
    Ok(resolved.chain(detected).collect())
}

impl Drift {
    fn is_told_by(&self, conflict: &Conflict) -> bool {
        (self.severity, &self.details) == (conflict.severity, &conflict.details)
    }
}
