//! The demo: sample projects at work, for whoever wants to see what all of this is before there is anything of their own.
//!
//! Nothing is pretended. What Git hosts would send is signed and verified, what agents do are calls of tools with keys of
//! their own, which pass scopes, limits and the log as any other ([`stage`]). [`play`] tells the stories of some projects,
//! delivery by delivery, and `script.rs` says what the [`cast`] does after each. Who plays is `trackside demo`, over HTTP
//! and for ever, and [`load_demo_data`] within a service that runs: one round at once, then slowly for a while.
//!
//! The documents are in a repository that the service makes in its data folder, where there is `git`; it goes with its
//! project. What was made stays until somebody deletes it, but for the agents' keys, which end with the play. A project
//! that is deleted ends it too, as does the end of the service.

mod api;
pub mod cast;
pub mod play;
mod script;
pub mod stage;

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

pub use self::api::DemoApi;
use self::{
    play::{PROJECTS, Performance, ROUND},
    stage::Inside,
};
use crate::{
    accounts::Principal,
    app::App,
    error::{Code, Error, Result, chain},
    projects::ProjectId,
    sender::Sender,
};

/// How many of the sample projects are loaded into a tenant of somebody's.
const LOADED: usize = 2;
/// Between two deliveries, once the first round was played.
const PACE: Duration = Duration::from_secs(3);
/// How long agents wait before an act, then.
const PAUSE: Duration = Duration::from_millis(300);
/// How long agents wait for what a delivery causes.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long it goes on at most.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Whoever loads is alone, so that of two who ask at once one is told so.
static LOADING: Mutex<()> = Mutex::const_new(());

/// Makes sample projects in the caller's tenant and begins to play: a round at once, and then slowly for as long as
/// `lasts`. Gives their names and ids.
///
/// # Errors
/// `insufficient_scope` for who is limited to some projects, `conflict` when projects of these names are there,
/// `invalid_request` for a time that is too long.
pub async fn load_demo_data(
    app: &Arc<App>,
    principal: &Principal,
    sender: &Sender,
    lasts: Duration,
) -> Result<Vec<(&'static str, ProjectId)>> {
    if principal.projects.is_some() {
        let why = "demo data are projects of their own, which a key that is limited to certain projects cannot make";
        return Err(Error::new(Code::InsufficientScope, why));
    }
    if lasts > LONGEST {
        let why = format!("at most {}", LONGEST.as_secs());
        return Err(Error::invalid_field("/seconds", why));
    }
    let _alone = LOADING.lock().await;
    for (name, ..) in PROJECTS.into_iter().take(LOADED) {
        if let Some(known) = play::named(app, principal.tenant, name).await? {
            let why = format!("there is a project called {name} already, with the id {}", known.id);
            return Err(Error::new(Code::Conflict, why));
        }
    }
    // Should the service end before the play does, the keys that nobody knows any more end by themselves.
    let keys_last = TimeDelta::from_std(lasts).unwrap_or_default() + TimeDelta::hours(1);
    let performance = Performance::prepare(app, principal, sender, LOADED, Some(keys_last)).await?;
    let made = performance.projects.iter().map(|project| (project.name, project.id)).collect();
    let playing = go_on(Arc::clone(app), performance, lasts);
    tokio::spawn(app.shutdown.clone().run_until_cancelled_owned(playing));
    Ok(made)
}

async fn go_on(app: Arc<App>, mut performance: Performance, lasts: Duration) {
    if let Err(error) = play_on(&app, &mut performance, lasts).await {
        tracing::info!(error = %chain(&error), "the demo has ended early, as it does when its project is deleted");
    }
    performance.end(&app).await;
}

async fn play_on(app: &Arc<App>, performance: &mut Performance, lasts: Duration) -> Result<()> {
    let doors = Inside(Arc::clone(app));
    for _ in 0..ROUND {
        performance.play(app, &doors, Duration::ZERO, PATIENCE).await?;
    }
    let end = Instant::now() + lasts;
    while Instant::now() < end {
        sleep(PACE).await;
        performance.play(app, &doors, PAUSE, PATIENCE).await?;
    }
    Ok(())
}
