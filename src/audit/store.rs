//! The rows of the tool-call log: records, heads of chains, registers.

use std::collections::HashSet;

use chrono::TimeDelta;
use entity::{audit_head, audit_register, mcp_audit_log};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    Condition, ConnectionTrait as _, EntityTrait as _, FromQueryResult as _, QueryFilter as _,
    QueryOrder as _, QueryResult, QuerySelect as _, QueryTrait as _,
    prelude::*,
    sea_query::{ExprTrait, OnConflict},
};

use super::{
    Record, ToolCall, ToolCallFilter, ToolCallId,
    chain::{Head, Link, Register},
    summary::Counted,
};
use crate::{
    accounts::{KeyId, PrincipalId},
    clock::{Time, oldest_id_of},
    database::{Batch, DoorTx, TenantId, Tx},
    error::{Error, Result},
    projects::ProjectId,
};

/// The newest link of a chain and its seal.
type Newest = (TenantId, Uuid, Link, Vec<u8>);

/// Inserts records of any tenants, and moves the heads of their chains; all of those must be there.
pub(super) async fn append(batch: Batch<'_>, records: Vec<Record>, heads: Vec<Newest>) -> Result<()> {
    let moved = heads.into_iter().map(|(tenant, writer, newest, mac)| audit_head::ActiveModel {
        tenant_id: Unchanged(tenant.0),
        writer: Unchanged(writer),
        position: Set(newest.position),
        hash: Set(newest.hash),
        mac: Set(mac),
        ..Default::default()
    });
    let rows = records.into_iter().map(to_row).collect();
    batch.insert_and_change(rows, moved.collect()).await
}

/// Moves the head of a chain; it must be there.
pub(super) async fn move_head(tx: &Tx<'_>, writer: Uuid, newest: Link, mac: Vec<u8>) -> Result<()> {
    use audit_head::Column;
    let moved = tx
        .update::<audit_head::Entity>()
        .col_expr(Column::Position, newest.position.into())
        .col_expr(Column::Hash, newest.hash.into())
        .col_expr(Column::Mac, mac.into())
        .filter(Column::Writer.eq(writer))
        .exec(tx.conn())
        .await?;
    match moved.rows_affected {
        1 => Ok(()),
        _ => Err(Error::internal("the head of a chain of the tool-call log is not there")),
    }
}

/// Inserts records of this tenant.
pub(super) async fn insert_records(tx: &Tx<'_>, records: Vec<Record>) -> Result<()> {
    tx.insert_all(records.into_iter().map(to_row).collect()).await
}

/// Those of some calls that are recorded.
pub(super) async fn known(tx: &Tx<'_>, calls: Vec<ToolCallId>) -> Result<HashSet<ToolCallId>> {
    let known = tx
        .find::<mcp_audit_log::Entity>()
        .filter(mcp_audit_log::Column::Id.is_in(calls.into_iter().map(|call| call.0)))
        .select_only()
        .column(mcp_audit_log::Column::Id);
    let known: Vec<Uuid> = known.into_tuple().all(tx.conn()).await?;
    Ok(known.into_iter().map(ToolCallId).collect())
}

/// The head of a chain, which nobody else moves until the transaction ends.
pub(super) async fn hold_head(tx: &Tx<'_>, writer: Uuid) -> Result<Option<Head>> {
    let head = tx.find::<audit_head::Entity>().filter(audit_head::Column::Writer.eq(writer));
    Ok(head.lock_exclusive().one(tx.conn()).await?.map(to_head))
}

pub(super) async fn insert_head(tx: &Tx<'_>, head: Head) -> Result<()> {
    let row = audit_head::ActiveModel {
        tenant_id: Set(tx.tenant().0),
        writer: Set(head.writer),
        position: Set(head.newest.position),
        hash: Set(head.newest.hash),
        mac: Set(head.mac),
        pruned_to: Set(head.pruned.position),
        pruned_hash: Set(head.pruned.hash),
        pruned_mac: Set(head.pruned_mac),
    };
    audit_head::Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// The tenant's register, which is `new` if there was none; nobody else changes it until the transaction ends.
pub(super) async fn hold_register(tx: &Tx<'_>, new: Register) -> Result<Register> {
    let row = audit_register::ActiveModel {
        tenant_id: Set(tx.tenant().0),
        writers: Set(to_bytes(&new.writers)),
        retired: Set(new.retired),
        retired_hash: Set(new.retired_hash),
        mac: Set(new.mac),
    };
    let once = OnConflict::column(audit_register::Column::TenantId).do_nothing().to_owned();
    audit_register::Entity::insert(row).on_conflict(once).exec_without_returning(tx.conn()).await?;
    let register = tx.find::<audit_register::Entity>().lock_exclusive().one(tx.conn()).await?;
    register.map(to_register).ok_or_else(|| Error::internal("the register of the tool-call log has vanished"))
}

/// Enters another chain.
pub(super) async fn change_register(tx: &Tx<'_>, register: Register) -> Result<()> {
    tx.update::<audit_register::Entity>()
        .col_expr(audit_register::Column::Writers, to_bytes(&register.writers).into())
        .col_expr(audit_register::Column::Mac, register.mac.into())
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// What of a table can be read, and why the rest cannot.
type Readable<T> = std::result::Result<T, String>;

/// The rows of a query one by one: where somebody has put what cannot be read, the others still can.
async fn each<E, T>(tx: &Tx<'_>, query: Select<E>, read: impl Fn(E::Model) -> T) -> Result<Vec<Readable<T>>>
where
    E: EntityTrait,
{
    let rows = tx.conn().query_all(&query.into_query()).await?;
    let read = |row: &QueryResult| E::Model::from_query_result(row, "").map(&read);
    Ok(rows.iter().map(|row| read(row).map_err(|error| error.to_string())).collect())
}

/// Every head of the tenant.
pub(super) async fn heads(tx: &Tx<'_>) -> Result<Vec<Readable<Head>>> {
    each(tx, tx.find::<audit_head::Entity>().order_by_asc(audit_head::Column::Writer), to_head).await
}

/// The tenant's register.
pub(super) async fn register(tx: &Tx<'_>) -> Result<Option<Readable<Register>>> {
    Ok(each(tx, tx.find::<audit_register::Entity>(), to_register).await?.pop())
}

/// Up to `limit` records of a chain behind a position, in order.
pub(super) async fn records_after(
    tx: &Tx<'_>,
    writer: Uuid,
    position: Option<i64>,
    limit: u64,
) -> Result<Vec<Readable<Record>>> {
    use mcp_audit_log::Column;
    let behind = position.map(|position| Column::Position.gt(position));
    let query = tx
        .find::<mcp_audit_log::Entity>()
        .filter(Column::Writer.eq(writer))
        .filter(Condition::all().add_option(behind))
        .order_by_asc(Column::Position)
        .limit(limit);
    each(tx, query, to_record).await
}

/// The chain behind `after` that has records, with or without a head.
pub(super) async fn next_writer(tx: &Tx<'_>, after: Option<Uuid>) -> Result<Option<Readable<Uuid>>> {
    use mcp_audit_log::Column;
    let behind = after.map(|after| Column::Writer.gt(after));
    let query = tx
        .find::<mcp_audit_log::Entity>()
        .select_only()
        .column(Column::Writer)
        .filter(Condition::all().add_option(behind))
        .order_by_asc(Column::Writer)
        .limit(1);
    let row = tx.conn().query_one(&query.into_query()).await?;
    Ok(row.map(|row| row.try_get_by_index(0).map_err(|error| error.to_string())))
}

/// Up to `limit` heads behind one, whoever they belong to.
pub(super) async fn heads_after(
    tx: &DoorTx<'_>,
    after: Option<(TenantId, Uuid)>,
    limit: u64,
) -> Result<Vec<(TenantId, Head)>> {
    use audit_head::Column;
    let mut query = audit_head::Entity::find().order_by_asc(Column::TenantId).order_by_asc(Column::Writer);
    if let Some((tenant, writer)) = after {
        let place = Expr::tuple([Column::TenantId, Column::Writer].map(Expr::col));
        let last = Expr::tuple([tenant.0, writer].map(Expr::value));
        query = query.filter(ExprTrait::gt(place, last));
    }
    let rows = query.limit(limit).all(tx.conn()).await?;
    Ok(rows.into_iter().map(|row| (TenantId(row.tenant_id), to_head(row))).collect())
}

/// Up to `limit` records of a chain behind a position, in order.
pub(super) async fn oldest_records(
    tx: &DoorTx<'_>,
    tenant: TenantId,
    writer: Uuid,
    position: i64,
    limit: u64,
) -> Result<Vec<Record>> {
    use mcp_audit_log::Column;
    let rows = mcp_audit_log::Entity::find()
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::Writer.eq(writer))
        .filter(Column::Position.gt(position))
        .order_by_asc(Column::Position)
        .limit(limit)
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(to_record).collect())
}

/// Moves the checkpoint of a chain from where it was, and removes the records up to it; false if it is elsewhere
/// already, because another process does the same.
pub(super) async fn prune(
    tx: &DoorTx<'_>,
    tenant: TenantId,
    writer: Uuid,
    from: i64,
    to: Link,
    mac: Vec<u8>,
) -> Result<bool> {
    use mcp_audit_log::Column;
    let moved = audit_head::Entity::update_many()
        .col_expr(audit_head::Column::PrunedTo, to.position.into())
        .col_expr(audit_head::Column::PrunedHash, to.hash.into())
        .col_expr(audit_head::Column::PrunedMac, mac.into())
        .filter(audit_head::Column::TenantId.eq(tenant.0))
        .filter(audit_head::Column::Writer.eq(writer))
        .filter(audit_head::Column::PrunedTo.eq(from))
        .exec(tx.conn())
        .await?;
    if moved.rows_affected == 0 {
        return Ok(false);
    }
    mcp_audit_log::Entity::delete_many()
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::Writer.eq(writer))
        .filter(Column::Position.gt(from))
        .filter(Column::Position.lte(to.position))
        .exec(tx.conn())
        .await?;
    Ok(true)
}

/// Removes the head of a chain; false if it has moved meanwhile.
pub(super) async fn remove_head(tx: &DoorTx<'_>, tenant: TenantId, head: &Head) -> Result<bool> {
    use audit_head::Column;
    let removed = audit_head::Entity::delete_many()
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::Writer.eq(head.writer))
        .filter(Column::Position.eq(head.newest.position))
        .exec(tx.conn())
        .await?;
    Ok(removed.rows_affected == 1)
}

/// A tenant's register, which nobody else changes until the transaction ends.
pub(super) async fn hold_register_of(tx: &DoorTx<'_>, tenant: TenantId) -> Result<Option<Register>> {
    let register = audit_register::Entity::find_by_id(tenant.0).lock_exclusive().one(tx.conn()).await?;
    Ok(register.map(to_register))
}

pub(super) async fn change_register_of(tx: &DoorTx<'_>, tenant: TenantId, register: Register) -> Result<()> {
    audit_register::Entity::update_many()
        .col_expr(audit_register::Column::Writers, to_bytes(&register.writers).into())
        .col_expr(audit_register::Column::Retired, register.retired.into())
        .col_expr(audit_register::Column::RetiredHash, register.retired_hash.into())
        .col_expr(audit_register::Column::Mac, register.mac.into())
        .filter(audit_register::Column::TenantId.eq(tenant.0))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Up to `limit` calls that are meant, behind `after`, newest first.
pub(super) async fn list(
    tx: &Tx<'_>,
    filter: &ToolCallFilter,
    after: Option<ToolCallId>,
    limit: u64,
) -> Result<Vec<ToolCall>> {
    use mcp_audit_log::Column;
    let ToolCallFilter { projects, actor, tool, result, from, until } = filter;
    let narrow = Condition::all()
        .add_option(projects.as_ref().map(|some| Column::ProjectId.is_in(some.iter().map(|it| it.0))))
        .add_option(actor.map(|actor| Column::ActorId.eq(actor.0)))
        .add_option(tool.as_ref().map(|tool| Column::Tool.eq(tool.as_str())))
        .add_option(result.map(|result| Column::Result.eq(result.as_str())))
        .add_option(from.map(|from| Column::CalledAt.gte(from)))
        .add_option(until.map(|until| Column::CalledAt.lt(until)))
        // A call gets its id when it has ended, and none lasts for a day: this is where the index is entered.
        .add_option(from.map(|from| Column::Id.gte(oldest_id_of(from))))
        .add_option(until.map(|until| Column::Id.lt(oldest_id_of(until + TimeDelta::days(1)))))
        .add_option(after.map(|after| Column::Id.lt(after.0)));
    let query = tx.find::<mcp_audit_log::Entity>().filter(narrow).order_by_desc(Column::Id).limit(limit);
    Ok(query.all(tx.conn()).await?.into_iter().map(|row| to_record(row).call).collect())
}

/// What counts of the newest calls about a project from a time on, at most `limit`, newest first.
pub(super) async fn newest(tx: &Tx<'_>, project: ProjectId, since: Time, limit: u64) -> Result<Vec<Counted>> {
    use mcp_audit_log::Column;
    type Row = (String, String, i64, Uuid, String, Option<Uuid>, Option<String>);
    let rows: Vec<Row> = tx
        .find::<mcp_audit_log::Entity>()
        .select_only()
        .columns([Column::Tool, Column::Result, Column::DurationUs])
        .columns([Column::ActorId, Column::ActorName, Column::KeyId, Column::Scope])
        .filter(Column::ProjectId.eq(project.0))
        .filter(Column::CalledAt.gte(since))
        .filter(Column::Id.gte(oldest_id_of(since)))
        .order_by_desc(Column::Id)
        .limit(limit)
        .into_tuple()
        .all(tx.conn())
        .await?;
    let counted = |(tool, result, duration_us, actor, actor_name, key, scope): Row| Counted {
        tool,
        result,
        duration_us,
        actor: PrincipalId(actor),
        actor_name,
        key: key.map(KeyId),
        is_of_a_tool: scope.is_some(),
    };
    Ok(rows.into_iter().map(counted).collect())
}

fn to_bytes(writers: &[Uuid]) -> Vec<u8> {
    writers.iter().flat_map(|writer| *writer.as_bytes()).collect()
}

fn to_register(row: audit_register::Model) -> Register {
    let writers = row.writers.chunks(16).map(|bytes| Uuid::from_slice(bytes).unwrap_or(Uuid::max()));
    Register {
        writers: writers.collect(),
        retired: row.retired,
        retired_hash: row.retired_hash,
        mac: row.mac,
    }
}

fn to_head(row: audit_head::Model) -> Head {
    Head {
        writer: row.writer,
        newest: Link { position: row.position, hash: row.hash },
        mac: row.mac,
        pruned: Link { position: row.pruned_to, hash: row.pruned_hash },
        pruned_mac: row.pruned_mac,
    }
}

fn to_record(row: mcp_audit_log::Model) -> Record {
    let call = ToolCall {
        id: ToolCallId(row.id),
        project: row.project_id.map(ProjectId),
        actor_kind: row.actor_kind,
        actor_id: PrincipalId(row.actor_id),
        actor_name: row.actor_name,
        key: row.key_id.map(KeyId),
        tool: row.tool,
        scope: row.scope,
        arguments_hash: row.arguments_hash,
        result: row.result,
        error: row.error,
        duration_us: row.duration_us,
        called_at: row.called_at,
        ip: row.ip,
        user_agent: row.user_agent,
    };
    Record {
        tenant: TenantId(row.tenant_id),
        writer: row.writer,
        position: row.position,
        previous_hash: row.previous_hash,
        hash: row.hash,
        call,
    }
}

fn to_row(record: Record) -> mcp_audit_log::ActiveModel {
    let Record { tenant, writer, position, previous_hash, hash, call } = record;
    mcp_audit_log::ActiveModel {
        tenant_id: Set(tenant.0),
        id: Set(call.id.0),
        writer: Set(writer),
        position: Set(position),
        previous_hash: Set(previous_hash),
        hash: Set(hash),
        project_id: Set(call.project.map(|project| project.0)),
        actor_kind: Set(call.actor_kind),
        actor_id: Set(call.actor_id.0),
        actor_name: Set(call.actor_name),
        key_id: Set(call.key.map(|key| key.0)),
        tool: Set(call.tool),
        scope: Set(call.scope),
        arguments_hash: Set(call.arguments_hash),
        result: Set(call.result),
        error: Set(call.error),
        duration_us: Set(call.duration_us),
        called_at: Set(call.called_at),
        ip: Set(call.ip),
        user_agent: Set(call.user_agent),
    }
}
