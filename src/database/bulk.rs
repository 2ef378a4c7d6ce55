//! Many rows by one statement.

use std::collections::HashSet;

use entity::TenantScoped;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait as _, DatabaseTransaction, DbBackend, EntityTrait,
    FromQueryResult as _, Iden, IntoActiveModel, Iterable as _, QuerySelect as _, Statement, Value,
    prelude::*,
    sea_query::{ArrayType, ExprTrait as _, OnConflict},
};

use super::TenantId;
use crate::error::{Error, Result};

/// Values that SQLite takes in one statement.
const VALUES: usize = 32_766;

/// Inserts rows, all of them new; or, where a key tells rows apart, has those that are there already say what these do.
///
/// On PostgreSQL the rows go as one array per column, so that the statement is the same for any number of them and
/// takes half the time of one with a value each.
pub(super) async fn insert<A>(
    conn: &DatabaseTransaction,
    rows: Vec<A>,
    key: &[<A::Entity as EntityTrait>::Column],
) -> Result<()>
where
    A: ActiveModelTrait + Send,
    A::Entity: TenantScoped,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
    if rows.is_empty() {
        return Ok(());
    }
    let columns = <A::Entity as EntityTrait>::Column::iter;
    let names: Vec<_> = key.iter().copied().map(quoted).collect();
    let tenant = quoted(A::Entity::tenant_column());
    let is_kept = |name: String| names.contains(&name) || name == tenant;
    let replaced = columns().filter(|column| !is_kept(quoted(*column)));
    if conn.get_database_backend() == DbBackend::Postgres {
        let Rows { insert: mut sql, values } = Rows::of(rows, None)?;
        if !key.is_empty() {
            let replaced: Vec<_> = replaced.map(quoted).map(|it| format!("{it} = excluded.{it}")).collect();
            sql += &format!(" ON CONFLICT ({}) DO UPDATE SET {}", names.join(", "), replaced.join(", "));
        }
        conn.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        return Ok(());
    }
    let replace = OnConflict::columns(key.iter().copied()).update_columns(replaced).to_owned();
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let some = A::Entity::insert_many(rows.by_ref().take(VALUES / columns().count()));
        match key {
            [] => some.exec_without_returning(conn).await?,
            _ => some.on_conflict(replace.clone()).exec_without_returning(conn).await?,
        };
    }
    Ok(())
}

/// Inserts rows, but for those that are there already as `once` tells them, and for each new one a row of another table,
/// which has its id as `beside_id`, its tenant, and whatever `beside` says; gives the ids of the new ones.
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
        let Rows { insert, mut values } = Rows::of(rows, None)?;
        let once: Vec<_> = once.iter().copied().map(quoted).collect();
        let (id, tenant, once) = (quoted(id), quoted(tenant), once.join(", "));
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
            "WITH new AS ({insert} ON CONFLICT ({once}) DO NOTHING RETURNING {id}, {tenant}), \
             beside AS (INSERT INTO {table} ({columns}) SELECT {selected} FROM new) SELECT {id} FROM new"
        );
        return ids_of(conn, sql, values).await;
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

/// Inserts rows, but for those that are there already, into SQLite; gives the ids of those it inserted.
async fn insert_new<A>(
    conn: &DatabaseTransaction,
    rows: Vec<A>,
    id: <A::Entity as EntityTrait>::Column,
    once: &[<A::Entity as EntityTrait>::Column],
) -> Result<HashSet<Uuid>>
where
    A: ActiveModelTrait + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
{
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

/// Inserts rows, all of them new, and gives each its `number`: the next ones of a counter, a column of the row of another
/// table whose key is `id`. Gives that row as it is then, if there is one.
///
/// On PostgreSQL this is one statement: who waits for the counter waits a round trip less.
pub(super) async fn insert_numbered<A, C>(
    conn: &DatabaseTransaction,
    tenant: TenantId,
    mut rows: Vec<A>,
    number: <A::Entity as EntityTrait>::Column,
    (counter, key, id): (C::Column, C::Column, Uuid),
) -> Result<Option<C::Model>>
where
    A: ActiveModelTrait + Send,
    A::Entity: TenantScoped,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    C: TenantScoped,
{
    let count = i64::try_from(rows.len()).map_err(Error::internal)?;
    if conn.get_database_backend() == DbBackend::Postgres && count > 0 {
        let Rows { insert, mut values } = Rows::of(rows, Some((number, "counter")))?;
        let (table, counter) = (quoted(C::default()), quoted(counter));
        let (tenant_is, key_is) = (quoted(C::tenant_column()), quoted(key));
        let [by, whose, which] = [1, 2, 3].map(|place| values.len() + place);
        values.extend([count.into(), tenant.0.into(), id.into()]);
        let sql = format!(
            "WITH counter AS (UPDATE {table} SET {counter} = {counter} + ${by} \
             WHERE {tenant_is} = ${whose} AND {key_is} = ${which} RETURNING *, {counter} - ${by} AS before), \
             new AS ({insert}) SELECT * FROM counter"
        );
        let counted = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        return Ok(C::Model::find_by_statement(counted).one(conn).await?);
    }
    let counted = C::update_many()
        .filter(C::tenant_column().eq(tenant.0))
        .filter(key.eq(id))
        .col_expr(counter, Expr::col(counter).add(count))
        .exec_with_returning(conn)
        .await?;
    let Some(row) = counted.into_iter().next() else { return Ok(None) };
    let before = row.get(counter).unwrap::<i64>() - count;
    for (row, place) in rows.iter_mut().zip(before + 1..) {
        row.set(number, place.into());
    }
    insert(conn, rows, &[]).await?;
    Ok(Some(row))
}

/// Inserts rows, all of them new, and changes rows of another table: `changed` sets the same columns in each, and finds
/// it by those that are unchanged. It is an error if one is not found.
///
/// On PostgreSQL, where the statement may be all of its transaction, it has to fail by itself for that: it divides by
/// zero.
pub(super) async fn insert_and_change<A, B>(
    conn: &DatabaseTransaction,
    rows: Vec<A>,
    changed: Vec<B>,
) -> Result<()>
where
    A: ActiveModelTrait + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    B: ActiveModelTrait + Send,
    <B::Entity as EntityTrait>::Model: IntoActiveModel<B>,
{
    let count = changed.len() as u64;
    if conn.get_database_backend() == DbBackend::Postgres && !changed.is_empty() {
        let Rows { insert, mut values } = match rows.is_empty() {
            true => Rows { insert: "SELECT".to_owned(), values: Vec::new() },
            false => Rows::of(rows, None)?,
        };
        let update = change(changed, &mut values)?;
        values.push(count.into());
        let sql = format!(
            "WITH new AS ({insert}), changed AS ({update} RETURNING 1) \
             SELECT 1 / (count(*) = ${})::int FROM changed",
            values.len()
        );
        conn.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        return Ok(());
    }
    if !rows.is_empty() {
        A::Entity::insert_many(rows).exec_without_returning(conn).await?;
    }
    let mut found = 0;
    for row in changed {
        let mut update = B::Entity::update_many();
        for column in <B::Entity as EntityTrait>::Column::iter() {
            if let ActiveValue::Unchanged(key) = row.get(column) {
                update = update.filter(column.eq(key));
            }
        }
        found += update.set(row).exec(conn).await?.rows_affected;
    }
    match found == count {
        true => Ok(()),
        false => Err(Error::internal("a row that was to be changed is not there")),
    }
}

/// `UPDATE … FROM unnest(…)`: an array for each column. The values come behind those that are there.
fn change<B: ActiveModelTrait>(mut rows: Vec<B>, values: &mut Vec<Value>) -> Result<String> {
    let table = quoted(B::Entity::default());
    let (mut names, mut arrays, mut set, mut found) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for column in <B::Entity as EntityTrait>::Column::iter() {
        let is_key = matches!(rows.first().map(|row| row.get(column)), Some(ActiveValue::Unchanged(_)));
        let array: Vec<_> = rows.iter_mut().filter_map(|row| row.take(column).into_value()).collect();
        let Some(kind) = array.first().map(Value::array_type) else { continue };
        let (column, name) = (quoted(column), format!("c{}", names.len()));
        match is_key {
            true => found.push(format!("{table}.{column} = changed.{name}")),
            false => set.push(format!("{column} = changed.{name}")),
        }
        names.push(name);
        arrays.push(format!("${}::{}[]", values.len() + 1, type_name(&kind)?));
        values.push(Value::Array(kind, Some(Box::new(array))));
    }
    let (set, found) = (set.join(", "), found.join(" AND "));
    let (arrays, names) = (arrays.join(", "), names.join(", "));
    Ok(format!("UPDATE {table} SET {set} FROM unnest({arrays}) AS changed ({names}) WHERE {found}"))
}

/// `INSERT … SELECT … FROM unnest(…)`: an array for each column that has values. An array that goes by way of SeaORM
/// has no nulls in it, so a column with some has a second array, which says where they are.
struct Rows {
    insert: String,
    values: Vec<Value>,
}

impl Rows {
    /// Some rows; where they are counted, with a number each, which is its place among them behind what a table has in
    /// its first column.
    fn of<A: ActiveModelTrait>(
        mut rows: Vec<A>,
        number: Option<(<A::Entity as EntityTrait>::Column, &str)>,
    ) -> Result<Self> {
        let (mut columns, mut chosen, mut arrays, mut names, mut values) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut add = |array: Vec<Value>, kind: ArrayType| {
            arrays.push(format!("${}::{}[]", values.len() + 1, type_name(&kind)?));
            values.push(Value::Array(kind, Some(Box::new(array))));
            names.push(format!("v{}", names.len()));
            Ok::<_, Error>(names[names.len() - 1].clone())
        };
        for column in <A::Entity as EntityTrait>::Column::iter() {
            let taken = rows.iter_mut().map(|row| row.take(column).into_value().filter(Value::is_some));
            let array: Vec<Option<Value>> = taken.collect();
            let Some(some) = array.iter().flatten().next().cloned() else { continue };
            let nulls: Vec<bool> = array.iter().map(Option::is_none).collect();
            let value = add(
                array.into_iter().map(|value| value.unwrap_or_else(|| some.clone())).collect(),
                some.array_type(),
            )?;
            columns.push(quoted(column));
            chosen.push(match nulls.contains(&true) {
                true => {
                    let is_null = add(nulls.into_iter().map(Value::from).collect(), ArrayType::Bool)?;
                    format!("CASE WHEN NOT {is_null} THEN {value} END")
                }
                false => value,
            });
        }
        let (mut from, mut behind) = (String::new(), "");
        if let Some((column, counter)) = number {
            columns.push(quoted(column));
            chosen.push(format!("{counter}.before + place"));
            names.push("place".to_owned());
            (from, behind) = (format!("{counter}, "), " WITH ORDINALITY");
        }
        let (table, columns, chosen) = (quoted(A::Entity::default()), columns.join(", "), chosen.join(", "));
        let (arrays, names) = (arrays.join(", "), names.join(", "));
        let insert = format!(
            "INSERT INTO {table} ({columns}) SELECT {chosen} FROM {from}unnest({arrays}){behind} AS rows ({names})"
        );
        Ok(Self { insert, values })
    }
}

/// Runs a statement that gives ids.
async fn ids_of(conn: &DatabaseTransaction, sql: String, values: Vec<Value>) -> Result<HashSet<Uuid>> {
    let rows = conn.query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// The name of a column's type in PostgreSQL.
fn type_name(kind: &ArrayType) -> Result<&'static str> {
    Ok(match kind {
        ArrayType::Bool => "boolean",
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
