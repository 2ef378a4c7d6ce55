//! A process with those that it starts itself, such as nginx with its workers.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use crate::Result;

/// A process that is asked to end with its handle, and not killed, so that it ends those that it started.
pub(crate) struct Tree(Child);

impl Tree {
    /// Starts it, without a word.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn()?))
    }

    /// Memory of all of them, KiB: what each has of its own, and its share of what several have.
    pub(crate) fn memory_kib(&self) -> Result<u64> {
        let (mut left, mut kib) = (vec![self.0.id()], 0);
        while let Some(id) = left.pop() {
            let memory = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
            let share = memory.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
            kib += share.split_whitespace().next().ok_or("no number")?.parse::<u64>()?;
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
            left.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        Ok(kib)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}
