//! Gates that stand otherwise though nothing happens: a waiver that ends, or a decision that was good for a while.
//!
//! They are found by an index of those that have a time, and each project's are evaluated together.

use std::sync::Arc;

use super::{Changed, evaluate, store};
use crate::{
    app::App,
    database::{Door, TenantId},
    due,
    error::Result,
    events,
    projects::{self, ProjectId},
};

/// Evaluates the gates of all tenants that are due.
///
/// # Errors
/// The database's; what is left is evaluated the next time.
pub async fn evaluate_due(app: &Arc<App>) -> Result<()> {
    let find: due::Find = |tx, now, behind| Box::pin(store::due(tx, now, behind));
    let trouble = "gates that are due could not be evaluated";
    let evaluate = |tenant, project, _| evaluate_in(app, tenant, project);
    due::look_after(app, Door::DueGates, app.clock.now(), find, trouble, evaluate).await
}

async fn evaluate_in(app: &Arc<App>, tenant: TenantId, project: ProjectId) -> Result<()> {
    let (context, database) = (Arc::clone(app), app.database.in_background());
    let write = database.write(tenant, move |tx| {
        Box::pin(async move {
            if projects::hold_if_there(tx, project).await?.is_none() {
                return Ok(()); // its rows are being removed
            }
            let events = evaluate(&context, tx, project, &Changed::nothing()).await?;
            events::tell(&context, tx, project, events).await
        })
    });
    write.await
}
