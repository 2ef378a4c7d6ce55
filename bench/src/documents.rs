//! Repositories: how long it takes from a push to its event, to read a large repository, and to find something in many
//! documents.
//!
//! The repositories are made with `git`; it is measured over SQLite and PostgreSQL. A scan is measured by the service's
//! own times, from its begin to its end, and beside what Git needs to list and print the same: both read the same
//! objects, in turn, round after round.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anstream::println;
use serde_json::{Value, json};
use tempfile::TempDir;
use trackside::samples::sign;

use crate::{
    Plan, Result,
    answer::{Aim, Answer, Comparison},
    cargo,
    child::{self, Contender, Kind, Place, Target},
    disk::Disk,
    figures::{Figures, milliseconds},
    load::within,
    plots::{Axis, Bar, Chart, Shape},
    postgres::Postgres,
};

/// Documents of the repository that is pushed to and read whole.
const DOCUMENTS: usize = 500;
/// Files of it.
const FILES: usize = 50_000;
/// Documents that are searched.
const MANY: usize = 100_000;
/// Pushes, and searches.
const TIMES: usize = 100;
/// What is searched for: rare and frequent words, phrases and beginnings.
const QUERIES: [&str; 5] = ["launch", "orbit telemetry", "\"before the launch\"", "telem*", "module 4711"];

/// A repository in a folder.
pub(crate) struct Origin(TempDir);

impl Origin {
    pub(crate) fn new() -> Result<Self> {
        let origin = Self(TempDir::new()?);
        origin.git(&["init", "--quiet", "--initial-branch=main"])?;
        Ok(origin)
    }

    fn git(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let settings = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"];
        let output =
            Command::new("git").current_dir(self.0.path()).args(settings).args(arguments).output()?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
        }
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        Ok(fs::write(path, text)?)
    }

    pub(crate) fn commit(&self) -> Result<()> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", "Change"])?;
        Ok(())
    }

    fn url(&self) -> String {
        format!("file://{}", self.0.path().display())
    }
}

/// A document of about two kilobytes, no two of which are the same.
pub(crate) fn document(number: usize, version: usize) -> String {
    let mut text = format!(
        "---\nversion: {version}.0\nstatus: ready\ndependencies:\n  - docs/prd.md@v1\n---\n# Story {number}\n\n"
    );
    for part in 0..6 {
        text.push_str(&format!(
            "## Part {part} of story {number}\n\nThe module {} keeps telemetry of orbit {} before the launch, and every \
             engineer reads module {} first. What holds for {version} is written here, step by step, in plain words.\n\n",
            number * 7 + part,
            number % 97,
            number * 31 + part,
        ));
    }
    text
}

/// Measures everything, on both engines.
pub(crate) async fn answer(plan: &Plan) -> Result<Answer> {
    let service = cargo::service()?;
    let (mut lines, mut comparisons, mut bars) = (vec![METHOD.to_owned()], Vec::new(), Vec::new());
    let (large, many) = (large()?, many()?);
    // Nothing of them is left to be written while something is measured.
    Command::new("sync").status()?;
    for store in ["SQLite", "PostgreSQL"] {
        let postgres = match store {
            "SQLite" => None,
            _ => Some(Arc::new(Postgres::start(Disk::AsIs)?)),
        };
        let place = Place { disk: Disk::AsIs, postgres, redis: None, scans: true };
        let target = child::start(&Contender::new(Kind::Trackside, &service), &place).await?;
        let client = Client::new(&target);
        lines.push(format!("\n### Documents, {store}\n\n| | median | p95 | |\n|---|---|---|---|"));
        let (line, scans, gits) = read_whole(&client, &large, plan.rounds).await?;
        lines.push(line);
        let what = format!("a scan of {DOCUMENTS} documents among {FILES} files, {store}");
        comparisons.push(Comparison::times(what, &scans, "Git", &gits).aim(Aim::AtMost(3.0), REASON));
        for (name, figures, is_ours) in [("a scan", scans, true), ("Git", gits, false)] {
            bars.push(Bar { name: format!("{name}, {store}"), figures, is_ours });
        }
        let (line, p95) = push(&client, &large).await?;
        lines.push(line);
        let what = format!("from a push to `artifact_updated`, {store}, p95");
        comparisons.push(Comparison::figure(what, p95, " ms").aim(Aim::AtMost(500.0), ""));
        let (line, p95) = search(&client, &many).await?;
        lines.push(line);
        let what = format!("a search in {MANY} documents, {store}, p95");
        comparisons.push(Comparison::figure(what, p95, " ms").aim(Aim::AtMost(50.0), ""));
    }
    let axis = Axis { name: "ms".to_owned(), is_logarithmic: false };
    let title = format!("{DOCUMENTS} documents among {FILES} files");
    let chart = Chart { file: "documents".to_owned(), title, shape: Shape::Bars { axis, bars } };
    Ok(Answer { comparisons, charts: vec![chart], ..Answer::new(lines.join("\n"))? })
}

/// How all of it is measured.
const METHOD: &str = "\
Repositories are folders of this machine, which the service reads by `file`. A scan is a new project's first: it fetches, \
lists, reads, stores and tells of every document; time is the service's own, from its begin to its end. Beside it stand \
`git ls-tree -r HEAD` and `git cat-file --batch` of the same documents, run in turn with it. A push is committed, posted, \
stored, worked through, fetched and read before its event; the clock runs from the post to the first byte that a \
subscriber has of it. Searches go by REST, 20 results each with a snippet.";

/// Why a scan takes longer than it should.
const REASON: &str = "A scan fetches into a bare copy of its own and reads what changed, by several runs of Git, and stores \
    and tells of every document besides.";

fn large() -> Result<Origin> {
    let origin = Origin::new()?;
    origin.write("docs/prd.md", "---\nversion: 1.0\n---\n# Requirements\n")?;
    for number in 1..DOCUMENTS {
        origin.write(&format!("docs/stories/{number}.md"), &document(number, 1))?;
    }
    for number in DOCUMENTS..FILES {
        origin.write(
            &format!("src/{}/{}/{number}.rs", number % 40, number % 1000),
            &format!("// {number}\n"),
        )?;
    }
    origin.commit()?;
    Ok(origin)
}

fn many() -> Result<Origin> {
    let origin = Origin::new()?;
    for number in 0..MANY {
        origin.write(&format!("docs/stories/{}/{number}.md", number % 300), &document(number, 1))?;
    }
    origin.commit()?;
    Ok(origin)
}

/// Somebody who asks the service.
pub(crate) struct Client<'a> {
    http: reqwest::Client,
    target: &'a Target,
}

impl<'a> Client<'a> {
    pub(crate) fn new(target: &'a Target) -> Self {
        Self { http: reqwest::Client::new(), target }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.target.port)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(self.url(path)).bearer_auth(&self.target.key).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let post = self.http.post(self.url(path)).bearer_auth(&self.target.key).json(body);
        Ok(post.send().await?.error_for_status()?.json().await?)
    }

    /// A new project of a repository: its id and its secret.
    pub(crate) async fn project(&self, origin: &Origin) -> Result<(String, String)> {
        let body = json!({"name": "bench", "repoUrl": origin.url()});
        let made = self.post("/api/v1/projects", &body).await?;
        let text = |field: &str| made[field].as_str().unwrap_or_default().to_owned();
        Ok((text("id"), text("webhookSecret")))
    }

    /// Waits until a project's repository was read; gives how long that took.
    pub(crate) async fn scanned(&self, project: &str) -> Result<Duration> {
        loop {
            let scan = self.get(&format!("/api/v1/projects/{project}/scan")).await?;
            match scan["state"].as_str() {
                Some("succeeded") => {
                    let at = |field: &str| -> Result<chrono::DateTime<chrono::Utc>> {
                        Ok(scan[field].as_str().unwrap_or_default().parse()?)
                    };
                    return Ok((at("finishedAt")? - at("startedAt")?).to_std()?);
                }
                Some("failed") => return Err(scan.to_string().into()),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Waits until every delivery to a project was worked through.
    pub(crate) async fn settled(&self, project: &str) -> Result<()> {
        loop {
            let pending = self.get(&format!("/api/v1/projects/{project}/deliveries?status=pending")).await?;
            match pending["items"].as_array().is_some_and(Vec::is_empty) {
                true => return Ok(()),
                false => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// Follows the events of a project.
    pub(crate) async fn follow(&self, project: &str) -> Result<reqwest::Response> {
        let stream = self.http.get(self.url(&format!("/api/v1/projects/{project}/events/stream")));
        Ok(stream.bearer_auth(&self.target.key).send().await?.error_for_status()?)
    }

    /// Posts something to a project, which is an id and a secret, as GitHub would.
    pub(crate) async fn deliver(
        &self,
        (project, secret): &(String, String),
        event: &str,
        delivery: &str,
        body: &Value,
    ) -> Result<()> {
        let body = body.to_string();
        let post = self.http.post(self.url(&format!("/webhooks/github/{project}")));
        let post = post
            .header("x-github-event", event)
            .header("x-github-delivery", delivery)
            .header("x-hub-signature-256", sign(secret, body.as_bytes()));
        post.body(body).send().await?.error_for_status()?;
        Ok(())
    }

    /// Posts a push, and waits until somebody who follows has heard of an event; gives how long that took.
    pub(crate) async fn heard(
        &self,
        stream: &mut reqwest::Response,
        project: &(String, String),
        delivery: &str,
        push: &Value,
        event: &str,
    ) -> Result<Duration> {
        let began = Instant::now();
        self.deliver(project, "push", delivery, push).await?;
        let (mut seen, mark) = (Vec::new(), format!("event: {event}").into_bytes());
        while !seen.windows(mark.len()).any(|window| window == mark) {
            seen.extend(stream.chunk().await?.ok_or("the stream ended")?);
        }
        Ok(began.elapsed())
    }
}

/// A whole repository is read by a project that is new.
async fn read_whole(
    client: &Client<'_>,
    origin: &Origin,
    rounds: usize,
) -> Result<(String, Figures, Figures)> {
    let (mut scans, mut gits) = (Vec::new(), Vec::new());
    for _ in 0..=rounds {
        let (project, _) = client.project(origin).await?;
        scans.push(client.scanned(&project).await?);
        gits.push(git(origin)?);
    }
    let rounds = |times: &[Duration]| -> Figures {
        times.iter().skip(1).copied().map(milliseconds).collect::<Vec<_>>().into()
    };
    let (ours, its) = (rounds(&scans), rounds(&gits));
    let beside = format!("{} of what Git takes", ours.over(&its).show(1, "×"));
    scans.sort();
    let (line, _) = line(&format!("a scan of {DOCUMENTS} documents among {FILES} files"), &scans, &beside)?;
    Ok((line, ours, its))
}

/// What Git takes to list all files and print the documents.
fn git(origin: &Origin) -> Result<Duration> {
    let began = Instant::now();
    let listed = origin.git(&["ls-tree", "-r", "HEAD"])?;
    let listed = String::from_utf8_lossy(&listed);
    let documents = listed.lines().filter(|line| line.contains("\tdocs/"));
    let blobs: String =
        documents.filter_map(|line| line.split([' ', '\t']).nth(2)).flat_map(|id| [id, "\n"]).collect();
    let mut printing = Command::new("git")
        .current_dir(origin.0.path())
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = printing.stdin.take().ok_or("no input")?;
    let writing = std::thread::spawn(move || stdin.write_all(blobs.as_bytes()));
    let printed = printing.wait_with_output()?.stdout.len();
    writing.join().map_err(|_| "a thread panicked")??;
    assert!(printed > DOCUMENTS * 1000, "{printed} bytes of documents");
    Ok(began.elapsed())
}

/// From the post of a push to the event at whoever follows.
async fn push(client: &Client<'_>, origin: &Origin) -> Result<(String, f64)> {
    let project = client.project(origin).await?;
    client.scanned(&project.0).await?;
    let mut stream = client.follow(&project.0).await?;
    let mut taken = Vec::new();
    for time in 0..=TIMES {
        origin.write("docs/stories/7.md", &document(7, time + 2))?;
        origin.commit()?;
        let push = json!({"ref": "refs/heads/main", "repository": {"default_branch": "main"}, "commits": []});
        let (delivery, event) = (format!("bench-{time}"), "artifact_updated");
        taken.push(client.heard(&mut stream, &project, &delivery, &push, event).await?);
        client.scanned(&project.0).await?;
    }
    taken.remove(0);
    taken.sort();
    line("from a push to `artifact_updated` at a subscriber", &taken, "one document of 500 changed")
}

/// Searches by REST.
async fn search(client: &Client<'_>, origin: &Origin) -> Result<(String, f64)> {
    let (project, _) = client.project(origin).await?;
    let read = client.scanned(&project).await?;
    let mut taken = Vec::new();
    for time in 0..TIMES {
        let query = QUERIES[time % QUERIES.len()];
        let path = format!("/api/v1/projects/{project}/artifacts/search?limit=20&query={}", escaped(query));
        let began = Instant::now();
        let found = client.get(&path).await?;
        taken.push(began.elapsed());
        assert!(!found["items"].as_array().ok_or("no items")?.is_empty(), "{query}");
    }
    taken.sort();
    let about = format!("of {MANY} documents, which were read in {:.0} s", read.as_secs_f64());
    line("a search", &taken, &about)
}

fn escaped(query: &str) -> String {
    query.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A line of a table, and its p95 in milliseconds.
fn line(name: &str, sorted: &[Duration], about: &str) -> Result<(String, f64)> {
    let ms = |share| within(sorted, share).map(milliseconds);
    let p95 = ms(0.95)?;
    let line = format!("| {name} | {:.1} ms | {p95:.1} ms | {about} |", ms(0.5)?);
    println!("  {line}");
    Ok((line, p95))
}
