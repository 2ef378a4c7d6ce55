//! The job table: every kind of background work, and who does it.

use std::sync::Arc;

use crate::{
    app::App,
    jobs::{Kind, Run},
    projects, webhooks,
};

/// Kind of job → what runs it.
pub static TABLE: [Kind<App>; 2] = [
    Kind {
        name: webhooks::worker::PROCESS_DELIVERY,
        run: Run::Together(|app, tenant, jobs| {
            Box::pin(webhooks::worker::process_deliveries(app, tenant, jobs))
        }),
        parked: Some(webhooks::worker::parked),
    },
    Kind {
        name: projects::worker::PURGE_PROJECT,
        run: Run::Alone(|app, job| Box::pin(projects::worker::purge_project(app, job))),
        parked: None,
    },
];

/// Works through jobs until the service stops.
pub async fn run(app: Arc<App>) {
    let database = app.database.in_background();
    app.jobs.work(Arc::clone(&app), &database, &TABLE, app.shutdown.clone()).await;
}
