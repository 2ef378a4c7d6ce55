//! Many who want overlapping files at the same moment, at two instances: what they were told is held against each other.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use serde_json::json;
use trackside::reservations::patterns::Pattern;

use super::{agent, asking, named};
use crate::support::{
    Server,
    agent::{Agent, Revision},
};

const AGENTS: usize = 32;
const ROUNDS: usize = 6;
const UNLIMITED: [(&str, &str); 2] =
    [("TRACKSIDE_REST_PER_MINUTE", "0"), ("TRACKSIDE_TOOLS_PER_MINUTE", "0")];
const PATTERNS: [&str; 10] = [
    "src/**",
    "src/a.rs",
    "src/a/**",
    "src/*.rs",
    "src/b/c.rs",
    "*.md",
    "docs/**",
    "docs/prd.md",
    "/README.md",
    "lib/x.rs",
];

/// What somebody certainly had: from when they were told so until they asked to give it back, in steps of the test.
struct Had {
    who: usize,
    pattern: &'static str,
    fence: i64,
    from: u64,
    until: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_want_overlapping_files_at_once_one_has_them_at_a_time() {
    let one = Server::start_with(&UNLIMITED).await;
    let other = one.another(&UNLIMITED).await;
    let project = one.project().await;
    let steps = AtomicU64::new(0);
    let step = || steps.fetch_add(1, Ordering::SeqCst);
    let mut crew: Vec<Agent> = Vec::new();
    for who in 0..AGENTS {
        let name = format!("agent {who}");
        let at = if who % 2 == 0 { &one } else { &other };
        let (client, _) = super::somebody(&one, &project, &name).await;
        crew.push(Agent::new(&at.client(client.key.as_deref().unwrap()), Revision::Newest));
    }
    let work = async |who: usize, agent: &Agent| {
        let mut had = Vec::new();
        for round in 0..ROUNDS {
            let pattern = PATTERNS[(who * 7 + round * 3) % PATTERNS.len()];
            let asked =
                json!({"name": "reserve_paths", "arguments": asking(&project, &[pattern], json!({}))});
            let mut answer = agent.send("tools/call", asked).await.expect(200);
            let result = answer.json["result"].take();
            let told = &result["structuredContent"];
            if result["isError"] == true {
                assert_eq!(told["code"], "already_reserved", "{told}");
                continue;
            }
            let (from, fence) = (step(), told["fencingToken"].as_i64().unwrap());
            tokio::task::yield_now().await;
            let until = step();
            agent.get("release_paths", named(&project, told)).await;
            had.push(Had { who, pattern, fence, from, until });
        }
        had
    };
    let had = join_all(crew.iter().enumerate().map(|(who, agent)| work(who, agent))).await;
    let had: Vec<_> = had.into_iter().flatten().collect();
    assert!(had.len() >= ROUNDS, "{} were granted", had.len());
    let parse = |text: &str| Pattern::parse("", text).unwrap();
    for (at, one) in had.iter().enumerate() {
        for other in &had[..at] {
            assert_ne!(one.fence, other.fence, "each has a fencing token of its own");
            let at_once = one.from < other.until && other.from < one.until;
            assert!(
                !at_once || !parse(one.pattern).overlaps(&parse(other.pattern)),
                "{} had {} while {} had {}",
                one.who,
                one.pattern,
                other.who,
                other.pattern
            );
        }
    }
    assert_eq!(project.all("/conflicts").await, Vec::<serde_json::Value>::new(), "nobody asked for a report");
    // Whoever comes when all is over finds it free.
    let late = agent(&one, &project, "late").await;
    late.get("reserve_paths", asking(&project, &["**/*"], json!({}))).await;
}
