//! What everything was measured on, and when.

use crate::{Result, output};

/// One line about the machine, one about the build.
pub(crate) fn describe() -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let memory = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    let memory = memory.map_or(0.0, |kib: f64| kib / f64::from(1 << 20));
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = cpu.map_or("processor unknown", |(_, name)| name.trim());
    let kernel = output("uname", &["-sr"])?;
    let folder = std::env::temp_dir();
    let filesystem = output("df", &["--output=fstype", &folder.display().to_string()])?;
    let filesystem = filesystem.lines().last().unwrap_or_default().trim().to_owned();
    let compiler = output("rustc", &["--version"])?;
    Ok(format!(
        "{cores} cores ({cpu}), {memory:.0} GiB, {kernel}, {filesystem}; {compiler}, profile `release`"
    ))
}

/// Today, in UTC.
pub(crate) fn today() -> Result<String> {
    output("date", &["-u", "+%F"])
}
