//! How many instructions the paths take that are walked most, held to a baseline: whatever makes one of them dearer
//! shows here, on any machine and however busy that is.
//!
//! Valgrind's callgrind counts what a whole process executes. Each path is walked by processes of its own, in one a
//! few times and in the other many times; what the two differ by is what the path takes, because the way to it is in
//! both. So the threads of the database and what they say to each other count too, which is why no harness does this
//! that counts one function on its own thread, such as gungraun.
//!
//! What is counted is the tests' own build, unoptimized: a number is good for comparison with the same number of
//! another day, and for nothing else. Another compiler or another version of a dependency may well need a new
//! baseline. Numbers of another architecture have nothing to do with these, so there is nothing to compare there.

#![cfg(target_arch = "x86_64")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use scratch::Scratch;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use trackside::samples::{Commit, Repository, WorkflowRun};
use uuid::Uuid;

use crate::support::{Server, dawn};

/// A path that is walked, by the name of its test in [`counted`].
struct Walk {
    name: &'static str,
    /// Often enough that everything is warm: connections are open, statements are prepared.
    few: u64,
    many: u64,
}

const WALKS: [Walk; 4] = [
    Walk { name: "signature_check_of_8_kb", few: 20, many: 320 },
    Walk { name: "token_bucket_take", few: 200, many: 5_200 },
    Walk { name: "event_append", few: 50, many: 850 },
    Walk { name: "project_status_read", few: 20, many: 80 },
];

/// By how many percent a count may be off its baseline, either way. Two runs of one build differ by less, but they do:
/// by when which thread is woken, and by the seeds of hash tables.
const TOLERANCE: f64 = 5.0;

/// Says, if it is set, that the counts are the new baseline.
const WRITE: &str = "TRACKSIDE_WRITE_INSTRUCTIONS";

const AGAIN: &str = "TRACKSIDE_WRITE_INSTRUCTIONS=1 cargo nextest run instructions::";

/// What was counted, or is written down, by the name of the walk.
type Counts = BTreeMap<String, u64>;

fn baseline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/instructions.baseline.json")
}

#[tokio::test]
async fn no_path_takes_more_or_fewer_instructions_than_are_written_down() {
    if env::var_os("TRACKSIDE_TEST_POSTGRES").is_some() {
        return; // the database would be another process; on SQLite they are counted by the same suite
    }
    let past = Past::make().await;
    let counts: Counts = WALKS.iter().map(|walk| (walk.name.to_owned(), walk.count(&past))).collect();
    if env::var_os(WRITE).is_some() {
        fs::write(baseline(), serde_json::to_string_pretty(&counts).unwrap() + "\n").unwrap();
        return;
    }
    let known: Counts = serde_json::from_str(&fs::read_to_string(baseline()).unwrap()).unwrap();
    let complaints = complaints(&counts, &known);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// What there is to say about counts that are not as they are written down.
fn complaints(counts: &Counts, known: &Counts) -> Vec<String> {
    let forgotten = known.keys().filter(|name| !counts.contains_key(*name));
    let forgotten = forgotten.map(|name| format!("{name} is written down and not counted: {AGAIN}"));
    let complaint = |(name, count): (&String, &u64)| match known.get(name) {
        Some(known) => off(name, *count, *known),
        None => Some(format!("{name} takes {count} instructions, and none are written down: {AGAIN}")),
    };
    counts.iter().filter_map(complaint).chain(forgotten).collect()
}

/// What there is to say about a count that is too far from its baseline.
fn off(name: &str, count: u64, known: u64) -> Option<String> {
    let percent = (count as f64 - known as f64) * 100.0 / known as f64;
    if percent.abs() <= TOLERANCE {
        return None;
    }
    let what = match percent > 0.0 {
        true => "More than before: look for what made it dearer; if that is meant, write the new count down",
        false => "Good news, it is cheaper than before: write the new count down, so that it stays so",
    };
    Some(format!("{name} takes {count} instructions instead of {known}, {percent:+.1} %. {what}: {AGAIN}"))
}

#[test]
fn a_count_may_be_off_by_five_percent_either_way() {
    let said = |count| off("event_append", count, 1_000_000).unwrap_or_default();
    assert_eq!([950_000, 1_000_000, 1_050_000].map(said), ["", "", ""]);
    assert!(said(1_060_000).contains("+6.0 %. More than before"), "{}", said(1_060_000));
    assert!(said(940_000).contains("-6.0 %. Good news"), "{}", said(940_000));
}

#[test]
fn every_path_is_counted_and_written_down() {
    let [one, other] = ["a", "b"].map(|name| Counts::from([(name.to_owned(), 1)]));
    assert_eq!(complaints(&one, &one), Vec::<String>::new());
    let complaints = complaints(&one, &other);
    assert!(complaints[0].starts_with("a takes 1 instructions, and none are written down"), "{complaints:?}");
    assert!(complaints[1].starts_with("b is written down and not counted"), "{complaints:?}");
}

/// An installation at rest, with a project that something happened in.
struct Past {
    place: Arc<Scratch>,
    tenant: Uuid,
    project: Uuid,
}

impl Past {
    /// Made before anybody counts: under callgrind a whole service takes long to start, and its schema to be made.
    async fn make() -> Self {
        let server = Server::start().await;
        let project = server.project().await;
        let mut repository = Repository::new("acme/rocket", dawn());
        let documents = ["docs/prd.md", "docs/stories/1.md", "docs/stories/2.md"];
        let commit = Commit { added: &documents, ..Commit::default() };
        project.deliver("push", &repository.push("main", &[commit])).await.expect(202);
        for id in 1..=10 {
            project.settled().await;
            let (status, conclusion) = ("completed", Some("failure"));
            let run = WorkflowRun { id, name: "CI", attempt: 1, status, conclusion, branch: "main" };
            project.deliver(&id.to_string(), &repository.workflow_run(&run)).await.expect(202);
        }
        project.settled().await;
        let Server { service, place, .. } = server;
        service.stop().await;
        Self { place, tenant: project.tenant.id.0, project: project.id.parse().unwrap() }
    }

    /// A copy for one process, which may go on from here. After a clean stop the files of the folder are everything.
    fn copy(&self) -> TempDir {
        let folder = TempDir::new().unwrap();
        for entry in fs::read_dir(self.place.path()).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
        }
        folder
    }
}

impl Walk {
    /// The instructions of one time.
    fn count(&self, past: &Past) -> u64 {
        let [few, many] = [self.few, self.many].map(|times| self.begin(past, times)).map(Counting::end);
        many.saturating_sub(few) / (self.many - self.few)
    }

    /// Starts a process that walks so many times.
    fn begin(&self, past: &Past, times: u64) -> Counting {
        let folder = past.copy();
        let asked =
            Asked { times, folder: folder.path().to_owned(), tenant: past.tenant, project: past.project };
        let process = Command::new("valgrind")
            .args(["--tool=callgrind", "--quiet", "--vgdb=no"])
            .arg(format!("--callgrind-out-file={}", folder.path().join(PROFILE).display()))
            .arg(env::current_exe().unwrap())
            .args(["--exact", &format!("instructions::counted::{}", self.name), "--nocapture"])
            .env(ASKED, serde_json::to_string(&asked).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "valgrind cannot be run ({error}): install it with `apt-get install valgrind`, or have \
                     ./scripts/test do so"
                )
            });
        Counting { process, folder }
    }
}

/// What callgrind writes, in the folder of the process.
const PROFILE: &str = "callgrind.out";

/// A process whose instructions are counted.
struct Counting {
    process: Child,
    folder: TempDir,
}

impl Counting {
    /// Waits for its end; gives the instructions of all of its threads.
    fn end(self) -> u64 {
        let output = self.process.wait_with_output().unwrap();
        let [told, complained] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(output.status.success() && told.contains("1 passed"), "{told}{complained}");
        let profile = fs::read_to_string(self.folder.path().join(PROFILE)).unwrap();
        let total = profile.lines().rev().find_map(|line| line.strip_prefix("totals:"));
        total.and_then(|total| total.trim().parse().ok()).expect("a total of instructions at the end")
    }
}

/// Tells a process of this binary what it is asked for.
const ASKED: &str = "TRACKSIDE_TEST_COUNTED";

/// What a process that is counted is asked for.
#[derive(Deserialize, Serialize)]
struct Asked {
    times: u64,
    folder: PathBuf,
    tenant: Uuid,
    project: Uuid,
}

/// The paths. They are walked only in a process that is counted; elsewhere these tests are over at once.
mod counted {
    use std::{collections::BTreeMap, env, sync::Arc};

    use chrono::TimeDelta;
    use serde_json::json;
    use trackside::{
        accounts::{Credential, Principal, PrincipalId, PrincipalKind, Role},
        app::App,
        clock::{Clock, Ids},
        config::{Config, Sources},
        database::TenantId,
        events::{self, EventName, NewEvent},
        front_doors,
        limits::Limits,
        projects::ProjectId,
        samples::{Repository, sign},
        status::get_project_status,
    };
    use uuid::Uuid;

    use super::{ASKED, Asked};
    use crate::support::dawn;

    impl Asked {
        /// What this process is asked for, if it is one that is counted.
        fn here() -> Option<Self> {
            let asked = env::var(ASKED).ok()?;
            Some(serde_json::from_str(&asked).unwrap())
        }

        /// The service's parts over what was there before, an hour later and with ids that are the same each time.
        async fn app(&self) -> Arc<App> {
            let folder = self.folder.display();
            let config = config(&[
                ("DATABASE_URL", format!("sqlite://{folder}/trackside.db")),
                ("TRACKSIDE_DATA_DIR", folder.to_string()),
                ("TRACKSIDE_SCANS", "false".to_owned()),
            ]);
            let (clock, address) = (Clock::mock(dawn() + TimeDelta::hours(1)), config.listen);
            App::open(config, clock.clone(), Ids::seeded(clock, 1), address).await.unwrap()
        }
    }

    fn config(settings: &[(&str, String)]) -> Config {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let environment: BTreeMap<_, _> = settings.collect();
        Config::load(&Sources { environment, ..Sources::default() }).unwrap()
    }

    /// One that another secret has signed, which takes the same check as one that is let in.
    #[test]
    fn signature_check_of_8_kb() {
        let Some(asked) = Asked::here() else { return };
        let push = Repository::new("acme/rocket", dawn()).push_of_size("main", 8_000);
        let body = push.bytes();
        let signature = sign("another secret", &body);
        let head = format!("{}\nx-github-event: push\nx-hub-signature-256: {signature}\n\n", push.source);
        let delivery = [head.as_bytes(), &body].concat();
        for _ in 0..asked.times {
            front_doors::signature(&delivery);
        }
    }

    #[tokio::test]
    async fn token_bucket_take() {
        let Some(asked) = Asked::here() else { return };
        let clock = Clock::mock(dawn());
        let config = config(&[("TRACKSIDE_REST_PER_MINUTE", "1000000".to_owned())]);
        let (limits, who) = (Limits::new(&config, &clock, None), PrincipalId(Uuid::from_u128(1)));
        for _ in 0..asked.times {
            limits.rest.take(&who).await.1.unwrap();
        }
    }

    #[tokio::test]
    async fn event_append() {
        let Some(asked) = Asked::here() else { return };
        let app = asked.app().await;
        let (tenant, project) = (TenantId(asked.tenant), ProjectId(asked.project));
        for _ in 0..asked.times {
            let payload = json!({"branch": "main", "author": "octavia-dev", "message": "Small corrections"});
            let (event, teller) = (NewEvent { name: EventName::Push, payload }, Arc::clone(&app));
            let told = app.database.write(tenant, move |tx| {
                Box::pin(async move { events::tell(&teller, tx, project, vec![event]).await })
            });
            told.await.unwrap();
        }
        app.database.close().await; // so that no thread is cut short somewhere
    }

    #[tokio::test]
    async fn project_status_read() {
        let Some(asked) = Asked::here() else { return };
        let app = asked.app().await;
        let (reader, project) = (reader(TenantId(asked.tenant)), ProjectId(asked.project));
        for _ in 0..asked.times {
            app.bus.wake(project); // or the status of a moment ago would do
            let status = get_project_status(&app, &reader, project).await.unwrap();
            assert_eq!(status.failing.len(), 1);
        }
        app.database.close().await;
    }

    fn reader(tenant: TenantId) -> Principal {
        let id = PrincipalId(Uuid::from_u128(1));
        Principal {
            tenant,
            id,
            role: Role::Viewer,
            agent_role: None,
            kind: PrincipalKind::User,
            name: "Ada".to_owned(),
            credential: Credential::Member(id),
            client: "browser".to_owned(),
            scopes: Role::Viewer.scopes(),
            projects: None,
            expires_at: None,
        }
    }
}
