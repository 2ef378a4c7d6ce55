//! Retention: records go when they have come of age, and leave a sealed checkpoint.
//!
//! A chain loses its oldest records, a few hundred in a transaction, together with a checkpoint that says how far.
//! Only what is proven is removed: a chain in which a link is wrong is left as it is, so that nobody has us remove
//! the traces. A chain that was begun before the oldest record that is kept, and has no record left, gives its place
//! up: its head goes, and becomes part of the digest in the register. Its process, should it still run, begins
//! another one when it has something to record.

use uuid::Uuid;

use super::{
    Record,
    chain::{Head, Link},
    store,
    writer::SHARED,
};
use crate::{
    app::App,
    clock::{Time, oldest_id_of},
    database::{Database, Door, TenantId},
    error::Result,
};

/// Records removed in one transaction.
const BATCH: u64 = 500;
/// Heads read by one query.
const HEADS: u64 = 500;

/// Removes the records that have come of age, until the service stops.
///
/// # Errors
/// The database's; what is left goes the next time.
pub async fn prune(app: &App) -> Result<()> {
    let before = app.clock.now() - app.config.audit_retention;
    let database = app.database.in_background();
    let mut after = None;
    loop {
        let heads = database
            .read_through(Door::Retention, move |tx| Box::pin(store::heads_after(tx, after, HEADS)))
            .await?;
        let Some((tenant, head)) = heads.last() else { return Ok(()) };
        after = Some((*tenant, head.writer));
        for (tenant, mut head) in heads {
            while !app.shutdown.is_cancelled() {
                match prune_some(app, &database, tenant, &head, before).await? {
                    Some(pruned) => head.pruned = pruned,
                    None => break,
                }
            }
            retire(app, &database, tenant, head, before).await?;
        }
        if app.shutdown.is_cancelled() {
            return Ok(());
        }
    }
}

/// Removes the oldest records of a chain; gives the checkpoint that it has then, none if nothing (more) is to go.
async fn prune_some(
    app: &App,
    database: &Database,
    tenant: TenantId,
    head: &Head,
    before: Time,
) -> Result<Option<Link>> {
    let (writer, seals, old) = (head.writer, app.audit.seals(), head.pruned.clone());
    let from = old.position;
    let records = database
        .read_through(Door::Retention, move |tx| {
            Box::pin(store::oldest_records(tx, tenant, writer, from, BATCH))
        })
        .await?;
    let (mut new, mut is_proven) = (old.clone(), true);
    for record in records.iter().take_while(|record| record.call.called_at < before) {
        is_proven = seals.follows(&new, record);
        if !is_proven {
            break;
        }
        let Record { position, hash, .. } = record;
        new = Link { position: *position, hash: hash.clone() };
    }
    if new == old || !is_proven {
        if !is_proven {
            tracing::error!(%tenant, %writer, "old tool calls are kept, because they were changed; see: trackside audit verify");
        }
        return Ok(None);
    }
    let mac = seals.checkpoint(tenant, writer, &new).to_vec();
    let checkpoint = new.clone();
    let is_ours = database
        .write_through(Door::Retention, move |tx| {
            Box::pin(store::prune(tx, tenant, writer, old.position, checkpoint, mac))
        })
        .await?;
    Ok(is_ours.then_some(new))
}

/// Takes a chain out that has come of age whole.
async fn retire(app: &App, database: &Database, tenant: TenantId, head: Head, before: Time) -> Result<()> {
    let seals = app.audit.seals().clone();
    let is_shared = head.writer < Uuid::from_u128(SHARED.end);
    let is_empty = head.newest == head.pruned && seals.fits_newest(tenant, &head);
    if is_shared || !is_empty || head.writer >= oldest_id_of(before) {
        return Ok(());
    }
    database
        .write_through(Door::Retention, move |tx| {
            Box::pin(async move {
                let Some(register) = store::hold_register_of(tx, tenant).await? else { return Ok(()) };
                if seals.fits_register(tenant, &register) && store::remove_head(tx, tenant, &head).await? {
                    store::change_register_of(tx, tenant, seals.without(tenant, register, &head)).await?;
                }
                Ok(())
            })
        })
        .await
}
