//! One figure, measured once per round.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A time as a figure.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What a figure was in each round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Figures(Vec<f64>);

impl From<Vec<f64>> for Figures {
    fn from(rounds: Vec<f64>) -> Self {
        Self(rounds)
    }
}

impl From<f64> for Figures {
    fn from(once: f64) -> Self {
        Self(vec![once])
    }
}

impl Figures {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ratio to others, round by round.
    pub(crate) fn over(&self, others: &Self) -> Self {
        Self(self.0.iter().zip(&others.0).map(|(ours, its)| ours / its).collect())
    }

    /// The one in the middle, or between the two that are.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The least of all rounds.
    pub(crate) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The most of all rounds.
    pub(crate) fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The median and, in brackets, the range, where there was more than one round.
    pub(crate) fn show(&self, digits: usize, unit: &str) -> String {
        let (median, least, most) = (self.median(), self.least(), self.most());
        match self.0.len() {
            0 | 1 => format!("{median:.digits$}{unit}"),
            _ => format!("{median:.digits$}{unit} ({least:.digits$}–{most:.digits$})"),
        }
    }
}
