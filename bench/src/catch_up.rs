//! Somebody who comes back from far behind: the whole log of a project by its stream, beside the database's own client
//! that prints the same rows.
//!
//! The log is put into the database from outside, with everything that a real one has, before anybody follows it.

use std::{
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anstream::println;
use reqwest::Client;
use sea_orm::ConnectionTrait as _;

use crate::{
    Plan, Result,
    after::{connect, number},
    answer::{Answer, Comparison},
    cargo,
    child::{self, Contender, Kind, Place, Target},
    disk::Disk,
    figures::Figures,
    peers,
    plots::{Axis, Bar, Chart, Shape},
    postgres::Postgres,
};

/// Events of the log.
const EVENTS: i64 = 100_000;

const POSTGRES: &str = "
    INSERT INTO event (project_id, position, tenant_id, name, cause_id, payload, created_at)
      SELECT project_id, position + number, tenant_id, 'delivery_received', id,
             jsonb_build_object('id', id, 'source', 'github', 'deliveryId', 'bench-' || number, 'eventType', 'push'),
             clock_timestamp()
      FROM event_head, (SELECT number, gen_random_uuid() AS id FROM generate_series(1, 100000) number) made;
    UPDATE event_head SET position = position + 100000";

const SQLITE: &str = "
    WITH RECURSIVE made (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM made WHERE number < 100000)
    INSERT INTO event (project_id, position, tenant_id, name, cause_id, payload, created_at)
      SELECT project_id, position + number, tenant_id, 'delivery_received', randomblob(16),
             json_object('id', printf('%08x-cc78-4000-8000-%012x', number, number), 'source', 'github',
                         'deliveryId', 'bench-' || number, 'eventType', 'push'),
             strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now')
      FROM event_head, made;
    UPDATE event_head SET position = position + 100000";

/// A long log in one database, and who has read it how fast: events per second.
struct Log {
    store: &'static str,
    /// Whoever reads it beside the service, if installed.
    client: Option<&'static str>,
    target: Target,
    streamed: Figures,
    printed: Figures,
}

/// Measures how fast a subscriber catches up.
pub(crate) async fn answer(plan: &Plan) -> Result<Answer> {
    let service = cargo::service()?;
    let contender = Contender::new(Kind::Trackside, &service);
    let place = |postgres| Place { disk: Disk::AsIs, postgres, redis: None, scans: false };
    let postgres = Arc::new(Postgres::start(Disk::AsIs)?);
    let sqlite = peers::program("sqlite3").map(|_| "sqlite3");
    let mut logs = [
        Log::new("PostgreSQL", Some("psql"), child::start(&contender, &place(Some(postgres))).await?).await?,
        Log::new("SQLite", sqlite, child::start(&contender, &place(None)).await?).await?,
    ];
    for round in 0..=plan.rounds {
        for log in &mut logs {
            let streamed = log.stream(plan.time).await?;
            let printed = log.print(plan.time)?;
            let name = if round == 0 { "warm-up" } else { "round" };
            let beside = printed.map_or_else(String::new, |printed| format!(", beside it {printed:.0}"));
            println!("  {name} {}: {streamed:.0} events/s{beside}", log.store);
            if round > 0 {
                log.streamed.push(streamed);
                printed.into_iter().for_each(|printed| log.printed.push(printed));
            }
        }
    }
    told(&logs)
}

impl Log {
    /// Fills the log of the one project there is.
    async fn new(store: &'static str, client: Option<&'static str>, target: Target) -> Result<Self> {
        let url = target.database().ok_or("there is no database")?;
        let database = connect(url.trim_end_matches("?mode=ro")).await?;
        match store {
            "PostgreSQL" => {
                database.execute_unprepared(POSTGRES).await?;
                // As a server does by itself, sooner or later.
                database.execute_unprepared("VACUUM ANALYZE event").await?;
            }
            _ => {
                database.execute_unprepared(SQLITE).await?;
            }
        }
        let head = number(&database, "SELECT position FROM event_head").await?;
        database.close().await?;
        match head {
            EVENTS => {
                Ok(Self { store, client, target, streamed: Figures::default(), printed: Figures::default() })
            }
            _ => Err(format!("the log ends at {head}").into()),
        }
    }

    /// Follows the log from its beginning up to its head, again and again for some time.
    async fn stream(&self, time: Duration) -> Result<f64> {
        let (began, client, mut times) = (Instant::now(), Client::new(), 0.0);
        while began.elapsed() < time {
            self.catch_up(&client).await?;
            times += 1.0;
        }
        Ok(times * EVENTS as f64 / began.elapsed().as_secs_f64())
    }

    /// Reads everything once, as a subscriber does that has seen nothing yet.
    async fn catch_up(&self, client: &Client) -> Result<()> {
        let (port, project) = (self.target.port, self.target.project());
        let url = format!("http://127.0.0.1:{port}/api/v1/projects/{project}/events/stream");
        let stream = client.get(url).header("last-event-id", "0").bearer_auth(&self.target.key);
        let mut stream = stream.send().await?.error_for_status()?;
        let (mut lines, mut position) = (Vec::new(), None);
        while position != Some(EVENTS) {
            lines.extend_from_slice(&stream.chunk().await?.ok_or("the stream ended")?);
            position = go_on(&mut lines, position)?;
        }
        Ok(())
    }

    /// Has the same rows printed by the database's own client, again and again for some time.
    fn print(&self, time: Duration) -> Result<Option<f64>> {
        let Some(client) = self.client else { return Ok(None) };
        let (began, mut times) = (Instant::now(), 0.0);
        while began.elapsed() < time {
            if !self.client(client)?.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
                return Err(format!("{client} failed").into());
            }
            times += 1.0;
        }
        Ok(Some(times * EVENTS as f64 / began.elapsed().as_secs_f64()))
    }

    /// The client with a query for what the stream tells.
    fn client(&self, client: &str) -> Result<Command> {
        let url = self.target.database().ok_or("there is no database")?;
        let query = |project: &str| {
            format!(
                "SELECT log_id, event.position, name, project_id, created_at, payload \
                 FROM event JOIN event_head USING (project_id) WHERE project_id = {project} ORDER BY event.position"
            )
        };
        let file = url.strip_prefix("sqlite://").map(|file| file.trim_end_matches("?mode=ro"));
        let mut command = match file {
            None => scratch::postgres::program(client),
            Some(_) => Command::new(client),
        };
        match file {
            None => {
                command.args(["-X", "-A", "-t", "-c", &query(&format!("'{}'", self.target.project())), &url])
            }
            Some(file) => command.args([
                "-readonly",
                file,
                &query(&format!("x'{}'", self.target.project().replace('-', ""))),
            ]),
        };
        Ok(command)
    }
}

/// Takes whole lines of a stream, whose ids have to go on from a position; gives the position that they lead to.
fn go_on(lines: &mut Vec<u8>, from: Option<i64>) -> Result<Option<i64>> {
    let (mut position, whole) =
        (from, lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
    for line in lines[..whole].split(|byte| *byte == b'\n') {
        let Some(id) = line.strip_prefix(b"id: ") else { continue };
        let (_, at) = std::str::from_utf8(id)?.rsplit_once(':').ok_or("an id without a position")?;
        let at: i64 = at.parse()?;
        let expected = position.map_or(0, |position| position + 1);
        if at != expected {
            return Err(format!("the stream tells of {at}, not of {expected}").into());
        }
        position = Some(at);
    }
    lines.drain(..whole);
    Ok(position)
}

/// All that was measured, as an answer.
fn told(logs: &[Log]) -> Result<Answer> {
    let mut text = "\
### How it is measured

A project has 100,000 events, which were put into the database from outside with everything that a real one has. \"The \
stream\" is one subscriber who says by `Last-Event-ID` that it has seen nothing, and reads until it has the newest, over \
and over; it sees that every event comes once, and in order. Nothing of a log is ever cut off: Trackside reads it page by \
page, and each subscriber has it as fast as it reads. Beside it the database's own client prints the columns that an event \
is made of, in the same order, for nobody: `psql -A -t`, and `sqlite3`. What they print is no JSON, and goes through no \
key, tenant or HTTP. Nothing is written meanwhile, so that durability does not matter. The load generator and the \
databases share the machine. Figures are medians over the rounds, ranges in brackets, after a round that is not counted; \
ratios are taken within a round.

### Events per second

| | the stream | the database's client | the stream is |
|---|---|---|---|
"
    .to_owned();
    let (mut comparisons, mut bars, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for Log { store, client, streamed, printed, .. } in logs {
        let name = format!("Trackside over {store}");
        bars.push(Bar { name, figures: streamed.clone(), is_ours: true });
        let (own, ratio) = match client {
            Some(client) => {
                let what = format!("events per second, 100,000 behind, {store}");
                comparisons.push(Comparison::times(what, streamed, format!("`{client}`"), printed));
                bars.push(Bar { name: (*client).to_owned(), figures: printed.clone(), is_ours: false });
                (format!("`{client}`: {}", printed.show(0, "")), streamed.over(printed).show(2, "×"))
            }
            None => {
                missing
                    .push(format!("the command line of {store} is not installed: `apt-get install sqlite3`"));
                (String::new(), String::new())
            }
        };
        text.push_str(&format!("| {store} | {} | {own} | {ratio} |\n", streamed.show(0, "")));
    }
    let axis = Axis { name: "events per second".to_owned(), is_logarithmic: false };
    let title = "A subscriber who is 100,000 events behind".to_owned();
    let mut answer = Answer::new(text)?;
    answer.charts = vec![Chart { file: "catch-up".to_owned(), title, shape: Shape::Bars { axis, bars } }];
    (answer.comparisons, answer.missing) = (comparisons, missing);
    Ok(answer)
}
