//! Many rows by one statement.

use std::collections::{BTreeMap, HashSet};

use entity::TenantScoped;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait as _, DatabaseTransaction, DbBackend, EntityTrait, Iden,
    IntoActiveModel, Iterable as _, QuerySelect as _, Statement, Value,
    prelude::*,
    sea_query::{ArrayType, OnConflict},
};

use crate::error::{Error, Result};

/// Inserts rows, but for those that are there already as `once` tells them; gives the ids of those it inserted.
///
/// On PostgreSQL the rows go as one array per column, so that the statement is the same for any number of them and
/// takes half the time of one with a value each.
pub(super) async fn insert_new<A>(
    conn: &DatabaseTransaction,
    rows: Vec<A>,
    id: <A::Entity as EntityTrait>::Column,
    once: &[<A::Entity as EntityTrait>::Column],
) -> Result<HashSet<Uuid>>
where
    A: ActiveModelTrait + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    if conn.get_database_backend() == DbBackend::Postgres {
        let mut new = HashSet::new();
        for (insert, values) in unnest(rows, once)? {
            let sql = format!("{insert} RETURNING {}", quoted(id));
            new.extend(ids_of(conn, sql, values).await?);
        }
        return Ok(new);
    }
    let ids: HashSet<Uuid> = rows.iter().filter_map(|row| row.get(id).into_value()?.unwrap()).collect();
    let inserted = A::Entity::insert_many(rows)
        .on_conflict(OnConflict::columns(once.iter().copied()).do_nothing().to_owned())
        .exec_without_returning(conn)
        .await?;
    if inserted == ids.len() as u64 {
        return Ok(ids);
    }
    let new = A::Entity::find().select_only().column(id).filter(id.is_in(ids));
    Ok(new.into_tuple().all(conn).await?.into_iter().collect())
}

/// Inserts rows as [`insert_new`] does, and for each new one a row of another table, which has its id as `beside_id`,
/// its tenant, and whatever `beside` says.
pub(super) async fn insert_new_with<A, B>(
    conn: &DatabaseTransaction,
    rows: Vec<A>,
    id: <A::Entity as EntityTrait>::Column,
    once: &[<A::Entity as EntityTrait>::Column],
    beside: B,
    beside_id: <B::Entity as EntityTrait>::Column,
) -> Result<HashSet<Uuid>>
where
    A: ActiveModelTrait + Send,
    A::Entity: TenantScoped,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    B: ActiveModelTrait + Send,
    B::Entity: TenantScoped,
    <B::Entity as EntityTrait>::Model: IntoActiveModel<B>,
{
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let (tenant, beside_tenant) = (A::Entity::tenant_column(), B::Entity::tenant_column());
    if conn.get_database_backend() == DbBackend::Postgres {
        let mut new = HashSet::new();
        for (insert, mut values) in unnest(rows, once)? {
            let (id, tenant) = (quoted(id), quoted(tenant));
            let mut columns = vec![quoted(beside_id), quoted(beside_tenant)];
            let mut selected = vec![id.clone(), tenant.clone()];
            for column in <B::Entity as EntityTrait>::Column::iter() {
                let Some(value) = beside.get(column).into_value().filter(Value::is_some) else { continue };
                selected.push(format!("${}::{}", values.len() + 1, type_name(&value.array_type())?));
                columns.push(quoted(column));
                values.push(value);
            }
            let (table, columns, selected) =
                (quoted(B::Entity::default()), columns.join(", "), selected.join(", "));
            let sql = format!(
                "WITH new AS ({insert} RETURNING {id}, {tenant}), \
                 beside AS (INSERT INTO {table} ({columns}) SELECT {selected} FROM new) SELECT {id} FROM new"
            );
            new.extend(ids_of(conn, sql, values).await?);
        }
        return Ok(new);
    }
    let tenants: Vec<_> = rows.iter().map(|row| (row.get(id), row.get(tenant))).collect();
    let new = insert_new(conn, rows, id, once).await?;
    let others = tenants.into_iter().filter_map(|(id, tenant)| {
        let (id, tenant) = (id.into_value()?, tenant.into_value()?);
        new.contains(&id.clone().unwrap()).then(|| {
            let mut other = beside.clone();
            other.set(beside_id, id);
            other.set(beside_tenant, tenant);
            other
        })
    });
    B::Entity::insert_many(others).exec_without_returning(conn).await?;
    Ok(new)
}

/// `INSERT … SELECT … FROM unnest(…)`: a column of arrays for each column that has values. An array that goes by way of
/// SeaORM has no nulls in it, so there is one statement for the rows that are null in the same columns.
fn unnest<A: ActiveModelTrait>(
    rows: Vec<A>,
    once: &[<A::Entity as EntityTrait>::Column],
) -> Result<Vec<(String, Vec<Value>)>> {
    let mut alike = BTreeMap::<Vec<bool>, Vec<Vec<Value>>>::new();
    for mut row in rows {
        let columns = <A::Entity as EntityTrait>::Column::iter();
        let values: Vec<_> =
            columns.map(|column| row.take(column).into_value().filter(Value::is_some)).collect();
        let arrays = alike.entry(values.iter().map(Option::is_some).collect()).or_default();
        arrays.resize_with(values.len(), Vec::new);
        for (array, value) in arrays.iter_mut().zip(values) {
            array.extend(value);
        }
    }
    let (table, once) =
        (quoted(A::Entity::default()), once.iter().copied().map(quoted).collect::<Vec<_>>().join(", "));
    let statement = |arrays: Vec<Vec<Value>>| {
        let (mut columns, mut types, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (column, array) in <A::Entity as EntityTrait>::Column::iter().zip(arrays) {
            let Some(kind) = array.first().map(Value::array_type) else { continue };
            columns.push(quoted(column));
            types.push(format!("${}::{}[]", types.len() + 1, type_name(&kind)?));
            values.push(Value::Array(kind, Some(Box::new(array))));
        }
        let (columns, arrays) = (columns.join(", "), types.join(", "));
        let sql = format!(
            "INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT ({once}) DO NOTHING"
        );
        Ok((sql, values))
    };
    alike.into_values().map(statement).collect()
}

/// Runs a statement that gives ids.
async fn ids_of(conn: &DatabaseTransaction, sql: String, values: Vec<Value>) -> Result<HashSet<Uuid>> {
    let rows = conn.query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// The name of a column's type in PostgreSQL.
fn type_name(kind: &ArrayType) -> Result<&'static str> {
    Ok(match kind {
        ArrayType::Bytes => "bytea",
        ArrayType::BigInt => "bigint",
        ArrayType::Int => "integer",
        ArrayType::SmallInt => "smallint",
        ArrayType::Json => "jsonb",
        ArrayType::String => "text",
        ArrayType::ChronoDateTimeUtc => "timestamptz",
        ArrayType::Uuid => "uuid",
        other => return Err(Error::internal(format!("a bulk insert does not know {other:?}"))),
    })
}

/// Names are ours, and hold no quotes.
fn quoted(name: impl Iden) -> String {
    format!("\"{}\"", name.to_string())
}
