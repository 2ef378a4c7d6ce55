//! Logs: for people at a terminal, or one JSON object a line for collectors. They go to standard error, so that
//! what a command prints stays clean.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Starts logging for this process; a second call changes nothing.
pub fn start(config: &Config) {
    let filter = EnvFilter::try_new(&config.log_filter).unwrap_or_default();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let _ = match config.log_format {
        LogFormat::Text => logs.with_ansi(stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
}
