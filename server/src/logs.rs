//! Logs: to stderr, as text for people or as JSON for machines.

use clap::ValueEnum;
use serde::Deserialize;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging; `TIM_SERVER_LOG` sets the level. A separate thread writes, so that nobody waits
/// for a slow reader of stderr; lines that it cannot keep up with are dropped. Dropping the
/// returned guard writes what is left.
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
