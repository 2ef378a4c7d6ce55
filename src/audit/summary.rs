//! The tool-call log in numbers: how many calls of which tools there were, how they ended, how long they took, and who
//! is close to a limit.
//!
//! What counts is at most the newest [`CALLS`] calls of a window, read by one query; so a summary costs the same however
//! busy a project is. Refused calls count like others, with the little time that they took.
//!
//! Beside them stand the buckets that those calls took from, as they are now: only looked into, as far as the limits of
//! this instance know them. A bucket that somebody shares with others, as all do who use a program that people sign in
//! with, is not shown: it would tell of others.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
};

use chrono::TimeDelta;

use super::{Outcome, store};
use crate::{
    accounts::{KeyId, Principal, PrincipalId, keys},
    app::App,
    error::{Error, Result},
    limits::{Allowance, ToolUse},
    projects::{self, ProjectId},
};

/// Calls that are looked at; older ones do not count.
const CALLS: u64 = 10_000;
/// Tools that are told apart, those that were called most: callers may make up names.
const TOOLS: usize = 100;
/// Buckets that are looked into, those of the newest calls.
const LOOKED_INTO: usize = 200;
/// Buckets that are shown.
const SHOWN: usize = 50;
/// Upper bounds of the bars of the histogram, in microseconds, each within the bar; one more bar has none.
const BOUNDS_US: [i64; 16] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000,
];

/// How far back a summary reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    seconds: u32,
}

impl Window {
    /// Reads a number of seconds: an hour, if none is given.
    ///
    /// # Errors
    /// `invalid_request` for less than a minute and more than a day.
    pub fn parse(seconds: Option<u64>) -> Result<Self> {
        match u32::try_from(seconds.unwrap_or(3_600)) {
            Ok(seconds @ 60..=86_400) => Ok(Self { seconds }),
            _ => Err(Error::invalid_field("/windowSeconds", "a window has 60 to 86400 seconds")),
        }
    }

    /// Its length in seconds.
    pub fn seconds(self) -> u32 {
        self.seconds
    }
}

/// A call, as far as it counts.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) tool: String,
    pub(super) result: String,
    pub(super) duration_us: i64,
    pub(super) actor: PrincipalId,
    pub(super) actor_name: String,
    pub(super) key: Option<KeyId>,
    /// Whether there is such a tool.
    pub(super) is_of_a_tool: bool,
}

/// The newest calls of a window in numbers.
#[derive(Clone, Debug)]
pub struct ToolCallSummary {
    /// How many they are.
    pub calls: u64,
    /// Tool by tool, those called most first.
    pub by_tool: Vec<ToolNumbers>,
    /// How long they took, from short to long.
    pub histogram: Vec<Bar>,
    /// What is left in the buckets of who called, the emptiest first.
    pub buckets: Vec<BucketLevel>,
}

/// The calls of one tool in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolNumbers {
    /// The tool's name as it was given.
    pub tool: String,
    /// All calls.
    pub calls: u64,
    /// Those that failed or were abandoned.
    pub failures: u64,
    /// Those that the credential did not allow.
    pub unauthorized: u64,
    /// Those that were more than the limit allows.
    pub rate_limited: u64,
    /// Within how many microseconds half of them ended.
    pub p50_us: i64,
    /// Within how many microseconds 95 of 100 ended.
    pub p95_us: i64,
    /// Within how many microseconds 99 of 100 ended.
    pub p99_us: i64,
}

/// How many calls took about so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The most microseconds that one of them took; none for the last bar. Each took more than the bar before allows.
    pub up_to_us: Option<i64>,
    /// How many they are.
    pub calls: u64,
}

/// What is left in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketLevel {
    /// Whose it is.
    pub principal: PrincipalId,
    /// The name it had at its newest call.
    pub name: String,
    /// The tool it is for.
    pub tool: String,
    /// Whole tokens that are left.
    pub tokens: u32,
    /// Tokens that it holds when it is full.
    pub capacity: u32,
}

/// The newest calls about a project in numbers.
///
/// # Errors
/// `not_found` for a project out of reach.
pub async fn summarize_tool_calls(
    app: &App,
    principal: &Principal,
    project: ProjectId,
    window: Window,
) -> Result<ToolCallSummary> {
    let project = projects::reach(app, principal, project).await?.id;
    let since = app.clock.now() - TimeDelta::seconds(window.seconds.into());
    let read = app.database.read(principal.tenant, move |tx| {
        Box::pin(async move {
            let calls = store::newest(tx, project, since, CALLS).await?;
            let uses = uses(&calls);
            let used: HashSet<KeyId> = uses.iter().filter_map(|call| call.key).collect();
            let prefixes = keys::prefixes(tx, used.into_iter().collect()).await?;
            Ok((calls, uses, prefixes))
        })
    });
    let (calls, uses, prefixes) = read.await?;
    let buckets = levels(app, uses, &prefixes).await;
    Ok(ToolCallSummary {
        calls: calls.len() as u64,
        by_tool: by_tool(&calls),
        histogram: histogram(calls.iter().map(|call| call.duration_us)),
        buckets,
    })
}

/// One call for each bucket that the newest calls took from.
fn uses(newest_first: &[Counted]) -> Vec<Counted> {
    let mut seen = HashSet::new();
    let of_tools = newest_first.iter().filter(|call| call.is_of_a_tool);
    let uses = of_tools.filter(|call| seen.insert((call.actor, call.key, call.tool.as_str())));
    uses.take(LOOKED_INTO).cloned().collect()
}

/// What is left in the buckets that these calls took from; where somebody has several for one tool, in the emptiest.
async fn levels(app: &App, mut uses: Vec<Counted>, prefixes: &HashMap<KeyId, String>) -> Vec<BucketLevel> {
    // Who came without a key is counted under their own id, unless a program acted for them.
    let client = |call: &Counted| match call.key {
        Some(key) => prefixes.get(&key).cloned(),
        None => Some(call.actor.to_string()),
    };
    uses.retain(|call| client(call).is_some());
    let keys =
        uses.iter().filter_map(|call| Some(ToolUse { client_id: client(call)?, tool: call.tool.clone() }));
    let levels = app.limits.tools.peek(&keys.collect::<Vec<_>>()).await;
    // What such a program takes is not in the bucket of whom it acts for, which says nothing while it is full.
    let says_something =
        |(call, left): &(Counted, Allowance)| call.key.is_some() || left.remaining < left.per_minute;
    let level = |(call, left): (Counted, Allowance)| BucketLevel {
        principal: call.actor,
        name: call.actor_name,
        tool: call.tool,
        tokens: left.remaining,
        capacity: left.per_minute,
    };
    let mut buckets: Vec<_> = uses.into_iter().zip(levels).filter(says_something).map(level).collect();
    buckets.sort_by(|a, b| (a.tokens, &a.name, &a.tool).cmp(&(b.tokens, &b.name, &b.tool)));
    let mut seen = HashSet::new();
    buckets.retain(|bucket| seen.insert((bucket.principal, bucket.tool.clone())));
    buckets.truncate(SHOWN);
    buckets
}

fn by_tool(calls: &[Counted]) -> Vec<ToolNumbers> {
    let mut tools: BTreeMap<&str, Vec<&Counted>> = BTreeMap::new();
    for call in calls {
        tools.entry(&call.tool).or_default().push(call);
    }
    let mut numbers: Vec<_> = tools.into_iter().map(|(tool, calls)| numbers_of(tool, &calls)).collect();
    numbers.sort_by_key(|tool| Reverse(tool.calls)); // stable: those called as often stay in the order of their names
    numbers.truncate(TOOLS);
    numbers
}

fn numbers_of(tool: &str, calls: &[&Counted]) -> ToolNumbers {
    let ended = |as_what: Outcome| calls.iter().filter(|call| call.result == as_what.as_str()).count() as u64;
    let mut durations_us: Vec<_> = calls.iter().map(|call| call.duration_us).collect();
    durations_us.sort_unstable();
    ToolNumbers {
        tool: tool.to_owned(),
        calls: calls.len() as u64,
        failures: ended(Outcome::Failure),
        unauthorized: ended(Outcome::Unauthorized),
        rate_limited: ended(Outcome::RateLimited),
        p50_us: percentile(&durations_us, 50),
        p95_us: percentile(&durations_us, 95),
        p99_us: percentile(&durations_us, 99),
    }
}

/// The value at the nearest rank: the smallest that at least so many percent of all do not exceed. 0 for no values.
fn percentile(sorted: &[i64], percent: usize) -> i64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn histogram(durations_us: impl Iterator<Item = i64>) -> Vec<Bar> {
    let bounds = BOUNDS_US.into_iter().map(Some).chain([None]);
    let mut bars: Vec<_> = bounds.map(|up_to_us| Bar { up_to_us, calls: 0 }).collect();
    for duration_us in durations_us {
        bars[BOUNDS_US.partition_point(|bound| *bound < duration_us)].calls += 1;
    }
    bars
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_call_is_in_the_one_bar_whose_bounds_it_keeps(
            durations_us in proptest::collection::vec(0..30_000_000i64, 0..50),
        ) {
            let bars = histogram(durations_us.iter().copied());
            let mut least = -1;
            for bar in &bars {
                let most = bar.up_to_us.unwrap_or(i64::MAX);
                let fit = durations_us.iter().filter(|it| (least + 1..=most).contains(*it)).count();
                prop_assert_eq!(bar.calls, fit as u64);
                least = most;
            }
            prop_assert_eq!(bars.len(), BOUNDS_US.len() + 1);
        }

        #[test]
        fn so_many_percent_do_not_exceed_a_percentile_and_a_smaller_value_would_not_do(
            mut durations_us in proptest::collection::vec(0..100i64, 1..200),
            percent in 1..=100usize,
        ) {
            durations_us.sort_unstable();
            let found = percentile(&durations_us, percent);
            let within = |value: i64| durations_us.iter().filter(|it| **it <= value).count() * 100;
            prop_assert!(durations_us.contains(&found));
            prop_assert!(within(found) >= durations_us.len() * percent);
            prop_assert!(within(found - 1) < durations_us.len() * percent);
        }
    }

    #[test]
    fn bounds_go_by_one_two_and_five_from_a_tenth_of_a_millisecond_to_ten_seconds() {
        assert!(BOUNDS_US.is_sorted());
        assert_eq!((BOUNDS_US.first(), BOUNDS_US.last()), (Some(&100), Some(&10_000_000)));
        assert!(
            BOUNDS_US.iter().all(|bound| ["1", "2", "5"].contains(&bound.to_string().trim_end_matches('0')))
        );
    }

    #[test]
    fn a_window_has_a_minute_to_a_day() {
        assert_eq!(Window::parse(None).map(Window::seconds).ok(), Some(3_600));
        for good in [60, 86_400] {
            assert_eq!(Window::parse(Some(good)).map(Window::seconds).ok(), u32::try_from(good).ok());
        }
        for bad in [0, 59, 86_401, u64::MAX] {
            assert!(Window::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
