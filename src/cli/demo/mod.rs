//! `trackside demo`: a service with sample data that sends itself what Git hosts would send, and has agents at work.
//!
//! Nothing is pretended: the deliveries are signed and posted over HTTP, the agents call their tools at `/mcp` with keys of
//! their own, and what is printed as an event was read from the event stream with an API key. One project lives on GitHub
//! and has most of the story; on each other host that the service knows, another project gets a delivery now and then. The
//! repositories that they tell of are folders of the demo's, made with `git`, and read as any other; without `git` the
//! pushes alone tell of documents. What is played is in [`crate::demo`].

mod doors;

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::MissedTickBehavior};

use self::doors::Wire;
use super::{
    client::{Frames, Server},
    say::{self, BOLD, CYAN, DIM, GREEN, RESET, YELLOW, describe, mark},
    serve::until_told_to_stop,
};
use crate::{
    accounts::{
        self, NewKey, Role,
        signin::{self, Email},
    },
    app::App,
    clock::{Clock, Ids},
    config::{Config, DEFAULT_LOG, DatabaseUrl},
    demo::play::{PROJECTS, Performance, Playing},
    error::{Code, Error, Result},
    git, logs,
    sender::Sender,
    service::Service,
};

/// The sample tenant.
const TENANT: &str = "Acme";
/// As whom people sign in.
const EMAIL: &str = "demo@example.org";
/// How long agents wait before an act, as a share of the time between two deliveries, and at most.
const ACTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(400);
/// How long agents wait at most for what a delivery causes.
const PATIENCE: Duration = Duration::from_secs(2);

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
    let clock = Clock::system();
    let ids = Ids::system(clock.clone());
    let password = SecretString::from(hex::encode(ids.bytes::<9>()));
    config.data_dir = scratch.folder.clone();
    config.database = DatabaseUrl::Sqlite(scratch.folder.join("demo.db"));
    config.redis = None;
    config.admin = Some((EMAIL.to_owned(), password.clone()));
    config.git.scans = git::installed().await.is_some();
    if !config.git.scans {
        anstream::eprintln!(
            "{YELLOW}There is no git here: documents are known by their pushes alone.{RESET}"
        );
    }
    let service = start_on_a_free_port(config, &clock, &ids).await?;
    let mut troupe = Troupe::gather(&service, password, json).await?;
    let outcome = tokio::select! {
        outcome = troupe.perform(&args) => outcome,
        stopped = until_told_to_stop() => stopped,
    };
    troupe.performance.end(&service.app).await;
    service.stop().await;
    outcome
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
    app: Arc<App>,
    server: Server,
    key: SecretString,
    sign_in: SignIn,
    performance: Performance,
    json: bool,
}

/// How somebody gets to see the page.
enum SignIn {
    /// With this password.
    Password(SecretString),
    /// With the one of the last time, which nobody here knows; under this link they choose another one, if they are known.
    Before(Option<String>),
}

impl Troupe {
    async fn gather(service: &Service, password: SecretString, json: bool) -> Result<Self> {
        let app = &service.app;
        // With --keep it may be there from the last time.
        let known = accounts::list_tenants(app).await?.into_iter().find(|tenant| tenant.name == TENANT);
        let is_kept = known.is_some();
        let tenant = match known {
            Some(tenant) => tenant.id,
            None => accounts::create_tenant(app, TENANT).await?.id,
        };
        signin::prepare(app).await?;
        let sign_in = match is_kept {
            true => {
                let link = signin::offer_reset(app, Email::parse("/email", EMAIL)?).await;
                SignIn::Before(link.ok().map(|link| link.url))
            }
            false => SignIn::Password(password),
        };
        let all =
            NewKey { name: "demo".into(), role: Role::Owner, scopes: None, projects: None, expires_at: None };
        let (_, key) = accounts::issue_key(app, tenant, all).await?;
        let owner = accounts::authenticate(app, key.expose_secret()).await?;
        let performance = Performance::prepare(app, &owner, &Sender::default(), PROJECTS.len(), None).await?;
        let server = Server::at(service.address);
        Ok(Self { app: Arc::clone(app), server, key, sign_in, performance, json })
    }

    async fn perform(&mut self, args: &DemoArgs) -> Result<()> {
        self.introduce()?;
        // The streams are open before anything is posted, so that they miss nothing.
        let (events, heard) = mpsc::channel(64);
        for project in &self.performance.projects {
            let frames = self.follow(project).await?;
            tokio::spawn(listen(frames, project.name, events.clone()));
        }
        drop(events);
        let telling = tokio::spawn(tell(heard, args.deliveries, self.json));
        self.play(Duration::from_millis(args.interval_ms), args.deliveries).await?;
        telling.await.map_err(Error::internal)?
    }

    /// How to sign in, on one line.
    fn welcome(&self) -> String {
        let url = self.app.public_url();
        match &self.sign_in {
            SignIn::Password(password) => format!(
                "{BOLD}Open {url}{RESET} and sign in as {BOLD}{EMAIL}{RESET} with the password \
                 {BOLD}{}{RESET}, which is good for this demo only.",
                password.expose_secret()
            ),
            SignIn::Before(None) => format!("{BOLD}Open {url}{RESET} and sign in as the last time."),
            SignIn::Before(Some(link)) => format!(
                "{BOLD}Open {url}{RESET} and sign in as {BOLD}{EMAIL}{RESET} with the password of the last time, or \
                 choose one at {link}"
            ),
        }
    }

    fn introduce(&self) -> Result<()> {
        let (url, key) = (self.app.public_url(), self.key.expose_secret());
        let projects = &self.performance.projects;
        if self.json {
            let listed = projects
                .iter()
                .map(|project| json!({"id": project.id.0, "name": project.name, "source": project.source}));
            let sign_in = match &self.sign_in {
                SignIn::Password(password) => json!({"email": EMAIL, "password": password.expose_secret()}),
                SignIn::Before(link) => json!({"email": EMAIL, "resetUrl": link}),
            };
            return print(
                &json!({
                    "type": "started", "url": url, "signIn": sign_in, "key": key,
                    "projects": listed.collect::<Value>(),
                })
                .to_string(),
            );
        }
        let hosts: Vec<_> = projects.iter().map(|project| project.source).collect();
        let project = projects.first().map_or_else(String::new, |project| project.id.to_string());
        let auth = format!("-H 'Authorization: Bearer {key}'");
        let program = say::program();
        print(&format!(
            "{welcome}\n\n\
             There are sample projects on: {}. Below, {CYAN}→{RESET} is a signed delivery that is posted, {CYAN}◆{RESET} a \
             tool that an agent calls, {GREEN}●{RESET} an event that comes of it.\n\n\
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
            welcome = self.welcome(),
            server = self.server,
        ))
    }

    async fn follow(&self, project: &Playing) -> Result<Frames> {
        let key = format!("Bearer {}", self.key.expose_secret());
        let path = format!("/api/v1/projects/{}/events/stream", project.id);
        let answer = self.server.send("GET", &path, &[("authorization", key)], Vec::new()).await?;
        if !answer.status().is_success() {
            return Err(Error::new(Code::Internal, format!("the event stream answered {}", answer.status())));
        }
        Ok(Frames::of(answer))
    }

    /// Plays, delivery by delivery, with what the agents do after each.
    async fn play(&mut self, interval: Duration, most: Option<usize>) -> Result<()> {
        let doors = Wire { server: self.server.clone(), json: self.json };
        let (pause, patience) = ((interval / ACTS).min(PAUSE), interval.min(PATIENCE));
        let mut pace = tokio::time::interval(interval);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = 0;
        while most.is_none_or(|most| sent < most) {
            pace.tick().await;
            self.performance.play(&self.app, &doors, pause, patience).await?;
            sent += 1;
        }
        Ok(())
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
