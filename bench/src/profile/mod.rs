//! Where the time of a delivery and of a tool call goes: what the service is seen at, and its instructions.
//!
//! Both look at the real binary over SQLite, which is a part of its process. `perf` looks where it is, some hundred
//! times a second, while it has as much to do as it can take; what was seen becomes a flame graph. callgrind counts the
//! instructions of two lives of the service that differ in nothing but the number of requests.

mod flame;
mod instructions;
mod report;
mod samples;

use std::{fmt, fs, path::Path, time::Duration};

use anstream::println;
use tempfile::TempDir;

use self::{
    instructions::{Callgrind, Cost},
    samples::{Perf, Stack},
};
use crate::{
    Plan, Result,
    after::Aftermath,
    answer::{Answer, Comparison},
    cargo,
    child::{self, Contender, Kind, Place, Target},
    disk::Disk,
    figures::Figures,
    load::{Bodies, Load, PUSH_BYTES},
    peers, tools,
};

/// Connections that post deliveries, while samples are taken.
const CONNECTIONS: usize = 32;

/// What the service is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// Deliveries, which somebody else would work through.
    Acknowledged,
    /// Deliveries, which it works through, too.
    Worked,
    /// Calls of a tool that reads.
    Called,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acknowledged => f.write_str("a delivery of 8 KB, acknowledged (role `web`)"),
            Self::Worked => f.write_str("a delivery of 8 KB, acknowledged and worked through"),
            Self::Called => write!(f, "a call of `{}`", tools::READ),
        }
    }
}

impl Subject {
    const ALL: [Self; 3] = [Self::Acknowledged, Self::Worked, Self::Called];

    /// Starts the service, or a script that stands for it.
    async fn start(self, binary: &Path) -> Result<Target> {
        let kind = if self == Self::Acknowledged { Kind::Web } else { Kind::Trackside };
        let place = Place { disk: Disk::AsIs, postgres: None, redis: None, scans: false };
        child::start(&Contender::new(kind, binary), &place).await
    }

    /// Asks a service for some time, over many connections or over one; gives how often. It is done with all of it
    /// then.
    async fn ask(self, target: &Target, bodies: &Bodies, is_alone: bool, time: Duration) -> Result<u64> {
        if self == Self::Called {
            let connections = if is_alone { 1 } else { tools::CONNECTIONS };
            return Ok(tools::reading(target).run(connections, None, time).await?.acknowledged);
        }
        let connections = if is_alone { 1 } else { CONNECTIONS };
        let measured = Load::new(target, bodies, connections).run(target, time).await?;
        Aftermath::of(target, &measured, true).await?;
        Ok(measured.acknowledged)
    }
}

/// A flame graph, and what it shows.
struct Flame {
    subject: Subject,
    /// Its file in `bench/plots/`.
    file: &'static str,
    stacks: Vec<Stack>,
}

/// Instructions of one request, round by round, and which functions they are of, in the last round.
struct Instructions {
    subject: Subject,
    each: Figures,
    last: Cost,
}

/// Takes samples, and counts instructions round by round; gives all that was found.
pub(crate) async fn answer(plan: &Plan) -> Result<Answer> {
    let (service, bodies, mut missing) = (cargo::service()?, Bodies::of_size(PUSH_BYTES), Vec::new());
    let flames = match Perf::find() {
        Some(perf) => take(&perf, &service, &bodies, &mut missing).await?,
        None => {
            missing.push(peers::missing("`perf`"));
            Vec::new()
        }
    };
    let counted = match Callgrind::find() {
        Some(callgrind) => count(&callgrind, &service, &bodies, plan.rounds.max(1)).await?,
        None => {
            missing.push(peers::missing("`valgrind`"));
            Vec::new()
        }
    };
    let mut answer = Answer::new(report::text(&flames, &counted)?)?;
    answer.comparisons = counted
        .iter()
        .map(|Instructions { subject, each, .. }| {
            Comparison::figure(subject.to_string(), each.clone(), " M instructions")
        })
        .collect();
    answer.missing = missing;
    Ok(answer)
}

/// Takes samples under load, and draws them.
async fn take(perf: &Perf, service: &Path, bodies: &Bodies, missing: &mut Vec<String>) -> Result<Vec<Flame>> {
    let mut flames = Vec::new();
    for (subject, file) in [(Subject::Worked, "flame-ingest.svg"), (Subject::Called, "flame-tool-call.svg")] {
        let (target, folder) = (subject.start(service).await?, TempDir::new()?);
        let load = subject.ask(&target, bodies, false, samples::TIME);
        let Some(stacks) = perf.take(&target, &folder.path().join("samples"), load).await? else {
            missing.push(
                "`perf` may not take samples here: it needs root, or a container that allows it".to_owned(),
            );
            break;
        };
        println!("  {} samples: {subject}", stacks.len());
        let picture = flame::draw(&format!("Where {subject} takes time"), &stacks)?;
        // A debug build of this only shows that it works.
        if !cfg!(debug_assertions) {
            let plots = Path::new(env!("CARGO_MANIFEST_DIR")).join("plots");
            fs::create_dir_all(&plots)?;
            fs::write(plots.join(file), picture)?;
        }
        flames.push(Flame { subject, file, stacks });
    }
    Ok(flames)
}

/// Counts the instructions of everything in turn, round after round. Nothing has to be warm for that.
async fn count(
    callgrind: &Callgrind,
    service: &Path,
    bodies: &Bodies,
    rounds: usize,
) -> Result<Vec<Instructions>> {
    let mut counted: Vec<_> = Subject::ALL
        .map(|subject| Instructions { subject, each: Figures::default(), last: Cost::default() })
        .into();
    for _ in 0..rounds {
        for Instructions { subject, each, last } in &mut counted {
            *last = callgrind.count(*subject, service, bodies).await?;
            println!("  {:.0} instructions: {subject}", last.all);
            each.push(last.all / 1e6);
        }
    }
    Ok(counted)
}
