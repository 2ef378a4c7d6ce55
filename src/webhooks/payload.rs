//! Reading payloads: what all hosts' have in common.
//!
//! The types of each host name only the fields that are used, and none of them is required: what a host adds or
//! leaves out never fails a delivery.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, de::DeserializeOwned};

use super::{source::Source, text::Text};
use crate::{
    artifacts::Touch,
    clock::{Time, whole_microseconds},
    error::{Code, Error, Result},
    runs::RunStatus,
};

/// The id that hosts give instead of a commit that is not there.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// Reads what a host documents.
///
/// # Errors
/// `unprocessable` for anything else.
pub(super) fn parse<T: DeserializeOwned>(source: Source, json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| {
        // serde quotes the value that it did not expect, which may be as long as the body.
        let error: String = error.to_string().chars().take(200).collect();
        let why = format!("the payload is not what {} documents for this event: {error}", source.title());
        Error::new(Code::Unprocessable, why)
    })
}

/// One commit of a push.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Commit {
    id: Text,
    pub(super) message: Text,
    author: Author,
    added: Vec<Text>,
    modified: Vec<Text>,
    removed: Vec<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Author {
    username: Option<Text>,
    name: Option<Text>,
}

/// What a list of commits does to each path in the end: a later commit has the last word.
pub(super) fn touches(commits: impl IntoIterator<Item = Commit>) -> Vec<Touch> {
    let mut touched = BTreeMap::new();
    for commit in commits {
        let id = commit.id.into_string();
        let author = commit.author.username.or(commit.author.name).map(Text::into_string);
        let changed = commit.added.into_iter().chain(commit.modified).map(|path| (path, false));
        for (path, removed) in changed.chain(commit.removed.into_iter().map(|path| (path, true))) {
            let path = path.into_string();
            touched.insert(path.clone(), Touch { path, removed, commit: id.clone(), author: author.clone() });
        }
    }
    touched.into_values().collect()
}

/// A reference as the branch or the tag that it is.
pub(super) fn branch_or_tag(reference: &str) -> (Option<String>, Option<String>) {
    let name = |prefix| reference.strip_prefix(prefix).map(str::to_owned);
    (name("refs/heads/"), name("refs/tags/"))
}

/// Whether an id stands for a commit that is not there: before a branch was made, after it was deleted.
pub(super) fn is_no_commit(id: &str) -> bool {
    id == NO_COMMIT
}

/// A time as RFC 3339 and in the two other forms in which GitLab writes it; none, if it is none of these.
pub(super) fn time(text: Option<&str>) -> Option<Time> {
    let text = text?;
    let read = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z"))
        .map(|time| time.to_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S UTC").map(|time| time.and_utc()));
    read.ok().map(whole_microseconds)
}

/// The subject of a commit message.
pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// Orders the states of one run: a later attempt comes after an earlier one, and within an attempt a run only goes
/// forward.
pub(super) fn revision(attempt: i64, status: RunStatus) -> i64 {
    attempt.saturating_mul(4).saturating_add(status.progress())
}

/// Orders the states of something that may go back, such as a commit status: its time does, to the second, and within
/// one how far it has come.
pub(super) fn revision_by_time(stated_at: Time, status: RunStatus) -> i64 {
    stated_at.timestamp().saturating_mul(4).saturating_add(status.progress())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form_that_hosts_write() {
        let expected: Option<Time> = "2013-12-03T17:15:43Z".parse().ok();
        for text in [
            "2013-12-03T17:15:43Z",
            "2013-12-03T18:15:43+01:00",
            "2013-12-03 17:15:43 UTC",
            "2013-12-03 19:15:43 +0200",
        ] {
            assert_eq!(time(Some(text)), expected, "{text}");
        }
        for text in ["", "yesterday", "2013-12-03"] {
            assert_eq!(time(Some(text)), None, "{text}");
        }
    }
}
