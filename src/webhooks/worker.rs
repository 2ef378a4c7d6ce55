//! Processing: from a stored delivery to changes of the domain and events, in one transaction.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Delivery, WebhookEventId,
    change::{Change, Push},
    store,
};
use crate::{
    app::App,
    artifacts::{self, Patterns},
    database::Tx,
    error::{Error, Result},
    events::{self, EventName, NewEvent},
    jobs::{self, Job},
    projects::{self, Project, ProjectId},
    runs,
};

/// The name of the job.
pub const PROCESS_DELIVERY: &str = "process_delivery";

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arguments {
    project_id: Uuid,
    replay: bool,
}

impl Arguments {
    fn of(job: &Job) -> Result<(ProjectId, WebhookEventId, bool)> {
        let arguments: Self = serde_json::from_value(job.payload.clone()).map_err(Error::internal)?;
        Ok((ProjectId(arguments.project_id), WebhookEventId(job.id.0), arguments.replay))
    }
}

/// Turns a delivery into its effects. A delivery of a project that was deleted meanwhile has none.
///
/// # Errors
/// `unprocessable` for a payload that is not what its host documents, and the database's.
pub async fn process_delivery(app: Arc<App>, job: Job) -> Result<()> {
    let (project, id, replay) = Arguments::of(&job)?;
    let found = app
        .database
        .read(job.tenant, move |tx| {
            Box::pin(async move {
                let delivery = store::find(tx, project, id).await?;
                Ok(projects::find(tx, project).await.ok().zip(delivery))
            })
        })
        .await?;
    let Some((project, delivery)) = found else {
        return app
            .database
            .write(job.tenant, move |tx| Box::pin(async move { jobs::finish(tx, &job).await }))
            .await;
    };
    let changes = read(&delivery)?;
    let patterns = Patterns::compile(&project.config.artifact_paths)?;
    let context = Arc::clone(&app);
    app.database
        .write(job.tenant, move |tx| {
            Box::pin(async move {
                jobs::finish(tx, &job).await?;
                let mut events = vec![received(&delivery)];
                for change in changes {
                    events.extend(apply(&context, tx, &project, &patterns, &delivery, change).await?);
                }
                if replay {
                    drop_known(tx, project.id, id, &mut events).await?;
                }
                events::append(&context, tx, project.id, Some(id.0), events).await
            })
        })
        .await
}

/// Tells the log that a delivery has failed for good.
pub fn parked<'t>(app: &'t App, tx: &'t Tx<'t>, job: &'t Job, why: String) -> BoxFuture<'t, Result<()>> {
    Box::pin(async move {
        let (project, id, _) = Arguments::of(job)?;
        let Some(delivery) = store::find(tx, project, id).await? else { return Ok(()) };
        let mut payload = describe(&delivery);
        payload["error"] = Value::String(why);
        let mut events = vec![received(&delivery)];
        drop_known(tx, project, id, &mut events).await?;
        events.push(NewEvent { name: EventName::DeliveryFailed, payload });
        events::append(app, tx, project, Some(id.0), events).await
    })
}

/// What the host says happened.
fn read(delivery: &Delivery) -> Result<Vec<Change>> {
    let host = delivery.source.host();
    let content_type = delivery.headers.iter().find(|(name, _)| name == "content-type");
    let content_type = content_type.map_or("", |(_, value)| value.as_str());
    host.changes(&delivery.event_type, &host.json(content_type, &delivery.body)?)
}

async fn apply(
    app: &App,
    tx: &Tx<'_>,
    project: &Project,
    patterns: &Patterns,
    delivery: &Delivery,
    change: Change,
) -> Result<Vec<NewEvent>> {
    match change {
        Change::Note(name, payload) => Ok(vec![NewEvent { name, payload }]),
        Change::Run(state) => runs::apply_state(tx, &app.ids, project.id, state).await,
        Change::Push(push) => apply_push(app, tx, project, patterns, delivery, push).await,
    }
}

async fn apply_push(
    app: &App,
    tx: &Tx<'_>,
    project: &Project,
    patterns: &Patterns,
    delivery: &Delivery,
    push: Push,
) -> Result<Vec<NewEvent>> {
    let mut events = vec![push.event()];
    if push.is_tracked(project.config.branch.as_deref()) {
        let pushed_at = push.pushed_at.unwrap_or(delivery.received_at);
        events.extend(
            artifacts::apply_push(tx, &app.ids, project.id, patterns, &push.touches, pushed_at).await?,
        );
    }
    Ok(events)
}

/// Leaves out what an earlier run of the same delivery has told the log already.
async fn drop_known(
    tx: &Tx<'_>,
    project: ProjectId,
    id: WebhookEventId,
    events: &mut Vec<NewEvent>,
) -> Result<()> {
    let known = events::events_of(tx, project, id.0).await?;
    events.retain(|new| !known.iter().any(|old| old.name == new.name.as_str() && old.payload == new.payload));
    Ok(())
}

fn received(delivery: &Delivery) -> NewEvent {
    NewEvent { name: EventName::DeliveryReceived, payload: describe(delivery) }
}

fn describe(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id.0,
        "source": delivery.source.as_str(),
        "deliveryId": delivery.delivery_id,
        "eventType": delivery.event_type,
    })
}
