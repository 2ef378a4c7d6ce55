//! What the states of a commit status tell of its past: no host says when one began, only how it stands.
//!
//! A status is under way, ends, and may be under way again. It took from the first moment since its last end at which it
//! was told to be under way, to its end. Both are the host's times, so that our clock and its clock are never mixed. The
//! moments are kept in their own order, so that it does not matter in which order the states come.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::{RunKind, RunState, RunStatus};
use crate::clock::Time;

/// Moments that are kept: more than a status has between two ends, but for one that is told every minute.
const KEPT: usize = 32;

/// A moment: microseconds since 1970, and whether it was an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Mark(i64, bool);

/// The moments at which a run was told to be under way or to end, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Marks(Vec<Mark>);

impl Marks {
    /// The same with what a state tells. A run of which the host says when it started has none.
    pub(super) fn with(&self, state: &RunState) -> Self {
        let mut marks = self.0.clone();
        if state.kind == RunKind::Status && state.status != RunStatus::Queued {
            marks.push(Mark(state.stated_at.timestamp_micros(), state.status.is_final()));
            let made_at = state.made_at.filter(|made_at| *made_at < state.stated_at);
            marks.extend(made_at.map(|made_at| Mark(made_at.timestamp_micros(), false)));
        }
        marks.sort_unstable();
        marks.dedup();
        marks.drain(..marks.len().saturating_sub(KEPT));
        Self(marks)
    }

    /// Since when it is under way or, once it has ended, was; none if nobody told.
    pub(super) fn began(&self) -> Option<Time> {
        let mut began = None;
        for (index, Mark(at, is_end)) in self.0.iter().enumerate() {
            match is_end {
                false => began = began.or(Some(*at)),
                true if index + 1 < self.0.len() => began = None,
                true => {}
            }
        }
        began.and_then(DateTime::from_timestamp_micros)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn began(marks: &[(i64, bool)]) -> Option<i64> {
        let marks = Marks(marks.iter().map(|(at, is_end)| Mark(*at, *is_end)).collect());
        marks.began().map(|at| at.timestamp_micros())
    }

    #[test]
    fn a_status_began_when_it_was_first_under_way_since_its_last_end() {
        let (way, end) = (false, true);
        assert_eq!(began(&[]), None);
        assert_eq!(began(&[(1, end)]), None);
        assert_eq!(began(&[(1, way), (2, way), (3, end)]), Some(1));
        assert_eq!(began(&[(1, way), (3, end), (5, way), (6, way)]), Some(5));
        assert_eq!(began(&[(1, way), (3, end), (5, way), (6, end)]), Some(5));
        assert_eq!(began(&[(1, way), (3, end), (6, end)]), None, "nobody told when it was under way again");
    }
}
