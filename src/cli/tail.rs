//! `trackside tail`: a running service's event stream, line by line, for as long as somebody reads.
//!
//! A stream that ends is taken up where it ended, with `Last-Event-ID`, after the time that the service asked
//! for and longer with every failure. What happens to the connection is told on standard error, so that the
//! events stay alone on standard output. What cannot get better by waiting ends it, with advice.

use std::{io::ErrorKind, time::Duration};

use anstream::eprintln;
use clap::Args;
use hyper::{Response, StatusCode, body::Incoming};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{
    choose::Choice,
    client::{self, Frame, Frames, Server},
    say::{self, BOLD, DIM, RESET, YELLOW, describe, mark},
    serve::until_told_to_stop,
};
use crate::{
    config::Config,
    error::{Code, Error, Result},
    projects::ProjectId,
};

/// What is waited before a reconnect until the service says otherwise.
const RETRY: Duration = Duration::from_secs(2);
/// The longest that is waited, however often it failed.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(super) struct TailArgs {
    /// The project, by name or id [default: the only one]
    project: Option<String>,
    /// Where the service is [default: TRACKSIDE_PUBLIC_URL, if it is http, else HOST and PORT]
    #[arg(long)]
    url: Option<String>,
    /// An API key that may read events
    #[arg(long, env = "TRACKSIDE_API_KEY", hide_env_values = true)]
    key: Option<SecretString>,
    /// Begin after this event; 0 is the beginning [default: what happens from now on]
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

pub(super) async fn run(config: Config, args: TailArgs, json: bool) -> Result<()> {
    let server = Server::find(&config, args.url.as_deref())?;
    let key = needed(args.key, "trackside key create --name tail --role viewer")?;
    let reader = Reader { server, key, json };
    let following = async {
        let project = reader.find(args.project.as_deref(), "its name or id after `tail`").await?;
        reader.follow(project, args.after).await
    };
    tokio::select! {
        outcome = following => outcome,
        stopped = until_told_to_stop() => stopped,
    }
}

/// The key that was given.
///
/// # Errors
/// There is none; the message says how to `make` one.
pub(super) fn needed(key: Option<SecretString>, make: &str) -> Result<SecretString> {
    key.filter(|key| !key.expose_secret().is_empty()).ok_or_else(|| {
        Error::invalid(format!("an API key is needed: --key or TRACKSIDE_API_KEY; make one with: {make}"))
    })
}

/// Somebody who reads a service with a key.
pub(super) struct Reader {
    pub(super) server: Server,
    pub(super) key: SecretString,
    pub(super) json: bool,
}

/// Why a stream was left.
enum Left {
    /// It ended, or broke.
    Ended,
    /// Nobody reads what is printed any more.
    Unread,
}

impl Reader {
    pub(super) async fn get(&self, path: &str, last_id: Option<&str>) -> Result<Response<Incoming>> {
        self.send("GET", path, last_id).await
    }

    /// Sends a request without a body, with the key.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        last_id: Option<&str>,
    ) -> Result<Response<Incoming>> {
        let mut headers = vec![("authorization", format!("Bearer {}", self.key.expose_secret()))];
        headers.extend(last_id.map(|id| ("last-event-id", id.to_owned())));
        self.server.send(method, path, &headers, Vec::new()).await
    }

    /// The project that is named or, if none is, the only one that the key reaches.
    /// `how` says where to name it.
    pub(super) async fn find(&self, named: Option<&str>, how: &str) -> Result<ProjectId> {
        if let Some(id) = named.and_then(|named| named.parse().ok()) {
            return Ok(id);
        }
        let mut projects: Vec<Value> = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/projects?limit=200{cursor}");
            let (status, page) = client::read(self.get(&path, None).await?).await;
            if !status.is_success() {
                return Err(advise(status, &page));
            }
            projects.extend(page["items"].as_array().into_iter().flatten().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let choice = Choice {
            what: "project that this key reaches",
            how,
            make: "trackside project create --name NAME --repo-url https://github.com/your-org/your-repo",
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let project = choice.among(&projects, named, |project| {
            (text(&project["id"]), project["name"].as_str().unwrap_or_default())
        })?;
        project["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(|| {
            Error::new(Code::Internal, format!("{} does not answer as Trackside does", self.server))
        })
    }

    /// Prints events until somebody stops it.
    async fn follow(&self, project: ProjectId, after: Option<String>) -> Result<()> {
        let path = format!("/api/v1/projects/{project}/events/stream");
        let after: String = after.map_or_else(String::new, |after| {
            format!("?after={}", form_urlencoded::byte_serialize(after.as_bytes()).collect::<String>())
        });
        let (mut last_id, mut retry, mut failures, mut began) = (None, RETRY, 0_u32, false);
        loop {
            // Once a position is known it goes ahead of where the first stream began.
            let query = if last_id.is_some() { "" } else { &after };
            let why = match self.get(&format!("{path}{query}"), last_id.as_deref()).await {
                Ok(answer) if answer.status().is_success() => {
                    let words = if began { "connected again" } else { "following" };
                    eprintln!("{DIM}{words}: {} {project}; Ctrl-C ends it{RESET}", self.server);
                    (failures, began) = (0, true);
                    match self.print(Frames::of(answer), &mut last_id, &mut retry).await {
                        Left::Ended => "the stream ended".to_owned(),
                        Left::Unread => return Ok(()),
                    }
                }
                Ok(answer) => {
                    let (status, problem) = client::read(answer).await;
                    let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                    if !may_pass {
                        return Err(advise(status, &problem));
                    }
                    client::refused(status, &problem).to_string()
                }
                // An address that nothing ever answered at is a mistake rather than a restart.
                Err(error) if !began => return Err(error),
                Err(_) => format!("nothing answers at {}", self.server),
            };
            let wait = retry.saturating_mul(1 << failures.min(8)).min(LONGEST.max(retry));
            failures += 1;
            eprintln!("{YELLOW}{why}; trying again in {:.1} s{RESET}", wait.as_secs_f64());
            tokio::time::sleep(wait).await;
        }
    }

    async fn print(&self, mut frames: Frames, last_id: &mut Option<String>, retry: &mut Duration) -> Left {
        while let Some(frame) = frames.next().await {
            if let Some(wait) = frame.retry_ms {
                *retry = Duration::from_millis(wait);
            }
            if !frame.event.is_empty()
                && let Err(error) = say::line(&self.show(&frame))
            {
                if error.kind() != ErrorKind::BrokenPipe {
                    eprintln!("{YELLOW}the output cannot be written to: {error}{RESET}");
                }
                return Left::Unread;
            }
            if frame.id.is_some() {
                *last_id = frame.id;
            }
        }
        Left::Ended
    }

    fn show(&self, frame: &Frame) -> String {
        let event: Value = serde_json::from_str(&frame.data).unwrap_or_default();
        match (frame.event.as_str(), self.json) {
            ("reset", true) => {
                json!({"event": "reset", "id": frame.id, "reason": event["reason"]}).to_string()
            }
            (_, true) => frame.data.clone(),
            ("reset", false) => {
                let reason = event["reason"].as_str().unwrap_or("the log cannot serve that position");
                format!("{YELLOW}{BOLD}reset{RESET} {YELLOW}{reason}; some events were missed{RESET}")
            }
            (name, false) => {
                let time = event["timestamp"].as_str().unwrap_or_default();
                let time = time.get(..19).unwrap_or(time).replace('T', " ");
                let words = describe(&event);
                format!("{DIM}{time}{RESET} {}●{RESET} {BOLD}{name:<21}{RESET} {words}", mark(&event))
            }
        }
    }
}

/// A refusal that waiting does not mend, with what to do.
pub(super) fn advise(status: StatusCode, problem: &Value) -> Error {
    let refused = client::refused(status, problem);
    let advice = match status {
        StatusCode::UNAUTHORIZED => {
            "check --key or TRACKSIDE_API_KEY; `trackside key list` shows the keys there are"
        }
        StatusCode::FORBIDDEN => {
            "use a key with the scopes that it names, and projects.read to find a project by name"
        }
        StatusCode::NOT_FOUND => {
            "`trackside project list` shows the projects there are; is --url that of a Trackside?"
        }
        _ => return refused,
    };
    Error::new(refused.code, format!("{refused}; {advice}"))
}
