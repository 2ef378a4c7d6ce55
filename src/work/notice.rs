//! What callers are told whatever they ask: that a document is not what it was when they began to build on it, and that
//! somebody else edits what they edit.
//!
//! An agent need not ask for it, because it would not. So every answer of a tool about a project looks whether its caller
//! holds something there, or is in an open conflict. Most callers are neither; that is known for a few seconds, so that they
//! do not pay for it.

use std::{collections::BTreeSet, time::Duration};

use moka::sync::Cache;
use serde_json::Value;

use super::{
    WorkItem,
    context::{differing, digests},
    show, store,
};
use crate::{
    accounts::{Principal, PrincipalId},
    app::App,
    artifacts,
    conflicts::edits,
    database::Tx,
    error::Result,
    projects::ProjectId,
};

/// For how long it is known that somebody holds nothing and is in no conflict; what they claim at another instance meanwhile
/// is not noticed, nor what another one sees of a push.
const KNOWN: Duration = Duration::from_secs(5);
/// Those of whom that is known.
const MOST: u64 = 10_000;

/// Conflicts that are told with an answer.
const CONFLICTS: usize = 3;

/// Who was found to hold nothing just now. A clone is another handle to the same.
#[derive(Clone)]
pub struct IdleHands(Cache<(ProjectId, PrincipalId), ()>);

impl Default for IdleHands {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_live(KNOWN).build())
    }
}

impl IdleHands {
    /// Somebody holds something now.
    pub(super) fn took(&self, project: ProjectId, who: PrincipalId) {
        self.0.invalidate(&(project, who));
    }
}

/// Notes that some are in a conflict now, once that is committed: their next answer tells it.
pub(crate) fn concern(app: &App, tx: &Tx<'_>, project: ProjectId, whom: BTreeSet<PrincipalId>) {
    let idle = app.claims.idle.clone();
    tx.after_commit(move || whom.into_iter().for_each(|who| idle.took(project, who)));
}

/// What somebody is to be told, as fields of whatever they are answered: `warning` of a document that they build on, that
/// has changed since they claimed its item, and that they have not said to have read since; and `editConflicts` with those
/// who edit what they edit (some tools answer other `conflicts`).
///
/// # Errors
/// The database's.
pub async fn warning(
    app: &App,
    principal: &Principal,
    project: ProjectId,
) -> Result<Vec<(&'static str, Value)>> {
    let hands = (project, principal.id);
    if app.claims.idle.0.contains_key(&hands) {
        return Ok(Vec::new());
    }
    let (who, now) = (principal.id, app.clock.now());
    let read = app.database.read(principal.tenant, move |tx| {
        Box::pin(async move {
            let mut held = store::held_by(tx, project, who).await?;
            held.retain(|item| item.claim.live(now).is_some());
            let documents: Vec<_> = held.iter().filter_map(|item| item.artifact).collect();
            let documents = artifacts::present(tx, project, documents).await?;
            let changed = |item: &WorkItem| {
                let document = documents.get(&item.artifact?)?;
                Some(differing(item.pins.as_ref()?, &digests(document)))
            };
            let told = held.iter().find_map(|item| show::warning(item, &changed(item)?));
            let mut told: Vec<_> = told.into_iter().collect();
            let conflicts = edits::open_for(tx, project, who, CONFLICTS).await?;
            if !conflicts.is_empty() {
                told.push(("editConflicts", Value::Array(conflicts)));
            }
            Ok((held.is_empty() && told.is_empty(), told))
        })
    });
    let (is_idle, told) = read.await?;
    if is_idle {
        app.claims.idle.0.insert(hands, ());
    }
    Ok(told)
}
