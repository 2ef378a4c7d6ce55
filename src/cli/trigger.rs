//! `trackside trigger`: one realistic, signed delivery to a running service.
//!
//! The secret comes from the installation beside which this runs, as for `key create`, or is given. The service
//! itself is spoken to as a Git host does, over HTTP, so that what comes of it is what would come of a real one.

use std::sync::Arc;

use anstream::println;
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{
    choose::Choice,
    client::{self, Server},
    manage,
    say::{BOLD, CYAN, DIM, GREEN, RESET},
};
use crate::{
    accounts,
    app::App,
    clock::{Clock, Ids},
    config::Config,
    error::{Error, Result},
    installation,
    projects::{self, Project, ProjectId, secrets},
    samples::{Commit, Forge, Happening, SOURCES, Sample, Stage},
};

/// The branch that a sample repository has in any case.
const MAIN: &str = "main";

#[derive(Args)]
pub(super) struct TriggerArgs {
    /// The Git host to play
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(SOURCES), ignore_case = true)]
    source: String,
    /// What happened there
    #[arg(value_enum, ignore_case = true)]
    event: Event,
    /// A file that the push touches; repeat it for more [default: docs/prd.md]
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// The project, by name or id [default: the only one]
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// The branch it happens on [default: the one the project tracks, else main]
    #[arg(long)]
    branch: Option<String>,
    /// The host's id of the delivery; the same one again is a redelivery [default: a new one]
    #[arg(long, value_name = "ID")]
    delivery_id: Option<String>,
    /// Where the service is [default: TRACKSIDE_PUBLIC_URL, if it is http, else HOST and PORT]
    #[arg(long)]
    url: Option<String>,
    /// The project's webhook secret [default: read from the database; needs --project with an id]
    #[arg(long, env = "TRACKSIDE_WEBHOOK_SECRET", hide_env_values = true)]
    secret: Option<SecretString>,
}

/// What happened, in words that fit every host; the hosts' own names are understood too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Event {
    /// Commits were pushed
    #[value(alias = "repo:push", alias = "Push Hook")]
    Push,
    /// A tag was pushed
    #[value(alias = "tag_push", alias = "tag-push", alias = "Tag Push Hook")]
    Tag,
    /// A pull or merge request was opened
    #[value(alias = "pull_request", alias = "merge-request", alias = "merge_request", alias = "pr")]
    #[value(alias = "mr", alias = "pullrequest:created", alias = "Merge Request Hook")]
    PullRequest,
    /// An issue was opened
    #[value(alias = "issues", alias = "issue:created", alias = "Issue Hook")]
    Issue,
    /// A release was published
    #[value(alias = "Release Hook")]
    Release,
    /// A pipeline, build or workflow run failed
    #[value(alias = "action_run_failure")]
    PipelineFailed,
    /// A pipeline, build or workflow run passed
    #[value(alias = "action_run_success")]
    PipelinePassed,
}

/// To whom the delivery goes.
struct Receiver {
    project: ProjectId,
    secret: SecretString,
    repository: String,
    branch: Option<String>,
}

pub(super) async fn run(config: Config, args: TriggerArgs, json: bool) -> Result<()> {
    let server = Server::find(&config, args.url.as_deref())?;
    let (clock, receiver) = (Clock::system(), receiver(config, &args).await?);
    let (now, ids) = (clock.now(), Ids::system(clock));
    let sample = sample(&args, &receiver, now)?;
    let delivery_id = args.delivery_id.clone().unwrap_or_else(|| ids.uuid().to_string());
    let path = format!("/webhooks/{}/{}", sample.source, receiver.project);
    let body = sample.bytes();
    let headers = sample.headers(&body, receiver.secret.expose_secret(), &delivery_id, now);
    let (status, answer) = client::read(server.send("POST", &path, &headers, body).await?).await;
    if !status.is_success() {
        return Err(client::refused(status, &answer));
    }
    let (status, outcome) = (status.as_u16(), answer["status"].as_str().unwrap_or("taken"));
    if json {
        let shown = json!({
            "source": sample.source, "event": sample.event, "about": sample.about,
            "projectId": receiver.project.0, "url": format!("{server}{path}"), "status": status,
            "outcome": outcome, "deliveryId": delivery_id, "id": answer["id"],
        });
        println!("{shown:#}");
        return Ok(());
    }
    println!("{CYAN}→{RESET} {BOLD}{} {}{RESET}  {}", sample.source, sample.event, sample.about);
    println!("  posted to    {server}{path}");
    println!("  answered     {GREEN}{status} {outcome}{RESET}");
    println!("  delivery id  {delivery_id}  {DIM}(--delivery-id sends it again){RESET}");
    Ok(())
}

async fn receiver(config: Config, args: &TriggerArgs) -> Result<Receiver> {
    let Some(secret) = args.secret.clone().filter(|secret| !secret.expose_secret().is_empty()) else {
        return from_the_installation(config, args.project.as_deref()).await;
    };
    let id = args.project.as_ref().and_then(|named| named.parse().ok());
    let project = id.ok_or_else(|| {
        Error::invalid(
            "a webhook secret was given, so the database is not asked: give the project's id too, \
             --project ID, as it stands at the end of the webhook address",
        )
    })?;
    Ok(Receiver { project, secret, repository: "acme/rocket".to_owned(), branch: None })
}

async fn from_the_installation(config: Config, named: Option<&str>) -> Result<Receiver> {
    installation::expect(&config).await?;
    let (clock, address) = (Clock::system(), config.listen);
    let app = App::open(config, clock.clone(), Ids::system(clock), address).await?;
    let receiver = find(&app, named).await;
    app.database.close().await;
    receiver
}

async fn find(app: &Arc<App>, named: Option<&str>) -> Result<Receiver> {
    let mut all: Vec<Project> = Vec::new();
    for tenant in accounts::list_tenants(app).await? {
        all.extend(
            manage::every(|page| projects::list_all(app, tenant.id, page), |project| project.id).await?,
        );
    }
    let choice = Choice {
        what: "project",
        how: "--project",
        make: "trackside project create --name NAME --repo-url https://github.com/your-org/your-repo",
    };
    let project = choice.among(&all, named, |project| (project.id.to_string(), &project.name))?;
    let endpoint = secrets::endpoint(app, project.id).await?;
    let secret = endpoint.secrets_at(app.clock.now()).next().cloned();
    Ok(Receiver {
        project: project.id,
        secret: secret
            .ok_or_else(|| Error::invalid("the project has no webhook secret that is valid now"))?,
        repository: repository_of(&project.repo_url),
        branch: project.config.branch.clone(),
    })
}

/// `owner/name` of an address such as `https://github.com/owner/name.git` or `git@host:owner/name`.
fn repository_of(url: &str) -> String {
    let mut parts = url.trim_end_matches('/').trim_end_matches(".git").rsplit(['/', ':']);
    match (parts.next(), parts.next()) {
        (Some(name), Some(owner)) if !name.is_empty() && !owner.is_empty() => format!("{owner}/{name}"),
        _ => "acme/rocket".to_owned(),
    }
}

/// What the host would tell of it.
fn sample(args: &TriggerArgs, receiver: &Receiver, now: DateTime<Utc>) -> Result<Sample> {
    let unknown = || Error::invalid(format!("there are no samples of {}", args.source));
    let mut forge = Forge::new(&args.source.to_lowercase(), &receiver.repository, now).ok_or_else(unknown)?;
    let branch = args.branch.as_deref().or(receiver.branch.as_deref()).unwrap_or(MAIN);
    // Another number each time, without a memory of the last one.
    let number = 1 + now.timestamp().unsigned_abs() % 9_999;
    let (id, tag, topic) = (forge.new_id(), format!("v0.{number}.0"), format!("change-{number}"));
    let paths: Vec<&str> = args.paths.iter().map(String::as_str).collect();
    let paths = if paths.is_empty() { vec!["docs/prd.md"] } else { paths };
    let commits =
        [Commit { message: "A change by trackside trigger", modified: &paths, ..Commit::default() }];
    let happening = match args.event {
        Event::Push => Happening::Push { branch, commits: &commits },
        Event::Tag => Happening::Tag { name: &tag },
        Event::PullRequest => {
            let branch = args.branch.as_deref().unwrap_or(&topic);
            forge.tell(&Happening::Push { branch, commits: &commits });
            Happening::PullRequest { stage: Stage::Opened, number, title: "A change to try", branch }
        }
        Event::Issue => Happening::Issue { stage: Stage::Opened, number, title: "Something to try" },
        Event::Release => Happening::Release { tag: &tag },
        Event::PipelineFailed => Happening::Pipeline { id, name: "CI", branch, passed: false },
        Event::PipelinePassed => Happening::Pipeline { id, name: "CI", branch, passed: true },
    };
    let missing = || Error::invalid("Bitbucket has no releases, so it sends none; a tag is the nearest: tag");
    forge.tell(&happening).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_known_by_its_address() {
        for url in
            ["https://github.com/acme/rocket", "git@host:acme/rocket.git", "ssh://git@host/x/acme/rocket/"]
        {
            assert_eq!(repository_of(url), "acme/rocket", "{url}");
        }
    }
}
