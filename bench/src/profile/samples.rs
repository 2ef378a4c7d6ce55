//! Samples of what a process does on its processors: by `perf`, with the kernel's part in them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{Result, child::Target, load::LEAD, peers};

/// For how long samples are taken, and how many in a second of each processor.
pub(super) const TIME: Duration = Duration::from_secs(4);
pub(super) const FREQUENCY: &str = "499";
/// As much of each stack is kept as `perf` can, from which the frames are read by what the compiler wrote for panics.
const STACKS: &str = "dwarf,65528";
/// What stands below everything that a thread does, and says nothing of it.
const BELOW: [&str; 8] = [
    "[unknown]",
    "clone3",
    "start_thread",
    "std::sys::",
    "<std::sys::",
    "std::thread::",
    "core::ops::function::FnOnce",
    "tokio::runtime::",
];

/// The program, if it is there.
pub(super) struct Perf(PathBuf);

impl Perf {
    pub(super) fn find() -> Option<Self> {
        peers::program("perf").map(Self)
    }

    /// What a process was seen at while it was asked something; none, if it may not be looked at.
    pub(super) async fn take(
        &self,
        target: &Target,
        file: &Path,
        load: impl Future<Output = Result<u64>>,
    ) -> Result<Option<Vec<Stack>>> {
        let seconds = (LEAD + TIME).as_secs_f64().to_string();
        let mut recording = tokio::process::Command::new(&self.0);
        recording
            .args(["record", "-q", "-e", "cpu-clock", "-F", FREQUENCY, "--call-graph", STACKS])
            .args(["-p", &target.id().to_string(), "-o"])
            .arg(file)
            .args(["--", "sleep", &seconds])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let (status, asked) = tokio::join!(recording.status(), load);
        asked?;
        if !status?.success() {
            return Ok(None);
        }
        let mut script = Command::new(&self.0);
        script.args(["script", "--no-inline", "-F", "comm,ip,sym,dso", "-i"]).arg(file);
        let told = script.stderr(Stdio::null()).output()?;
        let stacks: Vec<_> =
            String::from_utf8_lossy(&told.stdout).split("\n\n").filter_map(Stack::read).collect();
        if stacks.is_empty() { Err("perf saw nothing".into()) } else { Ok(Some(stacks)) }
    }
}

/// What one thread was seen at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stack {
    pub(super) thread: String,
    /// Who was called by whom, from the outermost.
    pub(super) frames: Vec<Frame>,
}

/// A function that was seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) name: String,
    pub(super) part: Part,
}

/// Whose code it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Part {
    Trackside,
    /// Another crate, or Rust's own.
    #[default]
    Crate,
    /// SQLite, zstd, the allocator, the C library.
    Native,
    Kernel,
}

impl Stack {
    /// Reads a thread's name, and below it a line for each frame, from the innermost.
    fn read(text: &str) -> Option<Self> {
        let mut lines = text.trim_matches('\n').lines();
        let thread = lines.next().map(str::trim).filter(|name| !name.is_empty())?.to_owned();
        let mut frames: Vec<_> = lines.filter_map(Frame::read).collect();
        frames.reverse();
        let says_nothing = |frame: &&Frame| BELOW.iter().any(|below| frame.name.starts_with(below));
        let below = frames.iter().take_while(says_nothing).count();
        frames.drain(..below);
        Some(Self { thread, frames })
    }

    /// What it was at, in a word or two: a call of the kernel, or the crate of the innermost function.
    pub(super) fn place(&self) -> String {
        let call = self.frames.iter().find_map(Frame::system_call);
        match (call, self.frames.last()) {
            (Some(call), _) => format!("kernel: `{call}`"),
            (None, Some(frame)) => frame.origin(),
            (None, None) => "`tokio`".to_owned(),
        }
    }
}

impl Frame {
    /// Reads a line such as `1783373 trackside::server::connection (/usr/bin/trackside)`.
    fn read(line: &str) -> Option<Self> {
        let (_, named) = line.trim().split_once(' ')?;
        let (name, object) = named.rsplit_once(" (")?;
        let part = match object {
            "[unknown])" | "[vdso])" => Part::Native,
            kernel if kernel.starts_with('[') => Part::Kernel,
            _ if name.contains("trackside::") => Part::Trackside,
            _ if name.contains("::") => Part::Crate,
            _ => Part::Native,
        };
        Some(Self { name: name.to_owned(), part })
    }

    /// The call of the kernel that it is the begin of.
    fn system_call(&self) -> Option<&str> {
        let (_, call) = self.name.split_once("64_sys_").filter(|_| self.part == Part::Kernel)?;
        Some(call)
    }

    /// Where its function is from.
    fn origin(&self) -> String {
        match self.part {
            Part::Kernel => "kernel: interrupts and the like".to_owned(),
            Part::Native if self.name.contains("mem") => "C: copies and comparisons of memory".to_owned(),
            Part::Native => match self.name.trim_start_matches('_').split('_').next() {
                Some("mi") => "C: the allocator, mimalloc".to_owned(),
                Some("ZSTD" | "HUF" | "FSE" | "HIST") => "C: zstd".to_owned(),
                _ => "C: SQLite and the rest".to_owned(),
            },
            Part::Trackside | Part::Crate => {
                let name = self.name.trim_start_matches(|letter: char| !letter.is_alphanumeric());
                match name.split("::").next().unwrap_or_default() {
                    "core" | "alloc" | "std" => "Rust's own library".to_owned(),
                    name if name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') => {
                        format!("`{name}`")
                    }
                    _ => "generic Rust".to_owned(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_read_from_the_outermost_frame_that_says_something() {
        let text = "tokio-rt-worker \n\tffffffff82 vfs_write ([kernel.kallsyms])\n\
                    \tffffffff81 __x64_sys_write ([kernel.kallsyms])\n\
                    \t  1a414b9 <a::B as c::D>::call::{{closure}} (/usr/bin/trackside)\n\
                    \t  1956e95 trackside::server::connection (/usr/bin/trackside)\n\
                    \t  1098eb clone3 (/usr/lib/libc.so.6)\n\t ffff [unknown] ([unknown])\n";
        let stack = Stack::read(text).expect("a sample");
        let names: Vec<_> = stack.frames.iter().map(|frame| (frame.name.as_str(), frame.part)).collect();
        let expected = [
            ("trackside::server::connection", Part::Trackside),
            ("<a::B as c::D>::call::{{closure}}", Part::Crate),
            ("__x64_sys_write", Part::Kernel),
            ("vfs_write", Part::Kernel),
        ];
        assert_eq!((stack.thread.as_str(), names.as_slice()), ("tokio-rt-worker", &expected[..]));
        assert_eq!(stack.place(), "kernel: `write`");
        assert_eq!(Stack::read("\n"), None);
    }
}
