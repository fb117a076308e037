//! `pgmesh watch`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::bail;
use clap::ArgMatches;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::daemon_client::{DaemonClient, LIMIT};
use super::print;
use crate::api::shapes::Event;

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let client = DaemonClient::to_look(flags)?;
    let json = flags.get_flag("json");
    let watched = super::block_on(async {
        tokio::select! {
            watched = watch(&client, json) => watched,
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    });
    match watched {
        // Whoever read has seen enough: `pgmesh watch | head -1`.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        watched => watched.map(|()| ExitCode::SUCCESS),
    }
}

async fn watch(client: &DaemonClient, json: bool) -> anyhow::Result<()> {
    let opened = client.open("/api/v1/events");
    let body = client.within(LIMIT, opened).await?;
    // Not a result: it tells a person why nothing is seen, and a script since when.
    writeln!(io::stderr(), "watching (end with ctrl-c)")?;
    let mut events = Events::new(body);
    while let Some(event) = events.next().await {
        if json {
            print(event)?;
        } else {
            print(line(&serde_json::from_str(&event)?))?;
        }
    }
    bail!("the daemon has ended, or closed the connection (see its log)")
}

/// Reads server-sent events, of which only the data matter here.
struct Events {
    body: Incoming,
    unread: Lines,
}

impl Events {
    fn new(body: Incoming) -> Self {
        Self {
            body,
            unread: Lines::default(),
        }
    }

    /// The data of the next one; `None` at the end, however it came.
    async fn next(&mut self) -> Option<String> {
        loop {
            while let Some(line) = self.unread.next() {
                if let Some(data) = line.strip_prefix("data:") {
                    return Some(data.trim_start().to_owned());
                }
            }
            let frame = self.body.frame().await?.ok()?;
            self.unread.push(frame.data_ref().map_or(&[], |data| data));
        }
    }
}

/// Bytes that come in any pieces, line by line.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole line, without its end.
    fn next(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.0.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).trim_end().to_owned())
    }
}

fn line(event: &Event) -> String {
    let message = event.message.as_deref().unwrap_or_default();
    format!("{}  {:<10}  {message}", event.at, event.event)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_in_whatever_pieces_they_arrive() {
        let mut lines = Lines::default();
        lines.push(b"data: {\"a\"");
        assert_eq!(lines.next(), None);
        lines.push(b": 1}\r\n\n: a comment\nda");
        assert_eq!(lines.next().as_deref(), Some("data: {\"a\": 1}"));
        assert_eq!(lines.next().as_deref(), Some(""));
        assert_eq!(lines.next().as_deref(), Some(": a comment"));
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn an_event_is_one_line() {
        let event = Event {
            at: "2026-03-01T00:00:00.250Z".to_owned(),
            event: "nodeup".into(),
            message: Some("linked to a@10.0.0.7".to_owned()),
            ..Event::default()
        };
        assert_eq!(
            line(&event),
            "2026-03-01T00:00:00.250Z  nodeup      linked to a@10.0.0.7"
        );
    }
}
