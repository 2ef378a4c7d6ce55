//! Tool calls: one that reads, one that writes, and one that is refused because its bucket is empty, beside servers
//! that do nothing but echo.
//!
//! A call of the service is authenticated, limited, and recorded on disk before its answer, a refused one too. When a
//! round has ended there must be as many records as calls.

mod echo;
mod peers;
mod report;

use std::{sync::Arc, time::Duration};

use anstream::println;

use self::peers::{Answering, Errand, Peer};
pub(crate) use self::{
    echo::serve_echo,
    peers::{READ, reading},
};
use crate::{
    Plan, Result,
    answer::Answer,
    calls::Revision,
    cargo,
    child::Place,
    disk::Disk,
    figures::{Figures, milliseconds},
    load::Measured,
    postgres::Postgres,
};

/// Connections that call.
pub(crate) const CONNECTIONS: usize = 16;

/// Measures all of them in turn, round after round; gives every figure.
pub(crate) async fn answer(plan: &Plan) -> Result<Answer> {
    let (peers, missing) = Peer::all(&cargo::service()?);
    let mut all: Vec<_> = peers.into_iter().map(Entrant::new).collect();
    let postgres = Arc::new(Postgres::start(Disk::AsIs)?);
    postgres.season().await?;
    let place = Place { disk: Disk::AsIs, postgres: Some(Arc::clone(&postgres)), redis: None, scans: false };
    for round in 0..=plan.rounds {
        for entrant in &mut all {
            println!("  {} {}", if round == 0 { "warm-up" } else { "round" }, entrant.peer);
            postgres.clear().await?;
            entrant.measure(&place, plan.time, round > 0).await?;
        }
    }
    let mut answer = Answer::new(report::text(&all)?)?;
    answer.comparisons = report::comparisons(&all);
    answer.charts = vec![report::chart(&all)];
    answer.missing = missing;
    Ok(answer)
}

/// Somebody, and what was measured of each thing that they are asked.
struct Entrant {
    peer: Peer,
    rows: Vec<Row>,
}

impl Entrant {
    fn new(peer: Peer) -> Self {
        let rows = peer.errands().iter().map(|(errand, revision)| Row::new(*errand, *revision)).collect();
        Self { peer, rows }
    }

    /// Measures everything once, in a process of its own.
    async fn measure(&mut self, place: &Place, time: Duration, counts: bool) -> Result<()> {
        let running = self.peer.start(place).await?;
        let (mut calls, mut refused) = (running.made, 0);
        for row in &mut self.rows {
            let made = row.measure(&running, self.peer.is_ours(), time, counts).await?;
            calls += made;
            refused += if row.errand == Errand::Limited { made } else { 0 };
        }
        running.check(calls, refused).await
    }
}

/// What was measured of one thing that is asked.
struct Row {
    errand: Errand,
    revision: Revision,
    peak: Rates,
    /// At half the rate.
    half: Rates,
    /// Why there is nothing.
    refusal: Option<String>,
}

/// Calls per second, and within how many milliseconds half and 99 of 100 were answered.
#[derive(Default)]
struct Rates {
    rate: Figures,
    p50: Figures,
    p99: Figures,
}

impl Rates {
    fn push(&mut self, measured: &Measured) {
        self.rate.push(measured.rate);
        self.p50.push(milliseconds(measured.p50));
        self.p99.push(milliseconds(measured.p99));
    }
}

impl Row {
    fn new(errand: Errand, revision: Revision) -> Self {
        let (peak, half) = Default::default();
        Self { errand, revision, peak, half, refusal: None }
    }

    /// Measures; gives how many calls that were. What is asked of the service must be answered well, and is measured
    /// at half the rate, too.
    async fn measure(
        &mut self,
        running: &Answering,
        is_ours: bool,
        time: Duration,
        counts: bool,
    ) -> Result<u64> {
        let (call, name) = (running.call(self.errand, self.revision), self.revision.name());
        if let Err(error) = call.once().await {
            if is_ours {
                return Err(error);
            }
            println!("    {name}: {error}");
            self.refusal = Some(error.to_string());
            return Ok(0);
        }
        let peak = call.run(CONNECTIONS, None, time).await?;
        let mut calls = 1 + peak.acknowledged;
        println!("    {:?}, {name}: {}", self.errand, brief(&peak));
        if counts {
            self.peak.push(&peak);
        }
        if is_ours {
            let half = call.run(CONNECTIONS, Some(peak.rate / 2.0), time).await?;
            calls += half.acknowledged;
            println!("    {:?}, {name}, at half of that: {}", self.errand, brief(&half));
            if counts {
                self.half.push(&half);
            }
        }
        Ok(calls)
    }
}

fn brief(Measured { rate, p50, p99, .. }: &Measured) -> String {
    format!("{rate:.0}/s, p50 {p50:.2?}, p99 {p99:.2?}")
}
