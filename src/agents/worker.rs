//! Writing the signs of life that were seen, and noticing who gives none any more.

use std::sync::Arc;

use chrono::TimeDelta;
use futures::{StreamExt as _, stream};

use super::{Evidence, IDLE_AFTER, event, signs::Whose, store, take_in};
use crate::{
    accounts::members,
    app::App,
    clock::Time,
    database::{Door, TenantId},
    error::{Error, Result, chain},
    events,
    projects::{self, ProjectId},
};

/// How often those who gave no sign of life are looked for, and signs that wait are written.
const TICK: TimeDelta = TimeDelta::seconds(2);
/// Writes at once: few enough to leave connections to others, and on SQLite they share a transaction.
const AT_ONCE: usize = 4;
/// Projects and agents of one look for those who are silent.
const BATCH: u64 = 200;

/// Writes signs of life and, where jobs are worked through, tells who is idle, until the service stops.
pub async fn keep_presence(app: Arc<App>) {
    let mut next = app.clock.now() + TICK;
    loop {
        tokio::select! {
            () = app.signs.wait() => write_due(&app, Some(app.clock.now())).await,
            () = app.clock.sleep_until(next) => {
                next = app.clock.now() + TICK;
                write_due(&app, Some(app.clock.now())).await;
                app.signs.forget(app.clock.now());
                if app.config.role.works()
                    && let Err(error) = sweep(&app).await
                {
                    tracing::warn!(error = %chain(&error), "who is idle could not be told; this is tried again");
                }
            }
            () = app.shutdown.cancelled() => return,
        }
    }
}

/// Writes every sign of life that waits, at the end of the service.
pub async fn write_presence(app: &Arc<App>) {
    write_due(app, None).await;
}

async fn write_due(app: &Arc<App>, now: Option<Time>) {
    let write = |(whose, evidence)| write(Arc::clone(app), whose, evidence);
    stream::iter(app.signs.take(now)).for_each_concurrent(AT_ONCE, write).await;
}

async fn write(app: Arc<App>, whose: Whose, evidence: Evidence) {
    let (tenant, project, principal) = whose;
    let (context, again, database) = (Arc::clone(&app), evidence.clone(), app.database.in_background());
    let written = database.write(tenant, move |tx| {
        Box::pin(async move {
            if projects::find_if_there(tx, project).await?.is_none() {
                return Ok(None);
            }
            let (presence, events) = take_in(&context, tx, project, principal, evidence).await?;
            events::tell(&context, tx, project, events).await?;
            Ok(presence)
        })
    });
    match written.await {
        Ok(presence) => app.signs.written(whose, presence.as_ref()),
        Err(error) => {
            tracing::warn!(error = %chain(&error), "signs of life could not be written; this is tried again");
            app.signs.keep(whose, &again);
        }
    }
}

/// Tells of everybody who is taken to be running and gave no sign of life for so long, that they are idle.
async fn sweep(app: &Arc<App>) -> Result<()> {
    loop {
        let until = app.clock.now() - IDLE_AFTER;
        let places = app.database.read_through(Door::SilentAgents, move |tx| {
            Box::pin(async move { store::places_of_silent(tx, until, BATCH).await })
        });
        let places = places.await?;
        let mut told = 0;
        for (tenant, project) in &places {
            told += tell_silent(app, *tenant, *project, until).await?;
        }
        // What is left is held by somebody else, or comes with the next look.
        if told == 0 || app.shutdown.is_cancelled() {
            return Ok(());
        }
    }
}

/// Those of one project, in one transaction; gives how many. Whose row somebody else holds just gave a sign of life, or
/// is being told of.
async fn tell_silent(app: &Arc<App>, tenant: TenantId, project: ProjectId, until: Time) -> Result<u64> {
    let (context, database) = (Arc::clone(app), app.database.in_background());
    let write = database.write(tenant, move |tx| {
        Box::pin(async move {
            if projects::find_if_there(tx, project).await?.is_none() {
                return store::purge(tx, project, BATCH).await;
            }
            let silent = store::hold_silent(tx, project, until, BATCH).await?;
            let ids = silent.iter().map(|presence| presence.principal).collect();
            let known = members::by_ids(tx, ids).await?;
            let mut events = Vec::with_capacity(silent.len());
            for before in &silent {
                let after = before.when_silent();
                store::save(tx, project, &after).await?;
                let who = known.get(&before.principal);
                let who = who.ok_or_else(|| Error::internal("an agent is no principal"))?;
                events.push(event(who, before, &after, "silence"));
            }
            events::tell(&context, tx, project, events).await?;
            Ok(silent.len() as u64)
        })
    });
    write.await
}
