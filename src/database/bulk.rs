//! Many rows by one statement.

use std::collections::HashSet;

use sea_orm::{
    ActiveModelTrait, ConnectionTrait as _, DatabaseTransaction, DbBackend, EntityTrait, Iden as _,
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
        let inserted = conn.query_all_raw(unnest(rows, id, once)?).await?;
        return inserted.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect();
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

/// `INSERT … SELECT … FROM unnest(…)`: a column of arrays for each column that has values.
fn unnest<A: ActiveModelTrait>(
    rows: Vec<A>,
    id: <A::Entity as EntityTrait>::Column,
    once: &[<A::Entity as EntityTrait>::Column],
) -> Result<Statement> {
    let (mut columns, mut arrays, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for column in <A::Entity as EntityTrait>::Column::iter() {
        let column_values: Vec<Value> =
            rows.iter().filter_map(|row| row.get(column).into_value()).filter(Value::is_some).collect();
        match column_values.len() {
            0 => continue, // null in every row, which is what a column has that is not named
            count if count != rows.len() => {
                return Err(Error::internal("a column of a bulk insert is null in some rows only"));
            }
            _ => {}
        }
        let kind = column_values[0].array_type();
        columns.push(quoted(column.to_string()));
        arrays.push(format!("${}::{}[]", arrays.len() + 1, type_name(&kind)?));
        values.push(Value::Array(kind, Some(Box::new(column_values))));
    }
    let table = quoted(A::Entity::default().to_string());
    let (columns, arrays) = (columns.join(", "), arrays.join(", "));
    let once = once.iter().map(|column| quoted(column.to_string())).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT ({once}) DO NOTHING RETURNING {}",
        quoted(id.to_string())
    );
    Ok(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
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
fn quoted(name: String) -> String {
    format!("\"{name}\"")
}
