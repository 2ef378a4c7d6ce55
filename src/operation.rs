//! Health and metrics, for those who operate the service.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    payload::{Json, PlainText},
};
use tokio::time::Instant;

use crate::{app::App, database::StoreType, error::Result, redis::Redis, rest::Tag, wire::wire_enum};

/// Routes of operation.
pub struct OperationApi;

#[OpenApi(tag = "Tag::Operation")]
impl OperationApi {
    /// Health
    ///
    /// The service and what it depends on. What is not configured is left out.
    #[oai(path = "/health", method = "get", operation_id = "get_health")]
    async fn get_health(&self, app: Data<&Arc<App>>) -> HealthResponse {
        health(&app).await
    }

    /// Health, under its older path
    ///
    /// The same as `/health`.
    #[oai(path = "/api/health", method = "get", operation_id = "get_api_health")]
    async fn get_api_health(&self, app: Data<&Arc<App>>) -> HealthResponse {
        health(&app).await
    }

    /// Liveness
    ///
    /// The process answers. No dependency is asked, so that an outage elsewhere restarts nothing.
    #[oai(path = "/health/live", method = "get", operation_id = "get_liveness")]
    async fn get_liveness(&self) -> Json<StateOut> {
        Json(StateOut { status: Condition::Healthy })
    }

    /// Readiness
    ///
    /// Whether to send requests here: 503 while the service stops or the database does not answer.
    #[oai(path = "/health/ready", method = "get", operation_id = "get_readiness")]
    async fn get_readiness(&self, app: Data<&Arc<App>>) -> ReadinessResponse {
        if app.shutdown.is_cancelled() || app.database.ping().await.is_err() {
            return ReadinessResponse::NotReady(Json(StateOut { status: Condition::Unhealthy }));
        }
        ReadinessResponse::Ready(Json(StateOut { status: Condition::Healthy }))
    }

    /// Metrics
    ///
    /// Counters, gauges and histograms in Prometheus's text format.
    #[oai(path = "/metrics", method = "get", operation_id = "get_metrics")]
    async fn get_metrics(&self, app: Data<&Arc<App>>) -> Result<PlainText<String>> {
        for (state, count) in app.jobs.count(&app.database).await? {
            app.metrics.jobs_in(state.as_str(), count);
        }
        if let Some(redis) = &app.redis {
            app.metrics.redis_is_up(redis.is_up());
        }
        Ok(PlainText(app.metrics.render()?))
    }
}

async fn health(app: &App) -> HealthResponse {
    let began = Instant::now();
    let answered = app.database.ping().await.is_ok();
    let status = if answered { Condition::Healthy } else { Condition::Unhealthy };
    let pool = app.database.pool();
    let database = DatabaseOut {
        status,
        latency_ms: began.elapsed().as_secs_f64() * 1000.0,
        store_type: app.database.store_type(),
        pool_total: pool.total,
        pool_idle: pool.idle,
        pool_waiting: pool.waiting,
    };
    let redis = match &app.redis {
        Some(redis) => Some(redis_health(redis).await),
        None => None,
    };
    let status = match &redis {
        Some(RedisOut { status: Condition::Unhealthy, .. }) if answered => Condition::Degraded,
        _ => status,
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let body = Json(HealthOut { status, version, infrastructure: InfrastructureOut { database, redis } });
    if answered { HealthResponse::Up(body) } else { HealthResponse::Down(body) }
}

async fn redis_health(redis: &Redis) -> RedisOut {
    match redis.ping().await {
        Ok(took) => RedisOut { status: Condition::Healthy, latency_ms: Some(took.as_secs_f64() * 1000.0) },
        Err(_) => RedisOut { status: Condition::Unhealthy, latency_ms: None },
    }
}

wire_enum! {
    /// How something is.
    Condition {
        /// It works.
        Healthy = "healthy",
        /// It works, without something it would rather have.
        Degraded = "degraded",
        /// It does not work.
        Unhealthy = "unhealthy",
    }
}

#[derive(ApiResponse)]
enum HealthResponse {
    /// The service works.
    #[oai(status = 200)]
    Up(Json<HealthOut>),
    /// Something that it cannot do without is away.
    #[oai(status = 503)]
    Down(Json<HealthOut>),
}

#[derive(ApiResponse)]
enum ReadinessResponse {
    /// Send requests.
    #[oai(status = 200)]
    Ready(Json<StateOut>),
    /// Send none.
    #[oai(status = 503)]
    NotReady(Json<StateOut>),
}

/// One word on how something is.
#[derive(Object)]
#[oai(rename = "State")]
struct StateOut {
    /// How it is.
    status: Condition,
}

/// The service and what it depends on.
#[derive(Object)]
#[oai(rename = "Health")]
struct HealthOut {
    /// How the service is.
    status: Condition,
    /// Its version.
    version: String,
    /// What it depends on.
    infrastructure: InfrastructureOut,
}

/// What the service depends on.
#[derive(Object)]
#[oai(rename = "Infrastructure")]
struct InfrastructureOut {
    /// Where the data is.
    database: DatabaseOut,
    /// What several instances share.
    #[oai(skip_serializing_if_is_none)]
    redis: Option<RedisOut>,
}

/// Redis. While it is away the service works, with limits for each instance alone and events up to a second late.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "RedisHealth")]
struct RedisOut {
    /// How it is.
    status: Condition,
    /// How long it took to answer, in milliseconds; left out when it did not.
    #[oai(skip_serializing_if_is_none)]
    latency_ms: Option<f64>,
}

/// The database.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "DatabaseHealth")]
struct DatabaseOut {
    /// How it is.
    status: Condition,
    /// How long it took to answer, in milliseconds.
    latency_ms: f64,
    /// What kind of database it is.
    store_type: StoreType,
    /// Connections: all of PostgreSQL's, those of SQLite that read.
    pool_total: u32,
    /// Those of them that nobody uses.
    pool_idle: u32,
    /// Who waits: for a connection to PostgreSQL, for SQLite's writer.
    pool_waiting: u32,
}
