//! The tool-call log in numbers, as REST shows it.

use poem_openapi::Object;

use super::{Bar, BucketLevel, ToolCallSummary, ToolNumbers, Window};
use crate::{accounts::PrincipalId, wire::example};

/// The newest calls about a project in numbers.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ToolCallSummary", example)]
pub(super) struct SummaryOut {
    /// How many seconds it looks back.
    window_seconds: u32,
    /// Calls that count, at most 10,000.
    calls: u64,
    /// Tool by tool, the 100 that were called most, those called most first.
    by_tool: Vec<ToolNumbersOut>,
    /// How many calls took about how long, from short to long.
    histogram: Vec<BarOut>,
    /// What is left in the token buckets of who called, the emptiest first, at most 50; where somebody has several for
    /// one tool, in the emptiest. Those of programs that people signed in with are not shown: others share them.
    buckets: Vec<BucketOut>,
}

/// The calls of one tool in numbers.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ToolNumbers")]
struct ToolNumbersOut {
    /// The tool's name as it was given.
    tool: String,
    /// All calls.
    calls: u64,
    /// Those that failed or were abandoned.
    failures: u64,
    /// Those that the credential did not allow.
    unauthorized: u64,
    /// Those that were more than the limit allows.
    rate_limited: u64,
    /// Within how many microseconds half of them ended.
    p50_us: i64,
    /// Within how many microseconds 95 of 100 ended.
    p95_us: i64,
    /// Within how many microseconds 99 of 100 ended.
    p99_us: i64,
}

/// How many calls took about so long.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "ToolCallBar")]
struct BarOut {
    /// The most microseconds that one of them took, null for the last bar; each took more than the bar before allows.
    up_to_us: Option<i64>,
    /// How many they are.
    calls: u64,
}

/// What is left in a token bucket.
#[derive(Object)]
#[oai(rename_all = "camelCase", rename = "BucketLevel")]
struct BucketOut {
    /// Whose it is.
    principal_id: PrincipalId,
    /// The name it had at its newest call.
    name: String,
    /// The tool it is for.
    tool: String,
    /// Whole tokens that are left.
    tokens: u32,
    /// Tokens that it holds when it is full, which is also how many come back in a minute.
    capacity: u32,
}

example!(SummaryOut, {
    "windowSeconds": 3600,
    "calls": 42,
    "byTool": [{"tool": "claim_work", "calls": 42, "failures": 3, "unauthorized": 0, "rateLimited": 1,
                "p50Us": 1840, "p95Us": 5200, "p99Us": 9100}],
    "histogram": [{"upToUs": 2000, "calls": 25}, {"upToUs": 5000, "calls": 15}, {"upToUs": 10000, "calls": 2}],
    "buckets": [{"principalId": "01936f8e-3c20-7b11-9a2d-1e2f3a4b5c6d", "name": "developer-1", "tool": "claim_work",
                 "tokens": 17, "capacity": 60}]
});

impl SummaryOut {
    pub(super) fn new(window: Window, summary: ToolCallSummary) -> Self {
        let ToolCallSummary { calls, by_tool, histogram, buckets } = summary;
        Self {
            window_seconds: window.seconds(),
            calls,
            by_tool: by_tool.into_iter().map(ToolNumbersOut::from).collect(),
            histogram: histogram.into_iter().map(BarOut::from).collect(),
            buckets: buckets.into_iter().map(BucketOut::from).collect(),
        }
    }
}

impl From<ToolNumbers> for ToolNumbersOut {
    fn from(numbers: ToolNumbers) -> Self {
        let ToolNumbers { tool, calls, failures, unauthorized, rate_limited, p50_us, p95_us, p99_us } =
            numbers;
        Self { tool, calls, failures, unauthorized, rate_limited, p50_us, p95_us, p99_us }
    }
}

impl From<Bar> for BarOut {
    fn from(Bar { up_to_us, calls }: Bar) -> Self {
        Self { up_to_us, calls }
    }
}

impl From<BucketLevel> for BucketOut {
    fn from(level: BucketLevel) -> Self {
        let BucketLevel { principal: principal_id, name, tool, tokens, capacity } = level;
        Self { principal_id, name, tool, tokens, capacity }
    }
}
