//! The play: sample projects whose stories are told delivery by delivery, and the agents who work along.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};

use super::{
    cast::Cast,
    script::{Desks, Scene},
    stage::{Doors, Told},
};
use crate::{
    accounts::Principal,
    app::App,
    artifacts::scan::{self, ScanState},
    database::TenantId,
    error::{Error, Result},
    gates::{CheckKind, GateConfig},
    projects::{self, NewProject, Project, ProjectConfig, ProjectId, secrets},
    samples::{Chapter, Episode, Sample, Story, WorkingCopy},
    sender::Sender,
    webhooks::{self, DeliveryStatus},
    wire::{MAX_LIMIT, Page},
    work::{NewWorkItem, Priority, items::create_work_item},
};

/// The sample projects: name, host, and what the repository is called there. The first has most of the story.
pub const PROJECTS: [(&str, &str, &str); 5] = [
    ("Rocket", "github", "acme/rocket"),
    ("Lander", "gitlab", "acme/lander"),
    ("Beacon", "bitbucket", "acme/beacon"),
    ("Orbiter", "gitea", "acme/orbiter"),
    ("Comet", "forgejo", "acme/comet"),
];
/// One of so many deliveries is for another project than the first.
const OTHERS: usize = 4;
/// Deliveries in which the story of the first project is told once.
pub const ROUND: usize = Story::ROUND * OTHERS / (OTHERS - 1);
/// The review that every work item of the first project waits for.
pub(super) const REVIEW: &str = "review";
/// Between two looks whether a delivery is worked through.
const LOOK: Duration = Duration::from_millis(20);
/// After these steps of a round somebody posts who does not know the secret.
const FORGED: [usize; 2] = [5, 16];

/// What there is to do in the first project beside its stories: title, lane, how urgent, for which role, and the place in
/// this list of what it waits for.
type Item = (&'static str, &'static str, Priority, Option<&'static str>, Option<usize>);
const ITEMS: [Item; 6] = [
    ("Renew the signing certificate", "ready", Priority::Urgent, None, None),
    ("Measure how long a search takes", "ready", Priority::High, None, None),
    ("Cache what is searched for often", "ready", Priority::Normal, None, Some(1)),
    ("Explore the release on a phone", "ready", Priority::Normal, Some("qa"), None),
    ("Decide how long exports are kept", "backlog", Priority::Low, None, None),
    ("Write down who answers at night", "backlog", Priority::Normal, None, Some(4)),
];

/// A sample project and its story.
pub struct Playing {
    /// Its name.
    pub name: &'static str,
    /// Its Git host, by its name in webhook addresses.
    pub source: &'static str,
    /// Its id.
    pub id: ProjectId,
    secret: SecretString,
    script: Script,
    /// The repository that it tells of, where there is `git`.
    copy: Option<WorkingCopy>,
}

enum Script {
    Long(Box<Story>),
    Short(Box<Episode>),
}

/// Sample projects, and whoever works in them.
pub struct Performance {
    /// The projects; the first has most of the story.
    pub projects: Vec<Playing>,
    tenant: TenantId,
    cast: Cast,
    desks: Desks,
    sent: usize,
}

impl Performance {
    /// Makes the first `projects` of the sample projects for `owner`, or finds them again, and gathers the agents, whose
    /// keys end after `lasts`.
    ///
    /// # Errors
    /// `insufficient_scope` for an owner who is limited to some projects, and when no repository can be made.
    pub async fn prepare(
        app: &Arc<App>,
        owner: &Principal,
        sender: &Sender,
        projects: usize,
        lasts: Option<TimeDelta>,
    ) -> Result<Self> {
        let mut playing = Vec::new();
        for (name, source, repository) in PROJECTS.into_iter().take(projects) {
            playing.push(Playing::prepare(app, owner, sender, (name, source, repository)).await?);
        }
        let ids: Vec<_> = playing.iter().map(|project| project.id).collect();
        let cast = Cast::gather(app, owner.tenant, &ids, lasts).await?;
        Ok(Self { projects: playing, tenant: owner.tenant, cast, desks: Desks::default(), sent: 0 })
    }

    /// Plays what is next: one delivery, and what the agents do when they have seen what came of it, which they wait for
    /// as long as `patience`; they `pause` before each act.
    ///
    /// # Errors
    /// When a delivery cannot be posted, or nobody listens any more. That an agent is refused is none.
    pub async fn play(
        &mut self,
        app: &Arc<App>,
        doors: &impl Doors,
        pause: Duration,
        patience: Duration,
    ) -> Result<()> {
        let others = self.projects.len() - 1;
        let is_others = others > 0 && self.sent % OTHERS == OTHERS - 1;
        let turn = if is_others { 1 + self.sent / OTHERS % others } else { 0 };
        self.sent += 1;
        let project = &mut self.projects[turn];
        let (sample, chapter) = project.script.next(app.clock.now());
        project.follow(&sample).await?;
        project.post(app, doors, &sample, true).await?;
        if chapter.is_some_and(|chapter| FORGED.contains(&chapter.step)) {
            project.post(app, doors, &sample, false).await?;
        }
        settled(app, self.tenant, project.id, patience).await?;
        let scene = Scene { doors, project, cast: &self.cast, pause };
        match chapter {
            Some(chapter) => {
                let commit = sample.body["after"].as_str().unwrap_or_default();
                scene.play(&mut self.desks, chapter, commit).await
            }
            None => scene.glance().await,
        }
    }

    /// Ends what the agents came with.
    pub async fn end(&self, app: &App) {
        self.cast.dismiss(app).await;
    }
}

impl Script {
    /// What happens next, and where in the longer story that is.
    fn next(&mut self, now: DateTime<Utc>) -> (Sample, Option<Chapter>) {
        match self {
            Self::Long(story) => {
                let sample = story.next(now);
                (sample, Some(story.chapter()))
            }
            Self::Short(episode) => (episode.next(now), None),
        }
    }
}

impl Playing {
    async fn prepare(
        app: &Arc<App>,
        owner: &Principal,
        sender: &Sender,
        (name, source, repository): (&'static str, &'static str, &str),
    ) -> Result<Self> {
        let now = app.clock.now();
        let unknown = || Error::internal("there is no story of this host");
        let script = match source {
            "github" => Script::Long(Box::new(Story::new(repository, now))),
            _ => Script::Short(Box::new(Episode::new(source, repository, now).ok_or_else(unknown)?)),
        };
        let known = named(app, owner.tenant, name).await?;
        let id = known.as_ref().map_or_else(|| ProjectId(app.ids.uuid()), |known| known.id);
        let copy = repository_of(app, id).await?;
        let secret = if known.is_some() {
            let endpoint = secrets::endpoint(app, id).await?;
            let secret = endpoint.secrets_at(now).next().cloned();
            secret.ok_or_else(|| Error::not_found("webhook secret"))?
        } else {
            let elsewhere = || format!("https://git.example.org/{repository}");
            let repo_url = copy.as_ref().map_or_else(elsewhere, WorkingCopy::url);
            let new = NewProject { name: name.to_owned(), repo_url, config: config() };
            let (_, secret) = projects::create_project_as(app, owner, sender, id, new).await?;
            if source == "github" {
                plan(app, owner, id).await?;
            }
            secret
        };
        Ok(Self { name, source, id, secret, script, copy })
    }

    /// Does in the repository what a delivery is going to tell.
    async fn follow(&mut self, sample: &Sample) -> Result<()> {
        let Some(mut copy) = self.copy.take() else { return Ok(()) };
        let sample = sample.clone();
        let followed = spawn_blocking(move || copy.follow(&sample).map(|()| copy));
        let copy = followed.await.map_err(Error::internal)?;
        self.copy = Some(copy.map_err(|error| Error::invalid("the demo cannot commit").because(error))?);
        Ok(())
    }

    /// Posts a delivery, signed by who knows the secret, or by somebody who does not.
    async fn post(&self, app: &App, doors: &impl Doors, sample: &Sample, is_genuine: bool) -> Result<()> {
        let (body, delivery_id) = (sample.bytes(), app.ids.uuid().to_string());
        let secret = if is_genuine { self.secret.expose_secret() } else { "whsec_Z3Vlc3NlZA==" };
        let headers = sample.headers(&body, secret, &delivery_id, app.clock.now());
        let (status, answer) = doors.post(self, headers, body).await?;
        doors.tell(&Told::Delivery {
            project: self,
            sample,
            delivery_id: &delivery_id,
            status,
            answer: &answer,
        })?;
        match (is_genuine, status) {
            (true, 401) => Err(Error::invalid(format!("a delivery to {} was refused: {answer}", self.name))),
            _ => Ok(()),
        }
    }
}

/// The repository of a project, made or opened again; none where repositories are not read.
async fn repository_of(app: &App, project: ProjectId) -> Result<Option<WorkingCopy>> {
    if !app.config.git.scans || crate::git::installed().await.is_none() {
        return Ok(None);
    }
    let folder = app.git.sample(project.0);
    let opened = spawn_blocking(move || WorkingCopy::open(&folder)).await.map_err(Error::internal)?;
    opened.map(Some).map_err(|error| Error::invalid("no repository can be made for the demo").because(error))
}

/// A project of this name, if the tenant has one.
pub(super) async fn named(app: &App, tenant: TenantId, name: &str) -> Result<Option<Project>> {
    let mut page = Page::<ProjectId>::parse(Some(MAX_LIMIT), None)?;
    loop {
        let rows = projects::list_all(app, tenant, page.clone()).await?;
        let (rows, next) = page.split(rows, |project| project.id);
        if let Some(found) = rows.into_iter().find(|project| project.name == name) {
            return Ok(Some(found));
        }
        let Some(next) = next else { return Ok(None) };
        page = Page::parse(Some(MAX_LIMIT), Some(&next))?;
    }
}

/// What the sample projects ask for: what everybody asks of phases, and of each work item that somebody reviews it.
fn config() -> ProjectConfig {
    let mut config = ProjectConfig::default();
    for gate in config.gates.iter_mut().filter(|gate| gate.name == "stories") {
        gate.count = Some(2); // a round has no more
    }
    let of_items = |name: &str, check| GateConfig {
        name: name.to_owned(),
        phase: None,
        lane: Some("review".to_owned()),
        check,
        weight: 10,
        kind: None,
        paths: Vec::new(),
        count: None,
        run_name: None,
    };
    config.gates.push(of_items(REVIEW, CheckKind::ManualReview));
    config.gates.push(of_items("documents", CheckKind::DependenciesResolved));
    config
}

/// Puts onto the board what there is to do beside stories.
async fn plan(app: &Arc<App>, owner: &Principal, project: ProjectId) -> Result<()> {
    let mut made = Vec::new();
    for (title, lane, priority, role, waits_for) in ITEMS {
        let new = NewWorkItem {
            title: title.to_owned(),
            lane: Some(lane.to_owned()),
            priority: Some(priority),
            role: role.map(str::to_owned),
            blocked_by: waits_for.into_iter().map(|place: usize| made[place]).collect(),
            ..NewWorkItem::default()
        };
        made.push(create_work_item(app, owner, project, new).await?.id);
    }
    Ok(())
}

/// Waits until what was posted is worked through and the repository was read, but no longer than `patience`.
async fn settled(app: &Arc<App>, tenant: TenantId, project: ProjectId, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let context = Arc::clone(app);
        let read = app.database.read(tenant, move |tx| {
            Box::pin(async move {
                let pending = webhooks::count(tx, project, DeliveryStatus::Pending, 1).await?;
                let scan = scan::find(&context, tx, project).await?;
                Ok(pending == 0 && !matches!(scan.state, ScanState::Waiting | ScanState::Running))
            })
        });
        if read.await? || Instant::now() >= deadline {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

/// The code of a refusal.
pub(super) fn code_of(refusal: &Value) -> &str {
    refusal["code"].as_str().unwrap_or("refused")
}
