//! Gates that stand otherwise though nothing happens: a waiver that ends, or a decision that was good for a while.
//!
//! Every instance that looks after what is due finds them a few seconds apart, by an index of those that have a time.
//! Each project's are evaluated in a transaction that holds it, which reads them again: of several instances that see the
//! same gate at once one turns it and tells.

use std::{collections::BTreeSet, sync::Arc};

use super::{Changed, GateId, evaluate, store};
use crate::{
    app::App,
    clock::Time,
    database::{Door, TenantId},
    error::{Code, Result, chain},
    events,
    projects::{self, ProjectId},
};

/// Gates looked at in one go.
const BATCH: u64 = 200;

/// A gate that is to be looked at again.
pub(super) struct Due {
    pub(super) at: Time,
    pub(super) tenant: TenantId,
    pub(super) project: ProjectId,
    pub(super) id: GateId,
}

/// Evaluates the gates of all tenants that are due.
///
/// # Errors
/// The database's; what is left is evaluated the next time.
pub async fn evaluate_due(app: &Arc<App>) -> Result<()> {
    let (database, now, mut behind) = (app.database.in_background(), app.clock.now(), None);
    while !app.shutdown.is_cancelled() {
        let due = database
            .read_through(Door::DueGates, move |tx| Box::pin(store::due(tx, now, behind, BATCH)))
            .await?;
        let is_last = (due.len() as u64) < BATCH;
        // Onwards from here, so that what cannot be evaluated is not in the way of the rest.
        behind = due.last().map(|last| (last.at, last.id));
        let projects: BTreeSet<_> = due.iter().map(|due| (due.tenant, due.project)).collect();
        for (tenant, project) in projects {
            let context = Arc::clone(app);
            let write = app.database.in_background();
            let write = write.write(tenant, move |tx| {
                Box::pin(async move {
                    if projects::hold_if_there(tx, project).await?.is_none() {
                        return Ok(()); // its rows are being removed
                    }
                    let events = evaluate(&context, tx, project, &Changed::nothing()).await?;
                    events::tell(&context, tx, project, events).await
                })
            });
            match write.await {
                Err(error) if error.code != Code::Unavailable => {
                    tracing::warn!(%project, error = %chain(&error), "gates that are due could not be evaluated");
                }
                outcome => outcome?,
            }
        }
        if is_last {
            break;
        }
    }
    Ok(())
}
