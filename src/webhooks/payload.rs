//! What the payloads of all hosts have in common: how they are read, their times, and what their commits touch.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::text::Text;
use crate::{
    artifacts::Touch,
    clock::{Time, whole_microseconds},
    error::{Code, Error, Result},
    runs::RunStatus,
    wire::Timestamp,
};

/// Reads a payload.
///
/// # Errors
/// `unprocessable`, saying what does not fit.
pub(super) fn parse<T: DeserializeOwned>(host: &str, json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| {
        // serde quotes the value that it did not expect, which may be as long as the body.
        let error: String = error.to_string().chars().take(200).collect();
        let why = format!("the payload is not what {host} documents for this event: {error}");
        Error::new(Code::Unprocessable, why)
    })
}

/// Reads `null` as if the field were not there.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Somebody, by whichever names the host gives.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct User {
    pub(super) id: Option<serde_json::Value>,
    login: Option<Text>,
    username: Option<Text>,
    name: Option<Text>,
}

impl User {
    /// The name to show.
    pub(super) fn shown(self) -> Option<Text> {
        self.login.or(self.username).or(self.name)
    }

    /// Every name there is.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let all = [&self.login, &self.username, &self.name].into_iter().flatten();
        all.filter(|name| !name.is_empty()).map(|name| name.to_string())
    }
}

/// A commit of a push that lists its files.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Commit {
    pub(super) id: Text,
    pub(super) message: Text,
    pub(super) timestamp: Option<Text>,
    pub(super) url: Text,
    #[serde(deserialize_with = "nullable")]
    pub(super) author: User,
    #[serde(deserialize_with = "nullable")]
    added: Vec<Text>,
    #[serde(deserialize_with = "nullable")]
    modified: Vec<Text>,
    #[serde(deserialize_with = "nullable")]
    removed: Vec<Text>,
}

/// What a list of commits does to each path in the end: a later commit has the last word.
pub(super) fn touches(commits: Vec<Commit>) -> Vec<Touch> {
    let mut touched = BTreeMap::new();
    for commit in commits {
        let (id, author) = (commit.id.into_string(), commit.author.shown().map(Text::into_string));
        let changed = commit.added.into_iter().chain(commit.modified).map(|path| (path, false));
        for (path, removed) in changed.chain(commit.removed.into_iter().map(|path| (path, true))) {
            let path = path.into_string();
            touched.insert(path.clone(), Touch { path, removed, commit: id.clone(), author: author.clone() });
        }
    }
    touched.into_values().collect()
}

/// The branch and the tag that a full reference names; at most one of them is there.
pub(super) fn branch_and_tag(reference: &str) -> (Option<String>, Option<String>) {
    let under = |folder| reference.strip_prefix(folder).map(str::to_owned);
    (under("refs/heads/"), under("refs/tags/"))
}

/// Whether a hash stands for no commit.
pub(super) fn is_nothing(hash: &str) -> bool {
    !hash.is_empty() && hash.bytes().all(|digit| digit == b'0')
}

/// A time in any of the forms that hosts write: RFC 3339, `2013-12-03 17:15:43 UTC`, `2013-12-03 17:23:34 +0200`.
/// One that cannot be meant, such as the year 1 that stands for none in Go, is none.
pub(super) fn time(text: Option<&str>) -> Option<Time> {
    const SPACED: &str = "%Y-%m-%d %H:%M:%S%.f %z";
    let text = text?;
    let spaced = || DateTime::parse_from_str(&text.replace(" UTC", " +0000"), SPACED);
    let time = DateTime::parse_from_rfc3339(text).or_else(|_| spaced()).ok()?.to_utc();
    (1971..=9999).contains(&time.year()).then(|| whole_microseconds(time))
}

/// A time as our own surfaces write it.
pub(super) fn shown_time(text: Option<&str>) -> Option<Text> {
    time(text).map(|time| Timestamp(time).to_string().as_str().into())
}

/// Milliseconds of a second and of a nanosecond.
pub(super) const SECOND: f64 = 1e3;
pub(super) const NANOSECOND: f64 = 1e-6;
/// The longest that a run can take, in milliseconds: a year.
const LONGEST: f64 = 366.0 * 86_400_000.0;

/// How long a run took as its host counted, in milliseconds, from a number of `unit`s. What cannot be meant is none.
pub(super) fn counted(number: Option<&serde_json::Value>, unit: f64) -> Option<i64> {
    let counted = number?.as_f64()? * unit;
    (0.0..=LONGEST).contains(&counted).then_some(counted.round() as i64)
}

/// A later attempt comes after an earlier one; within an attempt a run only goes forward.
pub(super) fn attempt_revision(attempt: i64, status: RunStatus) -> i64 {
    attempt.saturating_mul(4).saturating_add(status.progress())
}

/// For what may go back to an earlier state: only time orders it, and progress what has the same time.
pub(super) fn time_revision(time: Time, status: RunStatus) -> i64 {
    time.timestamp_micros().saturating_mul(4).saturating_add(status.progress())
}

/// The first line of a commit message, at most 200 characters.
pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form_that_hosts_write() {
        let cases = [
            ("2013-12-03T17:15:43Z", "2013-12-03T17:15:43Z"),
            ("2013-12-03T17:15:43.250+02:00", "2013-12-03T15:15:43.250Z"),
            ("2013-12-03 17:15:43 UTC", "2013-12-03T17:15:43Z"),
            ("2013-12-03 17:23:34 +0200", "2013-12-03T15:23:34Z"),
            ("2013-12-03 17:23:34.5 -0100", "2013-12-03T18:23:34.500Z"),
        ];
        for (text, shown) in cases {
            assert_eq!(shown_time(Some(text)).as_deref(), Some(shown), "{text}");
        }
        for text in ["", "yesterday", "2013-12-03", "0001-01-01T00:00:00Z", "2013-13-03 17:15:43 UTC"] {
            assert_eq!(time(Some(text)), None, "{text}");
        }
    }

    #[test]
    fn what_a_host_counted_is_read_in_its_unit_and_never_negative() {
        use serde_json::json;
        assert_eq!(counted(Some(&json!(63)), SECOND), Some(63_000));
        assert_eq!(counted(Some(&json!(1.25)), SECOND), Some(1_250));
        assert_eq!(counted(Some(&json!(2_500_000_000_u64)), NANOSECOND), Some(2_500));
        for none in [json!(null), json!("63"), json!(-1), json!(1e300), json!([])] {
            assert_eq!(counted(Some(&none), SECOND), None, "{none}");
        }
        assert_eq!(counted(None, SECOND), None);
    }

    #[test]
    fn a_later_commit_has_the_last_word_on_a_path() {
        let commits = br#"[{"id": "1", "added": ["a", "b"], "modified": null, "author": {"name": "me"}},
                           {"id": "2", "removed": ["a"], "modified": ["b"], "author": null}]"#;
        let touches = touches(parse("the host", commits).expect("readable"));
        let told: Vec<_> =
            touches.iter().map(|touch| (touch.path.as_str(), touch.removed, touch.commit.as_str())).collect();
        assert_eq!(told, [("a", true, "2"), ("b", false, "2")]);
    }
}
