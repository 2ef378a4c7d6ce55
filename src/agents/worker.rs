//! Writing the signs of life that were seen, and noticing who gives none any more.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::{StreamExt as _, stream};
use tokio::time::sleep;

use super::{Evidence, IDLE_AFTER, Presence, event, store, take_in};
use crate::{
    accounts::{PrincipalId, members},
    app::App,
    clock::Time,
    conflicts::edits::{self, Gone},
    database::{Door, TenantId},
    error::{Error, Result, chain},
    events,
    projects::{self, ProjectId},
};

/// How often those who gave no sign of life are looked for, and signs that wait are written.
const TICK: TimeDelta = TimeDelta::seconds(2);
/// Between two writes of what is due at once. It keeps those who claim and finish all the time from having the log of
/// their project to themselves; who is alone in that waits for nothing.
const PAUSE: Duration = Duration::from_millis(500);
/// Projects that are written of at once: few enough to leave connections to others.
const AT_ONCE: usize = 4;
/// Projects and agents of one look for those who are silent.
const BATCH: u64 = 200;

/// Writes signs of life and, where jobs are worked through, tells who is idle, until the service stops.
pub async fn keep_presence(app: Arc<App>) {
    let mut next = app.clock.now() + TICK;
    loop {
        tokio::select! {
            () = app.signs.wait() => {
                write_due(&app, Some(app.clock.now())).await;
                tokio::select! {
                    () = sleep(PAUSE) => {}
                    () = app.shutdown.cancelled() => return,
                }
            }
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

/// Of whom, and what.
type Signs = BTreeMap<PrincipalId, Evidence>;

/// Writes what is due, those of a project together.
async fn write_due(app: &Arc<App>, now: Option<Time>) {
    let mut projects: BTreeMap<(TenantId, ProjectId), Signs> = BTreeMap::new();
    for ((tenant, project, principal), evidence) in app.signs.take(now) {
        projects.entry((tenant, project)).or_default().insert(principal, evidence);
    }
    let write = |(place, signs)| write(Arc::clone(app), place, signs);
    stream::iter(projects).for_each_concurrent(AT_ONCE, write).await;
}

/// Writes the signs of life in a project; each by itself where they fail together, so that one is not in the way of all.
async fn write(app: Arc<App>, place: (TenantId, ProjectId), signs: Signs) {
    let Err(error) = write_together(&app, place, signs.clone()).await else { return };
    let is_alone = signs.len() == 1;
    for (principal, evidence) in signs {
        let alone = Signs::from([(principal, evidence.clone())]);
        if is_alone || write_together(&app, place, alone).await.is_err() {
            tracing::warn!(error = %chain(&error), "signs of life could not be written; this is tried again");
            app.signs.keep((place.0, place.1, principal), &evidence);
        }
    }
}

async fn write_together(
    app: &Arc<App>,
    (tenant, project): (TenantId, ProjectId),
    signs: Signs,
) -> Result<()> {
    let (context, database) = (Arc::clone(app), app.database.in_background());
    let whose: Vec<_> = signs.keys().copied().collect();
    let known = database.write(tenant, move |tx| {
        Box::pin(async move {
            if projects::find_if_there(tx, project).await?.is_none() {
                return Ok(BTreeMap::new());
            }
            let (known, events) = take_in(&context, tx, project, signs).await?;
            events::tell(&context, tx, project, events).await?;
            Ok(known)
        })
    });
    let known = known.await?;
    for principal in whose {
        app.signs.written((tenant, project, principal), known.get(&principal));
    }
    Ok(())
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
            // Held, because conflicts may be over by it, which others look at while they hold the project.
            if projects::hold_if_there(tx, project).await?.is_none() {
                return store::purge(tx, project, BATCH).await;
            }
            let silent = store::hold_silent(tx, project, until, BATCH).await?;
            let ids = silent.iter().map(|presence| presence.principal).collect();
            let known = members::by_ids(tx, ids).await?;
            let mut events = Vec::with_capacity(silent.len());
            let after: Vec<_> = silent.iter().map(Presence::when_silent).collect();
            store::save(tx, project, &after).await?;
            for (before, after) in silent.iter().zip(&after) {
                let who = known.get(&before.principal);
                let who = who.ok_or_else(|| Error::internal("an agent is no principal"))?;
                events.push(event(who, before, after, "silence"));
            }
            let idle: Vec<_> = silent.iter().map(|presence| presence.principal).collect();
            if !idle.is_empty() {
                events.extend(edits::settle(&context, tx, project, Gone::Idle(&idle)).await?);
            }
            events::tell(&context, tx, project, events).await?;
            Ok(silent.len() as u64)
        })
    });
    write.await
}
