//! Collisions: what it takes to see who else edits the same, to be told when somebody pushes it all the same, and to
//! know which gates are red.
//!
//! It is measured over SQLite and PostgreSQL. One project has a
//! repository of many documents and as many live reservations as a project may have, all made by REST; another has many
//! work items, each with gates. After each time that something is done the project is read: what that takes is what the
//! machine was like at that moment.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anstream::println;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    Plan, Result, Store,
    answer::{Aim, Answer, Comparison},
    cargo,
    child::{self, Contender, Kind, Place, Target},
    disk::Disk,
    documents::{self, Client, Origin},
    figures::{Figures, milliseconds},
    load::within,
    plots::{Axis, Bar, Chart, Shape},
    postgres::Postgres,
};

/// Documents of the repository that is pushed to.
const DOCUMENTS: usize = 500;
/// Reservations that are live.
const RESERVATIONS: usize = 10_000;
/// Those who hold them, each as many.
const HOLDERS: usize = 16;
/// Paths that are looked at together.
const PATHS: usize = 50;
/// Work items of the project with gates, which is as many documents.
const ITEMS: usize = 200;
/// Gates of each.
const GATES: usize = 3;
/// Files of a push, one of which somebody else has reserved.
const FILES: usize = 21;
/// How often each is done in a round.
const CHECKS: usize = 200;
const PUSHES: usize = 40;
const EVALUATIONS: usize = 40;

/// Measures everything, on both engines.
pub(crate) async fn answer(plan: &Plan) -> Result<Answer> {
    let service = cargo::service()?;
    let (mut tables, mut comparisons, mut bars) = (Vec::new(), Vec::new(), Vec::new());
    for (store, name) in [(Store::Sqlite, "SQLite"), (Store::Postgres, "PostgreSQL")] {
        println!("{name}");
        let (scene, mut all) = (Scene::start(&service, store).await?, Vec::new());
        for round in 0..=plan.rounds {
            let measured = scene.round(round).await?;
            let named = if round == 0 { "warm-up" } else { "round" };
            println!("  {named}\n{}", table(std::slice::from_ref(&measured)));
            if round > 0 {
                all.push(measured);
            }
        }
        let set_up =
            format!("{RESERVATIONS} reservations were made in {:.0} s.", scene.reserved_in.as_secs_f64());
        tables.push(format!("### Collisions, {name}\n\n{}\n{set_up}\n", table(&all)));
        for (row, most) in AIMS {
            let (what, figures) = (format!("{row}, {name}"), column(&all, row, P95));
            bars.push(Bar { name: what.clone(), figures: figures.clone(), is_ours: true });
            let aim = Aim::AtMost(most);
            comparisons.push(Comparison::figure(format!("{what}, p95"), figures, " ms").aim(aim, ""));
        }
    }
    let axis = Axis { name: "ms, 95 of 100 are faster".to_owned(), is_logarithmic: true };
    let title = "Who edits the same, and what is red".to_owned();
    let chart = Chart { file: "collisions".to_owned(), title, shape: Shape::Bars { axis, bars } };
    Ok(Answer { comparisons, charts: vec![chart], ..Answer::new(text(&tables))? })
}

fn text(tables: &[String]) -> String {
    format!(
        "\
A project has a repository of {DOCUMENTS} documents and {RESERVATIONS} live reservations of {HOLDERS} holders, which is \
as many as a project may have: files with their tests, folders, migrations, documents, settings, and 50 that mean a \
kind of file wherever it is. \"A check\" is of {PATHS} paths by REST, of as many modules: files of which about half are \
reserved, and patterns. A bare name, such as `Cargo.lock`, is meant in every folder, so whatever is reserved may be \
near it. The aim is 10 ms at p95.

A push is posted, stored and worked through before its event; the clock runs from the post to the first byte that a \
subscriber has of `conflict_detected`. The first kind touches {FILES} files, of which somebody else has reserved one; \
the second is committed to a folder of this machine, fetched, listed and read before it is seen that a document builds \
on a version that is not there. Nothing waits before it tells: what is held back for 5 s is a cause that went away and \
comes back. The aim is 500 ms at p95.

\"An evaluation\" is `POST` of `gates/evaluate` in a project with {ITEMS} work items, each one thing with a document and \
in review: CI of its commit, a document that has to be there, and somebody's review. The aim is 100 ms at p95.

\"A read beside it\" is `GET` of the same project over the same kind of connection, once after each of the others. The \
load generator shares the machine; PostgreSQL has fsync and synchronous_commit on. Figures are medians over the rounds, \
ranges in brackets, after a round that is not counted.

{}",
        tables.join("\n")
    )
}

/// A service over one store, and those who work in its projects.
struct Scene {
    target: Target,
    /// The repository of the project with reservations.
    origin: Origin,
    /// That project: its id, and what its webhooks are signed with.
    busy: (String, String),
    /// Somebody who holds nothing, in the project with reservations and in that with gates.
    looker: Agent,
    keeper: Agent,
    /// The repository of the latter, which is there as long as it may be read.
    _stories: Origin,
    /// How long it took to reserve everything.
    reserved_in: Duration,
}

impl Scene {
    async fn start(service: &Path, store: Store) -> Result<Self> {
        let postgres = match store {
            Store::Sqlite => None,
            Store::Postgres => Some(Arc::new(Postgres::start(Disk::AsIs)?)),
        };
        if let Some(postgres) = &postgres {
            postgres.season().await?;
        }
        let (origin, stories) = (repository(DOCUMENTS)?, repository(ITEMS + 1)?);
        // Nothing of them is left to be written while something is measured.
        Command::new("sync").status()?;
        let place = Place { disk: Disk::AsIs, postgres, redis: None, scans: true };
        let target = child::start(&Contender::new(Kind::Trackside, service), &place).await?;
        let client = Client::new(&target);
        let busy = client.project(&origin).await?;
        client.scanned(&busy.0).await?;
        let mut holders = Vec::new();
        for number in 0..HOLDERS {
            let new = json!({"name": holder(number), "role": "member"});
            let made = client.post("/api/v1/api-keys", &new).await?;
            let key = made["key"].as_str().ok_or("a key without its text")?;
            holders.push(Agent::new(&client, &busy.0, key));
        }
        let reserved_in = reserve(&holders).await?;
        let looker = Agent::new(&client, &busy.0, &target.key);
        let gated = client.project(&stories).await?;
        client.scanned(&gated.0).await?;
        let keeper = Agent::new(&client, &gated.0, &target.key);
        let worker = Agent { key: holders[0].key.clone(), ..keeper.clone() };
        set_gates(&client, &gated, &keeper, &worker).await?;
        Ok(Self { target, origin, busy, looker, keeper, _stories: stories, reserved_in })
    }

    /// Measures everything once.
    async fn round(&self, round: usize) -> Result<Round> {
        Ok(vec![
            (CHECK_ROW, self.check(&[]).await?),
            ("the same, one of them a bare name", self.check(&["Cargo.lock"]).await?),
            (VIOLATION_ROW, self.violate(round).await?),
            (DRIFT_ROW, self.drift(round).await?),
            (GATES_ROW, self.evaluate().await?),
        ])
    }

    /// Looks who has reserved some paths, with these names among them.
    async fn check(&self, names: &[&str]) -> Result<Measured> {
        beside(&self.looker, CHECKS, async |time| {
            let mut paths = paths(time);
            paths.truncate(PATHS - names.len());
            paths.extend(names.iter().map(|name| (*name).to_owned()));
            let asked = json!({"paths": paths});
            let began = Instant::now();
            self.looker.ask("/reservations/check", Some(&asked)).await?;
            Ok(began.elapsed())
        })
        .await
    }

    /// Somebody pushes a file that somebody else has reserved, among others, each time to another branch.
    async fn violate(&self, round: usize) -> Result<Measured> {
        let client = Client::new(&self.target);
        let mut stream = client.follow(&self.busy.0).await?;
        beside(&self.looker, PUSHES, async |time| {
            let number = round * PUSHES + time;
            // One only: whoever violates several is told of each, and the next push would hear of these.
            let files: Vec<_> = (1..FILES).map(|module| file(module, 9)).chain([file(0, 0)]).collect();
            let commit = format!("{:040x}", number + 1);
            let push = json!({
                "ref": format!("refs/heads/change-{number}"),
                "after": commit,
                "repository": {"default_branch": "main"},
                "sender": {"login": holder(1)},
                "commits": [{"id": commit, "message": "Change", "added": [], "modified": files, "removed": []}],
            });
            let (delivery, event) = (format!("change-{number}"), "conflict_detected");
            client.heard(&mut stream, &self.busy, &delivery, &push, event).await
        })
        .await
    }

    /// A document that is pushed builds on a version of another that is not there, each time on another one.
    async fn drift(&self, round: usize) -> Result<Measured> {
        let client = Client::new(&self.target);
        let mut stream = client.follow(&self.busy.0).await?;
        beside(&self.looker, PUSHES, async |time| {
            let number = round * PUSHES + time + 2;
            let text = documents::document(7, number).replace("@v1", &format!("@v{number}"));
            self.origin.write("docs/stories/7.md", &text)?;
            self.origin.commit()?;
            let (delivery, event) = (format!("drift-{number}"), "conflict_detected");
            let push =
                json!({"ref": "refs/heads/main", "repository": {"default_branch": "main"}, "commits": []});
            let took = client.heard(&mut stream, &self.busy, &delivery, &push, event).await?;
            client.scanned(&self.busy.0).await?;
            Ok(took)
        })
        .await
    }

    /// All gates of a project are looked at.
    async fn evaluate(&self) -> Result<Measured> {
        beside(&self.keeper, EVALUATIONS, async |_| {
            let began = Instant::now();
            let answer = self.keeper.ask("/gates/evaluate", Some(&json!({}))).await?;
            let took = began.elapsed();
            let standing: Value = serde_json::from_slice(&answer)?;
            let gates = standing["progress"]["gates"].as_object().into_iter().flatten();
            let gates: u64 = gates.filter_map(|(_, count)| count.as_u64()).sum();
            match gates == (ITEMS * GATES) as u64 {
                true => Ok(took),
                false => Err(format!("there are {gates} gates: {standing}").into()),
            }
        })
        .await
    }
}

/// A repository of some documents: requirements, and stories that build on them.
fn repository(count: usize) -> Result<Origin> {
    let origin = Origin::new()?;
    origin.write("docs/prd.md", "---\nversion: 1.0\n---\n# Requirements\n")?;
    for number in 1..count {
        origin.write(&format!("docs/stories/{number}.md"), &documents::document(number, 1))?;
    }
    origin.commit()?;
    Ok(origin)
}

/// What a holder is called, by Git hosts too.
fn holder(number: usize) -> String {
    format!("agent-{number}")
}

/// The files of a module, and of its part of the tests and of the documents.
fn file(module: usize, number: usize) -> String {
    format!("src/area{}/m{module}/file{number}.rs", module % 40)
}

/// What is reserved: of each of a thousand modules six files and their tests, a folder, migrations, a document, and a
/// file of settings or, of one module in twenty, a kind of file wherever it is.
fn reservation(number: usize) -> Value {
    let (module, part) = (number / 10, number % 10);
    let area = module % 40;
    let (mode, paths) = match part {
        0..=5 => ("exclusive", vec![file(module, part), format!("tests/area{area}/m{module}_{part}.rs")]),
        6 => ("shared", vec![format!("src/area{area}/m{module}/parts/**")]),
        7 => ("exclusive", vec![format!("migrations/m{module}/*.sql")]),
        8 => ("shared", vec![format!("docs/area{area}/m{module}.md")]),
        _ if module % 20 == 0 => ("shared", vec![format!("*.m{module}.snap")]),
        _ => ("exclusive", vec![format!("/config/m{module}.toml")]),
    };
    json!({"paths": paths, "mode": mode, "leaseSeconds": 14_400})
}

/// Paths that somebody is about to edit, of as many modules: files of which about half are reserved, documents,
/// settings, migrations, and whole modules.
fn paths(time: usize) -> Vec<String> {
    let path = |at: usize| {
        let module = (time * 37 + at * 61) % 1000;
        let area = module % 40;
        match at {
            0..=34 => file(module, at % 12),
            35..=41 => format!("docs/area{area}/m{module}.md"),
            42..=45 => format!("config/m{module}.toml"),
            46..=47 => format!("migrations/m{module}/*.sql"),
            _ => format!("src/area{area}/m{module}/**"),
        }
    };
    (0..PATHS).map(path).collect()
}

/// Has holders reserve everything, all at the same time; gives how long that takes.
async fn reserve(holders: &[Agent]) -> Result<Duration> {
    let (began, mut lanes) = (Instant::now(), JoinSet::new());
    for (lane, holder) in holders.iter().cloned().enumerate() {
        lanes.spawn(holder.reserve(lane));
    }
    lanes.join_all().await.into_iter().collect::<Result<()>>()?;
    Ok(began.elapsed())
}

/// Gives each work item gates: CI of its commit, which fails on every other one, a document, and somebody's review.
async fn set_gates(
    client: &Client<'_>,
    project: &(String, String),
    keeper: &Agent,
    worker: &Agent,
) -> Result<()> {
    let gates = json!([
        {"name": "tests", "lane": "backlog", "check": "tests_passing"},
        {"name": "story", "lane": "backlog", "check": "artifact_exists", "kind": "story"},
        {"name": "review", "lane": "backlog", "check": "manual_review"},
    ]);
    keeper.change(&json!({"config": {"gates": gates}})).await?;
    for number in 1..=ITEMS {
        let claim: Value = serde_json::from_slice(&worker.ask("/work-items/claim", Some(&json!({}))).await?)?;
        let (commit, delivery) = (format!("{number:040x}"), format!("status-{number}"));
        let (now, state) = ("2026-01-01T06:00:00Z", if number % 2 == 0 { "success" } else { "failure" });
        let status =
            json!({"sha": commit, "context": "CI", "state": state, "created_at": now, "updated_at": now});
        client.deliver(project, "status", &delivery, &status).await?;
        let item = claim["workItemId"].as_str().ok_or("a claim without an item")?;
        let finish = json!({
            "leaseId": claim["leaseId"],
            "fencingToken": claim["fencingToken"],
            "commit": commit,
            "lane": "review",
        });
        worker.ask(&format!("/work-items/{item}/finish"), Some(&finish)).await?;
    }
    client.scanned(&project.0).await?;
    client.settled(&project.0).await
}

/// Somebody who works on a project, with a key of their own.
#[derive(Clone)]
struct Agent {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Agent {
    fn new(client: &Client<'_>, project: &str, key: &str) -> Self {
        let url = client.url(&format!("/api/v1/projects/{project}"));
        Self { http: reqwest::Client::new(), url, key: key.to_owned() }
    }

    /// Asks something about the project: a POST if there is a body, otherwise a GET; gives the whole answer.
    async fn ask(&self, path: &str, body: Option<&Value>) -> Result<Vec<u8>> {
        let url = format!("{}{path}", self.url);
        let request = match body {
            Some(body) => self.http.post(url).json(body),
            None => self.http.get(url),
        };
        self.send(request).await
    }

    /// Changes the project.
    async fn change(&self, changes: &Value) -> Result<()> {
        self.send(self.http.patch(&self.url).json(changes)).await.map(drop)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>> {
        let answer = request.bearer_auth(&self.key).send().await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        match status.is_success() {
            true => Ok(body.to_vec()),
            false => Err(String::from_utf8_lossy(&body).into_owned().into()),
        }
    }

    /// Reserves this one's share of what is reserved.
    async fn reserve(self, lane: usize) -> Result<()> {
        for number in (lane..RESERVATIONS).step_by(HOLDERS) {
            self.ask("/reservations", Some(&reservation(number))).await?;
        }
        Ok(())
    }
}

/// What was measured, in milliseconds: within what half and 95 of 100 were done, and the same of reads beside it.
type Measured = [f64; 4];

/// Does something over and over, and reads the project after each time.
async fn beside(
    reader: &Agent,
    times: usize,
    mut once: impl AsyncFnMut(usize) -> Result<Duration>,
) -> Result<Measured> {
    let (mut taken, mut reads) = (Vec::new(), Vec::new());
    for time in 0..times {
        taken.push(once(time).await?);
        let began = Instant::now();
        reader.ask("", None).await?;
        reads.push(began.elapsed());
    }
    taken.sort();
    reads.sort();
    let ms = |sorted: &[Duration], share| within(sorted, share).map(milliseconds);
    Ok([ms(&taken, 0.5)?, ms(&taken, 0.95)?, ms(&reads, 0.5)?, ms(&reads, 0.95)?])
}

/// Rows of which something is wanted, in milliseconds, and the column that it is about.
const CHECK_ROW: &str = "a check of 50 paths";
const VIOLATION_ROW: &str = "from a push to `reservation_violated` at a subscriber";
const DRIFT_ROW: &str = "from a push to `version_mismatch` at a subscriber";
const GATES_ROW: &str = "an evaluation of the gates of 200 work items";
const AIMS: [(&str, f64); 4] =
    [(CHECK_ROW, 10.0), (VIOLATION_ROW, 500.0), (DRIFT_ROW, 500.0), (GATES_ROW, 100.0)];
const P95: usize = 1;

/// A figure of a row, round by round.
fn column(rounds: &[Round], row: &str, column: usize) -> Figures {
    let rows = rounds.iter().flatten().filter(|(name, _)| *name == row);
    rows.map(|(_, measured)| measured[column]).collect::<Vec<_>>().into()
}

/// What was measured in one round, and what that is called.
type Round = Vec<(&'static str, Measured)>;

fn table(rounds: &[Round]) -> String {
    let mut text = "| | median | p95 | a read beside it, median | p95 |\n|---|---|---|---|---|\n".to_owned();
    for (row, (name, first)) in rounds.first().into_iter().flatten().enumerate() {
        text.push_str(&format!("| {name} |"));
        for column in 0..first.len() {
            let mut figures = Figures::default();
            rounds.iter().for_each(|round| figures.push(round[row].1[column]));
            text.push_str(&format!(" {} |", figures.show(1, " ms")));
        }
        text.push('\n');
    }
    text
}
