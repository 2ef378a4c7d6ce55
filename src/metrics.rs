//! What is counted, for `/metrics`.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::error::Error;

/// Every counter, gauge and histogram of one process.
pub struct Metrics {
    registry: Registry,
    /// Event streams that are open.
    pub streams_open: IntGauge,
    /// Event streams that were cut off because their reader was too slow.
    pub streams_cut: IntCounter,
    deliveries: IntCounterVec,
    jobs: IntGaugeVec,
    redis_up: IntGaugeVec,
    requests: HistogramVec,
}

/// Upper bounds of the latency buckets, in seconds.
const LATENCY: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

impl Metrics {
    /// All at zero.
    #[expect(clippy::expect_used, reason = "the names below are valid and used once")]
    pub fn new() -> Self {
        let registry = Registry::new();
        let open = IntGauge::new("trackside_streams_open", "Event streams that are open.");
        let cut = IntCounter::new(
            "trackside_streams_cut_total",
            "Event streams cut off because their reader was slow.",
        );
        let deliveries = IntCounterVec::new(
            Opts::new("trackside_deliveries_total", "Webhook deliveries by source and outcome."),
            &["source", "outcome"],
        );
        let requests = HistogramVec::new(
            HistogramOpts::new("trackside_http_request_seconds", "Time to the head of an HTTP answer.")
                .buckets(LATENCY.to_vec()),
            &["method", "status"],
        );
        let jobs = IntGaugeVec::new(
            Opts::new("trackside_jobs", "Jobs that are waiting or under way (ready), and parked (failed)."),
            &["state"],
        );
        let redis_up = IntGaugeVec::new(
            Opts::new("trackside_redis_up", "1 while Redis answers, else 0; not there without Redis."),
            &[],
        );
        let (jobs, redis_up) = (jobs.expect("valid"), redis_up.expect("valid"));
        registry.register(Box::new(redis_up.clone())).expect("once");
        registry.register(Box::new(jobs.clone())).expect("once");
        let (streams_open, streams_cut) = (open.expect("valid"), cut.expect("valid"));
        let (deliveries, requests) = (deliveries.expect("valid"), requests.expect("valid"));
        registry.register(Box::new(streams_open.clone())).expect("once");
        registry.register(Box::new(streams_cut.clone())).expect("once");
        registry.register(Box::new(deliveries.clone())).expect("once");
        registry.register(Box::new(requests.clone())).expect("once");
        Self { registry, streams_open, streams_cut, deliveries, jobs, redis_up, requests }
    }

    /// Counts a delivery by what became of it.
    pub fn ingested(&self, source: &str, outcome: &str) {
        self.deliveries.with_label_values(&[source, outcome]).inc();
    }

    /// Says how many jobs there are in a state.
    pub fn jobs_in(&self, state: &str, count: i64) {
        self.jobs.with_label_values(&[state]).set(count);
    }

    /// Says whether Redis answers.
    pub fn redis_is_up(&self, is_up: bool) {
        self.redis_up.with_label_values::<&str>(&[]).set(i64::from(is_up));
    }

    /// Counts an answered request.
    pub fn answered(&self, method: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[method, &status.to_string()]).observe(took.as_secs_f64());
    }

    /// Everything in Prometheus's text format.
    ///
    /// # Errors
    /// A metric that cannot be written, which would be a defect.
    pub fn render(&self) -> Result<String, Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(Error::internal)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
