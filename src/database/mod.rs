//! Connections, tenant-scoped transactions, and the few doors between tenants.
//!
//! Every read and write is a closure over a [`Tx`], which knows its tenant: [`Tx::find`] and its siblings begin
//! every query with it, so that a slice's store cannot forget it. What must look across tenants goes through
//! a [`Door`]; the list of doors is closed and short.
//!
//! A caller has its answer only after the commit. Should the caller go away meanwhile, the operation is carried
//! out all the same. On SQLite all writes of the process go through one [`writer`]: operations are taken in order,
//! each in a savepoint of its own, and share a transaction and its fsync for at most 20 ms. On PostgreSQL each is a
//! transaction of its own, in a role that may do no more than its tenant or its door allows (`postgres.rs`).
//!
//! Architecture invariant: no SQL of one engine alone is written outside this folder and the `migration` crate.

mod bulk;
pub mod copy;
mod due;
mod error;
mod group_commit;
mod lane;
mod operation;
mod postgres;
pub mod search;
mod sqlite;
mod tx;
mod writer;

use std::{collections::HashSet, time::Duration};

use futures::future::BoxFuture;
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, TransactionTrait as _, prelude::*,
};
use tokio::{sync::oneshot, time::timeout};

pub use self::{
    due::{BATCH, Due, Place, PlaceColumns},
    group_commit::{Gathering, GroupCommit},
    lane::LANES,
    tx::{Batch, DoorTx, Tx},
    writer::Writer,
};
use self::{
    operation::{Part, operation, part_of, part_of_batch, part_through},
    postgres::{Postgres, Scope},
    writer::Turn,
};
use crate::{
    config::{Config, DatabaseUrl},
    error::{Error, Result},
    wire::{id_type, wire_enum},
};

/// How long the database has to answer a question about its health.
const PING: Duration = Duration::from_secs(2);

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
    /// What somebody came with, by its id or hash: whose it is, and what it may do.
    Credentials,
    /// People, who they are elsewhere, and the tenants that they act in.
    People,
    /// The keys that tokens are signed with.
    SigningKeys,
    /// Clients that sign people in.
    OauthClients,
    /// A project by its id, for an incoming webhook that carries no tenant.
    ProjectForWebhook,
    /// Deliveries of many tenants and their jobs, inserted together.
    IngestWriter,
    /// Tool calls of many tenants, recorded together.
    AuditWriter,
    /// The next jobs, whoever they are for.
    NextJobs,
    /// The heads of the logs that this instance's streams follow.
    EventHeads,
    /// What has come of age and is removed, whoever it belongs to.
    Retention,
    /// Ids of documents by the words in them, of the tenant and project that the query says.
    Search,
    /// Projects in which somebody who is taken to be running has given no sign of life for a while.
    SilentAgents,
    /// Runs whose deadline has passed, whoever they belong to.
    DueRuns,
    /// Leases on work and on paths that nobody has given a sign of life for, whoever they belong to.
    Leases,
    /// Gates that are to be looked at again because of the time, whoever they belong to.
    DueGates,
}

impl Door {
    /// Every door.
    pub const ALL: [Self; 17] = [
        Self::Installation,
        Self::KeyByHash,
        Self::Credentials,
        Self::People,
        Self::SigningKeys,
        Self::OauthClients,
        Self::ProjectForWebhook,
        Self::IngestWriter,
        Self::AuditWriter,
        Self::NextJobs,
        Self::EventHeads,
        Self::Retention,
        Self::Search,
        Self::SilentAgents,
        Self::DueRuns,
        Self::Leases,
        Self::DueGates,
    ];

    /// The PostgreSQL role that goes through it; what that may do is written in the migrations.
    pub fn role(self) -> &'static str {
        match self {
            Self::Installation => "trackside_installation",
            Self::KeyByHash => "trackside_key_by_hash",
            Self::Credentials => "trackside_credentials",
            Self::People => "trackside_people",
            Self::SigningKeys => "trackside_signing_keys",
            Self::OauthClients => "trackside_oauth_clients",
            Self::ProjectForWebhook => "trackside_project_for_webhook",
            Self::IngestWriter => "trackside_ingest_writer",
            Self::AuditWriter => "trackside_audit_writer",
            Self::NextJobs => "trackside_next_jobs",
            Self::EventHeads => "trackside_event_heads",
            Self::Retention => "trackside_retention",
            Self::Search => "trackside_search",
            Self::SilentAgents => "trackside_silent_agents",
            Self::DueRuns => "trackside_due_runs",
            Self::Leases => "trackside_leases",
            Self::DueGates => "trackside_due_gates",
        }
    }
}

/// The database.
#[derive(Clone)]
pub struct Database {
    engine: Engine,
    turn: Turn,
}

#[derive(Clone)]
enum Engine {
    /// A pool of readers and one writer.
    Sqlite { readers: DatabaseConnection, writer: Writer },
    /// A pool for everything.
    Postgres(Postgres),
}

impl Database {
    /// Opens the database; SQLite's file and folder are made if they are missing. The schema is left as it is.
    ///
    /// # Errors
    /// A file that cannot be opened, or a server that cannot be reached or is not fit; the message says which.
    pub async fn open(config: &Config) -> Result<Self> {
        let engine = match &config.database {
            DatabaseUrl::Sqlite(path) => {
                let (writer, readers) = sqlite::open(path).await?;
                Engine::Sqlite { readers, writer: Writer::start(writer).await? }
            }
            DatabaseUrl::Postgres(url) => Engine::Postgres(Postgres::open(url, config).await?),
        };
        Ok(Self { engine, turn: Turn::First })
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
        let conn = self.begin_reading(Scope::Tenant(tenant)).await?;
        let result = read(&Tx::new(&conn, tenant)).await;
        conn.rollback().await?;
        result
    }

    /// Reads through a door, from one snapshot.
    ///
    /// # Errors
    /// Those of `read`, and `unavailable` when no connection is free in time.
    pub async fn read_through<T, F>(&self, door: Door, read: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t DoorTx<'t>) -> BoxFuture<'t, Result<T>> + Send,
    {
        let conn = self.begin_reading(Scope::Door(door)).await?;
        let result = read(&DoorTx { conn: &conn }).await;
        conn.rollback().await?;
        result
    }

    async fn begin_reading(&self, scope: Scope) -> Result<DatabaseTransaction> {
        match &self.engine {
            Engine::Sqlite { readers, .. } => Ok(readers.begin().await?),
            Engine::Postgres(postgres) => postgres.begin_reading(scope).await,
        }
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
        self.carry_out(Scope::Tenant(tenant), part_of(tenant, Box::new(write))).await
    }

    /// Writes through a door; returns after the commit's fsync.
    ///
    /// # Errors
    /// Those of `write`, whose effect is then undone, and `unavailable` when the database takes no writes.
    pub async fn write_through<T, F>(&self, door: Door, write: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t DoorTx<'t>) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.carry_out(Scope::Door(door), part_through(Box::new(write))).await
    }

    /// Writes a batch through a door; returns after the commit's fsync.
    ///
    /// # Errors
    /// Those of `write`, which has no effect then, and `unavailable` when the database takes no writes.
    pub async fn write_batch<T, F>(&self, door: Door, write: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(Batch<'t>) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let (operation, value) = operation(part_of_batch(Box::new(write)));
        match &self.engine {
            Engine::Sqlite { writer, .. } => writer.submit(self.turn, operation).await?,
            Engine::Postgres(postgres) => match postgres.lanes(door) {
                Some(lanes) => lanes.submit(operation).await?,
                None => postgres.submit(self.turn, Scope::Door(door), operation),
            },
        }
        value.await.map_err(dropped)?
    }

    /// Carries out an operation, and gives its value after the commit.
    async fn carry_out<T: Send + 'static>(&self, scope: Scope, part: Part<T>) -> Result<T> {
        let (operation, value) = operation(part);
        match &self.engine {
            Engine::Sqlite { writer, .. } => writer.submit(self.turn, operation).await?,
            Engine::Postgres(postgres) => postgres.submit(self.turn, scope, operation),
        }
        value.await.map_err(dropped)?
    }

    /// Closes every connection; what waits to be written is written first. SQLite then brings all of its log into
    /// the database file, so that after a clean stop the file alone is everything.
    pub async fn close(&self) {
        if let Err(error) = self.connections().clone().close().await {
            tracing::warn!(%error, "the database's connections did not close cleanly");
        }
        match &self.engine {
            Engine::Sqlite { writer, .. } => writer.close().await,
            Engine::Postgres(postgres) => {
                postgres.ingest.close().await;
                postgres.audit.close().await;
            }
        }
    }

    /// Asks the database for one row of nothing.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    pub async fn ping(&self) -> Result<()> {
        timeout(PING, self.connections().execute_unprepared("SELECT 1"))
            .await
            .map_err(|_| Error::unavailable("the database does not answer", Duration::from_secs(1)))??;
        Ok(())
    }

    /// Those that read and, on PostgreSQL, write.
    fn connections(&self) -> &DatabaseConnection {
        match &self.engine {
            Engine::Sqlite { readers, .. } => readers,
            Engine::Postgres(postgres) => &postgres.pool,
        }
    }

    /// What kind of database it is.
    pub fn store_type(&self) -> StoreType {
        match &self.engine {
            Engine::Sqlite { .. } => StoreType::Sqlite,
            Engine::Postgres(_) => StoreType::Postgres,
        }
    }

    /// How busy the connections are.
    pub fn pool(&self) -> Pool {
        let (total, idle, waiting) = match &self.engine {
            Engine::Sqlite { readers, writer } => {
                let pool = readers.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle(), writer.waiting())
            }
            Engine::Postgres(postgres) => {
                let pool = postgres.pool.get_postgres_connection_pool();
                (pool.size(), pool.num_idle(), postgres.waiting())
            }
        };
        Pool { total, idle: u32::try_from(idle).unwrap_or(u32::MAX), waiting }
    }

    /// Brings the schema up to date, or `steps` of the way, under a lock that holds other processes off.
    ///
    /// # Errors
    /// A step that fails; it is undone, and the schema stays as it was before it.
    pub async fn migrate(url: &DatabaseUrl, direction: Migrate) -> Result<Vec<Step>> {
        match url {
            DatabaseUrl::Sqlite(path) => sqlite::migrate(path, direction).await,
            DatabaseUrl::Postgres(url) => postgres::migrate(url, direction).await,
        }
    }
}

wire_enum! {
    /// What kind of database holds the data.
    StoreType {
        /// One file.
        Sqlite = "sqlite",
        /// A PostgreSQL server.
        Postgres = "postgres",
    }
}

/// How busy the connections are.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Connections: all of PostgreSQL's, those of SQLite that read.
    pub total: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
    /// Who waits: for a connection to PostgreSQL, for SQLite's writer.
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

/// Said of an operation that ended without an answer.
fn dropped(_: oneshot::error::RecvError) -> Error {
    Error::internal("an operation of the database was dropped")
}

/// Every step of the history, told from the names of those that a database has.
fn told<'a>(applied: impl IntoIterator<Item = &'a str>) -> Vec<Step> {
    let applied: HashSet<_> = applied.into_iter().collect();
    let steps = Migrator::migrations();
    steps
        .iter()
        .map(|step| Step { name: step.name().to_owned(), applied: applied.contains(step.name()) })
        .collect()
}

/// A step that the database has and this version does not know was applied by a newer one.
fn newer(error: DbErr) -> Error {
    match &error {
        DbErr::Custom(words) if words.contains("is missing") => {
            let why = "the database was migrated by a newer version of trackside; use that version, or a backup from before";
            Error::invalid(why).because(error)
        }
        _ => error.into(),
    }
}
