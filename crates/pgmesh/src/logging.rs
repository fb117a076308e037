//! Logs go to stderr, results to stdout.
//!
//! One event is one line, in text as in JSON: what strangers and servers say is
//! escaped, so that it can neither forge a line nor reach a terminal's controls.

use std::fmt::{self, Debug, Write as _};
use std::io::IsTerminal as _;

use tracing::Level;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use crate::settings::LogFormat;

/// Changes the level of a log that has started.
pub(crate) struct LogLevel(reload::Handle<Targets, Registry>);

impl LogLevel {
    pub(crate) fn set(&self, level: Level) {
        // It fails only once the log is gone.
        let _ = self.0.reload(filter(level));
    }
}

/// Starts logging; called once.
pub(crate) fn start(format: LogFormat, level: Level) -> LogLevel {
    let (filter, handle) = reload::Layer::new(filter(level));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => {
            let fields = debug_fn(write_field).delimited(" ");
            registry.with(lines.fmt_fields(fields)).init();
        }
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
    LogLevel(handle)
}

/// Who is heard at the level that was asked for.
const OURS: [&str; 4] = ["pgmesh", "pgmesh_dist", "pgmesh_discovery", "pgmesh_epmd"];

/// Libraries are heard from `warn` on.
fn filter(level: Level) -> Targets {
    Targets::new()
        .with_default(Level::WARN)
        .with_targets(OURS.map(|target| (target, level)))
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    write!(OneLine(writer), "{value:?}")
}

/// Escapes control characters on their way.
struct OneLine<'a, W>(&'a mut W);

impl<W: fmt::Write> fmt::Write for OneLine<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            match char.is_control() {
                true => write!(self.0, "{}", char.escape_default())?,
                false => self.0.write_char(char)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_say_stays_on_its_line_and_off_the_terminal() {
        let mut line = String::new();
        let said = "a@h\n2026 ERROR forged\r\u{1b}[2J\u{9b}31m ümlaut";
        write!(OneLine(&mut line), "{said}").unwrap();
        assert_eq!(
            line,
            "a@h\\n2026 ERROR forged\\r\\u{1b}[2J\\u{9b}31m ümlaut"
        );
    }
}
