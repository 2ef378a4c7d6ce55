//! Wakes between instances: the workers of others hear at once of jobs that were enqueued here.
//!
//! They go over Redis, on one channel for all. A message says only who sent it, so that nobody is woken by
//! himself; several in a row may be heard as one. One that is lost costs little: an idle worker looks for jobs
//! once a second by itself.

use std::time::Duration;

use tokio::time::interval;

use super::Jobs;
use crate::{
    error::chain,
    redis::{Heard, Redis},
};

/// Where instances say that there are jobs.
const CHANNEL: &str = "trackside:jobs";

/// How often it is seen to that others are heard, should Redis have refused it before.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Tells the workers of other instances of jobs enqueued here and, in a process that works through jobs, wakes its
/// worker when others tell of theirs.
pub async fn share_wakes(jobs: Jobs, redis: Redis, works: bool) {
    let (mut ear, we) = (redis.listen(), jobs.ids.uuid().to_string());
    let (mut again, mut hears) = (interval(TRY_AGAIN), false);
    loop {
        tokio::select! {
            () = jobs.enqueued.notified() => {
                if let Err(error) = redis.publish(vec![(CHANNEL.to_owned(), we.clone())]).await {
                    tracing::debug!(error = %chain(&error), "other workers were not woken; they look by themselves");
                }
            }
            heard = ear.next() => match heard {
                Some(Heard::Message { channel, text }) => if channel == CHANNEL && text != we {
                    jobs.wake();
                },
                Some(Heard::Connected) => hears = works && redis.subscribe(vec![CHANNEL.to_owned()]).await.is_ok(),
                Some(Heard::TooMuch) => jobs.wake(),
                None => return,
            },
            _ = again.tick(), if works && !hears && redis.hears() => {
                hears = redis.subscribe(vec![CHANNEL.to_owned()]).await.is_ok();
            }
        }
    }
}
