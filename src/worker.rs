//! The job table: every kind of background work, and who does it.

use std::sync::Arc;

use crate::{app::App, jobs::Kind, projects, webhooks};

/// Kind of job → what runs it.
pub static TABLE: [Kind<App>; 2] = [
    Kind {
        name: webhooks::worker::PROCESS_DELIVERY,
        run: |app, job| Box::pin(webhooks::worker::process_delivery(app, job)),
        parked: Some(webhooks::worker::parked),
        in_order: true,
    },
    Kind {
        name: projects::worker::PURGE_PROJECT,
        run: |app, job| Box::pin(projects::worker::purge_project(app, job)),
        parked: None,
        in_order: false,
    },
];

/// Works through jobs until the service stops.
pub async fn run(app: Arc<App>) {
    app.jobs.work(Arc::clone(&app), &app.database, &TABLE, app.shutdown.clone()).await;
}
