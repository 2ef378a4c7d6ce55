//! The service's parts, put together once.
//!
//! Architecture invariant: this is the composition root and the only spine module that knows slices. Parts are
//! concrete; what a test replaces (time, randomness, settings) comes in from outside.

use std::{net::SocketAddr, sync::Arc};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::Accounts,
    agents::Signs,
    audit::AuditLog,
    clock::{Clock, Ids},
    config::Config,
    database::{Database, Door, DoorTx},
    error::Result,
    events::{Followers, Streams, bus::Bus},
    fetch::Fetch,
    git::Git,
    installation,
    jobs::{self, Jobs},
    limits::Limits,
    metrics::Metrics,
    projects::secrets::Endpoints,
    redis::Redis,
    status::Statuses,
    vault::Vault,
    webhooks::{Inbox, Rejections},
    work::Claims,
};

/// Everything an operation may need.
pub struct App {
    /// The settings.
    pub config: Config,
    /// Time.
    pub clock: Clock,
    /// Ids and randomness.
    pub ids: Ids,
    /// The database.
    pub database: Database,
    /// What seals secrets at rest.
    pub vault: Vault,
    /// Durable jobs.
    pub jobs: Jobs,
    /// Principals behind recently used keys.
    pub accounts: Accounts,
    /// What fetches from other hosts.
    pub fetch: Arc<Fetch>,
    /// What reads repositories.
    pub git: Git,
    /// Recently used webhook endpoints.
    pub endpoints: Endpoints,
    /// What several instances share, if they do.
    pub redis: Option<Redis>,
    /// Tells followers that a log has grown.
    pub bus: Bus,
    /// The logs that streams follow.
    pub followers: Followers,
    /// How many streams are open, by principal.
    pub streams: Streams,
    /// The group commit of deliveries.
    pub inbox: Inbox,
    /// Where refused deliveries are noted.
    pub rejections: Rejections,
    /// Signs of life that tool calls gave.
    pub signs: Signs,
    /// Statuses that were read a moment ago.
    pub statuses: Statuses,
    /// Where tool calls are recorded.
    pub audit: AuditLog,
    /// Where claims are gathered.
    pub claims: Claims,
    /// Token buckets.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
    /// Cancelled when the service is to stop.
    pub shutdown: CancellationToken,
    address: SocketAddr,
}

impl App {
    /// Opens the installation that the settings name, making it if it is new. `address` is where the service
    /// listens or, for a command that does not listen, would.
    ///
    /// # Errors
    /// Whatever keeps it from being opened, each with what to do.
    pub async fn open(config: Config, clock: Clock, ids: Ids, address: SocketAddr) -> Result<Arc<Self>> {
        let (database, vault) = installation::open(&config, &clock, &ids).await?;
        let jobs = Jobs::new(clock.clone(), ids.clone(), config.job_lease);
        let redis = config.redis.as_ref().map(Redis::connect).transpose()?;
        let shutdown = CancellationToken::new();
        if let Some(redis) = redis.clone() {
            let wakes = jobs::share_wakes(jobs.clone(), redis, config.role.works());
            tokio::spawn(shutdown.clone().run_until_cancelled_owned(wakes));
        }
        let bus = Bus::new(redis.clone());
        let app = Arc::new(Self {
            followers: Followers::start(database.clone(), bus.clone()),
            inbox: Inbox::start(database.clone(), jobs.clone(), clock.clone(), ids.clone()),
            audit: AuditLog::start(database.clone(), &vault, ids.clone())?,
            rejections: Rejections::start(database.clone()),
            accounts: Accounts::new(),
            fetch: Arc::new(Fetch::new(&config)),
            git: Git::new(&config, ids.clone()),
            endpoints: Endpoints::default(),
            limits: Limits::new(&config, &clock, redis.as_ref()),
            claims: Claims::default(),
            streams: Streams::default(),
            signs: Signs::default(),
            statuses: Statuses::default(),
            metrics: Metrics::new(),
            shutdown,
            config,
            clock,
            ids,
            database,
            vault,
            jobs,
            redis,
            bus,
            address,
        });
        Ok(app)
    }

    /// Removes what has come of age, whoever it belongs to: batch after batch, behind everybody else's writes, until
    /// `remove` finds nothing more or the service stops.
    ///
    /// # Errors
    /// Those of `remove`; what is left goes the next time.
    pub async fn clear_out<F>(&self, remove: F) -> Result<()>
    where
        F: for<'t> Fn(&'t DoorTx<'t>) -> BoxFuture<'t, Result<u64>> + Copy + Send + 'static,
    {
        let database = self.database.in_background();
        while !self.shutdown.is_cancelled() && database.write_through(Door::Retention, remove).await? > 0 {}
        Ok(())
    }

    /// Where clients reach the service, without a trailing slash.
    pub fn public_url(&self) -> String {
        self.config.public_url_at(self.address)
    }
}
