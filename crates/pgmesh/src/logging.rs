//! Logs go to stderr, results to stdout.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Starts logging; called once. Libraries are heard from `warn` on.
pub(crate) fn start(format: LogFormat, level: tracing::Level) {
    let level = level.as_str().to_lowercase();
    let directives = [
        "warn".to_owned(),
        format!("pgmesh={level}"),
        format!("pgmesh_dist={level}"),
        format!("pgmesh_discovery={level}"),
    ];
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives.join(",")))
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}
