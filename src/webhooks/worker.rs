//! Processing: from a stored delivery to changes of the domain and events, in one transaction.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Delivery, WebhookEventId, change::Change, effects, store};
use crate::{
    app::App,
    artifacts::{Patterns, scan},
    database::{TenantId, Tx},
    error::{Code, Error, Result},
    events::{self, EventName, NewEvent},
    jobs::{self, Job},
    projects::{self, Project, ProjectId},
};

/// When a delivery is tried again that met an outage.
const RETRY: Duration = Duration::from_secs(2);
/// The name of the job.
pub const PROCESS_DELIVERY: &str = "process_delivery";

/// What the job of a delivery, which has the delivery's id, is told.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub(super) struct Arguments {
    /// Whether the delivery was processed before.
    pub(super) replay: bool,
}

impl Arguments {
    fn of(job: &Job) -> Result<Self> {
        serde_json::from_value(job.payload.clone()).map_err(Error::internal)
    }

    pub(super) fn to_json(self) -> Value {
        json!(self)
    }
}

/// A project as deliveries of a batch meet it.
pub(super) struct Met {
    pub(super) project: Project,
    pub(super) patterns: Patterns,
    /// Whether its repository tells by itself what it holds, so that pushes need not.
    pub(super) is_read: bool,
}

/// What a delivery is about to cause.
pub(super) struct Work {
    pub(super) project: Arc<Met>,
    pub(super) delivery: Delivery,
    pub(super) changes: Vec<Change>,
    pub(super) replay: bool,
}

/// Turns deliveries of one tenant into their effects. They are read and understood together, and share a
/// transaction, its statements and its fsync; should that fail, each is tried alone, so that one harms no other.
/// A delivery of a project that was deleted meanwhile has no effect.
///
/// Outcomes are `unprocessable` for a payload that is not what its host documents, and the database's errors.
pub async fn process_deliveries(app: Arc<App>, tenant: TenantId, jobs: Vec<Job>) -> Vec<Result<()>> {
    let (context, batch) = (Arc::clone(&app), jobs.clone());
    let prepared =
        app.database.read(tenant, |tx| Box::pin(async move { prepare(&context, tx, &batch).await })).await;
    let context = Arc::clone(&app);
    let (prepared, batch) = (prepared, jobs.clone());
    let outcome = match prepared {
        Ok(works) => {
            app.database
                .in_background()
                .write(tenant, |tx| Box::pin(async move { apply_all(&context, tx, batch, works).await }))
                .await
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(outcomes) => outcomes,
        Err(error) if jobs.len() == 1 => vec![Err(error)],
        Err(error) if error.code == Code::Unavailable => {
            jobs.iter().map(|_| Err(Error::unavailable("the database was away", RETRY))).collect()
        }
        Err(_) => {
            let mut outcomes = Vec::with_capacity(jobs.len());
            for job in jobs {
                outcomes.extend(Box::pin(process_deliveries(Arc::clone(&app), tenant, vec![job])).await);
            }
            outcomes
        }
    }
}

/// The projects of a batch, each looked up once; none for one that is gone.
type Projects = HashMap<ProjectId, Option<Arc<Met>>>;

/// Reads deliveries and what their hosts say happened. One that cannot be read harms no other.
async fn prepare(app: &App, tx: &Tx<'_>, jobs: &[Job]) -> Result<Vec<Result<Option<Work>>>> {
    let mut deliveries = store::find_all(tx, jobs.iter().map(|job| job.id.0).collect()).await?;
    let (mut projects, mut prepared) = (Projects::new(), Vec::with_capacity(jobs.len()));
    for job in jobs {
        let delivery = deliveries.remove(&job.id.0).transpose();
        prepared.push(match delivery {
            Ok(delivery) => understand(app, tx, job, delivery, &mut projects).await,
            Err(error) => Err(error),
        });
    }
    Ok(prepared)
}

/// What a delivery is about to cause; nothing, if it or its project is gone.
async fn understand(
    app: &App,
    tx: &Tx<'_>,
    job: &Job,
    delivery: Option<Delivery>,
    projects: &mut Projects,
) -> Result<Option<Work>> {
    let (Arguments { replay }, Some(delivery)) = (Arguments::of(job)?, delivery) else { return Ok(None) };
    let id = delivery.project;
    if let Entry::Vacant(vacant) = projects.entry(id) {
        vacant.insert(match projects::find_if_there(tx, id).await? {
            Some(project) => {
                let patterns = Patterns::compile(&project.config.artifact_paths)?;
                let is_read = scan::find(app, tx, id).await?.reads();
                Some(Arc::new(Met { project, patterns, is_read }))
            }
            None => None,
        });
    }
    let Some(project) = projects.get(&id).cloned().flatten() else { return Ok(None) };
    let changes = read(&delivery)?;
    Ok(Some(Work { project, delivery, changes, replay }))
}

/// The effects of a batch, the ends of its jobs, and what the logs are told, in one transaction. Only a delivery
/// that could not be read has an outcome of its own; any other failure undoes the whole.
async fn apply_all(
    app: &App,
    tx: &Tx<'_>,
    jobs: Vec<Job>,
    works: Vec<Result<Option<Work>>>,
) -> Result<Vec<Result<()>>> {
    let mut of_projects = BTreeMap::<_, Vec<_>>::new();
    let (mut done, mut outcomes) = (Vec::new(), Vec::with_capacity(jobs.len()));
    for (job, work) in jobs.into_iter().zip(works) {
        match work {
            Ok(work) => {
                let work = work.into_iter();
                work.for_each(|work| of_projects.entry(work.project.project.id).or_default().push(work));
                done.push(job);
                outcomes.push(Ok(()));
            }
            Err(error) => outcomes.push(Err(error)),
        }
    }
    // In one order for all, so that no two batches wait for each other.
    for project in of_projects.keys() {
        tx.lock(project.0).await?;
    }
    jobs::finish(tx, &done).await?;
    for works in of_projects.into_values() {
        effects::apply(app, tx, works).await?;
    }
    Ok(outcomes)
}

/// Tells the log that a delivery has failed for good.
pub fn parked<'t>(app: &'t App, tx: &'t Tx<'t>, job: &'t Job, why: String) -> BoxFuture<'t, Result<()>> {
    Box::pin(async move {
        let Some(delivery) = store::find_all(tx, vec![job.id.0]).await?.remove(&job.id.0) else {
            return Ok(());
        };
        let delivery = delivery?;
        let (project, id) = (delivery.project, delivery.id);
        tx.lock(project.0).await?;
        let mut payload = describe(&delivery);
        payload["error"] = Value::String(why);
        let mut events = vec![received(&delivery)];
        drop_known(tx, project, id, &mut events).await?;
        events.push(NewEvent { name: EventName::DeliveryFailed, payload });
        events::append(app, tx, project, events.into_iter().map(|event| (Some(id.0), event)).collect()).await
    })
}

/// What the host says happened.
fn read(delivery: &Delivery) -> Result<Vec<Change>> {
    let host = delivery.source.host();
    let content_type = delivery.headers.iter().find(|(name, _)| name == "content-type");
    let content_type = content_type.map_or("", |(_, value)| value.as_str());
    let changes = host.changes(&delivery.event_type, &host.json(content_type, delivery.body()?)?)?;
    Ok(changes.into_iter().map(Change::with_fitting_names).collect())
}

/// Leaves out what an earlier run of the same delivery has told the log already.
pub(super) async fn drop_known(
    tx: &Tx<'_>,
    project: ProjectId,
    id: WebhookEventId,
    events: &mut Vec<NewEvent>,
) -> Result<()> {
    let known = events::events_of(tx, project, id.0).await?;
    events.retain(|new| !known.iter().any(|old| old.name == new.name.as_str() && old.payload == new.payload));
    Ok(())
}

pub(super) fn received(delivery: &Delivery) -> NewEvent {
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
