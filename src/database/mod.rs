//! Connections, tenant-scoped transactions, and the few doors between tenants.
//!
//! Every read and write is a closure over a [`Tx`], which knows its tenant: [`Tx::find`] and its siblings begin
//! every query with it, so that a slice's store cannot forget it. What must look across tenants goes through
//! a [`Door`]; the list of doors is closed and short.
//!
//! On SQLite all writes of the process go through one [`writer`]: operations are taken in order, each in a
//! savepoint of its own, and share a transaction and its fsync for at most 20 ms. A caller has its answer
//! only after that commit. Should the caller go away meanwhile, the operation is carried out all the same.
//!
//! Architecture invariant: no SQL of one engine alone is written outside this folder.

mod error;
mod group_commit;
mod sqlite;
mod writer;

use std::sync::{Mutex, PoisonError};

use entity::TenantScoped;
use futures::future::BoxFuture;
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DeleteMany, QueryFilter as _,
    QuerySelect as _, QueryTrait as _, Select, TransactionTrait as _, UpdateMany, prelude::*,
};
use tokio::sync::watch;

use self::writer::Turn;
pub use self::{group_commit::GroupCommit, writer::Writer};
use crate::{config::DatabaseUrl, error::Result, wire::id_type};

id_type! {
    /// Names a tenant.
    TenantId
}

/// What may look across tenants, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The installation's own row, and the creation and listing of tenants, from the command line.
    Installation,
    /// A key by its hash: whose it is, nothing else.
    KeyByHash,
    /// A project by its id, for an incoming webhook that carries no tenant.
    ProjectForWebhook,
    /// Deliveries of many tenants and their jobs, inserted together.
    IngestWriter,
    /// The next jobs, whoever they are for.
    NextJobs,
    /// The heads of the logs that this instance's streams follow.
    EventHeads,
    /// What has come of age and is removed, whoever it belongs to.
    Retention,
}

/// What runs once a transaction has committed.
type AfterCommit = Box<dyn FnOnce() + Send>;

/// A transaction within one tenant.
pub struct Tx<'a> {
    conn: &'a DatabaseTransaction,
    tenant: TenantId,
    after: Mutex<Vec<AfterCommit>>,
}

impl<'a> Tx<'a> {
    fn new(conn: &'a DatabaseTransaction, tenant: TenantId) -> Self {
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

    /// Runs `signal` once this transaction has committed, and never if it does not. A signal may be lost with
    /// the process: it wakes somebody up, and is never the only way to learn of something.
    pub fn after_commit(&self, signal: impl FnOnce() + Send + 'static) {
        self.after.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(signal));
    }
}

/// An operation of a tenant, as the writer runs it: its value, and what is to be signalled after the commit.
fn part_of<T, F>(
    tenant: TenantId,
    part: F,
) -> impl for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<(T, Vec<AfterCommit>)>> + Send
where
    T: Send,
    F: for<'t> FnOnce(&'t Tx<'t>) -> BoxFuture<'t, Result<T>> + Send + 'static,
{
    move |conn| {
        Box::pin(async move {
            let tx = Tx::new(conn, tenant);
            let value = part(&tx).await?;
            Ok((value, tx.after.into_inner().unwrap_or_else(PoisonError::into_inner)))
        })
    }
}

/// A transaction through a door.
pub struct DoorTx<'a> {
    conn: &'a DatabaseTransaction,
}

impl<'a> DoorTx<'a> {
    /// The connection.
    pub fn conn(&self) -> &'a DatabaseTransaction {
        self.conn
    }
}

/// The database: a pool of readers and one writer.
#[derive(Clone)]
pub struct Database {
    readers: DatabaseConnection,
    writer: Writer,
    turn: Turn,
}

impl Database {
    /// Opens the database, making the file and its folder if they are missing. The schema is left as it is.
    ///
    /// # Errors
    /// A file or folder that cannot be opened; the message names it.
    pub async fn open(url: &DatabaseUrl) -> Result<Self> {
        let DatabaseUrl::Sqlite(path) = url;
        let (writer, readers) = sqlite::open(path).await?;
        Ok(Self { readers, writer: Writer::start(writer).await?, turn: Turn::First })
    }

    /// The same database for work that nobody waits for: its writes come behind everybody else's.
    #[must_use]
    pub fn in_background(&self) -> Self {
        Self { turn: Turn::Behind, ..self.clone() }
    }

    /// Reads within a tenant, from one snapshot.
    ///
    /// # Errors
    /// Those of `read`, and `unavailable` when no connection is free in time.
    pub async fn read<T, F>(&self, tenant: TenantId, read: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t Tx<'t>) -> BoxFuture<'t, Result<T>> + Send,
    {
        let conn = self.readers.begin().await?;
        let result = read(&Tx::new(&conn, tenant)).await;
        conn.rollback().await?;
        result
    }

    /// Reads through a door, from one snapshot.
    ///
    /// # Errors
    /// Those of `read`, and `unavailable` when no connection is free in time.
    pub async fn read_through<T, F>(&self, _door: Door, read: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t DoorTx<'t>) -> BoxFuture<'t, Result<T>> + Send,
    {
        let conn = self.readers.begin().await?;
        let result = read(&DoorTx { conn: &conn }).await;
        conn.rollback().await?;
        result
    }

    /// Writes within a tenant; returns after the commit's fsync.
    ///
    /// # Errors
    /// Those of `write`, whose effect is then undone, and `unavailable` when the database takes no writes.
    pub async fn write<T, F>(&self, tenant: TenantId, write: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t Tx<'t>) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.writer.run(self.turn, part_of(tenant, write)).await
    }

    /// Writes through a door; returns after the commit's fsync.
    ///
    /// # Errors
    /// Those of `write`, whose effect is then undone, and `unavailable` when the database takes no writes.
    pub async fn write_through<T, F>(&self, _door: Door, write: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t DoorTx<'t>) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.writer
            .run(self.turn, move |conn| {
                Box::pin(async move { Ok((write(&DoorTx { conn }).await?, Vec::new())) })
            })
            .await
    }

    /// Changes whenever another process has written to the database: caches are stale then.
    pub fn foreign_writes(&self) -> watch::Receiver<u64> {
        self.writer.foreign_writes()
    }

    /// Closes every connection; what waits to be written is written first. SQLite then brings all of its log into
    /// the database file, so that after a clean stop the file alone is everything.
    pub async fn close(&self) {
        if let Err(error) = self.readers.clone().close().await {
            tracing::warn!(%error, "the readers did not close cleanly");
        }
        self.writer.close().await;
    }

    /// Asks the database for one row of nothing.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    pub async fn ping(&self) -> Result<()> {
        self.readers.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// How busy the connections are.
    pub fn pool(&self) -> Pool {
        let pool = self.readers.get_sqlite_connection_pool();
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        Pool { total: pool.size(), idle, waiting: self.writer.waiting() }
    }

    /// Brings the schema up to date, or `steps` of the way, under a lock that holds other processes off.
    ///
    /// # Errors
    /// A step that fails; it is undone, and the schema stays as it was before it.
    pub async fn migrate(url: &DatabaseUrl, direction: Migrate) -> Result<Vec<Step>> {
        let DatabaseUrl::Sqlite(path) = url;
        sqlite::migrate(path, direction).await
    }
}

/// How busy the connections are.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Connections that read.
    pub total: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
    /// Writes that wait for the writer.
    pub waiting: u32,
}

/// Which way to take the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    /// Apply what is pending.
    Up,
    /// Undo the newest `n` steps.
    Down(u32),
    /// Only look.
    Status,
}

/// One step of the schema's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name, which begins with its day.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}
