//! `trackside demo`: a service with sample data that sends itself what GitHub would send.
//!
//! Nothing is pretended: the deliveries are signed and posted over HTTP, and what is printed as an event was
//! read from the event stream with an API key.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anstream::println;
use clap::Args;
use hyper::header::{self, HeaderName};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{BOLD, CYAN, DIM, GREEN, RED, RESET, YELLOW, loopback, serve::until_told_to_stop};
use crate::{
    accounts::{self, NewKey, Role},
    clock::{Clock, Ids},
    config::{Config, DEFAULT_LOG, DatabaseUrl},
    error::{Code, Error, Result},
    logs,
    projects::{self, NewProject, ProjectConfig, ProjectId},
    samples::{Sample, Story, sign},
    service::Service,
};

/// What the sample repository is called.
const REPOSITORY: &str = "acme/rocket";

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Milliseconds between two deliveries
    #[arg(long, default_value_t = 1_500, value_name = "MS")]
    interval_ms: u64,
    /// Stop after so many deliveries [default: go on until Ctrl-C]
    #[arg(long, value_name = "N")]
    deliveries: Option<usize>,
    /// Keep the data in this folder [default: a temporary one, removed at the end]
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

pub(super) async fn run(mut config: Config, args: DemoArgs) -> Result<()> {
    if config.log_filter == DEFAULT_LOG {
        config.log_filter = "warn".into(); // the demo speaks for itself
    }
    logs::start(&config);
    let scratch = Scratch::new(args.keep.as_ref())?;
    config.database = DatabaseUrl::Sqlite(scratch.folder.join("demo.db"));
    let clock = Clock::system();
    let ids = Ids::system(clock.clone());
    let service = start_on_a_free_port(config, &clock, &ids).await?;
    let stage = Stage::set(&service).await?;
    stage.introduce();
    let watching = tokio::spawn(Arc::clone(&stage).watch(args.deliveries));
    let playing = stage.play(&clock, &ids, Duration::from_millis(args.interval_ms), args.deliveries);
    let outcome = tokio::select! {
        outcome = async { playing.await?; watching.await.map_err(Error::internal)? } => outcome,
        stopped = until_told_to_stop() => stopped,
    };
    service.stop().await;
    outcome
}

/// The configured port may be taken, by another demo for example; then any free one does.
async fn start_on_a_free_port(mut config: Config, clock: &Clock, ids: &Ids) -> Result<Service> {
    if crate::server::bind(config.listen).is_err() {
        let taken = config.listen.port();
        config.listen.set_port(0);
        println!("{YELLOW}Port {taken} is taken; the demo takes a free one.{RESET}");
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

/// The sample tenant, project and key.
struct Stage {
    address: SocketAddr,
    url: String,
    project: ProjectId,
    secret: SecretString,
    key: SecretString,
}

impl Stage {
    async fn set(service: &Service) -> Result<Arc<Self>> {
        let app = &service.app;
        let tenant = accounts::create_tenant(app, "Acme").await?;
        let all =
            NewKey { name: "demo".into(), role: Role::Owner, scopes: None, projects: None, expires_at: None };
        let (_, key) = accounts::issue_key(app, tenant.id, all).await?;
        let new = NewProject {
            name: "Rocket".into(),
            repo_url: format!("https://github.com/{REPOSITORY}"),
            config: ProjectConfig::default(),
        };
        let (project, secret) = projects::issue_project(app, tenant.id, new).await?;
        Ok(Arc::new(Self {
            address: service.address,
            url: app.public_url(),
            project: project.id,
            secret,
            key,
        }))
    }

    fn introduce(&self) {
        let (url, project, key) = (&self.url, self.project, self.key.expose_secret());
        println!(
            "\n{BOLD}Trackside is running at {url}{RESET}, with a sample project that GitHub keeps telling about."
        );
        println!(
            "Below, {CYAN}→{RESET} is a signed delivery that is posted, {GREEN}●{RESET} an event that comes of it.\n"
        );
        println!("Look around from another terminal:\n");
        println!("  {DIM}# follow the project's events{RESET}");
        println!(
            "  curl -N -H 'Authorization: Bearer {key}' \\\n    {url}/api/v1/projects/{project}/events/stream\n"
        );
        println!("  {DIM}# documents, runs, deliveries{RESET}");
        println!("  curl -H 'Authorization: Bearer {key}' {url}/api/v1/projects/{project}/artifacts\n");
        println!("  {DIM}# every route, to try in a browser (Authorize with the key above){RESET}");
        println!("  {url}/docs\n");
        println!("{DIM}Ctrl-C stops it.{RESET}\n");
    }

    /// Posts the story, delivery by delivery.
    async fn play(&self, clock: &Clock, ids: &Ids, interval: Duration, most: Option<usize>) -> Result<()> {
        let mut story = Story::new(REPOSITORY, clock.now());
        let mut pace = tokio::time::interval(interval);
        let mut sent = 0;
        while most.is_none_or(|most| sent < most) {
            pace.tick().await;
            self.post(&story.next(clock.now()), ids).await?;
            sent += 1;
        }
        Ok(())
    }

    async fn post(&self, sample: &Sample, ids: &Ids) -> Result<()> {
        let body = sample.bytes();
        let headers = [
            (header::CONTENT_TYPE, "application/json".to_owned()),
            (HeaderName::from_static("x-github-event"), sample.event.to_owned()),
            (HeaderName::from_static("x-github-delivery"), ids.uuid().to_string()),
            (HeaderName::from_static("x-hub-signature-256"), sign(self.secret.expose_secret(), &body)),
        ];
        let path = format!("/webhooks/github/{}", self.project);
        let answer = loopback::send(self.address, "POST", &path, &headers, body).await?;
        println!(
            "{CYAN}→{RESET} {BOLD}{:<13}{RESET} {} {DIM}{}{RESET}",
            sample.event,
            sample.about,
            answer.status().as_u16()
        );
        Ok(())
    }

    /// Prints the event stream, until the events of `most` deliveries have come.
    async fn watch(self: Arc<Self>, most: Option<usize>) -> Result<()> {
        let key = format!("Bearer {}", self.key.expose_secret());
        let path = format!("/api/v1/projects/{}/events/stream?after=0", self.project);
        let answer =
            loopback::send(self.address, "GET", &path, &[(header::AUTHORIZATION, key)], Vec::new()).await?;
        if !answer.status().is_success() {
            return Err(Error::new(Code::Internal, format!("the event stream answered {}", answer.status())));
        }
        let (mut body, mut buffer, mut deliveries) = (answer.into_body(), String::new(), 0);
        while let Some(frame) = loopback::next_frame(&mut body, &mut buffer).await {
            let data = frame.lines().find_map(|line| line.strip_prefix("data: "));
            let Some(event) = data.and_then(|data| serde_json::from_str::<Value>(data).ok()) else {
                continue;
            };
            let name = event["event"].as_str().unwrap_or_default();
            if name == "delivery_received" {
                deliveries += 1;
            } else {
                let color = if event["payload"]["status"] == "failed" { RED } else { GREEN };
                println!("  {color}●{RESET} {name:<21} {DIM}{}{RESET}", describe(&event["payload"]));
            }
            // A delivery's events come together: the last one's are all in the buffer, or printed.
            if buffer.is_empty() && most.is_some_and(|most| deliveries >= most) {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What of a payload a person wants to see on one line.
fn describe(payload: &Value) -> String {
    let shown =
        ["kind", "path", "number", "title", "name", "tag", "branch", "action", "status", "state", "message"];
    let words = shown.iter().filter_map(|field| match &payload[*field] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(format!("#{number}")),
        _ => None,
    });
    words.collect::<Vec<_>>().join(" · ")
}
