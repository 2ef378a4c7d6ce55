//! Logs: for people at a terminal, or one JSON object a line for collectors. They go to standard error, so that
//! what a command prints stays clean.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Starts logging for this process; a second call changes nothing.
pub fn start(config: &Config) {
    // The SDK of the tool server tells of each request what our own line on it tells as well.
    let quiet = if config.log_filter.contains("rmcp") { "" } else { ",rmcp=warn" };
    let filter = EnvFilter::try_new(format!("{}{quiet}", config.log_filter)).unwrap_or_default();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let _ = match config.log_format {
        LogFormat::Text => logs.with_ansi(stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
}
