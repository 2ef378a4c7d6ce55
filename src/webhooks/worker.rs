//! Processing: from a stored delivery to changes of the domain and events, in one transaction.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Delivery, WebhookEventId,
    change::{Change, PullRequestLog, Push},
    payload::is_nothing,
    store,
};
use crate::{
    accounts::PrincipalId,
    agents::{self, Pushed},
    app::App,
    artifacts::{
        self, Patterns,
        scan::{self, Wanted},
    },
    clock::Time,
    conflicts::edits::{self, Gone},
    database::{TenantId, Tx},
    error::{Code, Error, Result},
    events::{self, EventName, NewEvent},
    gates::{self, Changed},
    jobs::{self, Job},
    projects::{self, Project, ProjectId},
    reservations::touched::{self, Files},
    runs,
    work::{self, lease::SignOfLife, worker::Heard},
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
struct Met {
    project: Project,
    patterns: Patterns,
    /// Whether its repository tells by itself what it holds, so that pushes need not.
    is_read: bool,
}

/// What a delivery is about to cause.
struct Work {
    project: Arc<Met>,
    delivery: Delivery,
    changes: Vec<Change>,
    replay: bool,
}

impl Work {
    /// Whether there is something new to be read.
    fn is_tracked_push(&self) -> bool {
        let branch = self.project.project.config.branch.as_deref();
        self.changes.iter().any(|change| matches!(change, Change::Push(push) if push.is_tracked(branch)))
    }
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
    let (mut done, mut told) = (Vec::new(), BTreeMap::<ProjectId, Vec<_>>::new());
    let mut outcomes = Vec::with_capacity(jobs.len());
    // In one order for all, so that no two batches wait for each other.
    let projects: BTreeSet<_> =
        works.iter().flatten().flatten().map(|work| work.project.project.id).collect();
    for project in projects {
        tx.lock(project.0).await?;
    }
    let mut pushed = BTreeSet::new();
    for (job, work) in jobs.into_iter().zip(works) {
        match work {
            Ok(Some(work)) => {
                let (project, cause) = (work.project.project.id, Some(job.id.0));
                if work.is_tracked_push() {
                    pushed.insert(project);
                }
                let events = apply(app, tx, work).await?.into_iter().map(|event| (cause, event));
                told.entry(project).or_default().extend(events);
            }
            Ok(None) => {}
            Err(error) => {
                outcomes.push(Err(error));
                continue;
            }
        }
        outcomes.push(Ok(()));
        done.push(job);
    }
    jobs::finish(tx, &done).await?;
    for project in pushed {
        scan::want(app, tx, project, Wanted::ByPush).await?;
    }
    for (project, mut events) in told {
        let changed = Changed::by(events.iter().map(|(_, event)| event));
        if !changed.is_nothing() {
            let turned = gates::evaluate(app, tx, project, &changed).await?;
            events.extend(turned.into_iter().map(|event| (None, event)));
        }
        events::append(app, tx, project, events).await?;
    }
    Ok(outcomes)
}

/// One delivery's effect; gives the events that the log is to be told.
async fn apply(app: &App, tx: &Tx<'_>, work: Work) -> Result<Vec<NewEvent>> {
    let Work { project, delivery, changes, replay } = work;
    let mut events = vec![received(&delivery)];
    for change in changes {
        events.extend(apply_change(app, tx, &project, &delivery, change, replay).await?);
    }
    if replay {
        drop_known(tx, project.project.id, delivery.id, &mut events).await?;
    }
    Ok(events)
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

async fn apply_change(
    app: &App,
    tx: &Tx<'_>,
    met: &Met,
    delivery: &Delivery,
    change: Change,
    replay: bool,
) -> Result<Vec<NewEvent>> {
    match change {
        Change::Note(name, payload) => Ok(vec![NewEvent { name, payload }]),
        Change::PullRequest(log) => apply_pull_request(app, tx, met, delivery, &log, replay).await,
        Change::Run(state) => runs::apply_state(app, tx, met.project.id, state, delivery.received_at).await,
        Change::Push(push) => apply_push(app, tx, met, delivery, push, replay).await,
    }
}

async fn apply_pull_request(
    app: &App,
    tx: &Tx<'_>,
    met: &Met,
    delivery: &Delivery,
    log: &PullRequestLog,
    replay: bool,
) -> Result<Vec<NewEvent>> {
    let (mut events, project) = (vec![log.event()], &met.project);
    match &*log.state {
        "merged" => events.extend(leave_branch(app, tx, project.id, &log.branch).await?),
        "open" if !replay => {
            let by: Vec<_> = log.author.iter().map(|name| name.to_string()).collect();
            let at = delivery.received_at;
            events.extend(touched::proposed(app, tx, project, &log.branch, &by, at).await?);
        }
        _ => {}
    }
    Ok(events)
}

/// A branch was merged or deleted: what was about it is over.
async fn leave_branch(app: &App, tx: &Tx<'_>, project: ProjectId, branch: &str) -> Result<Vec<NewEvent>> {
    touched::forget(tx, project, branch).await?;
    edits::settle(app, tx, project, Gone::Branch(branch)).await
}

async fn apply_push(
    app: &App,
    tx: &Tx<'_>,
    met: &Met,
    delivery: &Delivery,
    push: Push,
    replay: bool,
) -> Result<Vec<NewEvent>> {
    let mut events = vec![push.event()];
    let Met { project, patterns, is_read } = met;
    if !is_read && push.is_tracked(project.config.branch.as_deref()) {
        let pushed_at = push.pushed_at.unwrap_or(delivery.received_at);
        events.extend(
            artifacts::apply_push(tx, &app.ids, project.id, patterns, &push.touches, pushed_at).await?,
        );
        gates::see_files(tx, project.id, &push.touches).await?;
    }
    let whose = agents::pushers(tx, project.id, &push.by).await?;
    let pushed = pushed(&push, &whose, delivery.received_at);
    let heard =
        Heard { by: SignOfLife::Push, whose: &whose, branch: pushed.branch, at: delivery.received_at };
    work::worker::heard_of(app, tx, project.id, heard).await?;
    events.extend(agents::note_push(app, tx, project.id, pushed).await?);
    if push.log.deleted
        && let Some(branch) = pushed.branch
    {
        events.extend(leave_branch(app, tx, project.id, branch).await?);
    }
    // What happened some time ago says nothing of who edits what now.
    if !replay {
        let paths: BTreeSet<_> = push.touches.iter().map(|touch| &*touch.path).collect();
        let branch = pushed.branch.filter(|_| !push.is_tracked(project.config.branch.as_deref()));
        if let Some(branch) = branch {
            touched::remember(tx, project.id, branch, &paths, delivery.received_at).await?;
        }
        let files = Files {
            paths: &paths,
            by: &push.by,
            whose: &whose,
            branch: pushed.branch,
            at: delivery.received_at,
        };
        events.extend(touched::touched(app, tx, project, patterns, files).await?);
    }
    Ok(events)
}

/// A push as evidence of who is at work. When it happened is when it came here: hosts' clocks are not ours.
fn pushed<'a>(push: &'a Push, whose: &'a BTreeSet<PrincipalId>, at: Time) -> Pushed<'a> {
    let branch = push.log.branch.as_deref();
    let to = branch.or(push.log.tag.as_deref()).unwrap_or_default();
    let commit = push.log.after.as_deref().filter(|commit| !is_nothing(commit));
    Pushed { whose, to, branch, commit, at }
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
