//! Leases, on work and on paths, whose holders cannot come back with what they came with, such as a key that was revoked.

use std::sync::Arc;

use futures::future::BoxFuture;
use uuid::Uuid;

use crate::{
    accounts::{self, Credential},
    app::App,
    database::{BATCH, Door, DoorTx, Place, TenantId},
    due,
    error::Result,
    projects::ProjectId,
};

/// What is read through a door.
type Read<'t, T> = BoxFuture<'t, Result<Vec<T>>>;

/// What the leases of a table rest on.
#[derive(Clone, Copy)]
pub struct Leases {
    /// Some of what their holders came with, behind one of them in their order.
    pub credentials: for<'t> fn(&'t DoorTx<'t>, Option<Credential>) -> Read<'t, Credential>,
    /// Those of holders who came with something.
    pub held_with: for<'t> fn(&'t DoorTx<'t>, Arc<[Credential]>) -> Read<'t, Place>,
}

/// Ends the leases of all tenants that rest on what is over: `end` is told those of a project, and on what.
///
/// # Errors
/// The database's; what is left is ended the next time.
pub async fn end_revoked<Ended>(
    app: &App,
    Leases { credentials, held_with }: Leases,
    trouble: &'static str,
    end: impl Fn(TenantId, ProjectId, Vec<Uuid>, Arc<[Credential]>) -> Ended,
) -> Result<()>
where
    Ended: Future<Output = Result<()>>,
{
    let (database, mut behind) = (app.database.in_background(), None);
    while !app.shutdown.is_cancelled() {
        let held = database.read_through(Door::Leases, move |tx| credentials(tx, behind)).await?;
        let is_last = (held.len() as u64) < BATCH;
        behind = held.last().copied();
        let over: Arc<[Credential]> = accounts::over(app, held).await?.into();
        if !over.is_empty() {
            let with = Arc::clone(&over);
            let places = database.read_through(Door::Leases, move |tx| held_with(tx, with)).await?;
            let end = |tenant, project, ids| end(tenant, project, ids, Arc::clone(&over));
            due::each_project(places, trouble, end).await?;
        }
        if is_last {
            break;
        }
    }
    Ok(())
}
