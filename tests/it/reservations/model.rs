//! Reservations beside a small model of them, which knows files by number and holds no more than who has which until when.

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use super::{agent, asking, named};
use crate::support::Server;

/// Patterns, and which of a few files each covers: two overlap if they cover one in common.
const PATTERNS: [(&str, &[u8]); 6] = [
    ("src/a.rs", &[0]),
    ("src/b.rs", &[1]),
    ("src/**", &[0, 1, 4]),
    ("docs/x.md", &[2]),
    ("*.md", &[2, 3, 4]),
    ("/README.md", &[3]),
];
const AGENTS: usize = 3;
const CASES: usize = 10;

#[derive(Clone, Debug)]
enum Step {
    Reserve { who: usize, patterns: Vec<usize>, is_shared: bool, reports: bool, seconds: i64 },
    Renew { who: usize, nth: usize },
    Release { who: usize, nth: usize },
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..AGENTS;
    prop_oneof![
        4 => (who(), vec(0..PATTERNS.len(), 1..3), any::<bool>(), prop::bool::weighted(0.2), select(vec![30_i64, 60, 120]))
            .prop_map(|(who, patterns, is_shared, reports, seconds)| Step::Reserve { who, patterns, is_shared, reports, seconds }),
        2 => (who(), 0..8_usize).prop_map(|(who, nth)| Step::Renew { who, nth }),
        2 => (who(), 0..8_usize).prop_map(|(who, nth)| Step::Release { who, nth }),
        2 => select(vec![1_i64, 29, 30, 60]).prop_map(Step::Wait),
    ]
}

/// A reservation as the model knows it.
struct Kept {
    who: usize,
    files: Vec<u8>,
    is_shared: bool,
    seconds: i64,
    until: i64,
    is_released: bool,
    named: Value,
}

impl Kept {
    fn is_live(&self, now: i64) -> bool {
        !self.is_released && now < self.until
    }
}

#[tokio::test]
async fn whatever_is_asked_in_whatever_order_it_is_answered_as_the_model_says() {
    let server = Server::start_with(&[("TRACKSIDE_TOOLS_PER_MINUTE", "0")]).await;
    let mut runner = TestRunner::new(Config::default());
    for _ in 0..CASES {
        let steps = vec(step(), 5..30).new_tree(&mut runner).unwrap().current();
        play(&server, &steps).await;
    }
}

async fn play(server: &Server, steps: &[Step]) {
    let project = server.project().await;
    let mut crew = Vec::new();
    for who in 0..AGENTS {
        crew.push(agent(server, &project, &format!("agent {who}")).await);
    }
    let (mut now, mut fence, mut kept) = (0_i64, 0_i64, Vec::<Kept>::new());
    for (at, step) in steps.iter().enumerate() {
        let place = format!("step {at} of {steps:?}");
        match step {
            Step::Wait(seconds) => {
                server.advance(*seconds);
                now += seconds;
            }
            Step::Reserve { who, patterns, is_shared, reports, seconds } => {
                let files: Vec<u8> = patterns.iter().flat_map(|at| PATTERNS[*at].1.to_vec()).collect();
                let clashes = |other: &Kept| {
                    other.is_live(now)
                        && !(*is_shared && other.is_shared)
                        && other.files.iter().any(|file| files.contains(file))
                };
                let is_refused = !reports && kept.iter().any(clashes);
                let paths: Vec<_> = patterns.iter().map(|at| PATTERNS[*at].0).collect();
                let mode = if *is_shared { "shared" } else { "exclusive" };
                let more = json!({"mode": mode, "report": reports, "leaseSeconds": seconds});
                let result = crew[*who].call("reserve_paths", asking(&project, &paths, more)).await;
                let told = &result["structuredContent"];
                assert_eq!(result["isError"], is_refused, "{place}: {told}");
                if is_refused {
                    assert_eq!(told["code"], "already_reserved", "{place}");
                    continue;
                }
                fence += 1;
                assert_eq!(told["fencingToken"], fence, "{place}");
                kept.push(Kept {
                    who: *who,
                    files,
                    is_shared: *is_shared,
                    seconds: *seconds,
                    until: now + seconds,
                    is_released: false,
                    named: named(&project, told),
                });
            }
            Step::Renew { who, nth } | Step::Release { who, nth } => {
                let Some(meant) = kept.get_mut(*nth) else { continue };
                let may = meant.who == *who && meant.is_live(now);
                let is_renewal = matches!(step, Step::Renew { .. });
                let tool = if is_renewal { "reserve_paths" } else { "release_paths" };
                let result = crew[*who].call(tool, meant.named.clone()).await;
                let told = &result["structuredContent"];
                assert_eq!(result["isError"], !may, "{place}: {told}");
                match may {
                    true if is_renewal => meant.until = now + meant.seconds,
                    true => meant.is_released = true,
                    false => assert_eq!(told["code"], "lease_lost", "{place}"),
                }
            }
        }
        let live = kept.iter().filter(|kept| kept.is_live(now)).count();
        assert_eq!(project.all("/reservations").await.len(), live, "{place}");
    }
}
