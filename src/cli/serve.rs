//! `trackside serve`: the service until it is told to stop.

use std::sync::Arc;

use anstream::eprintln;
use tokio::signal::unix::{SignalKind, signal};

use super::say::{BOLD, RESET, program};
use crate::{
    accounts::{
        self,
        signin::{self, SetUp},
    },
    app::App,
    clock::{Clock, Ids},
    config::{Config, LogFormat},
    dashboard,
    error::{Error, Result},
    service::Service,
};

/// Name of the tenant that a first start makes.
const FIRST_TENANT: &str = "default";

pub(super) async fn run(config: Config) -> Result<()> {
    let clock = Clock::system();
    let service = Service::start(config, clock.clone(), Ids::system(clock)).await?;
    if make_the_first_tenant(&service.app).await?.is_some() {
        greet(service.app.config.log_format);
    }
    if service.app.config.role.serves()
        && let Some(link) = signin::prepare(&service.app).await?
    {
        invite(&link, service.app.config.log_format);
    }
    tracing::info!(
        "listening on http://{}, known to clients as {}",
        service.address,
        service.app.public_url()
    );
    if service.app.config.role.serves() && !dashboard::is_embedded() {
        tracing::info!("{}", dashboard::HOW_TO_GET_IT);
    }
    if let Some(hint) = unreachable(&service.app.config) {
        tracing::warn!("{hint}");
    }
    if service.app.config.role.serves() {
        let meeting = accounts::meet_issuers(Arc::clone(&service.app));
        tokio::spawn(service.app.shutdown.clone().run_until_cancelled_owned(meeting));
    }
    until_told_to_stop().await?;
    tracing::info!("stopping: requests in flight finish, streams are told to come back");
    service.stop().await;
    Ok(())
}

/// Why the webhook addresses are of no use to a Git host, if they are not.
pub(super) fn unreachable(config: &Config) -> Option<&'static str> {
    (config.public_url.is_none() && config.listen.ip().is_unspecified()).then_some(
        "HOST takes every address of this machine and TRACKSIDE_PUBLIC_URL is not set, so webhook addresses name \
         this machine only; set TRACKSIDE_PUBLIC_URL to where Git hosts reach the service, such as \
         https://trackside.example.org",
    )
}

/// Tells whoever starts a new installation what comes next.
fn greet(format: LogFormat) {
    let program = program();
    let key = format!("{program} key create --name me --role owner");
    let project =
        format!("{program} project create --name NAME --repo-url https://github.com/your-org/your-repo");
    match format {
        LogFormat::Json => {
            tracing::info!(key, project, "this is a new installation: make a key, and a project")
        }
        LogFormat::Text => {
            eprintln!("{BOLD}This is a new installation.{RESET} Make a key for programs, and a project:\n");
            eprintln!("  {key}\n  {project}\n");
        }
    }
}

/// Shows the link by which a person becomes the owner: the one secret that is ever printed unasked, to whoever starts
/// the service, because somebody has to be let in without a password.
fn invite(link: &SetUp, format: LogFormat) {
    let SetUp { url, expires_at, .. } = link;
    match format {
        LogFormat::Json => {
            tracing::info!(url, %expires_at, "nobody owns this installation yet: open this link, which works once")
        }
        LogFormat::Text => {
            let until = expires_at.format("%H:%M UTC");
            eprintln!(
                "{BOLD}Nobody owns this installation yet.{RESET} Open this link, which works once, until {until}:\n"
            );
            eprintln!("  {url}\n");
        }
    }
}

/// Makes the first tenant, if there is none yet.
pub(super) async fn make_the_first_tenant(app: &App) -> Result<Option<accounts::Tenant>> {
    if !accounts::list_tenants(app).await?.is_empty() {
        return Ok(None);
    }
    accounts::make_first_tenant(app, FIRST_TENANT).await
}

/// Returns at SIGTERM or Ctrl-C.
pub(super) async fn until_told_to_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
