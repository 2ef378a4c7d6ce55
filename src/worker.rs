//! The job table: every kind of background work, and who does it; and what is done every few seconds and every hour.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::{
    accounts::{
        self, oauth,
        tokens::{self, Rotation},
    },
    app::App,
    artifacts, audit,
    error::chain,
    gates, idempotency,
    jobs::{Kind, Pace, Run},
    projects, reservations, runs, security, webhooks, work,
};

/// Kind of job → what runs it.
pub static TABLE: [Kind<App>; 3] = [
    Kind {
        name: webhooks::worker::PROCESS_DELIVERY,
        pace: Pace::Quick,
        run: Run::Together(|app, tenant, jobs| {
            Box::pin(webhooks::worker::process_deliveries(app, tenant, jobs))
        }),
        parked: Some(webhooks::worker::parked),
    },
    Kind {
        name: projects::worker::PURGE_PROJECT,
        pace: Pace::Quick,
        run: Run::Alone(|app, job| Box::pin(projects::worker::purge_project(app, job))),
        parked: None,
    },
    Kind {
        name: artifacts::worker::SCAN_REPOSITORY,
        pace: Pace::Slow,
        run: Run::Alone(|app, job| Box::pin(artifacts::worker::scan_repository(app, job))),
        parked: None,
    },
];

/// Works through jobs until the service stops.
pub async fn run(app: Arc<App>) {
    let database = app.database.in_background();
    let work = |pace| app.jobs.work(Arc::clone(&app), &database, &TABLE, pace, app.shutdown.clone());
    tokio::join!(work(Pace::Quick), work(Pace::Slow));
}

/// How often what is waited for is looked after: a claim or reservation that ran out is told of within 5 s.
const SWEEP: TimeDelta = TimeDelta::seconds(2);

/// Ends what nobody has told of in time, now and every few seconds, until the service stops. Every instance does so: each
/// end comes about once, whoever sees first that it is due.
pub async fn keep_deadlines(app: Arc<App>) {
    while !app.shutdown.is_cancelled() {
        let next = app.clock.now() + SWEEP;
        for (what, outcome) in [
            ("claims that ran out", work::worker::end_expired(&app).await),
            ("claims whose holder cannot come back", work::worker::end_revoked(&app).await),
            ("reservations that ran out", reservations::worker::end_expired(&app).await),
            ("reservations whose holder cannot come back", reservations::worker::end_revoked(&app).await),
            ("runs that are due", runs::worker::close_lost(&app).await),
            ("waivers that are over", gates::worker::evaluate_due(&app).await),
        ] {
            if let Err(error) = outcome {
                tracing::warn!(error = %chain(&error), "{what} could not be ended; the next look tries again");
            }
        }
        tokio::select! {
            () = app.clock.sleep_until(next) => {}
            () = app.shutdown.cancelled() => {}
        }
    }
}

/// How often what has come of age is removed.
const TIDY: TimeDelta = TimeDelta::hours(1);

/// Forgets what need not be remembered, and removes what has come of age where jobs are worked through, now and every
/// hour, until the service stops.
pub async fn keep_tidy(app: Arc<App>) {
    let mut deliveries = webhooks::Retention::default();
    while !app.shutdown.is_cancelled() {
        let next = app.clock.now() + TIDY;
        app.limits.forget_full();
        if let Err(error) = tokens::rotate(&app, Rotation::WhenDue).await {
            tracing::warn!(error = %chain(&error), "signing keys could not be looked after; the next hour tries again");
        }
        if app.config.role.works() {
            app.git.sweep(app.clock.now()).await;
            for (what, outcome) in [
                ("deliveries", deliveries.enforce(&app).await),
                ("idempotency keys", idempotency::forget_old(&app).await),
                ("stream tickets", accounts::forget_tickets(&app).await),
                ("sessions", accounts::signin::forget_sessions(&app).await),
                ("people who belong nowhere", accounts::signin::forget_strangers(&app).await),
                ("codes and grants", oauth::forget_old(&app).await),
                ("invitations", accounts::invitation::forget_invitations(&app).await),
                ("tool calls", audit::prune(&app).await),
                ("security events", security::prune(&app).await),
            ] {
                if let Err(error) = outcome {
                    tracing::warn!(error = %chain(&error), "old {what} could not be removed; the next hour tries again");
                }
            }
        }
        tokio::select! {
            () = app.clock.sleep_until(next) => {}
            () = app.shutdown.cancelled() => {}
        }
    }
}
