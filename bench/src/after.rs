//! A look into the database once the load has ended: is everything there that was acknowledged, and what is
//! still to be worked through?

use std::{
    fmt,
    time::{Duration, Instant},
};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, Statement};

use crate::{Result, child::Target, load::Measured};

/// The longest that the service is given to work through what is left.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was found when the load had ended.
#[derive(Clone, Copy, Default)]
pub(crate) struct Aftermath {
    /// Bytes of a stored body.
    pub(crate) body_bytes: Option<f64>,
    /// What the service made of the deliveries, where that was waited for; controls make nothing of them.
    pub(crate) work: Option<Work>,
}

/// How far the service was with its deliveries.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    /// Share of the deliveries that were worked through when the load ended.
    pub(crate) share: f64,
    /// Deliveries per second, from the first to the moment when the last was worked through.
    pub(crate) rate: f64,
}

impl fmt::Display for Aftermath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.body_bytes, self.work) {
            (_, Some(Work { share, rate })) => {
                write!(f, "{:.0} % worked through at the end, all of them at {rate:.0}/s", share * 100.0)
            }
            (Some(_), None) => f.write_str("all stored"),
            (None, None) => f.write_str("nothing stored"),
        }
    }
}

impl Aftermath {
    /// Counts what is stored and, where that is `awaited`, waits until the service is done with it.
    ///
    /// Fails unless exactly what was acknowledged is there.
    pub(crate) async fn of(target: &Target, measured: &Measured, awaited: bool) -> Result<Self> {
        let Some(url) = target.database() else { return Ok(Self::default()) };
        let ended = Instant::now();
        let database = connect(&url).await?;
        let table = if target.kind.is_service() { "webhook_event" } else { "delivery" };
        let left =
            if target.kind.is_service() { number(&database, "SELECT count(*) FROM job").await? } else { 0 };
        let stored = number(&database, &format!("SELECT count(*) FROM {table}")).await?;
        if stored.unsigned_abs() != measured.acknowledged {
            return Err(format!("{} were acknowledged, {stored} are stored", measured.acknowledged).into());
        }
        let bytes =
            number(&database, &format!("SELECT CAST(avg(length(body)) AS bigint) FROM {table}")).await?;
        let mut work = None;
        if awaited && target.kind.works() {
            wait_for_the_work(&database, ended).await?;
            let took = measured.took + ended.elapsed();
            let share = 1.0 - left as f64 / stored as f64;
            work = Some(Work { share, rate: stored as f64 / took.as_secs_f64() });
        }
        database.close().await?;
        Ok(Self { body_bytes: Some(bytes as f64), work })
    }
}

/// Returns once no delivery is left over.
async fn wait_for_the_work(database: &DatabaseConnection, ended: Instant) -> Result<()> {
    while number(database, "SELECT count(*) FROM (SELECT 1 FROM job LIMIT 1) AS left_over").await? > 0 {
        if ended.elapsed() > PATIENCE {
            return Err("the service did not work through its deliveries in two minutes".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// One connection to a database.
pub(crate) async fn connect(url: &str) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Ok(Database::connect(options).await?)
}

/// One number that a query answers.
pub(crate) async fn number(database: &DatabaseConnection, query: &str) -> Result<i64> {
    let statement = Statement::from_string(database.get_database_backend(), query);
    let row = database.query_one_raw(statement).await?.ok_or("a count has a row")?;
    Ok(row.try_get_by_index(0)?)
}
