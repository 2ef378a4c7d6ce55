//! The questions, each with what answers it.

use clap::Subcommand;

use crate::{
    Plan, Result,
    answer::Answer,
    buckets, catch_up, claims, collisions, documents, fan_out,
    growth::{self, Growth},
    ingest::{self, Ingest},
    newcomer, profile, rest, tools,
};

/// What is called how in the report, in its order.
pub(crate) const TITLES: [(&str, &str); 12] = [
    ("ingest", "Durable ingest"),
    ("tools", "Tool calls"),
    ("fan-out", "Fan-out"),
    ("catch-up", "Catching up"),
    ("buckets", "Buckets"),
    ("rest", "At rest"),
    ("newcomer", "From nothing"),
    ("profile", "Where the time goes"),
    ("growth", "Growth"),
    ("claims", "Claims"),
    ("documents", "Documents"),
    ("collisions", "Collisions"),
];

/// What `all` asks. The others take long.
pub(crate) const SHORT: [&str; 7] = ["ingest", "tools", "fan-out", "catch-up", "buckets", "rest", "profile"];

/// What may be asked.
#[derive(Subcommand)]
pub(crate) enum Question {
    /// Signed deliveries, stored before they are acknowledged, beside pgbench, other receivers and a bare handler
    Ingest(Ingest),
    /// Tool calls over MCP, beside servers that only echo
    Tools,
    /// Events to many subscribers of another instance, beside nchan and Redis
    FanOut,
    /// A subscriber that is far behind, beside psql
    CatchUp,
    /// Token buckets that instances share, beside redis-benchmark
    Buckets,
    /// Memory, start and size
    Rest,
    /// From `git clone` to the first event of the demo, with nothing built. Takes long
    Newcomer,
    /// Where the time of a delivery and of a tool call goes
    Profile,
    /// Databases with ten thousand, a million and ten million rows, beside empty ones. Takes long
    Growth(Growth),
    /// Work that many want at once, and the heartbeats of those who hold it. Takes long
    Claims,
    /// How repositories are read, and their documents searched. Takes long
    Documents,
    /// How soon it is seen who edits the same, and which gates are red. Takes long
    Collisions,
}

impl Question {
    /// Its name on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ingest(_) => "ingest",
            Self::Tools => "tools",
            Self::FanOut => "fan-out",
            Self::CatchUp => "catch-up",
            Self::Buckets => "buckets",
            Self::Rest => "rest",
            Self::Newcomer => "newcomer",
            Self::Profile => "profile",
            Self::Growth(_) => "growth",
            Self::Claims => "claims",
            Self::Documents => "documents",
            Self::Collisions => "collisions",
        }
    }

    /// Measures what answers it.
    pub(crate) async fn answer(&self, plan: &Plan) -> Result<Answer> {
        match self {
            Self::Ingest(ingest) => ingest::answer(plan, ingest).await,
            Self::Tools => tools::answer(plan).await,
            Self::FanOut => fan_out::answer(plan).await,
            Self::CatchUp => catch_up::answer(plan).await,
            Self::Buckets => buckets::answer(plan).await,
            Self::Rest => rest::answer(plan).await,
            Self::Newcomer => newcomer::answer(),
            Self::Profile => profile::answer(plan).await,
            Self::Growth(growth) => growth::answer(plan, growth).await,
            Self::Claims => claims::answer(plan).await,
            Self::Documents => documents::answer(plan).await,
            Self::Collisions => collisions::answer(plan).await,
        }
    }

    /// Whether it is asked in full, so that the answer may be kept.
    pub(crate) fn is_complete(&self, plan: &Plan) -> bool {
        let is_whole = match self {
            Self::Ingest(ingest) => ingest.is_complete(),
            Self::Growth(growth) => growth.is_complete(),
            _ => true,
        };
        is_whole && plan.disk.is_none() && plan.rounds > 0 && !cfg!(debug_assertions)
    }
}
