//! Logs: to stderr, as text for people or as JSON for machines.

use clap::ValueEnum;
use serde::Deserialize;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Logs from now on; `TIM_SERVER_LOG` says how much. A thread of its own writes, so that nobody waits for
/// whoever reads stderr; what it cannot keep up with is dropped. What is left is written when what this
/// gives is dropped.
pub fn start(format: Format) -> WorkerGuard {
    let filter = EnvFilter::try_from_env("TIM_SERVER_LOG").unwrap_or_else(|_| "info".into());
    let (stderr, guard) = tracing_appender::non_blocking(std::io::stderr());
    let logs = tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_ansi(false)
        .with_env_filter(filter);
    match format {
        Format::Text => logs.init(),
        Format::Json => logs.json().flatten_event(true).init(),
    }
    guard
}
