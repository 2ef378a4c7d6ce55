//! Instructions by callgrind, of all threads. What a life of the service takes besides requests, its start above all,
//! is in a short one as in a long one: the difference is what the requests took.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::Subject;
use crate::{Result, load::Bodies, peers, stand_in};

/// For how long the service is asked in its short life, and in its long one.
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(10);
/// The longest that callgrind is given to write what it has counted.
const PATIENCE: Duration = Duration::from_secs(60);

/// Valgrind's programs, if they are there.
pub(super) struct Callgrind {
    valgrind: PathBuf,
    annotate: PathBuf,
}

/// Instructions of one request.
#[derive(Default)]
pub(super) struct Cost {
    pub(super) all: f64,
    /// Each function's own, the most first.
    pub(super) functions: Vec<(String, f64)>,
}

/// What was counted in one life of the service.
struct Life {
    requests: u64,
    all: u64,
    functions: BTreeMap<String, u64>,
}

impl Callgrind {
    pub(super) fn find() -> Option<Self> {
        let (valgrind, annotate) = (peers::program("valgrind")?, peers::program("callgrind_annotate")?);
        Some(Self { valgrind, annotate })
    }

    /// What a request takes, over one connection.
    pub(super) async fn count(&self, subject: Subject, service: &Path, bodies: &Bodies) -> Result<Cost> {
        let short = self.live(subject, service, bodies, SHORT).await?;
        let long = self.live(subject, service, bodies, LONG).await?;
        let requests = long.requests.saturating_sub(short.requests);
        if requests == 0 {
            return Err("callgrind is too slow here: as much was asked in little time as in much".into());
        }
        let each = |long: u64, short: u64| (long as f64 - short as f64) / requests as f64;
        let own = |(name, number): (String, u64)| {
            let before = short.functions.get(&name).copied().unwrap_or_default();
            (name, each(number, before))
        };
        let mut functions: Vec<_> = long.functions.into_iter().map(own).collect();
        functions.sort_by(|(_, left), (_, right)| right.total_cmp(left));
        Ok(Cost { all: each(long.all, short.all), functions })
    }

    /// One life of the service, which is asked for some time.
    async fn live(&self, subject: Subject, service: &Path, bodies: &Bodies, time: Duration) -> Result<Life> {
        let folder = TempDir::new()?;
        let counts = folder.path().join("counts");
        // The database is made before: that takes longer here, and somebody would wait for it.
        let serving = format!(
            "\"$service\" key create --name first --role owner\n\
             exec '{}' --tool=callgrind --callgrind-out-file='{}' \"$service\" \"$@\"",
            self.valgrind.display(),
            counts.display()
        );
        let binary = stand_in::make(folder.path(), service, &serving)?;
        let target = subject.start(&binary).await?;
        let requests = subject.ask(&target, bodies, true, time).await?;
        scratch::signal(target.id(), "TERM");
        let all = written(&counts).await?;
        let mut annotate = Command::new(&self.annotate);
        let told = annotate.args(["--threshold=100", "--auto=no"]).arg(&counts).output()?;
        Ok(Life { requests, all, functions: functions(&String::from_utf8_lossy(&told.stdout)) })
    }
}

/// All instructions, once callgrind has written them down.
async fn written(counts: &Path) -> Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let text = fs::read_to_string(counts).unwrap_or_default();
        let last = text.strip_suffix('\n').and_then(|text| text.lines().next_back());
        if let Some(all) = last.and_then(|line| line.strip_prefix("totals: ")) {
            return Ok(all.trim().parse()?);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("callgrind wrote nothing down".into())
}

/// Each function's own instructions, of `callgrind_annotate`'s report.
fn functions(report: &str) -> BTreeMap<String, u64> {
    let mut functions = BTreeMap::new();
    for (name, number) in report.lines().filter_map(function) {
        *functions.entry(name).or_default() += number;
    }
    functions
}

/// Reads a line such as `12,600,428 ( 1.87%)  ???:mi_free'2 [/usr/bin/trackside]`, whose number at the end of the name
/// says how deep a function was in itself.
fn function(line: &str) -> Option<(String, u64)> {
    let (number, rest) = line.trim_start().split_once(" (")?;
    let (_, place) = rest.split_once("%)")?;
    let (_, name) = place.split_once(':')?;
    let name = name.rsplit_once(" [").map_or(name, |(name, _)| name);
    let name = match name.rsplit_once('\'') {
        Some((name, depth)) if depth.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => name,
    };
    Some((name.to_owned(), number.replace(',', "").parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_took_in_itself_counts_as_its_own() {
        let report = "674,546,910 (100.0%)  PROGRAM TOTALS\n\
                      Ir                    file:function\n\
                      1,896,309 ( 1.76%)  ???:trackside::mcp::text::clean'2 [/usr/bin/trackside]\n   \
                      1 ( 0.00%)  ./a/b.S:trackside::mcp::text::clean [/usr/bin/trackside]\n";
        let expected = BTreeMap::from([("trackside::mcp::text::clean".to_owned(), 1_896_310)]);
        assert_eq!(functions(report), expected);
    }
}
