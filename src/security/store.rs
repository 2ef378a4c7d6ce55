//! The rows of the security log.

use entity::security_event;
use sea_orm::{
    ActiveValue::Set, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    prelude::*,
};

use super::{NAME, SecurityEvent, SecurityEventId, SecurityFilter, SecurityRecord, WORDS};
use crate::{
    accounts::PrincipalId,
    database::{DoorTx, Tx},
    error::Result,
    wire::{Page, bounded},
};

pub(super) async fn insert(tx: &Tx<'_>, event: SecurityEvent) -> Result<()> {
    let SecurityEvent { id, at, actor, action, outcome, target, details } = event;
    let row = security_event::ActiveModel {
        id: Set(id.0),
        tenant_id: Set(tx.tenant().0),
        at: Set(at),
        actor_kind: Set(actor.kind.as_str().to_owned()),
        actor_id: Set(actor.id.map(|id| id.0)),
        actor_name: Set(bounded(&actor.name, NAME)),
        credential: Set(actor.credential.map(|credential| credential.to_string())),
        action: Set(action.as_str().to_owned()),
        outcome: Set(outcome.as_str().to_owned()),
        target_kind: Set(target.as_ref().map(|target| target.kind.as_str().to_owned())),
        target_id: Set(target.as_ref().map(|target| target.id)),
        target_name: Set(target.map(|target| bounded(&target.name, NAME))),
        ip: Set(actor.sender.ip.map(|ip| ip.to_canonical().to_string())),
        user_agent: Set(actor.sender.user_agent.map(|words| bounded(&words, WORDS))),
        details: Set(details),
    };
    security_event::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// The events of a page that are meant, and one more if there is one, newest first.
pub(super) async fn list(
    tx: &Tx<'_>,
    filter: &SecurityFilter,
    page: &Page<SecurityEventId>,
) -> Result<Vec<SecurityRecord>> {
    use security_event::Column;
    let SecurityFilter { actor, credential, action, from, until } = filter;
    let narrow = Condition::all()
        .add_option(actor.map(|actor| Column::ActorId.eq(actor.0)))
        .add_option(credential.map(|credential| Column::Credential.eq(credential.to_string())))
        .add_option(action.map(|action| Column::Action.eq(action.as_str())))
        .add_option(from.map(|from| Column::At.gte(from)))
        .add_option(until.map(|until| Column::At.lt(until)))
        .add_option(page.after.map(|after| Column::Id.lt(after.0)));
    let query = tx.find::<security_event::Entity>().filter(narrow);
    let rows = query.order_by_desc(Column::Id).limit(page.limit + 1).all(tx.conn()).await?;
    Ok(rows.into_iter().map(to_record).collect())
}

fn to_record(row: security_event::Model) -> SecurityRecord {
    SecurityRecord {
        id: SecurityEventId(row.id),
        at: row.at,
        actor_kind: row.actor_kind,
        actor: row.actor_id.map(PrincipalId),
        actor_name: row.actor_name,
        credential: row.credential,
        action: row.action,
        outcome: row.outcome,
        target_kind: row.target_kind,
        target: row.target_id,
        target_name: row.target_name,
        ip: row.ip,
        user_agent: row.user_agent,
        details: row.details,
    }
}

/// Removes up to `limit` events from before an id, whoever they belong to; gives their number.
pub(super) async fn remove_old(tx: &DoorTx<'_>, before: Uuid, limit: u64) -> Result<u64> {
    use security_event::{Column, Entity};
    tx.delete_some::<Entity>(Column::Id, Column::Id.lt(before), limit).await
}
