//! `trackside demo`: a service with sample data that sends itself what Git hosts would send.
//!
//! Nothing is pretended: the deliveries are signed and posted over HTTP, and what is printed as an event was
//! read from the event stream with an API key. One project lives on GitHub and has most of the story; on each
//! other host that the service knows, another project gets a delivery now and then. The repositories that they tell of
//! are folders of the demo's, made with `git`, and read as any other; without `git` the pushes alone tell of documents.

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    client::{self, Frames, Server},
    manage,
    say::{self, BOLD, CYAN, DIM, GREEN, RESET, YELLOW, describe, mark},
    serve::until_told_to_stop,
};
use crate::{
    accounts::{self, NewKey, Role},
    app::App,
    clock::{Clock, Ids},
    config::{Config, DEFAULT_LOG, DatabaseUrl, GitAllow},
    database::TenantId,
    error::{Code, Error, Result},
    git, logs,
    projects::{self, NewProject, ProjectConfig, ProjectId, secrets},
    samples::{Episode, Sample, Story, WorkingCopy},
    service::Service,
    webhooks,
};

/// The sample projects: name, host, and what the repository is called there. The first has most of the story.
const PROJECTS: [(&str, &str, &str); 5] = [
    ("Rocket", "github", "acme/rocket"),
    ("Lander", "gitlab", "acme/lander"),
    ("Beacon", "bitbucket", "acme/beacon"),
    ("Orbiter", "gitea", "acme/orbiter"),
    ("Comet", "forgejo", "acme/comet"),
];
/// The sample tenant.
const TENANT: &str = "Acme";
/// One of so many deliveries is for another project than the first.
const OTHERS: usize = 4;

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Milliseconds between two deliveries
    #[arg(long, default_value_t = 1_500, value_name = "MS")]
    interval_ms: u64,
    /// Stop after so many deliveries [default: go on until Ctrl-C]
    #[arg(long, value_name = "N")]
    deliveries: Option<usize>,
    /// Keep the data in this folder, and go on with what is there [default: a temporary one, removed at the end]
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

pub(super) async fn run(mut config: Config, args: DemoArgs, json: bool) -> Result<()> {
    if config.log_filter == DEFAULT_LOG {
        config.log_filter = "warn".into(); // the demo speaks for itself
    }
    logs::start(&config);
    let scratch = Scratch::new(args.keep.as_ref())?;
    config.data_dir = scratch.folder.clone();
    config.database = DatabaseUrl::Sqlite(scratch.folder.join("demo.db"));
    config.redis = None;
    config.git.scans = git::installed().await.is_some();
    config.git.allow = GitAllow::files();
    if !config.git.scans {
        anstream::eprintln!(
            "{YELLOW}There is no git here: documents are known by their pushes alone.{RESET}"
        );
    }
    let clock = Clock::system();
    let ids = Ids::system(clock.clone());
    let service = start_on_a_free_port(config, &clock, &ids).await?;
    let outcome = tokio::select! {
        outcome = perform(&service, &clock, &ids, &args, json) => outcome,
        stopped = until_told_to_stop() => stopped,
    };
    service.stop().await;
    outcome
}

async fn perform(service: &Service, clock: &Clock, ids: &Ids, args: &DemoArgs, json: bool) -> Result<()> {
    let mut troupe = Troupe::gather(service, clock.now(), json).await?;
    troupe.introduce()?;
    // The streams are open before anything is posted, so that they miss nothing.
    let (events, heard) = mpsc::channel(64);
    for act in &troupe.acts {
        let frames = troupe.follow(act).await?;
        tokio::spawn(listen(frames, act.name, events.clone()));
    }
    drop(events);
    let telling = tokio::spawn(tell(heard, args.deliveries, json));
    troupe.play(clock, ids, Duration::from_millis(args.interval_ms), args.deliveries).await?;
    telling.await.map_err(Error::internal)?
}

/// The configured port may be taken, by another demo for example; then any free one does.
async fn start_on_a_free_port(mut config: Config, clock: &Clock, ids: &Ids) -> Result<Service> {
    if crate::server::bind(config.listen).is_err() {
        let taken = config.listen.port();
        config.listen.set_port(0);
        anstream::eprintln!("{YELLOW}Port {taken} is taken; the demo takes a free one.{RESET}");
    }
    Service::start(config, clock.clone(), ids.clone()).await
}

/// Where the demo's data is.
struct Scratch {
    folder: PathBuf,
    temporary: bool,
}

impl Scratch {
    fn new(keep: Option<&PathBuf>) -> Result<Self> {
        let name = format!("trackside-demo-{}", std::process::id());
        let folder = keep.cloned().unwrap_or_else(|| std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder).map_err(|error| {
            Error::invalid(format!("the folder {} cannot be made: {error}", folder.display()))
        })?;
        Ok(Self { folder, temporary: keep.is_none() })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// The sample projects, and whoever plays and watches them.
struct Troupe {
    server: Server,
    url: String,
    key: SecretString,
    acts: Vec<Act>,
    json: bool,
}

/// A sample project and its story.
struct Act {
    name: &'static str,
    source: &'static str,
    project: ProjectId,
    secret: SecretString,
    script: Script,
    /// The repository that it tells of, where there is `git`.
    copy: Option<WorkingCopy>,
}

enum Script {
    Long(Box<Story>),
    Short(Box<Episode>),
}

impl Script {
    fn next(&mut self, now: DateTime<Utc>) -> Sample {
        match self {
            Self::Long(story) => story.next(now),
            Self::Short(episode) => episode.next(now),
        }
    }
}

impl Troupe {
    async fn gather(service: &Service, now: DateTime<Utc>, json: bool) -> Result<Self> {
        let app = &service.app;
        // With --keep it may be there from the last time.
        let known = accounts::list_tenants(app).await?.into_iter().find(|tenant| tenant.name == TENANT);
        let tenant = match known {
            Some(tenant) => tenant.id,
            None => accounts::create_tenant(app, TENANT).await?.id,
        };
        let all =
            NewKey { name: "demo".into(), role: Role::Owner, scopes: None, projects: None, expires_at: None };
        let (_, key) = accounts::issue_key(app, tenant, all).await?;
        let mut acts = Vec::new();
        for (name, source, repository) in PROJECTS {
            if let Some(act) = Act::prepare(app, tenant, name, source, repository, now).await? {
                acts.push(act);
            }
        }
        Ok(Self { server: Server::at(service.address), url: app.public_url(), key, acts, json })
    }

    fn introduce(&self) -> Result<()> {
        let (url, key) = (&self.url, self.key.expose_secret());
        if self.json {
            let projects = self
                .acts
                .iter()
                .map(|act| json!({"id": act.project.0, "name": act.name, "source": act.source}));
            return print(
                &json!({"type": "started", "url": url, "key": key, "projects": projects.collect::<Value>()})
                    .to_string(),
            );
        }
        let hosts: Vec<_> = self.acts.iter().map(|act| act.source).collect();
        let project = self.acts.first().map_or_else(String::new, |act| act.project.to_string());
        let auth = format!("-H 'Authorization: Bearer {key}'");
        let program = say::program();
        print(&format!(
            "\n{BOLD}Trackside is running at {url}{RESET}, with sample projects on: {}.\n\
             Below, {CYAN}→{RESET} is a signed delivery that is posted, {GREEN}●{RESET} an event that comes of it.\n\n\
             Look around from another terminal:\n\n  \
             {DIM}# follow the project Rocket; curl -N on the same address does it too{RESET}\n  \
             {program} tail Rocket --url {server} --key {key}\n  \
             curl -N {auth} \\\n    {url}/api/v1/projects/{project}/events/stream\n\n  \
             {DIM}# its documents, runs and deliveries{RESET}\n  \
             curl {auth} {url}/api/v1/projects/{project}/artifacts\n  \
             curl {auth} {url}/api/v1/projects/{project}/runs\n  \
             curl {auth} {url}/api/v1/projects/{project}/deliveries\n\n  \
             {DIM}# every route, to try in a browser (Authorize with the key above){RESET}\n  \
             {url}/docs\n\n{DIM}Ctrl-C stops it.{RESET}\n",
            hosts.join(", "),
            server = self.server,
        ))
    }

    async fn follow(&self, act: &Act) -> Result<Frames> {
        let key = format!("Bearer {}", self.key.expose_secret());
        let path = format!("/api/v1/projects/{}/events/stream", act.project);
        let answer = self.server.send("GET", &path, &[("authorization", key)], Vec::new()).await?;
        if !answer.status().is_success() {
            return Err(Error::new(Code::Internal, format!("the event stream answered {}", answer.status())));
        }
        Ok(Frames::of(answer))
    }

    /// Posts the stories, delivery by delivery.
    async fn play(
        &mut self,
        clock: &Clock,
        ids: &Ids,
        interval: Duration,
        most: Option<usize>,
    ) -> Result<()> {
        let mut pace = tokio::time::interval(interval);
        let mut sent = 0;
        while most.is_none_or(|most| sent < most) {
            pace.tick().await;
            let others = self.acts.len() - 1;
            let turn = if others > 0 && sent % OTHERS == OTHERS - 1 { 1 + sent / OTHERS % others } else { 0 };
            let act = &mut self.acts[turn];
            let sample = act.script.next(clock.now());
            let shown = act.post(&self.server, &sample, &ids.uuid().to_string(), clock.now()).await?;
            let line = if self.json {
                shown.to_string()
            } else {
                let (status, outcome) = (&shown["status"], shown["outcome"].as_str().unwrap_or_default());
                let (name, about) = (act.name, &sample.about);
                format!("{CYAN}→{RESET} {BOLD}{name:<7}{RESET} {about} {DIM}→ {status} {outcome}{RESET}")
            };
            print(&line)?;
            sent += 1;
        }
        Ok(())
    }
}

impl Act {
    /// The project, made or found again; none if the service does not know its host.
    async fn prepare(
        app: &Arc<App>,
        tenant: TenantId,
        name: &'static str,
        source: &'static str,
        repository: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>> {
        let script = match source {
            "github" => Script::Long(Box::new(Story::new(repository, now))),
            _ => match Episode::new(source, repository, now) {
                Some(episode) => Script::Short(Box::new(episode)),
                None => return Ok(None),
            },
        };
        let unborn = ProjectId(app.ids.uuid());
        if !webhooks::urls(app, unborn).contains_key(source) {
            return Ok(None);
        }
        let folder = app.config.data_dir.join("repositories").join(repository);
        let copy = app.config.git.scans.then(|| WorkingCopy::open(&folder)).transpose();
        let copy = copy.map_err(|error| Error::invalid(format!("no repository can be made: {error}")))?;
        let url =
            copy.as_ref().map_or_else(|| format!("https://git.example.org/{repository}"), WorkingCopy::url);
        let known = manage::every(|page| projects::list_all(app, tenant, page), |project| project.id).await?;
        if let Some(project) = known.into_iter().find(|project| project.name == name) {
            let endpoint = secrets::endpoint(app, project.id).await?;
            let secret = endpoint.secrets_at(app.clock.now()).next().cloned();
            let secret = secret.ok_or_else(|| Error::not_found("webhook secret"))?;
            return Ok(Some(Self { name, source, project: project.id, secret, script, copy }));
        }
        let new = NewProject { name: name.into(), repo_url: url, config: ProjectConfig::default() };
        let (project, secret) = projects::issue_project(app, tenant, new).await?;
        Ok(Some(Self { name, source, project: project.id, secret, script, copy }))
    }

    async fn post(
        &mut self,
        server: &Server,
        sample: &Sample,
        delivery_id: &str,
        now: DateTime<Utc>,
    ) -> Result<Value> {
        if let Some(copy) = &mut self.copy {
            let committed = tokio::task::block_in_place(|| copy.follow(sample));
            committed.map_err(|error| Error::invalid(format!("the demo cannot commit: {error}")))?;
        }
        let body = sample.bytes();
        let headers = sample.headers(&body, self.secret.expose_secret(), delivery_id, now);
        let path = format!("/webhooks/{}/{}", self.source, self.project);
        let (status, answer) = client::read(server.send("POST", &path, &headers, body).await?).await;
        if !status.is_success() {
            return Err(client::refused(status, &answer));
        }
        Ok(json!({
            "type": "delivery", "project": self.name, "source": self.source, "event": sample.event,
            "about": sample.about, "deliveryId": delivery_id, "status": status.as_u16(),
            "outcome": answer["status"],
        }))
    }
}

/// Events of one project that came together.
type Heard = (&'static str, Vec<Value>);

/// Passes on what a stream brings, for as long as somebody wants it.
async fn listen(mut frames: Frames, name: &'static str, events: mpsc::Sender<Heard>) {
    let mut together = Vec::new();
    while let Some(frame) = frames.next().await {
        together.extend(serde_json::from_str::<Value>(&frame.data).ok());
        // A delivery's events come in one piece, so that none is told without the others.
        if frames.is_drained() && events.send((name, std::mem::take(&mut together))).await.is_err() {
            return;
        }
    }
}

/// Prints events, until those of `most` deliveries have come.
async fn tell(mut heard: mpsc::Receiver<Heard>, most: Option<usize>, json: bool) -> Result<()> {
    let mut deliveries = 0;
    while most.is_none_or(|most| deliveries < most) {
        let Some((project, events)) = heard.recv().await else { break };
        for event in events {
            let name = event["event"].as_str().unwrap_or_default();
            deliveries += usize::from(name == "delivery_received");
            if json {
                print(&json!({"type": "event", "project": project, "event": event}).to_string())?;
            } else if !["delivery_received", "artifact_scan_started", "artifact_scan_completed"]
                .contains(&name)
            {
                let words = describe(&event);
                print(&format!("  {}●{RESET} {project:<7} {name:<21} {DIM}{words}{RESET}", mark(&event)))?;
            }
        }
    }
    Ok(())
}

/// Prints a line; an error when nobody reads it any more, which ends the demo.
fn print(text: &str) -> Result<()> {
    say::line(text)
        .map_err(|error| Error::new(Code::Unavailable, "nobody reads the output any more").because(error))
}
