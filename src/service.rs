//! The running service: started in one order, stopped in the other.
//!
//! Stopping (P12): readiness fails and accepting ends; event streams are told when to come back; requests in
//! flight and jobs under way finish; the database is closed; then the process may exit.

use std::{net::SocketAddr, sync::Arc};

use poem::EndpointExt as _;
use tokio::task::JoinHandle;

use crate::{
    accounts::{
        self,
        tokens::{self, Rotation},
    },
    agents,
    app::App,
    clock::{Clock, Ids},
    config::Config,
    error::{Error, Result},
    http, server, worker,
};

/// A service that accepts requests and works through jobs, or does one of both.
pub struct Service {
    /// Its parts.
    pub app: Arc<App>,
    /// Where it listens.
    pub address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl Service {
    /// Opens the installation and starts to listen.
    ///
    /// # Errors
    /// A port that is taken, and whatever keeps the installation from being opened; each says what to do.
    pub async fn start(config: Config, clock: Clock, ids: Ids) -> Result<Self> {
        let listener = server::bind(config.listen).map_err(|error| {
            Error::invalid(format!(
                "cannot listen on {}: {error}; choose another address with HOST and PORT, or --host and --port",
                config.listen
            ))
        })?;
        let address = listener.local_addr().map_err(Error::internal)?;
        let app = App::open(config, clock, ids, address).await?;
        tokens::rotate(&app, Rotation::WhenDue).await?;
        let role = app.config.role;
        let endpoint = match role.serves() {
            true => http::endpoint(Arc::clone(&app)).boxed(),
            false => http::endpoint_of_a_worker(Arc::clone(&app)).boxed(),
        };
        let accept = server::serve(
            listener,
            endpoint,
            app.config.max_connections,
            app.shutdown.clone(),
            app.config.shutdown,
        );
        let mut tasks = vec![tokio::spawn(accept), tokio::spawn(worker::keep_tidy(Arc::clone(&app)))];
        tasks.push(tokio::spawn(accounts::keep_uses(Arc::clone(&app))));
        tasks.push(tokio::spawn(agents::keep_presence(Arc::clone(&app))));
        if role.works() {
            tasks.push(tokio::spawn(worker::run(Arc::clone(&app))));
            tasks.push(tokio::spawn(worker::keep_deadlines(Arc::clone(&app))));
        }
        Ok(Self { app, address, tasks })
    }

    /// Stops it and waits until it has stopped.
    pub async fn stop(self) {
        self.app.shutdown.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the service ended badly");
            }
        }
        accounts::write_uses(&self.app).await;
        agents::write_presence(&self.app).await;
        self.app.database.close().await;
    }
}
