//! `trackside scan`: has a running service read a project's repository now, and watches it do so.
//!
//! The project's event stream is opened before the scan is asked for, and taken up again where it broke off, so that
//! nothing of the scan is missed. A scan that was under way already read what was there when it began: it is let pass,
//! and the one behind it is the answer. How far it is goes to standard error, as a bar where somebody watches; how it
//! ended is the exit code and, on standard output, one line.

use std::time::Duration;

use anstream::println;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    client::{self, Frame, Frames, Server},
    say::{BOLD, GREEN, RESET, note},
    serve::until_told_to_stop,
    tail::{Reader, advise, needed},
};
use crate::{
    config::Config,
    error::{Code, Error, Result},
    projects::ProjectId,
};

/// How often a stream that broke off is taken up again before that is an error.
const TRIES: u32 = 10;
/// What is waited before each of them.
const RETRY: Duration = Duration::from_secs(2);
/// Characters of a commit that are shown.
const SHORT: usize = 10;

#[derive(Args)]
pub(super) struct ScanArgs {
    /// The project, by name or id [default: the only one]
    project: Option<String>,
    /// Ask, and do not watch
    #[arg(long)]
    no_wait: bool,
    /// Where the service is [default: TRACKSIDE_PUBLIC_URL, if it is http, else HOST and PORT]
    #[arg(long)]
    url: Option<String>,
    /// An API key that may read events and write artifacts
    #[arg(long, env = "TRACKSIDE_API_KEY", hide_env_values = true)]
    key: Option<SecretString>,
}

pub(super) async fn run(config: Config, args: ScanArgs, json: bool) -> Result<()> {
    let server = Server::find(&config, args.url.as_deref())?;
    let key = needed(args.key, "trackside key create --name scan --role member")?;
    let reader = Reader { server, key, json };
    let scanning = async {
        let project = reader.find(args.project.as_deref(), "its name or id after `scan`").await?;
        if args.no_wait {
            let scan = ask(&reader, project).await?;
            match json {
                true => println!("{scan:#}"),
                false => println!("asked for a scan; it is {}", scan["state"].as_str().unwrap_or_default()),
            }
            return Ok(());
        }
        Watch::begin(&reader, project).await?.end().await
    };
    tokio::select! {
        outcome = scanning => outcome,
        stopped = until_told_to_stop() => {
            stopped?;
            Err(Error::new(Code::Unavailable, "nobody watches any more; the service goes on with the scan"))
        }
    }
}

/// Asks for a scan; gives how that stands.
async fn ask(reader: &Reader, project: ProjectId) -> Result<Value> {
    let answer = reader.send("POST", &format!("/api/v1/projects/{project}/scan"), None).await?;
    let (status, answer) = client::read(answer).await;
    if status.is_success() { Ok(answer) } else { Err(advise(status, &answer)) }
}

/// Somebody who waits for a scan to end.
struct Watch<'r> {
    reader: &'r Reader,
    project: ProjectId,
    frames: Frames,
    last_id: Option<String>,
    /// Scans that have to end until ours has.
    left: u32,
    /// What the log told last of how one ended.
    told: Option<Frame>,
    progress: Progress,
}

impl<'r> Watch<'r> {
    async fn begin(reader: &'r Reader, project: ProjectId) -> Result<Self> {
        let frames = follow(reader, project, None).await?;
        let scan = ask(reader, project).await?;
        let left = if scan["state"] == "running" { 2 } else { 1 };
        let (last_id, told, progress) = (None, None, Progress::new());
        Ok(Self { reader, project, frames, last_id, left, told, progress })
    }

    /// Waits until the scan has ended, and says how.
    async fn end(mut self) -> Result<()> {
        loop {
            while let Some(frame) = self.frames.next().await {
                if frame.id.is_some() {
                    self.last_id.clone_from(&frame.id);
                }
                let may_be_over = matches!(
                    &*frame.event,
                    // Nothing is a sign of life; then it does no harm to look, should the log have been cut.
                    "" | "reset" | "artifact_scan_completed" | "artifact_scan_failed"
                ) && frame.retry_ms.is_none();
                self.progress.show(&frame);
                if frame.event.starts_with("artifact_scan_") && may_be_over {
                    self.left = self.left.saturating_sub(1);
                    self.told = Some(frame);
                }
                if may_be_over && self.is_over().await? {
                    return self.say().await;
                }
            }
            self.take_up().await?;
        }
    }

    /// Whether our scan has ended: as many as had to did, or none is wanted or under way any more.
    async fn is_over(&self) -> Result<bool> {
        Ok(self.left == 0
            || matches!(self.scan().await?["state"].as_str(), Some("succeeded" | "failed" | "off")))
    }

    async fn scan(&self) -> Result<Value> {
        let answer = self.reader.get(&format!("/api/v1/projects/{}/scan", self.project), None).await?;
        let (status, scan) = client::read(answer).await;
        if status.is_success() { Ok(scan) } else { Err(advise(status, &scan)) }
    }

    /// Takes the stream up where it broke off.
    async fn take_up(&mut self) -> Result<()> {
        let mut tries = 0;
        loop {
            tokio::time::sleep(RETRY).await;
            tries += 1;
            match follow(self.reader, self.project, self.last_id.as_deref()).await {
                Ok(frames) => self.frames = frames,
                Err(error) if error.code == Code::Unavailable && tries < TRIES => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }

    /// How it ended.
    async fn say(self) -> Result<()> {
        let scan = self.scan().await?;
        self.progress.clear();
        let payload =
            |frame: &Frame| serde_json::from_str::<Value>(&frame.data).unwrap_or_default()["payload"].take();
        let told = self.told.as_ref().map(payload).unwrap_or_default();
        let is_failed = match &self.told {
            Some(frame) => frame.event == "artifact_scan_failed",
            None => scan["state"] == "failed",
        };
        if self.reader.json {
            println!("{:#}", json!({"scan": scan, "done": !is_failed, "told": told}));
        }
        if is_failed {
            let failure = if told["detail"].is_string() { &told } else { &scan["failure"] };
            let why = failure["detail"].as_str().unwrap_or("it did not say why");
            return Err(Error::new(Code::Unavailable, format!("the repository could not be read: {why}")));
        }
        if !self.reader.json {
            let commit: String = scan["commit"].as_str().unwrap_or_default().chars().take(SHORT).collect();
            let done = match &self.told {
                Some(_) => summary(&told),
                None => format!("{} documents that were new or changed", scan["done"]),
            };
            println!("{GREEN}read{RESET} {BOLD}{commit}{RESET}: {done}");
        }
        Ok(())
    }
}

/// The project's events from now on, or behind the one that was seen last.
async fn follow(reader: &Reader, project: ProjectId, last_id: Option<&str>) -> Result<Frames> {
    let answer = reader.get(&format!("/api/v1/projects/{project}/events/stream"), last_id).await?;
    if answer.status().is_success() {
        return Ok(Frames::of(answer));
    }
    let (status, problem) = client::read(answer).await;
    Err(advise(status, &problem))
}

/// What a scan did, in a few words.
fn summary(told: &Value) -> String {
    let count = |name: &str| told[name].as_u64().filter(|count| *count > 0);
    let done = ["added", "changed", "renamed", "removed"];
    let mut words: Vec<_> = done.iter().filter_map(|name| Some(format!("{} {name}", count(name)?))).collect();
    if words.is_empty() {
        words.push("nothing changed".to_owned());
    }
    words.extend(count("withWarnings").map(|count| format!("{count} with warnings")));
    words.join(", ")
}

/// How far a scan is, for whoever watches.
enum Progress {
    Bar(ProgressBar),
    Lines,
}

impl Progress {
    fn new() -> Self {
        let target = ProgressDrawTarget::stderr();
        if target.is_hidden() {
            return Self::Lines;
        }
        let bar = ProgressBar::with_draw_target(None, target).with_message("waiting for the scan");
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self::Bar(bar)
    }

    fn show(&self, frame: &Frame) {
        let event: Value = serde_json::from_str(&frame.data).unwrap_or_default();
        let payload = &event["payload"];
        let number = |name: &str| payload[name].as_u64().unwrap_or_default();
        match (&*frame.event, self) {
            ("artifact_scan_started", Self::Lines) => {
                note(&format!("{} documents to read", number("documents")))
            }
            ("artifact_scan_started", Self::Bar(bar)) => {
                bar.set_message("reading documents");
                bar.set_length(number("documents"));
                bar.set_position(0);
            }
            ("artifact_scan_progress", Self::Lines) => {
                note(&format!("{} of {}", number("done"), number("total")))
            }
            ("artifact_scan_progress", Self::Bar(bar)) => {
                bar.set_length(number("total"));
                bar.set_position(number("done"));
            }
            _ => {}
        }
    }

    /// Leaves the terminal as it was.
    fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scan_did_is_told_in_a_few_words() {
        let told = json!({"added": 2, "changed": 0, "renamed": 1, "removed": 0, "withWarnings": 3});
        assert_eq!(summary(&told), "2 added, 1 renamed, 3 with warnings");
        assert_eq!(summary(&Value::Null), "nothing changed");
    }
}
