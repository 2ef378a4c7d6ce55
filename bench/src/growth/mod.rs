//! Growth: what ten thousand, a million and ten million stored deliveries change, with their events, and with documents
//! and work items, beside a database that has hardly any.
//!
//! Both are on one PostgreSQL server, and are asked in turn, operation by operation. The one that has grown is filled
//! once and stays; the other is made anew in each round. SQLite is left out: it would have to be filled by SQL of its
//! own.

mod fill;
mod reads;

use std::{fmt::Write as _, path::Path, sync::Arc, time::Duration};

use anstream::println;
use clap::{Args, value_parser};
use sea_orm::ConnectionTrait as _;
use trackside::clock::{Clock, oldest_id_of};

use self::{
    fill::Filled,
    reads::{Read, TIMES},
};
use crate::{
    Plan, Result,
    after::{connect, number},
    answer::{Aim, Answer, Comparison},
    cargo,
    child::{self, Contender, Kind, Place, Target},
    disk::Disk,
    figures::{Figures, milliseconds},
    load::{Bodies, Load, Measured, PUSH_BYTES},
    plots::{Axis, Chart, Line, Shape},
    postgres::Postgres,
};

/// How many deliveries are stored before, unless somebody says otherwise.
const SIZES: [u64; 3] = [10_000, 1_000_000, 10_000_000];
/// Deliveries in the database beside it: hardly any, but a page of everything.
const HARDLY_ANY: u64 = 1_000;
/// Connections that post.
const CONNECTIONS: usize = 32;
/// How long the service is given to work through what was posted.
const PATIENCE: Duration = Duration::from_secs(120);
/// What it is beside.
const BESIDE: &str = "a database with hardly any";

/// How much is stored.
#[derive(Args)]
pub(crate) struct Growth {
    /// Deliveries that are stored before, separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        default_values_t = SIZES,
        value_parser = value_parser!(u64).range(1_000..=100_000_000)
    )]
    rows: Vec<u64>,
}

impl Growth {
    /// Whether everything is measured that the report is about.
    pub(crate) fn is_complete(&self) -> bool {
        self.rows == SIZES
    }
}

/// Measures every size.
pub(crate) async fn answer(plan: &Plan, growth: &Growth) -> Result<Answer> {
    let service = cargo::service()?;
    let mut sizes = Vec::new();
    for rows in &growth.rows {
        sizes.push(Size::measure(&service, *rows, plan).await?);
    }
    let mut answer = Answer::new(text(&sizes, plan)?)?;
    answer.comparisons = comparisons(&sizes);
    answer.charts = vec![chart(&sizes)];
    Ok(answer)
}

/// A running service, and what is in its database.
struct Side {
    target: Target,
    filled: Filled,
}

impl Side {
    async fn start(service: &Path, place: &Place, deliveries: u64, repeats: u64) -> Result<Self> {
        let target = child::start(&Contender::new(Kind::Trackside, service), place).await?;
        let filled = fill::fill(&target, deliveries, repeats).await?;
        Ok(Self { target, filled })
    }

    /// Posts for some time and waits until all of it is worked through.
    async fn ingest(&self, time: Duration) -> Result<Measured> {
        let since = oldest_id_of(Clock::system().now());
        let measured = Load::new(&self.target, &Bodies::of_size(PUSH_BYTES), CONNECTIONS)
            .run(&self.target, time)
            .await?;
        let database = connect(&self.target.database().ok_or("there is no database")?).await?;
        let posted = format!("SELECT count(*) FROM webhook_event WHERE id >= '{since}'");
        let stored = number(&database, &posted).await?;
        if stored.unsigned_abs() != measured.acknowledged {
            return Err(format!("{} were acknowledged, {stored} are stored", measured.acknowledged).into());
        }
        let worked_through = async {
            while number(&database, "SELECT count(*) FROM (SELECT 1 FROM job LIMIT 1) AS left_over").await?
                > 0
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Result::Ok(())
        };
        let ended = tokio::time::timeout(PATIENCE, worked_through).await;
        ended.map_err(|_| "the service did not work through its deliveries in two minutes")??;
        database.close().await?;
        Ok(measured)
    }
}

/// How fast something was on one side, round by round.
#[derive(Default)]
struct Pace {
    /// Per second; only of what is posted.
    rate: Figures,
    /// Half of them were answered within so many milliseconds.
    half: Figures,
    /// 95 of 100 were answered within so many milliseconds, and of what is posted 99 of 100.
    most: Figures,
}

/// The same on both sides: the one that has grown, and the one beside it.
type Paces = [Pace; 2];

/// Everything about one size.
struct Size {
    filled: Filled,
    ingest: Paces,
    reads: Vec<(Read, Paces)>,
}

impl Size {
    async fn measure(service: &Path, rows: u64, plan: &Plan) -> Result<Self> {
        println!("{} deliveries", grouped(rows));
        let postgres = Arc::new(Postgres::start(Disk::AsIs)?);
        let repeats = fill::room(postgres.folder(), rows)?;
        postgres.season().await?;
        let place =
            Place { disk: Disk::AsIs, postgres: Some(Arc::clone(&postgres)), redis: None, scans: false };
        let grown = Side::start(service, &place, rows, repeats).await?;
        println!("  filled in {:.0?}", grown.filled.took);
        let (mut ingest, mut reads) = (Paces::default(), Read::ALL.map(|read| (read, Paces::default())));
        for round in 0..=plan.rounds {
            println!("  {}", if round == 0 { "warm-up" } else { "round" });
            let beside = Side::start(service, &place, HARDLY_ANY, repeats).await?;
            let sides = [&grown, &beside];
            for (read, paces) in &mut reads {
                for (side, pace) in sides.into_iter().zip(paces) {
                    let [half, most] = read.measure(&side.target, &side.filled).await?;
                    println!("    {}: p50 {half:.2?}, p95 {most:.2?}", read.name());
                    if round > 0 {
                        pace.half.push(milliseconds(half));
                        pace.most.push(milliseconds(most));
                    }
                }
            }
            checkpoint(&grown.target).await?;
            for (side, pace) in sides.into_iter().zip(&mut ingest) {
                let measured = side.ingest(plan.time).await?;
                println!("    ingest: {measured}");
                if round > 0 {
                    pace.rate.push(measured.rate);
                    pace.half.push(milliseconds(measured.p50));
                    pace.most.push(milliseconds(measured.p99));
                }
            }
        }
        Ok(Self { filled: grown.filled, ingest, reads: reads.into() })
    }

    fn name(&self) -> String {
        format!("{} stored", grouped(self.filled.deliveries))
    }
}

/// Lets the server write down everything, so that it does not begin to in the midst of what is measured.
async fn checkpoint(target: &Target) -> Result<()> {
    let database = connect(&target.database().ok_or("there is no database")?).await?;
    database.execute_unprepared("CHECKPOINT").await?;
    Ok(database.close().await?)
}

/// A number as people write it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn comparisons(sizes: &[Size]) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for size in sizes {
        let [grown, beside] = &size.ingest;
        let what = format!("ingest, {}", size.name());
        comparisons.push(Comparison::times(what, &grown.rate, BESIDE, &beside.rate).aim(
            Aim::AtLeast(0.9),
            "Ids of deliveries are random: each lands on another page of the index by which repetitions are known, and \
             the first time after a checkpoint that a page is changed PostgreSQL logs all of it, 8 KB for one delivery.",
        ));
    }
    if let Some(largest) = sizes.iter().max_by_key(|size| size.filled.deliveries) {
        for (read, [grown, beside]) in &largest.reads {
            let what = format!("time of {}, {}", read.name(), largest.name());
            comparisons.push(Comparison::times(what, &grown.half, BESIDE, &beside.half));
        }
    }
    comparisons
}

fn chart(sizes: &[Size]) -> Chart {
    let points = |speed: &dyn Fn(&Size) -> Figures| -> Vec<(f64, f64)> {
        sizes.iter().map(|size| (size.filled.deliveries as f64, speed(size).median())).collect()
    };
    let ingest = |size: &Size| {
        let [grown, beside] = &size.ingest;
        grown.rate.over(&beside.rate)
    };
    let mut lines = vec![Line { name: "ingest".to_owned(), points: points(&ingest), is_ours: true }];
    for (at, read) in Read::ALL.into_iter().enumerate() {
        // Half the time is twice the speed.
        let speed = |size: &Size| {
            let (_, [grown, beside]) = &size.reads[at];
            beside.half.over(&grown.half)
        };
        lines.push(Line { name: read.name().to_owned(), points: points(&speed), is_ours: false });
    }
    let axis = |name: &str, is_logarithmic| Axis { name: name.to_owned(), is_logarithmic };
    let (x, y) = (axis("deliveries stored before", true), axis("times the speed with hardly any", false));
    let title = "Speed as a database grows, beside one with hardly anything in it".to_owned();
    Chart { file: "growth".to_owned(), title, shape: Shape::Lines { x, y, lines } }
}

fn text(sizes: &[Size], plan: &Plan) -> Result<String> {
    let mut text = format!(
        "\
A database is filled by SQL before anything is measured: deliveries, as they are stored when they have been worked \
through; their two events each; and for every hundred of them a document with its text, its words and its work item, but \
no fewer than 100 of those and no more than 100,000. 17 of 20 belong to the project that is measured, the others to three \
more. Then it is vacuumed and analyzed. Beside it, on the same server, stands a database with {}, made anew in each round, \
so that a page of a list is as long. Two processes of the service run, one over each, and are asked in turn, operation by \
operation; what one of them has to work through is done before the other is asked.

Reads are {TIMES} each by REST over one kept-alive connection, one after the other: 50 rows of a list, from its beginning \
and by a cursor that leads into its middle; searches for five queries in turn, 20 results each with a snippet; and the \
status, each time after a change to the project, because it is kept for a second otherwise. Ingest is signed pushes of \
8 KB over {CONNECTIONS} connections for {} s after half a second that is not counted, answered after the commit, and \
worked through meanwhile by the same process. Everything that was acknowledged is there. Right before it comes a \
checkpoint: until the next one PostgreSQL logs each page whole when it is changed first, which is when a large index \
costs most. What was posted stays.

Durability is the same on both sides: PostgreSQL with `fsync`, `synchronous_commit` and `full_page_writes` on, and 512 MB \
of shared_buffers. Only while it is filled nobody waits for its commits. SQLite is not measured.
",
        grouped(HARDLY_ANY),
        plan.time.as_secs_f64(),
    );
    for size in sizes {
        write_size(size, &mut text)?;
    }
    Ok(text)
}

fn write_size(size: &Size, text: &mut String) -> Result<()> {
    let Filled { deliveries, documents, body, took, .. } = &size.filled;
    write!(
        text,
        "\n### {} deliveries\n\nWith {} events, {} documents and as many work items; {body} bytes of each body. Filled in \
         {:.0} s.\n\n| | per second | p50 | p99 | beside it, per second | p50 | p99 | times as fast |\n\
         |---|---|---|---|---|---|---|---|\n",
        grouped(*deliveries),
        grouped(2 * deliveries),
        grouped(*documents),
        took.as_secs_f64(),
    )?;
    let shown = |pace: &Pace| format!("{} | {}", pace.half.show(2, " ms"), pace.most.show(2, " ms"));
    let [grown, beside] = &size.ingest;
    let (rate, its_rate) = (grown.rate.show(0, ""), beside.rate.show(0, ""));
    let ratio = grown.rate.over(&beside.rate).show(2, "×");
    writeln!(text, "| ingest | {rate} | {} | {its_rate} | {} | {ratio} |", shown(grown), shown(beside))?;
    text.push_str(
        "\n| | p50 | p95 | beside it, p50 | p95 | takes times as long |\n|---|---|---|---|---|---|\n",
    );
    for (read, [grown, beside]) in &size.reads {
        let ratio = grown.half.over(&beside.half).show(2, "×");
        writeln!(text, "| {} | {} | {} | {ratio} |", read.name(), shown(grown), shown(beside))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn digits_are_grouped_by_three() {
        let grouped = [1, 12, 123, 1_234, 123_456, 10_000_000].map(grouped);
        assert_eq!(grouped, ["1", "12", "123", "1,234", "123,456", "10,000,000"]);
    }
}
