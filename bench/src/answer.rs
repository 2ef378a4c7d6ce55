//! What was measured to answer a question: kept as data in `bench/answers/`, from which `RESULTS.md` and its pictures are
//! made.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Result, child, figures::Figures, machine, plots::Chart};

/// The answer to a question.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    /// When, from which sources, and on what machine it was measured.
    pub(crate) made: String,
    /// How it was measured, and every figure: Markdown whose headings begin at `###`.
    pub(crate) text: String,
    /// What the question comes down to.
    pub(crate) comparisons: Vec<Comparison>,
    /// One picture, or several where one would say too much.
    pub(crate) charts: Vec<Chart>,
    /// Peers that were not on the machine, each with how to get it.
    #[serde(default)]
    pub(crate) missing: Vec<String>,
}

impl Answer {
    /// An answer of now.
    pub(crate) fn new(text: String) -> Result<Self> {
        let (today, commit, machine) = (machine::today()?, child::commit()?, machine::describe()?);
        let made = format!("{today}, at {commit}: {machine}");
        Ok(Self { made, text, comparisons: Vec::new(), charts: Vec::new(), missing: Vec::new() })
    }

    fn file(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("answers").join(format!("{name}.json"))
    }

    /// Keeps it under a name.
    pub(crate) fn keep(&self, name: &str) -> Result<()> {
        let file = Self::file(name);
        std::fs::create_dir_all(file.parent().ok_or("a folder")?)?;
        Ok(std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// What was kept under a name.
    pub(crate) fn kept(name: &str) -> Result<Option<Self>> {
        match std::fs::read_to_string(Self::file(name)) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// A line of the summary: something of ours beside something else, or beside an aim.
#[derive(Serialize, Deserialize)]
pub(crate) struct Comparison {
    /// What was measured, such as "8 KB, 32 connections".
    pub(crate) what: String,
    /// Beside what, such as "pgbench, one row per commit"; empty where there is only an aim.
    pub(crate) beside: String,
    /// Round by round: ours over the other's, or the figure itself.
    pub(crate) figures: Figures,
    /// What the figures are, such as `×` or ` ms`.
    pub(crate) unit: String,
    /// What we want them to be.
    pub(crate) aim: Option<Aim>,
    /// Why they are not, where they are not; unused while the aim is met.
    pub(crate) reason: String,
}

/// What a figure ought to be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Aim {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Comparison {
    /// How many times as much something of ours is as something else, round by round.
    pub(crate) fn times(
        what: impl Into<String>,
        ours: &Figures,
        beside: impl Into<String>,
        its: &Figures,
    ) -> Self {
        let (what, beside, figures) = (what.into(), beside.into(), ours.over(its));
        Self { what, beside, figures, unit: "×".to_owned(), aim: None, reason: String::new() }
    }

    /// A figure that stands alone.
    pub(crate) fn figure(what: impl Into<String>, figures: impl Into<Figures>, unit: &str) -> Self {
        let (what, figures, unit) = (what.into(), figures.into(), unit.to_owned());
        Self { what, beside: String::new(), figures, unit, aim: None, reason: String::new() }
    }

    /// What it ought to be, and why it is not where that should be so.
    pub(crate) fn aim(mut self, aim: Aim, reason: &str) -> Self {
        (self.aim, self.reason) = (Some(aim), reason.to_owned());
        self
    }

    /// Whether it is as it ought to be, by its median.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let median = self.figures.median();
        self.aim.map(|aim| match aim {
            Aim::AtLeast(least) => median >= least,
            Aim::AtMost(most) => median <= most,
        })
    }

    /// The figures with their unit.
    pub(crate) fn show(&self) -> String {
        let digits = match self.figures.median() {
            ..10.0 => 2,
            10.0..100.0 => 1,
            _ => 0,
        };
        self.figures.show(digits, &self.unit)
    }

    /// The aim with its unit.
    pub(crate) fn show_aim(&self) -> String {
        match self.aim {
            None => String::new(),
            Some(Aim::AtLeast(least)) => format!("≥ {least}{}", self.unit),
            Some(Aim::AtMost(most)) => format!("≤ {most}{}", self.unit),
        }
    }
}
