//! Claims: what it takes to be given the next thing to do when many want it, and to go on holding it.
//!
//! It is measured over SQLite and PostgreSQL, on this machine's disk and on a slow one. Contenders, each with a key and a connection of its own, claim and finish until nothing is left;
//! an item that is given twice ends the measurement. Then as many holders send heartbeats at a pace. What those cost
//! stands beside the cost of a request that only reads, at the same pace: the difference is the heartbeat's own.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::Path,
    slice,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anstream::println;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Barrier,
    task::JoinSet,
    time::{sleep, sleep_until},
};

use crate::{
    Plan, Result, Store,
    answer::{Aim, Answer, Comparison},
    cargo,
    child::{self, Contender, Kind, Place, Target},
    disk::Disk,
    figures::{Figures, milliseconds},
    load::within,
    plots::{Axis, Bar, Chart, Shape},
    postgres::Postgres,
};

/// Those who claim, and then hold.
const AGENTS: usize = 64;
/// Items that are claimed and finished in a round.
const CLAIMS: usize = 2_560;
/// How often all of them ask at the same moment.
const RUSHES: usize = 20;
/// Heartbeats, or reads, a second, of all holders together.
const RATE: f64 = 1_000.0;

/// Load that comes before what is counted.
const LEAD: Duration = Duration::from_millis(500);
/// Bytes of the largest answer.
const ANSWER: usize = 64 * 1024;

/// Measures everything, or what is on one disk, each load for some time.
pub(crate) async fn answer(plan: &Plan) -> Result<Answer> {
    let service = cargo::service()?;
    let (mut tables, mut comparisons, mut bars) = (Vec::new(), Vec::new(), Vec::new());
    for (store, name) in [(Store::Sqlite, "SQLite"), (Store::Postgres, "PostgreSQL")] {
        for disk in [Disk::AsIs, Disk::Slow] {
            if plan.disk.is_some_and(|only| only != disk) {
                continue;
            }
            println!("{name}, {disk}");
            let (scene, mut all) = (Scene::start(&service, store, disk, plan.time).await?, Vec::new());
            for round in 0..=plan.rounds {
                let measured = scene.round().await?;
                println!(
                    "  {}\n{}",
                    if round == 0 { "warm-up" } else { "round" },
                    table(slice::from_ref(&measured))
                );
                if round > 0 {
                    all.push(measured);
                }
            }
            tables.push(format!("### {name}, {disk}\n\n{}", table(&all)));
            for row in [CLAIMS_ROW, RUSHES_ROW] {
                let (figures, is_ours) = (column(&all, row, P95), true);
                bars.push(Bar { name: format!("{row}, {name}, {disk}"), figures, is_ours });
            }
            if store == Store::Postgres {
                comparisons.extend(compare(&all, disk));
            }
        }
    }
    let axis = Axis { name: "ms, 95 of 100 are faster".to_owned(), is_logarithmic: false };
    let title = format!("Claims by {AGENTS} at once");
    let chart = Chart { file: "claims".to_owned(), title, shape: Shape::Bars { axis, bars } };
    let answer = Answer::new(text(&tables, plan.time))?;
    Ok(Answer { comparisons, charts: vec![chart], ..answer })
}

/// What is wanted of PostgreSQL.
fn compare(rounds: &[Round], disk: Disk) -> Vec<Comparison> {
    let most = match disk {
        Disk::AsIs => 15.0,
        Disk::Slow => 40.0,
    };
    let p95 = |row| {
        let what = format!("{row}, PostgreSQL, {disk}, p95");
        Comparison::figure(what, column(rounds, row, P95), " ms").aim(Aim::AtMost(most), REASON)
    };
    let beats = format!("{BEATS_ROW}, PostgreSQL, {disk}: the service, of one core");
    let beats = Comparison::figure(beats, column(rounds, BEATS_ROW, SERVICE), " %");
    vec![p95(CLAIMS_ROW), p95(RUSHES_ROW), beats.aim(Aim::AtMost(10.0), "")]
}

/// Why a claim takes longer than it should.
const REASON: &str = "Claims at once are gathered and written together, in one transaction after the other: what is asked \
    while one is under way waits for it and for its own.";

fn text(tables: &[String], time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "\
Everything goes by REST, over {AGENTS} kept-alive connections, each with an API key of its own. \"Claims\": each claims \
the next of {CLAIMS} items that are ready, finishes what it was given, and asks again at once, until all are done. Only \
the claims are timed and counted, but what is spent is spent on both. No item was given twice; one that is ends the \
measurement. \"Claims at the same moment\": all {AGENTS} ask at once, finish what they were given, wait for each other, \
and ask again, {RUSHES} times. \"Heartbeats\": each holds an item, and all of them together say {RATE:.0} times a second, evenly spread, \
that they are still at it, and nothing else (`update_work`). \"Reads\" are `GET` of the project at the same pace: what \
a connection, a key and an answer cost anyway. Both go on for {seconds} s after half a second that is not counted; a request \
that is late because the one before it took long counts from when it was due.

The last two columns are processor time, less what was spent at rest for as long. SQLite is in the service; PostgreSQL's \
is that of all its processes, fsync and synchronous_commit are on, and it has segments of WAL to use again, as a server \
that has run for a while has. The load generator shares the machine. Figures are medians over the rounds, ranges in \
brackets, after a round that is not counted. Every fsync is made 2 ms slower by a shim in front of libc's `fsync`, \
`fdatasync` and `sync_file_range`.

{}",
        tables.join("\n")
    )
}

/// How long each of some requests took, how long all of them, and what was spent.
type Run = (Vec<Duration>, Duration, Shares);
/// Processor time as shares of one core, in percent: the service's, and PostgreSQL's where there is one.
type Shares = [Option<f64>; 2];

/// A service over one store and one disk, and the keys of those who work with it.
struct Scene {
    target: Target,
    postgres: Option<Arc<Postgres>>,
    keys: Vec<String>,
    time: Duration,
}

impl Scene {
    async fn start(service: &Path, store: Store, disk: Disk, time: Duration) -> Result<Self> {
        let postgres = match store {
            Store::Sqlite => None,
            Store::Postgres => Some(Arc::new(Postgres::start(disk)?)),
        };
        if let Some(postgres) = &postgres {
            postgres.season().await?;
        }
        let place = Place { disk, postgres: postgres.clone(), redis: None, scans: false };
        let target = child::start(&Contender::new(Kind::Trackside, service), &place).await?;
        let (client, mut keys) = (reqwest::Client::new(), Vec::new());
        let url = format!("http://127.0.0.1:{}/api/v1/api-keys", target.port);
        for number in 0..AGENTS {
            let new = json!({"name": format!("agent {number}"), "role": "member"});
            let made = client.post(&url).bearer_auth(&target.key).json(&new).send().await?;
            let made: Value = made.error_for_status()?.json().await?;
            keys.push(made["key"].as_str().ok_or("a key without its text")?.to_owned());
        }
        Ok(Self { target, postgres, keys, time })
    }

    /// Measures everything once, in a project of its own.
    async fn round(&self) -> Result<Round> {
        let endpoint = self.target.new_project().await?;
        let project = endpoint.project();
        let agent =
            |key: &String| Agent { port: self.target.port, key: key.clone(), project: project.to_owned() };
        let agents: Vec<_> = self.keys.iter().map(agent).collect();
        together(agents.iter().cloned().map(Agent::fill)).await?;
        // What follows from so many new items is over when something is measured.
        sleep(2 * LEAD).await;

        let before = (Instant::now(), self.cpu()?);
        sleep(self.time).await;
        let rest = self.spent(before)?;
        let (given, took, spent) = self.contend(&agents).await?;
        let claims = measured(given, took, less(spent, rest))?;
        let (given, took, spent) = self.rush(&agents).await?;
        let rushes = measured(given, took, less(spent, rest))?;
        let beats = together(agents.iter().cloned().map(Agent::hold)).await?;
        let (read, took, spent) =
            self.pace(agents.iter().map(|agent| agent.request("", None)).collect()).await?;
        let reading = less(spent, rest);
        let reads = measured(read, took, reading)?;
        let (beaten, took, spent) = self.pace(beats).await?;
        let beating = less(spent, rest);
        Ok(vec![
            (CLAIMS_ROW, claims),
            (RUSHES_ROW, rushes),
            ("heartbeats", measured(beaten, took, beating)?),
            ("reads", reads),
            (BEATS_ROW, only(less(beating, reading))),
            ("at rest", only(rest)),
        ])
    }

    /// All of them claim and finish, until as much was given as is measured.
    async fn contend(&self, agents: &[Agent]) -> Result<Run> {
        let (asked, before) = (Arc::new(AtomicUsize::new(0)), (Instant::now(), self.cpu()?));
        let lanes = together(agents.iter().map(|agent| agent.clone().work(Arc::clone(&asked)))).await?;
        let (took, spent) = (before.0.elapsed(), self.spent(before)?);
        let (items, latencies): (Vec<_>, Vec<_>) = lanes.into_iter().flatten().unzip();
        let granted = items.len();
        let items: BTreeSet<String> = items.into_iter().collect();
        if (granted, items.len()) != (CLAIMS, CLAIMS) {
            return Err(format!("{granted} claims were granted, of {} items", items.len()).into());
        }
        Ok((latencies, took, spent))
    }

    /// All of them claim at the same moment, finish what they were given, and wait for each other.
    async fn rush(&self, agents: &[Agent]) -> Result<Run> {
        let (ready, before) = (Arc::new(Barrier::new(agents.len())), (Instant::now(), self.cpu()?));
        let lanes = together(agents.iter().map(|agent| agent.clone().hurry(Arc::clone(&ready)))).await?;
        let (took, spent) = (before.0.elapsed(), self.spent(before)?);
        Ok((lanes.into_iter().flatten().collect(), took, spent))
    }

    /// Sends requests over and over, each over a connection of its own, all of them together [`RATE`] times a second.
    async fn pace(&self, requests: Vec<Vec<u8>>) -> Result<Run> {
        let (began, between) = (Instant::now(), Duration::from_secs_f64(1.0 / RATE));
        let every = between.mul_f64(requests.len() as f64);
        let (until, mut lanes) = (began + LEAD + self.time + LEAD, JoinSet::new());
        for (lane, request) in requests.into_iter().enumerate() {
            let first = began + between.mul_f64(lane as f64);
            lanes.spawn(repeat(self.target.port, request, (first, every), until));
        }
        sleep(LEAD).await;
        let before = (Instant::now(), self.cpu()?);
        sleep(self.time).await;
        let (spent, counted) = (self.spent(before)?, before.0..Instant::now());
        let lanes = lanes.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        let answers = lanes.into_iter().flatten().filter(|(at, _)| counted.contains(at));
        let latencies = answers.map(|(_, latency)| latency).collect();
        Ok((latencies, counted.end - counted.start, spent))
    }

    /// Processor time so far: of the service, and of PostgreSQL where there is one.
    fn cpu(&self) -> Result<[Option<Duration>; 2]> {
        Ok([Some(self.target.cpu()?), self.postgres.as_deref().map(cpu_of).transpose()?])
    }

    /// The same since a moment, as shares of one core.
    fn spent(&self, (since, before): (Instant, [Option<Duration>; 2])) -> Result<Shares> {
        let (now, time) = (self.cpu()?, since.elapsed().as_secs_f64());
        let percent = |at: usize| Some(now[at]?.saturating_sub(before[at]?).as_secs_f64() * 100.0 / time);
        Ok(std::array::from_fn(percent))
    }
}

/// Processor time so far of a PostgreSQL server: of all its processes, those that have ended too.
fn cpu_of(postgres: &Postgres) -> Result<Duration> {
    let file = fs::read_to_string(postgres.folder().join("data/postmaster.pid"))?;
    let server = file.lines().next().ok_or("the server has no process")?.trim();
    let mut ticks = 0;
    for process in fs::read_dir("/proc")? {
        // Not all that is there is a process, and some end while they are counted.
        let Ok(stat) = fs::read_to_string(process?.path().join("stat")) else { continue };
        let Some((id, fields)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<_> = fields.split(' ').collect();
        let is_server = id.split(' ').next() == Some(server);
        if is_server || fields.get(1) == Some(&server) {
            // In user and in kernel mode; then the same of children that have ended. 100 ticks are a second.
            let own = fields.iter().skip(11).take(if is_server { 4 } else { 2 });
            ticks += own.map(|field| field.parse::<u64>()).sum::<std::result::Result<u64, _>>()?;
        }
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// What comes of some things that are done at the same time.
async fn together<T: Send + 'static>(
    all: impl Iterator<Item = impl Future<Output = Result<T>> + Send + 'static>,
) -> Result<Vec<T>> {
    let mut lanes = JoinSet::new();
    for one in all {
        lanes.spawn(one);
    }
    lanes.join_all().await.into_iter().collect()
}

/// Somebody who works on a project, with a key of their own.
#[derive(Clone)]
struct Agent {
    port: u16,
    key: String,
    project: String,
}

impl Agent {
    /// A request about the project: a POST if there is a body, otherwise a GET.
    fn request(&self, path: &str, body: Option<&Value>) -> Vec<u8> {
        let Self { port, key, project } = self;
        let (method, body) = body.map_or(("GET", String::new()), |body| ("POST", body.to_string()));
        let request = format!(
            "{method} /api/v1/projects/{project}{path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: bench/1\r\n\
             accept: application/json\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        request.into_bytes()
    }

    fn claim_next(&self) -> Vec<u8> {
        self.request("/work-items/claim", Some(&json!({})))
    }

    /// Makes this one's share of the items that are going to be claimed, and one to be held.
    async fn fill(self) -> Result<()> {
        let mut line = Line::connect(self.port).await?;
        let new = json!({"title": "Sign in with a passkey", "lane": "ready"});
        let new = self.request("/work-items", Some(&new));
        for _ in 0..=CLAIMS / AGENTS + RUSHES {
            line.ask(&new).await?;
        }
        Ok(())
    }

    /// Claims what is next and finishes it, until all have asked often enough; gives each item, and how long its claim
    /// took.
    async fn work(self, asked: Arc<AtomicUsize>) -> Result<Vec<(String, Duration)>> {
        let (mut line, claim, mut given) = (Line::connect(self.port).await?, self.claim_next(), Vec::new());
        while asked.fetch_add(1, Ordering::Relaxed) < CLAIMS {
            let began = Instant::now();
            let answer = line.ask(&claim).await?;
            let took = began.elapsed();
            let (item, held) = held(answer)?;
            line.ask(&self.request(&format!("/work-items/{item}/finish"), Some(&held))).await?;
            given.push((item, took));
        }
        Ok(given)
    }

    /// Claims what is next as soon as everybody is ready to, and finishes it; gives how long each claim took.
    async fn hurry(self, ready: Arc<Barrier>) -> Result<Vec<Duration>> {
        let (mut line, claim, mut latencies) =
            (Line::connect(self.port).await?, self.claim_next(), Vec::new());
        for _ in 0..RUSHES {
            ready.wait().await;
            let began = Instant::now();
            let answer = line.ask(&claim).await?;
            latencies.push(began.elapsed());
            let (item, held) = held(answer)?;
            line.ask(&self.request(&format!("/work-items/{item}/finish"), Some(&held))).await?;
        }
        Ok(latencies)
    }

    /// Claims an item and keeps it; gives the heartbeat that does so.
    async fn hold(self) -> Result<Vec<u8>> {
        let mut line = Line::connect(self.port).await?;
        let (item, held) = held(line.ask(&self.claim_next()).await?)?;
        Ok(self.request(&format!("/work-items/{item}/update"), Some(&held)))
    }
}

/// Which item was given, and what every later write about it has to show.
fn held(answer: &[u8]) -> Result<(String, Value)> {
    let claim: Value = serde_json::from_slice(answer)?;
    let item = claim["workItemId"].as_str().ok_or("a claim without an item")?;
    Ok((item.to_owned(), json!({"leaseId": claim["leaseId"], "fencingToken": claim["fencingToken"]})))
}

/// One connection's requests: when the first is due, and the time between two; gives when each answer came, and how long
/// it took. A request that is late because the one before took long counts from when it was due.
async fn repeat(
    port: u16,
    request: Vec<u8>,
    (first, every): (Instant, Duration),
    until: Instant,
) -> Result<Vec<(Instant, Duration)>> {
    let (mut line, mut due, mut answers) = (Line::connect(port).await?, first, Vec::new());
    while due < until {
        let mut begins = due;
        if due > Instant::now() {
            sleep_until(due.into()).await;
            begins = Instant::now();
        }
        line.ask(&request).await?;
        answers.push((Instant::now(), begins.elapsed()));
        due += every;
    }
    Ok(answers)
}

/// A kept-alive connection.
struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Line {
    async fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; ANSWER] })
    }

    /// Sends a request and reads the whole answer; gives its body.
    async fn ask(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err("the connection ended before the answer".into());
            }
            filled += read;
            if let Some(body) = body(&self.buffer[..filled])? {
                return Ok(&self.buffer[body]);
            }
        }
    }
}

/// Where the body of an answer is, once all of it is there; every answer but a good one is an error.
fn body(answer: &[u8]) -> Result<Option<Range<usize>>> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let body = end + 4..end + 4 + length.ok_or("an answer does not say how long it is")?;
    match head.starts_with("http/1.1 20") {
        _ if answer.len() < body.end => Ok(None),
        true => Ok(Some(body)),
        false => Err(String::from_utf8_lossy(answer).into_owned().into()),
    }
}

/// What was measured of one load: within how many milliseconds half, 95 and 99 of 100 were answered, how many were
/// answered in a second, and what was spent. What does not apply is none.
type Measured = [Option<f64>; 6];

/// How the figures of a load are shown: digits, and the unit.
const COLUMNS: [(usize, &str); 6] = [(2, " ms"), (2, " ms"), (2, " ms"), (0, ""), (1, " %"), (1, " %")];

fn measured(mut latencies: Vec<Duration>, time: Duration, [service, database]: Shares) -> Result<Measured> {
    latencies.sort();
    let ms = |share| within(&latencies, share).map(milliseconds).map(Some);
    let rate = latencies.len() as f64 / time.as_secs_f64();
    Ok([ms(0.5)?, ms(0.95)?, ms(0.99)?, Some(rate), service, database])
}

/// Processor time that is all there is to be said.
fn only([service, database]: Shares) -> Measured {
    [None, None, None, None, service, database]
}

/// What is left of shares when others are taken away.
fn less(from: Shares, what: Shares) -> Shares {
    std::array::from_fn(|at| Some(from[at]? - what[at]?))
}

/// Rows and columns that something is wanted of.
const CLAIMS_ROW: &str = "claims";
const RUSHES_ROW: &str = "claims at the same moment";
const BEATS_ROW: &str = "heartbeats, less reads";
const P95: usize = 1;
const SERVICE: usize = 4;

/// A figure of a row, round by round.
fn column(rounds: &[Round], row: &str, column: usize) -> Figures {
    let rows = rounds.iter().flatten().filter(|(name, _)| *name == row);
    rows.filter_map(|(_, measured)| measured[column]).collect::<Vec<_>>().into()
}

/// What was measured in one round, and what that is called.
type Round = Vec<(&'static str, Measured)>;

fn table(rounds: &[Round]) -> String {
    let mut text =
        "| | median | p95 | p99 | per second | the service, of one core | PostgreSQL, of one core |\n\
                    |---|---|---|---|---|---|---|\n"
            .to_owned();
    for (row, (name, first)) in rounds.first().into_iter().flatten().enumerate() {
        text.push_str(&format!("| {name} |"));
        for (column, (digits, unit)) in COLUMNS.into_iter().enumerate() {
            let mut figures = Figures::default();
            rounds.iter().filter_map(|round| round[row].1[column]).for_each(|figure| figures.push(figure));
            let shown = first[column].map(|_| figures.show(digits, unit));
            text.push_str(&format!(" {} |", shown.unwrap_or_default()));
        }
        text.push('\n');
    }
    text
}
