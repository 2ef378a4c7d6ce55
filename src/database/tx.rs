//! Transactions: within one tenant, or through a door.

use std::collections::HashSet;

use entity::TenantScoped;
use parking_lot::Mutex;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait as _, DatabaseTransaction, DbBackend, DeleteMany, EntityTrait,
    IntoActiveModel, QueryFilter as _, QuerySelect as _, QueryTrait as _, Select, UpdateMany,
    prelude::*,
    sea_query::{IntoCondition, postgres_array::NotU8},
};

use super::{TenantId, bulk};
use crate::{
    error::Result,
    wire::{COUNTED, Found, Page},
};

/// What runs once a transaction has committed.
pub(super) type AfterCommit = Box<dyn FnOnce() + Send>;

/// A transaction within one tenant.
pub struct Tx<'a> {
    conn: &'a DatabaseTransaction,
    tenant: TenantId,
    after: Mutex<Vec<AfterCommit>>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(conn: &'a DatabaseTransaction, tenant: TenantId) -> Self {
        Self { conn, tenant, after: Mutex::default() }
    }

    /// The tenant that everything in this transaction belongs to.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The connection, for statements that [`Tx::find`] and its siblings began, and for inserts.
    pub fn conn(&self) -> &'a DatabaseTransaction {
        self.conn
    }

    /// A query over the tenant's rows of a table.
    pub fn find<E: TenantScoped>(&self) -> Select<E> {
        E::find().filter(E::tenant_column().eq(self.tenant.0))
    }

    /// An update of the tenant's rows of a table.
    pub fn update<E: TenantScoped>(&self) -> UpdateMany<E> {
        E::update_many().filter(E::tenant_column().eq(self.tenant.0))
    }

    /// A deletion of the tenant's rows of a table.
    pub fn delete<E: TenantScoped>(&self) -> DeleteMany<E> {
        E::delete_many().filter(E::tenant_column().eq(self.tenant.0))
    }

    /// Inserts rows of the tenant, all of them new.
    ///
    /// # Errors
    /// The database's, also for a row that is there already.
    pub async fn insert_all<A>(&self, rows: Vec<A>) -> Result<()>
    where
        A: ActiveModelTrait + Send,
        A::Entity: TenantScoped,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    {
        bulk::insert(self.conn, rows, &[]).await
    }

    /// Inserts rows of the tenant, and has those that are there already, as `key` tells, say what these do.
    ///
    /// # Errors
    /// The database's.
    pub async fn save_all<A>(&self, rows: Vec<A>, key: &[<A::Entity as EntityTrait>::Column]) -> Result<()>
    where
        A: ActiveModelTrait + Send,
        A::Entity: TenantScoped,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    {
        bulk::insert(self.conn, rows, key).await
    }

    /// Inserts rows of the tenant, all of them new, and gives each its `number`: the next ones of a counter, a column of the
    /// row of another table that `key` and `id` name. Gives that row as it is then, if there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_numbered<A, C>(
        &self,
        rows: Vec<A>,
        number: <A::Entity as EntityTrait>::Column,
        (counter, key, id): (C::Column, C::Column, Uuid),
    ) -> Result<Option<C::Model>>
    where
        A: ActiveModelTrait + Send,
        A::Entity: TenantScoped,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
        C: TenantScoped,
    {
        bulk::insert_numbered::<A, C>(self.conn, self.tenant, rows, number, (counter, key, id)).await
    }

    /// Whether a column has one of some values: see [`one_of`].
    pub fn one_of<V>(&self, column: impl ColumnTrait, values: impl IntoIterator<Item = V>) -> Expr
    where
        V: Into<Value> + NotU8,
    {
        one_of(self.conn, column, values)
    }

    /// Deletes up to `limit` of the tenant's rows that meet `condition`; `key` tells them apart. Gives their number.
    ///
    /// # Errors
    /// The database's.
    pub async fn delete_some<E: TenantScoped>(
        &self,
        key: E::Column,
        condition: Expr,
        limit: u64,
    ) -> Result<u64> {
        let some =
            self.find::<E>().filter(condition.clone()).select_only().column(key).limit(limit).into_query();
        let deleted =
            self.delete::<E>().filter(condition).filter(key.in_subquery(some)).exec(self.conn).await?;
        Ok(deleted.rows_affected)
    }

    /// How many rows a query has behind its first `skip`, counted up to `most`; `id` tells them apart.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_some<E: EntityTrait>(
        &self,
        query: Select<E>,
        id: E::Column,
        skip: u64,
        most: u64,
    ) -> Result<u64> {
        let some = query.select_only().column(id).offset(skip).limit(most);
        let some: Vec<Uuid> = some.into_tuple().all(self.conn).await?;
        Ok(some.len() as u64)
    }

    /// Reads a page of a query, from which it differs by its limit alone; `id` tells rows apart.
    ///
    /// # Errors
    /// The database's.
    pub async fn page<E: EntityTrait, K>(
        &self,
        query: Select<E>,
        id: E::Column,
        page: &Page<K>,
    ) -> Result<Found<E::Model>> {
        let rows = query.clone().limit(page.limit + 1).all(self.conn).await?;
        let left = match page.counts && rows.len() as u64 > page.limit {
            true => self.count_some(query, id, page.limit, COUNTED).await?,
            false => 0,
        };
        Ok(Found { rows, left })
    }

    /// Holds off other transactions that lock the same thing until this one has ended. On SQLite nobody else writes
    /// meanwhile anyway.
    ///
    /// # Errors
    /// `unavailable` when somebody else holds it for too long.
    pub async fn lock(&self, thing: Uuid) -> Result<()> {
        lock(self.conn, thing).await
    }

    /// Runs `signal` once this transaction has committed, and never if it does not. A signal may be lost with
    /// the process: it wakes somebody up, and is never the only way to learn of something.
    pub fn after_commit(&self, signal: impl FnOnce() + Send + 'static) {
        self.after.lock().push(Box::new(signal));
    }

    /// What is to run once it has committed.
    pub(super) fn into_signals(self) -> Vec<AfterCommit> {
        self.after.into_inner()
    }
}

/// A transaction through a door.
pub struct DoorTx<'a> {
    pub(super) conn: &'a DatabaseTransaction,
}

/// Whether a column has one of some values. PostgreSQL gets them as one array, so that it plans the statement once for any
/// number of them.
fn one_of<V>(
    conn: &DatabaseTransaction,
    column: impl ColumnTrait,
    values: impl IntoIterator<Item = V>,
) -> Expr
where
    V: Into<Value> + NotU8,
{
    match conn.get_database_backend() {
        DbBackend::Postgres => column.eq_any(values),
        _ => column.is_in(values),
    }
}

async fn lock(conn: &DatabaseTransaction, thing: Uuid) -> Result<()> {
    if conn.get_database_backend() == DbBackend::Postgres {
        let (high, low) = thing.as_u64_pair();
        conn.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({})", (high ^ low).cast_signed()))
            .await?;
    }
    Ok(())
}

impl<'a> DoorTx<'a> {
    /// The connection.
    pub fn conn(&self) -> &'a DatabaseTransaction {
        self.conn
    }

    /// Whether a column has one of some values: see [`one_of`].
    pub fn one_of<V>(&self, column: impl ColumnTrait, values: impl IntoIterator<Item = V>) -> Expr
    where
        V: Into<Value> + NotU8,
    {
        one_of(self.conn, column, values)
    }

    /// Deletes up to `limit` rows that meet `condition`, whoever they belong to; `key` tells them apart. Gives their number.
    ///
    /// # Errors
    /// The database's.
    pub async fn delete_some<E: EntityTrait>(
        &self,
        key: E::Column,
        condition: impl IntoCondition + Clone,
        limit: u64,
    ) -> Result<u64> {
        let some = E::find().filter(condition.clone()).select_only().column(key).limit(limit).into_query();
        // Said again for rows that change while this looks, which are looked at anew.
        let deleted =
            E::delete_many().filter(condition).filter(key.in_subquery(some)).exec(self.conn).await?;
        Ok(deleted.rows_affected)
    }

    /// Holds off other transactions that lock the same thing, as [`Tx::lock`] does.
    ///
    /// # Errors
    /// `unavailable` when somebody else holds it for too long.
    pub async fn lock(&self, thing: Uuid) -> Result<()> {
        lock(self.conn, thing).await
    }
}

/// Many rows of any tenants, written through a door by one statement, which on PostgreSQL is a transaction of its own.
pub struct Batch<'a> {
    pub(super) conn: &'a DatabaseTransaction,
}

impl Batch<'_> {
    /// Inserts rows, but for those that are there already as `once` tells them, and for each new one a row of another
    /// table, which has its id as `beside_id`, its tenant, and whatever `beside` says; gives the ids of the new ones.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_new_with<A, B>(
        self,
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
        bulk::insert_new_with(self.conn, rows, id, once, beside, beside_id).await
    }

    /// Inserts rows, all of them new, and changes rows of another table: `changed` sets the same columns in each, and
    /// finds it by those that are unchanged.
    ///
    /// # Errors
    /// The database's, also for a row that is there already, and `internal` when one of `changed` is not there.
    pub async fn insert_and_change<A, B>(self, rows: Vec<A>, changed: Vec<B>) -> Result<()>
    where
        A: ActiveModelTrait + Send,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
        B: ActiveModelTrait + Send,
        <B::Entity as EntityTrait>::Model: IntoActiveModel<B>,
    {
        bulk::insert_and_change(self.conn, rows, changed).await
    }
}
